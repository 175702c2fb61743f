//! `nop`: takes everything, sends nothing.

use std::time::Duration;

use super::{Attempt, Exporter, Job};
use crate::core::outbox::{Batch, BatchLimits, Loss, Reason};

/// The exporter.
#[derive(Debug, Clone, Copy)]
pub struct NopExporter;

/// Nothing to do.
#[derive(Debug)]
pub struct NothingLeft;

/// Whatever is there, at once.
pub(super) const WHATEVER: BatchLimits = BatchLimits {
    bytes: 4 << 20,
    spans: 8192,
    traces: 8192,
    enough_spans: 1,
    enough_bytes: usize::MAX,
    linger: Duration::ZERO,
};

// === impl NopExporter ===

impl Exporter for NopExporter {
    type Job = NothingLeft;

    fn limits(&self) -> BatchLimits {
        WHATEVER
    }

    fn prepare(&self, _: &Batch) -> NothingLeft {
        NothingLeft
    }

    async fn attempt(&self, _: &mut NothingLeft) -> Attempt {
        Attempt::Done
    }
}

impl Job for NothingLeft {
    fn losses(self, _: Reason) -> Vec<Loss> {
        Vec::new()
    }
}
