//! Receivers and their servers.

use super::super::distribution::Reading;
use super::super::metrics::{Counter, Gauge, Metrics};
use super::super::names::defs;

/// One receiver and transport (`grpc`, `http`).
#[derive(Clone)]
pub struct ReceiverSeries {
    /// Spans held.
    pub accepted: Counter,
    /// Spans refused, retryably.
    pub refused: Counter,
    /// Spans that failed for a reason of ours.
    pub failed: Counter,
    /// Requests held.
    pub requests_ok: Counter,
    /// Requests to be sent again.
    pub requests_refused: Counter,
    /// Requests that can't be taken.
    pub requests_failed: Counter,
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

pub(super) const SERVICE: &str = "opentelemetry.proto.collector.trace.v1.TraceService";
pub(super) const METHOD: &str = "Export";
pub(super) const FULL_METHOD: &str = "opentelemetry.proto.collector.trace.v1.TraceService/Export";

// === impl ReceiverSeries ===

impl ReceiverSeries {
    /// For `receiver` (such as `otlp`) by `transport`.
    pub fn new(metrics: &Metrics, receiver: &str, transport: &str) -> Self {
        let counter = |def| metrics.counter(def, &[receiver, transport]);
        let requests =
            |outcome| metrics.counter(&defs::RECEIVER_REQUESTS, &[receiver, transport, outcome]);
        // Nobody counts on these: they are there, at 0, once made.
        for always_0 in [
            &defs::RECEIVER_ACCEPTED_METRIC_POINTS,
            &defs::RECEIVER_ACCEPTED_LOG_RECORDS,
            &defs::RECEIVER_REFUSED_METRIC_POINTS,
            &defs::RECEIVER_REFUSED_LOG_RECORDS,
            &defs::RECEIVER_FAILED_METRIC_POINTS,
            &defs::RECEIVER_FAILED_LOG_RECORDS,
        ] {
            let _ = counter(always_0);
        }
        Self {
            requests_ok: requests("success"),
            requests_refused: requests("refused"),
            requests_failed: requests("failure"),
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
        series.answered(success, &Reading::empty(&defs::RPC_SERVER_DURATION));
        let sizes = Reading::empty(&defs::RPC_SERVER_REQUEST_SIZE);
        series.sizes(&sizes, &sizes);
        series
    }

    /// So many requests were answered with this code, after so many milliseconds each.
    pub fn answered(&self, code: u16, time: &Reading) {
        let (metrics, code) = (&self.metrics, code.to_string());
        let values = [self.transport, &code];
        metrics.counter(&defs::SERVER_REQUESTS, &values).absolute(time.count());
        let set = |def, values: &[&str], reading| metrics.distribution(def, values).set(reading);
        if self.transport == "grpc" {
            let values = ["grpc", SERVICE, METHOD, &code];
            for def in [&defs::RPC_SERVER_REQUESTS_PER_RPC, &defs::RPC_SERVER_RESPONSES_PER_RPC] {
                set(def, &values, time.ones(def));
            }
            set(&defs::RPC_SERVER_DURATION, &values, time.clone());
            let def = &defs::RPC_SERVER_CALL_DURATION;
            return set(def, &["grpc", FULL_METHOD, &code], time.in_seconds(def));
        }
        set(&defs::HTTP_SERVER_DURATION, &["POST", &code], time.clone());
        let def = &defs::HTTP_SERVER_REQUEST_DURATION;
        set(def, &["POST", &code], time.in_seconds(def));
    }

    /// The messages had these sizes.
    pub fn sizes(&self, requests: &Reading, responses: &Reading) {
        let set = |def, values: &[&str], reading: &Reading| {
            self.metrics.distribution(def, values).set(reading.clone());
        };
        if self.transport == "grpc" {
            let values = ["grpc", SERVICE, METHOD];
            set(&defs::RPC_SERVER_REQUEST_SIZE, &values, requests);
            set(&defs::RPC_SERVER_RESPONSE_SIZE, &values, responses);
            return;
        }
        set(&defs::HTTP_SERVER_REQUEST_SIZE, &["POST"], requests);
        set(&defs::HTTP_SERVER_RESPONSE_SIZE, &["POST"], responses);
        set(&defs::HTTP_SERVER_REQUEST_BODY_SIZE, &["POST"], requests);
        set(&defs::HTTP_SERVER_RESPONSE_BODY_SIZE, &["POST"], responses);
    }
}
