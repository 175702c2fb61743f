//! One sampler alone, as a gateway: each of its ways out.

use crate::fleet::{Node, Plan, keep_errors_and_slow};
use crate::receive::shape;
use serde_json::Value;
use tailgate_testkit::SpanKey;
use tailgate_testkit::checker::{Keep, check};
use tailgate_testkit::load::{self, Config, Report};
use tailgate_testkit::sink::{Received, Sink};
use tailgate_testkit::traffic::{SERVICES, Traffic};

/// Loads the node and waits until all of it is decided and out.
pub async fn load(node: &Node) -> Report {
    let traffic = Traffic::new(shape(1)).unwrap();
    let report = load::run(traffic, Config::new(node.grpc())).await.unwrap();
    assert_eq!((report.acked_spans, report.failed_attempts), (shape(1).spans(), 0));
    node.settled().await;
    report
}

fn bytes<const N: usize>(hex: &Value) -> [u8; N] {
    let hex = hex.as_str().unwrap();
    assert_eq!(hex.len(), 2 * N, "{hex}");
    let at = |n: usize| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).unwrap();
    std::array::from_fn(at)
}

fn list<'a>(of: &'a Value, key: &str) -> &'a [Value] {
    of[key].as_array().map_or(&[], Vec::as_slice)
}

/// The spans of one line of OTLP/JSON; each must be whole.
fn read_line(line: &str, received: &mut Received) {
    let request: Value = serde_json::from_str(line).unwrap();
    for resource in list(&request, "resourceSpans") {
        let attributes = list(&resource["resource"], "attributes");
        let service = attributes.iter().find(|pair| pair["key"] == "service.name").unwrap();
        let service = service["value"]["stringValue"].as_str().unwrap();
        assert!(SERVICES.contains(&service), "{service}");
        for span in list(resource, "scopeSpans").iter().flat_map(|scope| list(scope, "spans")) {
            assert_eq!(span["name"], "GET /api/item/{id}");
            assert_eq!(list(span, "attributes").len(), 12);
            let nanos = span["startTimeUnixNano"].as_str().unwrap();
            assert!(nanos.parse::<u64>().unwrap() > 0, "64-bit numbers are strings");
            let (trace, span) = (bytes(&span["traceId"]), bytes(&span["spanId"]));
            received.add(SpanKey { trace, span });
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_traces_are_lines_of_json_in_a_file() {
    let mut node = Plan::exporting("file", "{path: kept.json}").alone().await;
    let report = load(&node).await;
    let text = std::fs::read_to_string(node.process.dir().join("kept.json")).unwrap();
    assert!(text.ends_with('\n'));
    let mut received = Received::default();
    text.lines().for_each(|line| read_line(line, &mut received));
    let verdict = check(&report.ledger, &[received], keep_errors_and_slow).unwrap();
    verdict.clean().unwrap();
    let (code, ledger) = node.stop().await;
    assert_eq!((code, ledger.total("exported")), (Some(0), verdict.received));
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_traces_go_to_otlp_with_each_compression() {
    for compression in ["gzip", "none", "zstd"] {
        let sink = Sink::local().await.unwrap();
        let settings = format!(
            "{{endpoint: \"{}\", compression: {compression}, tls: {{insecure: true}}}}",
            sink.addr()
        );
        let mut node = Plan::exporting("otlp_grpc", settings).alone().await;
        let report = load(&node).await;
        let verdict = check(&report.ledger, &[sink.received()], keep_errors_and_slow).unwrap();
        verdict.clean().unwrap();
        assert!(verdict.received > 0 && sink.stats().malformed == 0, "{compression}: {verdict}");
        assert_eq!(sink.encodings(), [(compression.to_owned(), sink.stats().requests)].into());
        let (code, ledger) = node.stop().await;
        assert_eq!((code, ledger.total("exported")), (Some(0), verdict.received));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tail_sampling_everything_goes_through() {
    let sink = Sink::local().await.unwrap();
    let plan = Plan { tail_sampling: None, ..Plan::to_sink(&sink) };
    let mut node = plan.alone().await;
    let report = load(&node).await;
    check(&report.ledger, &[sink.received()], |_| Keep::Yes).unwrap().clean().unwrap();
    let (code, ledger) = node.stop().await;
    assert_eq!((code, ledger.total("exported")), (Some(0), shape(1).spans()));
}
