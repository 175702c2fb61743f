//! Every metric, once: name, kind, unit, labels, help.
//!
//! Names, labels and buckets with the prefix `otelcol_` are the collector's (v0.161, default
//! reader): no `_total` and no unit at the end. What is new is `tailgate_`.

use metrics::Unit;

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only grows; whole numbers.
    Counter,
    /// Only grows; with a fraction.
    FloatCounter,
    /// Goes up and down.
    Gauge,
    /// A distribution over these upper bounds.
    Histogram(&'static [f64]),
}

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Def {
    /// The whole name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// The unit of its values.
    pub unit: Unit,
    /// The names of its labels, beside those that all series have.
    pub labels: &'static [&'static str],
    /// One sentence.
    pub help: &'static str,
}

macro_rules! define {
    ($($id:ident: $kind:expr, $unit:ident, $labels:expr, $name:literal, $help:literal;)*) => {
        /// The definitions.
        pub mod defs {
            use super::{Unit as U, Def, Kind::{Counter, FloatCounter, Gauge, Histogram}, *};
            $(
                #[doc = $help]
                pub const $id: Def =
                    Def { name: $name, kind: $kind, unit: U::$unit, labels: $labels, help: $help };
            )*
        }

        /// All metrics.
        pub const ALL: &[&Def] = &[$(&defs::$id),*];
    };
}

const TICK_MS: &[f64] = &[
    1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 150.0, 200.0, 300.0, 400.0, 500.0, 750.0, 1000.0,
    2000.0, 3000.0, 4000.0, 5000.0, 10000.0, 20000.0, 30000.0, 50000.0,
];
const AGE_S: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 1800.0];
const LATENCY_MS: &[f64] = &[5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0];

const CALL_DOCUMENTS: &[f64] = &[1.0, 5.0, 10.0, 20.0, 30.0, 40.0, 44.0, 49.0, 50.0];

const NONE: &[&str] = &[];
const RECEIVER: &[&str] = &["receiver", "transport"];
const TRANSPORT: &[&str] = &["transport"];
const ANSWER: &[&str] = &["transport", "code"];
const PROCESSOR: &[&str] = &["processor"];
const ITEMS: &[&str] = &["processor", "otel_signal"];
const EXPORTER: &[&str] = &["exporter"];
const QUEUE: &[&str] = &["exporter", "data_type"];
const POLICY: &[&str] = &["policy"];
const VOTE: &[&str] = &["policy", "sampled", "decision"];
const DECISION: &[&str] = &["sampled", "decision"];
const SAMPLED: &[&str] = &["sampled"];
const RESOLVER: &[&str] = &["resolver"];
const RESOLUTION: &[&str] = &["resolver", "success"];
const ENDPOINT: &[&str] = &["endpoint"];
const BACKEND: &[&str] = &["endpoint", "success"];
const CALL_END: &[&str] = &["exporter", "outcome"];
const CHANGE: &[&str] = &["exporter", "change"];
const UNPROCESSED: &[&str] = &["exporter", "code"];
const LEDGER: &[&str] = &["outcome", "reason"];
const FILE: &[&str] = &["file"];

define! {
    PROCESS_UPTIME: FloatCounter, Seconds, NONE,
        "otelcol_process_uptime",
        "Uptime of the process";
    PROCESS_CPU_SECONDS: FloatCounter, Seconds, NONE,
        "otelcol_process_cpu_seconds",
        "Total CPU user and system time in seconds";
    PROCESS_MEMORY_RSS: Gauge, Bytes, NONE,
        "otelcol_process_memory_rss",
        "Total physical memory (resident set size)";
    PROCESS_HEAP_ALLOC: Gauge, Bytes, NONE,
        "otelcol_process_runtime_heap_alloc_bytes",
        "Bytes of allocated heap objects";
    PROCESS_TOTAL_ALLOC: Counter, Bytes, NONE,
        "otelcol_process_runtime_total_alloc_bytes",
        "Cumulative bytes allocated for heap objects, as far as they outlive a scrape";
    PROCESS_TOTAL_SYS: Gauge, Bytes, NONE,
        "otelcol_process_runtime_total_sys_memory_bytes",
        "Total bytes of memory obtained from the OS: mapped and retained";

    RECEIVER_ACCEPTED_SPANS: Counter, Count, RECEIVER,
        "otelcol_receiver_accepted_spans",
        "Number of spans successfully pushed into the pipeline";
    RECEIVER_REFUSED_SPANS: Counter, Count, RECEIVER,
        "otelcol_receiver_refused_spans",
        "Number of spans that could not be pushed into the pipeline";
    RECEIVER_FAILED_SPANS: Counter, Count, RECEIVER,
        "otelcol_receiver_failed_spans",
        "Number of spans that failed to be processed by the receiver due to internal errors";

    SERVER_CONNECTIONS: Gauge, Count, TRANSPORT,
        "tailgate_receiver_connections",
        "Connections of clients that are open now";
    SERVER_CONNECTIONS_REFUSED: Counter, Count, TRANSPORT,
        "tailgate_receiver_connections_refused",
        "Number of connections closed at once because too many were open";
    SERVER_HANDSHAKES_FAILED: Counter, Count, TRANSPORT,
        "tailgate_receiver_handshakes_failed",
        "Number of TLS handshakes that failed or took too long";
    SERVER_REQUESTS_IN_FLIGHT: Gauge, Count, TRANSPORT,
        "tailgate_receiver_requests_in_flight",
        "Requests that are being worked on now";
    SERVER_REQUESTS: Counter, Count, ANSWER,
        "tailgate_receiver_requests",
        "Number of requests answered, by gRPC code or HTTP status (0: any other)";

    RELOAD_FAILURES: Counter, Count, FILE,
        "tailgate_reload_failures",
        "Number of changes of a file (certificates, tokens, passwords, secrets) that could not be \
         used; what was read before stays";
    TLS_CERTIFICATE_EXPIRY: Gauge, Seconds, FILE,
        "tailgate_tls_certificate_expiry_seconds",
        "When the certificate in use ends, in seconds since 1970";

    MEMORY_LIMITER_ACCEPTED_SPANS: Counter, Count, PROCESSOR,
        "otelcol_processor_memory_limiter_accepted_spans",
        "Number of spans successfully pushed into the next component in the pipeline";
    MEMORY_LIMITER_REFUSED_SPANS: Counter, Count, PROCESSOR,
        "otelcol_processor_memory_limiter_refused_spans",
        "Number of spans that were rejected by the next component in the pipeline";
    PROCESSOR_INCOMING_ITEMS: Counter, Count, ITEMS,
        "otelcol_processor_incoming_items",
        "Number of items passed to the processor";
    PROCESSOR_OUTGOING_ITEMS: Counter, Count, ITEMS,
        "otelcol_processor_outgoing_items",
        "Number of items emitted from the processor";

    EXPORTER_SENT_SPANS: Counter, Count, EXPORTER,
        "otelcol_exporter_sent_spans",
        "Number of spans successfully sent to destination";
    EXPORTER_SEND_FAILED_SPANS: Counter, Count, EXPORTER,
        "otelcol_exporter_send_failed_spans",
        "Number of spans in failed attempts to send to destination, given up";
    EXPORTER_ENQUEUE_FAILED_SPANS: Counter, Count, EXPORTER,
        "otelcol_exporter_enqueue_failed_spans",
        "Number of spans failed to be added to the sending queue";
    EXPORTER_ENQUEUE_FAILED_METRIC_POINTS: Counter, Count, EXPORTER,
        "otelcol_exporter_enqueue_failed_metric_points",
        "Always 0: there are only traces";
    EXPORTER_ENQUEUE_FAILED_LOG_RECORDS: Counter, Count, EXPORTER,
        "otelcol_exporter_enqueue_failed_log_records",
        "Always 0: there are only traces";
    EXPORTER_QUEUE_SIZE: Gauge, Count, QUEUE,
        "otelcol_exporter_queue_size",
        "Current size of the sending queue, in bytes or in the unit of its sizer";
    EXPORTER_QUEUE_CAPACITY: Gauge, Count, QUEUE,
        "otelcol_exporter_queue_capacity",
        "Fixed capacity of the sending queue, in bytes or in the unit of its sizer";

    TAIL_COUNT_TRACES_SAMPLED: Counter, Count, VOTE,
        "otelcol_processor_tail_sampling_count_traces_sampled",
        "Count of traces that were sampled or not per sampling policy";
    TAIL_GLOBAL_COUNT_TRACES_SAMPLED: Counter, Count, DECISION,
        "otelcol_processor_tail_sampling_global_count_traces_sampled",
        "Global count of traces that were sampled or not by at least one policy";
    TAIL_NEW_TRACE_ID_RECEIVED: Counter, Count, NONE,
        "otelcol_processor_tail_sampling_new_trace_id_received",
        "Counts the arrival of new traces";
    TAIL_EARLY_RELEASES: Counter, Count, SAMPLED,
        "otelcol_processor_tail_sampling_early_releases_from_cache_decision",
        "Number of spans that were able to be immediately released due to a decision cache hit";
    TAIL_DECISION_TIMER_LATENCY: Histogram(TICK_MS), Milliseconds, NONE,
        "otelcol_processor_tail_sampling_sampling_decision_timer_latency",
        "Latency (in milliseconds) of each run of the sampling decision timer";
    TAIL_LATE_SPAN_AGE: Histogram(AGE_S), Seconds, NONE,
        "otelcol_processor_tail_sampling_sampling_late_span_age",
        "Time (in seconds) from the sampling decision was taken and the arrival of a late span";
    TAIL_POLICY_EVALUATION_ERROR: Counter, Count, NONE,
        "otelcol_processor_tail_sampling_sampling_policy_evaluation_error",
        "Count of sampling policy evaluation errors";
    TAIL_POLICY_EXECUTION_COUNT: Counter, Count, POLICY,
        "otelcol_processor_tail_sampling_sampling_policy_execution_count",
        "Total number of executions of a specific sampling policy";
    TAIL_POLICY_EXECUTION_TIME_SUM: Counter, Microseconds, POLICY,
        "otelcol_processor_tail_sampling_sampling_policy_execution_time_sum",
        "Total time spent (in microseconds) executing a specific sampling policy";
    TAIL_TRACE_DROPPED_TOO_EARLY: Counter, Count, NONE,
        "otelcol_processor_tail_sampling_sampling_trace_dropped_too_early",
        "Count of traces that needed to be dropped before the configured wait time";
    TAIL_TRACE_REMOVAL_AGE: Histogram(AGE_S), Seconds, NONE,
        "otelcol_processor_tail_sampling_sampling_trace_removal_age",
        "Time (in seconds) from arrival of a new trace until its removal from memory";
    TAIL_TRACES_ON_MEMORY: Gauge, Count, NONE,
        "otelcol_processor_tail_sampling_sampling_traces_on_memory",
        "Number of traces currently held";
    TAIL_TRACES_DROPPED_TOO_LARGE: Counter, Count, NONE,
        "otelcol_processor_tail_sampling_traces_dropped_too_large",
        "Count of traces that were dropped because they were too large";

    LB_BACKEND_LATENCY: Histogram(LATENCY_MS), Milliseconds, ENDPOINT,
        "otelcol_loadbalancer_backend_latency",
        "Response latency in ms for the backends";
    LB_BACKEND_OUTCOME: Counter, Count, BACKEND,
        "otelcol_loadbalancer_backend_outcome",
        "Number of successes and failures for each endpoint";
    LB_NUM_BACKEND_UPDATES: Counter, Count, RESOLVER,
        "otelcol_loadbalancer_num_backend_updates",
        "Number of times the list of backends was updated";
    LB_NUM_BACKENDS: Gauge, Count, RESOLVER,
        "otelcol_loadbalancer_num_backends",
        "Current number of backends in use";
    LB_NUM_RESOLUTIONS: Counter, Count, RESOLUTION,
        "otelcol_loadbalancer_num_resolutions",
        "Number of times the resolver has triggered new resolutions";

    XRAY_CALLS: Counter, Count, CALL_END,
        "tailgate_xray_calls",
        "Number of PutTraceSegments calls by what came of them";
    XRAY_DOCUMENTS: Counter, Count, CALL_END,
        "tailgate_xray_documents",
        "Number of documents by X-Ray's answer: accepted, retried (sent again later), lost";
    XRAY_UNPROCESSED: Counter, Count, UNPROCESSED,
        "tailgate_xray_unprocessed_documents",
        "Number of documents that X-Ray listed as unprocessed, by its code";
    XRAY_CHANGED: Counter, Count, CHANGE,
        "tailgate_xray_changed_documents",
        "Number of documents that do not say all that their span says, by what was changed";
    XRAY_CALL_DOCUMENTS: Histogram(CALL_DOCUMENTS), Count, EXPORTER,
        "tailgate_xray_call_documents",
        "Documents in each call; 50 are the most";
    XRAY_RATE: Gauge, Count, EXPORTER,
        "tailgate_xray_documents_per_second",
        "Documents accepted a second, over the last two seconds";
    XRAY_RATE_LIMIT: Gauge, Count, EXPORTER,
        "tailgate_xray_documents_per_second_allowed",
        "Documents a second that are sent at most; 0 until X-Ray has throttled";
    XRAY_QUOTA: Gauge, Count, EXPORTER,
        "tailgate_xray_quota_documents_per_second",
        "Documents a second at which X-Ray began to throttle; 0 until it has";
    XRAY_HEADROOM: Gauge, Count, EXPORTER,
        "tailgate_xray_quota_headroom",
        "The quota less the documents accepted a second; 0 until X-Ray has throttled";
    XRAY_CALLS_IN_FLIGHT: Gauge, Count, EXPORTER,
        "tailgate_xray_calls_in_flight",
        "Calls under way";
    XRAY_CALLS_ALLOWED: Gauge, Count, EXPORTER,
        "tailgate_xray_calls_in_flight_allowed",
        "Calls that may be under way at a time";
    XRAY_PAUSED: Gauge, Count, EXPORTER,
        "tailgate_xray_paused",
        "1 while no call is made but to see whether X-Ray answers again";

    LEDGER_SPANS: Gauge, Count, LEDGER,
        "tailgate_ledger_spans",
        "Spans by what became of them; all but in_flight only grow, and all add up to what was \
         received";
    TARGET_INFO: Gauge, Count, NONE,
        "target_info",
        "Target metadata";
}
