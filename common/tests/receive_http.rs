//! OTLP/HTTP in, over HTTP/1.1 and HTTP/2, and connections that aren't HTTP.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use bytes::Bytes;
use http::Method;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{Answer, Rig, gzip, http_request, send, until};
use tailgate_common::limit::ByteBudget;
use tailgate_common::receive::{Code, Gate, Refusal, Reply, ServerSettings, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What it is, its headers and body, the status and a part of the text it gets.
type Bad<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [u8], u16, &'a str);

const PROTO: (&str, &str) = ("content-type", "application/x-protobuf");

async fn rig() -> Rig {
    Rig::start(ServerSettings::http("")).await
}

async fn post(rig: &Rig, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let path = format!("http://{}/v1/traces", rig.addr());
    send(rig.addr(), false, http_request(&path, headers, body)).await
}

#[tokio::test]
async fn bytes_arrive_as_sent_in_every_encoding() {
    let rig = rig().await;
    let body: Vec<u8> = (0..200_000u32).map(|i| (i.wrapping_mul(i) % 251) as u8).collect();
    let zstd = zstd::bulk::compress(&body, 3).unwrap();
    for (encoding, packed) in
        [("", body.clone()), ("identity", body.clone()), ("gzip", gzip(&body)), ("zstd", zstd)]
    {
        for http2 in [false, true] {
            let headers = [("content-encoding", encoding), PROTO];
            let path = format!("http://{}/v1/traces", rig.addr());
            let answer = send(rig.addr(), http2, http_request(&path, &headers, &packed)).await;
            assert_eq!((answer.status, &answer.body[..]), (200, &[0x0a, 0][..]), "{encoding}");
            assert_eq!(answer.header("content-type"), "application/x-protobuf");
            assert!(rig.last() == (Bytes::from(body.clone()), Transport::Http));
        }
    }
    until("permits are given back", || rig.budget.used() == 0).await;
}

#[tokio::test]
async fn empty_requests_succeed_untouched() {
    let rig = rig().await;
    for encoding in ["", "gzip", "zstd"] {
        let answer = post(&rig, &[("content-encoding", encoding), PROTO], &[]).await;
        assert_eq!((answer.status, &answer.body[..]), (200, &[0x0a, 0][..]));
    }
    assert_eq!(post(&rig, &[("content-encoding", "gzip"), PROTO], &gzip(&[])).await.status, 200);
    assert_eq!(rig.got(), 0);
}

#[tokio::test]
async fn bad_requests_get_their_exact_code() {
    let rig = rig().await;
    let zeros = vec![0; 64 << 20];
    let zstd_bomb = zstd::bulk::compress(&zeros, 1).unwrap();
    let gzip_bomb = gzip(&zeros);
    let table: [Bad<'_>; 8] = [
        ("no type", &[], b"x", 415, "send application/x-protobuf"),
        ("text", &[("content-type", "text/plain")], b"x", 415, "send application/x-protobuf"),
        ("br", &[PROTO, ("content-encoding", "br")], b"x", 400, "use gzip or zstd"),
        ("bad gzip", &[PROTO, ("content-encoding", "gzip")], b"no", 400, "malformed gzip"),
        ("bad zstd", &[PROTO, ("content-encoding", "zstd")], b"no", 400, "malformed zstd"),
        ("gzip bomb", &[PROTO, ("content-encoding", "gzip")], &gzip_bomb, 413, "20971520"),
        ("zstd bomb", &[PROTO, ("content-encoding", "zstd")], &zstd_bomb, 413, "20971520"),
        ("too large", &[PROTO], &zeros[..21 << 20], 413, "22020096"),
    ];
    for (what, headers, body, status, text) in table {
        // A client over HTTP/2 can always read the answer, even if its body was not.
        let path = format!("http://{}/v1/traces", rig.addr());
        let answer = send(rig.addr(), true, http_request(&path, headers, body)).await;
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, status, "{what}: {said}");
        assert!(said.contains(text), "{what}: {said}");
        let kind =
            if status == 415 { "text/plain; charset=utf-8" } else { "application/x-protobuf" };
        assert_eq!(answer.header("content-type"), kind, "{what}");
        assert_eq!(post(&rig, &[PROTO], b"good").await.status, 200);
    }
    assert!(rig.probe.got.lock().iter().all(|(body, _)| &body[..] == b"good"));
    until("permits are given back", || rig.budget.used() == 0).await;
}

#[tokio::test]
async fn wrong_methods_and_paths() {
    let rig = rig().await;
    let path = |path: &str| format!("http://{}{path}", rig.addr());
    let mut get = http_request(&path("/v1/traces"), &[], b"");
    *get.method_mut() = Method::GET;
    let answer = send(rig.addr(), false, get).await;
    assert_eq!((answer.status, answer.header("allow")), (405, "POST"));
    for (to, text) in [("/v1/metrics", "metrics are not taken"), ("/v2", "traces go to /v1/traces")]
    {
        let answer = send(rig.addr(), false, http_request(&path(to), &[PROTO], b"x")).await;
        assert_eq!(answer.status, 404);
        assert!(String::from_utf8_lossy(&answer.body).contains(text));
    }
    let answer = send(rig.addr(), false, http_request(&path("//v1/traces"), &[PROTO], b"x")).await;
    assert_eq!(answer.status, 200, "an endpoint with a slash at its end");
    let grpc = [("content-type", "application/grpc")];
    assert_eq!(post(&rig, &grpc, b"x").await.status, 415);
}

#[tokio::test]
async fn refusals_have_their_code_and_hint() {
    let rig = rig().await;
    let after = |ms| Some(Duration::from_millis(ms));
    let table = [
        (Code::Unavailable, after(1_500), 503, "2"),
        (Code::Unavailable, None, 503, "1"),
        (Code::ResourceExhausted, after(10), 429, "1"),
        (Code::DeadlineExceeded, None, 503, ""),
        (Code::InvalidArgument, None, 400, ""),
        (Code::TooLarge, None, 413, ""),
        (Code::Internal, None, 500, ""),
    ];
    for (code, retry_after, status, hint) in table {
        rig.say(Reply::Refused(Refusal { code, message: "no".to_owned(), retry_after }));
        let answer = post(&rig, &[PROTO], b"x").await;
        assert_eq!((answer.status, answer.header("retry-after")), (status, hint), "{code:?}");
        assert_eq!(answer.body[0], 0x08, "a google.rpc.Status starts with its code");
        assert_eq!(u32::from(answer.body[1]), code.grpc());
    }
    rig.say(Reply::Partial { rejected: 2, message: "bad id".to_owned() });
    let answer = post(&rig, &[PROTO], b"x").await;
    assert_eq!((answer.status, &answer.body[..]), (200, &b"\x0a\x0a\x08\x02\x12\x06bad id"[..]));
}

#[tokio::test]
async fn without_permits_a_connection_still_goes_on() {
    let budget = ByteBudget::new(10_000);
    let rig = Rig::with(ServerSettings::http(""), budget.clone(), None).await;
    let held = budget.try_acquire(9_000).unwrap();
    let mut socket = TcpStream::connect(rig.addr()).await.unwrap();
    let head = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n";
    let request = format!("{head}content-length: 5000\r\n\r\n{}", "x".repeat(5_000));
    socket.write_all(request.as_bytes()).await.unwrap();
    assert!(read_head(&mut socket).await.starts_with("HTTP/1.1 503"));
    drop(held);
    socket.write_all(request.as_bytes()).await.unwrap();
    assert!(read_head(&mut socket).await.starts_with("HTTP/1.1 200"));
    // Of unknown length.
    let chunked =
        format!("{head}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\n my\r\n0\r\n\r\n");
    let _held = budget.try_acquire(9_000).unwrap();
    socket.write_all(chunked.as_bytes()).await.unwrap();
    assert!(read_head(&mut socket).await.starts_with("HTTP/1.1 503"));
    assert_eq!(rig.got(), 1);
}

/// A refusal does not wait for a body: it may be announced and never come. A small one is waited
/// for a little, and thrown away, as that saves its connection.
#[tokio::test]
async fn refusals_come_without_the_body() {
    let budget = ByteBudget::new(10_000_000);
    let gate: Gate = Arc::new(|| Some(Refusal::new(Code::Unavailable, "draining")));
    let full = Rig::with(ServerSettings::http(""), budget.clone(), None).await;
    let shut = Rig::with(ServerSettings::http(""), ByteBudget::new(1 << 20), Some(gate)).await;
    let _held = budget.try_acquire(9_999_000).unwrap();
    let head = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n";
    for rig in [&full, &shut] {
        for (more, at_most) in [
            ("content-length: 5000\r\nexpect: 100-continue\r\n", Duration::from_millis(1_500)),
            ("content-length: 5000000\r\n", Duration::from_millis(1_500)),
            ("content-length: 5000\r\n", Duration::from_secs(10)),
        ] {
            let begun = Instant::now();
            let mut socket = TcpStream::connect(rig.addr()).await.unwrap();
            socket.write_all(format!("{head}{more}\r\n").as_bytes()).await.unwrap();
            let answer = read_head(&mut socket).await;
            assert!(answer.starts_with("HTTP/1.1 503"), "{more}: {answer}");
            assert!(answer.contains("retry-after: 1\r\n"), "{more}: {answer}");
            assert!(begun.elapsed() < at_most, "{more}: {:?}", begun.elapsed());
        }
        assert_eq!(rig.got(), 0);
    }
    assert_eq!(shut.budget.used(), 0);
}

#[tokio::test]
async fn a_body_of_unknown_length_arrives() {
    let rig = rig().await;
    let mut socket = TcpStream::connect(rig.addr()).await.unwrap();
    let head = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n";
    let chunked =
        format!("{head}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\n my\r\n0\r\n\r\n");
    socket.write_all(chunked.as_bytes()).await.unwrap();
    assert!(read_head(&mut socket).await.starts_with("HTTP/1.1 200"));
    assert_eq!(rig.last().0, "hello my");
}

#[tokio::test]
async fn slow_clients_are_let_go() {
    let mut settings = ServerSettings::http("");
    settings.header_timeout = Duration::from_millis(150);
    settings.body_timeout = Duration::from_millis(150);
    let rig = Rig::start(settings).await;
    // Nothing at all, half a preface, half a head.
    for start in ["", "PRI * HT", "POST /v1/traces HTTP/1.1\r\nhost: local"] {
        let mut socket = TcpStream::connect(rig.addr()).await.unwrap();
        socket.write_all(start.as_bytes()).await.unwrap();
        let mut rest = String::new();
        let _ = socket.read_to_string(&mut rest).await;
        assert!(!rest.contains("200"), "{rest}");
    }
    let mut socket = TcpStream::connect(rig.addr()).await.unwrap();
    let head = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n";
    let request = format!("{head}content-length: 50\r\n\r\nhalf");
    socket.write_all(request.as_bytes()).await.unwrap();
    assert!(read_head(&mut socket).await.starts_with("HTTP/1.1 408"));
    drop(socket);
    until("all are closed", || rig.handle.stats().open_connections() == 0).await;
    assert_eq!(rig.budget.used(), 0);
}

/// A response's head; its body has a content-length and is skipped.
async fn read_head(socket: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_lowercase().replace("http/", "HTTP/");
    let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    socket.read_exact(&mut body).await.unwrap();
    head
}

#[tokio::test]
async fn http_1_1_needs_one_host() {
    let rig = rig().await;
    for (version, hosts, status) in [
        ("1.1", "", "400"),
        ("1.1", "host: x\r\nhost: y\r\n", "400"),
        ("1.1", "host: x\r\n", "200"),
        ("1.1", "host:\r\n", "200"),
        ("1.0", "", "200"),
    ] {
        let mut socket = TcpStream::connect(rig.addr()).await.unwrap();
        let head = format!("POST /v1/traces HTTP/{version}\r\n{hosts}{}: {}\r\n", PROTO.0, PROTO.1);
        let request = format!("{head}content-length: 1\r\n\r\nx");
        socket.write_all(request.as_bytes()).await.unwrap();
        let answer = read_head(&mut socket).await;
        assert_eq!(answer.split(' ').nth(1), Some(status), "{version} {hosts}");
    }
}
