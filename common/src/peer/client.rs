//! The asking side: one connection to one member, made again when it is lost.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::agreement::Agreement;
use super::backoff::Backoff;
use super::connection::Connection;
use super::handshake::{HandshakeError, Opened, connect};
use super::stream::ConnectionError;
use super::{
    Deliver, DeliverResult, Entry, GiveBackResult, Identity, NotSent, PeerError, SharedDigest,
    Upgrade,
};
use crate::clock::{Clock, Nanos};

/// How a client behaves.
#[derive(Clone)]
pub struct ClientOptions {
    /// Who this side is.
    pub identity: Identity,
    /// The name the other side must have.
    pub peer: Arc<str>,
    /// Where it is (`host:port`).
    pub address: String,
    /// For [`PeerClient::last_heard`].
    pub clock: Arc<dyn Clock>,
    /// Requests that may wait for the connection; more are not sent.
    pub queue: usize,
    /// Pause between heartbeats; three without any frame from the peer end the connection.
    pub heartbeat: Duration,
    /// Time for TCP, TLS and the handshake.
    pub connect_timeout: Duration,
}

/// A way to one member. Clones share the connection, which ends with the last of them.
#[derive(Clone)]
pub struct PeerClient {
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
    _guard: Arc<DropGuard>,
}

/// A result to come.
#[must_use = "futures do nothing unless polled"]
pub struct Reply<T>(oneshot::Receiver<Result<T, PeerError>>);

/// What the connection and its handles share.
pub(super) struct Shared {
    pub(super) options: ClientOptions,
    state: AtomicU8,
    last_heard: AtomicU64,
    peer_digest: SharedDigest,
    agreement: Mutex<Agreement>,
    last_error: Mutex<Option<String>>,
}

/// A request on its way.
pub(super) enum Command {
    Deliver(Deliver, ReplyTo<DeliverResult>),
    GiveBack(Vec<Entry>, ReplyTo<GiveBackResult>),
}

pub(super) type ReplyTo<T> = oneshot::Sender<Result<T, PeerError>>;

/// States of a client.
pub(super) const CONNECTING: u8 = 0;
pub(super) const CONNECTED: u8 = 1;
pub(super) const DRAINING: u8 = 2;
pub(super) const CLOSED: u8 = 3;

// === impl ClientOptions ===

impl ClientOptions {
    /// Usual times and sizes.
    pub fn new(
        identity: Identity,
        peer: impl Into<Arc<str>>,
        address: impl Into<String>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            identity,
            peer: peer.into(),
            address: address.into(),
            clock,
            queue: 1024,
            heartbeat: Duration::from_secs(1),
            connect_timeout: Duration::from_secs(2),
        }
    }
}

// === impl PeerClient ===

impl PeerClient {
    /// Starts to connect. Needs a tokio runtime.
    pub fn spawn<U: Upgrade>(options: ClientOptions, upgrade: U) -> Self {
        let (commands, queue) = mpsc::channel(options.queue.max(1));
        let agreement = Mutex::new(Agreement::new(options.clock.now()));
        let shared = Arc::new(Shared {
            options,
            agreement,
            state: AtomicU8::new(CONNECTING),
            last_heard: AtomicU64::new(0),
            peer_digest: SharedDigest::default(),
            last_error: Mutex::new(None),
        });
        let cancel = CancellationToken::new();
        tokio::spawn(keep_connected(shared.clone(), upgrade, queue, cancel.clone()));
        Self { commands, shared, _guard: Arc::new(cancel.drop_guard()) }
    }

    /// Sends spans. An error means that they can't have arrived.
    pub fn send(&self, deliver: Deliver) -> Result<Reply<DeliverResult>, PeerError> {
        self.request(|reply| Command::Deliver(deliver, reply))
    }

    /// Sends spans and waits for the result, for as long as `timeout`.
    pub async fn deliver(
        &self,
        deliver: Deliver,
        timeout: Duration,
    ) -> Result<DeliverResult, PeerError> {
        in_time(self.send(deliver)?, timeout).await
    }

    /// Returns what was held for the peer, and waits for the result, for as long as `timeout`.
    pub async fn give_back(
        &self,
        entries: Vec<Entry>,
        timeout: Duration,
    ) -> Result<GiveBackResult, PeerError> {
        in_time(self.request(|reply| Command::GiveBack(entries, reply))?, timeout).await
    }

    /// When the peer was last heard, by the clock given; none if it never was.
    pub fn last_heard(&self) -> Option<Nanos> {
        match self.shared.last_heard.load(Ordering::Relaxed) {
            0 => None,
            at => Some(Nanos(at - 1)),
        }
    }

    /// Whether requests are sent now.
    pub fn is_connected(&self) -> bool {
        self.shared.state.load(Ordering::Acquire) == CONNECTED
    }

    /// The member's name.
    pub fn peer(&self) -> &Arc<str> {
        &self.shared.options.peer
    }

    /// The digest of the peer's member set, as last heard.
    pub fn peer_digest(&self) -> u64 {
        self.shared.peer_digest.get()
    }

    /// Whether the peer was given other members than this side, for some seconds now.
    pub fn disagrees(&self) -> bool {
        let now = self.shared.options.clock.now();
        self.is_connected() && self.shared.agreement.lock().differs(now)
    }

    /// Why there is no connection; none while there is one.
    pub fn last_error(&self) -> Option<String> {
        self.shared.last_error.lock().clone()
    }

    fn request<T>(
        &self,
        command: impl FnOnce(ReplyTo<T>) -> Command,
    ) -> Result<Reply<T>, PeerError> {
        match self.shared.state.load(Ordering::Acquire) {
            CONNECTED => {}
            DRAINING => return Err(PeerError::NotSent(NotSent::Draining)),
            CLOSED => return Err(PeerError::Closed),
            _ => return Err(PeerError::NotSent(NotSent::Disconnected)),
        }
        let (sender, receiver) = oneshot::channel();
        self.commands.try_send(command(sender)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => PeerError::NotSent(NotSent::Full),
            mpsc::error::TrySendError::Closed(_) => PeerError::Closed,
        })?;
        Ok(Reply(receiver))
    }
}

impl fmt::Debug for PeerClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { options, .. } = &*self.shared;
        write!(f, "PeerClient({} at {})", options.peer, options.address)
    }
}

async fn in_time<T>(reply: Reply<T>, timeout: Duration) -> Result<T, PeerError> {
    tokio::time::timeout(timeout, reply).await.unwrap_or(Err(PeerError::TimedOut))
}

// === impl Reply ===

impl<T> Future for Reply<T> {
    type Output = Result<T, PeerError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // A sender that is dropped without a word leaves the outcome open.
        Poll::Ready(ready!(Pin::new(&mut self.0).poll(cx)).unwrap_or(Err(PeerError::Unknown)))
    }
}

// === impl Shared ===

impl Shared {
    pub(super) fn set_state(&self, state: u8) {
        self.state.store(state, Ordering::Release);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.state.load(Ordering::Acquire) == DRAINING
    }

    pub(super) fn heard(&self) {
        // One is added, so that 0 can mean never.
        self.last_heard.store(self.options.clock.now().0.saturating_add(1), Ordering::Relaxed);
    }

    pub(super) fn heard_digest(&self, digest: u64) {
        self.peer_digest.set(digest);
        let ours = self.options.identity.digest.get();
        if self.agreement.lock().look(self.options.clock.now(), ours, digest) {
            let peer = &self.options.peer;
            tracing::warn!(%peer, "this peer was given other members: traces are split");
        }
    }

    /// Logs each error once, not once for each attempt.
    fn failed(&self, error: &dyn fmt::Display) {
        let text = error.to_string();
        let mut last = self.last_error.lock();
        if last.as_ref() != Some(&text) {
            tracing::warn!(peer = %self.options.peer, error = %text, "no connection to peer");
            *last = Some(text);
        }
    }

    fn connected(&self) {
        tracing::info!(peer = %self.options.peer, "connected to peer");
        *self.last_error.lock() = None;
        self.heard();
        self.set_state(CONNECTED);
    }
}

// === impl Command ===

impl Command {
    /// The requester stopped waiting: nothing needs to be sent.
    pub(super) fn is_cancelled(&self) -> bool {
        match self {
            Self::Deliver(_, reply) => reply.is_closed(),
            Self::GiveBack(_, reply) => reply.is_closed(),
        }
    }

    pub(super) fn fail(self, error: PeerError) {
        // The requester may have gone, which is its right.
        match self {
            Self::Deliver(_, reply) => drop(reply.send(Err(error))),
            Self::GiveBack(_, reply) => drop(reply.send(Err(error))),
        }
    }
}

async fn keep_connected<U: Upgrade>(
    shared: Arc<Shared>,
    upgrade: U,
    mut queue: mpsc::Receiver<Command>,
    cancel: CancellationToken,
) {
    let mut backoff = Backoff::new();
    let run = async {
        loop {
            match open(&shared, &upgrade).await {
                Ok(opened) => {
                    backoff = Backoff::new();
                    shared.connected();
                    let error = Connection::new(opened, &shared).run(&mut queue).await;
                    shared.set_state(CONNECTING);
                    shared.failed(&error);
                }
                Err(error) => shared.failed(&error),
            }
            // What waited for the connection has not left.
            while let Ok(command) = queue.try_recv() {
                command.fail(PeerError::NotSent(NotSent::Disconnected));
            }
            tokio::time::sleep(backoff.next()).await;
        }
    };
    cancel.run_until_cancelled(run).await;
    shared.set_state(CLOSED);
    queue.close();
    while let Ok(command) = queue.try_recv() {
        command.fail(PeerError::Closed);
    }
}

async fn open<U: Upgrade>(
    shared: &Shared,
    upgrade: &U,
) -> Result<Opened<U::Stream>, HandshakeError> {
    let options = &shared.options;
    let open = async {
        let tcp = TcpStream::connect(&options.address).await.map_err(ConnectionError::Io)?;
        tcp.set_nodelay(true).map_err(ConnectionError::Io)?;
        let stream = upgrade.upgrade(tcp).await.map_err(HandshakeError::Tls)?;
        connect(stream, &options.identity, &options.peer).await
    };
    let opened = tokio::time::timeout(options.connect_timeout, open);
    let opened = opened.await.map_err(|_| HandshakeError::TimedOut)??;
    shared.heard_digest(opened.peer.digest.get());
    Ok(opened)
}
