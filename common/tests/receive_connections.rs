//! How long connections and their clients are put up with, unix sockets, browsers.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use bytes::Bytes;
use http::{HeaderValue, Method};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{EXPORT, Rig, framed, grpc, grpc_request, http_request, open_grpc, send, until};
use tailgate_common::limit::ByteBudget;
use tailgate_common::receive::{Cors, ServerSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

const PROTO: (&str, &str) = ("content-type", "application/x-protobuf");
const HEAD: &str =
    "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n";

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A connection over HTTP/2 that is kept; resolves when the server has ended it.
async fn keep_http2(
    rig: &Rig,
) -> (http2::SendRequest<Full<Bytes>>, tokio::task::JoinHandle<hyper::Result<()>>) {
    let io = TokioIo::new(TcpStream::connect(rig.addr()).await.unwrap());
    let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    (sender, tokio::spawn(connection))
}

/// Writes and reads until the server closes.
async fn exchange(rig: &Rig, text: &str) -> String {
    let mut socket = TcpStream::connect(rig.addr()).await.unwrap();
    socket.write_all(text.as_bytes()).await.unwrap();
    let mut all = String::new();
    socket.read_to_string(&mut all).await.unwrap();
    all
}

#[tokio::test]
async fn an_idle_connection_is_asked_to_go_and_a_busy_one_is_not() {
    let mut settings = ServerSettings::grpc("");
    settings.max_connection_idle = Some(ms(200));
    let rig = Rig::start(settings).await;
    let (mut sender, ended) = keep_http2(&rig).await;
    let begun = Instant::now();
    while begun.elapsed() < ms(600) {
        let request = grpc_request(EXPORT, "", framed(false, b"spans"));
        assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
        tokio::time::sleep(ms(40)).await;
    }
    assert!(!ended.is_finished());
    let ended = tokio::time::timeout(Duration::from_secs(10), ended).await.unwrap().unwrap();
    ended.unwrap();
}

#[tokio::test]
async fn an_old_connection_is_asked_to_go_on_either_version() {
    let mut settings = ServerSettings::http("");
    settings.max_connection_age = Some(ms(150));
    let rig = Rig::start(settings).await;
    let (mut sender, ended) = keep_http2(&rig).await;
    let request = http_request(&format!("http://{}/v1/traces", rig.addr()), &[PROTO], b"x");
    assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
    tokio::time::timeout(Duration::from_secs(10), ended).await.unwrap().unwrap().unwrap();

    // A request that is in flight at that age is answered, and the answer says so.
    rig.probe.permits.forget_permits(1_000);
    let request = format!("{HEAD}content-length: 1\r\n\r\nx");
    let answer = async { exchange(&rig, &request).await };
    let release = async {
        until("it has come in", || rig.got() == 2).await;
        tokio::time::sleep(ms(300)).await;
        // If both were late, the server sees the age first.
        tokio::time::sleep(ms(1)).await;
        rig.probe.permits.add_permits(1_000);
    };
    let (answer, ()) = tokio::join!(answer, release);
    let answer = answer.to_lowercase();
    assert!(answer.starts_with("http/1.1 200") && answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn no_connection_ends_before_its_age() {
    let mut settings = ServerSettings::http("");
    settings.max_connection_age = Some(ms(1_000));
    let rig = Rig::start(settings).await;
    let ages = (0..12).map(|_| async {
        let begun = Instant::now();
        exchange(&rig, &format!("{HEAD}content-length: 1\r\n\r\nx")).await;
        begun.elapsed()
    });
    let ages = futures_util::future::join_all(ages).await;
    assert!(ages.iter().all(|age| *age >= ms(900)), "{ages:?}");
}

#[tokio::test]
async fn the_grace_of_an_old_connection_does_not_hold_up_a_stop() {
    let mut settings = ServerSettings::grpc("");
    settings.max_connection_age = Some(ms(50));
    let rig = Rig::start(settings).await;
    rig.probe.permits.forget_permits(1_000);
    let stuck = tokio::spawn(async move { grpc_send(rig).await });
    let took = stuck.await.unwrap();
    assert!(took < Duration::from_secs(5), "{took:?}");
}

/// A request that is never answered, past its connection's age; how long a stop takes then.
async fn grpc_send(rig: Rig) -> Duration {
    let (mut sender, _ended) = keep_http2(&rig).await;
    let answer = sender.send_request(grpc_request(EXPORT, "", framed(false, b"spans")));
    let answer = tokio::spawn(answer);
    until("it has come in", || rig.got() == 1).await;
    tokio::time::sleep(ms(150)).await;
    let begun = Instant::now();
    assert_eq!(rig.handle.shutdown(ms(200)).await.cut_off, 1);
    assert!(answer.await.unwrap().is_err());
    begun.elapsed()
}

#[tokio::test]
async fn without_keep_alive_there_is_one_request_on_a_connection() {
    let mut settings = ServerSettings::http("");
    settings.keep_alives = false;
    let rig = Rig::start(settings).await;
    let request = format!("{HEAD}content-length: 1\r\n\r\nx");
    let answer = exchange(&rig, &request.repeat(2)).await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 1, "{answer}");
}

#[tokio::test]
async fn bodies_that_trickle_are_given_up() {
    for http in [true, false] {
        let settings = if http { ServerSettings::http("") } else { ServerSettings::grpc("") };
        let settings = ServerSettings { body_grace: ms(300), ..settings };
        let rig = Rig::start(settings).await;
        let begun = Instant::now();
        if http {
            let mut socket = TcpStream::connect(rig.addr()).await.unwrap();
            let head = format!("{HEAD}content-length: 50000\r\n\r\n");
            socket.write_all(head.as_bytes()).await.unwrap();
            let mut answer = [0; 12];
            let (mut from, mut to) = socket.split();
            let trickle = async {
                while to.write_all(b"x").await.is_ok() {
                    tokio::time::sleep(ms(20)).await;
                }
            };
            tokio::select! {
                biased;
                read = from.read_exact(&mut answer) => drop(read.unwrap()),
                () = trickle => panic!("closed without an answer"),
            }
            assert_eq!(&answer, b"HTTP/1.1 408");
        } else {
            let (pieces, answer) = open_grpc(rig.addr()).await;
            pieces.send(framed(false, &[7; 50_000])[..100].to_vec().into()).await.unwrap();
            let (code, text) = answer.await.unwrap().unwrap().grpc();
            assert_eq!(code, 4, "{text}");
            assert!(text.contains("less than 1024 bytes/s"), "{text}");
        }
        assert!(begun.elapsed() < Duration::from_secs(10));
        assert_eq!((rig.got(), rig.budget.used()), (0, 0));
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_let_go() {
    let mut settings = ServerSettings::http("");
    settings.write_timeout = Some(ms(300));
    settings.idle_timeout = Duration::from_secs(60);
    let rig = Rig::start(settings).await;
    let mut socket = TcpStream::connect(rig.addr()).await.unwrap();
    // Each answer is larger than its request, so that this way is the first to fill up.
    let requests = "GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(1_000);
    let write = async { while socket.write_all(requests.as_bytes()).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(60), write).await.unwrap();
    until("it is closed", || rig.handle.stats().open_connections() == 0).await;
}

/// Nothing is written that could be stuck, and its pings are answered, so it may stay; but without
/// the memory of its requests.
#[tokio::test]
async fn a_client_that_opens_no_window_holds_no_memory() {
    let rig = Rig::start(ServerSettings::grpc("")).await;
    let io = TokioIo::new(TcpStream::connect(rig.addr()).await.unwrap());
    let mut client = http2::Builder::new(TokioExecutor::new());
    let client = client.initial_stream_window_size(0).adaptive_window(false);
    let (mut sender, connection) = client.handshake(io).await.unwrap();
    let _connection = tokio::spawn(connection);
    let request = grpc_request(EXPORT, "", framed(false, &[7; 1 << 20]));
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!((answer.status().as_u16(), rig.got()), (200, 1));
    assert_eq!((rig.handle.stats().in_flight(), rig.budget.used()), (1, 0));
}

#[tokio::test]
async fn one_address_cannot_take_all_places() {
    let mut settings = ServerSettings::http("");
    settings.max_connections_per_peer = 3;
    let rig = Rig::start(settings).await;
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(TcpStream::connect(rig.addr()).await.unwrap());
    }
    until("two are turned away", || rig.handle.stats().turned_away_connections() == 2).await;
    assert_eq!(rig.handle.stats().open_connections(), 3);
    drop(held);
    until("the places are free", || rig.handle.stats().open_connections() == 0).await;
    let answer = exchange(&rig, &format!("{HEAD}connection: close\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_unix_socket_takes_spans_and_replaces_an_abandoned_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("otlp.sock");
    // A process that was killed leaves its file.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let settings = ServerSettings::grpc(format!("unix:{}", path.display()));
    let rig = Rig::at(settings.clone(), ByteBudget::new(1 << 20), None).await;
    let io = TokioIo::new(UnixStream::connect(&path).await.unwrap());
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = grpc_request(EXPORT, "", framed(false, b"spans"));
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.collect().await.unwrap().trailers().unwrap()["grpc-status"], "0");
    assert_eq!(rig.last().0, "spans");
    // One that is in use is not.
    let taken = tailgate_common::net::Door::bind(&settings.endpoint).await.unwrap_err();
    assert_eq!(taken.source.kind(), std::io::ErrorKind::AddrInUse);
    assert!(taken.to_string().contains("an address of its own"), "{taken}");
    drop((sender, connection));
    rig.handle.shutdown(Duration::from_secs(5)).await;
    assert!(!path.exists());
}

#[tokio::test]
async fn pages_of_allowed_origins_may_send() {
    let mut settings = ServerSettings::http("");
    let origins = ["https://*.shop.test".to_owned()];
    settings.cors = Some(Arc::new(Cors::new(&origins, &["x-key".to_owned()], &[], 60)));
    settings.response_headers.insert("x-served-by", HeaderValue::from_static("us"));
    let rig = Rig::start(settings).await;
    let path = format!("http://{}/v1/traces", rig.addr());
    for (origin, allowed) in [("https://www.shop.test", true), ("https://evil.test", false)] {
        let asked = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "content-type,x-key"),
        ];
        let mut preflight = http_request(&path, &asked, b"");
        *preflight.method_mut() = Method::OPTIONS;
        let answer = send(rig.addr(), false, preflight).await;
        assert_eq!((answer.status, answer.header("x-served-by")), (204, "us"));
        let expected = if allowed { ["content-type,x-key", "60", origin] } else { [""; 3] };
        let names = ["headers", "max-age", "origin"].map(|name| match name {
            "max-age" => "access-control-max-age".to_owned(),
            name => format!("access-control-allow-{name}"),
        });
        assert_eq!(names.each_ref().map(|name| answer.header(name)), expected);
        let answer =
            send(rig.addr(), false, http_request(&path, &[("origin", origin), PROTO], b"x")).await;
        assert_eq!((answer.status, answer.header("vary")), (200, "Origin"));
        let expected = if allowed { origin } else { "" };
        assert_eq!(answer.header("access-control-allow-origin"), expected);
        assert_eq!(answer.header("x-served-by"), "us");
    }
    // Without an origin it is no browser.
    assert_eq!(send(rig.addr(), false, http_request(&path, &[PROTO], b"x")).await.status, 200);
    assert_eq!(rig.got(), 3);
}

#[tokio::test]
async fn more_streams_than_allowed_wait_their_turn() {
    let mut settings = ServerSettings::grpc("");
    settings.max_concurrent_streams = 4;
    let rig = Rig::start(settings).await;
    rig.probe.permits.forget_permits(1_000);
    let (sender, _ended) = keep_http2(&rig).await;
    // The client has to have seen the settings.
    let first = grpc_request(EXPORT, "", framed(false, b""));
    assert_eq!(sender.clone().send_request(first).await.unwrap().status(), 200);
    let all: Vec<_> = (0..9)
        .map(|_| {
            let mut sender = sender.clone();
            let request = grpc_request(EXPORT, "", framed(false, b"spans"));
            tokio::spawn(async move { sender.send_request(request).await.unwrap().status() })
        })
        .collect();
    until("four are in", || rig.got() == 4).await;
    // Another connection is served meanwhile, by the same server.
    assert_eq!(grpc(rig.addr(), "", framed(false, b"")).await.grpc().0, 0);
    assert_eq!(rig.got(), 4);
    rig.probe.permits.add_permits(1_000);
    for status in all {
        assert_eq!(status.await.unwrap(), 200);
    }
    assert_eq!(rig.got(), 9);
}
