//! `debug`: one log line per batch.

use super::nop::{NothingLeft, WHATEVER};
use super::{Attempt, Exporter};
use crate::core::outbox::{Batch, BatchLimits};

/// The exporter.
#[derive(Debug, Clone)]
pub struct DebugExporter {
    name: String,
}

// === impl DebugExporter ===

impl DebugExporter {
    /// An exporter with this name in the configuration.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

impl Exporter for DebugExporter {
    type Job = NothingLeft;

    fn limits(&self) -> BatchLimits {
        WHATEVER
    }

    fn prepare(&self, batch: &Batch) -> NothingLeft {
        let (traces, spans) = (batch.items().len(), batch.spans());
        tracing::info!(exporter = %self.name, traces, spans, "Traces");
        NothingLeft
    }

    async fn attempt(&self, _: &mut NothingLeft) -> Attempt {
        Attempt::Done
    }
}
