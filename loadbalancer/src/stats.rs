//! What the load balancer counts. Plain numbers; the metrics are made of them elsewhere.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tailgate_common::ledger::Ledger;
use tailgate_common::telemetry::{Distribution, QueueReadings, Reading, defs};

use crate::core::{Tally, Transition, Transitions};

/// Counters of the whole load balancer.
#[derive(Debug)]
pub struct Stats {
    books: Mutex<Books>,
    unknown: AtomicU64,
    malformed: AtomicU64,
    enqueue_failed: AtomicU64,
    resolutions: AtomicU64,
    backend_updates: AtomicU64,
    backends: AtomicU64,
    transitions: [AtomicU64; Transitions::ALL.len()],
    /// Parts that are with backends now.
    sending: AtomicU64,
    part_spans: Distribution,
    part_bytes: Distribution,
    /// Milliseconds of each attempt over OTLP/gRPC.
    rpc: Distribution,
}

/// Counts a part as being sent while it lives.
#[derive(Debug)]
pub(crate) struct Sending<'a>(&'a AtomicU64);

/// Counters of one backend.
#[derive(Debug)]
pub struct BackendStats {
    outcomes: [AtomicU64; 2],
    latency: Distribution,
    enqueue_failed: AtomicU64,
}

/// Why spans were not forwarded. The sender knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Reason {
    /// Bad for good: malformed ids, too large, too deep.
    Invalid,
    /// No room for more requests in flight.
    Memory,
    /// Nobody held them in time.
    Unavailable,
    /// The client went away.
    Cancelled,
    /// A backend will never take them.
    Backend,
}

/// Spans of one request in flight. It counts them until it is dropped, and then what became of
/// them, in one step: a reader never sees a span twice or not at all.
#[derive(Debug)]
pub(crate) struct InFlight<'a> {
    stats: &'a Stats,
    spans: u64,
    invalid: u64,
    /// Spans by what became of them.
    pub(crate) tally: Tally,
    /// Why the spans that failed did.
    pub(crate) failed: Reason,
}

#[derive(Debug, Default)]
struct Books {
    received: u64,
    forwarded: u64,
    rejected: [u64; Reason::ALL.len()],
    in_flight: u64,
}

// === impl Reason ===

impl Reason {
    /// All of them.
    pub const ALL: [Reason; 5] =
        [Self::Invalid, Self::Memory, Self::Unavailable, Self::Cancelled, Self::Backend];

    /// As a label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Memory => "memory",
            Self::Unavailable => "unavailable",
            Self::Cancelled => "cancelled",
            Self::Backend => "backend",
        }
    }
}

// === impl Stats ===

impl Default for Stats {
    fn default() -> Self {
        Self {
            books: Mutex::default(),
            unknown: AtomicU64::default(),
            malformed: AtomicU64::default(),
            enqueue_failed: AtomicU64::default(),
            resolutions: AtomicU64::default(),
            backend_updates: AtomicU64::default(),
            backends: AtomicU64::default(),
            transitions: Default::default(),
            sending: AtomicU64::default(),
            part_spans: Distribution::new(&defs::EXPORTER_BATCH_SEND_SIZE),
            part_bytes: Distribution::new(&defs::EXPORTER_BATCH_SEND_SIZE_BYTES),
            rpc: Distribution::new(&defs::RPC_CLIENT_DURATION),
        }
    }
}

impl Stats {
    /// All spans received and what became of them, at one moment.
    pub fn ledger(&self) -> Ledger {
        let books = self.books.lock();
        let rejected = Reason::ALL.map(|reason| (reason.label(), books.rejected[reason as usize]));
        Ledger {
            received: books.received,
            forwarded: books.forwarded,
            rejected: rejected.to_vec(),
            in_flight: books.in_flight,
            ..Ledger::default()
        }
    }

    /// Spans of refused requests that a backend may hold all the same.
    pub fn unknown_outcome_spans(&self) -> u64 {
        self.unknown.load(Ordering::Relaxed)
    }

    /// Requests that were no `ExportTraceServiceRequest`; how many spans they had can't be said.
    pub fn malformed_requests(&self) -> u64 {
        self.malformed.load(Ordering::Relaxed)
    }

    /// Spans that the bounded way to a backend could not take (they may have been sent again).
    pub fn enqueue_failed_spans(&self) -> u64 {
        self.enqueue_failed.load(Ordering::Relaxed)
    }

    /// Member sets that the resolver gave.
    pub fn resolutions(&self) -> u64 {
        self.resolutions.load(Ordering::Relaxed)
    }

    /// How often the table changed.
    pub fn backend_updates(&self) -> u64 {
        self.backend_updates.load(Ordering::Relaxed)
    }

    /// Backends in the table.
    pub fn backends(&self) -> u64 {
        self.backends.load(Ordering::Relaxed)
    }

    /// How often parts of requests made each transition.
    pub fn transitions(&self) -> impl Iterator<Item = (Transition, u64)> + '_ {
        let counts = self.transitions.iter().map(|count| count.load(Ordering::Relaxed));
        Transitions::ALL.into_iter().zip(counts)
    }

    /// Sizes of the parts that were sent. There is no queue, so what enters it is what leaves it.
    pub fn flow(&self) -> QueueReadings {
        let (spans, bytes) = (self.part_spans.read(), self.part_bytes.read());
        QueueReadings {
            enqueued: spans.clone(),
            enqueued_bytes: bytes.clone(),
            sent: spans,
            sent_bytes: bytes,
            in_flight: self.sending.load(Ordering::Relaxed),
            ..QueueReadings::default()
        }
    }

    /// Milliseconds of each attempt over OTLP/gRPC.
    pub fn rpc(&self) -> Reading {
        self.rpc.read()
    }

    pub(crate) fn send(&self, spans: u32, bytes: usize) -> Sending<'_> {
        self.part_spans.record(f64::from(spans));
        self.part_bytes.record(bytes as f64);
        self.sending.fetch_add(1, Ordering::Relaxed);
        Sending(&self.sending)
    }

    pub(crate) fn rpc_took(&self, time: Duration) {
        self.rpc.record(time.as_secs_f64() * 1e3);
    }

    pub(crate) fn malformed(&self) {
        self.malformed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn enqueue_failed(&self, spans: u32) {
        self.enqueue_failed.fetch_add(u64::from(spans), Ordering::Relaxed);
    }

    pub(crate) fn resolved(&self) {
        self.resolutions.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn table_changed(&self, backends: usize) {
        self.backend_updates.fetch_add(1, Ordering::Relaxed);
        self.backends.store(backends as u64, Ordering::Relaxed);
    }

    pub(crate) fn happened(&self, transitions: &Transitions) {
        for (count, transition) in self.transitions.iter().zip(Transitions::ALL) {
            let times = transitions.of(transition);
            if times > 0 {
                count.fetch_add(u64::from(times), Ordering::Relaxed);
            }
        }
    }

    /// Counts `spans` as received; `invalid` of them can't be forwarded.
    pub(crate) fn receive(&self, spans: u64, invalid: u64) -> InFlight<'_> {
        let mut books = self.books.lock();
        books.received += spans;
        books.in_flight += spans;
        drop(books);
        let open = spans - invalid;
        let tally = Tally { open, ..Tally::default() };
        InFlight { stats: self, spans, invalid, tally, failed: Reason::Unavailable }
    }
}

// === impl InFlight ===

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let tally = &self.tally;
        let mut books = self.stats.books.lock();
        books.in_flight -= self.spans;
        books.forwarded += tally.held;
        books.rejected[Reason::Invalid as usize] += self.invalid;
        books.rejected[Reason::Backend as usize] += tally.rejected;
        books.rejected[self.failed as usize] += tally.failed;
        // What is neither held nor failed when the request ends was given up by the client.
        books.rejected[Reason::Cancelled as usize] += tally.open;
        drop(books);
        self.stats.unknown.fetch_add(tally.doubtful, Ordering::Relaxed);
    }
}

// === impl Sending ===

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

// === impl BackendStats ===

impl Default for BackendStats {
    fn default() -> Self {
        Self {
            outcomes: Default::default(),
            latency: Distribution::new(&defs::LB_BACKEND_LATENCY),
            enqueue_failed: AtomicU64::new(0),
        }
    }
}

impl BackendStats {
    /// Parts of requests that it took, and that it did not.
    pub fn outcomes(&self) -> (u64, u64) {
        let [success, failure] = &self.outcomes;
        (success.load(Ordering::Relaxed), failure.load(Ordering::Relaxed))
    }

    /// Milliseconds from sending to the answer, of parts that got one.
    pub fn latency(&self) -> Reading {
        self.latency.read()
    }

    /// Spans that the bounded way to it could not take.
    pub fn enqueue_failed_spans(&self) -> u64 {
        self.enqueue_failed.load(Ordering::Relaxed)
    }

    pub(crate) fn outcome(&self, success: bool) {
        self.outcomes[usize::from(!success)].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn answered_after(&self, time: Duration) {
        self.latency.record(time.as_secs_f64() * 1e3);
    }

    pub(crate) fn enqueue_failed(&self, spans: u32) {
        self.enqueue_failed.fetch_add(u64::from(spans), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ledger_balances_at_every_moment() {
        let stats = Stats::default();
        let mut request = stats.receive(10, 2);
        let now = stats.ledger();
        assert_eq!((now.received, now.in_flight, now.is_balanced()), (10, 10, true));
        request.tally = Tally { held: 5, rejected: 1, failed: 2, doubtful: 2, open: 0 };
        drop(request);
        drop(stats.receive(3, 0));
        let after = stats.ledger();
        assert_eq!((after.received, after.forwarded, after.in_flight), (13, 5, 0));
        let expected =
            [("invalid", 2), ("memory", 0), ("unavailable", 2), ("cancelled", 3), ("backend", 1)];
        assert_eq!(after.rejected, expected);
        assert!(after.is_balanced());
        assert_eq!(stats.unknown_outcome_spans(), 2);
    }

    /// The canary of the checks above: a span that gets no outcome unbalances the ledger.
    #[test]
    fn a_span_without_outcome_unbalances_the_ledger() {
        let stats = Stats::default();
        let mut request = stats.receive(10, 0);
        request.tally = Tally { held: 9, ..Tally::default() };
        drop(request);
        assert!(!stats.ledger().is_balanced());
    }

    #[test]
    fn latency_falls_into_the_collectors_buckets() {
        let stats = BackendStats::default();
        for ms in [1, 5, 6, 5_000, 5_001] {
            stats.answered_after(Duration::from_millis(ms));
        }
        let Reading { cumulative, sum, .. } = stats.latency();
        assert_eq!(cumulative, [2, 3, 3, 3, 3, 3, 3, 3, 3, 4, 5]);
        assert!((sum - 10_013.0).abs() < 1e-9);
    }
}
