//! Delivery of one request.
//!
//! ```text
//!              +----------------- pause over ---------------+
//!              v                                            |
//!     New -> Sending(owner) -- refused ------------------> Waiting
//!              |      |                                     ^   |
//!              |      +- no answer -> Sending(deputy) ------+   +- time is up -> Failed
//!              v                          |     refused, no answer
//!             Held <----------------------+
//! ```
//!
//! A part that waits or is sent again is held, too, when the attempt given up last says so late.
//! Only what failed is sent again. The answer comes when all parts are held or failed, and says
//! held only if the table of that moment names each holder as owner or deputy: a part whose holder
//! was ejected in the meantime is sent again.

use std::time::Duration;

use tailgate_common::clock::Nanos;
use tailgate_proto::Slot;

use super::event::{Answer, Effect, Event, Outcome, Tally, Timing};
use super::part::{Part, State, Transition, Transitions};
use super::view::{MemberId, Target, View};

/// One request on its way. Reuse it: its buffers keep their capacity.
#[derive(Debug, Default)]
pub struct Delivery {
    /// By span.
    slots: Vec<Slot>,
    /// Indexes of spans; each part is a range, ascending.
    order: Vec<u32>,
    parts: Vec<Part>,
    timing: Timing,
    deadline: Nanos,
    attempts: u32,
    seed: u64,
    retry_after: Option<Duration>,
    answered: bool,
    transitions: Transitions,
    groups: Vec<(Target, u32)>,
    picks: Vec<u32>,
    spare: Vec<u32>,
}

/// No view's version.
const ANY_VERSION: u64 = 0;

// === impl Delivery ===

impl Delivery {
    /// A new request: the slot of each of its spans. `seed` spreads the pauses of requests.
    pub fn begin(
        &mut self,
        slots: impl IntoIterator<Item = Slot>,
        timing: Timing,
        deadline: Nanos,
        seed: u64,
    ) {
        self.slots.clear();
        self.slots.extend(slots);
        self.order.clear();
        self.order.extend(0..self.slots.len() as u32);
        self.parts.clear();
        if !self.slots.is_empty() {
            self.parts.push(Part::new(0..self.slots.len() as u32));
        }
        (self.timing, self.deadline, self.seed) = (timing, deadline, seed);
        (self.attempts, self.retry_after, self.answered) = (0, None, false);
        self.transitions.clear();
    }

    /// Takes an event in and appends what is to be done.
    pub fn step(&mut self, now: Nanos, view: &View, event: Event, effects: &mut Vec<Effect>) {
        if self.answered {
            return;
        }
        match event {
            Event::Start => {
                if !self.parts.is_empty() {
                    self.dispatch(now, view, 0, false, effects);
                }
            }
            Event::Outcome { attempt, outcome } => {
                match self.parts.iter().position(|part| part.is_attempt(attempt)) {
                    Some(part) => self.outcome(now, view, part, outcome, effects),
                    None => self.late(attempt, outcome),
                }
            }
            Event::Tick => self.tick(now, view, effects),
        }
        self.answer_if_final(now, view, effects);
    }

    /// When the next [`Event::Tick`] is due; none after the answer.
    pub fn next_due(&self) -> Option<Nanos> {
        let due = |part: &Part| match part.state {
            State::Sending { until, .. } | State::Waiting { until } => Some(until),
            _ => None,
        };
        self.parts.iter().filter_map(due).min()
    }

    /// The spans of a part, ascending.
    pub fn spans(&self, part: u32) -> &[u32] {
        &self.order[self.parts[part as usize].range()]
    }

    /// What became of the spans so far.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for part in &self.parts {
            let spans = u64::from(part.len());
            match part.state {
                State::Held { rejected, .. } => {
                    tally.held += spans - u64::from(rejected);
                    tally.rejected += u64::from(rejected);
                }
                State::Failed => {
                    tally.failed += spans;
                    tally.doubtful += if part.doubtful { spans } else { 0 };
                }
                _ => tally.open += spans,
            }
        }
        tally
    }

    /// What happened so far.
    pub fn transitions(&self) -> &Transitions {
        &self.transitions
    }

    fn tick(&mut self, now: Nanos, view: &View, effects: &mut Vec<Effect>) {
        for part in 0..self.parts.len() {
            match self.parts[part].state {
                State::Sending { until, .. } if now >= until => {
                    let outcome = Outcome::Unanswered { sent: true };
                    self.outcome(now, view, part, outcome, effects);
                }
                State::Waiting { until } if now >= until => {
                    self.dispatch(now, view, part, false, effects);
                }
                _ => {}
            }
        }
    }

    fn outcome(
        &mut self,
        now: Nanos,
        view: &View,
        index: usize,
        outcome: Outcome,
        effects: &mut Vec<Effect>,
    ) {
        let part = &mut self.parts[index];
        let with_deputy = part.is_with_deputy();
        match (outcome, part.target) {
            (Outcome::Held { rejected }, Some(target)) => {
                let rejected = rejected.min(part.len());
                part.state = State::Held { by: target.to, rejected };
                self.transitions.count(match with_deputy {
                    true => Transition::HeldByDeputy,
                    false => Transition::HeldByOwner,
                });
                if rejected > 0 {
                    self.transitions.count(Transition::SomeRejected);
                }
            }
            (Outcome::Refused { retry_after }, _) => {
                self.transitions.count(Transition::Refused);
                self.retry_after = self.retry_after.max(retry_after);
                self.pause(now, index, retry_after.unwrap_or_default());
            }
            (Outcome::Unanswered { sent }, _) => {
                part.doubtful |= sent;
                if let State::Sending { attempt, .. } = part.state {
                    part.given_up = part.target.map(|target| (attempt, target.to));
                }
                self.transitions.count(match with_deputy {
                    true => Transition::DeputyUnanswered,
                    false => Transition::OwnerUnanswered,
                });
                match with_deputy {
                    true => self.pause(now, index, Duration::ZERO),
                    false => self.dispatch(now, view, index, true, effects),
                }
            }
            (Outcome::Held { .. }, None) => debug_assert!(false, "an attempt has a target"),
        }
    }

    /// An answer to an attempt that was given up: if the part is held after all, nothing more needs
    /// to be sent.
    fn late(&mut self, attempt: u32, outcome: Outcome) {
        let found = self.parts.iter_mut().find_map(|part| Some((part.late(attempt)?, part)));
        match (outcome, found) {
            (Outcome::Held { rejected }, Some((by, part))) => {
                part.state = State::Held { by, rejected: rejected.min(part.len()) };
                // The view may have changed since it was sent there.
                part.version = ANY_VERSION;
                self.transitions.count(Transition::HeldLate);
            }
            _ => self.transitions.count(Transition::Stale),
        }
    }

    /// Sends a part to where the view says; splits it if that is more than one place.
    fn dispatch(
        &mut self,
        now: Nanos,
        view: &View,
        index: usize,
        avoid_owner: bool,
        effects: &mut Vec<Effect>,
    ) {
        if view.is_empty() || now >= self.deadline {
            return self.fail(index);
        }
        if !self.group(view, index, avoid_owner) {
            return self.pause(now, index, Duration::ZERO);
        }
        if self.groups.len() > 1 {
            self.reorder(index);
            self.parts[index].given_up = None;
        }
        let mut start = self.parts[index].spans.start;
        for group in 0..self.groups.len() {
            let (target, count) = self.groups[group];
            let spans = start..start + count;
            start += count;
            let at = if group == 0 { index } else { self.parts.len() };
            if group > 0 {
                self.parts.push(self.parts[index].clone());
            }
            self.parts[at].spans = spans;
            self.send(now, view, at, target, effects);
        }
    }

    /// Where each span of the part goes. False if one has nowhere to go.
    fn group(&mut self, view: &View, index: usize, avoid_owner: bool) -> bool {
        self.groups.clear();
        self.picks.clear();
        let mut last = (None, 0);
        for span in &self.order[self.parts[index].range()] {
            let slot = self.slots[*span as usize];
            // Spans of a trace mostly come together.
            if last.0 != Some(slot) {
                let Some(target) = view.target(slot, avoid_owner) else { return false };
                let known = self.groups.iter().position(|(group, _)| *group == target);
                last = (Some(slot), known.unwrap_or(self.groups.len()));
                if known.is_none() {
                    self.groups.push((target, 0));
                }
            }
            self.groups[last.1].1 += 1;
            self.picks.push(last.1 as u32);
        }
        true
    }

    /// Sorts the part's spans by group, keeping their order within each.
    fn reorder(&mut self, index: usize) {
        if self.parts[index].state != State::New {
            self.transitions.count(Transition::Split);
        }
        let range = self.parts[index].range();
        self.spare.clear();
        for group in 0..self.groups.len() as u32 {
            let spans = self.order[range.clone()].iter().zip(&self.picks);
            self.spare.extend(spans.filter(|(_, pick)| **pick == group).map(|(span, _)| *span));
        }
        self.order[range].copy_from_slice(&self.spare);
    }

    fn send(
        &mut self,
        now: Nanos,
        view: &View,
        index: usize,
        target: Target,
        effects: &mut Vec<Effect>,
    ) {
        let attempt = self.attempts;
        self.attempts += 1;
        let until = (now + self.timing.attempt).min(self.deadline);
        let part = &mut self.parts[index];
        part.state = State::Sending { attempt, until };
        part.target = Some(target);
        part.version = view.version();
        self.transitions.count(match target.deputy_of {
            Some(_) => Transition::SentToDeputy,
            None => Transition::SentToOwner,
        });
        effects.push(Effect::Send { part: index as u32, attempt, target });
    }

    /// Waits, at least for `at_least`; fails if that is too long.
    fn pause(&mut self, now: Nanos, index: usize, at_least: Duration) {
        let part = &mut self.parts[index];
        let Timing { first_pause, longest_pause, .. } = self.timing;
        let ceiling = first_pause.saturating_mul(1 << part.pauses.min(16)).min(longest_pause);
        // Between half and all of it, by request and attempt.
        let mixed = (self.seed ^ u64::from(self.attempts)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let share = 0.5 + (mixed >> 40) as f64 / f64::from(1u32 << 25);
        let until = now + ceiling.mul_f64(share).max(at_least);
        if until >= self.deadline {
            return self.fail(index);
        }
        part.pauses += 1;
        part.state = State::Waiting { until };
        self.transitions.count(Transition::Paused);
    }

    fn fail(&mut self, index: usize) {
        self.parts[index].state = State::Failed;
        self.transitions.count(Transition::Failed);
    }

    fn answer_if_final(&mut self, now: Nanos, view: &View, effects: &mut Vec<Effect>) {
        if !self.parts.iter().all(Part::is_final) {
            return;
        }
        let failed = |part: &Part| part.state == State::Failed;
        if !self.parts.iter().any(failed) {
            self.resend_misplaced(now, view, effects);
            if !self.parts.iter().all(Part::is_final) {
                return;
            }
        }
        self.answered = true;
        let answer = match self.parts.iter().any(failed) {
            true => Answer::Unavailable { retry_after: self.retry_after },
            false => Answer::Held { rejected: self.tally().rejected },
        };
        effects.push(Effect::Answer(answer));
    }

    fn resend_misplaced(&mut self, now: Nanos, view: &View, effects: &mut Vec<Effect>) {
        for index in 0..self.parts.len() {
            let part = &self.parts[index];
            let State::Held { by, .. } = part.state else { continue };
            if part.version != view.version() && !self.is_well_placed(view, part, by) {
                self.transitions.count(Transition::Misplaced);
                self.parts[index].doubtful = true;
                self.dispatch(now, view, index, false, effects);
            }
        }
    }

    fn is_well_placed(&self, view: &View, part: &Part, by: MemberId) -> bool {
        let spans = &self.order[part.range()];
        spans.iter().all(|span| view.is_responsible(self.slots[*span as usize], by))
    }
}
