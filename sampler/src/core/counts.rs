//! What became of spans, and the other figures of a shard.
//!
//! The unit is a received copy of a span. On every node, at every moment at which the locks are held:
//!
//! received + received_forwarded + received_handoff = exported + sampled_out + deduplicated + rejected + lost
//! + handed_off + forwarded + in flight
//!
//! `in flight` is counted from what is held, never by subtraction.

use std::ops::AddAssign;

use tailgate_common::telemetry::{Distribution, defs};

/// Why a trace was decided before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Early {
    /// The byte budget is nearly used up.
    Memory,
    /// `num_traces` are held.
    NumTraces,
    /// The trace is larger than one trace may be.
    TraceSize,
    /// The process is stopping.
    Shutdown,
}

/// The transitions of a trace; see [`super::trace`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// (new) => Pending
    Begin,
    /// (new) => HeldFor
    BeginAsDeputy,
    /// HeldFor => Offered
    Offer,
    /// Offered => (gone)
    OfferTaken,
    /// Offered => HeldFor
    OfferFailed,
    /// HeldFor => Pending
    Inherit,
    /// Pending => Decided, not kept
    Drop,
    /// Pending => Decided, kept
    Keep,
    /// Pending => Waiting
    Wait,
    /// Waiting => Decided
    PassOn,
    /// Waiting => Decided, given up
    Shed,
    /// Decided => Waiting
    WaitAgain,
    /// Decided => (gone)
    Forget,
}

/// All transitions, with their names.
pub const TRANSITIONS: [(Transition, &str); 13] = [
    (Transition::Begin, "(new) => Pending"),
    (Transition::BeginAsDeputy, "(new) => HeldFor"),
    (Transition::Offer, "HeldFor => Offered"),
    (Transition::OfferTaken, "Offered => (gone)"),
    (Transition::OfferFailed, "Offered => HeldFor"),
    (Transition::Inherit, "HeldFor => Pending"),
    (Transition::Drop, "Pending => Decided (not kept)"),
    (Transition::Keep, "Pending => Decided (kept)"),
    (Transition::Wait, "Pending => Waiting"),
    (Transition::PassOn, "Waiting => Decided"),
    (Transition::Shed, "Waiting => Decided (given up)"),
    (Transition::WaitAgain, "Decided => Waiting"),
    (Transition::Forget, "Decided => (gone)"),
];

/// Counters of one shard, or the sum of several. All in spans unless said otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Received from clients and load balancers.
    pub received: u64,
    /// Received back from a deputy.
    pub received_handoff: u64,
    /// Not kept by any policy.
    pub sampled_out: u64,
    /// Were there already.
    pub deduplicated: u64,
    /// Refused, retryably: no memory.
    pub rejected_memory: u64,
    /// Refused, retryably: an exporter's queue is full.
    pub rejected_export_queue: u64,
    /// Refused, retryably: the trace is being given back to its owner.
    pub rejected_offered: u64,
    /// Refused, retryably: the process has stopped.
    pub rejected_stopped: u64,
    /// Given back to their owner.
    pub handed_off: u64,
    /// Acknowledged, and given up when the time to stop was over.
    pub lost_shutdown: u64,
    /// Acknowledged, kept, and given up: the exporters' queues were full and memory was short.
    pub lost_queue_full: u64,
    /// Passed to the exporters, who count them on.
    pub passed_on: u64,
    /// Arrived after the decision on their trace.
    pub late: u64,
    /// Traces: first span of an unknown trace.
    pub new_traces: u64,
    /// Traces decided, kept.
    pub traces_sampled: u64,
    /// Traces decided, not kept.
    pub traces_not_sampled: u64,
    /// Traces decided early, by [`Early`].
    pub decided_early: [u64; 4],
    /// Spans that followed a remembered decision: kept, not kept.
    pub followed_decision: [u64; 2],
    /// Traces, by [`Transition`].
    pub transitions: [u64; TRANSITIONS.len()],
}

/// How old things are in a shard, in seconds.
#[derive(Debug)]
pub struct Ages {
    /// From the decision on a trace to spans that came late, once for each arrival.
    pub late: Distribution,
    /// From a trace's first span to its end.
    pub removal: Distribution,
}

// === impl Ages ===

impl Default for Ages {
    fn default() -> Self {
        Self {
            late: Distribution::new(&defs::TAIL_LATE_SPAN_AGE),
            removal: Distribution::new(&defs::TAIL_TRACE_REMOVAL_AGE),
        }
    }
}

// === impl Counts ===

impl Counts {
    pub(super) fn went(&mut self, transition: Transition) {
        self.transitions[transition as usize] += 1;
    }

    /// Spans that came in, on whatever way.
    pub fn incoming(&self) -> u64 {
        self.received + self.received_handoff
    }

    /// Spans that are no longer held by the shard.
    pub fn outgoing(&self) -> u64 {
        self.sampled_out
            + self.deduplicated
            + self.rejected_memory
            + self.rejected_export_queue
            + self.rejected_offered
            + self.rejected_stopped
            + self.handed_off
            + self.lost_shutdown
            + self.lost_queue_full
            + self.passed_on
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.received += other.received;
        self.received_handoff += other.received_handoff;
        self.sampled_out += other.sampled_out;
        self.deduplicated += other.deduplicated;
        self.rejected_memory += other.rejected_memory;
        self.rejected_export_queue += other.rejected_export_queue;
        self.rejected_offered += other.rejected_offered;
        self.rejected_stopped += other.rejected_stopped;
        self.handed_off += other.handed_off;
        self.lost_shutdown += other.lost_shutdown;
        self.lost_queue_full += other.lost_queue_full;
        self.passed_on += other.passed_on;
        self.late += other.late;
        self.new_traces += other.new_traces;
        self.traces_sampled += other.traces_sampled;
        self.traces_not_sampled += other.traces_not_sampled;
        add(&mut self.decided_early, other.decided_early);
        add(&mut self.followed_decision, other.followed_decision);
        add(&mut self.transitions, other.transitions);
    }
}

fn add<const N: usize>(sums: &mut [u64; N], others: [u64; N]) {
    sums.iter_mut().zip(others).for_each(|(sum, other)| *sum += other);
}
