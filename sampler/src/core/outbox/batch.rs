//! What goes through the outbox: kept traces in, batches of them out, and what became of their
//! spans.

use std::sync::Arc;

use bytes::Bytes;
use tailgate_policy::Value;
use tailgate_proto::TraceId;

/// One kept trace, or spans of it that came late.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// The trace.
    pub trace_id: TraceId,
    /// How many spans `fragment` has.
    pub spans: u32,
    /// A valid `ExportTraceServiceRequest`.
    pub fragment: Bytes,
    /// What the trace is worth when not all can be kept.
    pub value: Value,
    /// Why it is kept, if an exporter wants to know.
    pub why: Option<Arc<WhyKept>>,
}

/// Why a trace was kept.
#[derive(Debug, Clone, PartialEq)]
pub struct WhyKept {
    /// The first policy that wanted it.
    pub policy: String,
    /// Only chance kept it.
    pub by_chance: bool,
    /// How many traces it stands for.
    pub adjusted_count: f64,
}

/// Why spans were lost: a label of the ledger, so from a closed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reason(pub &'static str);

/// Traces that are out at an exporter. Give it back with [`Outbox::settle`] or [`Outbox::retry`].
#[derive(Debug)]
pub struct Batch {
    pub(super) exporter: usize,
    pub(super) items: Vec<Item>,
    /// How often it was put back.
    pub retries: u32,
}

/// One trace of a batch.
#[derive(Debug, Clone)]
pub struct Item {
    pub(super) entry: u64,
    /// The trace.
    pub trace_id: TraceId,
    /// How many spans `fragment` has.
    pub spans: u32,
    /// A valid `ExportTraceServiceRequest`.
    pub fragment: Bytes,
    /// Why it is kept, if an exporter wants to know.
    pub why: Option<Arc<WhyKept>>,
}

/// Spans of a batch that its exporter could not deliver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// Which item of the batch.
    pub item: usize,
    /// The first span, by its place in the item's fragment.
    pub first: u32,
    /// How many from there on.
    pub spans: u32,
    /// Why.
    pub reason: Reason,
}

/// Marks each span with the first reason that applies; the order of `losses` decides.
pub(super) fn marks(spans: u32, losses: impl Iterator<Item = Loss>) -> Vec<Option<Reason>> {
    let mut marks = vec![None; spans as usize];
    for loss in losses {
        let from = loss.first.min(spans) as usize;
        let to = loss.first.saturating_add(loss.spans).min(spans) as usize;
        for mark in &mut marks[from..to] {
            mark.get_or_insert(loss.reason);
        }
    }
    marks
}

// === impl Reason ===

impl Reason {
    /// The time to drain was over.
    pub const SHUTDOWN: Self = Self("shutdown");
    /// The backend took the request and said it rejects these.
    pub const REJECTED_BY_BACKEND: Self = Self("rejected_by_backend");
    /// `max_elapsed_time` was over.
    pub const RETRIES_EXHAUSTED: Self = Self("retries_exhausted");
    /// The backend said that trying again is useless.
    pub const PERMANENT: Self = Self("permanent_error");
    /// One span alone is more than the backend takes.
    pub const TOO_LARGE: Self = Self("too_large");
    /// It began longer ago, or later, than the backend takes.
    pub const TIMESTAMP: Self = Self("timestamp");
    /// The queue was full, memory was short, and others were worth more.
    pub const QUEUE_FULL: Self = Self("queue_full");
    /// A defect of ours: the exporter failed on it several times.
    pub const INTERNAL: Self = Self("internal_error");
}

// === impl Batch ===

impl Batch {
    /// The traces, oldest first.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// How many spans it has.
    pub fn spans(&self) -> u64 {
        self.items.iter().map(|item| u64::from(item.spans)).sum()
    }

    /// Loss of all of it.
    pub fn lost(&self, reason: Reason) -> Vec<Loss> {
        let lost = |(item, i): (usize, &Item)| Loss { item, first: 0, spans: i.spans, reason };
        self.items.iter().enumerate().map(lost).collect()
    }
}
