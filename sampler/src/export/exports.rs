//! The exporters of a pipeline, as the sampler sees them: offer, counts, drain.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tailgate_common::clock::Clock;
use tailgate_common::telemetry::{Distribution, QueueReadings, Reading, defs};
use tailgate_policy::Value;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::dispatch::{self, Lane};
use super::{Exporter, QueueSettings, Retry};
use crate::core::outbox::{BatchLimits, Kept, Outbox, OutboxCounts, QueueLimits, Reason};

/// Collects the exporters of a pipeline.
#[derive(Default)]
pub struct Builder {
    queues: Vec<QueueLimits>,
    lanes: Vec<LaneSpec>,
    starts: Vec<Start>,
    beside: Vec<Beside>,
}

/// The running exporters. Dropping it stops them and loses what they hold: [`Exports::drain`]
/// first.
pub struct Exports {
    shared: Arc<Shared>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// How an exporter is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExporterStatus {
    /// Its name in the configuration.
    pub name: String,
    /// Batches waiting to be tried again.
    pub retrying: usize,
    /// The last failure, while anything is waiting to be tried again.
    pub failure: Option<String>,
}

/// What the tasks share.
pub(super) struct Shared {
    pub(super) outbox: Mutex<Outbox>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) lanes: Vec<LaneState>,
    /// The process is stopping: no more patience.
    pub(super) hurry: CancellationToken,
    /// Time is over.
    pub(super) abort: CancellationToken,
    /// Something was settled.
    pub(super) settled: Notify,
}

/// What is shared about one exporter.
pub(super) struct LaneState {
    pub(super) name: String,
    pub(super) limits: BatchLimits,
    pub(super) wake: Notify,
    pub(super) failing: Mutex<Failing>,
    /// Milliseconds of each attempt to send a batch.
    pub(super) attempts: Distribution,
}

#[derive(Debug, Default)]
pub(super) struct Failing {
    pub(super) batches: usize,
    pub(super) why: String,
}

struct LaneSpec {
    name: String,
    limits: BatchLimits,
}

type Start = Box<dyn FnOnce(Arc<Shared>, usize) -> JoinHandle<()> + Send>;
type Beside = Pin<Box<dyn Future<Output = ()> + Send>>;

// === impl Builder ===

impl Builder {
    /// No exporters yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an exporter under its name in the configuration.
    pub fn add(
        mut self,
        name: impl Into<String>,
        exporter: impl Exporter,
        queue: QueueSettings,
        retry: Retry,
    ) -> Self {
        self.queues.push(queue.limits());
        let own = exporter.limits();
        let limits = queue.batch.map_or(own, |batch| batch.applied_to(own));
        self.lanes.push(LaneSpec { name: name.into(), limits });
        self.starts.push(Box::new(move |shared, index| {
            tokio::spawn(dispatch::supervise(Lane::new(shared, index, exporter, retry)))
        }));
        self
    }

    /// Adds what runs as long as the exporters do.
    pub fn beside(mut self, task: impl Future<Output = ()> + Send + 'static) -> Self {
        self.beside.push(Box::pin(task));
        self
    }

    /// Starts them all. Must be called in a tokio runtime.
    pub fn start(self, clock: Arc<dyn Clock>) -> Exports {
        let lane = |spec: LaneSpec| LaneState {
            name: spec.name,
            limits: spec.limits,
            wake: Notify::new(),
            failing: Mutex::default(),
            attempts: Distribution::new(&defs::RPC_CLIENT_DURATION),
        };
        let shared = Arc::new(Shared {
            outbox: Mutex::new(Outbox::new(&self.queues)),
            clock,
            lanes: self.lanes.into_iter().map(lane).collect(),
            hurry: CancellationToken::new(),
            abort: CancellationToken::new(),
            settled: Notify::new(),
        });
        let starts = self.starts.into_iter().enumerate();
        let lanes = starts.map(|(index, start)| start(shared.clone(), index));
        let beside = self.beside.into_iter().map(|task| {
            let abort = shared.abort.clone();
            tokio::spawn(async move { abort.run_until_cancelled_owned(task).await.unwrap_or(()) })
        });
        let tasks = lanes.chain(beside).collect();
        Exports { shared, tasks: Mutex::new(tasks) }
    }
}

// === impl Exports ===

impl Exports {
    /// Takes a kept trace, or gives it back if an exporter has no room for it: hold it, and offer
    /// it again.
    pub fn offer(&self, kept: Kept) -> Result<(), Kept> {
        let now = self.shared.clock.now();
        let mut outbox = self.shared.outbox.lock();
        outbox.offer(kept, now)?;
        for (index, lane) in self.shared.lanes.iter().enumerate() {
            if outbox.has_news(index, &lane.limits) {
                lane.wake.notify_one();
            }
        }
        Ok(())
    }

    /// Whether a trace would be taken now.
    pub fn has_room(&self) -> bool {
        self.shared.outbox.lock().has_room()
    }

    /// Whether exporters have no room, and may give up what they hold.
    pub fn sheds(&self) -> bool {
        self.shared.outbox.lock().sheds()
    }

    /// Gives up some of what full queues hold of this value; how many spans.
    pub fn shed(&self, value: Value) -> u64 {
        self.shared.outbox.lock().shed(value)
    }

    /// What became of all spans, as one snapshot. `queues` are in the order of [`Exports::names`].
    pub fn counts(&self) -> OutboxCounts {
        self.shared.outbox.lock().counts()
    }

    /// What went through each queue, and how many milliseconds each attempt to send took, in the same order.
    pub fn flows(&self) -> Vec<(QueueReadings, Reading)> {
        let flows = self.shared.outbox.lock().flows();
        let attempts = self.shared.lanes.iter().map(|lane| lane.attempts.read());
        flows.into_iter().zip(attempts).collect()
    }

    /// The exporters' names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.shared.lanes.iter().map(|lane| lane.name.as_str())
    }

    /// How each exporter is doing.
    pub fn status(&self) -> Vec<ExporterStatus> {
        let status = |lane: &LaneState| {
            let failing = lane.failing.lock();
            let failure = (failing.batches > 0).then(|| failing.why.clone());
            ExporterStatus { name: lane.name.clone(), retrying: failing.batches, failure }
        };
        self.shared.lanes.iter().map(status).collect()
    }

    /// The process is stopping: batches are no longer gathered, waits for retries are short. Offers
    /// are still taken.
    pub fn hurry(&self) {
        self.shared.outbox.lock().hurry();
        self.shared.hurry.cancel();
        self.shared.lanes.iter().for_each(|lane| lane.wake.notify_one());
    }

    /// Sends all that is held, for at most `time`; what is left then is lost for
    /// [`Reason::SHUTDOWN`]. Nothing may be offered any more: it is refused once this returns.
    /// Gives the final counts.
    pub async fn drain(&self, time: Duration) -> OutboxCounts {
        self.hurry();
        let _ = tokio::time::timeout(time, self.shared.until_empty()).await;
        self.shared.abort.cancel();
        let tasks = std::mem::take(&mut *self.tasks.lock());
        for task in tasks {
            // It ends by itself, at once; how does not matter any more.
            let _ = task.await;
        }
        let mut outbox = self.shared.outbox.lock();
        outbox.abandon(Reason::SHUTDOWN);
        outbox.counts()
    }
}

impl Drop for Exports {
    fn drop(&mut self) {
        self.shared.abort.cancel();
    }
}

// === impl Shared ===

impl Shared {
    async fn until_empty(&self) {
        loop {
            let settled = self.settled.notified();
            if self.outbox.lock().is_empty() {
                return;
            }
            settled.await;
        }
    }
}
