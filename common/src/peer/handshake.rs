//! The handshake: version, names, and a proof of the shared secret from each side.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tailgate_proto::peer::{Frame, HEADER_LEN, Hello, MAX_BODY, MAX_HANDSHAKE_BODY, proof_input};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};

use super::stream::{ConnectionError, FrameReader, Gate, Incoming};
use super::{Identity, PeerInfo, SharedDigest};
use crate::auth::{NoRandomness, random};

/// Why two sides don't talk.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The connection failed, or the other side said why it refuses.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// There is no TLS with the other side.
    #[error("TLS: {0}")]
    Tls(io::Error),
    /// The other side does not know the secret.
    #[error("the shared secret does not match")]
    Secret,
    /// The address leads to another member.
    #[error("expected {expected} here, found {found}")]
    Name {
        /// The member looked for.
        expected: Arc<str>,
        /// The member that answered.
        found: Arc<str>,
    },
    /// It took too long.
    #[error("no handshake in time")]
    TimedOut,
    /// No nonce.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// A connection after its handshake.
pub(super) struct Opened<S> {
    pub(super) reader: FrameReader<ReadHalf<S>>,
    pub(super) writer: WriteHalf<S>,
    pub(super) peer: PeerInfo,
}

type Result<T> = std::result::Result<T, HandshakeError>;

/// How long a refused peer has to read the reason.
const LINGER: Duration = Duration::from_secs(1);

/// The connecting side. `expected` is the name the other side must have.
pub(super) async fn connect<S: AsyncRead + AsyncWrite>(
    stream: S,
    me: &Identity,
    expected: &Arc<str>,
) -> Result<Opened<S>> {
    let (mut reader, mut writer) = halves(stream);
    let ours = send_hello(&mut writer, me).await?;
    let (hello, theirs) = receive_hello(&mut reader).await?;
    if hello.name != *expected {
        return Err(HandshakeError::Name { expected: expected.clone(), found: hello.name });
    }
    let keys = me.secret.keys();
    let Some(key) = keys.first() else { return Err(HandshakeError::Secret) };
    let mac = key.sign(&proof_input(true, &ours, &theirs));
    send(&mut writer, &Frame::Proof(mac)).await?;
    let mac = receive_proof(&mut reader).await?;
    // The other side answers by the secret that it was shown.
    if !key.verify(&proof_input(false, &ours, &theirs), &mac) {
        return Err(HandshakeError::Secret);
    }
    Ok(opened(reader, writer, hello))
}

/// The accepting side. A peer that is refused is told why.
pub(super) async fn accept<S: AsyncRead + AsyncWrite>(
    stream: S,
    me: &Identity,
) -> Result<Opened<S>> {
    let (mut reader, mut writer) = halves(stream);
    match try_accept(&mut reader, &mut writer, me).await {
        Ok(hello) => Ok(opened(reader, writer, hello)),
        Err(error) => {
            tell(reader, writer, &error).await;
            Err(error)
        }
    }
}

async fn try_accept<S: AsyncRead + AsyncWrite>(
    reader: &mut FrameReader<ReadHalf<S>>,
    writer: &mut WriteHalf<S>,
    me: &Identity,
) -> Result<Hello> {
    let (hello, theirs) = receive_hello(reader).await?;
    let ours = send_hello(writer, me).await?;
    let mac = receive_proof(reader).await?;
    let (keys, input) = (me.secret.keys(), proof_input(true, &theirs, &ours));
    let Some(key) = keys.iter().find(|key| key.verify(&input, &mac)) else {
        return Err(HandshakeError::Secret);
    };
    let mac = key.sign(&proof_input(false, &theirs, &ours));
    send(writer, &Frame::Proof(mac)).await?;
    Ok(hello)
}

/// Sends the reason, then waits a little for the peer to close: a reset would overtake the reason.
async fn tell<S: AsyncRead + AsyncWrite>(
    mut reader: FrameReader<ReadHalf<S>>,
    mut writer: WriteHalf<S>,
    error: &HandshakeError,
) {
    if matches!(error, HandshakeError::Connection(ConnectionError::Io(_) | ConnectionError::Closed))
    {
        return;
    }
    let told = async {
        send(&mut writer, &Frame::Error(error.to_string())).await?;
        writer.shutdown().await.map_err(ConnectionError::Io)?;
        while reader.next(|_| Gate::Skip).await.is_ok() {}
        Ok::<(), HandshakeError>(())
    };
    // The peer is refused either way.
    let _ = tokio::time::timeout(LINGER, told).await;
}

fn halves<S: AsyncRead + AsyncWrite>(stream: S) -> (FrameReader<ReadHalf<S>>, WriteHalf<S>) {
    let (reader, writer) = tokio::io::split(stream);
    (FrameReader::new(reader, MAX_HANDSHAKE_BODY), writer)
}

fn opened<S: AsyncRead + AsyncWrite>(
    mut reader: FrameReader<ReadHalf<S>>,
    writer: WriteHalf<S>,
    hello: Hello,
) -> Opened<S> {
    reader.raise(MAX_BODY);
    let digest = SharedDigest::new(hello.digest);
    Opened { reader, writer, peer: PeerInfo { role: hello.role, name: hello.name, digest } }
}

/// Sends our hello; its body comes back, for the proofs.
async fn send_hello<W: AsyncWrite + Unpin>(writer: &mut W, me: &Identity) -> Result<Vec<u8>> {
    let hello =
        Hello { role: me.role, name: me.name.clone(), digest: me.digest.get(), nonce: random()? };
    let mut bytes = send(writer, &Frame::Hello(hello)).await?;
    Ok(bytes.split_off(HEADER_LEN))
}

async fn send<W: AsyncWrite + Unpin>(writer: &mut W, frame: &Frame) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes).map_err(ConnectionError::Frame)?;
    write(writer, &bytes).await.map_err(ConnectionError::Io)?;
    Ok(bytes)
}

async fn write<W: AsyncWrite + Unpin>(writer: &mut W, bytes: &[u8]) -> io::Result<()> {
    writer.write_all(bytes).await?;
    writer.flush().await
}

/// The other side's hello, and its body: the codec is strict, so encoding gives the same bytes.
async fn receive_hello<R: AsyncRead + Unpin>(
    reader: &mut FrameReader<R>,
) -> Result<(Hello, Vec<u8>)> {
    match receive(reader).await? {
        Frame::Hello(hello) => {
            let mut bytes = Vec::new();
            let frame = Frame::Hello(hello.clone());
            frame.encode(&mut bytes).map_err(ConnectionError::Frame)?;
            Ok((hello, bytes.split_off(HEADER_LEN)))
        }
        frame => Err(unexpected(frame)),
    }
}

async fn receive_proof<R: AsyncRead + Unpin>(reader: &mut FrameReader<R>) -> Result<[u8; 32]> {
    match receive(reader).await? {
        Frame::Proof(mac) => Ok(mac),
        frame => Err(unexpected(frame)),
    }
}

async fn receive<R: AsyncRead + Unpin>(reader: &mut FrameReader<R>) -> Result<Frame> {
    loop {
        if let Incoming::Frame(frame, _) = reader.next(|_| Gate::Read(None)).await? {
            return Ok(frame);
        }
    }
}

fn unexpected(frame: Frame) -> HandshakeError {
    HandshakeError::Connection(match frame {
        Frame::Error(reason) => ConnectionError::Peer(reason),
        other => ConnectionError::Unexpected(other.kind()),
    })
}
