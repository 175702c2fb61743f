//! The series of a component, resolved together, so that all of them are there from the start.

use metrics::{Counter, Gauge};

use super::metrics::{DistributionSeries, Metrics};
use super::names::defs;

/// One receiver and transport (`grpc`, `http`).
#[derive(Clone)]
pub struct ReceiverSeries {
    /// Spans held.
    pub accepted: Counter,
    /// Spans refused, retryably.
    pub refused: Counter,
    /// Spans that failed for a reason of ours.
    pub failed: Counter,
}

/// The servers of one transport (`grpc`, `http`).
#[derive(Clone)]
pub struct ServerSeries {
    /// Connections open now.
    pub connections: Gauge,
    /// Connections closed at once.
    pub refused: Counter,
    /// TLS handshakes that failed.
    pub handshakes_failed: Counter,
    /// Requests being worked on.
    pub in_flight: Gauge,
    metrics: Metrics,
    transport: &'static str,
}

/// A processor's items.
#[derive(Clone)]
pub struct ProcessorSeries {
    /// Spans in.
    pub incoming: Counter,
    /// Spans out.
    pub outgoing: Counter,
}

/// The memory limiter.
#[derive(Clone)]
pub struct MemoryLimiterSeries {
    /// Spans let in.
    pub accepted: Counter,
    /// Spans refused.
    pub refused: Counter,
}

/// One exporter.
#[derive(Clone)]
pub struct ExporterSeries {
    /// Spans delivered.
    pub sent: Counter,
    /// Spans given up.
    pub send_failed: Counter,
    /// Spans that the queue could not take.
    pub enqueue_failed: Counter,
    /// What is in the queue, in bytes or in the unit of `sending_queue.sizer`.
    pub queue_size: Gauge,
    /// What fits into it.
    pub queue_capacity: Gauge,
}

/// One policy's votes.
#[derive(Clone)]
pub struct PolicySeries {
    /// Traces it wants.
    pub sampled: Counter,
    /// Traces it does not want.
    pub not_sampled: Counter,
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

/// The load balancer's resolver and backends.
#[derive(Clone)]
pub struct LoadBalancerSeries {
    /// Backends now.
    pub backends: Gauge,
    /// Changes of the list.
    pub backend_updates: Counter,
    /// Resolutions that worked.
    pub resolutions_ok: Counter,
    /// Resolutions that failed.
    pub resolutions_failed: Counter,
}

/// One backend of the load balancer.
#[derive(Clone)]
pub struct BackendSeries {
    /// Parts it took.
    pub ok: Counter,
    /// Parts it did not take.
    pub failed: Counter,
    /// Milliseconds to its answer.
    pub latency: DistributionSeries,
}

/// The ledger: one gauge per outcome and reason.
#[derive(Clone)]
pub struct LedgerSeries {
    gauges: Vec<(&'static str, &'static str, Gauge)>,
}

// === impl ReceiverSeries ===

impl ReceiverSeries {
    /// For `receiver` (such as `otlp`) by `transport`.
    pub fn new(metrics: &Metrics, receiver: &str, transport: &str) -> Self {
        let counter = |def| metrics.counter(def, &[receiver, transport]);
        Self {
            accepted: counter(&defs::RECEIVER_ACCEPTED_SPANS),
            refused: counter(&defs::RECEIVER_REFUSED_SPANS),
            failed: counter(&defs::RECEIVER_FAILED_SPANS),
        }
    }
}

// === impl ServerSeries ===

impl ServerSeries {
    /// For `transport`, and the code of its successes, which is there from the start.
    pub fn new(metrics: &Metrics, transport: &'static str, success: u16) -> Self {
        let gauge = |def| metrics.gauge(def, &[transport]);
        let counter = |def| metrics.counter(def, &[transport]);
        let series = Self {
            connections: gauge(&defs::SERVER_CONNECTIONS),
            refused: counter(&defs::SERVER_CONNECTIONS_REFUSED),
            handshakes_failed: counter(&defs::SERVER_HANDSHAKES_FAILED),
            in_flight: gauge(&defs::SERVER_REQUESTS_IN_FLIGHT),
            metrics: metrics.clone(),
            transport,
        };
        series.answered(success, 0);
        series
    }

    /// So many requests were answered with this code.
    pub fn answered(&self, code: u16, count: u64) {
        let values = [self.transport, &code.to_string()];
        self.metrics.counter(&defs::SERVER_REQUESTS, &values).absolute(count);
    }
}

// === impl ProcessorSeries ===

impl ProcessorSeries {
    /// For `processor`, of traces.
    pub fn new(metrics: &Metrics, processor: &str) -> Self {
        let counter = |def| metrics.counter(def, &[processor, "traces"]);
        Self {
            incoming: counter(&defs::PROCESSOR_INCOMING_ITEMS),
            outgoing: counter(&defs::PROCESSOR_OUTGOING_ITEMS),
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

// === impl ExporterSeries ===

impl ExporterSeries {
    /// For the exporter of this name. What a dashboard adds up is there too, at 0.
    pub fn new(metrics: &Metrics, exporter: &str) -> Self {
        let counter = |def| metrics.counter(def, &[exporter]);
        // Nobody counts on these: they are there, at 0, once made.
        let _ = counter(&defs::EXPORTER_ENQUEUE_FAILED_METRIC_POINTS);
        let _ = counter(&defs::EXPORTER_ENQUEUE_FAILED_LOG_RECORDS);
        Self {
            sent: counter(&defs::EXPORTER_SENT_SPANS),
            send_failed: counter(&defs::EXPORTER_SEND_FAILED_SPANS),
            enqueue_failed: counter(&defs::EXPORTER_ENQUEUE_FAILED_SPANS),
            queue_size: metrics.gauge(&defs::EXPORTER_QUEUE_SIZE, &[exporter, "traces"]),
            queue_capacity: metrics.gauge(&defs::EXPORTER_QUEUE_CAPACITY, &[exporter, "traces"]),
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

// === impl PolicySeries ===

impl PolicySeries {
    fn new(metrics: &Metrics, policy: &str) -> Self {
        let votes = |values: [&str; 2]| {
            metrics.counter(&defs::TAIL_COUNT_TRACES_SAMPLED, &[policy, values[0], values[1]])
        };
        Self {
            sampled: votes(["true", "sampled"]),
            not_sampled: votes(["false", "not_sampled"]),
            executions: metrics.counter(&defs::TAIL_POLICY_EXECUTION_COUNT, &[policy]),
            execution_time: metrics.counter(&defs::TAIL_POLICY_EXECUTION_TIME_SUM, &[policy]),
        }
    }
}

// === impl LoadBalancerSeries ===

impl LoadBalancerSeries {
    /// For a resolver: `static`, `dns`, `k8s` or `aws`.
    pub fn new(metrics: &Metrics, resolver: &str) -> Self {
        let resolutions =
            |success| metrics.counter(&defs::LB_NUM_RESOLUTIONS, &[resolver, success]);
        Self {
            backends: metrics.gauge(&defs::LB_NUM_BACKENDS, &[resolver]),
            backend_updates: metrics.counter(&defs::LB_NUM_BACKEND_UPDATES, &[resolver]),
            resolutions_ok: resolutions("true"),
            resolutions_failed: resolutions("false"),
        }
    }
}

// === impl BackendSeries ===

impl BackendSeries {
    /// For a backend's `host:port`.
    pub fn new(metrics: &Metrics, endpoint: &str) -> Self {
        let outcome = |success| metrics.counter(&defs::LB_BACKEND_OUTCOME, &[endpoint, success]);
        Self {
            ok: outcome("true"),
            failed: outcome("false"),
            latency: metrics.distribution(&defs::LB_BACKEND_LATENCY, &[endpoint]),
        }
    }
}

// === impl LedgerSeries ===

impl LedgerSeries {
    /// For these outcomes and reasons; a reason may be empty.
    pub fn new(
        metrics: &Metrics,
        pairs: impl IntoIterator<Item = (&'static str, &'static str)>,
    ) -> Self {
        let gauge = |(outcome, reason)| {
            (outcome, reason, metrics.gauge(&defs::LEDGER_SPANS, &[outcome, reason]))
        };
        Self { gauges: pairs.into_iter().map(gauge).collect() }
    }

    /// So many spans have this outcome. False if there is no such series.
    pub fn set(&self, outcome: &str, reason: &str, spans: u64) -> bool {
        let found = self.gauges.iter().find(|(o, r, _)| (*o, *r) == (outcome, reason));
        found.map(|(.., gauge)| gauge.set(spans as f64)).is_some()
    }
}
