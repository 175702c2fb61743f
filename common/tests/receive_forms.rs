//! Everything that may be sent beside plain protobuf: JSON, other encodings, other signals, browsers, credentials,
//! health checks.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;
use support::{Answer, EXPORT, Rig, framed, grpc_request, http_request, open_grpc, send, until};
use tailgate_common::auth::{BasicUsers, Checker, Tokens};
use tailgate_common::limit::ByteBudget;
use tailgate_common::receive::{
    Code, Cors, Encoding, HttpServes, Refusal, Reply, ServerSettings, Serves, Signal,
};
use tokio::net::TcpStream;

const JSON: (&str, &str) = ("content-type", "application/json");
const PROTO: (&str, &str) = ("content-type", "application/x-protobuf");
const SPAN: &str = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"n"}]}]}]}"#;
/// The same in protobuf.
const WIRE: &[u8] = &[0x0a, 7, 0x12, 5, 0x12, 3, 0x2a, 1, b'n'];

async fn rig() -> Rig {
    Rig::start(ServerSettings::http("")).await
}

async fn post(rig: &Rig, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let path = format!("http://{}{path}", rig.addr());
    send(rig.addr(), false, http_request(&path, headers, body)).await
}

async fn traces(rig: &Rig, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    post(rig, "/v1/traces", headers, body).await
}

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

#[tokio::test]
async fn json_is_answered_in_json() {
    let rig = rig().await;
    for kind in ["application/json", "application/json; charset=utf-8", "Application/JSON"] {
        let answer = traces(&rig, &[("content-type", kind)], SPAN.as_bytes()).await;
        assert_eq!((answer.status, &*text(&answer)), (200, r#"{"partialSuccess":{}}"#));
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(&rig.last().0[..], WIRE);
    }
    let zipped = support::gzip(SPAN.as_bytes());
    let answer = traces(&rig, &[JSON, ("content-encoding", "gzip")], &zipped).await;
    assert_eq!((answer.status, &rig.last().0[..]), (200, WIRE));
    let got = rig.got();
    assert_eq!(traces(&rig, &[JSON], b"{}").await.status, 200);
    assert_eq!(rig.got(), got, "nothing in it, nothing to take in");

    rig.say(Reply::Partial { rejected: 2, message: "too \"deep\"".to_owned() });
    let answer = traces(&rig, &[JSON], SPAN.as_bytes()).await;
    let said: serde_json::Value = serde_json::from_str(&text(&answer)).unwrap();
    assert_eq!(said["partialSuccess"]["rejectedSpans"], "2");
    assert_eq!(said["partialSuccess"]["errorMessage"], "too \"deep\"");

    let retry_after = Some(Duration::from_millis(1500));
    rig.say(Reply::Refused(Refusal { retry_after, ..Refusal::new(Code::Unavailable, "full") }));
    let answer = traces(&rig, &[JSON], SPAN.as_bytes()).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "2"));
    let said: serde_json::Value = serde_json::from_str(&text(&answer)).unwrap();
    assert_eq!((&said["code"], &said["message"]), (&14.into(), &"full".into()));
    assert_eq!(said["details"][0]["retryDelay"], "1.5s");
    until("permits are given back", || rig.budget.used() == 0).await;
}

#[tokio::test]
async fn malformed_json_says_what_and_where() {
    let rig = rig().await;
    let bad = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"xyz"}]}]}]}"#;
    for (body, expected) in [
        (bad, "expected 32 hex digits or none for traceId at line 1 column 59"),
        ("", "malformed JSON: EOF"),
        ("{", "malformed JSON: EOF while parsing an object at line 1 column 1"),
        (&"[".repeat(100_000), "expected an object"),
    ] {
        let answer = traces(&rig, &[JSON], body.as_bytes()).await;
        let said: serde_json::Value = serde_json::from_str(&text(&answer)).unwrap();
        assert_eq!((answer.status, &said["code"]), (400, &3.into()), "{said}");
        assert!(said["message"].as_str().unwrap().contains(expected), "{said}");
    }
    assert_eq!(rig.got(), 0);
}

#[tokio::test]
async fn json_is_paid_for() {
    let body = format!(r#"{{"x":"{}"}}"#, "y".repeat(100_000));
    let rig = Rig::with(ServerSettings::http(""), ByteBudget::new(150_000), None).await;
    let answer = traces(&rig, &[JSON], body.as_bytes()).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"), "{}", text(&answer));
    until("permits are given back", || rig.budget.used() == 0).await;
}

#[tokio::test]
async fn every_encoding_of_the_collector() {
    let rig = rig().await;
    let body: Vec<u8> = (0..70_000u32).map(|i| (i / 3 % 251) as u8).collect();
    let zlib = || {
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(&body).unwrap();
        zlib.finish().unwrap()
    };
    let framed_snappy = || {
        let mut snappy = snap::write::FrameEncoder::new(Vec::new());
        snappy.write_all(&body).unwrap();
        snappy.into_inner().unwrap()
    };
    let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
    lz4.write_all(&body).unwrap();
    let block = snap::raw::Encoder::new().compress_vec(&body).unwrap();
    for (encoding, packed) in [
        ("zlib", zlib()),
        ("deflate", zlib()),
        ("snappy", block),
        ("snappy", framed_snappy()),
        ("x-snappy-framed", framed_snappy()),
        ("lz4", lz4.finish().unwrap()),
    ] {
        let answer = traces(&rig, &[PROTO, ("content-encoding", encoding)], &packed).await;
        assert_eq!(answer.status, 200, "{encoding}: {}", text(&answer));
        assert!(rig.last().0 == body, "{encoding}");
    }
    until("permits are given back", || rig.budget.used() == 0).await;

    let grpc = Rig::start(ServerSettings::grpc("")).await;
    let answer = support::grpc(grpc.addr(), "snappy", framed(true, &framed_snappy())).await;
    assert_eq!(answer.grpc().0, 0);
    assert!(grpc.last().0 == body);
}

#[tokio::test]
async fn only_the_configured_encodings() {
    let serves = HttpServes { encodings: vec![Encoding::Zstd], ..HttpServes::default() };
    let settings =
        ServerSettings { serves: Serves::Http(Box::new(serves)), ..ServerSettings::http("") };
    let rig = Rig::start(settings).await;
    let zipped = support::gzip(WIRE);
    let answer = traces(&rig, &[PROTO, ("content-encoding", "gzip")], &zipped).await;
    assert_eq!(answer.status, 400);
    let packed = zstd::bulk::compress(WIRE, 1).unwrap();
    assert_eq!(traces(&rig, &[PROTO, ("content-encoding", "zstd")], &packed).await.status, 200);
}

#[tokio::test]
async fn other_signals_are_unimplemented_with_a_remedy_and_counted() {
    let rig = rig().await;
    for (path, signal) in
        [("/v1/metrics", "metrics"), ("/v1/logs", "logs"), ("/v1development/profiles", "profiles")]
    {
        let answer = post(&rig, path, &[JSON], b"{}").await;
        let said: serde_json::Value = serde_json::from_str(&text(&answer)).unwrap();
        assert_eq!((answer.status, &said["code"]), (404, &12.into()));
        let message = said["message"].as_str().unwrap();
        assert!(message.contains(&format!("send {signal} to your agent")), "{message}");
        assert_eq!(post(&rig, path, &[PROTO], b"").await.header("content-type"), PROTO.1);
    }
    let counted: Vec<(Signal, u64)> = rig.handle.stats().other_signals().collect();
    assert_eq!(counted, Signal::ALL.map(|signal| (signal, 2)));

    let rig = Rig::start(ServerSettings::grpc("")).await;
    let path = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
    let answer = send(rig.addr(), true, grpc_request(path, "", framed(false, b""))).await;
    let (code, message) = answer.grpc();
    assert_eq!(code, 12);
    assert!(message.contains("OTEL_METRICS_EXPORTER"), "{message}");
    let counted: Vec<(Signal, u64)> = rig.handle.stats().other_signals().collect();
    assert_eq!(counted[0], (Signal::Metrics, 1));
}

#[tokio::test]
async fn browsers_from_allowed_origins() {
    let list = |text: &str| [text.to_owned()];
    let cors = Cors::new(&list("https://*.example.com"), &list("x-tenant"), &list("x-a"), 600);
    let settings = ServerSettings { cors: Some(Arc::new(cors)), ..ServerSettings::http("") };
    let rig = Rig::start(settings).await;
    let preflight = async |origin: &str, headers: &str| {
        let path = format!("http://{}/v1/traces", rig.addr());
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", headers),
        ];
        let mut request = http_request(&path, &headers, b"");
        *request.method_mut() = Method::OPTIONS;
        send(rig.addr(), false, request).await
    };
    let origin = "https://shop.example.com";
    let answer = preflight(origin, "content-type, X-Tenant").await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (204, origin));
    assert_eq!(answer.header("access-control-allow-headers"), "content-type, X-Tenant");
    assert_eq!(answer.header("access-control-max-age"), "600");
    for (origin, headers) in [("https://example.org", "x-tenant"), (origin, "x-other")] {
        let answer = preflight(origin, headers).await;
        assert_eq!((answer.status, answer.header("access-control-allow-methods")), (204, ""));
    }
    let answer = traces(&rig, &[PROTO, ("origin", origin)], WIRE).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, origin));
    assert_eq!(answer.header("access-control-expose-headers"), "x-a");
    let answer = traces(&rig, &[PROTO, ("origin", "https://example.org")], WIRE).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, ""));
}

#[tokio::test]
async fn strangers_are_turned_away_before_their_body_is_read() {
    let tokens = Tokens::new(http::header::AUTHORIZATION, "Bearer", &["good".to_owned()]).unwrap();
    let auth = Some(Arc::new(Checker::Bearer(tokens)));
    let rig = Rig::start(ServerSettings { auth: auth.clone(), ..ServerSettings::http("") }).await;
    for (name, value) in [("authorization", "Bearer bad"), ("x-none", "")] {
        let answer = traces(&rig, &[JSON, (name, value)], SPAN.as_bytes()).await;
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, "Bearer"));
        assert!(text(&answer).contains(r#""code":16"#), "{}", text(&answer));
    }
    let good = ("authorization", "Bearer good");
    assert_eq!(traces(&rig, &[JSON, good], SPAN.as_bytes()).await.status, 200);
    assert_eq!(rig.got(), 1);

    let rig = Rig::start(ServerSettings { auth, ..ServerSettings::grpc("") }).await;
    // The message is announced and never sent.
    let (body, answer) = open_grpc(rig.addr()).await;
    let answer = tokio::time::timeout(Duration::from_secs(5), answer).await.unwrap().unwrap();
    assert_eq!(answer.unwrap().grpc().0, 16);
    drop(body);
    let mut request = grpc_request(EXPORT, "", framed(false, WIRE));
    request.headers_mut().insert("authorization", "Bearer good".parse().unwrap());
    assert_eq!(send(rig.addr(), true, request).await.grpc().0, 0);
}

#[tokio::test]
async fn users_with_passwords() {
    let users = BasicUsers::new("bob:{SHA}nU4eI71bcnBGqeO0t9tXvY1u5oQ=", None, Duration::MAX);
    let auth = Some(Arc::new(Checker::Basic(users.unwrap())));
    let rig = Rig::start(ServerSettings { auth, ..ServerSettings::http("") }).await;
    let answer = traces(&rig, &[PROTO, ("authorization", "Basic Ym9iOnBhc3M=")], WIRE).await;
    assert_eq!(answer.status, 200);
    let answer = traces(&rig, &[PROTO, ("authorization", "Basic Ym9iOm5v")], WIRE).await;
    assert_eq!(
        (answer.status, answer.header("www-authenticate")),
        (401, "Basic realm=\"tailgate\"")
    );
}

#[tokio::test]
async fn health_is_checked_and_watched() {
    let auth = Tokens::new(http::header::AUTHORIZATION, "Bearer", &["t".to_owned()]).unwrap();
    let auth = Some(Arc::new(Checker::Bearer(auth)));
    let rig = Rig::start(ServerSettings { auth, ..ServerSettings::grpc("") }).await;
    let check = "/grpc.health.v1.Health/Check";
    let service = b"opentelemetry.proto.collector.trace.v1.TraceService";
    let named = [&[0x0a, service.len() as u8][..], service].concat();
    for request in [&[][..], &named] {
        let answer = send(rig.addr(), true, grpc_request(check, "", framed(false, request))).await;
        assert_eq!((answer.grpc().0, &answer.body[..]), (0, &[0, 0, 0, 0, 2, 8, 1][..]));
    }
    let other = framed(false, &[0x0a, 1, b'x']);
    let answer = send(rig.addr(), true, grpc_request(check, "", other)).await;
    assert_eq!(answer.grpc().0, 5);

    let io = TokioIo::new(TcpStream::connect(rig.addr()).await.unwrap());
    let shake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io);
    let (mut requests, connection) = shake.await.unwrap();
    tokio::spawn(connection);
    let watch = "/grpc.health.v1.Health/Watch";
    let request: Request<Full<Bytes>> = grpc_request(watch, "", framed(false, b""));
    let mut body = requests.send_request(request).await.unwrap().into_body();
    let mut next = async || body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(&next().await[..], [0, 0, 0, 0, 2, 8, 1]);
    let shutdown = tokio::spawn(rig.handle.shutdown(Duration::from_secs(10)));
    assert_eq!(&next().await[..], [0, 0, 0, 0, 2, 8, 2]);
    assert_eq!(shutdown.await.unwrap().cut_off, 0, "a watch ends by itself");
}

#[tokio::test]
async fn the_clients_deadline_is_ours() {
    let rig = Rig::start(ServerSettings::grpc("")).await;
    rig.probe.permits.forget_permits(1_000);
    let mut request = grpc_request(EXPORT, "", framed(false, WIRE));
    request.headers_mut().insert("grpc-timeout", "50m".parse().unwrap());
    let (code, message) = send(rig.addr(), true, request).await.grpc();
    assert_eq!(code, 4);
    assert!(message.contains("50 ms"), "{message}");

    rig.probe.permits.add_permits(1);
    let got = rig.got();
    let mut request = grpc_request(EXPORT, "", framed(false, WIRE));
    request.headers_mut().insert("grpc-timeout", "0S".parse().unwrap());
    assert_eq!(send(rig.addr(), true, request).await.grpc().0, 4);
    assert_eq!(rig.got(), got, "nothing is taken in for nobody");
}

#[tokio::test]
async fn an_idle_connection_is_asked_to_go() {
    let max_connection_idle = Some(Duration::from_millis(100));
    let rig = Rig::start(ServerSettings { max_connection_idle, ..ServerSettings::grpc("") }).await;
    let io = TokioIo::new(TcpStream::connect(rig.addr()).await.unwrap());
    let shake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io);
    let (mut requests, connection) = shake.await.unwrap();
    let connection = tokio::spawn(connection);
    let response = requests.send_request(grpc_request(EXPORT, "", framed(false, WIRE))).await;
    assert_eq!(response.unwrap().status(), 200);
    let ended = tokio::time::timeout(Duration::from_secs(10), connection).await;
    ended.unwrap().unwrap().unwrap();
}
