//! The internal protocol between the tiers, over TCP or TLS: who the other side is, requests
//! pipelined by id, heartbeats. The frames are in [`tailgate_proto::peer`].
//!
//! A server answers a request only when its service has; nothing is queued behind an answer.
//! A client that lost its connection says for each request whether it may have arrived
//! ([`PeerError::Unknown`]) or can't have ([`PeerError::NotSent`]).

mod agreement;
mod auth;
mod backoff;
mod client;
mod connection;
mod handshake;
mod refused;
#[cfg(test)]
mod secret_tests;
mod server;
mod stream;
#[cfg(test)]
mod tests;
mod upgrade;

pub use self::auth::{SecretError, SharedSecret};
pub use self::client::{ClientOptions, PeerClient, Reply};
pub use self::handshake::HandshakeError;
pub use self::refused::RefusedPeers;
pub use self::server::{PeerServer, ServerOptions};
pub use self::stream::ConnectionError;
pub use self::upgrade::{Plain, TlsTo, Upgrade};
pub use tailgate_proto::peer::{Deliver, DeliverResult, Entry, GiveBackResult, Mode, Role};

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tailgate_proto::peer::{MAX_BODY, MAX_NAME};

/// The largest fragment that fits into a frame whatever goes with it: the mode, and the owner's
/// name with its length.
pub const MAX_FRAGMENT: usize = MAX_BODY - MAX_NAME - 8;

/// Who this side is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The tier.
    pub role: Role,
    /// The instance's name among the members.
    pub name: Arc<str>,
    /// What both sides must know.
    pub secret: SharedSecret,
    /// Digest of the member set that this side was given, silent members included; see
    /// [`crate::ownership::Table::digest`].
    pub digest: SharedDigest,
}

/// The digest of a node's member set, which changes with it. Clones share the value.
#[derive(Clone, Debug, Default)]
pub struct SharedDigest(Arc<AtomicU64>);

/// Who the other side is, as shown in the handshake.
#[derive(Clone, Debug)]
pub struct PeerInfo {
    /// The tier.
    pub role: Role,
    /// Its name.
    pub name: Arc<str>,
    /// The digest of its member set, kept up to date by its heartbeats.
    pub digest: SharedDigest,
}

/// What a server does with requests.
///
/// A future is dropped when its connection ends: what it did by then stays done, and the requester
/// takes the outcome as unknown and sends again.
pub trait PeerService: Send + Sync + 'static {
    /// Holds spans. Answers only when the outcome of each is known. The fragment shares the
    /// connection's read buffer, so copy what shall stay.
    fn deliver(
        &self,
        peer: &PeerInfo,
        deliver: Deliver,
    ) -> impl Future<Output = DeliverResult> + Send;

    /// Takes over what a deputy held, in order.
    fn give_back(
        &self,
        peer: &PeerInfo,
        entries: Vec<Entry>,
    ) -> impl Future<Output = GiveBackResult> + Send;
}

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// The request never left: the other side can't have seen it.
    #[error("not sent: {0}")]
    NotSent(NotSent),
    /// The connection was lost: the other side may have seen it.
    #[error("the connection was lost before an answer came")]
    Unknown,
    /// No answer in time: the other side may have seen it.
    #[error("no answer in time")]
    TimedOut,
    /// This client was shut down.
    #[error("the client is closed")]
    Closed,
}

/// Why a request was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// There is no connection now.
    #[error("not connected")]
    Disconnected,
    /// The way to the peer is full: it is slower than what comes in.
    #[error("the queue to the peer is full")]
    Full,
    /// The peer said goodbye.
    #[error("the peer is shutting down")]
    Draining,
    /// Larger than a frame may be.
    #[error("larger than a frame may be")]
    TooLarge,
}

// === impl SharedDigest ===

impl SharedDigest {
    /// Starts with `digest`.
    pub fn new(digest: u64) -> Self {
        Self(Arc::new(AtomicU64::new(digest)))
    }

    /// The digest now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Replaces it.
    pub fn set(&self, digest: u64) {
        self.0.store(digest, Ordering::Relaxed);
    }
}
