#![allow(clippy::unwrap_used)]

mod records;
mod server;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use parking_lot::Mutex;
use prost::Message;
use tailgate_common::clock::SystemClock;
use tailgate_common::config::Secret;
use tailgate_proto::TraceId;

use self::server::{Fault, XrayServer};
use super::*;
use crate::core::outbox::{Kept, OutboxCounts};
use crate::export::tests::{PATIENCE, eager, fragment, kept, span, start, until};
use crate::export::{Builder, Exports, QueueSettings};

const TIMEOUT: Duration = Duration::from_secs(1);

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

fn settings(endpoint: &str) -> XraySettings {
    XraySettings {
        endpoint: Some(endpoint.into()),
        region: Some("us-east-1".into()),
        local_mode: true,
        request_timeout: TIMEOUT,
        ..XraySettings::default()
    }
}

async fn exporter(endpoint: &str) -> XrayExporter {
    exporter_with(endpoint, &SendSettings::new(8, 2, &eager())).await
}

async fn exporter_with(endpoint: &str, send: &SendSettings) -> XrayExporter {
    let credentials = Credentials::new("id", "secret", None, None, "test");
    let credentials = Some(SharedCredentialsProvider::new(credentials));
    let client =
        ApiClient::with_credentials(&settings(endpoint), credentials, clock()).await.unwrap();
    with_client(client, send)
}

fn with_client(client: ApiClient, send: &SendSettings) -> XrayExporter {
    let clock = Arc::new(SystemClock::new());
    XrayExporter::new("awsxray", client, Options::default(), send, clock)
}

/// Offers `traces` of 5 spans each and drains.
async fn send(exports: &Exports, traces: u32) -> OutboxCounts {
    for trace in 0..traces {
        exports.offer(kept(trace, 5)).unwrap();
    }
    exports.drain(PATIENCE).await
}

#[tokio::test]
async fn calls_are_full_and_traces_together() {
    let server = XrayServer::start([]).await;
    let exporter = exporter(&server.url()).await;
    let watch = exporter.watch();
    let exports = start("awsxray", exporter, 1);
    let counts = send(&exports, 100).await;
    assert_eq!((counts.exported, counts.lost.len(), server.stored()), (500, 0, 500));
    let calls = server.calls();
    assert!(calls.iter().all(|call| call.len() <= MAX_CALL_DOCUMENTS));
    let traces: Vec<_> = calls.iter().flatten().map(|document| document.trace.clone()).collect();
    let mut grouped = traces.clone();
    grouped.dedup();
    assert_eq!(grouped.len(), 100, "a trace is in several places");
    let read = watch.read();
    assert_eq!((read.accepted, read.calls()), (500, calls.len() as u64));
    assert_eq!((read.fill.sum, read.lost, read.retried), (500.0, 0, 0));
    assert!(calls.len() <= 12, "{} calls for 500 documents", calls.len());
}

#[tokio::test]
async fn whatever_goes_wrong_what_is_exported_is_stored() {
    use Fault::{Busy, ExpiredToken, Reset, ResetAfterStoring, Slow, Throttle, Unprocessed};
    let faults = [
        Throttle,
        Busy,
        Unprocessed("ThrottledException"),
        Reset,
        ExpiredToken,
        Slow(TIMEOUT * 3),
        Unprocessed("InternalFailure"),
        ResetAfterStoring,
        Fault::TooMany,
        Fault::InBody,
        Fault::Foreign,
        Fault::Cut,
        Throttle,
    ];
    let server = XrayServer::start(faults).await;
    let exporter = exporter(&server.url()).await;
    let watch = exporter.watch();
    let exports = start("awsxray", exporter, 3);
    let counts = send(&exports, 200).await;
    assert_eq!((counts.exported, counts.lost.len()), (1000, 0));
    assert_eq!(server.stored(), 1000);
    assert_eq!(counts.queues[0].sent, 1000);
    assert_eq!(server.faults_left(), 0, "not all faults were met");
    assert_eq!(watch.read().throttled, 4, "three that say so and a bare 429");
}

#[tokio::test]
async fn a_document_that_is_refused_for_good_is_lost_alone() {
    let server = XrayServer::start([Fault::Throttle]).await;
    server.poison(&kept(3, 5), 2, "InvalidSegment");
    server.poison(&kept(9, 5), 0, "NeverHeardOf");
    let exports = start("awsxray", exporter(&server.url()).await, 2);
    let counts = send(&exports, 40).await;
    assert_eq!((counts.exported, server.stored()), (198, 198));
    let lost = [(Reason("xray_invalid_segment"), 1), (Reason("xray_other"), 1)];
    assert_eq!(counts.lost, lost.into());
}

/// Calls with a bad document are refused whole, or X-Ray doesn't say which one it means.
#[tokio::test]
async fn a_culprit_is_found_in_halves() {
    for (code, reason) in [
        ("refuse", "xray_invalid_request"),
        ("unreadable", "xray_invalid_request"),
        ("nameless", "xray_parse_error"),
    ] {
        let server = XrayServer::start([]).await;
        server.poison(&kept(3, 5), 2, code);
        let exports = start("awsxray", exporter(&server.url()).await, 2);
        let counts = send(&exports, 40).await;
        assert_eq!((counts.exported, server.stored()), (199, 199), "{code}");
        assert_eq!(counts.lost, [(Reason(reason), 1)].into());
        assert!(lost_reasons().contains(&Reason(reason)));
    }
}

/// Nobody says that it is refused, but it fails whenever it is sent.
#[tokio::test]
async fn what_is_never_taken_holds_up_nothing() {
    for code in ["break", "InternalFailure"] {
        let server = XrayServer::start([]).await;
        let id = server.poison(&kept(0, 200), 2, code);
        let exports = start("awsxray", exporter(&server.url()).await, 2);
        exports.offer(kept(0, 200)).unwrap();
        // All but its own call, which was tried no more than twice before.
        until("the others are stored", || server.stored() >= 150).await;
        let calls = server.calls();
        let with_it: Vec<bool> =
            calls.iter().map(|call| call.iter().any(|seen| seen.id == id)).collect();
        let before = with_it.iter().rposition(|with_it| !with_it).unwrap();
        let tried = with_it[..before].iter().filter(|with_it| **with_it).count();
        assert!(tried <= 2, "{code}: {tried}");
        // What else is accepted shows that it is its own fault.
        let (mut spans, begun) = (200, Instant::now());
        for trace in 1.. {
            if !exports.counts().lost.is_empty() {
                break;
            }
            assert!(begun.elapsed() < 3 * PATIENCE, "{code}: it is still tried");
            exports.offer(kept(trace, 500)).unwrap();
            spans += 500;
            until("they are stored", || server.stored() >= spans - 50).await;
        }
        let counts = exports.drain(PATIENCE).await;
        assert_eq!((counts.exported, server.stored()), (spans as u64 - 1, spans - 1), "{code}");
        assert_eq!(counts.lost, [(Reason("xray_not_taken"), 1)].into());
        assert!(lost_reasons().contains(&Reason("xray_not_taken")));
    }
}

/// What fails along with everything else is nobody's own fault, whatever is accepted before the
/// outage and after it.
#[tokio::test]
async fn an_outage_cuts_no_call_and_loses_nothing() {
    use Fault::{Busy, Nothing};
    let begins = [Busy, Nothing, Busy, Nothing];
    let recovers = [Nothing, Busy, Nothing, Busy];
    let faults = begins.into_iter().chain(std::iter::repeat_n(Busy, 400)).chain(recovers);
    let server = XrayServer::start(faults).await;
    let exports = start("awsxray", exporter(&server.url()).await, 3);
    let counts = send(&exports, 400).await;
    assert_eq!((counts.exported, counts.lost.len(), server.stored()), (2_000, 0, 2_000));
    assert_eq!(server.faults_left(), 0);
    let full = server.calls().iter().filter(|call| call.len() == MAX_CALL_DOCUMENTS).count();
    assert!(full >= 400, "{full} of {}", server.calls().len());
}

#[tokio::test]
async fn a_dead_endpoint_loses_exactly_what_was_held() {
    let server = XrayServer::start(std::iter::repeat_n(Fault::Busy, 100_000)).await;
    let exports = start("awsxray", exporter(&server.url()).await, 3);
    for trace in 0..300 {
        exports.offer(kept(trace, 5)).unwrap();
    }
    until("it has been tried", || exports.status()[0].failure.is_some()).await;
    assert_eq!(exports.counts().in_flight, 1500);
    let counts = exports.drain(Duration::from_millis(200)).await;
    assert_eq!((counts.exported, counts.lost), (0, [(Reason::SHUTDOWN, 1500)].into()));
}

/// The pause that the service asks for, and that of a call which failed on its own.
#[tokio::test]
async fn a_shutdown_waits_for_no_pause() {
    for fault in [Fault::Patience(30), Fault::Busy] {
        let server = XrayServer::start([fault]).await;
        let slow = Duration::from_secs(3600);
        let slow = crate::export::Retry { initial_interval: slow, max_interval: slow, ..eager() };
        let exporter = exporter_with(&server.url(), &SendSettings::new(8, 2, &slow)).await;
        let exports = start("awsxray", exporter, 3);
        exports.offer(kept(1, 5)).unwrap();
        until("its call", || server.calls().len() == 1).await;
        let begin = Instant::now();
        assert_eq!(exports.drain(PATIENCE).await.exported, 5);
        let time = begin.elapsed();
        assert!(time < Duration::from_secs(3), "{fault:?}: {time:?}");
    }
}

#[tokio::test]
async fn gives_up_if_told_so() {
    let server = XrayServer::start(std::iter::repeat_n(Fault::Throttle, 100_000)).await;
    let brief = super::super::Retry { enabled: false, ..eager() };
    let exports = Builder::new()
        .add("awsxray", exporter(&server.url()).await, QueueSettings::default(), brief)
        .start(Arc::new(SystemClock::new()));
    let counts = send(&exports, 4).await;
    assert_eq!((counts.exported, counts.lost), (0, [(Reason::RETRIES_EXHAUSTED, 20)].into()));
}

/// A proxy sees the request with its whole address, and answers in the server's place.
#[tokio::test]
async fn a_proxy_is_used() {
    let proxy = XrayServer::start([]).await;
    let credentials = Credentials::new("id", "secret", None, None, "test");
    let credentials = Some(SharedCredentialsProvider::new(credentials));
    let settings = XraySettings {
        proxy_address: Secret::new(proxy.url()),
        ..settings("http://xray.test:8080")
    };
    let client = ApiClient::with_credentials(&settings, credentials, clock()).await.unwrap();
    let exports = start("awsxray", with_client(client, &SendSettings::new(8, 2, &eager())), 1);
    assert_eq!(send(&exports, 2).await.exported, 10);
    assert_eq!(
        (proxy.stored(), proxy.last_target()),
        (10, "http://xray.test:8080/TraceSegments".into())
    );
}

/// Leaves every document unprocessed once, and knows how many bytes are out then.
#[derive(Clone, Default)]
struct Second(Arc<Mutex<(HashMap<String, usize>, usize)>>);

impl XrayClient for Second {
    async fn put(&self, call: Bytes) -> Answer {
        let call: serde_json::Value = serde_json::from_slice(&call).unwrap();
        let mut state = self.0.lock();
        let mut unprocessed = Vec::new();
        for text in call["TraceSegmentDocuments"].as_array().unwrap() {
            let text = text.as_str().unwrap();
            let document: serde_json::Value = serde_json::from_str(text).unwrap();
            let id = document["id"].as_str().unwrap().to_owned();
            if state.0.remove(&id).is_none() {
                state.0.insert(id.clone(), text.len());
                let code = "ThrottledException".to_owned();
                unprocessed.push(Unprocessed { id: Some(id), code, message: String::new() });
            }
        }
        state.1 = state.1.max(state.0.values().sum());
        Answer::Taken { unprocessed }
    }
}

/// A resource is in each of its documents, which can be a hundred times their fragment.
#[tokio::test]
async fn what_has_to_be_sent_again_is_bounded() {
    let value = Some(any_value::Value::StringValue("x".repeat(40_000)));
    let large =
        KeyValue { key: "large".into(), value: Some(AnyValue { value }), ..KeyValue::default() };
    let resource = Resource { attributes: vec![large], ..Resource::default() };
    let spans = (0..500).map(|n| span(0, n, "work")).collect();
    let scope = ScopeSpans { spans, ..ScopeSpans::default() };
    let spans = ResourceSpans {
        resource: Some(resource),
        scope_spans: vec![scope],
        ..ResourceSpans::default()
    };
    let fragment = ExportTraceServiceRequest { resource_spans: vec![spans] }.encode_to_vec();
    let kept = Kept { spans: 500, fragment: fragment.into(), ..kept(0, 1) };
    let client = Second::default();
    let send = SendSettings::new(8, 2, &eager());
    let clock = Arc::new(SystemClock::new());
    let exporter = XrayExporter::new("awsxray", client.clone(), Options::default(), &send, clock);
    let exports = start("awsxray", exporter, 1);
    exports.offer(kept).unwrap();
    let counts = exports.drain(PATIENCE).await;
    assert_eq!((counts.exported, counts.lost.len()), (500, 0));
    let most = client.0.lock().1;
    // Of 20 MB.
    assert!((1 << 20..5 << 20).contains(&most), "{most} bytes were waiting");
}

/// A document that is too large, and one with a number that JSON does not have, go with the others.
#[tokio::test]
async fn what_is_changed_is_sent_and_counted() {
    let value = |value| Some(AnyValue { value: Some(value) });
    let mut spans: Vec<Span> = (0..10).map(|n| span(0, n, "work")).collect();
    let large = value(any_value::Value::StringValue("x".repeat(100_000)));
    spans[3].attributes.push(KeyValue { key: "large".into(), value: large, ..KeyValue::default() });
    let nan = value(any_value::Value::DoubleValue(f64::NAN));
    spans[4].attributes.push(KeyValue { key: "nan".into(), value: nan, ..KeyValue::default() });
    let kept = Kept {
        trace_id: TraceId([0x11; 16]),
        spans: 10,
        fragment: fragment(spans),
        value: Default::default(),
        why: None,
    };

    let server = XrayServer::start([]).await;
    let exporter = exporter(&server.url()).await;
    let watch = exporter.watch();
    let exports = start("awsxray", exporter, 1);
    exports.offer(kept).unwrap();
    let counts = exports.drain(PATIENCE).await;
    assert_eq!((counts.exported, counts.lost.len(), server.stored()), (10, 0, 10));
    // In the order of `Change::ALL`.
    assert_eq!(watch.read().changed, [1, 1, 0, 0, 0]);
}
