#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::*;

fn metrics() -> Metrics {
    let resource = [("service.name", "tailgate"), ("host.name", "h"), ("host_name", "again")];
    let resource = resource.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Metrics::new(&resource, Level::Detailed)
}

/// As dashboards of today and of years ago want it.
fn form() -> Form {
    let constants = vec![("service_instance_id".to_owned(), "a \"b\"".to_owned())];
    Form { naming: Naming::Both, constants, scope: false }
}

/// Status and body.
async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// A strict reader of the text format: series with their labels, and the type of each metric.
fn parse(text: &str) -> (BTreeMap<String, f64>, BTreeMap<String, String>) {
    let (mut series, mut types) = (BTreeMap::new(), BTreeMap::new());
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(types.insert(name.to_owned(), kind.to_owned()), None, "{name} twice");
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert_eq!(
                series.insert(name.to_owned(), value.parse().unwrap()),
                None,
                "{name} twice"
            );
        }
    }
    (series, types)
}

fn everything(metrics: &Metrics) -> LedgerSeries {
    watch_process(metrics, Allocator::Other, Instant::now());
    for transport in ["grpc", "http"] {
        ReceiverSeries::new(metrics, "otlp", transport);
        ServerSeries::new(metrics, transport, 0);
    }
    for signal in ["metrics", "logs", "profiles"] {
        metrics.counter(&defs::OTHER_SIGNAL_REQUESTS, &[signal]);
    }
    watch_logs(metrics, Logged::default());
    ProcessorSeries::new(metrics, "tail_sampling");
    MemoryLimiterSeries::new(metrics, "memory_limiter");
    ExporterSeries::new(metrics, "awsxray");
    XraySeries::new(metrics, "awsxray", vec!["InvalidId"], &["shortened"]);
    ClientSeries::new(metrics, Protocol::Grpc);
    ClientSeries::new(metrics, Protocol::Http);
    BatchSeries::new(metrics, "batch");
    BufferSeries::new(metrics);
    MemberSeries::new(metrics, &["up"]);
    TailSamplingSeries::new(metrics, ["errors", "slow"]);
    LoadBalancerSeries::new(metrics, "static");
    BackendSeries::new(metrics, "127.0.0.1:4317");
    watch_refused(metrics, Arc::default());
    metrics.counter(&defs::RELOAD_FAILURES, &["tls.crt"]).absolute(0);
    metrics.gauge(&defs::TLS_CERTIFICATE_EXPIRY, &["tls.crt"]).set(0.0);
    LedgerSeries::new(metrics, [("exported", ""), ("lost", "shutdown"), ("in_flight", "")])
}

#[tokio::test]
async fn every_series_is_there_from_the_start() {
    let (metrics, stop) = (metrics(), CancellationToken::new());
    let server = serve_metrics(metrics.clone(), form(), "127.0.0.1:0", stop.clone()).await.unwrap();
    everything(&metrics);
    let early = get(server.local_addr(), "/metrics").await;
    assert!(early.0 == 503 && early.1.starts_with("starting"), "{early:?}");
    metrics.complete();
    let (status, body) = get(server.local_addr(), "/metrics").await;
    assert_eq!(status, 200);
    let (series, types) = parse(&body);
    for def in all() {
        let kind = match def.kind {
            Kind::Counter | Kind::FloatCounter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        for name in Naming::Both.names(def) {
            assert_eq!(types.get(&name).map(String::as_str), Some(kind), "{name}");
        }
    }
    for (name, value) in &series {
        assert!(name.contains("service_instance_id=\"a \\\"b\\\"\""), "{name}");
        let live = name.starts_with("otelcol_process_") || name.starts_with("target_info");
        assert!(live || *value == 0.0 || name.contains("metadata_cardinality"), "{name} {value}");
    }
    let info = series.keys().find(|name| name.starts_with("target_info")).unwrap();
    assert!(info.contains("service_name=\"tailgate\",host_name=\"h\"}"), "{info}");
    let has = |name: &str, labels: &[&str]| {
        let matches = |s: &&String| {
            s.split('{').next() == Some(name) && labels.iter().all(|label| s.contains(label))
        };
        assert_eq!(series.keys().filter(matches).count(), 1, "{name} {labels:?}");
    };
    has("otelcol_exporter_enqueue_failed_spans", &["exporter=\"awsxray\""]);
    has("otelcol_exporter_enqueue_failed_metric_points", &["exporter=\"awsxray\""]);
    has("otelcol_exporter_queue_size", &["exporter=\"awsxray\"", "data_type=\"traces\""]);
    has("otelcol_receiver_accepted_spans", &["receiver=\"otlp\"", "transport=\"http\""]);
    has("tailgate_ledger_spans", &["outcome=\"lost\"", "reason=\"shutdown\""]);
    has("otelcol_loadbalancer_backend_latency_bucket", &["endpoint=", "le=\"+Inf\""]);
    let rss = series.iter().find(|(name, _)| name.starts_with("otelcol_process_memory_rss"));
    assert!(*rss.unwrap().1 > 1e6);
    assert_eq!(get(server.local_addr(), "/").await.0, 404);
    stop.cancel();
    server.stopped().await;
}

#[test]
fn each_level_shows_what_it_should() {
    let shown = |level| {
        let metrics = Metrics::new(&[], level);
        everything(&metrics);
        let (_, types) = parse(&metrics.render(&Form::default()));
        types
    };
    let (basic, normal, detailed) =
        (shown(Level::Basic), shown(Level::Normal), shown(Level::Detailed));
    assert!(basic.contains_key("otelcol_receiver_accepted_spans"));
    assert!(!basic.contains_key("otelcol_processor_batch_batch_send_size"));
    assert!(normal.contains_key("otelcol_processor_batch_batch_send_size"));
    assert!(!normal.contains_key("rpc_server_duration"));
    assert!(detailed.contains_key("rpc_server_duration"));
    assert_eq!(detailed.len(), all().count());
}

/// The row of a metric in docs/METRICS.md.
fn row(def: &Def) -> String {
    let kind = match def.kind {
        Kind::Counter | Kind::FloatCounter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram(_) => "histogram",
    };
    let unit = match def.unit {
        Unit::Count => "",
        Unit::Bytes => ", bytes",
        Unit::Seconds => ", s",
        Unit::Milliseconds => ", ms",
        Unit::Microseconds => ", us",
    };
    let other = PROMETHEUS.names(def).remove(0);
    let ending = other.strip_prefix(def.name).unwrap_or(&other);
    let ending = if ending.is_empty() { String::new() } else { format!("`{ending}`") };
    let level = format!("{:?}", def.level).to_lowercase();
    let labels = def.labels.join(", ");
    format!("| `{}` | {ending} | {kind}{unit} | {labels} | {level} | {} |", def.name, def.help)
}

#[test]
fn the_documentation_lists_every_series() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/METRICS.md");
    let text = std::fs::read_to_string(path).unwrap();
    let written: Vec<&str> = text.lines().filter(|line| line.starts_with("| `")).collect();
    let wanted: Vec<String> = all().map(row).collect();
    let missing: Vec<_> = wanted.iter().filter(|row| !written.contains(&row.as_str())).collect();
    assert!(missing.is_empty(), "rows to write into docs/METRICS.md: {missing:#?}");
    let wrong: Vec<_> =
        written.iter().filter(|row| !wanted.iter().any(|wanted| wanted == *row)).collect();
    assert!(wrong.is_empty(), "rows of no metric in docs/METRICS.md: {wrong:#?}");
}

#[test]
fn series_of_backends_that_are_gone_are_gone() {
    let metrics = Metrics::new(&[], Level::Basic);
    BackendSeries::new(&metrics, "a:1");
    BackendSeries::new(&metrics, "b:1");
    BackendSeries::retain(&metrics, |endpoint| endpoint == "b:1");
    let text = metrics.render(&Form::default());
    assert!(text.contains("b:1") && !text.contains("a:1"), "{text}");
}

#[test]
fn hooks_copy_counters_at_each_scrape() {
    let metrics = metrics();
    let (held, series) =
        (Arc::new(AtomicU64::new(3)), ReceiverSeries::new(&metrics, "otlp", "grpc"));
    let (ledger, counted) = (everything(&metrics), held.clone());
    metrics.on_scrape(move || {
        series.accepted.absolute(counted.load(Ordering::Relaxed));
        assert!(ledger.set("in_flight", "", counted.load(Ordering::Relaxed)));
        assert!(!ledger.set("in_flight", "unheard of", 1));
    });
    let find = |name: &str| {
        let (series, _) = parse(&metrics.render(&Form::default()));
        let grpc = |s: &str| !s.contains("transport") || s.contains("grpc");
        series.iter().filter(|(s, _)| s.starts_with(name) && grpc(s)).map(|(_, v)| v).sum::<f64>()
    };
    assert_eq!((find("otelcol_receiver_accepted"), find("tailgate_ledger")), (3.0, 3.0));
    held.store(1 << 40, Ordering::Relaxed);
    let much = (1u64 << 40) as f64;
    assert_eq!((find("otelcol_receiver_accepted"), find("tailgate_ledger")), (much, much));
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let stop = CancellationToken::new();
    let first = serve_metrics(metrics(), form(), "127.0.0.1:0", stop.clone()).await.unwrap();
    let address = first.local_addr().to_string();
    let error =
        serve_metrics(metrics(), form(), &address, stop.clone()).await.unwrap_err().to_string();
    for part in ["metrics", &address, "an address of its own", "in use"] {
        assert!(error.contains(part), "{error}");
    }
    stop.cancel();
}

#[tokio::test]
async fn ready_from_the_last_latch_until_stopping() {
    let (health, latch) = Health::new();
    let stop = CancellationToken::new();
    let server =
        serve_health(health.clone(), "127.0.0.1:0", "/", None, stop.clone()).await.unwrap();
    let ask = async || {
        let (status, body) = get(server.local_addr(), "/").await;
        (status, serde_json::from_str::<Value>(&body).unwrap())
    };
    let other = latch.clone();
    drop(latch);
    let (status, body) = ask().await;
    assert_eq!((status, &body["status"]), (503, &Value::from("Server not available")));
    assert_eq!(body["reasons"], serde_json::json!(["starting"]));
    assert_eq!(body["upSince"], "0001-01-01T00:00:00Z");
    drop(other);
    let failure = Arc::new(parking_lot::Mutex::new(Some("throttled".to_owned())));
    let probed = failure.clone();
    health.probe("exporter awsxray", move || probed.lock().clone());
    health.probe("members", || None);
    let (status, body) = ask().await;
    assert_eq!((status, &body["status"]), (200, &Value::from("Server available")));
    assert!(body["uptime"].as_str().unwrap().ends_with('s'));
    let throttled = serde_json::json!([{"component": "exporter awsxray", "reason": "throttled"}]);
    assert_eq!(body["degraded"], throttled);
    // As it is when health is asked, whoever else looks or does not.
    *failure.lock() = None;
    assert_eq!(ask().await.1["degraded"], serde_json::json!([]));
    health.stopping();
    let (status, body) = ask().await;
    assert_eq!((status, &body["reasons"]), (503, &serde_json::json!(["stopping"])));
    stop.cancel();
    let address = server.local_addr();
    server.stopped().await;
    assert!(TcpStream::connect(address).await.is_err(), "still listening");
}

#[tokio::test]
async fn a_path_of_its_own() {
    let (health, latch) = Health::new();
    drop(latch);
    let stop = CancellationToken::new();
    let server = serve_health(health, "127.0.0.1:0", "/health", None, stop.clone()).await.unwrap();
    assert_eq!(get(server.local_addr(), "/health").await.0, 200);
    assert_eq!(get(server.local_addr(), "/").await.0, 404);
    stop.cancel();
}

#[tokio::test]
async fn stopping_ends_idle_connections() {
    let stop = CancellationToken::new();
    let server = serve_metrics(metrics(), form(), "127.0.0.1:0", stop.clone()).await.unwrap();
    let mut idle = TcpStream::connect(server.local_addr()).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut buffer = [0; 12];
    idle.read_exact(&mut buffer).await.unwrap();
    stop.cancel();
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
}
