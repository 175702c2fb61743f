//! One exporter at work: batches are taken as they are ready, sent, tried again, settled.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tailgate_common::clock::Nanos;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::exports::{LaneState, Shared};
use super::{Attempt, Exporter, HURRIED_WAIT, Job, Retry};
use crate::core::outbox::{Batch, Loss, Reason};

/// One exporter and its place among the others.
pub(super) struct Lane<E> {
    shared: Arc<Shared>,
    index: usize,
    exporter: Arc<E>,
    retry: Arc<Retry>,
}

/// A batch that is out. Dropped without being settled (its task died), it goes back to its queue.
struct Lease {
    shared: Arc<Shared>,
    index: usize,
    batch: Option<Batch>,
}

/// Counts a batch among those that fail, while it lives.
struct FailingMark<'a>(&'a LaneState);

/// A batch that kills its task this often is lost.
const MAX_DEATHS: u32 = 3;
const AFTER_DEATH: Duration = Duration::from_secs(1);

/// Runs an exporter until the time is over, whatever happens in it.
pub(super) async fn supervise<E: Exporter>(lane: Lane<E>) {
    while !lane.shared.abort.is_cancelled() {
        // Batches of a dispatcher that dies are dropped with it, and their leases put them back.
        if let Err(error) = tokio::spawn(lane.clone().dispatch()).await {
            report_death(lane.name(), error);
            tokio::select! {
                () = tokio::time::sleep(AFTER_DEATH) => {}
                () = lane.shared.abort.cancelled() => {}
            }
        }
    }
}

fn report_death(exporter: &str, error: JoinError) {
    if error.is_panic() {
        tracing::error!(exporter, %error, "an exporter's task died; its batch is tried again");
    }
}

/// Anywhere in [0, 1): the hash seed is random, and differs from call to call.
fn chance() -> f64 {
    (RandomState::new().hash_one(0u8) >> 11) as f64 / (1u64 << 53) as f64
}

/// Waits, less when the process is stopping.
pub(super) async fn rest(wait: Duration, hurry: &CancellationToken) {
    let hurried = async {
        hurry.cancelled().await;
        tokio::time::sleep(HURRIED_WAIT).await;
    };
    tokio::select! {
        () = tokio::time::sleep(wait) => {}
        () = hurried => {}
    }
}

// === impl Lane ===

impl<E> Clone for Lane<E> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
            index: self.index,
            exporter: self.exporter.clone(),
            retry: self.retry.clone(),
        }
    }
}

impl<E: Exporter> Lane<E> {
    pub(super) fn new(shared: Arc<Shared>, index: usize, exporter: E, retry: Retry) -> Self {
        Self { shared, index, exporter: Arc::new(exporter), retry: Arc::new(retry) }
    }

    fn state(&self) -> &LaneState {
        &self.shared.lanes[self.index]
    }

    fn name(&self) -> &str {
        &self.state().name
    }

    async fn dispatch(self) {
        let mut running = JoinSet::new();
        let mut hurried = false;
        loop {
            while let Some(lease) = self.take() {
                running.spawn(self.clone().run(lease));
            }
            let due = self.shared.outbox.lock().next_due(self.index, &self.state().limits);
            let wait = due.map(|due| due.since(self.shared.clock.now()));
            tokio::select! {
                () = self.state().wake.notified() => {}
                () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => {}
                Some(ended) = running.join_next() => {
                    if let Err(error) = ended {
                        report_death(self.name(), error);
                    }
                }
                () = self.shared.hurry.cancelled(), if !hurried => {
                    hurried = true;
                    self.exporter.hurry();
                }
                () = self.shared.abort.cancelled() => break,
            }
        }
        while running.join_next().await.is_some() {}
    }

    fn take(&self) -> Option<Lease> {
        let now = self.shared.clock.now();
        let batch = self.shared.outbox.lock().take(self.index, now, &self.state().limits)?;
        Some(Lease { shared: self.shared.clone(), index: self.index, batch: Some(batch) })
    }

    /// One batch, from its first attempt to its outcome.
    async fn run(self, lease: Lease) {
        let Some(batch) = &lease.batch else { return };
        let mut job = self.exporter.prepare(batch);
        let started = self.shared.clock.now();
        let mut failures = 0;
        let mut mark = None;
        let rest = loop {
            let began = self.shared.clock.now();
            let attempt = tokio::select! {
                biased;
                attempt = self.exporter.attempt(&mut job) => attempt,
                () = self.shared.abort.cancelled() => break Reason::SHUTDOWN,
            };
            let took = self.shared.clock.now().since(began);
            self.state().attempts.record(took.as_secs_f64() * 1e3);
            let Attempt::Again { retry_after, why, paced } = attempt else {
                break Reason::INTERNAL;
            };
            failures += 1;
            let Some(delay) = self.next_delay(failures, started, retry_after) else {
                tracing::error!(exporter = self.name(), %why, "gave a batch up");
                break Reason::RETRIES_EXHAUSTED;
            };
            tracing::debug!(exporter = self.name(), %why, ?delay, "trying a batch again");
            mark.get_or_insert_with(|| FailingMark::new(self.state())).explain(why);
            if !self.pause(if paced { Duration::ZERO } else { delay }).await {
                break Reason::SHUTDOWN;
            }
        };
        lease.settle(&job.losses(rest));
    }

    fn next_delay(&self, n: u32, started: Nanos, after: Option<Duration>) -> Option<Duration> {
        let elapsed = self.shared.clock.now().since(started);
        self.retry.delay(n, elapsed, after, chance())
    }

    /// Waits, less when the process is stopping. False if the time is over.
    async fn pause(&self, delay: Duration) -> bool {
        let shared = &self.shared;
        tokio::select! {
            () = rest(delay, &shared.hurry) => true,
            () = shared.abort.cancelled() => false,
        }
    }
}

// === impl Lease ===

impl Lease {
    fn settle(mut self, losses: &[Loss]) {
        if let Some(batch) = self.batch.take() {
            self.shared.outbox.lock().settle(batch, losses);
            self.shared.settled.notify_waiters();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(batch) = self.batch.take() else { return };
        if batch.retries + 1 >= MAX_DEATHS {
            let losses = batch.lost(Reason::INTERNAL);
            self.shared.outbox.lock().settle(batch, &losses);
            self.shared.settled.notify_waiters();
            return;
        }
        let not_before = self.shared.clock.now() + AFTER_DEATH;
        self.shared.outbox.lock().retry(batch, not_before);
        self.shared.lanes[self.index].wake.notify_one();
    }
}

// === impl FailingMark ===

impl<'a> FailingMark<'a> {
    fn new(lane: &'a LaneState) -> Self {
        lane.failing.lock().batches += 1;
        Self(lane)
    }

    /// The first reason since all went well is worth a line; later ones are in the status.
    fn explain(&self, why: String) {
        let mut failing = self.0.failing.lock();
        if failing.why.is_empty() {
            tracing::warn!(exporter = %self.0.name, %why, "cannot deliver, trying again");
        }
        failing.why = why;
    }
}

impl Drop for FailingMark<'_> {
    fn drop(&mut self) {
        let mut failing = self.0.failing.lock();
        failing.batches -= 1;
        if failing.batches == 0 {
            tracing::info!(exporter = %self.0.name, "no batch is waiting for a retry any more");
            failing.why.clear();
        }
    }
}
