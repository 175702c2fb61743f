//! How much goes into a request, and when it comes again: against backends with limits.

use std::time::SystemTime;

use http::StatusCode;
use tailgate_common::client::Exported;
use tailgate_common::client::{
    ClientSettings, HttpSettings, OtlpGrpcClient, OtlpHttpClient, SendError,
};
use tailgate_common::config::Sizer;
use tailgate_testkit::sink::{Behaviour, Sink};
use tonic::Code;

use super::*;
use crate::export::otlp::OtlpClient;

/// Either client.
enum Client {
    Grpc(Box<OtlpGrpcClient>),
    Http(Box<OtlpHttpClient>),
}

impl OtlpClient for Client {
    async fn export(&self, request: Bytes) -> Result<Exported, SendError> {
        match self {
            Self::Grpc(client) => client.export(request).await,
            Self::Http(client) => client.export(request).await,
        }
    }
}

fn clients(sink: &Sink) -> [Client; 2] {
    let grpc = OtlpGrpcClient::new(ClientSettings::new(sink.addr().to_string())).unwrap();
    let url = format!("http://{}/v1/traces", sink.addr());
    let http = OtlpHttpClient::new(HttpSettings {
        client: ClientSettings::new(url),
        json: false,
        max_idle: 10,
        idle_timeout: None,
        signer: None,
        max_body: None,
        clock: Arc::new(SystemClock::new()),
    });
    [Client::Grpc(Box::new(grpc)), Client::Http(Box::new(http.unwrap()))]
}

async fn sinks() -> Vec<(Sink, Client)> {
    let mut found = Vec::new();
    for which in 0..2 {
        let sink = Sink::local().await.unwrap();
        let client = clients(&sink).into_iter().nth(which).unwrap();
        found.push((sink, client));
    }
    found
}

fn exports(client: Client, batch: Option<BatchSettings>) -> Exports {
    let queue = QueueSettings { consumers: 1, batch, ..QueueSettings::default() };
    let exporter = OtlpExporter::new("otlp", client, batch);
    Builder::new().add("otlp", exporter, queue, eager()).start(Arc::new(SystemClock::new()))
}

/// A trace of spans of about a thousand bytes.
fn large(trace: u32, spans: u32) -> Kept {
    let name = "x".repeat(1_000);
    let fragment = fragment((0..spans).map(|n| span(trace, n, name.clone())).collect());
    Kept { spans, fragment, ..kept(trace, 0) }
}

async fn settled(exports: &Exports) {
    until("all settled", || exports.counts().in_flight == 0).await;
}

#[tokio::test]
async fn a_limit_is_learnt_and_nothing_is_lost_by_it() {
    for (sink, client) in sinks().await {
        sink.behave(Behaviour::Limit(30_000));
        let exports = exports(client, None);
        // A trace that is larger than the limit among many that are not.
        for trace in 0..100 {
            exports.offer(large(trace, if trace == 50 { 200 } else { 4 })).unwrap();
        }
        settled(&exports).await;
        let (refused, spans) = (sink.stats().refused, 99 * 4 + 200);
        assert!(refused > 0);
        for trace in 100..200 {
            exports.offer(large(trace, 4)).unwrap();
        }
        let counts = exports.drain(PATIENCE).await;
        assert_eq!((counts.exported, counts.lost.len()), (spans + 400, 0));
        assert_eq!(sink.stats().refused, refused, "it is known by now");
        assert_eq!(sink.received().len() as u64, counts.exported);
        assert!(sink.received().iter().all(|(_, times)| times == 1));
    }
}

#[tokio::test]
async fn a_span_that_is_too_large_is_lost_alone() {
    for (sink, client) in sinks().await {
        sink.behave(Behaviour::Limit(20_000));
        let exports = exports(client, None);
        let mut spans: Vec<_> = (0..9).map(|n| span(1, n, "small")).collect();
        spans[4].name = "x".repeat(50_000);
        let id = spans[4].span_id.clone();
        exports.offer(Kept { spans: 9, fragment: fragment(spans), ..kept(1, 0) }).unwrap();
        for trace in 2..10 {
            exports.offer(kept(trace, 3)).unwrap();
        }
        let counts = exports.drain(PATIENCE).await;
        assert_eq!((counts.exported, counts.lost), (8 + 24, [(Reason::TOO_LARGE, 1)].into()));
        assert_eq!(sink.received().len(), 32);
        assert!(sink.received().iter().all(|(key, n)| n == 1 && key.span[..] != id[..]));
    }
}

#[tokio::test]
async fn a_backend_that_finds_everything_too_large_gets_nothing_for_ever() {
    for (sink, client) in sinks().await {
        sink.behave(Behaviour::Limit(1));
        let exports = exports(client, None);
        for trace in 0..20 {
            exports.offer(kept(trace, 5)).unwrap();
        }
        let counts = exports.drain(PATIENCE).await;
        assert_eq!((counts.exported, counts.lost), (0, [(Reason::TOO_LARGE, 100)].into()));
    }
}

#[tokio::test]
async fn requests_have_the_configured_size() {
    for (sink, client) in sinks().await {
        // Enough is twelve spans, and nothing goes before that.
        let linger = Duration::from_secs(3600);
        let batch = BatchSettings { linger, sizer: Sizer::Items, min: 12, max: 20 };
        let exports = exports(client, Some(batch));
        for trace in 0..2 {
            exports.offer(kept(trace, 4)).unwrap();
        }
        assert_eq!(exports.counts().in_flight, 8);
        exports.offer(kept(2, 4)).unwrap();
        settled(&exports).await;
        assert_eq!((sink.stats().requests, sink.stats().spans), (1, 12));
        // A trace of more than the most goes in several requests.
        exports.offer(kept(3, 50)).unwrap();
        settled(&exports).await;
        assert_eq!((sink.stats().requests, sink.stats().spans), (1 + 4, 62));
        exports.offer(kept(4, 1)).unwrap();
        assert_eq!(exports.drain(PATIENCE).await.exported, 63, "and what is left at the end");
    }
    for (sink, client) in sinks().await {
        let linger = Duration::from_millis(1);
        let batch = BatchSettings { linger, sizer: Sizer::Bytes, min: 8_000, max: 10_000 };
        let exports = exports(client, Some(batch));
        for trace in 0..40 {
            exports.offer(large(trace, 3)).unwrap();
        }
        assert_eq!(exports.drain(PATIENCE).await.exported, 120);
        assert!(sink.requests().iter().all(|seen| seen.bytes <= 10_000));
    }
}

/// The time from the first request to the second, which came after the server's word.
async fn gap(sink: &Sink, client: Client, behaviour: Behaviour) -> Duration {
    sink.behave(behaviour);
    let exports = exports(client, None);
    exports.offer(kept(1, 3)).unwrap();
    until("refused once", || sink.stats().refused > 0).await;
    sink.behave(Behaviour::Accept);
    settled(&exports).await;
    assert_eq!(exports.counts().exported, 3);
    let seen = sink.requests();
    seen[1].at.duration_since(seen[0].at)
}

/// By itself the exporter would come back within 20 ms.
#[tokio::test]
async fn the_servers_word_on_when_to_come_back_is_kept() {
    let [(grpc, grpc_client), (http, http_client)]: [_; 2] = sinks().await.try_into().ok().unwrap();
    let [(dated, dated_client), _]: [_; 2] = {
        let mut more = sinks().await;
        more.reverse();
        more.try_into().ok().unwrap()
    };
    let wait = Duration::from_millis(900);
    let told = Behaviour::Refuse(Code::Unavailable, Some(wait));
    assert!(gap(&grpc, grpc_client, told).await >= wait);
    let seconds = Behaviour::Status(StatusCode::SERVICE_UNAVAILABLE, Some("1".to_owned()));
    assert!(gap(&http, http_client, seconds).await >= Duration::from_secs(1));
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(4));
    let told = Behaviour::Status(StatusCode::TOO_MANY_REQUESTS, Some(date.clone()));
    gap(&dated, dated_client, told).await;
    assert!(SystemTime::now() >= httpdate::parse_http_date(&date).unwrap());
}
