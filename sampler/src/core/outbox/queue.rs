//! The queue of one exporter: which entries it has not sent, and how many more it may have.

use tailgate_common::clock::Nanos;
use tailgate_common::config::Sizer;
use tailgate_policy::Value;

use super::flow::Flow;
use super::{Batch, BatchLimits};
use crate::core::by_value::ByValue;

/// One of so many fresh entries is given up at a time, so that not more goes than has to.
const SHED_SHARE: usize = 16;
/// No more than that, so that the others never wait long.
const SHED_MOST: usize = 1_024;

/// How much one exporter may have.
#[derive(Debug, Clone, Copy)]
pub struct QueueLimits {
    /// From so many bytes charged to its queue on it takes nothing more.
    pub bytes: usize,
    /// Beside that, from so many of a unit on; a request is a kept trace.
    pub size: Option<(Sizer, usize)>,
    /// Most batches out or waiting for a retry at a time.
    pub batches: usize,
    /// When it is full and memory is short, traces may be given up.
    pub sheds: bool,
}

/// The figures of one exporter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueCounts {
    /// Spans it delivered.
    pub sent: u64,
    /// Spans it gave up.
    pub failed: u64,
    /// Spans of those that were given up in its queue.
    pub shed: u64,
    /// Bytes charged to its queue now, batches that are out included.
    pub bytes: usize,
    /// Most bytes.
    pub capacity: usize,
    /// Traces in its queue now, batches that are out included.
    pub traces: usize,
    /// Spans of them.
    pub spans: usize,
    /// The other bound of the queue, and its unit.
    pub size: Option<(Sizer, usize)>,
}

#[derive(Debug)]
pub(super) struct Queue {
    pub limits: QueueLimits,
    pub fresh: ByValue<(u64, Nanos)>,
    pub fresh_spans: usize,
    pub fresh_bytes: usize,
    pub retrying: Vec<(Nanos, Batch)>,
    pub out: usize,
    pub counts: QueueCounts,
    pub flow: Flow,
}

// === impl QueueCounts ===

impl QueueCounts {
    /// What is in the queue, and what fits in, in the unit in which it is bounded.
    pub fn fill(&self) -> (usize, usize) {
        match self.size {
            None => (self.bytes, self.capacity),
            Some((Sizer::Bytes, most)) => (self.bytes, most.min(self.capacity)),
            Some((Sizer::Items, most)) => (self.spans, most),
            Some((Sizer::Requests, most)) => (self.traces, most),
        }
    }

    /// A queue may go over its limits by one trace: a large one must not wait for a gap of its size
    /// while small ones take every gap.
    fn has_room(&self) -> bool {
        let (now, most) = self.fill();
        now < most && self.bytes < self.capacity
    }
}

// === impl Queue ===

impl Queue {
    pub fn new(limits: &QueueLimits) -> Self {
        let QueueLimits { bytes: capacity, size, .. } = *limits;
        Self {
            limits: *limits,
            fresh: ByValue::default(),
            fresh_spans: 0,
            fresh_bytes: 0,
            retrying: Vec::new(),
            out: 0,
            counts: QueueCounts { capacity, size, ..QueueCounts::default() },
            flow: Flow::default(),
        }
    }

    pub fn put(&mut self, id: u64, now: Nanos, charge: usize, spans: usize, value: Value) {
        self.fresh.push(value, (id, now));
        self.fresh_spans += spans;
        self.fresh_bytes += charge;
        self.counts.bytes += charge;
        self.counts.traces += 1;
        self.counts.spans += spans;
    }

    pub fn has_room(&self) -> bool {
        self.counts.has_room()
    }

    /// An entry is not fresh any more.
    pub fn taken(&mut self, spans: u32, charge: usize) {
        self.fresh_spans -= spans as usize;
        self.fresh_bytes -= charge;
    }

    /// The oldest fresh entry.
    pub fn oldest(&self) -> Option<(Value, u64, Nanos)> {
        let fronts = self.fresh.fronts().map(|(value, (id, at))| (value, *id, *at));
        fronts.min_by_key(|(_, id, _)| *id)
    }

    /// How many fresh entries are to be given up at a time: few of them, and none unless it is full and may give any
    /// up.
    pub fn sheds(&self) -> usize {
        let some = self.fresh.len().div_ceil(SHED_SHARE).min(SHED_MOST);
        if self.limits.sheds && !self.has_room() { some } else { 0 }
    }

    pub fn take_retry(&mut self, now: Nanos) -> Option<Batch> {
        let due = self.retrying.iter().enumerate().filter(|(_, (at, _))| *at <= now);
        let first = |batch: &Batch| batch.items.first().map(|item| item.entry);
        let (at, _) = due.min_by_key(|(_, (_, batch))| first(batch))?;
        self.out += 1;
        Some(self.retrying.remove(at).1)
    }

    pub fn has_enough(&self, limits: &BatchLimits) -> bool {
        self.fresh_spans >= limits.enough_spans
            || self.fresh_bytes >= limits.enough_bytes
            || self.fresh.len() >= limits.traces
    }

    /// When a fresh batch may be cut: never, at once, or after lingering.
    pub fn next_fresh(&self, limits: &BatchLimits, hurried: bool) -> Option<Nanos> {
        let (_, _, queued_at) = self.oldest()?;
        if self.out + self.retrying.len() >= self.limits.batches {
            return None;
        }
        Some(if self.has_enough(limits) || hurried {
            Nanos::ZERO
        } else {
            queued_at + limits.linger
        })
    }
}
