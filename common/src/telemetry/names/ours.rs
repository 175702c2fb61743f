//! What only Tailgate has.

use super::Kind::{Counter, Gauge, Histogram};
use super::*;

const CALL_DOCUMENTS: &[f64] = &[1.0, 5.0, 10.0, 20.0, 30.0, 40.0, 44.0, 49.0, 50.0];

const CALL_END: &[&str] = &["exporter", "outcome"];
const CHANGE: &[&str] = &["exporter", "change"];
const UNPROCESSED: &[&str] = &["exporter", "code"];
const ANSWER: &[&str] = &["transport", "code"];
const FILE: &[&str] = &["file"];
const LEVEL: &[&str] = &["level"];
const LEDGER: &[&str] = &["outcome", "reason"];
const STATE: &[&str] = &["state"];
const REASON: &[&str] = &["reason"];
const SIGNAL: &[&str] = &["signal"];
const DECISION: &[&str] = &["decision"];

super::define! {
    Basic: {
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
        LEDGER_SPANS: Gauge, Count, LEDGER,
            "tailgate_ledger_spans",
            "Spans by what became of them; all but in_flight only grow, and all add up to what was \
             received";
        OTHER_SIGNAL_REQUESTS: Counter, Count, SIGNAL,
            "tailgate_receiver_other_signal_requests",
            "Number of requests refused because they were not for traces";
        MALFORMED_REQUESTS: Counter, Count, NONE,
            "tailgate_receiver_malformed_requests",
            "Number of requests refused whole because they could not be read";
        MEMBERS: Gauge, Count, STATE,
            "tailgate_members",
            "Samplers that are known here, by the state they are in as seen from here";
        MEMBERS_DISAGREEING: Gauge, Count, NONE,
            "tailgate_members_disagreeing",
            "Samplers that were given other members than this process";
        TABLE_VERSION: Gauge, Count, NONE,
            "tailgate_ownership_table_version",
            "Counts the changes of the ownership table in this process";
        BUFFER_BYTES: Gauge, Bytes, NONE,
            "tailgate_buffer_bytes",
            "Bytes charged for held traces: segments, index entries, span hashes";
        BUFFER_LIMIT_BYTES: Gauge, Bytes, NONE,
            "tailgate_buffer_limit_bytes",
            "Most bytes that may be charged for held traces";
        BUFFER_LIVE_BYTES: Gauge, Bytes, NONE,
            "tailgate_buffer_live_bytes",
            "Bytes of the spans that are held";
        BUFFER_SPANS: Gauge, Count, NONE,
            "tailgate_buffer_spans",
            "Spans that are held, those with the exporters not included";
        BUFFER_TRACES: Gauge, Count, STATE,
            "tailgate_buffer_traces",
            "Traces that are held: undecided, or kept and waiting for room at the exporters";
        DECIDED_EARLY_TRACES: Counter, Count, REASON,
            "tailgate_decided_early_traces",
            "Number of traces decided before their time, on what was there";
        LATE_SPANS: Counter, Count, NONE,
            "tailgate_late_spans",
            "Number of spans that came after the decision on their trace, and followed it";
        DECISION_CACHE_ENTRIES: Gauge, Count, DECISION,
            "tailgate_decision_cache_entries",
            "Decisions that are remembered";

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

        PEER_HANDSHAKES_FAILED: Counter, Count, REASON,
            "tailgate_peer_handshakes_failed",
            "Number of connections to the internal port that were refused: a wrong secret, TLS that \
             failed, too slow, another protocol";
        RELOAD_FAILURES: Counter, Count, FILE,
            "tailgate_reload_failures",
            "Number of changes of a file (certificates, tokens, passwords, secrets) that could not be \
             used; what was read before stays";
        TLS_CERTIFICATE_EXPIRY: Gauge, Seconds, FILE,
            "tailgate_tls_certificate_expiry_seconds",
            "When the certificate in use ends, in seconds since 1970";

        LOG_EVENTS: Counter, Count, LEVEL,
            "tailgate_log_events",
            "Number of warnings and errors, logged or suppressed";
        LOG_LINES_SUPPRESSED: Counter, Count, NONE,
            "tailgate_log_lines_suppressed",
            "Number of log lines that sampling left out";
    }
}
