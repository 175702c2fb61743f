//! OTLP in, in all its forms, through both tiers: every acked span of a kept trace comes out once.

use crate::fleet::{Fleet, Plan, keep_errors_and_slow};
use crate::raw;
use crate::spans::{failed, request};
use crate::tls::{Authority, Tunnel};
use std::collections::HashSet;
use std::time::Duration;
use tailgate_testkit::balance;
use tailgate_testkit::checker::check;
use tailgate_testkit::load::{self, Compression, Config, Report, Transport};
use tailgate_testkit::sink::{Received, Sink};
use tailgate_testkit::traffic::{Shape, Traffic};
use tonic::Code;

/// A small load of its own seed.
pub fn shape(seed: u64) -> Shape {
    Shape { seed, traces: 200, errors_per_mille: 100, slow_per_mille: 50, ..Shape::default() }
}

/// Sends all of it; every request must be acked at the first attempt.
async fn send(seed: u64, config: Config) -> Report {
    let shape = shape(seed);
    let spans = shape.spans();
    let config = Config { workers: 4, ..config };
    let what = format!("{:?} {:?}", config.transport, config.compression);
    let report = load::run(Traffic::new(shape).unwrap(), config).await.unwrap();
    assert_eq!((report.acked_spans, report.failed_attempts), (spans, 0), "{what}");
    report
}

/// What came of the traces of one load.
pub fn of_load(shape: &Shape, all: &Received) -> Received {
    let traces: HashSet<_> = (0..shape.traces).map(|n| shape.trace(n).id).collect();
    let mut own = Received::default();
    for (key, count) in all.iter().filter(|(key, _)| traces.contains(&key.trace)) {
        own.extend(std::iter::repeat_n(*key, count as usize));
    }
    own
}

/// Waits until the fleet is empty, ends it and checks each report against what came out.
async fn finish(mut fleet: Fleet, sink: &Sink, reports: &[Report]) {
    for sampler in &fleet.samplers {
        sampler.settled().await;
    }
    let ledgers = fleet.stop().await;
    let sum = balance::fleet(&ledgers).unwrap();
    let sent: u64 = reports.iter().map(|report| report.sent_spans).sum();
    assert_eq!(sum.total("received"), sent);
    assert!(ledgers.iter().all(|ledger| ledger.total("received") > 0), "both have a share");
    let (all, mut found) = (sink.received(), 0);
    for report in reports {
        let own = of_load(&report.ledger.shape, &all);
        let verdict =
            check(&report.ledger, std::slice::from_ref(&own), keep_errors_and_slow).unwrap();
        verdict.clean().unwrap();
        assert!(verdict.received > 0);
        found += own.len();
    }
    assert_eq!((found, found as u64), (all.len(), sum.total("exported")));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_protocol_and_compression_is_taken() {
    let sink = Sink::local().await.unwrap();
    let fleet = Plan::to_sink(&sink).fleet(2).await;
    let mut reports = Vec::new();
    for transport in [Transport::Grpc, Transport::Http] {
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let front = &fleet.loadbalancer;
            let target = if transport == Transport::Grpc { front.grpc() } else { front.http() };
            let config = Config { transport, compression, ..Config::new(target) };
            reports.push(send(reports.len() as u64 + 1, config).await);
        }
    }
    let metrics = fleet.loadbalancer.metrics().await;
    let each = 3.0 * shape(1).spans() as f64;
    for transport in ["grpc", "http"] {
        let labels = [("receiver", "otlp"), ("transport", transport)];
        assert_eq!(metrics.sum("otelcol_receiver_accepted_spans", &labels), Some(each));
    }
    finish(fleet, &sink, &reports).await;
}

/// TLS for clients; between the tiers, both sides show a certificate of this authority.
fn with_tls(sink: &Sink, authority: &Authority) -> Plan {
    let (cert, key) = authority.identity();
    let ca = authority.pem();
    let files = "cert_file: node.pem, key_file: node.key";
    Plan {
        receiver: format!(", tls: {{{files}}}"),
        internal: format!("tls: {{ca_file: ca.pem, {files}}}"),
        files: vec![("ca.pem", ca), ("node.pem", cert), ("node.key", key)],
        ..Plan::to_sink(sink)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_at_the_door_and_mutual_tls_between_the_tiers() {
    let (sink, authority) = (Sink::local().await.unwrap(), Authority::new());
    let fleet = with_tls(&sink, &authority).fleet(2).await;
    let ports = &fleet.loadbalancer.ports;
    let h2 = Tunnel::start(&authority, &[b"h2"], ports.grpc.addr()).await;
    let http = Tunnel::start(&authority, &[b"http/1.1"], ports.http.addr()).await;
    let grpc = Config { compression: Compression::Gzip, ..Config::new(h2.url()) };
    let grpc = send(1, grpc).await;
    let http = send(2, Config { transport: Transport::Http, ..Config::new(http.url()) }).await;

    // Without TLS there is no way in, at either port.
    let plain = Config {
        timeout: Duration::from_secs(2),
        retry_for: Duration::ZERO,
        ..Config::new(fleet.loadbalancer.grpc())
    };
    let traffic = Traffic::new(Shape { traces: 1, ..shape(3) }).unwrap();
    let refused = load::run(traffic, plain).await.unwrap();
    assert_eq!(refused.acked_spans, 0);
    let door = fleet.loadbalancer.ports.http.addr();
    let answer = raw::bytes(door, b"GET /v1/traces HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(!answer.contains("HTTP/1.1"), "{answer}");
    finish(fleet, &sink, &[grpc, http]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_balancer_of_another_authority_delivers_nothing() {
    let sink = Sink::local().await.unwrap();
    let mut fleet = with_tls(&sink, &Authority::new()).fleet(1).await;
    let members = [("sampler-0".to_owned(), &fleet.samplers[0].ports)];
    let mut stranger = with_tls(&sink, &Authority::new());
    stranger.receiver = String::new();
    let ports = crate::fleet::Ports::reserve();
    let config = stranger.loadbalancer(&ports, &members);
    let mut stranger = stranger.start("loadbalancer", ports, config);
    stranger.ready().await;
    let (status, _) = raw::export(&stranger.grpc(), None, &request(vec![failed(1, 1)])).await;
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert!(!status.details().is_empty(), "it says when to come back");
    let (code, ledger) = stranger.stop().await;
    assert_eq!((code, ledger.total("forwarded")), (Some(0), 0));
    assert_eq!(fleet.samplers[0].ledger().await.total("received"), 0);
    fleet.stop().await;
}
