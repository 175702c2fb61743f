//! A part of a request: spans that go to the same place.

use std::ops::Range;

use tailgate_common::clock::Nanos;

use super::view::{MemberId, Target};

/// Spans of a request that go to one member together.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// Of the delivery's order.
    pub(super) spans: Range<u32>,
    pub(super) state: State,
    pub(super) target: Option<Target>,
    /// The attempt with these spans that was given up last, and to whom it went.
    pub(super) given_up: Option<(u32, MemberId)>,
    /// Version of the view that named the target.
    pub(super) version: u64,
    /// Pauses so far.
    pub(super) pauses: u32,
    /// A member may hold it although it did not say so.
    pub(super) doubtful: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Not sent yet.
    New,
    /// Sent as this attempt; without an answer until then it counts as unanswered.
    Sending { attempt: u32, until: Nanos },
    /// To be sent again then.
    Waiting { until: Nanos },
    /// Held, but for `rejected` spans that can never be.
    Held { by: MemberId, rejected: u32 },
    /// The time is up.
    Failed,
}

/// What can happen to a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Transition {
    /// Sent to its owner.
    SentToOwner,
    /// Sent to the deputy of a silent owner, or of one that did not answer.
    SentToDeputy,
    /// The owner holds it.
    HeldByOwner,
    /// The deputy holds it.
    HeldByDeputy,
    /// Some of its spans can never be held.
    SomeRejected,
    /// The receiver had no room.
    Refused,
    /// No answer from the owner.
    OwnerUnanswered,
    /// No answer from the deputy.
    DeputyUnanswered,
    /// Its spans have several deputies or owners now.
    Split,
    /// It waits before it is sent again.
    Paused,
    /// Held, but by somebody the table does not name any longer: sent again.
    Misplaced,
    /// The time was up.
    Failed,
    /// Held after all: the answer came when the attempt had been given up.
    HeldLate,
    /// Any other answer to an attempt that had been given up.
    Stale,
}

/// How often each [`Transition`] happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transitions([u32; 14]);

// === impl Part ===

impl Part {
    pub(super) fn new(spans: Range<u32>) -> Self {
        let (state, target, given_up) = (State::New, None, None);
        Self { spans, state, target, given_up, version: 0, pauses: 0, doubtful: false }
    }

    pub(super) fn len(&self) -> u32 {
        self.spans.end - self.spans.start
    }

    pub(super) fn range(&self) -> Range<usize> {
        self.spans.start as usize..self.spans.end as usize
    }

    pub(super) fn is_final(&self) -> bool {
        matches!(self.state, State::Held { .. } | State::Failed)
    }

    pub(super) fn is_attempt(&self, number: u32) -> bool {
        matches!(self.state, State::Sending { attempt, .. } if attempt == number)
    }

    /// To whom this attempt went, if it is the one given up last and the part is still open.
    pub(super) fn late(&self, number: u32) -> Option<MemberId> {
        let of = |(attempt, to)| (attempt == number).then_some(to);
        self.given_up.and_then(of).filter(|_| !self.is_final())
    }

    pub(super) fn is_with_deputy(&self) -> bool {
        self.target.is_some_and(|target| target.deputy_of.is_some())
    }
}

// === impl Transitions ===

impl Transitions {
    /// All of them, in order.
    pub const ALL: [Transition; 14] = [
        Transition::SentToOwner,
        Transition::SentToDeputy,
        Transition::HeldByOwner,
        Transition::HeldByDeputy,
        Transition::SomeRejected,
        Transition::Refused,
        Transition::OwnerUnanswered,
        Transition::DeputyUnanswered,
        Transition::Split,
        Transition::Paused,
        Transition::Misplaced,
        Transition::Failed,
        Transition::HeldLate,
        Transition::Stale,
    ];

    /// How often this one happened.
    pub fn of(&self, transition: Transition) -> u32 {
        self.0[transition as usize]
    }

    pub(super) fn count(&mut self, transition: Transition) {
        self.0[transition as usize] += 1;
    }

    pub(super) fn clear(&mut self) {
        self.0 = Default::default();
    }
}
