//! What has been decided to be kept, until every exporter of the pipeline is done with it.
//!
//! Kept traces are entries, held once and charged once; each exporter has its own queue of them,
//! first in, first out. The ways of one entry in one queue:
//!
//! ## Fresh => Out
//! [`Outbox::take`] cuts a batch, as soon as enough is there or the oldest has waited long enough.
//! ## Out => Retrying => Out
//! [`Outbox::retry`] puts a batch back in front; it is given out again, unchanged, when its time
//! has come.
//! ## Out => Done
//! [`Outbox::settle`] says what became of each span. When all queues are done with an entry it is
//! removed, and its spans are counted: exported if every exporter took them, else lost for the
//! first reason that was given.
//!
//! Batches that are out or retrying are limited, so a backend that is down sees a few batches tried
//! again and again, and not the whole queue. Nothing is dropped here to make room, unless
//! [`Outbox::shed`] is called:
//!
//! ## Fresh => Done
//! The queue is full and memory is short: what is worth least is given up, oldest first.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hashbrown::HashMap;
use tailgate_common::clock::Nanos;
use tailgate_common::telemetry::QueueReadings;
use tailgate_policy::Value;
use tailgate_proto::TraceId;

mod batch;
mod flow;
mod queue;

use batch::marks;
pub use batch::{Batch, Item, Kept, Loss, Reason, WhyKept};
use flow::Flow;
use queue::Queue;
pub use queue::{QueueCounts, QueueLimits};

/// How a batch is cut.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    /// Most bytes of fragments; one trace is taken even if it is larger.
    pub bytes: usize,
    /// Most spans; one trace is taken even if it has more.
    pub spans: usize,
    /// Most traces.
    pub traces: usize,
    /// This many spans are worth a batch at once.
    pub enough_spans: usize,
    /// So are this many bytes.
    pub enough_bytes: usize,
    /// Fewer are sent when the oldest has waited this long.
    pub linger: Duration,
}

/// A snapshot of everything; all in spans unless said otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutboxCounts {
    /// Taken by every exporter.
    pub exported: u64,
    /// Not taken by one of them at least, by reason.
    pub lost: BTreeMap<Reason, u64>,
    /// Held now: counted over the entries.
    pub in_flight: u64,
    /// Bytes charged for the entries; those that several exporters have to send count once.
    pub bytes: usize,
    /// Bytes the largest queue may have.
    pub capacity: usize,
    /// By exporter.
    pub queues: Vec<QueueCounts>,
}

/// The state machine; see the module.
#[derive(Debug)]
pub struct Outbox {
    entries: HashMap<u64, Entry>,
    queues: Vec<Queue>,
    next: u64,
    bytes: usize,
    exported: u64,
    lost: BTreeMap<Reason, u64>,
    hurried: bool,
    closed: bool,
    flow: Flow,
}

/// Beside its bytes a trace costs about this much.
pub const ENTRY_OVERHEAD: usize = 256;
/// More exporters than this a pipeline cannot have: one bit each.
pub const MAX_EXPORTERS: usize = 64;

#[derive(Debug)]
struct Entry {
    spans: u32,
    charge: usize,
    fragment: Bytes,
    why: Option<Arc<WhyKept>>,
    trace_id: TraceId,
    /// A bit for each exporter that is not done.
    pending: u64,
    losses: Vec<Loss>,
}

// === impl Outbox ===

impl Outbox {
    /// An outbox for one exporter per element, at most [`MAX_EXPORTERS`].
    pub fn new(queues: &[QueueLimits]) -> Self {
        let queues: Vec<_> = queues.iter().take(MAX_EXPORTERS).map(Queue::new).collect();
        Self {
            entries: HashMap::new(),
            queues,
            next: 0,
            bytes: 0,
            exported: 0,
            lost: BTreeMap::new(),
            hurried: false,
            closed: false,
            flow: Flow::default(),
        }
    }

    /// Takes a kept trace into every queue, or gives it back: one of them has no room, or all is
    /// over.
    pub fn offer(&mut self, kept: Kept, now: Nanos) -> Result<(), Kept> {
        let charge = kept.fragment.len() + ENTRY_OVERHEAD;
        if !self.has_room() {
            return Err(kept);
        }
        let id = self.next;
        self.next += 1;
        self.bytes += charge;
        for queue in &mut self.queues {
            queue.put(id, now, charge, kept.spans as usize, kept.value);
        }
        self.flow.add(kept.spans as usize, kept.fragment.len());
        let pending = u64::MAX >> (MAX_EXPORTERS - self.queues.len());
        let Kept { trace_id, spans, fragment, why, .. } = kept;
        let entry = Entry { spans, charge, fragment, why, trace_id, pending, losses: Vec::new() };
        self.entries.insert(id, entry);
        Ok(())
    }

    /// Whether a trace would be taken now: no queue is full.
    pub fn has_room(&self) -> bool {
        !self.closed && !self.queues.is_empty() && self.queues.iter().all(Queue::has_room)
    }

    /// Whether queues are full, and all of those may give up traces.
    pub fn sheds(&self) -> bool {
        let full = || self.queues.iter().filter(|queue| !queue.has_room());
        !self.closed && full().next().is_some() && full().all(|queue| queue.limits.sheds)
    }

    /// Gives up some of the fresh traces of this value in full queues, oldest first; how many spans.
    pub fn shed(&mut self, value: Value) -> u64 {
        let mut shed = 0;
        for exporter in 0..self.queues.len() {
            for _ in 0..self.queues[exporter].sheds() {
                let queue = &mut self.queues[exporter];
                let Some((id, _)) = queue.fresh.pop(value) else { break };
                let Some(entry) = self.entries.get(&id) else { continue };
                let (spans, reason) = (entry.spans, Reason::QUEUE_FULL);
                queue.taken(spans, entry.charge);
                queue.counts.shed += u64::from(spans);
                shed += u64::from(spans);
                let loss = Loss { item: 0, first: 0, spans, reason };
                self.finish(exporter, id, std::iter::once(loss));
            }
        }
        shed
    }

    /// The next batch for this exporter, if there is one now: a retry whose time has come, else
    /// fresh traces.
    pub fn take(&mut self, exporter: usize, now: Nanos, limits: &BatchLimits) -> Option<Batch> {
        let hurried = self.hurried;
        let queue = self.queues.get_mut(exporter)?;
        if let Some(batch) = queue.take_retry(now) {
            return Some(batch);
        }
        if queue.next_fresh(limits, hurried)? > now {
            return None;
        }
        let by_size = queue.has_enough(limits);
        let mut batch = Batch { exporter, items: Vec::new(), retries: 0 };
        let (mut bytes, mut spans) = (0, 0);
        while let Some((value, id, _)) = queue.oldest() {
            let Some(entry) = self.entries.get(&id) else {
                queue.fresh.pop(value);
                continue;
            };
            let (more_bytes, more_spans) = (entry.fragment.len(), entry.spans as usize);
            let full = bytes + more_bytes > limits.bytes || spans + more_spans > limits.spans;
            if !batch.items.is_empty() && (full || batch.items.len() >= limits.traces) {
                break;
            }
            bytes += more_bytes;
            spans += more_spans;
            queue.fresh.pop(value);
            queue.taken(entry.spans, entry.charge);
            batch.items.push(entry.item(id));
        }
        queue.out += 1;
        queue.flow.add(spans, bytes);
        queue.flow.triggered(by_size);
        Some(batch)
    }

    /// When [`Outbox::take`] will have something, if nothing else happens before.
    pub fn next_due(&self, exporter: usize, limits: &BatchLimits) -> Option<Nanos> {
        let queue = self.queues.get(exporter)?;
        let retry = queue.retrying.iter().map(|(not_before, _)| *not_before).min();
        let fresh = queue.next_fresh(limits, self.hurried);
        retry.into_iter().chain(fresh).min()
    }

    /// After an offer: whether that changed what [`Outbox::next_due`] says, so that the exporter
    /// should look again.
    pub fn has_news(&self, exporter: usize, limits: &BatchLimits) -> bool {
        let Some(queue) = self.queues.get(exporter) else { return false };
        let next = queue.next_fresh(limits, self.hurried);
        next == Some(Nanos::ZERO) || (next.is_some() && queue.fresh.len() == 1)
    }

    /// Puts a batch back in front of its queue, to be given out again at `not_before`.
    pub fn retry(&mut self, mut batch: Batch, not_before: Nanos) {
        let Some(queue) = self.queues.get_mut(batch.exporter) else { return };
        queue.out = queue.out.saturating_sub(1);
        batch.retries = batch.retries.saturating_add(1);
        // What was abandoned meanwhile has its outcome already.
        batch.items.retain(|item| self.entries.contains_key(&item.entry));
        if !batch.items.is_empty() {
            queue.retrying.push((not_before, batch));
        }
    }

    /// The exporter is done with a batch: it delivered all spans but `losses`.
    pub fn settle(&mut self, batch: Batch, losses: &[Loss]) {
        let Some(queue) = self.queues.get_mut(batch.exporter) else { return };
        queue.out = queue.out.saturating_sub(1);
        for (at, item) in batch.items.iter().enumerate() {
            self.finish(
                batch.exporter,
                item.entry,
                losses.iter().copied().filter(|l| l.item == at),
            );
        }
    }

    /// From now on batches are cut without waiting for more.
    pub fn hurry(&mut self) {
        self.hurried = true;
    }

    /// All is over: what is still held is lost. Batches that come back later change nothing.
    pub fn abandon(&mut self, reason: Reason) {
        self.closed = true;
        let left: Vec<_> = self.entries.iter().map(|(id, e)| (*id, e.spans)).collect();
        for (id, spans) in left {
            let loss = Loss { item: 0, first: 0, spans, reason };
            for exporter in 0..self.queues.len() {
                self.finish(exporter, id, std::iter::once(loss));
            }
        }
        for queue in &mut self.queues {
            queue.fresh.clear();
            (queue.fresh_spans, queue.fresh_bytes) = (0, 0);
            queue.retrying.clear();
        }
    }

    /// Nothing is held.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Everything at this moment.
    pub fn counts(&self) -> OutboxCounts {
        OutboxCounts {
            exported: self.exported,
            lost: self.lost.clone(),
            in_flight: self.entries.values().map(|entry| u64::from(entry.spans)).sum(),
            bytes: self.bytes,
            capacity: self.queues.iter().map(|queue| queue.limits.bytes).max().unwrap_or(0),
            queues: self.queues.iter().map(|queue| queue.counts).collect(),
        }
    }

    /// What went through each queue.
    pub fn flows(&self) -> Vec<QueueReadings> {
        let flow = |queue: &Queue| QueueReadings {
            in_flight: (queue.out + queue.retrying.len()) as u64,
            ..self.flow.and_out(&queue.flow)
        };
        self.queues.iter().map(flow).collect()
    }

    fn finish(&mut self, exporter: usize, id: u64, losses: impl Iterator<Item = Loss>) {
        let bit = 1 << exporter;
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let Some(queue) = self.queues.get_mut(exporter) else { return };
        if entry.pending & bit == 0 {
            return;
        }
        entry.pending &= !bit;
        let before = entry.losses.len();
        entry.losses.extend(losses);
        let failed = entry.lost_spans(&entry.losses[before..]);
        queue.counts.failed += failed;
        queue.counts.sent += u64::from(entry.spans) - failed;
        queue.counts.bytes -= entry.charge;
        queue.counts.traces -= 1;
        queue.counts.spans -= entry.spans as usize;
        if entry.pending == 0 {
            self.close_entry(id);
        }
    }

    fn close_entry(&mut self, id: u64) {
        let Some(entry) = self.entries.remove(&id) else { return };
        self.bytes -= entry.charge;
        if entry.losses.is_empty() {
            self.exported += u64::from(entry.spans);
            return;
        }
        for mark in marks(entry.spans, entry.losses.into_iter()) {
            match mark {
                None => self.exported += 1,
                Some(reason) => *self.lost.entry(reason).or_default() += 1,
            }
        }
    }
}

// === impl Entry ===

impl Entry {
    fn item(&self, entry: u64) -> Item {
        let Self { trace_id, spans, ref fragment, ref why, .. } = *self;
        Item { entry, trace_id, spans, fragment: fragment.clone(), why: why.clone() }
    }

    fn lost_spans(&self, losses: &[Loss]) -> u64 {
        if losses.is_empty() {
            return 0;
        }
        marks(self.spans, losses.iter().copied()).iter().flatten().count() as u64
    }
}

#[cfg(test)]
mod tests;
