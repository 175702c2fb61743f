//! Processors: the memory limiter and the tail sampler with its policies and its buffer.

use super::super::metrics::{Counter, DistributionSeries, Gauge, Metrics};
use super::super::names::defs;

/// A processor's items.
#[derive(Clone)]
pub struct ProcessorSeries {
    /// Spans in.
    pub incoming: Counter,
    /// Spans out.
    pub outgoing: Counter,
    /// Spans taken.
    pub accepted: Counter,
    /// Spans refused, retryably.
    pub refused: Counter,
    /// Spans acknowledged and given up.
    pub dropped: Counter,
}

/// The memory limiter.
#[derive(Clone)]
pub struct MemoryLimiterSeries {
    /// Spans let in.
    pub accepted: Counter,
    /// Spans refused.
    pub refused: Counter,
}

/// One policy's votes.
#[derive(Clone)]
pub struct PolicySeries {
    /// Traces it wants.
    pub sampled: Counter,
    /// Traces it does not want.
    pub not_sampled: Counter,
    /// Spans of traces it wants.
    pub spans_sampled: Counter,
    /// Spans of traces it does not want.
    pub spans_not_sampled: Counter,
    /// Evaluations.
    pub executions: Counter,
    /// Microseconds they took.
    pub execution_time: Counter,
}

/// The tail sampler.
#[derive(Clone)]
pub struct TailSamplingSeries {
    /// By policy, in the order given.
    pub policies: Vec<PolicySeries>,
    /// Traces kept.
    pub traces_sampled: Counter,
    /// Traces not kept.
    pub traces_not_sampled: Counter,
    /// Traces seen for the first time.
    pub new_traces: Counter,
    /// Spans that followed a remembered decision to keep.
    pub released_sampled: Counter,
    /// Spans that followed a remembered decision to drop.
    pub released_not_sampled: Counter,
    /// Milliseconds of a run of decisions.
    pub timer_latency: DistributionSeries,
    /// Seconds from a decision to a late span.
    pub late_span_age: DistributionSeries,
    /// Evaluations that failed.
    pub evaluation_errors: Counter,
    /// Traces decided before their time.
    pub dropped_too_early: Counter,
    /// Seconds from a trace's first span to its removal.
    pub removal_age: DistributionSeries,
    /// Traces held now.
    pub traces_on_memory: Gauge,
    /// Traces over the size limit.
    pub dropped_too_large: Counter,
}

/// What a sampler holds.
#[derive(Clone)]
pub struct BufferSeries {
    /// Bytes charged.
    pub bytes: Gauge,
    /// Most bytes.
    pub limit: Gauge,
    /// Bytes of held spans.
    pub live: Gauge,
    /// Spans.
    pub spans: Gauge,
    /// Undecided traces.
    pub undecided: Gauge,
    /// Kept traces that wait for room.
    pub waiting: Gauge,
    /// Traces decided early: memory, num_traces, trace_size, shutdown.
    pub early: [Counter; 4],
    /// Spans after the decision.
    pub late: Counter,
    /// Remembered decisions: kept, not kept.
    pub remembered: [Gauge; 2],
}

// === impl ProcessorSeries ===

impl ProcessorSeries {
    /// For `processor`, of traces.
    pub fn new(metrics: &Metrics, processor: &str) -> Self {
        let counter = |def| metrics.counter(def, &[processor, "traces"]);
        Self {
            incoming: counter(&defs::PROCESSOR_INCOMING_ITEMS),
            outgoing: counter(&defs::PROCESSOR_OUTGOING_ITEMS),
            accepted: metrics.counter(&defs::PROCESSOR_ACCEPTED_SPANS, &[processor]),
            refused: metrics.counter(&defs::PROCESSOR_REFUSED_SPANS, &[processor]),
            dropped: metrics.counter(&defs::PROCESSOR_DROPPED_SPANS, &[processor]),
        }
    }
}

// === impl MemoryLimiterSeries ===

impl MemoryLimiterSeries {
    /// For the processor of this name.
    pub fn new(metrics: &Metrics, processor: &str) -> Self {
        Self {
            accepted: metrics.counter(&defs::MEMORY_LIMITER_ACCEPTED_SPANS, &[processor]),
            refused: metrics.counter(&defs::MEMORY_LIMITER_REFUSED_SPANS, &[processor]),
        }
    }
}

// === impl PolicySeries ===

impl PolicySeries {
    fn new(metrics: &Metrics, policy: &str) -> Self {
        let (yes, no) = ([policy, "true", "sampled"], [policy, "false", "not_sampled"]);
        let votes = |values: &[&str]| metrics.counter(&defs::TAIL_COUNT_TRACES_SAMPLED, values);
        let spans = |values: &[&str]| metrics.counter(&defs::TAIL_COUNT_SPANS_SAMPLED, values);
        Self {
            sampled: votes(&yes),
            not_sampled: votes(&no),
            spans_sampled: spans(&yes),
            spans_not_sampled: spans(&no),
            executions: metrics.counter(&defs::TAIL_POLICY_EXECUTION_COUNT, &[policy]),
            execution_time: metrics.counter(&defs::TAIL_POLICY_EXECUTION_TIME_SUM, &[policy]),
        }
    }
}

// === impl TailSamplingSeries ===

impl TailSamplingSeries {
    /// For the policies of these names.
    pub fn new<'p>(metrics: &Metrics, policies: impl IntoIterator<Item = &'p str>) -> Self {
        let counter = |def| metrics.counter(def, &[]);
        let global =
            |values: &[&str]| metrics.counter(&defs::TAIL_GLOBAL_COUNT_TRACES_SAMPLED, values);
        let early = |sampled| metrics.counter(&defs::TAIL_EARLY_RELEASES, &[sampled]);
        Self {
            policies: policies.into_iter().map(|p| PolicySeries::new(metrics, p)).collect(),
            traces_sampled: global(&["true", "sampled"]),
            traces_not_sampled: global(&["false", "not_sampled"]),
            new_traces: counter(&defs::TAIL_NEW_TRACE_ID_RECEIVED),
            released_sampled: early("true"),
            released_not_sampled: early("false"),
            timer_latency: metrics.distribution(&defs::TAIL_DECISION_TIMER_LATENCY, &[]),
            late_span_age: metrics.distribution(&defs::TAIL_LATE_SPAN_AGE, &[]),
            evaluation_errors: counter(&defs::TAIL_POLICY_EVALUATION_ERROR),
            dropped_too_early: counter(&defs::TAIL_TRACE_DROPPED_TOO_EARLY),
            removal_age: metrics.distribution(&defs::TAIL_TRACE_REMOVAL_AGE, &[]),
            traces_on_memory: metrics.gauge(&defs::TAIL_TRACES_ON_MEMORY, &[]),
            dropped_too_large: counter(&defs::TAIL_TRACES_DROPPED_TOO_LARGE),
        }
    }
}

// === impl BufferSeries ===

impl BufferSeries {
    /// Nothing is held.
    pub fn new(metrics: &Metrics) -> Self {
        let gauge = |def| metrics.gauge(def, &[]);
        let traces = |state| metrics.gauge(&defs::BUFFER_TRACES, &[state]);
        let early = |reason| metrics.counter(&defs::DECIDED_EARLY_TRACES, &[reason]);
        let remembered = |decision| metrics.gauge(&defs::DECISION_CACHE_ENTRIES, &[decision]);
        Self {
            bytes: gauge(&defs::BUFFER_BYTES),
            limit: gauge(&defs::BUFFER_LIMIT_BYTES),
            live: gauge(&defs::BUFFER_LIVE_BYTES),
            spans: gauge(&defs::BUFFER_SPANS),
            undecided: traces("undecided"),
            waiting: traces("waiting"),
            early: ["memory", "num_traces", "trace_size", "shutdown"].map(early),
            late: metrics.counter(&defs::LATE_SPANS, &[]),
            remembered: ["sampled", "not_sampled"].map(remembered),
        }
    }
}
