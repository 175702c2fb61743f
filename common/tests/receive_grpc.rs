//! OTLP/gRPC in: the client against the server, and raw requests for what no client sends.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use support::{EXPORT, Rig, framed, grpc, grpc_request, gzip, open_grpc, send, until};
use tailgate_common::client::{ClientSettings, Compression, OtlpGrpcClient};
use tailgate_common::limit::ByteBudget;
use tailgate_common::receive::{Code, Refusal, Reply, ServerSettings, Transport};
use tokio::io::AsyncReadExt;

async fn rig() -> Rig {
    Rig::start(ServerSettings::grpc("")).await
}

fn client(rig: &Rig, compression: Compression) -> OtlpGrpcClient {
    let settings = ClientSettings::new(rig.addr().to_string());
    OtlpGrpcClient::new(ClientSettings { compression, ..settings }).unwrap()
}

fn sample(len: usize) -> Bytes {
    (0..len).map(|i| (i * i / 3 % 253) as u8).collect()
}

#[tokio::test]
async fn bytes_arrive_as_sent_in_every_encoding() {
    let rig = rig().await;
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let client = client(&rig, compression);
        // Within one frame, of several frames, and over the stream's window.
        for len in [1, 25_000, 300_000, 3 << 20] {
            let body = sample(len);
            let exported = client.export(body.clone()).await.unwrap();
            assert_eq!((exported.rejected, &*exported.message), (0, ""));
            assert!(rig.last() == (body, Transport::Grpc), "{compression:?} {len}");
        }
    }
    until("permits are given back", || rig.budget.used() == 0).await;
    let all: u64 = rig.handle.stats().requests().map(|r| r.count).sum();
    assert_eq!(all, 12);
}

#[tokio::test]
async fn empty_requests_succeed_untouched() {
    let rig = rig().await;
    client(&rig, Compression::None).export(Bytes::new()).await.unwrap();
    client(&rig, Compression::Gzip).export(Bytes::new()).await.unwrap();
    assert_eq!(grpc(rig.addr(), "gzip", framed(true, &[])).await.grpc().0, 0);
    assert_eq!(rig.got(), 0);
}

#[tokio::test]
async fn a_partial_success_reaches_the_client() {
    let rig = rig().await;
    rig.say(Reply::Partial { rejected: 3, message: "trace_id is zero".to_owned() });
    let exported = client(&rig, Compression::None).export(sample(10)).await.unwrap();
    assert_eq!((exported.rejected, &*exported.message), (3, "trace_id is zero"));
    let answer = grpc(rig.addr(), "", framed(false, b"x")).await;
    let partial = ExportTraceServiceResponse::decode(&answer.body[5..]).unwrap().partial_success;
    assert_eq!(partial.unwrap().rejected_spans, 3);
}

#[tokio::test]
async fn refusals_reach_the_client_with_their_meaning() {
    let rig = rig().await;
    let client = client(&rig, Compression::None);
    let table = [
        (Code::Unavailable, 14, true, Some(1)),
        (Code::ResourceExhausted, 8, true, Some(1)),
        (Code::DeadlineExceeded, 4, true, None),
        (Code::InvalidArgument, 3, false, None),
        (Code::TooLarge, 3, false, None),
        (Code::Internal, 13, false, None),
    ];
    for (code, number, retryable, after) in table {
        rig.say(Reply::Refused(Refusal::new(code, "na\u{ef}ve: 100 %")));
        let error = client.export(sample(10)).await.unwrap_err();
        assert_eq!((error.code, error.retryable), (number, retryable), "{code:?}");
        assert_eq!(error.retry_after, after.map(Duration::from_secs), "{code:?}");
        assert_eq!(error.message, "na\u{ef}ve: 100 %");
    }
}

#[tokio::test]
async fn bad_requests_get_their_exact_code() {
    let rig = rig().await;
    let zeros = vec![0; 64 << 20];
    let mut two = framed(false, b"one");
    two.extend(framed(false, b"two"));
    let oversized = [&[0][..], &(4u32 << 20 | 1).to_be_bytes()].concat();
    let table = [
        ("oversized", "", oversized, 3, "4194305 bytes exceeds the limit of 4194304"),
        ("truncated message", "", framed(false, b"abcdef")[..9].to_vec(), 3, "4 of 6 bytes"),
        ("truncated header", "", vec![0, 0], 3, "2 of 5 bytes"),
        ("nothing", "", Vec::new(), 3, "must have one message"),
        ("two messages", "", two, 3, "more than one message"),
        ("flag", "", vec![2, 0, 0, 0, 0], 3, "compression flag"),
        ("bad gzip", "gzip", framed(true, b"not gzip at all"), 3, "malformed gzip"),
        ("bad zstd", "zstd", framed(true, b"not zstd at all"), 3, "malformed zstd"),
        ("gzip bomb", "gzip", framed(true, &gzip(&zeros)), 3, "exceeds 4194304 bytes"),
        (
            "zstd bomb",
            "zstd",
            framed(true, &zstd::bulk::compress(&zeros, 1).unwrap()),
            3,
            "exceeds 4194304 bytes",
        ),
        ("unknown encoding", "br", framed(true, b"x"), 12, "use gzip, snappy or zstd"),
    ];
    let good = client(&rig, Compression::Zstd);
    for (what, encoding, body, code, text) in table {
        let (got, message) = grpc(rig.addr(), encoding, body).await.grpc();
        assert_eq!(got, code, "{what}: {message}");
        assert!(message.contains(text), "{what}: {message}");
        good.export(sample(1_000)).await.unwrap();
    }
    assert!(rig.probe.got.lock().iter().all(|(body, _)| body.len() == 1_000));
    until("permits are given back", || rig.budget.used() == 0).await;
}

#[tokio::test]
async fn unknown_methods_say_what_to_do() {
    let rig = rig().await;
    let table = [
        (
            "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            "send metrics to your agent",
        ),
        ("/opentelemetry.proto.collector.logs.v1.LogsService/Export", "send logs to your agent"),
        ("/opentelemetry.proto.collector.trace.v1.TraceService/Import", "unknown method"),
        ("/AWS.ALB/healthcheck", "unknown method"),
    ];
    for (path, text) in table {
        let answer = send(rig.addr(), true, grpc_request(path, "", framed(false, b"x"))).await;
        let (code, message) = answer.grpc();
        assert_eq!((code, answer.status), (12, 200), "{path}");
        assert!(message.contains(text), "{message}");
    }
    let mut request = grpc_request(EXPORT, "", Vec::new());
    request.headers_mut().insert("content-type", "application/x-protobuf".parse().unwrap());
    assert_eq!(send(rig.addr(), true, request).await.status, 415);
}

#[tokio::test]
async fn without_permits_the_body_is_not_read() {
    let budget = ByteBudget::new(100_000);
    let rig = Rig::with(ServerSettings::grpc(""), budget.clone(), None).await;
    let held = budget.try_acquire(90_000).unwrap();
    // Only the header of a 50 kB message is ever sent, so an answer means that it didn't wait.
    let (sender, answer) = open_grpc(rig.addr()).await;
    sender.send(framed(false, &sample(50_000)).into_iter().take(5).collect()).await.unwrap();
    let answer = answer.await.unwrap().unwrap();
    assert_eq!(answer.grpc().0, 14);
    assert!(!answer.header("grpc-status-details-bin").is_empty());
    // A compressed message has room for itself but not for what it becomes.
    let packed = framed(true, &gzip(&vec![0; 80_000]));
    assert_eq!(grpc(rig.addr(), "gzip", packed).await.grpc().0, 14);
    let client = client(&rig, Compression::None);
    let error = client.export(sample(20_000)).await.unwrap_err();
    assert_eq!((error.code, error.retry_after), (14, Some(Duration::from_secs(1))));
    client.export(sample(5_000)).await.unwrap();
    drop(held);
    for _ in 0..20 {
        client.export(sample(50_000)).await.unwrap();
    }
    until("permits are given back", || budget.used() == 0).await;
}

#[tokio::test]
async fn slow_clients_keep_no_more_than_they_have_sent() {
    let budget = ByteBudget::new(1 << 20);
    let rig = Rig::with(ServerSettings::grpc(""), budget.clone(), None).await;
    // Eight times half of the budget is announced; of each message a piece comes.
    let mut slow = Vec::new();
    for _ in 0..8 {
        let (sender, answer) = open_grpc(rig.addr()).await;
        let part = framed(false, &sample(512 << 10)).into_iter().take(1_000).collect();
        sender.send(part).await.unwrap();
        slow.push((sender, answer));
    }
    until("all pieces came", || budget.used() == 8 * 65_536).await;
    let client = client(&rig, Compression::None);
    client.export(sample(100_000)).await.unwrap();
    // One of them goes on, and is held.
    let (sender, answer) = slow.pop().unwrap();
    for piece in framed(false, &sample(512 << 10))[1_000..].chunks(60_000) {
        sender.send(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    drop(sender);
    assert_eq!(answer.await.unwrap().unwrap().grpc().0, 0);
    assert!(rig.last() == (sample(512 << 10), Transport::Grpc));
    for (_, answer) in slow {
        answer.abort();
    }
}

#[tokio::test]
async fn the_permit_lives_until_the_answer() {
    let rig = rig().await;
    rig.probe.permits.forget_permits(1_000);
    let client = client(&rig, Compression::None);
    let export = tokio::spawn(async move { client.export(sample(25_000)).await });
    until("the request is in", || rig.got() == 1).await;
    assert_eq!(rig.budget.used(), 25_000);
    assert_eq!(rig.handle.stats().in_flight(), 1);
    rig.probe.permits.add_permits(1);
    export.await.unwrap().unwrap();
    until("all is given back", || rig.budget.used() == 0 && rig.handle.stats().in_flight() == 0)
        .await;
}

#[tokio::test]
async fn a_client_that_leaves_gives_everything_back() {
    let rig = rig().await;
    rig.probe.permits.forget_permits(1_000);
    let client = client(&rig, Compression::None);
    let export = tokio::spawn(async move { client.export(sample(25_000)).await });
    until("the request is in", || rig.got() == 1).await;
    export.abort();
    until("it is gone", || rig.budget.used() == 0 && rig.handle.stats().in_flight() == 0).await;
    until("its connection too", || rig.handle.stats().open_connections() == 0).await;
}

#[tokio::test]
async fn the_gate_turns_requests_away_unread() {
    let shut = Arc::new(AtomicBool::new(true));
    let gate = {
        let shut = shut.clone();
        move || {
            let refusal = || Refusal {
                retry_after: Some(Duration::from_secs(7)),
                ..Refusal::new(Code::Unavailable, "draining")
            };
            shut.load(Ordering::Relaxed).then(refusal)
        }
    };
    let rig =
        Rig::with(ServerSettings::grpc(""), ByteBudget::new(1 << 20), Some(Arc::new(gate))).await;
    let (_sender, answer) = open_grpc(rig.addr()).await;
    assert_eq!(answer.await.unwrap().unwrap().grpc(), (14, "draining".to_owned()));
    let client = client(&rig, Compression::None);
    let error = client.export(sample(1_000)).await.unwrap_err();
    assert_eq!(error.retry_after, Some(Duration::from_secs(7)));
    shut.store(false, Ordering::Relaxed);
    client.export(sample(1_000)).await.unwrap();
    assert_eq!(rig.got(), 1);
}

#[tokio::test]
async fn a_slow_body_hits_its_deadline() {
    let mut settings = ServerSettings::grpc("");
    settings.body_timeout = Duration::from_millis(200);
    let rig = Rig::start(settings).await;
    let (sender, answer) = open_grpc(rig.addr()).await;
    let part: Bytes = framed(false, &sample(1_000)).into_iter().take(500).collect();
    sender.send(part).await.unwrap();
    assert_eq!(answer.await.unwrap().unwrap().grpc().0, 4);
    until("permits are given back", || rig.budget.used() == 0).await;
    assert_eq!(rig.got(), 0);
}

#[tokio::test]
async fn shutdown_finishes_what_is_in_flight() {
    let rig = rig().await;
    rig.probe.permits.forget_permits(1_000);
    let (client, late) = (client(&rig, Compression::None), client(&rig, Compression::None));
    let export = tokio::spawn(async move { client.export(sample(25_000)).await });
    until("the request is in", || rig.got() == 1).await;
    let (stats, probe) = (rig.handle.stats().clone(), rig.probe.clone());
    let down = tokio::spawn(rig.handle.shutdown(Duration::from_secs(20)));
    until("new connections are refused", || {
        std::net::TcpStream::connect(late.authority()).is_err()
    })
    .await;
    assert!(late.export(sample(1)).await.unwrap_err().retryable);
    assert_eq!(stats.in_flight(), 1);
    probe.permits.add_permits(1);
    export.await.unwrap().unwrap();
    assert_eq!(down.await.unwrap().cut_off, 0);
    assert_eq!(stats.open_connections(), 0);
}

#[tokio::test]
async fn shutdown_does_not_wait_for_clients_that_have_said_nothing() {
    let rig = rig().await;
    let mut silent = tokio::net::TcpStream::connect(rig.addr()).await.unwrap();
    until("it is accepted", || rig.handle.stats().open_connections() == 1).await;
    let begun = Instant::now();
    assert_eq!(rig.handle.shutdown(Duration::from_secs(20)).await.cut_off, 0);
    // Far below the five seconds that a connection's first bytes may take.
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(silent.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn shutdown_does_not_wait_for_ever() {
    let rig = rig().await;
    rig.probe.permits.forget_permits(1_000);
    let client = client(&rig, Compression::None);
    let export = tokio::spawn(async move { client.export(sample(25_000)).await });
    until("the request is in", || rig.got() == 1).await;
    assert_eq!(rig.handle.shutdown(Duration::from_millis(100)).await.cut_off, 1);
    assert!(export.await.unwrap().unwrap_err().retryable);
}

#[tokio::test]
async fn connections_over_the_cap_are_closed() {
    let mut settings = ServerSettings::grpc("");
    settings.max_connections = 1;
    let rig = Rig::start(settings).await;
    let one = client(&rig, Compression::None);
    one.export(sample(10)).await.unwrap();
    assert!(client(&rig, Compression::None).export(sample(10)).await.unwrap_err().retryable);
    one.export(sample(10)).await.unwrap();
    assert!(rig.handle.stats().turned_away_connections() >= 1);
}

#[tokio::test]
async fn old_connections_are_replaced_without_a_failure() {
    let mut settings = ServerSettings::grpc("");
    settings.max_connection_age = Some(Duration::from_millis(40));
    let rig = Rig::start(settings).await;
    let client = client(&rig, Compression::None);
    while rig.handle.stats().accepted_connections() < 4 {
        client.export(sample(1_000)).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_no_grpc_request_is_refused() {
    let rig = rig().await;
    let request = |kind: &str| {
        let mut request = grpc_request(EXPORT, "", framed(false, b"x"));
        request.headers_mut().insert("content-type", kind.parse().unwrap());
        request
    };
    for (kind, status) in [
        ("application/grpc+proto", 200),
        ("application/grpc;charset=utf-8", 200),
        ("application/grpc-web", 415),
        ("application/grpcx", 415),
        ("application/json", 415),
    ] {
        assert_eq!(send(rig.addr(), true, request(kind)).await.status, status, "{kind}");
    }
    let mut get = request("application/grpc");
    *get.method_mut() = http::Method::GET;
    let answer = send(rig.addr(), true, get).await;
    assert_eq!((answer.status, answer.grpc().0), (405, 13));
    let mut old = request("application/grpc");
    old.headers_mut().insert("host", "localhost".parse().unwrap());
    assert_eq!(send(rig.addr(), false, old).await.status, 505);
    assert_eq!(rig.got(), 2);
    // An encoding that is not named is none.
    for (encoding, compressed, code) in
        [("", true, 13), ("identity", true, 13), ("identity", false, 0)]
    {
        let body = framed(compressed, b"x");
        assert_eq!(grpc(rig.addr(), encoding, body).await.grpc().0, code, "{encoding}");
    }
}
