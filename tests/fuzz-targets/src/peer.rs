//! The internal protocol: frames, and a server before it knows who is there.

use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;
use tailgate_common::config::{Secret, SecretSource};
use tailgate_common::limit::ByteBudget;
use tailgate_common::net::Listener;
use tailgate_common::peer::{
    Deliver, DeliverResult, Entry, GiveBackResult, Identity, PeerInfo, PeerServer, PeerService,
    Plain, Role, ServerOptions, SharedDigest, SharedSecret,
};
use tailgate_proto::peer::{Frame, HEADER_LEN, Header, MAX_BODY};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// The largest thing that a stranger is told: a hello, or an error with its reason.
const LARGEST_ANSWER: usize = 2_048;

/// Decoding any bytes as frames, one after another: each that is read is written the same.
pub(crate) fn frames_any(mut bytes: &[u8]) {
    while let Some((head, rest)) = bytes.split_first_chunk::<HEADER_LEN>() {
        let Ok(header) = Header::decode(head, MAX_BODY) else { return };
        let Some((body, rest)) = rest.split_at_checked(header.len as usize) else { return };
        if let Ok(frame) = Frame::decode(&header, Bytes::copy_from_slice(body)) {
            let mut out = Vec::new();
            let payload = frame.encode(&mut out).expect("it was no larger").cloned();
            out.extend_from_slice(&payload.unwrap_or_default());
            let again = Header::decode(out.first_chunk().expect("a header"), MAX_BODY);
            let again = again.expect("a header of ours");
            let body = Bytes::copy_from_slice(&out[HEADER_LEN..]);
            assert_eq!(Frame::decode(&again, body).as_ref(), Ok(&frame));
        }
        bytes = rest;
    }
}

/// Nobody gets here who does not know the secret.
struct Nobody;

impl PeerService for Nobody {
    async fn deliver(&self, _: &PeerInfo, _: Deliver) -> DeliverResult {
        panic!("a stranger delivered")
    }

    async fn give_back(&self, _: &PeerInfo, _: Vec<Entry>) -> GiveBackResult {
        panic!("a stranger gave back")
    }
}

/// A server that runs for as long as the process.
fn server() -> &'static (Runtime, SocketAddr) {
    static SERVER: OnceLock<(Runtime, SocketAddr)> = OnceLock::new();
    SERVER.get_or_init(|| {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(Listener::bind("127.0.0.1:0")).unwrap();
        let addr = listener.local_addr();
        let secret = SecretSource::Inline(Secret::new("nobody knows"));
        let identity = Identity {
            role: Role::Sampler,
            name: "sampler-0".into(),
            secret: SharedSecret::from_source(&secret, Duration::MAX).unwrap(),
            digest: SharedDigest::default(),
        };
        let budget = || ByteBudget::new(1 << 20);
        let options = ServerOptions::new(identity, budget(), budget());
        let server = PeerServer::new(listener, Plain, Nobody, options);
        runtime.spawn(server.run(CancellationToken::new()));
        (runtime, addr)
    })
}

/// Any bytes at the door between the tiers: it closes, with few words.
pub(crate) fn handshake_any(bytes: &[u8]) {
    let (runtime, addr) = server();
    runtime.block_on(async {
        let exchange = async {
            let mut stream = TcpStream::connect(addr).await.unwrap();
            // Closed before all is written, or reset: that is an answer, too.
            let _ = (stream.write_all(bytes).await, stream.shutdown().await);
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            assert!(answer.len() <= LARGEST_ANSWER);
        };
        tokio::time::timeout(Duration::from_secs(20), exchange).await.expect("it closes");
    });
}
