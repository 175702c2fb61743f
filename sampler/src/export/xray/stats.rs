//! What X-Ray said since the start, and how fast calls are made.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tailgate_common::telemetry::{Distribution, Reading, defs};
use tailgate_xray::{Change, Changes};

use super::call::{CallError, Unprocessed};
use super::gate::Gate;
use super::pace::PaceFigures;

/// The figures of a running exporter. Cheap to clone.
#[derive(Clone)]
pub struct XrayWatch {
    pub(super) stats: Arc<XrayStats>,
    pub(super) gate: Arc<Gate>,
}

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallEnd {
    Taken,
    Throttled,
    Refused,
    Failed,
}

/// The counters.
pub(super) struct XrayStats {
    calls: [AtomicU64; 4],
    errors: [AtomicU64; CallError::COUNT],
    accepted: AtomicU64,
    retried: AtomicU64,
    lost: AtomicU64,
    unprocessed: Mutex<BTreeMap<&'static str, u64>>,
    changed: [AtomicU64; Change::ALL.len()],
    fill: Distribution,
}

/// One reading.
#[derive(Debug, Clone, PartialEq)]
pub struct XrayFigures {
    /// Calls that X-Ray took, perhaps without some documents.
    pub taken: u64,
    /// Calls that were throttled.
    pub throttled: u64,
    /// Calls that X-Ray refused for good.
    pub refused: u64,
    /// Calls that failed otherwise.
    pub failed: u64,
    /// How those failed that X-Ray did not take, in the order of [`CallError`].
    pub errors: [u64; CallError::COUNT],
    /// Documents accepted.
    pub accepted: u64,
    /// Documents not accepted this time, to be sent again.
    pub retried: u64,
    /// Documents refused for good, or sent too often in vain.
    pub lost: u64,
    /// Documents listed as unprocessed, by X-Ray's code as far as it is a known one.
    pub unprocessed: BTreeMap<&'static str, u64>,
    /// Documents that do not say all that their span says, in the order of [`Change::ALL`].
    pub changed: [u64; Change::ALL.len()],
    /// Documents in each call.
    pub fill: Reading,
    /// How fast calls are made.
    pub pace: PaceFigures,
}

// === impl XrayWatch ===

impl XrayWatch {
    /// The figures now.
    pub fn read(&self) -> XrayFigures {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let stats = &*self.stats;
        let [taken, throttled, refused, failed] = [0, 1, 2, 3].map(|end| load(&stats.calls[end]));
        XrayFigures {
            taken,
            throttled,
            refused,
            failed,
            errors: stats.errors.each_ref().map(load),
            accepted: load(&stats.accepted),
            retried: load(&stats.retried),
            lost: load(&stats.lost),
            unprocessed: stats.unprocessed.lock().clone(),
            changed: stats.changed.each_ref().map(load),
            fill: stats.fill.read(),
            pace: self.gate.figures(),
        }
    }
}

// === impl XrayFigures ===

impl XrayFigures {
    /// All calls, whatever came of them.
    pub fn calls(&self) -> u64 {
        self.taken + self.throttled + self.refused + self.failed
    }
}

// === impl XrayStats ===

impl Default for XrayStats {
    fn default() -> Self {
        Self {
            calls: Default::default(),
            errors: Default::default(),
            accepted: AtomicU64::default(),
            retried: AtomicU64::default(),
            lost: AtomicU64::default(),
            unprocessed: Mutex::default(),
            changed: Default::default(),
            fill: Distribution::new(&defs::XRAY_CALL_DOCUMENTS),
        }
    }
}

impl XrayStats {
    pub(super) fn call(&self, documents: usize, end: CallEnd) {
        self.calls[end as usize].fetch_add(1, Ordering::Relaxed);
        self.fill.record(documents as f64);
    }

    pub(super) fn error(&self, error: CallError) {
        self.errors[error as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn documents(&self, accepted: usize, retried: usize, lost: usize) {
        let counters = [(&self.accepted, accepted), (&self.retried, retried), (&self.lost, lost)];
        for (counter, documents) in counters {
            counter.fetch_add(documents as u64, Ordering::Relaxed);
        }
    }

    /// Documents accepted until now.
    pub(super) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// A document was made.
    pub(super) fn made(&self, changes: Changes) {
        if changes.is_empty() {
            return;
        }
        for (change, counter) in Change::ALL.into_iter().zip(&self.changed) {
            counter.fetch_add(u64::from(changes.contains(change)), Ordering::Relaxed);
        }
    }

    pub(super) fn unprocessed(&self, unprocessed: &[Unprocessed]) {
        if unprocessed.is_empty() {
            return;
        }
        let mut by_code = self.unprocessed.lock();
        for one in unprocessed {
            *by_code.entry(one.label()).or_default() += 1;
        }
    }
}
