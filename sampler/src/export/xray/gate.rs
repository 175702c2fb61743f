//! The one door through which all batches of an exporter make their calls: [`Pace`] with a clock,
//! first come, first served.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tailgate_common::clock::Clock;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::pace::{Ask, Call, Outcome, Pace, PaceFigures, PaceSettings};
use crate::export::dispatch::rest;

/// See the module.
pub(super) struct Gate {
    /// Whoever has it is next.
    turn: tokio::sync::Mutex<()>,
    pace: Mutex<Pace>,
    /// A call was answered, or the process is stopping.
    answered: Notify,
    /// The process is stopping.
    hurried: CancellationToken,
    clock: Arc<dyn Clock>,
}

/// A call under way; dropped without [`Slot::end`], nobody waits for its answer any more.
pub(super) struct Slot<'a> {
    gate: &'a Gate,
    call: Option<Call>,
}

// === impl Gate ===

impl Gate {
    pub(super) fn new(settings: PaceSettings, chance: u64, clock: Arc<dyn Clock>) -> Self {
        Self {
            turn: tokio::sync::Mutex::new(()),
            pace: Mutex::new(Pace::new(settings, chance)),
            answered: Notify::new(),
            hurried: CancellationToken::new(),
            clock,
        }
    }

    /// Waits until a call with so many documents may be made.
    pub(super) async fn enter(&self, documents: usize) -> Slot<'_> {
        let _turn = self.turn.lock().await;
        loop {
            let now = self.clock.now();
            let ask = self.pace.lock().ask(now, documents);
            // Only the one whose turn it is waits here; an answer that comes before is remembered.
            match ask {
                Ask::Go(call) => return Slot { gate: self, call: Some(call) },
                Ask::At(at) => {
                    tokio::select! {
                        () = tokio::time::sleep(at.since(now)) => {}
                        () = self.answered.notified() => {}
                    }
                }
                Ask::Later => self.answered.notified().await,
            }
        }
    }

    /// The process is stopping: all pauses are short from now on, those that have begun too.
    pub(super) fn hurry(&self) {
        self.pace.lock().hurry(self.clock.now());
        self.hurried.cancel();
        self.answered.notify_one();
    }

    /// How long a batch whose call has failed this often should rest on its own, after an answer
    /// that asked for this much patience.
    pub(super) fn own_delay(&self, failures: u32, retry_after: Option<Duration>) -> Duration {
        self.pace.lock().own_delay(failures, retry_after)
    }

    /// Waits that long, less when the process is stopping.
    pub(super) async fn rest(&self, wait: Duration) {
        rest(wait, &self.hurried).await;
    }

    pub(super) fn figures(&self) -> PaceFigures {
        self.pace.lock().figures(self.clock.now())
    }
}

// === impl Slot ===

impl Slot<'_> {
    pub(super) fn end(mut self, outcome: Outcome) {
        self.answered(outcome);
    }

    fn answered(&mut self, outcome: Outcome) {
        if let Some(call) = self.call.take() {
            self.gate.pace.lock().answered(self.gate.clock.now(), &call, outcome);
            self.gate.answered.notify_one();
        }
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.answered(Outcome::Dropped);
    }
}
