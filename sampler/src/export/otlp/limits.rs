//! What an endpoint says beforehand that it takes.

use std::time::Duration;

/// Limits of one request and of its spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndpointLimits {
    /// Most bytes of a request before it is compressed.
    pub request_bytes: usize,
    /// Most spans of a request.
    pub request_spans: usize,
    /// Most bytes of a span.
    pub span_bytes: usize,
    /// How long ago a span may have begun.
    pub past: Duration,
    /// How far in the future.
    pub ahead: Duration,
    /// Most time between the first and the last beginning in a request.
    pub gap: Duration,
}

/// X-Ray's OTLP endpoint. Source: Amazon CloudWatch's user guide, "OTLP endpoints", which says 5 MB
/// and 200 KB; the smaller meaning of these is taken.
pub const XRAY: EndpointLimits = EndpointLimits {
    request_bytes: 5_000_000,
    request_spans: 10_000,
    span_bytes: 200_000,
    past: Duration::from_secs(14 * 24 * 3600),
    ahead: Duration::from_secs(2 * 3600),
    gap: Duration::from_secs(24 * 3600),
};

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

// === impl EndpointLimits ===

impl EndpointLimits {
    pub(super) fn gap_ns(&self) -> u64 {
        nanos(self.gap)
    }

    /// Whether it takes a span that began then.
    pub(super) fn takes(&self, start_ns: u64, now_ns: u64) -> bool {
        let from = now_ns.saturating_sub(nanos(self.past));
        (from..=now_ns.saturating_add(nanos(self.ahead))).contains(&start_ns)
    }
}
