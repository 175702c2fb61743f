//! What `level: detailed` adds: requests by their protocol, sizes, and how long things take.
//!
//! Durations and sizes have the names of OpenTelemetry's instrumentation of gRPC and HTTP: `*_duration` in
//! milliseconds as it was, and the stable ones in seconds.

use super::Kind::Histogram;
use super::*;

const MS: &[f64] = &[
    0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0,
    10000.0,
];
/// [`MS`] in seconds.
const S: &[f64] = &[
    0.0001, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
    10.0,
];
const ONE: &[f64] = &[1.0];

const RPC: &[&str] = &["rpc_system", "rpc_service", "rpc_method"];
const RPC_CODE: &[&str] = &["rpc_system", "rpc_service", "rpc_method", "rpc_grpc_status_code"];
const RPC_NEW: &[&str] = &["rpc_system_name", "rpc_method", "rpc_response_status_code"];
const RPC_CLIENT_NEW: &[&str] = &["rpc_system_name", "rpc_method"];
const HTTP: &[&str] = &["http_method"];
const HTTP_CODE: &[&str] = &["http_method", "http_status_code"];
const HTTP_NEW: &[&str] = &["http_request_method"];
const HTTP_CODE_NEW: &[&str] = &["http_request_method", "http_response_status_code"];

super::define! {
    Detailed: {
        BATCH_SEND_SIZE_BYTES: Histogram(BYTES), Bytes, PROCESSOR,
            "otelcol_processor_batch_batch_send_size_bytes",
            "Bytes in each batch that an exporter was given";
        EXPORTER_ENQUEUE_SIZE: Histogram(ITEMS), Count, QUEUE,
            "otelcol_exporter_enqueue_size",
            "Spans of each trace that entered the sending queue";
        EXPORTER_ENQUEUE_SIZE_BYTES: Histogram(BYTES), Bytes, QUEUE,
            "otelcol_exporter_enqueue_size_bytes",
            "Bytes of each trace that entered the sending queue";
        EXPORTER_BATCH_SEND_SIZE: Histogram(ITEMS), Count, QUEUE,
            "otelcol_exporter_queue_batch_send_size",
            "Spans in each batch that left the sending queue";
        EXPORTER_BATCH_SEND_SIZE_BYTES: Histogram(BYTES), Bytes, QUEUE,
            "otelcol_exporter_queue_batch_send_size_bytes",
            "Bytes in each batch that left the sending queue";

        RPC_SERVER_DURATION: Histogram(MS), Milliseconds, RPC_CODE,
            "rpc_server_duration",
            "Time from a request's head to its answer";
        RPC_SERVER_CALL_DURATION: Histogram(S), Seconds, RPC_NEW,
            "rpc_server_call_duration",
            "Time from a request's head to its answer";
        RPC_SERVER_REQUEST_SIZE: Histogram(BYTES), Bytes, RPC,
            "rpc_server_request_size",
            "Bytes of request messages, decompressed";
        RPC_SERVER_RESPONSE_SIZE: Histogram(BYTES), Bytes, RPC,
            "rpc_server_response_size",
            "Bytes of response messages";
        RPC_SERVER_REQUESTS_PER_RPC: Histogram(ONE), Count, RPC_CODE,
            "rpc_server_requests_per_rpc",
            "Messages received per call: always 1";
        RPC_SERVER_RESPONSES_PER_RPC: Histogram(ONE), Count, RPC_CODE,
            "rpc_server_responses_per_rpc",
            "Messages sent per call: always 1";
        HTTP_SERVER_DURATION: Histogram(MS), Milliseconds, HTTP_CODE,
            "http_server_duration",
            "Time from a request's head to its answer";
        HTTP_SERVER_REQUEST_DURATION: Histogram(S), Seconds, HTTP_CODE_NEW,
            "http_server_request_duration",
            "Time from a request's head to its answer";
        HTTP_SERVER_REQUEST_SIZE: Histogram(BYTES), Bytes, HTTP,
            "http_server_request_size",
            "Bytes of request bodies, decompressed";
        HTTP_SERVER_RESPONSE_SIZE: Histogram(BYTES), Bytes, HTTP,
            "http_server_response_size",
            "Bytes of response bodies";
        HTTP_SERVER_REQUEST_BODY_SIZE: Histogram(BYTES), Bytes, HTTP_NEW,
            "http_server_request_body_size",
            "Bytes of request bodies, decompressed";
        HTTP_SERVER_RESPONSE_BODY_SIZE: Histogram(BYTES), Bytes, HTTP_NEW,
            "http_server_response_body_size",
            "Bytes of response bodies";

        RPC_CLIENT_DURATION: Histogram(MS), Milliseconds, RPC,
            "rpc_client_duration",
            "Time of each attempt to send something over gRPC";
        RPC_CLIENT_CALL_DURATION: Histogram(S), Seconds, RPC_CLIENT_NEW,
            "rpc_client_call_duration",
            "Time of each attempt to send something over gRPC";
        RPC_CLIENT_REQUEST_SIZE: Histogram(BYTES), Bytes, RPC,
            "rpc_client_request_size",
            "Bytes of what is sent over gRPC, before compression; counted once, however often it is tried";
        RPC_CLIENT_RESPONSES_PER_RPC: Histogram(ONE), Count, RPC,
            "rpc_client_responses_per_rpc",
            "Messages received per call: always 1";
        HTTP_CLIENT_DURATION: Histogram(MS), Milliseconds, HTTP,
            "http_client_duration",
            "Time of each attempt to send something over HTTP";
        HTTP_CLIENT_REQUEST_DURATION: Histogram(S), Seconds, HTTP_NEW,
            "http_client_request_duration",
            "Time of each attempt to send something over HTTP";
    }
}
