//! One backend: a sampler over the internal protocol, or anything that takes OTLP/gRPC.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tailgate_common::client::{OtlpGrpcClient, SendError};
use tailgate_common::peer::{Deliver, DeliverResult, Mode, NotSent, PeerClient, PeerError};

use crate::core::{MemberId, Outcome};
use crate::resolver::Member;
use crate::stats::{BackendStats, Stats};

/// The way to a backend.
#[derive(Clone, Debug)]
pub enum Link {
    /// A Tailgate sampler.
    Peer(PeerClient),
    /// Plain OTLP/gRPC.
    Otlp(Box<OtlpGrpcClient>),
}

/// A member, the way to it, and its counters.
#[derive(Debug)]
pub struct Backend {
    /// Its id in the views.
    pub id: MemberId,
    /// Its name and address.
    pub member: Member,
    /// The way to it.
    pub link: Link,
    /// Its counters.
    pub stats: BackendStats,
    failing: AtomicBool,
}

/// A part of a request, for one backend.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) attempt: u32,
    pub(crate) spans: u32,
    pub(crate) fragment: Bytes,
    /// The owner's name, if the backend is its deputy.
    pub(crate) deputy_of: Option<Arc<str>>,
}

/// How an attempt ended, and why it was not (all) held.
pub(crate) struct Ended {
    pub(crate) attempt: u32,
    pub(crate) outcome: Outcome,
    pub(crate) reason: String,
}

/// The gRPC codes that are not about whether the server is there.
const INVALID_ARGUMENT: u32 = 3;
const DEADLINE_EXCEEDED: u32 = 4;

// === impl Backend ===

impl Backend {
    /// One that has not failed yet.
    pub fn new(id: MemberId, member: Member, link: Link, stats: BackendStats) -> Self {
        Self { id, member, link, stats, failing: AtomicBool::default() }
    }

    /// Whether parts can be sent to it now. OTLP backends are connected to when they are needed.
    pub fn is_connected(&self) -> bool {
        match &self.link {
            Link::Peer(client) => client.is_connected(),
            Link::Otlp(_) => true,
        }
    }

    /// Whether its last answer was that it does not take spans, or none. Members are told by their silence.
    pub fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// Says so when that changes; members have states for it.
    fn answers(&self, held: bool, reason: &str) {
        if matches!(self.link, Link::Peer(_)) || self.failing.swap(!held, Ordering::Relaxed) != held
        {
            return;
        }
        let name = &*self.member.name;
        match held {
            true => tracing::info!(backend = name, "backend takes spans again"),
            false => tracing::warn!(backend = name, reason, "backend takes no spans"),
        }
    }

    /// Whether it was given other members than this load balancer, for some seconds now.
    pub fn disagrees(&self) -> bool {
        matches!(&self.link, Link::Peer(client) if client.disagrees())
    }
}

/// Sends a parcel and waits for its outcome; the delivery sets the time limit.
pub(crate) async fn attempt(backend: Arc<Backend>, stats: Arc<Stats>, parcel: Parcel) -> Ended {
    let Parcel { attempt, spans, fragment, deputy_of } = parcel;
    let start = Instant::now();
    let _sending = stats.send(spans, fragment.len());
    let (outcome, reason) = match &backend.link {
        Link::Peer(client) => {
            let mode = deputy_of.map_or(Mode::Owner, |owner| Mode::Deputy { owner });
            let result = match client.send(Deliver { mode, spans, fragment }) {
                Ok(reply) => reply.await,
                Err(error) => Err(error),
            };
            if result == Err(PeerError::NotSent(NotSent::Full)) {
                backend.stats.enqueue_failed(spans);
                stats.enqueue_failed(spans);
            }
            of_peer(spans, result)
        }
        // Boxed: its future is large, and most requests have none.
        Link::Otlp(client) => match Box::pin(client.export(fragment)).await {
            Ok(exported) => {
                let rejected = u32::try_from(exported.rejected).unwrap_or(u32::MAX).min(spans);
                (Outcome::Held { rejected }, exported.message)
            }
            Err(error) => match of_otlp(spans, error) {
                held @ (Outcome::Held { .. }, _) => held,
                (outcome, reason) => (outcome, format!("{}: {reason}", backend.member.name)),
            },
        },
    };
    if matches!(backend.link, Link::Otlp(_)) {
        stats.rpc_took(start.elapsed());
    }
    let held = matches!(outcome, Outcome::Held { .. });
    backend.stats.outcome(held);
    backend.answers(held, &reason);
    if !matches!(outcome, Outcome::Unanswered { .. }) {
        backend.stats.answered_after(start.elapsed());
    }
    Ended { attempt, outcome, reason }
}

fn of_peer(spans: u32, result: Result<DeliverResult, PeerError>) -> (Outcome, String) {
    let result = match result {
        Ok(result) => result,
        Err(error) => {
            let outcome = match &error {
                PeerError::NotSent(NotSent::Full) => Outcome::Refused { retry_after: None },
                // Receivers take no more than fits; if it came to this, no retry would help.
                PeerError::NotSent(NotSent::TooLarge) => Outcome::Held { rejected: spans },
                PeerError::NotSent(_) => Outcome::Unanswered { sent: false },
                PeerError::Unknown | PeerError::TimedOut | PeerError::Closed => {
                    Outcome::Unanswered { sent: true }
                }
            };
            return (outcome, error.to_string());
        }
    };
    // Counts that don't add up leave open what is held, so all is sent again.
    if result.refused == 0 && result.held.checked_add(result.rejected) == Some(spans) {
        return (Outcome::Held { rejected: result.rejected }, result.reason);
    }
    let after = Duration::from_millis(u64::from(result.retry_after_ms));
    (Outcome::Refused { retry_after: Some(after).filter(|d| !d.is_zero()) }, result.reason)
}

fn of_otlp(spans: u32, error: SendError) -> (Outcome, String) {
    let outcome = match error.code {
        INVALID_ARGUMENT => Outcome::Held { rejected: spans },
        DEADLINE_EXCEEDED => Outcome::Unanswered { sent: true },
        // Others that are final for the backend, such as a missing permission, say nothing about
        // the spans: the client keeps them.
        _ => Outcome::Refused { retry_after: error.retry_after },
    };
    (outcome, error.message)
}
