//! What a server counts about itself: connections, and requests by transport and code. Spans are
//! counted by who takes them in.

use super::{Signal, Transport};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::telemetry::{Distribution, Reading, defs};

/// Counters of one server; read them at any time.
#[derive(Debug)]
pub struct ServerStats {
    open: AtomicU64,
    in_flight: AtomicU64,
    accepted: AtomicU64,
    turned_away: AtomicU64,
    failed_handshakes: AtomicU64,
    /// Milliseconds to the answer, by code.
    grpc: [Distribution; GRPC_CODES],
    http: [Distribution; HTTP_CODES.len() + 1],
    request_bytes: Distribution,
    response_bytes: Distribution,
    other_signals: [AtomicU64; Signal::ALL.len()],
}

/// Requests of one transport that were answered with one code.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestCount {
    /// gRPC or HTTP.
    pub transport: Transport,
    /// gRPC: the status code (0 is success). HTTP: the status; 0 for one not in our set.
    pub code: u16,
    /// How many.
    pub count: u64,
    /// Milliseconds to the answer; see [`defs::RPC_SERVER_DURATION`].
    pub time: Reading,
}

/// Counts one while it lives.
#[derive(Debug)]
pub(super) struct Gauge {
    stats: Arc<ServerStats>,
    which: fn(&ServerStats) -> &AtomicU64,
}

const GRPC_CODES: usize = 17;
const HTTP_CODES: [u16; 13] = [200, 204, 400, 401, 404, 405, 408, 413, 415, 429, 431, 500, 503];

/// Spans of one transport, as the collector's receiver counts them.
#[derive(Debug, Default)]
pub struct SpanCounts {
    accepted: AtomicU64,
    refused: AtomicU64,
}

/// Spans by transport.
#[derive(Debug, Default)]
pub struct ReceivedSpans([SpanCounts; 2]);

// === impl ReceivedSpans ===

impl ReceivedSpans {
    /// Counts a request's spans: acknowledged, and refused or rejected.
    pub fn count(&self, transport: Transport, accepted: u64, refused: u64) {
        let counts = &self.0[transport as usize];
        counts.accepted.fetch_add(accepted, Ordering::Relaxed);
        counts.refused.fetch_add(refused, Ordering::Relaxed);
    }

    /// Spans acknowledged, and refused or rejected.
    pub fn of(&self, transport: Transport) -> (u64, u64) {
        let counts = &self.0[transport as usize];
        (counts.accepted.load(Ordering::Relaxed), counts.refused.load(Ordering::Relaxed))
    }
}

// === impl ServerStats ===

impl Default for ServerStats {
    fn default() -> Self {
        let time = || Distribution::new(&defs::RPC_SERVER_DURATION);
        let bytes = || Distribution::new(&defs::RPC_SERVER_REQUEST_SIZE);
        Self {
            open: AtomicU64::default(),
            in_flight: AtomicU64::default(),
            accepted: AtomicU64::default(),
            turned_away: AtomicU64::default(),
            failed_handshakes: AtomicU64::default(),
            grpc: std::array::from_fn(|_| time()),
            http: std::array::from_fn(|_| time()),
            request_bytes: bytes(),
            response_bytes: bytes(),
            other_signals: Default::default(),
        }
    }
}

impl ServerStats {
    /// Connections that are open now.
    pub fn open_connections(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    /// Requests that are being worked on now.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Connections accepted so far.
    pub fn accepted_connections(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Connections closed at once because there were too many.
    pub fn turned_away_connections(&self) -> u64 {
        self.turned_away.load(Ordering::Relaxed)
    }

    /// TLS handshakes that failed or took too long.
    pub fn failed_handshakes(&self) -> u64 {
        self.failed_handshakes.load(Ordering::Relaxed)
    }

    /// Requests answered so far; codes never used are left out.
    pub fn requests(&self) -> impl Iterator<Item = RequestCount> + '_ {
        let grpc = self.grpc.iter().zip(0u16..).map(|(n, code)| (Transport::Grpc, code, n));
        let codes = HTTP_CODES.into_iter().chain([0]);
        let http = self.http.iter().zip(codes).map(|(n, code)| (Transport::Http, code, n));
        grpc.chain(http)
            .map(|(transport, code, n)| {
                let time = n.read();
                RequestCount { transport, code, count: time.count(), time }
            })
            .filter(|r| r.count > 0)
    }

    /// Requests with something that is not traces.
    pub fn other_signals(&self) -> impl Iterator<Item = (Signal, u64)> + '_ {
        Signal::ALL.into_iter().zip(self.other_signals.iter().map(|n| n.load(Ordering::Relaxed)))
    }

    pub(super) fn other_signal(&self, signal: Signal) {
        bump(&self.other_signals[signal as usize]);
    }

    /// Bytes of request messages, decompressed, and of response messages.
    pub fn sizes(&self) -> (Reading, Reading) {
        (self.request_bytes.read(), self.response_bytes.read())
    }

    pub(super) fn answered_grpc(&self, code: u32, after: Duration) {
        let known = usize::try_from(code).ok().and_then(|code| self.grpc.get(code));
        known.unwrap_or(&self.grpc[2]).record(after.as_secs_f64() * 1e3);
    }

    pub(super) fn answered_http(&self, status: u16, after: Duration) {
        let at = HTTP_CODES.iter().position(|c| *c == status).unwrap_or(HTTP_CODES.len());
        self.http[at].record(after.as_secs_f64() * 1e3);
    }

    pub(super) fn request_of(&self, bytes: usize) {
        self.request_bytes.record(bytes as f64);
    }

    pub(super) fn response_of(&self, bytes: u64) {
        self.response_bytes.record(bytes as f64);
    }

    pub(super) fn accepted(&self) {
        bump(&self.accepted);
    }

    pub(super) fn turned_away(&self) {
        bump(&self.turned_away);
    }

    pub(super) fn failed_handshake(&self) {
        bump(&self.failed_handshakes);
    }

    pub(super) fn connection(self: &Arc<Self>) -> Gauge {
        Gauge::new(self, |stats| &stats.open)
    }

    pub(super) fn request(self: &Arc<Self>) -> Gauge {
        Gauge::new(self, |stats| &stats.in_flight)
    }
}

fn bump(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

// === impl Gauge ===

impl Gauge {
    fn new(stats: &Arc<ServerStats>, which: fn(&ServerStats) -> &AtomicU64) -> Self {
        bump(which(stats));
        Self { stats: stats.clone(), which }
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        (self.which)(&self.stats).fetch_sub(1, Ordering::Relaxed);
    }
}
