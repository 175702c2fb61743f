//! What is seen from outside: metrics, health, the ledger, and the door when it is full.

use crate::fleet::{Plan, Ports, keep_errors_and_slow};
use crate::raw::{self, Headers};
use crate::receive::{of_load, shape};
use crate::spans::{dull, failed, request};
use crate::{SOON, fleet::Node};
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;
use tailgate_testkit::balance::{ENDS, METRIC, NodeLedger, SOURCES};
use tailgate_testkit::checker::{Keep, check};
use tailgate_testkit::load::{self, Config, Load};
use tailgate_testkit::prom::Metrics;
use tailgate_testkit::sink::{Behaviour, Sink};
use tailgate_testkit::traffic::{Shape, Traffic};
use tailgate_testkit::wait::eventually;
use tonic::Code;

/// A series that must be there from the start; at 0 unless its name says that it can't be.
type Series = (&'static str, Headers<'static>);

const OF_BOTH: [Series; 13] = [
    ("otelcol_process_memory_rss", &[]),
    ("otelcol_process_runtime_total_sys_memory_bytes", &[]),
    ("otelcol_process_cpu_seconds", &[]),
    ("otelcol_receiver_accepted_spans", &[("receiver", "otlp"), ("transport", "grpc")]),
    ("otelcol_receiver_accepted_spans", &[("receiver", "otlp"), ("transport", "http")]),
    ("otelcol_receiver_refused_spans", &[("receiver", "otlp"), ("transport", "grpc")]),
    ("otelcol_receiver_refused_spans", &[("receiver", "otlp"), ("transport", "http")]),
    ("otelcol_exporter_sent_spans", &[]),
    ("otelcol_exporter_send_failed_spans", &[]),
    ("otelcol_exporter_enqueue_failed_spans", &[]),
    ("otelcol_exporter_enqueue_failed_metric_points", &[]),
    ("otelcol_exporter_queue_size", &[]),
    ("otelcol_exporter_queue_capacity", &[]),
];

const OF_SAMPLERS: [Series; 17] = [
    ("otelcol_exporter_sent_spans", &[("exporter", "awsxray")]),
    ("otelcol_exporter_enqueue_failed_spans", &[("exporter", "awsxray")]),
    ("otelcol_exporter_enqueue_failed_metric_points", &[("exporter", "awsxray")]),
    ("otelcol_exporter_queue_size", &[("exporter", "awsxray")]),
    ("otelcol_exporter_queue_capacity", &[("exporter", "awsxray")]),
    ("otelcol_processor_incoming_items", &[("processor", "tail_sampling")]),
    ("otelcol_processor_outgoing_items", &[("processor", "tail_sampling")]),
    (
        "otelcol_processor_tail_sampling_count_traces_sampled",
        &[("policy", "errors"), ("sampled", "true")],
    ),
    (
        "otelcol_processor_tail_sampling_count_traces_sampled",
        &[("policy", "slow"), ("sampled", "false")],
    ),
    (
        "otelcol_processor_tail_sampling_global_count_traces_sampled",
        &[("sampled", "true"), ("decision", "sampled")],
    ),
    (
        "otelcol_processor_tail_sampling_global_count_traces_sampled",
        &[("sampled", "false"), ("decision", "not_sampled")],
    ),
    ("otelcol_processor_tail_sampling_new_trace_id_received", &[]),
    ("otelcol_processor_tail_sampling_early_releases_from_cache_decision", &[("sampled", "true")]),
    ("otelcol_processor_tail_sampling_sampling_policy_evaluation_error", &[]),
    ("otelcol_processor_tail_sampling_sampling_trace_dropped_too_early", &[]),
    ("otelcol_processor_tail_sampling_sampling_traces_on_memory", &[]),
    ("otelcol_processor_tail_sampling_sampling_trace_removal_age_count", &[]),
];

const OF_LOAD_BALANCERS: [Series; 5] = [
    ("otelcol_exporter_enqueue_failed_spans", &[("exporter", "load_balancing")]),
    ("otelcol_loadbalancer_num_backends", &[("resolver", "static")]),
    ("otelcol_loadbalancer_num_resolutions", &[("resolver", "static"), ("success", "true")]),
    ("otelcol_loadbalancer_num_backend_updates", &[("resolver", "static")]),
    ("otelcol_loadbalancer_backend_outcome", &[("success", "false")]),
];

/// Series that count or measure something before the first span.
const NEVER_ZERO: [&str; 7] = [
    "otelcol_process_memory_rss",
    "otelcol_process_runtime_total_sys_memory_bytes",
    "otelcol_process_cpu_seconds",
    "otelcol_exporter_queue_capacity",
    "otelcol_loadbalancer_num_backends",
    "otelcol_loadbalancer_num_resolutions",
    "otelcol_loadbalancer_num_backend_updates",
];

/// The first scrape of a node.
async fn first_scrape(node: &Node, series: &[&[Series]], instance: &str, tier: &str) {
    let metrics = node.metrics().await;
    for (name, labels) in series.iter().copied().flatten() {
        let value = metrics.sum(name, labels);
        let good = value.is_some_and(|value| (value > 0.0) == NEVER_ZERO.contains(name));
        assert!(good, "{name} {labels:?}: {value:?}");
    }
    for outcome in SOURCES.iter().chain(&ENDS) {
        assert_eq!(metrics.sum(METRIC, &[("outcome", outcome)]), Some(0.0), "{outcome}");
    }
    let reasoned = |sample: &&tailgate_testkit::prom::Sample| sample.labels.contains_key("reason");
    assert_eq!(metrics.matching(METRIC, &[]).find(|sample| !reasoned(sample)), None);
    NodeLedger::from_metrics(&metrics).unwrap().balance().unwrap();
    for sample in metrics.samples() {
        let label = |name: &str| sample.labels.get(name).map_or("", String::as_str);
        assert_eq!(label("service_name"), tier, "{sample:?}");
        assert_eq!(label("service_instance_id"), instance, "{sample:?}");
        assert_eq!(label("service_version"), env!("CARGO_PKG_VERSION"), "{sample:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_series_is_there_from_the_start() {
    // Nobody listens there, and nothing is sent.
    let nowhere = "{region: us-east-1, endpoint: \"http://127.0.0.1:9\"}";
    let mut fleet = Plan::exporting("awsxray", nowhere).fleet(1).await;
    let front: [&[Series]; 2] = [&OF_BOTH[..11], &OF_LOAD_BALANCERS];
    first_scrape(&fleet.loadbalancer, &front, "front", "tailgate-loadbalancer").await;
    let sampler: [&[Series]; 2] = [&OF_BOTH, &OF_SAMPLERS];
    first_scrape(&fleet.samplers[0], &sampler, "sampler-0", "tailgate-sampler").await;
    fleet.stop().await;
}

/// Status code and body of the health check.
async fn health(node: &Node) -> (u16, Value) {
    let (code, body) = tailgate_testkit::http::get(&node.health()).await.unwrap();
    (code, serde_json::from_str(&body).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_about_the_life_cycle() {
    let (sink, dir) = (Sink::local().await.unwrap(), tempfile::tempdir().unwrap());
    // Start-up waits for the secret: a pipe, into which nobody writes yet.
    let secret = dir.path().join("secret");
    assert!(Command::new("mkfifo").arg(&secret).status().unwrap().success());
    let internal = format!("secret_file: {}", secret.display());
    let plan = Plan { internal, ..Plan::to_sink(&sink) };
    let ports = Ports::reserve();
    let config = plan.sampler("slow-starter", &ports, &[]);
    let mut node = plan.start("sampler", ports, config);
    let url = node.health();
    node.process.wait_http(&url, 503, SOON).await.unwrap();
    let (_, body) = health(&node).await;
    assert_eq!(
        (&body["status"], &body["reasons"]),
        (&json!("Server not available"), &json!(["starting"]))
    );

    // Opening it waits for the reader, so not on this thread; it is read more than once, and a reader that goes
    // away in between is an error of that one write.
    std::thread::spawn(move || {
        while secret.exists() {
            let _ = std::fs::write(&secret, "between-us");
        }
    });
    node.ready().await;
    let (_, body) = health(&node).await;
    assert_eq!((&body["status"], &body["reasons"]), (&json!("Server available"), &json!([])));

    sink.behave(Behaviour::Stall);
    let (status, _) = raw::export(&node.grpc(), None, &request(vec![failed(1, 1)])).await;
    assert_eq!(status.code(), Code::Ok);
    node.process.term().unwrap();
    node.process.wait_http(&url, 503, SOON).await.unwrap();
    let (_, body) = health(&node).await;
    assert_eq!(body["reasons"], json!(["stopping"]));
    sink.behave(Behaviour::Accept);
    let exit = node.process.wait_exit(SOON).await.unwrap();
    assert_eq!((exit.code(), sink.received().len()), (Some(0), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_sent_at_shutdown_is_told() {
    let sink = Sink::local().await.unwrap();
    sink.behave(Behaviour::Stall);
    let mut node = Plan { shutdown_timeout: "1s", ..Plan::to_sink(&sink) }.alone().await;
    let (status, _) =
        raw::export(&node.grpc(), None, &request(vec![failed(1, 1), dull(2, 1)])).await;
    assert_eq!(status.code(), Code::Ok);
    let (code, ledger) = node.stop().await;
    assert_eq!((code, ledger.of("lost", "shutdown")), (Some(75), 1));
    assert_eq!(ledger.total("sampled_out"), 1);
    assert!(node.process.stderr().contains("1 acknowledged spans were lost at shutdown"));
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_are_counted_and_go_no_further() {
    let sink = Sink::local().await.unwrap();
    let mut fleet = Plan::to_sink(&sink).fleet(2).await;
    let shape = Shape { duplicates_per_mille: 500, ..shape(7) };
    let traffic = Traffic::new(shape.clone()).unwrap();
    let report = load::run(traffic, Config::new(fleet.loadbalancer.grpc())).await.unwrap();
    let again = report.sent_spans - report.acked_spans;
    assert!(again > 0 && report.acked_spans == shape.spans());
    for sampler in &fleet.samplers {
        sampler.settled().await;
    }
    let ledgers = fleet.stop().await;
    let total = |outcome| ledgers.iter().map(|ledger| ledger.total(outcome)).sum::<u64>();
    assert_eq!(total("deduplicated"), again);
    assert_eq!(total("exported") + total("sampled_out"), shape.spans());
    let verdict = check(&report.ledger, &[sink.received()], keep_errors_and_slow).unwrap();
    verdict.clean().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn late_spans_follow_the_decision() {
    const DECIDED: &str = "otelcol_processor_tail_sampling_global_count_traces_sampled";
    const LATE: &str = "otelcol_processor_tail_sampling_early_releases_from_cache_decision";
    let sink = Sink::local().await.unwrap();
    let mut node = Plan::to_sink(&sink).alone().await;
    let export = async |spans| {
        let (status, _) = raw::export(&node.grpc(), None, &request(spans)).await;
        assert_eq!(status.code(), Code::Ok);
    };
    let both = |metrics: &Metrics, name: &str| {
        ["true", "false"].map(|sampled| metrics.sum(name, &[("sampled", sampled)]))
    };
    export(vec![failed(1, 1), dull(2, 1)]).await;
    let decided = eventually("two decisions", SOON, async || {
        both(&node.metrics().await, DECIDED) == [Some(1.0); 2]
    });
    decided.await.unwrap();
    // An error that comes late changes nothing; a copy is a copy, late or not.
    export(vec![dull(1, 2), failed(2, 2), failed(1, 1)]).await;
    let late = node.until("all late", |l| l.total("exported") + l.total("sampled_out") == 4).await;
    assert_eq!((late.total("exported"), late.total("sampled_out")), (2, 2));
    assert_eq!(late.total("deduplicated"), 1);
    let received = sink.received();
    assert!(received.len() == 2 && received.iter().all(|(key, n)| key.trace == [1; 16] && n == 1));
    let metrics = node.metrics().await;
    assert_eq!(both(&metrics, LATE), [Some(1.0); 2]);
    assert_eq!(both(&metrics, DECIDED), [Some(1.0); 2], "one decision a trace");
    assert_eq!(node.stop().await.0, Some(0));
}

const EVERYTHING: &str =
    "{decision_wait: 300ms, policies: [{name: everything, type: always_sample}]}";

/// Whether a request for a new trace is turned away, at both ports, and told when to come back.
async fn is_refused(node: &Node, trace: u128) -> bool {
    let trace_id = trace.to_be_bytes().to_vec();
    let body = request(vec![Span { trace_id, ..dull(1, 1) }]);
    let (status, _) = raw::export(&node.grpc(), None, &body).await;
    let answer = raw::post(&node.http(), &[], body).await;
    if status.code() == Code::Ok || answer.code == 200 {
        return false;
    }
    assert_eq!((status.code(), answer.code), (Code::Unavailable, 503), "{status}");
    let details = String::from_utf8_lossy(status.details()).into_owned();
    assert!(details.contains("google.rpc.RetryInfo"), "{details:?}");
    assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_backend_stalls_the_door_closes_and_nothing_acked_is_lost() {
    let sink = Sink::local().await.unwrap();
    // Everything is kept: a decision may come before a request that was refused comes again, and
    // with it the error.
    let plan = Plan {
        limit_mib: 32,
        tail_sampling: Some(EVERYTHING.to_owned()),
        ..Plan::exporting("otlp_grpc", patient(&sink))
    };
    let mut fleet = plan.fleet(1).await;
    sink.behave(Behaviour::Stall);
    // More than the sampler has memory for.
    let shape = Shape { traces: 9_000, ..Shape::default() };
    let config = Config {
        workers: 8,
        retry_for: Duration::from_secs(100),
        ..Config::new(fleet.loadbalancer.grpc())
    };
    let load = Load::start(Traffic::new(shape.clone()).unwrap(), config).unwrap();
    for node in [&fleet.samplers[0], &fleet.loadbalancer] {
        let mut trace = 0;
        let refused = eventually("a closed door", SOON, async || {
            trace += 1;
            is_refused(node, trace).await
        });
        refused.await.unwrap();
        assert_eq!(health(node).await.0, 200, "load is no reason to be restarted");
    }
    let full = fleet.samplers[0].ledger().await;
    assert!(full.total("rejected") > 0 && full.total("in_flight") > 0, "{full}");
    assert_eq!((full.total("lost"), full.total("exported")), (0, 0), "{full}");

    sink.behave(Behaviour::Accept);
    let report = load.finish().await.unwrap();
    assert!(report.failed_attempts > 0);
    assert_eq!(report.acked_spans, shape.spans(), "all of it in the end");
    let ledger = fleet.samplers[0].settled().await;
    assert_eq!(ledger.total("lost"), 0);
    let received = of_load(&shape, &sink.received());
    let verdict = check(&report.ledger, &[received], |_| Keep::Yes).unwrap();
    // While memory is short, what only serves to recognise copies is forgotten first.
    verdict.except(&["D"]).unwrap();
    fleet.stop().await;
}

/// The settings of an exporter that waits for its backend longer than the test takes, and gives up nothing meanwhile.
fn patient(sink: &Sink) -> String {
    format!(
        "{{endpoint: \"{}\", timeout: 120s, tls: {{insecure: true}}, \
         sending_queue: {{block_on_overflow: true}}}}",
        sink.addr()
    )
}
