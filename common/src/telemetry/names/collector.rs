//! The collector's own series.

use super::Kind::{Counter, FloatCounter, Gauge, Histogram};
use super::*;

const TICK_MS: &[f64] = &[
    1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 150.0, 200.0, 300.0, 400.0, 500.0, 750.0, 1000.0,
    2000.0, 3000.0, 4000.0, 5000.0, 10000.0, 20000.0, 30000.0, 50000.0,
];
const AGE_S: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 1800.0];
const LATENCY_MS: &[f64] = &[5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0];

const OUTCOME: &[&str] = &["receiver", "transport", "outcome"];
const SIGNAL: &[&str] = &["processor", "otel_signal"];
const POLICY: &[&str] = &["policy"];
const VOTE: &[&str] = &["policy", "sampled", "decision"];
const DECISION: &[&str] = &["sampled", "decision"];
const SAMPLED: &[&str] = &["sampled"];
const RESOLVER: &[&str] = &["resolver"];
const RESOLUTION: &[&str] = &["resolver", "success"];
const ENDPOINT: &[&str] = &["endpoint"];
const BACKEND: &[&str] = &["endpoint", "success"];

super::define! {
    Basic: {
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
        RECEIVER_ACCEPTED_METRIC_POINTS: Counter, Count, RECEIVER,
            "otelcol_receiver_accepted_metric_points",
            "Always 0: there are only traces";
        RECEIVER_ACCEPTED_LOG_RECORDS: Counter, Count, RECEIVER,
            "otelcol_receiver_accepted_log_records",
            "Always 0: there are only traces";
        RECEIVER_REFUSED_METRIC_POINTS: Counter, Count, RECEIVER,
            "otelcol_receiver_refused_metric_points",
            "Always 0: there are only traces";
        RECEIVER_REFUSED_LOG_RECORDS: Counter, Count, RECEIVER,
            "otelcol_receiver_refused_log_records",
            "Always 0: there are only traces";
        RECEIVER_FAILED_METRIC_POINTS: Counter, Count, RECEIVER,
            "otelcol_receiver_failed_metric_points",
            "Always 0: there are only traces";
        RECEIVER_FAILED_LOG_RECORDS: Counter, Count, RECEIVER,
            "otelcol_receiver_failed_log_records",
            "Always 0: there are only traces";
        RECEIVER_REQUESTS: Counter, Count, OUTCOME,
            "otelcol_receiver_requests",
            "Number of requests answered: success, refused (send it again) or failure";
        MEMORY_LIMITER_ACCEPTED_SPANS: Counter, Count, PROCESSOR,
            "otelcol_processor_memory_limiter_accepted_spans",
            "Number of spans successfully pushed into the next component in the pipeline";
        MEMORY_LIMITER_REFUSED_SPANS: Counter, Count, PROCESSOR,
            "otelcol_processor_memory_limiter_refused_spans",
            "Number of spans that were rejected by the next component in the pipeline";
        PROCESSOR_INCOMING_ITEMS: Counter, Count, SIGNAL,
            "otelcol_processor_incoming_items",
            "Number of items passed to the processor";
        PROCESSOR_OUTGOING_ITEMS: Counter, Count, SIGNAL,
            "otelcol_processor_outgoing_items",
            "Number of items emitted from the processor";
        PROCESSOR_ACCEPTED_SPANS: Counter, Count, PROCESSOR,
            "otelcol_processor_accepted_spans",
            "Number of spans successfully pushed into the next component in the pipeline";
        PROCESSOR_REFUSED_SPANS: Counter, Count, PROCESSOR,
            "otelcol_processor_refused_spans",
            "Number of spans that were rejected by the next component in the pipeline";
        PROCESSOR_DROPPED_SPANS: Counter, Count, PROCESSOR,
            "otelcol_processor_dropped_spans",
            "Number of acknowledged spans that were given up; not those that were sampled out";
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
        EXPORTER_SENT_METRIC_POINTS: Counter, Count, EXPORTER,
            "otelcol_exporter_sent_metric_points",
            "Always 0: there are only traces";
        EXPORTER_SENT_LOG_RECORDS: Counter, Count, EXPORTER,
            "otelcol_exporter_sent_log_records",
            "Always 0: there are only traces";
        EXPORTER_SEND_FAILED_METRIC_POINTS: Counter, Count, EXPORTER,
            "otelcol_exporter_send_failed_metric_points",
            "Always 0: there are only traces";
        EXPORTER_SEND_FAILED_LOG_RECORDS: Counter, Count, EXPORTER,
            "otelcol_exporter_send_failed_log_records",
            "Always 0: there are only traces";
        EXPORTER_QUEUE_SIZE: Gauge, Count, QUEUE,
            "otelcol_exporter_queue_size",
            "Current size of the sending queue, in bytes or in the unit of its sizer";
        EXPORTER_QUEUE_CAPACITY: Gauge, Count, QUEUE,
            "otelcol_exporter_queue_capacity",
            "Fixed capacity of the sending queue, in bytes or in the unit of its sizer";
        EXPORTER_IN_FLIGHT_REQUESTS: Gauge, Count, QUEUE,
            "otelcol_exporter_in_flight_requests",
            "Requests that are with the backend now, or wait to be tried again";
        TAIL_COUNT_TRACES_SAMPLED: Counter, Count, VOTE,
            "otelcol_processor_tail_sampling_count_traces_sampled",
            "Count of traces that were sampled or not per sampling policy";
        TAIL_COUNT_SPANS_SAMPLED: Counter, Count, VOTE,
            "otelcol_processor_tail_sampling_count_spans_sampled",
            "Count of spans that were sampled or not per sampling policy";
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
        TARGET_INFO: Gauge, Count, NONE,
            "target_info",
            "Target metadata";
    }
    Normal: {
        BATCH_SEND_SIZE: Histogram(ITEMS), Count, PROCESSOR,
            "otelcol_processor_batch_batch_send_size",
            "Spans in each batch that an exporter was given";
        BATCH_SIZE_TRIGGER: Counter, Count, PROCESSOR,
            "otelcol_processor_batch_batch_size_trigger_send",
            "Number of batches sent because enough was there";
        BATCH_TIMEOUT_TRIGGER: Counter, Count, PROCESSOR,
            "otelcol_processor_batch_timeout_trigger_send",
            "Number of batches sent because the oldest had waited long enough";
        BATCH_CARDINALITY: Gauge, Count, PROCESSOR,
            "otelcol_processor_batch_metadata_cardinality",
            "Number of distinct metadata value combinations: always 1";
    }
}
