//! From the timer to the decision to the way out.

use std::sync::Arc;
use std::time::Duration;

use tailgate_common::clock::Nanos;
use tailgate_policy::{Decision, Facts, Outcome, Value};
use tailgate_proto::TraceId;

use super::counts::{Early, Transition};
use super::outbox::{Kept, WhyKept};
use super::seen::BYTES_PER_HASH;
use super::shard::{Outlet, Shard, TRACE_OVERHEAD};
use super::trace::{State, Trace};
use super::wheel::{Tick, tick_at, tick_now};

/// Traces that are decided under one lock, so that arrivals never wait long.
pub const BATCH: usize = 256;

/// Span hashes are remembered for so long after the decision, however short memory is: a load balancer and its client
/// send what was refused again within this time.
const REMEMBER_AT_LEAST: Duration = Duration::from_secs(15);

/// What one step of [`Shard::tick`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ticked {
    /// Traces decided.
    pub decided: usize,
    /// There may be more to do now.
    pub more: bool,
}

impl Shard {
    /// Decides a batch of the traces that are due, and offers kept ones that are waiting to the exporters again.
    pub fn tick(&mut self, now: Nanos, out: &impl Outlet) -> Ticked {
        self.forget_old(now);
        self.retry_waiting(now, out);
        let due = self.pop_due(tick_now(now), BATCH);
        let more = due.len() == BATCH;
        self.decide(now, &due, out);
        self.compact(self.log.sparse());
        Ticked { decided: due.len(), more }
    }

    /// Decides the oldest trace, due or not; `false` if none is pending.
    pub fn decide_oldest(&mut self, now: Nanos, why: Early, out: &impl Outlet) -> bool {
        let due = self.pop_due(Tick::MAX, 1);
        self.counts.decided_early[why as usize] += due.len() as u64;
        self.decide(now, &due, out);
        !due.is_empty()
    }

    /// Decides up to `limit` pending traces, oldest first; how many it were.
    pub fn decide_all(&mut self, now: Nanos, limit: usize, out: &impl Outlet) -> usize {
        self.retry_waiting(now, out);
        let due = self.pop_due(Tick::MAX, limit);
        self.counts.decided_early[Early::Shutdown as usize] += due.len() as u64;
        self.decide(now, &due, out);
        due.len()
    }

    /// The time to stop is over: what is still held is lost, and counted.
    pub fn abandon(&mut self) {
        self.closed = true;
        self.waiting.clear();
        self.undecided = 0;
        for (_, trace) in self.index.drain() {
            self.counts.lost_shutdown += u64::from(trace.spans);
        }
    }

    /// Kept traces that the exporters have not taken yet.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// One trace must not take the place of all others.
    pub(super) fn is_large(&self, trace_id: TraceId) -> bool {
        let large = |trace: &Trace| trace.bytes > self.settings.max_trace_bytes;
        self.index.get(&trace_id).is_some_and(large)
    }

    /// A trace that has grown too large is decided on what is there; what follows follows the decision.
    pub(super) fn check_size(&mut self, now: Nanos, trace_id: TraceId, out: &impl Outlet) {
        let Some(trace) = self.index.get(&trace_id) else { return };
        if trace.state == State::Pending && self.is_large(trace_id) {
            self.counts.decided_early[Early::TraceSize as usize] += 1;
            let facts = trace.facts;
            self.decide(now, &[(trace_id, facts)], out);
        }
    }

    /// Pending traces whose timer has fired.
    fn pop_due(&mut self, until: Tick, limit: usize) -> Vec<(TraceId, Facts)> {
        let mut due = Vec::new();
        while due.len() < limit {
            let Some((tick, trace_id)) = self.wheel.pop(until) else { break };
            let Some(trace) = self.index.get(&trace_id) else { continue };
            if trace.timer == tick && trace.state == State::Pending {
                due.push((trace_id, trace.facts));
            }
        }
        due
    }

    fn decide(&mut self, now: Nanos, due: &[(TraceId, Facts)], out: &impl Outlet) {
        let mut decisions = Vec::with_capacity(due.len());
        self.program.clone().finish(due, &mut self.tally, &mut decisions);
        assert_eq!(due.len(), decisions.len(), "one decision per trace");
        for ((trace_id, _), decision) in due.iter().zip(&decisions) {
            self.apply(now, *trace_id, decision, out);
        }
    }

    /// ## Pending => Decided | Waiting
    fn apply(&mut self, now: Nanos, trace_id: TraceId, decision: &Decision, out: &impl Outlet) {
        let Some(trace) = self.index.get_mut(&trace_id) else { return };
        assert_eq!(trace.state, State::Pending, "a trace is decided once");
        assert_ne!(decision.outcome, Outcome::Stale, "a shard's program never changes");
        self.undecided -= 1;
        trace.timer = tick_now(now);
        let sampled = decision.outcome == Outcome::Sampled;
        self.cache.put(trace_id, sampled);
        if sampled {
            self.counts.traces_sampled += 1;
            trace.state = State::Waiting;
            let value = decision.value;
            trace.value = value;
            if self.waiting.is_empty() && self.pass_on(now, trace_id, value, out) {
                self.counts.went(Transition::Keep);
            } else {
                self.waiting.push(value, trace_id);
                self.counts.went(Transition::Wait);
            }
        } else {
            self.counts.traces_not_sampled += 1;
            self.counts.sampled_out += u64::from(trace.spans);
            self.counts.went(Transition::Drop);
            self.end(now, trace_id, false);
        }
    }

    fn retry_waiting(&mut self, now: Nanos, out: &impl Outlet) {
        for _ in 0..BATCH {
            // What is worth most goes first.
            let next = self.waiting.fronts().next_back();
            let Some((value, trace_id)) = next.map(|(value, id)| (value, *id)) else { return };
            if !self.pass_on(now, trace_id, value, out) {
                return;
            }
            self.waiting.pop(value);
            self.counts.went(Transition::PassOn);
        }
    }

    /// ## Waiting => Decided
    /// `false` if the exporters have no room: the trace is held on.
    fn pass_on(&mut self, now: Nanos, trace_id: TraceId, value: Value, out: &impl Outlet) -> bool {
        let Some(trace) = self.index.get(&trace_id) else { return true };
        let (spans, bytes, last) = (trace.spans, trace.bytes as usize, trace.last);
        if !out.has_room() {
            return false;
        }
        let fragment = self.collect(&self.records(last), bytes);
        let why = self.why(trace_id);
        if out.offer(now, Kept { trace_id, spans, fragment, value, why }).is_err() {
            return false;
        }
        self.counts.passed_on += u64::from(spans);
        self.end(now, trace_id, true);
        true
    }

    /// Why a trace is kept, by all that is known of it now, if that is to be told. Nothing about a
    /// trace that is no longer in the index.
    pub(super) fn why(&self, trace_id: TraceId) -> Option<Arc<WhyKept>> {
        if !self.settings.tell_why {
            return None;
        }
        let why = self.program.why(&trace_id, &self.index.get(&trace_id)?.facts)?;
        Some(Arc::new(WhyKept {
            policy: why.policy.to_owned(),
            by_chance: why.by_chance,
            adjusted_count: why.adjusted_count,
        }))
    }

    /// Gives the trace's bytes back; its hashes stay for a while.
    pub(super) fn end(&mut self, now: Nanos, trace_id: TraceId, sampled: bool) {
        let mut next = self.index.get(&trace_id).and_then(|trace| trace.last);
        while let Some(record) = next {
            next = self.log.release(record);
        }
        let Some(trace) = self.index.get_mut(&trace_id) else { return };
        self.ages.removal.record(now.since(trace.first_seen).as_secs_f64());
        trace.state = State::Decided { sampled };
        trace.last = None;
        trace.spans = 0;
        trace.bytes = 0;
        trace.seen.shrink();
        self.forget.set(tick_at(now + self.settings.remember_spans), trace_id);
    }

    /// ## Decided => (gone)
    fn forget_old(&mut self, now: Nanos) {
        self.forget_until(tick_now(now), 2 * BATCH);
    }

    /// Forgets the span hashes of up to `limit` decided traces before their time, oldest first, but none that was
    /// decided just now: a request of which a part was refused is on its way again. Whether there were any.
    pub fn forget_early(&mut self, now: Nanos, limit: usize) -> bool {
        let early = self.settings.remember_spans.saturating_sub(REMEMBER_AT_LEAST);
        self.forget_until(tick_now(now + early), limit) > 0
    }

    fn forget_until(&mut self, until: Tick, limit: usize) -> usize {
        for forgotten in 0..limit {
            let Some((_, trace_id)) = self.forget.pop(until) else { return forgotten };
            // What waits again is forgotten when it has waited.
            let decided = |trace: &Trace| matches!(trace.state, State::Decided { .. });
            if !self.index.get(&trace_id).is_some_and(decided) {
                continue;
            }
            let Some(trace) = self.index.remove(&trace_id) else { continue };
            self.counts.went(Transition::Forget);
            self.uncharge(TRACE_OVERHEAD + (trace.seen.len() * BYTES_PER_HASH) as u64);
        }
        limit
    }

    /// Rewrites a segment that is not quite sparse, for when memory is short; whether there was one.
    pub(super) fn compact_early(&mut self) -> bool {
        self.compact(self.log.wasteful())
    }

    /// Rewrites the live traces of a segment, so that it can be freed; whether it was.
    fn compact(&mut self, segment: Option<u32>) -> bool {
        let Some(segment) = segment else { return false };
        for trace_id in self.log.traces_in(segment) {
            let Some(last) = self.index.get(&trace_id).and_then(|trace| trace.last) else {
                continue;
            };
            let records = self.records(Some(last));
            if !records.iter().any(|at| at.is_in(segment)) {
                continue;
            }
            let Some(moved) = self.rewrite(trace_id, &records) else { return false };
            if let Some(trace) = self.index.get_mut(&trace_id) {
                trace.last = Some(moved);
            }
            for record in records {
                self.log.release(record);
            }
        }
        true
    }

    /// One record with all that these hold; nothing if there is no room for it.
    fn rewrite(
        &mut self,
        trace_id: TraceId,
        records: &[super::log::RecordRef],
    ) -> Option<super::log::RecordRef> {
        let spans = records.iter().map(|at| self.log.read(*at).spans).sum();
        let fragment = self.collect(records, 0);
        let write = |out: &mut Vec<u8>| out.extend_from_slice(&fragment);
        self.log.append(trace_id, spans, None, fragment.len(), write).ok()
    }
}
