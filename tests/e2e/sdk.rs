//! A real SDK at one end, a real X-Ray endpoint and AWS SDK at the other.

use crate::fleet::{Node, Plan};
use crate::python::{Documents, Moto, run, xray_id};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tailgate_testkit::balance;

const DULL: usize = 12;
const SERVICES: [&str; 4] = ["cart", "frontend", "orders", "payments"];

/// What the application says that it sent.
struct Sent {
    /// The trace with the error.
    error: String,
    /// Spans and their services, by trace.
    traces: BTreeMap<String, BTreeMap<String, String>>,
}

/// Lets the application trace itself to this gateway.
async fn app(protocol: &str, compression: Option<&str>, gateway: &Node) -> Sent {
    let endpoint = if protocol == "grpc" { gateway.grpc() } else { gateway.http() };
    let mut env = vec![
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        // Each process sends at its end, the failed one first: its trace is not decided without it.
        ("OTEL_BSP_SCHEDULE_DELAY", "600000"),
    ];
    env.extend(compression.map(|name| ("OTEL_EXPORTER_OTLP_COMPRESSION", name)));
    let printed = run("app.py", &[&DULL.to_string()], &env).await;
    let mut traces: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    for span in printed["sent"].as_array().unwrap() {
        let service = traces.entry(text(&span[0])).or_default();
        assert_eq!(service.insert(text(&span[1]), text(&span[2])), None);
    }
    assert_eq!(traces.len(), DULL + 1);
    Sent { error: text(&printed["error"]), traces }
}

fn plan(moto: &Moto) -> Plan {
    let told = "decision_annotations: [policy, keep_reason, adjusted_count]";
    let endpoint = moto.url();
    let settings = format!("{{region: us-east-1, endpoint: \"{endpoint}\", {told}}}");
    Plan::exporting("awsxray", settings)
}

/// X-Ray has the error trace whole and nothing else.
fn check(sent: &Sent, documents: &Documents) {
    let id = xray_id(&sent.error);
    assert_eq!(documents.keys().collect::<Vec<_>>(), [&id]);
    let spans = &sent.traces[&sent.error];
    let text = |document: &Value, key: &str| document[key].as_str().unwrap_or("").to_owned();
    let mut found: Vec<String> = documents[&id].iter().map(|d| text(d, "id")).collect();
    found.sort();
    assert_eq!(found, spans.keys().cloned().collect::<Vec<_>>(), "each span, once");
    assert_eq!(spans.values().collect::<BTreeSet<_>>().len(), SERVICES.len());
    // A server's span is a segment with the name of its service; each has its parent in the trace.
    let segments: Vec<&Value> =
        documents[&id].iter().filter(|d| text(d, "type") != "subsegment").collect();
    for segment in &segments {
        let told = &segment["annotations"];
        let wanted = json!(["errors", "policy", 1]);
        let keys = ["tailgate.policy", "tailgate.keep_reason", "tailgate.adjusted_count"];
        assert_eq!(json!(keys.map(|key| &told[key])), wanted, "{segment}");
    }
    let names: BTreeSet<String> = segments.iter().map(|d| text(d, "name")).collect();
    assert_eq!(names.iter().map(String::as_str).collect::<Vec<_>>(), SERVICES);
    let mut roots = 0;
    for document in &documents[&id] {
        assert_eq!(text(document, "trace_id"), id);
        let parent = text(document, "parent_id");
        roots += usize::from(parent.is_empty());
        assert!(parent.is_empty() || spans.contains_key(&parent), "{document}");
        let failed = document["fault"] == true || document["error"] == true;
        let payments = spans[&text(document, "id")] == "payments";
        assert_eq!(failed, payments, "{document}");
    }
    assert_eq!(roots, 1);
}

async fn documents_of(moto: &Moto, sent: &Sent) -> Documents {
    let ids: Vec<String> = sent.traces.keys().cloned().collect();
    moto.documents(&ids).await
}

#[tokio::test(flavor = "multi_thread")]
async fn through_both_tiers_to_xray() {
    let moto = Moto::start().await;
    let mut fleet = plan(&moto).fleet(2).await;
    let front = &fleet.loadbalancer;
    let grpc = app("grpc", Some("gzip"), front).await;
    let http = app("http/protobuf", None, front).await;
    for sampler in &fleet.samplers {
        sampler.settled().await;
    }
    for sent in [&grpc, &http] {
        check(sent, &documents_of(&moto, sent).await);
    }
    let sum = balance::fleet(&fleet.stop().await).unwrap();
    let spans = |sent: &Sent| sent.traces.values().map(BTreeMap::len).sum::<usize>();
    let kept = grpc.traces[&grpc.error].len() + http.traces[&http.error].len();
    assert_eq!(sum.total("received"), (spans(&grpc) + spans(&http)) as u64);
    assert_eq!(sum.total("exported"), kept as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn through_one_sampler_to_xray() {
    let moto = Moto::start().await;
    let mut node = plan(&moto).alone().await;
    let grpc = app("grpc", None, &node).await;
    let http = app("http/protobuf", Some("gzip"), &node).await;
    node.settled().await;
    for sent in [&grpc, &http] {
        check(sent, &documents_of(&moto, sent).await);
    }
    let (code, ledger) = node.stop().await;
    assert_eq!((code, ledger.total("lost")), (Some(0), 0));
}
