//! What goes into a delivery and what comes out.

use std::time::Duration;

use super::view::Target;

/// Times of a delivery.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// For one attempt.
    pub attempt: Duration,
    /// The first pause before a part is sent again; it doubles.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
}

/// What happens to a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It begins.
    Start,
    /// An attempt has ended.
    Outcome {
        /// As in [`Effect::Send`].
        attempt: u32,
        /// How it ended.
        outcome: Outcome,
    },
    /// Time went by; due at [`super::Delivery::next_due`].
    Tick,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Held, but for `rejected` spans that can never be.
    Held {
        /// How many.
        rejected: u32,
    },
    /// No room now.
    Refused {
        /// When to try again, if the receiver said so.
        retry_after: Option<Duration>,
    },
    /// No answer.
    Unanswered {
        /// Whether the receiver may have got it.
        sent: bool,
    },
}

/// What a delivery wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send the spans of a part ([`super::Delivery::spans`], now) to a member.
    Send {
        /// Index of the part.
        part: u32,
        /// To be returned with the outcome.
        attempt: u32,
        /// To whom, and as what.
        target: Target,
    },
    /// Answer the client. Comes once, as the last effect.
    Answer(Answer),
}

/// The answer to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// All is held, but for `rejected` spans that can never be.
    Held {
        /// How many.
        rejected: u64,
    },
    /// Not all is held; send all of it again.
    Unavailable {
        /// The longest wish of a receiver, if any had one.
        retry_after: Option<Duration>,
    },
}

/// Spans by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Held by a member.
    pub held: u64,
    /// Can never be held, says a member.
    pub rejected: u64,
    /// Not held when the time was up.
    pub failed: u64,
    /// Of those, what a member may hold all the same.
    pub doubtful: u64,
    /// Neither held nor failed yet.
    pub open: u64,
}

// === impl Timing ===

impl Default for Timing {
    fn default() -> Self {
        Self {
            attempt: Duration::from_secs(2),
            first_pause: Duration::from_millis(50),
            longest_pause: Duration::from_secs(1),
        }
    }
}
