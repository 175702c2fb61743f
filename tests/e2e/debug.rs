//! The debug pages, the log, several readers of metrics, and health over TLS.

use crate::SOON;
use crate::fleet::{Node, Plan, Ports};
use crate::tls::{Authority, Tunnel};
use serde_json::Value;
use tailgate_testkit::load::{Config, Load};
use tailgate_testkit::ports::Port;
use tailgate_testkit::sink::{Behaviour, Sink};
use tailgate_testkit::traffic::{Shape, Traffic};
use tailgate_testkit::wait::eventually;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Holds everything for as long as the test takes.
const PATIENT: &str = "{decision_wait: 300s, policies: [{name: all, type: always_sample}]}";

/// The whole answer to a request.
async fn ask(node: &Node, method: &str, path: &str, host: &str) -> String {
    let mut stream = TcpStream::connect(node.ports.admin.addr()).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn json(node: &Node, path: &str) -> Value {
    let answer = ask(node, "GET", &format!("{path}?format=json"), "localhost").await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
    serde_json::from_str(body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_show_what_is_and_no_secret() {
    let sink = Sink::local().await.unwrap();
    let plan = Plan { tail_sampling: Some(PATIENT.to_owned()), ..Plan::to_sink(&sink) };
    let mut fleet = plan.fleet(2).await;
    let shape = Shape { traces: 50, ..Shape::default() };
    let config = Config::new(fleet.loadbalancer.grpc());
    let load = Load::start(Traffic::new(shape.clone()).unwrap(), config).unwrap();
    load.finish().await.unwrap();

    for node in [&fleet.loadbalancer, &fleet.samplers[0]] {
        for path in ["/", "/debug/config", "/debug/ownership", "/debug/traces", "/debug/errors"] {
            let answer = ask(node, "GET", path, "127.0.0.1").await;
            assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("<html>"), "{answer}");
            assert!(answer.contains("default-src 'none'") && !answer.contains("between-us"));
        }
        let config = json(node, "/debug/config").await;
        assert!(!config.to_string().contains("between-us"), "{config}");
        assert_eq!(config["written"]["tailgate"]["internal"]["secret"], "***");
        assert!(config["in_force"].as_str().unwrap().contains("eject_after: 30s"), "{config}");
        let members = json(node, "/debug/ownership").await["members"].clone();
        let slots = members.as_array().unwrap().iter().map(|m| m["owner_of_slots"].as_u64());
        assert_eq!(slots.flatten().sum::<u64>(), 65_536, "{members}");
        for (path, to) in [("/debug/tracez", "/debug/traces"), ("/debug/servicez", "/debug/config")]
        {
            let answer = ask(node, "GET", path, "localhost").await;
            assert!(answer.starts_with("HTTP/1.1 307"), "{answer}");
            assert!(answer.contains(&format!("location: {to}\r\n")), "{answer}");
        }
        assert!(ask(node, "GET", "/debug/none", "localhost").await.starts_with("HTTP/1.1 404"));
        assert!(ask(node, "POST", "/", "localhost").await.starts_with("HTTP/1.1 405"));
        assert!(ask(node, "GET", "/", "evil.example").await.starts_with("HTTP/1.1 421"));
        let long = format!("/{}", "a".repeat(64 << 10));
        let refused = ask(node, "GET", &long, "localhost").await;
        assert!(!refused.starts_with("HTTP/1.1 200"), "{refused}");
    }
    let (mut held, mut spans) = (0, 0);
    for node in &fleet.samplers {
        let traces = json(node, "/debug/traces").await;
        held += traces["held_traces"].as_u64().unwrap();
        assert_eq!(traces["held_traces"], traces["looked_at"]);
        let services = traces["services"].as_array().unwrap();
        assert!(services.iter().all(|service| !service["service"].as_str().unwrap().is_empty()));
        spans += services.iter().filter_map(|service| service["spans"].as_u64()).sum::<u64>();
    }
    assert_eq!((held, spans), (shape.traces, shape.spans()));
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_went_wrong_is_shown_and_logged_as_json() {
    let sink = Sink::local().await.unwrap();
    sink.behave(Behaviour::Stall);
    let plan = Plan {
        tail_sampling: None,
        shutdown_timeout: "1s",
        ..Plan::exporting(
            "otlp_grpc",
            format!("{{endpoint: \"{}\", timeout: 100ms, tls: {{insecure: true}}}}", sink.addr()),
        )
    };
    let ports = Ports::reserve();
    let logs = "telemetry:\n    logs: {encoding: json, output_paths: [stderr, own.log], \
                initial_fields: {site: here}}";
    let config = plan.sampler("alone", &ports, &[]).replace("telemetry:", logs);
    let mut node = plan.start("sampler", ports, config);
    node.ready().await;
    let shape = Shape { traces: 1, ..Shape::default() };
    let load = Load::start(Traffic::new(shape).unwrap(), Config::new(node.grpc())).unwrap();
    load.finish().await.unwrap();
    let seen = eventually("a warning", SOON, async || {
        let recent = json(&node, "/debug/errors").await["recent"].clone();
        recent.as_array().unwrap().iter().any(|event| {
            event["message"] == "cannot deliver, trying again"
                && event["fields"].as_str().unwrap().contains("exporter=otlp_grpc")
        })
    });
    seen.await.unwrap();
    let warnings = node.metrics().await.sum("tailgate_log_events", &[("level", "warn")]);
    assert!(warnings >= Some(1.0), "{warnings:?}");
    node.process.terminate(SOON).await.unwrap();
    let file = std::fs::read_to_string(node.process.dir().join("own.log")).unwrap();
    let warned = file.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let warned = warned.filter(|line| line["level"] == "warn" && line["site"] == "here").count();
    assert!(warned >= 1, "{file}");
    assert!(node.process.stderr().contains(file.lines().next().unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_reader_has_its_own_form() {
    let sink = Sink::local().await.unwrap();
    let (plan, ports) = (Plan::to_sink(&sink), Ports::reserve());
    let other = Port::reserve().unwrap();
    let reader = format!(
        "readers: [{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: {other}, \
         without_units: false, without_type_suffix: false, without_scope_info: false, \
         with_resource_constant_labels: {{included: [service.name]}}}}}}}}}}, "
    );
    let config = plan.sampler("alone", &ports, &[]).replace("readers: [", &reader);
    let mut node = plan.start("sampler", ports, config);
    node.ready().await;
    let plain = node.metrics().await;
    assert!(plain.sum("otelcol_process_uptime", &[("service_instance_id", "alone")]) > Some(0.0));
    let url = format!("http://{}/metrics", other.addr());
    let other = tailgate_testkit::prom::Metrics::scrape(&url).await.unwrap();
    let labels = [("service_name", "tailgate-sampler"), ("otel_scope_name", "tailgate")];
    assert!(other.sum("otelcol_process_uptime_seconds_total", &labels) > Some(0.0));
    assert_eq!(other.sum("otelcol_process_uptime", &[]), None);
    let uptime = other.matching("otelcol_process_uptime_seconds_total", &[]).next().unwrap();
    assert!(!uptime.labels.contains_key("service_instance_id"), "{uptime:?}");
    node.process.terminate(SOON).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_told_over_tls_and_to_nobody_else() {
    let sink = Sink::local().await.unwrap();
    let (authority, ports) = (Authority::new(), Ports::reserve());
    let (cert, key) = authority.identity();
    let plan = Plan { files: vec![("tls.crt", cert), ("tls.key", key)], ..Plan::to_sink(&sink) };
    let plain = format!("health_check: {{endpoint: \"{}\"", ports.health.addr());
    let tls = format!("{plain}, tls: {{cert_file: tls.crt, key_file: tls.key}}");
    let config = plan.sampler("alone", &ports, &[]).replace(&plain, &tls);
    let mut node = plan.start("sampler", ports, config);
    let tunnel = Tunnel::start(&authority, &[b"http/1.1"], node.ports.health.addr()).await;
    node.process.wait_http(&tunnel.url(), 200, SOON).await.unwrap();
    let plain = tailgate_testkit::http::get(&node.health()).await;
    assert!(plain.is_err(), "{plain:?}");
    node.process.terminate(SOON).await.unwrap();
}
