//! `awsxray`: documents to X-Ray by `PutTraceSegments`, each with its own outcome.
//!
//! A span counts as sent when X-Ray has accepted all its documents. Where the collector's exporter
//! counts unprocessed documents as sent, drops on throttling and sends a whole request again, here
//! only what failed is sent again, and a document that X-Ray refuses for good is lost under the
//! code that X-Ray gave.

mod call;
mod client;
mod job;
mod settings;

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tailgate_common::clock::Clock;
use tailgate_xray::{Options, Translator};

use super::{Attempt, Exporter};
use crate::core::outbox::{Batch, BatchLimits, Reason};

pub use call::{Answer, Document, MAX_CALL_BYTES, MAX_CALL_DOCUMENTS, Unprocessed, lost_reasons};
pub use client::SdkClient;
pub use job::XrayJob;
pub use settings::{DEFAULT_TIMEOUT, XraySettings};

/// What the exporter needs of a client: one call.
pub trait XrayClient: Send + Sync + 'static {
    /// Sends at most [`MAX_CALL_DOCUMENTS`] documents and waits for the answer.
    fn put(&self, documents: Vec<String>) -> impl Future<Output = Answer> + Send;
}

/// The exporter.
pub struct XrayExporter<C = SdkClient> {
    name: String,
    client: C,
    translator: Arc<Translator>,
    clock: Arc<dyn Clock>,
    stats: Arc<XrayStats>,
}

/// What X-Ray said, since the start.
#[derive(Debug, Default)]
pub struct XrayStats {
    calls: AtomicU64,
    accepted: AtomicU64,
    unprocessed: AtomicU64,
    throttled: AtomicU64,
    failed: AtomicU64,
}

/// One reading of [`XrayStats`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct XrayCounts {
    /// Calls that were made, whatever came of them.
    pub calls: u64,
    /// Documents accepted.
    pub accepted: u64,
    /// Documents listed as unprocessed, retryable or not.
    pub unprocessed: u64,
    /// Calls that were throttled.
    pub throttled: u64,
    /// Calls that failed otherwise.
    pub failed: u64,
}

/// Several calls' worth, so that only the last of them is not full.
const LIMITS: BatchLimits = BatchLimits {
    bytes: 1 << 20,
    spans: 20 * MAX_CALL_DOCUMENTS,
    traces: 20 * MAX_CALL_DOCUMENTS,
    enough_spans: 10 * MAX_CALL_DOCUMENTS,
    enough_bytes: usize::MAX,
    linger: Duration::from_millis(200),
};

// === impl XrayExporter ===

impl<C: XrayClient> XrayExporter<C> {
    /// An exporter with this name in the configuration.
    pub fn new(
        name: impl Into<String>,
        client: C,
        options: Options,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let translator = Arc::new(Translator::new(options));
        Self { name: name.into(), client, translator, clock, stats: Arc::default() }
    }

    /// What X-Ray said; stays readable when the exporter has been started.
    pub fn stats(&self) -> Arc<XrayStats> {
        self.stats.clone()
    }
}

impl<C: XrayClient> Exporter for XrayExporter<C> {
    type Job = XrayJob;

    fn limits(&self) -> BatchLimits {
        LIMITS
    }

    fn prepare(&self, batch: &Batch) -> XrayJob {
        let now_s = self.clock.unix_ns() / 1_000_000_000;
        XrayJob::new(batch.items().to_vec(), now_s, RandomState::new().hash_one(now_s))
    }

    async fn attempt(&self, job: &mut XrayJob) -> Attempt {
        loop {
            let Some(texts) = job.next_call(&self.translator) else { return job.end_of_round() };
            let answer = self.client.put(texts).await;
            self.stats.note(&answer, job.call_len());
            match answer {
                Answer::Taken { unprocessed } => {
                    for lost in job.taken(&unprocessed) {
                        let (code, message) = (&lost.code, &lost.message);
                        tracing::warn!(exporter = %self.name, %code, %message, "document refused");
                    }
                }
                Answer::Refused { message } => {
                    if job.refused(Reason("xray_invalid_request")) {
                        tracing::error!(exporter = %self.name, %message, "document refused");
                    }
                }
                Answer::Failed { retry_after, message, .. } => {
                    return Attempt::Again { retry_after, why: message };
                }
            }
        }
    }
}

// === impl XrayStats ===

impl XrayStats {
    /// Reads the counters.
    pub fn read(&self) -> XrayCounts {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        XrayCounts {
            calls: load(&self.calls),
            accepted: load(&self.accepted),
            unprocessed: load(&self.unprocessed),
            throttled: load(&self.throttled),
            failed: load(&self.failed),
        }
    }

    fn note(&self, answer: &Answer, documents: usize) {
        let add = |counter: &AtomicU64, n: usize| counter.fetch_add(n as u64, Ordering::Relaxed);
        add(&self.calls, 1);
        match answer {
            Answer::Taken { unprocessed } => {
                add(&self.accepted, documents.saturating_sub(unprocessed.len()));
                add(&self.unprocessed, unprocessed.len());
            }
            Answer::Failed { throttled: true, .. } => {
                add(&self.throttled, 1);
            }
            _ => {
                add(&self.failed, 1);
            }
        }
    }
}

#[cfg(test)]
mod tests;
