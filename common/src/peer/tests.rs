#![allow(clippy::unwrap_used)]
use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use tailgate_proto::TraceId;
use tailgate_proto::peer::{Frame, HEADER_LEN, Header, Hello, MAX_BODY};
use tailgate_testkit::ports::Port;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::stream::{FrameReader, FrameWriter, Gate, Incoming};
use super::*;
use crate::clock::{ManualClock, SystemClock};
use crate::config::{ClientTls, Secret, SecretSource, ServerTls};
use crate::limit::ByteBudget;
use crate::net::{Listener, tls};

/// Remembers what came. A fragment that begins with `s` is never answered; one with `w` when
/// `release` is given.
#[derive(Clone, Default)]
struct Holder {
    got: Arc<Mutex<Vec<(Mode, Bytes)>>>,
    given: Arc<Mutex<HashMap<TraceId, Entry>>>,
    release: Arc<Notify>,
}

impl PeerService for Holder {
    async fn deliver(&self, peer: &PeerInfo, deliver: Deliver) -> DeliverResult {
        assert_eq!((peer.role, &*peer.name), (Role::LoadBalancer, "lb"));
        self.got.lock().push((deliver.mode, Bytes::copy_from_slice(&deliver.fragment)));
        match deliver.fragment.first() {
            Some(b's') => std::future::pending().await,
            Some(b'w') => self.release.notified().await,
            _ => {}
        }
        DeliverResult::held(deliver.spans)
    }

    async fn give_back(&self, _: &PeerInfo, entries: Vec<Entry>) -> GiveBackResult {
        let taken = entries.len().min(2);
        self.given.lock().extend(entries.into_iter().take(2).map(|entry| (entry.trace_id, entry)));
        GiveBackResult { taken: taken as u32, retry_after_ms: 9, reason: "full".into() }
    }
}

struct Server {
    address: String,
    holder: Holder,
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<()>,
    port: Port,
}

fn shared(secret: &str) -> SharedSecret {
    let source = SecretSource::Inline(Secret::new(secret));
    SharedSecret::from_source(&source, Duration::MAX).unwrap()
}

fn identity(role: Role, name: &str, secret: &str) -> Identity {
    let (name, secret) = (name.into(), shared(secret));
    Identity { role, name, secret, digest: SharedDigest::new(name_digest(role)) }
}

fn name_digest(role: Role) -> u64 {
    u64::from(role as u8) * 1_000
}

async fn server_at(port: Port, budget: u64) -> Server {
    let listener = Listener::bind(&port.addr().to_string()).await.unwrap();
    let (holder, shutdown) = (Holder::default(), CancellationToken::new());
    let me = identity(Role::Sampler, "sampler-0", "secret");
    let options = ServerOptions::new(me, ByteBudget::new(budget), ByteBudget::new(1 << 20));
    let server = PeerServer::new(listener, Plain, holder.clone(), options);
    let task = tokio::spawn(server.run(shutdown.clone()));
    Server { address: port.addr().to_string(), holder, shutdown, task, port }
}

async fn server() -> Server {
    server_at(Port::reserve().unwrap(), 64 << 20).await
}

impl Server {
    async fn kill(self) -> Port {
        self.task.abort();
        let _ = self.task.await;
        self.port
    }
}

fn options(address: &str, peer: &str, secret: &str) -> ClientOptions {
    let me = identity(Role::LoadBalancer, "lb", secret);
    let mut options = ClientOptions::new(me, peer, address, Arc::new(SystemClock::new()));
    options.heartbeat = Duration::from_millis(50);
    options
}

fn client(address: &str) -> PeerClient {
    PeerClient::spawn(options(address, "sampler-0", "secret"), Plain)
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(10), "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn connected(server: &Server) -> PeerClient {
    let client = client(&server.address);
    until("connected", || client.is_connected()).await;
    client
}

fn owner(fragment: impl Into<Bytes>) -> Deliver {
    Deliver { mode: Mode::Owner, spans: 3, fragment: fragment.into() }
}

const LONG: Duration = Duration::from_secs(10);

#[tokio::test]
async fn spans_arrive_as_sent_and_are_answered() {
    let server = server().await;
    let client = connected(&server).await;
    let large = Bytes::from(vec![7; 3 << 20]);
    assert_eq!(client.deliver(owner(large.clone()), LONG).await, Ok(DeliverResult::held(3)));
    let mode = Mode::Deputy { owner: "sampler-1".into() };
    let deputy = Deliver { mode: mode.clone(), spans: 5, fragment: "small".into() };
    // It begins with `s`, so the fake never answers.
    let stalled = client.send(deputy).unwrap();
    until("both came", || server.holder.got.lock().len() == 2).await;
    let got = server.holder.got.lock().clone();
    assert_eq!(got, [(Mode::Owner, large), (mode, Bytes::from("small"))]);
    assert!(client.last_heard().is_some());
    until("digests are exchanged", || client.peer_digest() == name_digest(Role::Sampler)).await;
    drop(stalled);
}

#[tokio::test]
async fn a_peer_with_other_members_is_noticed() {
    let server = server().await;
    let clock = Arc::new(ManualClock::new(0));
    let mut options = options(&server.address, "sampler-0", "secret");
    options.clock = clock.clone();
    let ours = options.identity.digest.clone();
    let client = PeerClient::spawn(options, Plain);
    let theirs = name_digest(Role::Sampler);
    until("digests are exchanged", || client.is_connected() && client.peer_digest() == theirs)
        .await;
    assert!(!client.disagrees(), "it may be a change on its way");
    clock.advance(super::agreement::SETTLES_WITHIN);
    assert!(client.disagrees());
    ours.set(theirs);
    until("they agree again", || !client.disagrees()).await;
}

#[test]
fn the_largest_fragment_fits_into_a_frame() {
    let owner = "n".repeat(MAX_NAME).as_str().into();
    let fragment = vec![0; MAX_FRAGMENT].into();
    let deliver = Deliver { mode: Mode::Deputy { owner }, spans: 1, fragment };
    Frame::Deliver(1, deliver).encode(&mut Vec::new()).unwrap();
}

#[tokio::test]
async fn answers_come_in_any_order() {
    let server = server().await;
    let client = connected(&server).await;
    let mut waits = Box::pin(client.deliver(owner("wait"), LONG));
    let quick = (0..200).map(|n| client.deliver(owner(format!("{n}")), LONG));
    tokio::select! {
        _ = &mut waits => panic!("answered too early"),
        results = futures_util::future::join_all(quick) => {
            assert!(results.iter().all(|result| *result == Ok(DeliverResult::held(3))));
        }
    }
    server.holder.release.notify_one();
    assert_eq!(waits.await, Ok(DeliverResult::held(3)));
}

#[tokio::test]
async fn a_deputy_gives_back_what_it_held() {
    let server = server().await;
    let client = connected(&server).await;
    let entry = |n: u8| Entry {
        trace_id: TraceId([n; 16]),
        age_ms: 1_000 * u64::from(n),
        spans: u32::from(n),
        fragment: Bytes::from(vec![n; 100]),
    };
    let result = client.give_back(vec![entry(1), entry(2), entry(3)], LONG).await.unwrap();
    assert_eq!((result.taken, result.retry_after_ms, &*result.reason), (2, 9, "full"));
    let given = server.holder.given.lock().clone();
    assert_eq!(given, HashMap::from([1, 2].map(|n| (entry(n).trace_id, entry(n)))));
}

#[tokio::test]
async fn strangers_are_told_why_they_are_refused() {
    let server = server().await;
    let wrong = PeerClient::spawn(options(&server.address, "sampler-0", "wrong"), Plain);
    let lost = PeerClient::spawn(options(&server.address, "sampler-9", "secret"), Plain);
    until("both failed", || wrong.last_error().and(lost.last_error()).is_some()).await;
    assert_eq!(wrong.last_error().unwrap(), "peer: the shared secret does not match");
    assert_eq!(lost.last_error().unwrap(), "expected sampler-9 here, found sampler-0");
    assert_eq!(wrong.send(owner("x")).err(), Some(PeerError::NotSent(NotSent::Disconnected)));
    assert!(server.holder.got.lock().is_empty());
}

/// A server that does not know the secret is found out by the client.
#[tokio::test]
async fn a_false_server_is_refused() {
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let client = client(&listener.local_addr().to_string());
    let (mut tcp, _) = listener.accept().await;
    let name = "sampler-0".into();
    let hello = Hello { role: Role::Sampler, name, digest: 0, nonce: [0; 32] };
    let mut bytes = Vec::new();
    Frame::Hello(hello).encode(&mut bytes).unwrap();
    Frame::Proof([0; 32]).encode(&mut bytes).unwrap();
    tcp.write_all(&bytes).await.unwrap();
    until("refused", || client.last_error().is_some()).await;
    assert_eq!(client.last_error().unwrap(), "the shared secret does not match");
}

async fn refusal(first: &[u8], address: &str) -> String {
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all(first).await.unwrap();
    tcp.shutdown().await.unwrap();
    let mut answer = Vec::new();
    tcp.read_to_end(&mut answer).await.unwrap();
    let at = answer.len() - answer[HEADER_LEN..].len();
    let header = Header::decode(answer.first_chunk().unwrap(), MAX_BODY).unwrap();
    match Frame::decode(&header, Bytes::from(answer.split_off(at))).unwrap() {
        Frame::Error(reason) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn other_versions_and_other_protocols_get_an_error_frame() {
    let server = server().await;
    let hello = Hello { role: Role::Sampler, name: "x".into(), digest: 0, nonce: [0; 32] };
    let mut bytes = Vec::new();
    Frame::Hello(hello).encode(&mut bytes).unwrap();
    bytes[HEADER_LEN + 4] = 77;
    let reason = refusal(&bytes, &server.address).await;
    assert_eq!(reason, "peer speaks protocol version 77, this side speaks 1");
    let http = refusal(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", &server.address).await;
    assert_eq!(http, "unknown frame kind 47");
    let mut early = Vec::new();
    Frame::Ping(1).encode(&mut early).unwrap();
    assert_eq!(refusal(&early, &server.address).await, "unexpected frame Ping");
}

#[tokio::test]
async fn without_memory_frames_are_refused_before_their_body_is_read() {
    let server = server_at(Port::reserve().unwrap(), 1_000).await;
    let client = connected(&server).await;
    let result = client.deliver(owner(vec![1; 2_000]), LONG).await.unwrap();
    assert_eq!((result.held, result.refused, result.retry_after_ms), (0, 3, 100));
    assert_eq!(client.deliver(owner(vec![1; 900]), LONG).await, Ok(DeliverResult::held(3)));
    assert_eq!(server.holder.got.lock().len(), 1);
}

#[tokio::test]
async fn a_lost_connection_leaves_outcomes_unknown_and_comes_back() {
    let server = server().await;
    let client = connected(&server).await;
    let sent = client.send(owner("stall")).unwrap();
    until("it came", || server.holder.got.lock().len() == 1).await;
    let port = server.kill().await;
    assert_eq!(sent.await, Err(PeerError::Unknown));
    until("the loss is seen", || !client.is_connected()).await;
    assert_eq!(client.send(owner("x")).err(), Some(PeerError::NotSent(NotSent::Disconnected)));
    let again = server_at(port, 1 << 20).await;
    until("connected again", || client.is_connected()).await;
    assert_eq!(client.deliver(owner("x"), LONG).await, Ok(DeliverResult::held(3)));
    assert_eq!(again.holder.got.lock().len(), 1);
}

#[tokio::test]
async fn no_answer_in_time_is_timed_out_and_others_go_on() {
    let server = server().await;
    let client = connected(&server).await;
    let short = Duration::from_millis(30);
    assert_eq!(client.deliver(owner("stall"), short).await, Err(PeerError::TimedOut));
    assert_eq!(client.deliver(owner("x"), LONG).await, Ok(DeliverResult::held(3)));
}

#[tokio::test]
async fn a_peer_that_sends_nothing_is_left() {
    // A socket that completes the handshake and then hangs: bytes go in, nothing comes out.
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let client = client(&listener.local_addr().to_string());
    let (tcp, _) = listener.accept().await;
    let me = identity(Role::Sampler, "sampler-0", "secret");
    let opened = handshake::accept(tcp, &me).await.unwrap();
    until("connected", || client.is_connected()).await;
    let sent = client.send(owner("x")).unwrap();
    assert_eq!(sent.await, Err(PeerError::Unknown));
    assert_eq!(client.last_error().unwrap(), "nothing heard for too long");
    drop(opened.reader);
}

#[tokio::test]
async fn what_the_queue_can_not_take_is_not_sent() {
    let server = server().await;
    let mut options = options(&server.address, "sampler-0", "secret");
    options.queue = 2;
    let client = PeerClient::spawn(options, Plain);
    until("connected", || client.is_connected()).await;
    // One thread, and no await in between: the connection can't take anything out.
    let sent: Vec<_> = (0..3).map(|_| client.send(owner("x"))).collect();
    assert!(sent[0].is_ok() && sent[1].is_ok());
    assert_eq!(sent[2].as_ref().err(), Some(&PeerError::NotSent(NotSent::Full)));
}

#[tokio::test]
async fn goodbye_lets_what_is_in_flight_end_and_takes_nothing_new() {
    let server = server().await;
    let client = connected(&server).await;
    let waits = client.send(owner("wait")).unwrap();
    until("it came", || server.holder.got.lock().len() == 1).await;
    server.shutdown.cancel();
    let new = || client.send(owner("x")).err();
    until("goodbye", || new() == Some(PeerError::NotSent(NotSent::Draining))).await;
    server.holder.release.notify_one();
    assert_eq!(waits.await, Ok(DeliverResult::held(3)));
    tokio::time::timeout(LONG, server.task).await.unwrap().unwrap();
}

/// Whatever way the bytes are cut up, the frames are the same.
#[tokio::test]
async fn frames_survive_any_cut() {
    let frames: Vec<Frame> = (0..200usize)
        .map(|n| match n % 3 {
            0 => Frame::Ping(n as u64),
            1 => Frame::Deliver(n as u64, owner(vec![n as u8; n * 37 % 5_000])),
            _ => Frame::DeliverResult(n as u64, DeliverResult::refused(1, 2, "r".repeat(n))),
        })
        .collect();
    for cut in [1, 7, 20, 333, 70_000] {
        let (a, b) = tokio::io::duplex(cut);
        let mut writer = FrameWriter::new(a);
        frames.iter().for_each(|frame| writer.push(frame).unwrap());
        let mut reader = FrameReader::new(b, MAX_BODY);
        let read = async {
            for expected in &frames {
                let skip = matches!(expected, Frame::Deliver(id, _) if id % 2 == 0);
                let gate = |_: &Header| if skip { Gate::Skip } else { Gate::Read(None) };
                match (reader.next(gate).await.unwrap(), expected) {
                    (Incoming::Frame(frame, _), expected) => assert_eq!(frame, *expected),
                    (Incoming::Skipped(header), Frame::Deliver(id, deliver)) => {
                        assert_eq!((header.id, header.count), (*id, deliver.spans));
                    }
                    (Incoming::Skipped(header), _) => panic!("skipped {header:?}"),
                }
            }
            assert!(matches!(reader.next(|_| Gate::Skip).await, Err(ConnectionError::Closed)));
        };
        let (written, ()) = tokio::join!(writer.finish(), read);
        written.unwrap();
    }
}

/// TLS keeps what it has written until it is flushed, so a missing flush would hang here.
#[tokio::test]
async fn the_protocol_runs_over_tls() {
    let made = rcgen::generate_simple_self_signed(["sampler-0".to_owned()]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        std::fs::write(dir.path().join(name), text).unwrap();
        dir.path().join(name)
    };
    let cert_file = file("cert.pem", made.cert.pem());
    let key = SecretSource::File(file("key.pem", made.signing_key.serialize_pem()));
    let cert = SecretSource::File(cert_file);
    let ours = ServerTls::new(cert.clone(), key);
    let theirs = ClientTls { ca: Some(cert), ..ClientTls::default() };

    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().to_string();
    let me = identity(Role::Sampler, "sampler-0", "secret");
    let server = ServerOptions::new(me, ByteBudget::new(64 << 20), ByteBudget::new(1 << 20));
    let acceptor = tls::server_config(&ours, &[]).unwrap();
    let server = PeerServer::new(listener, acceptor, Holder::default(), server);
    tokio::spawn(server.run(CancellationToken::new()));
    let tls = tls::client_config(&theirs, &[]).unwrap();
    let to = TlsTo { tls, name: "sampler-0".try_into().unwrap() };
    let client = PeerClient::spawn(options(&address, "sampler-0", "secret"), to);
    until("connected", || client.is_connected()).await;
    for len in [10, 20_000, 3 << 20] {
        let held = client.deliver(owner(vec![7; len]), LONG).await;
        assert_eq!(held, Ok(DeliverResult::held(3)));
    }
}
