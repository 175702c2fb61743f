//! What the endpoint holds: traces by id, each with its documents by segment id, in memory under
//! a limit. The trace that came first leaves first.

use super::Limits;
use super::document::{Document, Facts, trace_number};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Charged for a document and for a trace beside the document's own bytes.
const OVERHEAD: usize = 512;
/// Charged for an annotation, which is kept a second time to be found.
const ANNOTATION: usize = 128;

/// Counts of an endpoint, also the JSON of `GET /_stats`.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Documents held now.
    pub documents: u64,
    /// Traces held now.
    pub traces: u64,
    /// Bytes charged for them.
    pub bytes: u64,
    /// Documents taken since the start, repeated ones included.
    pub accepted: u64,
    /// Of these, the ones that took the place of an earlier document with the same id.
    pub replaced: u64,
    /// Documents given back in `UnprocessedTraceSegments`.
    pub unprocessed: u64,
    /// Documents pushed out by the limit.
    pub evicted_documents: u64,
    /// Traces pushed out by the limit.
    pub evicted_traces: u64,
    /// `PutTraceSegments` calls.
    pub calls: u64,
}

#[derive(Debug)]
pub(super) struct Store {
    max_bytes: usize,
    bytes: usize,
    traces: HashMap<u128, Trace>,
    /// Ids of `traces` by first arrival: each exactly once.
    order: VecDeque<u128>,
    stats: Stats,
}

#[derive(Debug, Default)]
pub(super) struct Trace {
    segments: BTreeMap<u64, Segment>,
    bytes: usize,
}

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) document: String,
    pub(super) facts: Facts,
}

// === impl Segment ===

impl Segment {
    /// What it is charged for.
    fn bytes(&self) -> usize {
        self.document.len() + OVERHEAD + ANNOTATION * self.facts.annotations.len()
    }
}

// === impl Store ===

impl Store {
    pub(super) fn new(limits: Limits) -> Store {
        Store {
            max_bytes: limits.max_bytes,
            bytes: 0,
            traces: HashMap::new(),
            order: VecDeque::new(),
            stats: Stats::default(),
        }
    }

    pub(super) fn count_call(&mut self, unprocessed: u64) {
        self.stats.calls += 1;
        self.stats.unprocessed += unprocessed;
    }

    /// Takes a checked document. One with the same id in the same trace is replaced, as X-Ray
    /// does when a segment in progress is sent again complete.
    pub(super) fn put(&mut self, text: String, document: Document) {
        let Document { trace_id, id, facts } = document;
        let trace = self.traces.entry(trace_id).or_insert_with(|| {
            self.order.push_back(trace_id);
            self.bytes += OVERHEAD;
            Trace { segments: BTreeMap::new(), bytes: OVERHEAD }
        });
        let segment = Segment { document: text, facts };
        trace.bytes += segment.bytes();
        self.bytes += segment.bytes();
        self.stats.accepted += 1;
        match trace.segments.insert(id, segment) {
            None => self.stats.documents += 1,
            Some(earlier) => {
                trace.bytes -= earlier.bytes();
                self.bytes -= earlier.bytes();
                self.stats.replaced += 1;
            }
        }
        self.evict();
    }

    pub(super) fn trace(&self, id: &str) -> Option<&Trace> {
        self.traces.get(&trace_number(id)?)
    }

    /// All traces, by first arrival.
    pub(super) fn traces(&self) -> impl Iterator<Item = (u128, &Trace)> {
        self.order.iter().filter_map(|id| self.traces.get(id).map(|trace| (*id, trace)))
    }

    pub(super) fn stats(&self) -> Stats {
        Stats { traces: self.traces.len() as u64, bytes: self.bytes as u64, ..self.stats }
    }

    fn evict(&mut self) {
        while self.bytes > self.max_bytes {
            let Some(oldest) = self.order.pop_front() else { return };
            let Some(trace) = self.traces.remove(&oldest) else { continue };
            self.bytes -= trace.bytes;
            self.stats.documents -= trace.segments.len() as u64;
            self.stats.evicted_documents += trace.segments.len() as u64;
            self.stats.evicted_traces += 1;
        }
    }
}

// === impl Trace ===

impl Trace {
    /// Its documents by start time; those of the same start by id.
    pub(super) fn by_start(&self) -> Vec<(u64, &Segment)> {
        let mut all: Vec<_> = self.segments.iter().map(|(id, segment)| (*id, segment)).collect();
        all.sort_by(|a, b| a.1.facts.start.total_cmp(&b.1.facts.start).then(a.0.cmp(&b.0)));
        all
    }

    pub(super) fn by_id(&self) -> impl Iterator<Item = (u64, &Facts)> {
        self.segments.iter().map(|(id, segment)| (*id, &segment.facts))
    }

    pub(super) fn facts(&self) -> impl Iterator<Item = &Facts> {
        self.segments.values().map(|segment| &segment.facts)
    }

    /// The earliest start and the latest end, in seconds since 1970.
    pub(super) fn span(&self) -> (f64, f64) {
        let start = self.facts().map(|f| f.start).fold(f64::INFINITY, f64::min);
        let end = self.facts().map(|f| f.end.unwrap_or(f.start)).fold(start, f64::max);
        (start, end)
    }
}
