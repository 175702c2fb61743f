//! A server that takes what botocore would sign: X-Ray's OTLP endpoint, by `otlp_http` and
//! `sigv4auth`, with its limits; and X-Ray's API, by `awsxray`.

use super::credentials::{FILES, NO_KEYS, ROLE, profile};
use super::proxy::XrayProxy;
use crate::SOON;
use crate::fleet::{Node, Plan, Ports};
use crate::python::{Moto, installed};
use crate::raw;
use crate::spans::{dull, request};
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tailgate_testkit::load::{self, Config};
use tailgate_testkit::ports::Port;
use tailgate_testkit::process::{Process, Spec};
use tailgate_testkit::sink::Sink;
use tailgate_testkit::traffic::{Shape, Traffic};
use tailgate_testkit::wait::eventually;
use tonic::Code;

/// `py/signed.py`, in front of a sink.
struct Endpoint {
    port: Port,
    sink: Sink,
    process: Process,
}

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// What the signer must have signed.
const SIGNED: [&str; 4] = ["content-encoding", "content-type", "host", "x-amz-date"];

fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64
}

fn shape(traces: u64) -> Shape {
    let minute = Duration::from_secs(60).as_nanos() as u64;
    Shape { base_unix_ns: now_ns() - minute, ..super::shape(traces) }
}

async fn send(node: &Node, shape: &Shape) {
    let traffic = Traffic::new(shape.clone()).unwrap();
    let report = load::run(traffic, Config::new(node.grpc())).await.unwrap();
    assert_eq!(report.acked_spans, shape.spans());
}

// === impl Endpoint ===

impl Endpoint {
    async fn start(keys: Value, fates: Value) -> Endpoint {
        let sink = Sink::local().await.unwrap();
        Endpoint::before(sink.addr(), sink, keys, fates).await
    }

    /// Passes on to `target`, whether that is the sink or not.
    async fn before(target: SocketAddr, sink: Sink, keys: Value, fates: Value) -> Endpoint {
        let port = Port::reserve().unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/py/signed.py");
        let spec = Spec::new(installed("python")).arg(script).arg(port.to_string());
        let spec = spec.arg(target.to_string()).arg(keys.to_string());
        let mut process = spec.arg(fates.to_string()).start().unwrap();
        process.wait_port(port.addr(), SOON).await.unwrap();
        Endpoint { port, sink, process }
    }

    /// A sampler that keeps everything and sends it here, with these credentials.
    async fn node(&self, extension: &str, env: &[(&'static str, String)], file: &str) -> Node {
        let url = format!("http://{}", self.port.addr());
        let batch = "{batch: {min_size: 200, max_size: 200, flush_timeout: 200ms}}";
        let retry = "{initial_interval: 100ms, max_interval: 500ms}";
        let settings = format!(
            "{{endpoint: \"{url}\", auth: {{authenticator: sigv4auth}}, headers: {{x-team: a  b}}, \
             retry_on_failure: {retry}, sending_queue: {batch}}}"
        );
        let keep_all = "{decision_wait: 500ms, policies: [{name: all, type: always_sample}]}";
        let plan = Plan {
            tail_sampling: Some(keep_all.into()),
            env: env.to_vec(),
            files: vec![("credentials", file.to_owned())],
            shutdown_timeout: "3s",
            ..Plan::exporting("otlp_http", settings)
        };
        let ports = Ports::reserve();
        let extension = format!("extensions:\n  sigv4auth: {extension}\n  health");
        let config =
            plan.sampler("alone", &ports, &[]).replace("extensions:\n  health", &extension);
        let config = config.replace("[health_check]", "[health_check, sigv4auth]");
        let mut node = plan.start("sampler", ports, config);
        node.ready().await;
        node
    }

    /// What it says of each request.
    fn seen(&self) -> Vec<Value> {
        let text = self.process.stdout();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    async fn refused(&self, times: usize) {
        let refused = async || self.seen().iter().filter(|s| s["status"] == 403).count() >= times;
        eventually("refusals", SOON, refused).await.unwrap();
    }
}

const XRAY: &str = "{region: eu-west-1, service: xray}";

fn keys(key: &str, secret: &str, token: &str) -> Vec<(&'static str, String)> {
    let pairs = [
        ("AWS_ACCESS_KEY_ID", key),
        ("AWS_SECRET_ACCESS_KEY", secret),
        ("AWS_SESSION_TOKEN", token),
    ];
    pairs.map(|(name, value)| (name, value.to_owned())).to_vec()
}

fn files() -> Vec<(&'static str, String)> {
    NO_KEYS.iter().chain(&FILES).map(|(name, value)| (*name, (*value).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_signature_is_botocores_and_a_refusal_loses_nothing() {
    let known = json!({"KEY": ["se/cr+et", "to/ken=="]});
    let fates = json!(["pass", "expired", "slow", "expired"]);
    let endpoint = Endpoint::start(known, fates).await;
    let mut node = endpoint.node(XRAY, &keys("KEY", "se/cr+et", "to/ken=="), "").await;
    let shape = shape(300);
    send(&node, &shape).await;
    node.settled().await;
    let (code, ledger) = node.stop().await;
    assert_eq!((code, ledger.total("exported"), ledger.total("lost")), (Some(0), 3_000, 0));
    let received = endpoint.sink.received();
    assert_eq!(received.len(), 3_000);
    assert!(received.iter().all(|(_, times)| times == 1));
    let seen = endpoint.seen();
    assert!(seen.len() >= 3_000 / 200 + 2, "{}", seen.len());
    for one in &seen {
        assert_eq!(one["equal"], true, "{one}");
        assert_eq!((&one["encoding"], &one["version"]), (&json!("gzip"), &json!("HTTP/1.1")));
        assert_eq!(one["scope"], json!(["eu-west-1", "xray", "aws4_request"]));
        let names = one["names"].as_array().unwrap();
        let all = SIGNED.iter().chain(&["x-amz-security-token", "x-team"]);
        assert!(all.clone().all(|name| names.contains(&json!(name))), "{one}");
    }
    assert_eq!(seen.iter().filter(|one| one["status"] == 403).count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_wrong_secret_spans_are_held_until_the_end_counts_them() {
    let endpoint = Endpoint::start(json!({"KEY": ["right", null]}), json!([])).await;
    let mut node = endpoint.node(XRAY, &keys("KEY", "wrong", ""), "").await;
    send(&node, &shape(20)).await;
    endpoint.refused(3).await;
    let ledger = node.ledger().await;
    assert_eq!((ledger.total("lost"), ledger.total("in_flight")), (0, 200));
    let (_, ledger) = node.stop().await;
    assert_eq!(ledger.reasons("lost"), [("shutdown", 200)].into());
    assert!(endpoint.seen().iter().all(|one| one["equal"] == false));
    assert!(endpoint.sink.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_credentials_are_looked_for_anew() {
    let endpoint = Endpoint::start(json!({"NEW": ["secret", null]}), json!([])).await;
    let mut node = endpoint.node(XRAY, &files(), &profile("OLD")).await;
    send(&node, &shape(50)).await;
    endpoint.refused(2).await;
    assert_eq!(node.ledger().await.total("in_flight"), 500);
    std::fs::write(node.process.dir().join("credentials"), profile("NEW")).unwrap();
    node.settled().await;
    let (code, ledger) = node.stop().await;
    assert_eq!((code, ledger.total("exported"), ledger.total("lost")), (Some(0), 500, 0));
    assert_eq!(endpoint.sink.received().len(), 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_credentials_spans_wait_for_them() {
    let endpoint = Endpoint::start(json!({"NEW": ["secret", null]}), json!([])).await;
    let mut node = endpoint.node(XRAY, &files(), "").await;
    send(&node, &shape(5)).await;
    let said = async || node.process.stderr().contains("no AWS credentials");
    eventually("a line that says so", SOON, said).await.unwrap();
    assert!(endpoint.seen().is_empty());
    std::fs::write(node.process.dir().join("credentials"), profile("NEW")).unwrap();
    node.settled().await;
    let (code, ledger) = node.stop().await;
    assert_eq!((code, ledger.total("exported"), ledger.total("lost")), (Some(0), 50, 0));
}

/// By STS's answer, which is moto's; it gives keys of its own, which the endpoint does not know.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_assumed_to_sign() {
    let moto = Moto::start().await;
    let endpoint = Endpoint::start(json!({}), json!([])).await;
    let mut env = files();
    env.push(("AWS_ENDPOINT_URL_STS", moto.url()));
    let role = format!(
        "{{region: eu-west-1, service: xray, assume_role: {{arn: \"{ROLE}\", session_name: me, \
         sts_region: us-east-1, external_id: between-us}}}}"
    );
    let mut node = endpoint.node(&role, &env, &profile("FILE")).await;
    send(&node, &shape(1)).await;
    endpoint.refused(1).await;
    let seen = endpoint.seen();
    assert!(seen[0]["key"].as_str().unwrap().starts_with("ASIA"), "{}", seen[0]);
    assert!(seen[0]["names"].as_array().unwrap().contains(&json!("x-amz-security-token")));
    node.stop().await;
}

fn began(ago: Duration, span: u8) -> Span {
    let start = now_ns() - ago.as_nanos() as u64;
    let end = start + 1_000_000;
    Span { start_time_unix_nano: start, end_time_unix_nano: end, ..dull(1, span) }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_endpoint_never_takes_is_counted_and_the_rest_goes_out() {
    let endpoint = Endpoint::start(json!({"KEY": ["secret", null]}), json!([])).await;
    let mut node = endpoint.node(XRAY, &keys("KEY", "secret", ""), "").await;
    let huge = Span { name: "x".repeat(210_000), ..began(DAY, 4) };
    // Two periods of a day.
    let good = [began(Duration::ZERO, 1), began(2 * DAY, 2), began(Duration::ZERO, 3)];
    let bad = [huge, began(15 * DAY, 5)];
    let body = request(good.into_iter().chain(bad).collect());
    let (status, _) = raw::export(&node.grpc(), None, &body).await;
    assert_eq!(status.code(), Code::Ok, "{status}");
    node.settled().await;
    let (code, ledger) = node.stop().await;
    assert_eq!(ledger.reasons("lost"), [("timestamp", 1), ("too_large", 1)].into());
    assert_eq!((code.is_some(), ledger.total("exported")), (true, 3));
    assert_eq!((endpoint.sink.received().len(), endpoint.seen().len()), (3, 2));
}

/// Documents, and a minute later the first telemetry record.
#[tokio::test(flavor = "multi_thread")]
async fn calls_of_the_api_are_signed_too() {
    let moto = Moto::start().await;
    let proxy = XrayProxy::start(moto.url()).await;
    let known = json!({"KEY": ["se/cr+et", "to/ken=="]});
    let fates = json!(["pass", "expired"]);
    let sink = Sink::local().await.unwrap();
    let endpoint = Endpoint::before(proxy.addr(), sink, known, fates).await;
    let settings = format!(
        "{{region: us-east-1, endpoint: \"http://{}\", telemetry: {{enabled: true}}}}",
        endpoint.port.addr()
    );
    let plan = super::plan(&proxy, "");
    let env = keys("KEY", "se/cr+et", "to/ken==");
    let began = Instant::now();
    let mut node = Plan { exporter: ("awsxray", settings), env, ..plan }.alone().await;
    let shape = super::shape(30);
    send(&node, &shape).await;
    node.settled().await;
    let record = async || endpoint.seen().iter().any(|seen| seen["path"] == "/TelemetryRecords");
    eventually("a telemetry record", SOON + MINUTE, record).await.unwrap();
    assert!(began.elapsed() > MINUTE, "{:?}", began.elapsed());
    let (code, ledger) = node.stop().await;
    assert_eq!((code, ledger.total("exported"), ledger.total("lost")), (Some(0), 300, 0));
    assert_eq!(proxy.stored(&shape).await.len(), 300);
    let seen = endpoint.seen();
    let names = json!(["content-type", "host", "x-amz-date", "x-amz-security-token"]);
    for seen in &seen {
        assert_eq!((&seen["equal"], &seen["names"]), (&json!(true), &names), "{seen}");
        assert_eq!(seen["scope"], json!(["us-east-1", "xray", "aws4_request"]));
    }
    let refused: Vec<_> = seen.iter().filter(|seen| seen["status"] != 200).collect();
    assert!(refused.len() == 1 && refused[0]["status"] == 403, "{seen:?}");
}
