//! Exporters: their spans, their queues, and the requests they make.

use super::super::distribution::Reading;
use super::super::metrics::{Counter, DistributionSeries, Gauge, Metrics};
use super::super::names::defs;
use super::receive::{FULL_METHOD, METHOD, SERVICE};

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
    in_flight: Gauge,
    sizes: [DistributionSeries; 4],
}

/// What went through a queue: readings of [`defs::EXPORTER_ENQUEUE_SIZE`] and the like.
#[derive(Debug, Clone)]
pub struct QueueReadings {
    /// Spans of what entered.
    pub enqueued: Reading,
    /// Bytes of what entered.
    pub enqueued_bytes: Reading,
    /// Spans of batches that left.
    pub sent: Reading,
    /// Bytes of batches that left.
    pub sent_bytes: Reading,
    /// Batches that left because enough was there.
    pub by_size: u64,
    /// Batches that left because the oldest had waited.
    pub by_timeout: u64,
    /// Batches that are with the backend now, or wait to be tried again.
    pub in_flight: u64,
}

/// The series of the batch processor, whose work is done by the exporters' queues.
#[derive(Clone)]
pub struct BatchSeries {
    sizes: [DistributionSeries; 2],
    by_size: Counter,
    by_timeout: Counter,
}

/// How an exporter speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP/gRPC.
    Grpc,
    /// Anything over HTTP.
    Http,
}

/// The requests that exporters make, all of one protocol together.
#[derive(Clone)]
pub struct ClientSeries {
    protocol: Protocol,
    metrics: Metrics,
}

// === impl ExporterSeries ===

impl ExporterSeries {
    /// For the exporter of this name. What a dashboard adds up is there too, at 0.
    pub fn new(metrics: &Metrics, exporter: &str) -> Self {
        let counter = |def| metrics.counter(def, &[exporter]);
        let queue = [exporter, "traces"];
        let distribution = |def| metrics.distribution(def, &queue);
        // Nobody counts on these: they are there, at 0, once made.
        for always_0 in [
            &defs::EXPORTER_SENT_METRIC_POINTS,
            &defs::EXPORTER_SENT_LOG_RECORDS,
            &defs::EXPORTER_SEND_FAILED_METRIC_POINTS,
            &defs::EXPORTER_SEND_FAILED_LOG_RECORDS,
            &defs::EXPORTER_ENQUEUE_FAILED_METRIC_POINTS,
            &defs::EXPORTER_ENQUEUE_FAILED_LOG_RECORDS,
        ] {
            let _ = counter(always_0);
        }
        Self {
            sent: counter(&defs::EXPORTER_SENT_SPANS),
            send_failed: counter(&defs::EXPORTER_SEND_FAILED_SPANS),
            enqueue_failed: counter(&defs::EXPORTER_ENQUEUE_FAILED_SPANS),
            queue_size: metrics.gauge(&defs::EXPORTER_QUEUE_SIZE, &queue),
            queue_capacity: metrics.gauge(&defs::EXPORTER_QUEUE_CAPACITY, &queue),
            in_flight: metrics.gauge(&defs::EXPORTER_IN_FLIGHT_REQUESTS, &queue),
            sizes: [
                distribution(&defs::EXPORTER_ENQUEUE_SIZE),
                distribution(&defs::EXPORTER_ENQUEUE_SIZE_BYTES),
                distribution(&defs::EXPORTER_BATCH_SEND_SIZE),
                distribution(&defs::EXPORTER_BATCH_SEND_SIZE_BYTES),
            ],
        }
    }

    /// This went through its queue.
    pub fn flow(&self, queue: &QueueReadings) {
        self.in_flight.set(queue.in_flight as f64);
        let QueueReadings { enqueued, enqueued_bytes, sent, sent_bytes, .. } = queue;
        for (series, reading) in self.sizes.iter().zip([enqueued, enqueued_bytes, sent, sent_bytes])
        {
            series.set(reading.clone());
        }
    }
}

// === impl QueueReadings ===

impl Default for QueueReadings {
    fn default() -> Self {
        Self {
            enqueued: Reading::empty(&defs::EXPORTER_ENQUEUE_SIZE),
            enqueued_bytes: Reading::empty(&defs::EXPORTER_ENQUEUE_SIZE_BYTES),
            sent: Reading::empty(&defs::EXPORTER_BATCH_SEND_SIZE),
            sent_bytes: Reading::empty(&defs::EXPORTER_BATCH_SEND_SIZE_BYTES),
            by_size: 0,
            by_timeout: 0,
            in_flight: 0,
        }
    }
}

impl std::ops::AddAssign<&QueueReadings> for QueueReadings {
    fn add_assign(&mut self, other: &QueueReadings) {
        self.enqueued += &other.enqueued;
        self.enqueued_bytes += &other.enqueued_bytes;
        self.sent += &other.sent;
        self.sent_bytes += &other.sent_bytes;
        self.by_size += other.by_size;
        self.by_timeout += other.by_timeout;
        self.in_flight += other.in_flight;
    }
}

// === impl BatchSeries ===

impl BatchSeries {
    /// For the processor of this name.
    pub fn new(metrics: &Metrics, processor: &str) -> Self {
        let label = [processor];
        metrics.gauge(&defs::BATCH_CARDINALITY, &label).set(1.0);
        let sizes = [&defs::BATCH_SEND_SIZE, &defs::BATCH_SEND_SIZE_BYTES];
        Self {
            sizes: sizes.map(|def| metrics.distribution(def, &label)),
            by_size: metrics.counter(&defs::BATCH_SIZE_TRIGGER, &label),
            by_timeout: metrics.counter(&defs::BATCH_TIMEOUT_TRIGGER, &label),
        }
    }

    /// This went through all queues.
    pub fn set(&self, queues: &QueueReadings) {
        let [spans, bytes] = &self.sizes;
        spans.set(queues.sent.clone());
        bytes.set(queues.sent_bytes.clone());
        self.by_size.absolute(queues.by_size);
        self.by_timeout.absolute(queues.by_timeout);
    }
}

// === impl ClientSeries ===

impl ClientSeries {
    /// Nothing sent yet.
    pub fn new(metrics: &Metrics, protocol: Protocol) -> Self {
        let series = Self { protocol, metrics: metrics.clone() };
        let sizes = Reading::empty(&defs::RPC_CLIENT_REQUEST_SIZE);
        series.set(&Reading::empty(&defs::RPC_CLIENT_DURATION), &sizes);
        series
    }

    /// Attempts took so many milliseconds each; what was sent had so many bytes.
    pub fn set(&self, time: &Reading, bytes: &Reading) {
        let set =
            |def, values: &[&str], reading| self.metrics.distribution(def, values).set(reading);
        match self.protocol {
            Protocol::Grpc => {
                let values = ["grpc", SERVICE, METHOD];
                set(&defs::RPC_CLIENT_DURATION, &values, time.clone());
                set(&defs::RPC_CLIENT_REQUEST_SIZE, &values, bytes.clone());
                let def = &defs::RPC_CLIENT_RESPONSES_PER_RPC;
                set(def, &values, time.ones(def));
                let def = &defs::RPC_CLIENT_CALL_DURATION;
                set(def, &["grpc", FULL_METHOD], time.in_seconds(def));
            }
            Protocol::Http => {
                set(&defs::HTTP_CLIENT_DURATION, &["POST"], time.clone());
                let def = &defs::HTTP_CLIENT_REQUEST_DURATION;
                set(def, &["POST"], time.in_seconds(def));
            }
        }
    }
}
