//! Says when kept traces begin to be given up, and when that is over.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::core::relief::Relief;

/// Whether kept traces are being given up, for one line in the log each time.
#[derive(Debug, Default)]
pub(super) struct Shedding(AtomicBool);

// === impl Shedding ===

impl Shedding {
    pub fn note(&self, relief: Relief) {
        if relief.shed && !self.0.swap(true, Ordering::Relaxed) {
            tracing::error!(
                "exporters' queues are full and memory is short: kept traces are lost, those worth \
                 least first; see tailgate_ledger_spans{{outcome=\"lost\",reason=\"queue_full\"}}"
            );
        }
        if !relief.pressure && self.0.swap(false, Ordering::Relaxed) {
            tracing::info!("exporters keep up again: no more kept traces are lost");
        }
    }
}
