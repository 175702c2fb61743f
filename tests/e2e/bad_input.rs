//! Bad requests get their exact code and text, at both tiers, and a good client beside them sees
//! nothing of it.

use crate::SOON;
use crate::fleet::{Node, Plan};
use crate::raw::{self, Headers};
use crate::spans::{dull, nested, request};
use http::Method;
use opentelemetry_proto::tonic::trace::v1::Span;
use std::collections::HashSet;
use std::io::Write as _;
use tailgate_testkit::SpanKey;
use tailgate_testkit::checker::{Keep, Verdict, check};
use tailgate_testkit::load::{Config, Load, Report};
use tailgate_testkit::process::Process;
use tailgate_testkit::sink::Sink;
use tailgate_testkit::traffic::{Shape, Trace, Traffic};
use tailgate_testkit::wait::eventually;
use tonic::Code;

const MIB: usize = 1 << 20;
/// Bombs of a gibibyte leave no trace in this.
const SANE_RSS: u64 = 160 << 20;

/// A request that no receiver can take, and what it says.
struct Bad {
    what: &'static str,
    body: Vec<u8>,
    encoding: Option<&'static str>,
    http: (u16, &'static str),
    grpc: (Code, &'static str),
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// A gibibyte of zeros, packed.
fn zstd_bomb() -> Vec<u8> {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    let zeros = vec![0; MIB];
    for _ in 0..1024 {
        encoder.write_all(&zeros).unwrap();
    }
    encoder.finish().unwrap()
}

fn bad_requests() -> Vec<Bad> {
    let good = request(vec![dull(1, 1)]);
    let invalid = Code::InvalidArgument;
    let bad = |what, body, encoding, http, grpc| Bad { what, body, encoding, http, grpc };
    let of_both =
        |what, body, encoding, text| bad(what, body, encoding, (400, text), (invalid, text));
    let malformed = "malformed ExportTraceServiceRequest: ";
    let bomb = |what, body, encoding| {
        let http = (413, "decompressed size exceeds 20971520 bytes; send smaller batches");
        let grpc = (invalid, "decompressed size exceeds 4194304 bytes; send smaller batches");
        bad(what, body, Some(encoding), http, grpc)
    };
    // A span needs 30 bytes, so that many fit into the 4 MiB of a message.
    let many = vec![Span { name: String::new(), ..dull(1, 1) }; 50_001];
    vec![
        of_both("no protobuf", b"{\"resourceSpans\":[]}".to_vec(), None, malformed),
        of_both("cut short", good[..good.len() - 3].to_vec(), None, malformed),
        of_both("no gzip", good.clone(), Some("gzip"), "malformed gzip data: "),
        of_both("no zstd", good.clone(), Some("zstd"), "malformed zstd data: "),
        of_both(
            "gzip cut short",
            gzip(&good)[..20].to_vec(),
            Some("gzip"),
            "malformed gzip data: ",
        ),
        of_both(
            "too many spans",
            request(many),
            None,
            "more than 50000 spans in one request; send smaller batches",
        ),
        bad(
            "an unknown encoding",
            good,
            Some("br"),
            (400, "unsupported content encoding 'br'; use gzip or zstd"),
            (Code::Unimplemented, "grpc-encoding br is not known here; use gzip"),
        ),
        bomb("a gzip bomb", gzip(&vec![0; 128 * MIB]), "gzip"),
        bomb("a zstd bomb", zstd_bomb(), "zstd"),
    ]
}

async fn refuses_bad_requests(node: &Node) {
    for Bad { what, body, encoding, http, grpc } in bad_requests() {
        let encoded = encoding.map(|encoding| [("content-encoding", encoding)]);
        let headers: Headers<'_> = encoded.as_ref().map_or(&[], |headers| headers);
        let answer = raw::post(&node.http(), headers, body.clone()).await;
        assert_eq!(answer.code, http.0, "{what}: {}", answer.text());
        assert!(answer.text().starts_with(http.1), "{what}: {}", answer.text());
        assert_eq!(answer.header("retry-after"), "", "{what}: never to be sent again");
        let (status, _) = raw::export(&node.grpc(), encoding, &body).await;
        assert_eq!(status.code(), grpc.0, "{what}: {status}");
        assert!(status.message().starts_with(grpc.1), "{what}: {status}");
        let retry = String::from_utf8_lossy(status.details()).contains("RetryInfo");
        assert!(!retry, "{what}: never to be sent again");
    }
}

async fn refuses_what_is_no_export(node: &Node) {
    let (url, good) = (node.http(), request(vec![dull(1, 1)]));
    let protobuf = [("content-type", "application/x-protobuf")];
    let traces = format!("{url}/v1/traces");
    let table: [(Method, String, Headers<'_>, u16, &str); 6] = [
        (
            Method::POST,
            traces.clone(),
            &[("content-type", "text/plain")],
            415,
            "content type 'text/plain' is not supported; send application/x-protobuf or \
             application/json",
        ),
        (
            Method::POST,
            traces.clone(),
            &[],
            415,
            "content type '' is not supported; send application/x-protobuf or application/json",
        ),
        (
            Method::POST,
            format!("{url}/v1/trace"),
            &protobuf,
            404,
            "/v1/trace not found; traces go to /v1/traces",
        ),
        (Method::GET, traces.clone(), &[], 405, "GET is not allowed here; use POST"),
        (Method::PUT, traces, &protobuf, 405, "PUT is not allowed here; use POST"),
        (
            Method::POST,
            format!("{}/v1/traces", node.grpc()),
            &protobuf,
            415,
            "this port takes OTLP/gRPC; OTLP over HTTP usually has port 4318\n",
        ),
    ];
    for (method, url, headers, code, text) in table {
        let answer = raw::send(method, &url, headers, good.clone()).await;
        assert_eq!((answer.code, answer.text().as_str()), (code, text), "{url}");
        assert_eq!(answer.header("allow"), if code == 405 { "POST" } else { "" });
    }
    for (path, remedy) in [
        (
            "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            "send metrics to your agent",
        ),
        ("/shop.Orders/List", "this is an OTLP/gRPC endpoint for traces"),
    ] {
        let (status, _) =
            raw::call(&node.grpc(), path, "identity", raw::frame(false, 0, &[])).await;
        assert_eq!(status.code(), Code::Unimplemented);
        assert!(status.message().contains(remedy), "{path}: {status}");
    }
}

/// Bodies that are longer than allowed, or than they are.
async fn refuses_wrong_lengths(node: &Node) {
    let head = |len: usize| {
        format!(
            "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n\
             content-length: {len}\r\n\r\n"
        )
    };
    let http = node.ports.http.addr();
    let answer = raw::bytes(http, head(20 * MIB + 1).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("request of 20971521 bytes exceeds the limit of 20971520 bytes"));
    let answer = raw::bytes(http, b"nonsense\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    // Nobody is left to be told: the connection ends, and nothing was taken.
    let cut = raw::bytes(http, &[head(100).as_bytes(), &[0x0a; 50]].concat()).await;
    assert!(cut.is_empty() || cut.starts_with("HTTP/1.1 400 "), "{cut}");

    let size = 4 * MIB + 1;
    let limit = "request of 4194305 bytes exceeds the limit of 4194304 bytes; send smaller batches";
    let good = request(vec![dull(1, 1)]);
    for (what, frame, text) in [
        ("oversize", raw::frame(false, size, &vec![0; size]), limit),
        ("oversize by its header", raw::frame(false, size, &[]), limit),
        ("cut short", raw::frame(false, good.len(), &good[..20]), "truncated request: 20 of "),
        ("no frame", vec![0, 0], "truncated request: 2 of 5 bytes"),
        ("no message", Vec::new(), "a unary request must have one message, this one has none"),
        ("a wrong flag", [&[7], &raw::frame(false, 0, &[])[1..]].concat(), "7 is not a gRPC "),
        ("two messages", raw::frame(false, 0, &[0; 5]), "more than one message in a unary request"),
    ] {
        let (status, _) =
            raw::call(&node.grpc(), tailgate_testkit::EXPORT_PATH, "gzip", frame).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{what}: {status}");
        assert!(status.message().starts_with(text), "{what}: {status}");
    }
}

/// Bad spans are left out and told of; the good ones beside them are taken.
async fn tells_of_bad_spans(node: &Node) -> u64 {
    let id = "trace_id must be 16 non-zero bytes";
    let span = "span_id must be 8 non-zero bytes";
    let parent = "parent_span_id must be empty or 8 bytes";
    let large = "x".repeat(262_144);
    let table = [
        (Span { trace_id: vec![0; 16], ..dull(1, 1) }, id),
        (Span { trace_id: vec![1; 15], ..dull(1, 1) }, id),
        (Span { trace_id: Vec::new(), ..dull(1, 1) }, id),
        (Span { span_id: vec![0; 8], ..dull(1, 1) }, span),
        (Span { span_id: vec![1; 9], ..dull(1, 1) }, span),
        (Span { parent_span_id: vec![1; 3], ..dull(1, 1) }, parent),
        (Span { name: large, ..dull(1, 1) }, "span of 262"),
        (nested(1, 1, 33), "attribute nesting > 32"),
        (nested(1, 1, 4_000), "attribute nesting > 32"),
    ];
    let mut rejected = 0;
    for (n, (bad, text)) in (0..).zip(table) {
        let body = request(vec![dull(100 + n, 1), bad.clone(), bad, nested(100 + n, 2, 32)]);
        let answer = raw::post(&node.http(), &[], body.clone()).await;
        let (status, grpc) = raw::export(&node.grpc(), Some("gzip"), &gzip(&body)).await;
        assert_eq!((answer.code, status.code()), (200, Code::Ok), "{text}: {status}");
        for partial in [answer.partial(), grpc.grpc_partial()] {
            assert_eq!(partial.rejected_spans, 2, "{text}");
            assert!(partial.error_message.starts_with(text), "{}", partial.error_message);
            rejected += 2;
        }
    }
    rejected
}

/// What came out, against what was acked, once all of it is out. The load was stopped anywhere, so
/// the error of a trace counts only if it was sent.
async fn check_out(sink: &Sink, report: &Report) -> Verdict {
    let shape = &report.ledger.shape;
    let traffic = Traffic::new(shape.clone()).unwrap();
    let sent: HashSet<SpanKey> = report
        .ledger
        .records
        .iter()
        .flat_map(|record| traffic.spans(record.seq))
        .map(|(trace, index)| shape.key(&trace, index))
        .collect();
    let keep = |trace: &Trace| match trace.error {
        Some(index) if sent.contains(&shape.key(trace, index)) => Keep::Yes,
        _ => Keep::No,
    };
    let verdict = || check(&report.ledger, &[sink.received()], keep).unwrap();
    // If some do not come, the verdict says which.
    let _ = eventually("all out", SOON, async || verdict().lost.is_empty()).await;
    verdict()
}

fn peak_rss(process: &Process) -> u64 {
    process.usage().unwrap().peak_rss
}

/// All bad input to this node, while a client sends good spans; how many spans were rejected.
async fn bad_beside_good(node: &Node, sink: &Sink) -> u64 {
    let shape = Shape { traces: 1 << 24, errors_per_mille: 20, ..Shape::default() };
    let config = Config { rate: Some(3_000.0), workers: 8, ..Config::new(node.grpc()) };
    let load = Load::start(Traffic::new(shape).unwrap(), config).unwrap();
    refuses_bad_requests(node).await;
    refuses_what_is_no_export(node).await;
    refuses_wrong_lengths(node).await;
    let rejected = tells_of_bad_spans(node).await;
    load.stop();
    let report = load.finish().await.unwrap();
    assert_eq!(report.failed_attempts, 0, "the good client saw it");
    assert!(report.acked_spans > 0 && report.acked_spans == report.sent_spans);
    let ledger = node.settled().await;
    // Of the good spans beside the bad ones, two a request, half came a second time.
    assert_eq!(ledger.total("received"), report.acked_spans + 2 * rejected);
    assert_eq!(ledger.of("rejected", "invalid"), rejected);
    let verdict = check_out(sink, &report).await;
    verdict.clean().unwrap();
    assert!(verdict.received > 0);
    rejected
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sampler_refuses_bad_input() {
    let sink = Sink::local().await.unwrap();
    let mut node = Plan::to_sink(&sink).alone().await;
    bad_beside_good(&node, &sink).await;
    assert!(peak_rss(&node.process) < SANE_RSS, "{} bytes", peak_rss(&node.process));
    let (code, ledger) = node.stop().await;
    assert_eq!((code, ledger.total("lost")), (Some(0), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_balancer_refuses_bad_input() {
    let sink = Sink::local().await.unwrap();
    let mut fleet = Plan::to_sink(&sink).fleet(1).await;
    // Strangers at the door between the tiers are nobody's trouble either.
    let internal = fleet.samplers[0].ports.internal.addr();
    for noise in [&b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"[..], &[0xff; 100_000], &[0; 64], b""] {
        let answer = raw::bytes(internal, noise).await;
        assert!(!answer.contains("HTTP"), "{answer}");
    }
    let rejected = bad_beside_good(&fleet.loadbalancer, &sink).await;
    let (front, sampler) = (fleet.loadbalancer.ledger().await, fleet.samplers[0].ledger().await);
    assert_eq!(front.total("forwarded") + rejected, front.total("received"));
    assert_eq!(sampler.total("received"), front.total("forwarded"));
    for node in fleet.nodes_mut() {
        assert!(peak_rss(&node.process) < SANE_RSS, "{} bytes", peak_rss(&node.process));
    }
    fleet.stop().await;
}
