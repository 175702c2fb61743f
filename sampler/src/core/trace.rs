//! A trace in the index, and the states it goes through.
//!
//! ## (new) => Pending | HeldFor
//! The first span makes an entry: Pending at the trace's owner, HeldFor at its deputy.
//!
//! ## HeldFor => Pending
//! The owner has been removed from the members: the deputy is the owner now. Age is kept.
//!
//! ## HeldFor => Offered
//! The owner is back and is offered the spans. The trace is frozen: spans that come now are refused, retryably.
//!
//! ## Offered => (gone) | HeldFor
//! The owner took them; or it did not, or did not say.
//!
//! ## Pending => Decided | Waiting
//! The timer fires, or the trace is decided early. A trace that is not kept gives its bytes back at once; a kept one
//! when the exporters have room, and until then it is Waiting.
//!
//! ## Waiting => Decided
//! The exporters took it; or it is given up, as their queues are full and memory is short (see [`super::relief`]).
//!
//! ## Decided => Waiting
//! More spans of a kept trace came, and the exporters have no room.
//!
//! ## Decided => (gone)
//! After a while the span hashes are forgotten, too; the decision cache still knows the decision.

use std::time::Duration;

use tailgate_common::clock::Nanos;
use tailgate_policy::{Facts, Value};

use super::log::RecordRef;
use super::seen::Seen;
use super::wheel::{TICK_NANOS, Tick};

/// A member of the fleet, as an index into the shell's list of names. Never reused.
pub type MemberId = u16;

/// What a trace in the index is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// For its timer.
    Pending,
    /// For its owner to come back or to be removed: not decided here.
    HeldFor(MemberId),
    /// For its owner to answer the offer to take it back.
    Offered(MemberId),
    /// For room in the exporters' queues; it is kept.
    Waiting,
    /// For being forgotten. Its spans are gone.
    Decided {
        /// It was kept.
        sampled: bool,
    },
}

/// All that is known about a trace.
#[derive(Debug)]
pub struct Trace {
    /// What it waits for.
    pub state: State,
    /// What it is worth, when it is kept.
    pub value: Value,
    /// When its first span came, here or at a member that handed it over.
    pub first_seen: Nanos,
    /// When its timer fires; timers set for another tick are stale. From the decision on, when that was.
    pub timer: Tick,
    /// Its last record; the others hang on it.
    pub last: Option<RecordRef>,
    /// Spans held.
    pub spans: u32,
    /// Bytes of its fragments.
    pub bytes: u32,
    /// What the policies know.
    pub facts: Facts,
    /// Hashes of its spans.
    pub seen: Seen,
}

// === impl Trace ===

impl Trace {
    /// How long ago it was decided, to a tick; of no meaning before.
    pub fn decided_for(&self, now: Nanos) -> Duration {
        Duration::from_nanos(now.0.saturating_sub(self.timer * TICK_NANOS))
    }
}
