//! Out: what was kept goes to the backends, and every span of it gets its outcome.
//!
//! One [`Exports`] serves a pipeline: an [`Outbox`](crate::core::outbox::Outbox) under one lock,
//! and for each exporter a supervised task that runs up to `consumers` batches at a time. A batch
//! stays with its consumer through all its retries, as in the collector; what an exporter has not
//! delivered stays charged to its queue, and the queue refuses when it is full.

mod aws;
mod debug;
mod dispatch;
mod exports;
mod file;
mod nop;
mod otlp;
mod queue;
pub mod xray;

use std::future::Future;
use std::time::Duration;

use thiserror::Error;

use crate::core::outbox::{Batch, BatchLimits, Loss, Reason};

pub use aws::SigV4Signer;
pub use debug::DebugExporter;
pub use exports::{Builder, ExporterStatus, Exports};
pub use file::{FileExporter, FileSettings};
pub use nop::NopExporter;
pub use otlp::limits::{EndpointLimits, XRAY as XRAY_LIMITS};
pub use otlp::{OtlpClient, OtlpExporter};
pub use queue::{BatchSettings, QueueSettings};
pub use tailgate_common::retry::Retry;

/// Why an exporter could not be set up.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The file can't be opened.
    #[error("cannot open {path}: {source}")]
    File {
        /// The configured path.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A setting is there but can't be done.
    #[error("{0}")]
    Setting(String),
}

/// When the process is stopping, waits between attempts are no longer than this.
const HURRIED_WAIT: Duration = Duration::from_millis(500);

/// A way to a backend. It is called from many batches at a time.
pub trait Exporter: Send + Sync + 'static {
    /// A batch in the form in which it is sent, and how far it has got.
    type Job: Job;

    /// How batches for it are cut, unless `sending_queue.batch` says otherwise.
    fn limits(&self) -> BatchLimits;

    /// Makes a batch ready. Not for waiting: nothing here may block.
    fn prepare(&self, batch: &Batch) -> Self::Job;

    /// The process is stopping: an exporter that makes pauses by itself keeps them short from now on.
    fn hurry(&self) {}

    /// Sends what is left of the job. Dropping the future gives the attempt up.
    fn attempt(&self, job: &mut Self::Job) -> impl Future<Output = Attempt> + Send;
}

/// What is left of a batch.
pub trait Job: Send + 'static {
    /// What was lost so far; and what is left, which is lost for `rest`.
    fn losses(self, rest: Reason) -> Vec<Loss>;
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// Nothing is left: each span is delivered or among the losses.
    Done,
    /// Something is left, and it is worth trying again.
    Again {
        /// The backend asked for this much patience.
        retry_after: Option<Duration>,
        /// What went wrong, for the log.
        why: String,
        /// The exporter itself makes sure that not too much is tried: no further wait is needed.
        paced: bool,
    },
}

#[cfg(test)]
mod tests;
