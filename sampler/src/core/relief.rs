//! What is done when memory is short: what is only remembered is forgotten, gaps in the log are closed, the oldest
//! traces are decided early, and when the exporters' queues are full, kept traces are given up, the least
//! valuable first.

use tailgate_common::clock::Nanos;
use tailgate_policy::Value;

use super::buffer::{Buffer, SHARDS};
use super::counts::{Early, Transition};
use super::shard::{Outlet, Shard};

/// From this share of the buffer's budget on memory is short, in tenths.
const SHORT_TENTHS: u64 = 8;
/// Rounds over all shards before others get their turn.
const ROUNDS: usize = 16;
/// Span hashes of so many traces are forgotten under one lock.
const FORGET: usize = 64;
/// So many traces are decided, or given up, under one lock.
const BATCH: usize = 4;

/// What [`Buffer::relieve`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Relief {
    /// There may be more to do now.
    pub more: bool,
    /// Kept traces were given up.
    pub shed: bool,
    /// Memory is short, or kept traces wait for room in the queues.
    pub pressure: bool,
}

impl Buffer {
    /// While memory is short, frees what costs no trace anything, then decides the oldest traces early. When the
    /// exporters are full that would free nothing that is kept: the least valuable of it is given up then, or the door
    /// closes if a full queue is to hold on to what it has. What is not up to chance is given up only when there is
    /// nothing left to decide: among that may be what is worth less.
    pub fn relieve(&self, now: Nanos, out: &impl Outlet) -> Relief {
        let [chance, others @ ..] = Value::ALL;
        let mut shed = false;
        for _ in 0..ROUNDS {
            let full = !out.has_room();
            if !self.is_short() || (full && !out.sheds()) {
                return self.relieved(false, shed);
            }
            if self.each(|shard| shard.forget_early(now, FORGET) | shard.compact_early()) {
                continue;
            }
            let decide = |shard: &mut Shard| shard.decide_some(now, out);
            let sheds = |values: &[Value]| full && self.shed(now, out, values);
            let gave_up = sheds(&[chance]);
            if !gave_up && self.each(decide) {
                continue;
            }
            if !gave_up && !sheds(&others) {
                return self.relieved(false, shed);
            }
            shed = true;
        }
        self.relieved(true, shed)
    }

    fn relieved(&self, more: bool, shed: bool) -> Relief {
        let pressure = self.is_short() || self.any(|shard| shard.waiting() > 0);
        Relief { more, shed, pressure }
    }

    /// If kept traces wait, gives up some of the first of these values that there is, oldest first, and passes on what
    /// there is room for then; whether it gave up any. First in full queues: those are older, and other exporters may
    /// have had them.
    fn shed(&self, now: Nanos, out: &impl Outlet, values: &[Value]) -> bool {
        let some =
            |value: &Value| out.shed(*value) > 0 || self.each(|shard| shard.shed(now, *value));
        let shed = self.any(|shard| shard.waiting() > 0) && values.iter().any(some);
        if shed {
            self.each(|shard| shard.tick(now, out).more);
        }
        shed
    }

    fn is_short(&self) -> bool {
        self.shard(0).is_short()
    }

    fn any(&self, holds: impl Fn(&Shard) -> bool) -> bool {
        (0..SHARDS).any(|index| holds(&self.shard(index)))
    }

    /// Does it to every shard; whether it did anything anywhere.
    fn each(&self, mut does: impl FnMut(&mut Shard) -> bool) -> bool {
        (0..SHARDS).fold(false, |did, index| does(&mut self.shard(index)) | did)
    }
}

impl Shard {
    fn decide_some(&mut self, now: Nanos, out: &impl Outlet) -> bool {
        (0..BATCH).filter(|_| self.decide_oldest(now, Early::Memory, out)).count() > 0
    }

    /// ## Waiting => Decided, given up
    fn shed(&mut self, now: Nanos, value: Value) -> bool {
        let mut shed = 0;
        while shed == 0 || (shed < BATCH && self.is_short()) {
            let Some(trace_id) = self.waiting.pop(value) else { break };
            let spans = self.index.get(&trace_id).map_or(0, |trace| trace.spans);
            self.counts.lost_queue_full += u64::from(spans);
            self.counts.went(Transition::Shed);
            self.end(now, trace_id, true);
            shed += 1;
        }
        shed > 0
    }

    fn is_short(&self) -> bool {
        self.budget.used() > self.budget.limit() / 10 * SHORT_TENTHS
    }

    /// Spans that cannot be passed on now are to be given up, and not refused.
    pub(super) fn gives_up(&self, out: &impl Outlet) -> bool {
        self.is_short() && out.sheds()
    }
}

#[cfg(test)]
mod tests;
