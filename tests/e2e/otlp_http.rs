//! Kept traces out over OTLP/HTTP.

use crate::SOON;
use crate::fleet::{Node, Plan, Ports, keep_errors_and_slow, tailgate};
use crate::gateway::load;
use crate::raw;
use crate::spans::{failed, request};
use std::time::Duration;
use tailgate_testkit::checker::check;
use tailgate_testkit::sink::{Behaviour, Sink};
use tailgate_testkit::wait::eventually;
use tonic::Code;

/// An exporter to `url`, with these settings.
fn exporting(url: &str, more: &str) -> Plan {
    let retry = "{initial_interval: 100ms, max_interval: 500ms}";
    let settings = format!("{{endpoint: \"{url}\", retry_on_failure: {retry}, {more}}}");
    Plan::exporting("otlp_http", settings)
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_traces_arrive_in_protobuf_and_json_whole() {
    for (encoding, compression, level) in
        [("proto", "gzip", 9), ("json", "zstd", 3), ("json", "lz4", 0)]
    {
        let sink = Sink::local().await.unwrap();
        // Requests larger than this are refused: what is learnt must lose nothing.
        sink.behave(Behaviour::Limit(40_000));
        let more = format!(
            "encoding: {encoding}, compression: {compression}, compression_params: {{level: \
             {level}}}, sending_queue: {{sizer: items, queue_size: 5000, batch: {{min_size: 500, \
             max_size: 2000}}}}"
        );
        let mut node = exporting(&format!("http://{}", sink.addr()), &more).alone().await;
        let report = load(&node).await;
        let metrics = node.metrics().await;
        assert_eq!(metrics.sum("otelcol_exporter_queue_capacity", &[]), Some(5000.0));
        assert_eq!(metrics.sum("otelcol_exporter_queue_size", &[]), Some(0.0));
        let received = sink.received();
        let verdict = check(&report.ledger, &[received], keep_errors_and_slow).unwrap();
        verdict.clean().unwrap();
        assert!(verdict.received > 0 && sink.stats().refused > 0);
        assert_eq!(sink.encodings().keys().collect::<Vec<_>>(), [compression]);
        let (code, ledger) = node.stop().await;
        assert_eq!((code, ledger.total("exported")), (Some(0), verdict.received));
        assert_eq!(ledger.total("lost"), 0);
    }
}

/// Sends a failed span of its own trace and waits until the sink has it.
async fn one(node: &Node, sink: &Sink, trace: u8) {
    let wanted = sink.received().len() + 1;
    let (status, _) = raw::export(&node.grpc(), None, &request(vec![failed(trace, 1)])).await;
    assert_eq!(status.code(), Code::Ok, "{status}");
    let arrived = eventually("the span", SOON, async || sink.received().len() == wanted);
    arrived.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_rotated_is_sent_without_a_restart() {
    let sink = Sink::local().await.unwrap();
    let plan = exporting(
        &format!("http://{}/", sink.addr()),
        "auth: {authenticator: bearertokenauth}, headers: {x-team: shop}",
    );
    let ports = Ports::reserve();
    let config = plan.sampler("alone", &ports, &[]);
    let config = config
        .replace(
            "extensions:\n  health",
            "extensions:\n  bearertokenauth: {filename: token}\n  health",
        )
        .replace("[health_check]", "[health_check, bearertokenauth]");
    let plan = Plan { files: vec![("token", "first".to_owned())], ..plan };
    let mut node = plan.start("sampler", ports, config);
    node.ready().await;
    one(&node, &sink, 1).await;
    std::fs::write(node.process.dir().join("token"), "second").unwrap();
    // Files are looked at every ten seconds.
    let sent = |sink: &Sink| sink.requests().pop().unwrap().headers["authorization"].clone();
    assert_eq!(sent(&sink), "Bearer first");
    let mut trace = 1;
    let rotated = eventually("the new token", SOON, async || {
        trace += 1;
        one(&node, &sink, trace).await;
        sent(&sink) == "Bearer second"
    });
    rotated.await.unwrap();
    assert!(sink.requests().iter().all(|seen| seen.headers["x-team"] == "shop"));
    let (code, ledger) = node.stop().await;
    assert_eq!((code, ledger.total("exported")), (Some(0), u64::from(trace)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_of_the_environment_is_used() {
    // The sink takes absolute URLs, so it is its own proxy.
    let sink = Sink::local().await.unwrap();
    let plan = exporting("http://backend.test:4318", "timeout: 5s");
    let ports = Ports::reserve();
    let config = plan.sampler("alone", &ports, &[]);
    let spec = tailgate().env("HTTP_PROXY", format!("http://{}", sink.addr()));
    let process = spec.arg("sampler").config(config).start().unwrap();
    let mut node = Node { process, ports };
    node.ready().await;
    one(&node, &sink, 1).await;
    let uri = sink.requests()[0].uri.to_string();
    assert_eq!(uri, "http://backend.test:4318/v1/traces");
    assert_eq!(node.stop().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_says_when_is_waited_for() {
    let sink = Sink::local().await.unwrap();
    let code = http::StatusCode::TOO_MANY_REQUESTS;
    sink.behave(Behaviour::Status(code, Some("2".to_owned())));
    let mut node = exporting(&format!("http://{}", sink.addr()), "timeout: 5s").alone().await;
    let (status, _) = raw::export(&node.grpc(), None, &request(vec![failed(1, 1)])).await;
    assert_eq!(status.code(), Code::Ok, "{status}");
    let refused = eventually("a refusal", SOON, async || sink.stats().refused > 0);
    refused.await.unwrap();
    sink.behave(Behaviour::Accept);
    assert_eq!(node.settled().await.total("exported"), 1);
    let seen = sink.requests();
    assert!(seen[1].at.duration_since(seen[0].at) >= Duration::from_secs(2));
    assert_eq!(node.stop().await.0, Some(0));
}
