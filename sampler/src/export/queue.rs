//! What `sending_queue` means here.

use std::time::Duration;

use tailgate_common::config::{Batch, Queue, Sizer};

use crate::core::outbox::{BatchLimits, QueueLimits};

/// How much an exporter may hold and do at once.
#[derive(Debug, Clone, Copy)]
pub struct QueueSettings {
    /// Most bytes in its queue; a trace costs its bytes and 256 more.
    pub bytes: usize,
    /// Beside that, most of a unit; a request is a kept trace.
    pub size: Option<(Sizer, usize)>,
    /// Batches sent at a time, those that wait for a retry included.
    pub consumers: usize,
    /// How batches are cut, if the exporter's own way is not wanted.
    pub batch: Option<BatchSettings>,
    /// When it is full and memory is short, kept traces are given up, and new spans not refused.
    pub sheds: bool,
}

/// `sending_queue.batch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchSettings {
    /// Fewer than enough are sent after this long.
    pub linger: Duration,
    /// The unit of what follows: spans or bytes.
    pub sizer: Sizer,
    /// So many are enough.
    pub min: usize,
    /// The most; zero leaves it to the exporter.
    pub max: usize,
}

/// Bytes in a queue unless configured.
const DEFAULT_BYTES: usize = 64 << 20;
/// The collector's default.
const DEFAULT_CONSUMERS: usize = 10;

fn whole(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

// === impl QueueSettings ===

impl QueueSettings {
    /// As configured, in at most `bytes` of memory.
    pub fn new(queue: &Queue, bytes: usize) -> Self {
        Self {
            bytes,
            size: queue.size.map(|most| (queue.sizer, whole(most))),
            consumers: queue.num_consumers,
            batch: queue.batch.as_ref().map(BatchSettings::new),
            sheds: !queue.block_on_overflow,
        }
    }

    pub(super) fn limits(&self) -> QueueLimits {
        let Self { bytes, size, sheds, .. } = *self;
        QueueLimits { bytes, size, batches: self.consumers.max(1), sheds }
    }
}

impl Default for QueueSettings {
    fn default() -> Self {
        let (bytes, consumers) = (DEFAULT_BYTES, DEFAULT_CONSUMERS);
        Self { bytes, size: None, consumers, batch: None, sheds: false }
    }
}

// === impl BatchSettings ===

impl BatchSettings {
    fn new(batch: &Batch) -> Self {
        let (min, max) = (whole(batch.min_size), whole(batch.max_size));
        Self { linger: batch.flush_timeout, sizer: batch.sizer, min, max }
    }

    /// An exporter's limits with these in their place; what a backend takes stays the most.
    pub fn applied_to(&self, own: BatchLimits) -> BatchLimits {
        let most = |own: usize| if self.max == 0 { own } else { own.min(self.max) };
        let linger = self.linger;
        match self.sizer {
            Sizer::Bytes => BatchLimits {
                bytes: most(own.bytes),
                enough_bytes: self.min.min(most(own.bytes)),
                enough_spans: own.spans,
                linger,
                ..own
            },
            Sizer::Items | Sizer::Requests => BatchLimits {
                spans: most(own.spans),
                enough_spans: self.min.min(most(own.spans)),
                enough_bytes: own.bytes,
                linger,
                ..own
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: BatchLimits = BatchLimits {
        bytes: 1000,
        spans: 100,
        traces: 10,
        enough_spans: 50,
        enough_bytes: usize::MAX,
        linger: Duration::ZERO,
    };

    fn applied(sizer: Sizer, min: usize, max: usize) -> [usize; 4] {
        let batch = BatchSettings { linger: Duration::from_secs(1), sizer, min, max };
        let limits = batch.applied_to(OWN);
        assert_eq!((limits.traces, limits.linger), (10, Duration::from_secs(1)));
        [limits.spans, limits.enough_spans, limits.bytes, limits.enough_bytes]
    }

    #[test]
    fn sizes_are_in_their_unit_and_within_what_the_backend_takes() {
        assert_eq!(applied(Sizer::Items, 20, 30), [30, 20, 1000, 1000]);
        assert_eq!(applied(Sizer::Items, 20, 0), [100, 20, 1000, 1000]);
        assert_eq!(applied(Sizer::Items, 8192, 0), [100, 100, 1000, 1000]);
        assert_eq!(applied(Sizer::Bytes, 200, 300), [100, 100, 300, 200]);
        assert_eq!(applied(Sizer::Bytes, 0, 9999), [100, 100, 1000, 0]);
    }
}
