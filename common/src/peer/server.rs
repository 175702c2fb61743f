//! The answering side: accepts connections, asks the service, answers in whatever order it does.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tailgate_proto::peer::{Frame, Header, Kind};
use tokio::io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::handshake::{HandshakeError, Opened, accept};
use super::stream::{ConnectionError, FrameReader, FrameWriter, Gate, Incoming};
use super::{
    Deliver, DeliverResult, Entry, GiveBackResult, Identity, PeerInfo, PeerService, RefusedPeers,
    Upgrade,
};
use crate::limit::{ByteBudget, Permit};
use crate::net::Listener;

/// How a server behaves.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Who it is.
    pub identity: Identity,
    /// For the bodies of `Deliver` frames.
    pub deliver_budget: ByteBudget,
    /// For the bodies of `GiveBack` frames: a class of their own, so that two samplers can't wait
    /// for each other.
    pub give_back_budget: ByteBudget,
    /// Counts those that are refused.
    pub refused: Arc<RefusedPeers>,
    /// Connections at once; more are closed.
    pub max_connections: usize,
    /// Time for TLS and the handshake.
    pub handshake_timeout: Duration,
    /// A peer that sends nothing for this long is gone: clients send a heartbeat each second.
    pub idle_timeout: Duration,
}

/// A listening server.
pub struct PeerServer<U, P> {
    listener: Listener,
    shared: Arc<Shared<U, P>>,
}

struct Shared<U, P> {
    upgrade: U,
    service: P,
    options: ServerOptions,
}

/// What a request needs until its answer is known.
struct Request<'a, P> {
    service: &'a P,
    peer: &'a PeerInfo,
    permit: Option<Permit>,
}

enum Step {
    Incoming(Incoming),
    Answer(Frame),
    Wrote,
    Goodbye,
    IdleCheck,
}

/// Requests of one connection that wait for their answer; beyond, nothing more is read.
const MAX_IN_FLIGHT: usize = 1024;
/// Bytes of answers that wait to be written; beyond, nothing more is read.
const MAX_QUEUED: usize = 256 << 10;
/// What a peer whose frame found no room is told to wait.
const NO_ROOM_RETRY_MS: u32 = 100;
/// How long connections may go on after the shutdown signal.
const GRACE: Duration = Duration::from_secs(5);

// === impl ServerOptions ===

impl ServerOptions {
    /// Usual limits.
    pub fn new(identity: Identity, deliver: ByteBudget, give_back: ByteBudget) -> Self {
        Self {
            identity,
            deliver_budget: deliver,
            give_back_budget: give_back,
            refused: Arc::default(),
            max_connections: 1024,
            handshake_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(15),
        }
    }
}

// === impl PeerServer ===

impl<U: Upgrade, P: PeerService> PeerServer<U, P> {
    /// A server on a bound listener.
    pub fn new(listener: Listener, upgrade: U, service: P, options: ServerOptions) -> Self {
        Self { listener, shared: Arc::new(Shared { upgrade, service, options }) }
    }

    /// Serves until `shutdown`; then says goodbye to all peers and goes on answering until they
    /// close or five seconds are over.
    pub async fn run(self, shutdown: CancellationToken) {
        let slots = Arc::new(Semaphore::new(self.shared.options.max_connections));
        let mut connections = JoinSet::new();
        loop {
            let (tcp, from) = tokio::select! {
                accepted = self.listener.accept() => accepted,
                Some(_) = connections.join_next() => continue,
                () = shutdown.cancelled() => break,
            };
            let Ok(slot) = slots.clone().try_acquire_owned() else {
                tracing::warn!(%from, "too many peer connections");
                continue;
            };
            let (shared, shutdown) = (self.shared.clone(), shutdown.clone());
            connections.spawn(async move {
                if let Err(error) = shared.connection(tcp, shutdown).await
                    && let Some(unsaid) = shared.options.refused.count(&error)
                {
                    tracing::warn!(%from, %error, unsaid, "peer refused");
                }
                drop(slot);
            });
        }
        drop(self.listener);
        let drained = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, drained).await.is_err() {
            tracing::warn!("peer connections cut off at shutdown");
        }
    }
}

// === impl Shared ===

impl<U: Upgrade, P: PeerService> Shared<U, P> {
    async fn connection(
        &self,
        tcp: tokio::net::TcpStream,
        shutdown: CancellationToken,
    ) -> Result<(), HandshakeError> {
        let open = async {
            let stream = self.upgrade.upgrade(tcp).await.map_err(HandshakeError::Tls)?;
            accept(stream, &self.options.identity).await
        };
        let opened = tokio::time::timeout(self.options.handshake_timeout, open);
        let opened = opened.await.map_err(|_| HandshakeError::TimedOut)??;
        let name = opened.peer.name.clone();
        tracing::info!(peer = %name, "peer connected");
        match serve(opened, &self.service, &self.options, shutdown).await {
            Ok(()) | Err(ConnectionError::Closed) => tracing::info!(peer = %name, "peer left"),
            Err(error) => tracing::warn!(peer = %name, %error, "peer connection lost"),
        }
        Ok(())
    }
}

async fn serve<S: AsyncRead + AsyncWrite, P: PeerService>(
    opened: Opened<S>,
    service: &P,
    options: &ServerOptions,
    shutdown: CancellationToken,
) -> Result<(), ConnectionError> {
    let Opened { mut reader, writer, peer }: Opened<S> = opened;
    let mut writer: FrameWriter<WriteHalf<S>> = FrameWriter::new(writer);
    let reader: &mut FrameReader<ReadHalf<S>> = &mut reader;
    let mut in_flight = FuturesUnordered::new();
    let mut idle = tokio::time::interval(options.idle_timeout);
    let (mut heard, mut goodbye) = (true, false);
    loop {
        let room = in_flight.len() < MAX_IN_FLIGHT && writer.queued() < MAX_QUEUED;
        // In this order, so that answers gather while there is more to read.
        let step = tokio::select! {
            biased;
            Some(frame) = in_flight.next() => Step::Answer(frame),
            next = reader.next(|header| gate(header, options)), if room => Step::Incoming(next?),
            wrote = writer.write(), if !writer.is_idle() => { wrote?; Step::Wrote }
            () = shutdown.cancelled(), if !goodbye => Step::Goodbye,
            _ = idle.tick() => Step::IdleCheck,
        };
        match step {
            Step::Wrote => {}
            Step::Answer(frame) => writer.push(&frame)?,
            Step::Goodbye => {
                goodbye = true;
                writer.push(&Frame::Goodbye)?;
            }
            // A peer is not read while there is no room, so it can't be heard then.
            Step::IdleCheck if !heard && room => return Err(ConnectionError::Silent),
            Step::IdleCheck => heard = false,
            Step::Incoming(Incoming::Skipped(header)) => {
                heard = true;
                writer.push(&no_room(&header))?;
            }
            Step::Incoming(Incoming::Frame(frame, permit)) => {
                heard = true;
                let request = Request { service, peer: &peer, permit };
                match frame {
                    Frame::Ping(digest) => {
                        peer.digest.set(digest);
                        writer.push(&Frame::Pong(options.identity.digest.get()))?;
                    }
                    Frame::Goodbye => {}
                    Frame::Error(reason) => return Err(ConnectionError::Peer(reason)),
                    Frame::Deliver(..) | Frame::GiveBack(..) => {
                        in_flight.push(request.answer(frame));
                    }
                    other => return Err(ConnectionError::Unexpected(other.kind())),
                }
            }
        }
    }
}

fn gate(header: &Header, options: &ServerOptions) -> Gate {
    let budget = match header.kind {
        Kind::Deliver => &options.deliver_budget,
        Kind::GiveBack => &options.give_back_budget,
        _ => return Gate::Read(None),
    };
    match budget.try_acquire(u64::from(header.len)) {
        Some(permit) => Gate::Read(Some(permit)),
        None => Gate::Skip,
    }
}

fn no_room(header: &Header) -> Frame {
    let reason = "no memory for more spans now";
    if header.kind == Kind::Deliver {
        let result = DeliverResult::refused(header.count, NO_ROOM_RETRY_MS, reason);
        return Frame::DeliverResult(header.id, result);
    }
    let reason = reason.to_owned();
    let result = GiveBackResult { taken: 0, retry_after_ms: NO_ROOM_RETRY_MS, reason };
    Frame::GiveBackResult(header.id, result)
}

// === impl Request ===

impl<P: PeerService> Request<'_, P> {
    /// The answer's frame. The permit lives until then.
    async fn answer(self, frame: Frame) -> Frame {
        let answer = match frame {
            Frame::Deliver(id, deliver) => Frame::DeliverResult(id, self.deliver(deliver).await),
            Frame::GiveBack(id, entries) => {
                Frame::GiveBackResult(id, self.give_back(entries).await)
            }
            other => other,
        };
        drop(self.permit);
        answer
    }

    async fn deliver(&self, deliver: Deliver) -> DeliverResult {
        self.service.deliver(self.peer, deliver).await
    }

    async fn give_back(&self, entries: Vec<Entry>) -> GiveBackResult {
        self.service.give_back(self.peer, entries).await
    }
}
