//! How much goes in and out, and in which pieces.

use tailgate_common::telemetry::{Distribution, QueueReadings, defs};

/// Sizes of what passed by.
#[derive(Debug)]
pub(super) struct Flow {
    spans: Distribution,
    bytes: Distribution,
    by_size: u64,
    by_timeout: u64,
}

// === impl Flow ===

impl Default for Flow {
    fn default() -> Self {
        Self {
            spans: Distribution::new(&defs::EXPORTER_BATCH_SEND_SIZE),
            bytes: Distribution::new(&defs::EXPORTER_BATCH_SEND_SIZE_BYTES),
            by_size: 0,
            by_timeout: 0,
        }
    }
}

impl Flow {
    /// So much passed by, in one piece.
    pub(super) fn add(&self, spans: usize, bytes: usize) {
        self.spans.record(spans as f64);
        self.bytes.record(bytes as f64);
    }

    /// A batch was cut, because enough was there or because it had waited.
    pub(super) fn triggered(&mut self, by_size: bool) {
        match by_size {
            true => self.by_size += 1,
            false => self.by_timeout += 1,
        }
    }

    /// Both ends of a queue; this is the way in.
    pub(super) fn and_out(&self, out: &Flow) -> QueueReadings {
        QueueReadings {
            enqueued: self.spans.read(),
            enqueued_bytes: self.bytes.read(),
            sent: out.spans.read(),
            sent_bytes: out.bytes.read(),
            by_size: out.by_size,
            by_timeout: out.by_timeout,
            ..QueueReadings::default()
        }
    }
}
