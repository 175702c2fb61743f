//! Holding traces for an owner that is silent, and giving them back.
//!
//! While the owner is a member its traces are held here and not decided. When it is heard again it is offered them;
//! an offer whose answer is unknown is made again: the owner finds duplicates by content. When it is removed from the
//! members, the deputy is the owner.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use hashbrown::HashMap;
use tailgate_common::clock::Nanos;
use tailgate_proto::TraceId;

use super::counts::Transition;
use super::seen::BYTES_PER_HASH;
use super::shard::{Shard, TRACE_OVERHEAD};
use super::trace::{MemberId, State};
use super::wheel::tick_at;

/// Traces held for others, by owner, oldest first. An entry that no longer agrees with the index is skipped.
#[derive(Debug, Default)]
pub struct Held {
    by_owner: HashMap<MemberId, VecDeque<TraceId>>,
}

/// A trace that its owner is offered.
#[derive(Debug, Clone)]
pub struct Offer {
    /// Which trace.
    pub trace_id: TraceId,
    /// Since its first span came.
    pub age: Duration,
    /// How many spans.
    pub spans: u32,
    /// The spans.
    pub fragment: Bytes,
}

// === impl Held ===

impl Held {
    pub(super) fn push(&mut self, member: MemberId, trace_id: TraceId) {
        self.by_owner.entry(member).or_default().push_back(trace_id);
    }

    fn pop(&mut self, member: MemberId) -> Option<TraceId> {
        self.by_owner.get_mut(&member)?.pop_front()
    }
}

// === impl Shard ===

impl Shard {
    /// Traces that are held for this member and not offered to it.
    pub fn held_for(&self, member: MemberId) -> usize {
        self.held.by_owner.get(&member).map_or(0, VecDeque::len)
    }

    /// ## HeldFor => Offered
    /// Offers traces to the member they are held for, oldest first, until they are `max_bytes`.
    pub fn offer_back(&mut self, now: Nanos, member: MemberId, max_bytes: usize) -> Vec<Offer> {
        let (mut offers, mut bytes) = (Vec::new(), 0);
        while bytes < max_bytes {
            let Some(trace_id) = self.held.pop(member) else { break };
            let Some(trace) = self.index.get_mut(&trace_id) else { continue };
            if trace.state != State::HeldFor(member) {
                continue;
            }
            trace.state = State::Offered(member);
            self.counts.went(Transition::Offer);
            bytes += trace.bytes as usize;
            let (last, age, spans) = (trace.last, now.since(trace.first_seen), trace.spans);
            let fragment = self.collect(&self.records(last), 0);
            offers.push(Offer { trace_id, age, spans, fragment });
        }
        offers
    }

    /// ## Offered => (gone)
    /// The owner holds them now.
    pub fn offer_taken(&mut self, member: MemberId, trace_id: TraceId) {
        if !self.is_offered(member, trace_id) {
            return;
        }
        let Some(trace) = self.index.remove(&trace_id) else { return };
        self.undecided -= 1;
        self.counts.went(Transition::OfferTaken);
        self.counts.handed_off += u64::from(trace.spans);
        for record in self.records(trace.last) {
            self.log.release(record);
        }
        self.uncharge(TRACE_OVERHEAD + (trace.seen.len() * BYTES_PER_HASH) as u64);
    }

    /// ## Offered => HeldFor
    /// The owner did not take them, or did not say.
    pub fn offer_failed(&mut self, member: MemberId, trace_id: TraceId) {
        if !self.is_offered(member, trace_id) {
            return;
        }
        if let Some(trace) = self.index.get_mut(&trace_id) {
            trace.state = State::HeldFor(member);
            self.held.push(member, trace_id);
            self.counts.went(Transition::OfferFailed);
        }
    }

    /// ## HeldFor => Pending
    /// The member is removed: what was held for it is ours, as old as it is. What is offered to it is held again when
    /// the offer has failed; so this is to be called as long as the member is removed.
    pub fn owner_removed(&mut self, now: Nanos, member: MemberId) {
        let Some(held) = self.held.by_owner.remove(&member) else { return };
        for trace_id in held {
            let Some(trace) = self.index.get_mut(&trace_id) else { continue };
            if trace.state != State::HeldFor(member) {
                continue;
            }
            trace.state = State::Pending;
            trace.timer = tick_at((trace.first_seen + self.settings.decision_wait).max(now)).max(1);
            self.wheel.set(trace.timer, trace_id);
            self.counts.went(Transition::Inherit);
        }
    }

    fn is_offered(&self, member: MemberId, trace_id: TraceId) -> bool {
        self.index.get(&trace_id).is_some_and(|trace| trace.state == State::Offered(member))
    }
}
