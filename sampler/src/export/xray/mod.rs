//! `awsxray`: documents to X-Ray by `PutTraceSegments`, each with its own outcome.
//!
//! A span counts as sent when X-Ray has accepted all its documents. Where the collector's exporter
//! counts unprocessed documents as sent, drops on throttling and sends a whole request again, here
//! only what failed is sent again, and a document that X-Ray refuses for good is lost under the
//! code that X-Ray gave.

mod call;
mod client;
mod gate;
mod job;
mod pace;
mod settings;
mod stats;
mod telemetry;
mod told;

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tailgate_common::clock::Clock;
use tailgate_xray::{Options, Translator};

use self::gate::{Gate, Slot};
use self::pace::Outcome;
use self::stats::CallEnd;
use super::{Attempt, Exporter};
use crate::core::outbox::{Batch, BatchLimits, Reason};

pub use call::{
    Answer, CallError, Cause, Document, MAX_CALL_BYTES, MAX_CALL_DOCUMENTS, Unprocessed,
    code_labels, lost_reasons,
};
pub use client::ApiClient;
pub use job::XrayJob;
pub use pace::{PaceFigures, PaceSettings};
pub use settings::{DEFAULT_TIMEOUT, SendSettings, XraySettings};
pub use stats::{XrayFigures, XrayWatch};
pub use telemetry::{OriginSettings, report};

/// What the exporter needs of a client: one call.
pub trait XrayClient: Send + Sync + 'static {
    /// Sends the body of a `PutTraceSegments` call and waits for the answer.
    fn put(&self, call: Bytes) -> impl Future<Output = Answer> + Send;
}

/// The exporter.
pub struct XrayExporter<C = ApiClient> {
    name: String,
    client: C,
    translator: Arc<Translator>,
    clock: Arc<dyn Clock>,
    watch: XrayWatch,
    attempts: u32,
}

/// At least ten calls' worth under load, and only the last of a batch is not full: more than 90 %
/// of the room in calls is used.
const LIMITS: BatchLimits = BatchLimits {
    bytes: 4 << 20,
    spans: 20 * MAX_CALL_DOCUMENTS,
    traces: 20 * MAX_CALL_DOCUMENTS,
    enough_spans: 10 * MAX_CALL_DOCUMENTS,
    enough_bytes: usize::MAX,
    // Kept traces are old already, and every call costs.
    linger: Duration::from_secs(1),
};

/// Without credentials it is tried again after this long at most.
const CREDENTIALS_PAUSE: Duration = Duration::from_secs(2);

// === impl XrayExporter ===

impl<C: XrayClient> XrayExporter<C> {
    /// An exporter with this name in the configuration.
    pub fn new(
        name: impl Into<String>,
        client: C,
        options: Options,
        send: &SendSettings,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let chance = RandomState::new().hash_one(clock.unix_ns());
        let gate = Arc::new(Gate::new(send.pace, chance, clock.clone()));
        Self {
            name: name.into(),
            client,
            translator: Arc::new(Translator::new(options)),
            clock,
            watch: XrayWatch { stats: Arc::default(), gate },
            attempts: send.attempts.max(1),
        }
    }

    /// What X-Ray said; stays readable when the exporter has been started.
    pub fn watch(&self) -> XrayWatch {
        self.watch.clone()
    }

    /// What an answer means for the call's documents, and for the calls after it. If it failed, how
    /// often by now, and why.
    fn answered(&self, job: &mut XrayJob, answer: Answer, slot: Slot<'_>) -> Option<(u32, String)> {
        let (stats, documents) = (&*self.watch.stats, job.call_len());
        let accepted = stats.accepted();
        match answer {
            Answer::Taken { unprocessed } => {
                let sorted = job.taken(&unprocessed, accepted);
                stats.call(documents, CallEnd::Taken);
                stats.documents(sorted.accepted, sorted.retried, sorted.lost.len());
                stats.unprocessed(&unprocessed);
                slot.end(match sorted.throttled {
                    true => Outcome::Throttled { accepted: sorted.accepted, retry_after: None },
                    false => Outcome::Accepted(sorted.accepted),
                });
                for lost in sorted.lost {
                    let (code, why) = (&lost.code, &lost.message);
                    tracing::warn!(exporter = %self.name, %code, %why, "document lost");
                }
            }
            Answer::Refused { message } => {
                stats.call(documents, CallEnd::Refused);
                stats.error(CallError::Http4xx);
                slot.end(Outcome::Accepted(0));
                let lost = job.refused(Reason("xray_invalid_request"));
                stats.documents(0, documents - usize::from(lost), lost.into());
                if lost {
                    tracing::error!(exporter = %self.name, why = %message, "document lost");
                }
            }
            Answer::Failed { cause, error, retry_after, message } => {
                stats.error(error);
                // Throttling concerns everybody alike; anything else may be this call's own fault.
                let (throttled, own) = (cause == Cause::Throttled, cause == Cause::Other);
                let failures = job.failed(own, accepted);
                stats.call(documents, if throttled { CallEnd::Throttled } else { CallEnd::Failed });
                slot.end(match cause {
                    Cause::Throttled => Outcome::Throttled { accepted: 0, retry_after },
                    Cause::Credentials => {
                        Outcome::Failed { retry_after, at_most: CREDENTIALS_PAUSE }
                    }
                    Cause::Other => Outcome::Failed { retry_after, at_most: Duration::MAX },
                });
                job.rest(own.then(|| self.watch.gate.own_delay(failures, retry_after)));
                let often = own && failures.is_multiple_of(self.attempts);
                let lost = often && job.set_back();
                stats.documents(0, documents - usize::from(lost), lost.into());
                if lost {
                    tracing::error!(exporter = %self.name, why = %message, "document lost");
                }
                return Some((failures, message));
            }
        }
        None
    }
}

impl<C: XrayClient> Exporter for XrayExporter<C> {
    type Job = XrayJob;

    fn limits(&self) -> BatchLimits {
        LIMITS
    }

    fn prepare(&self, batch: &Batch) -> XrayJob {
        let now_s = self.clock.unix_ns() / 1_000_000_000;
        let entropy = RandomState::new().hash_one(now_s);
        XrayJob::new(batch.items().to_vec(), now_s, entropy, self.watch.stats.clone())
    }

    fn hurry(&self) {
        self.watch.gate.hurry();
    }

    async fn attempt(&self, job: &mut XrayJob) -> Attempt {
        loop {
            let Some(documents) = job.next_call(&self.translator) else {
                return job.end_of_round();
            };
            if let Some(wait) = job.take_wait() {
                self.watch.gate.rest(wait).await;
            }
            let slot = self.watch.gate.enter(documents).await;
            let answer = self.client.put(job.body()).await;
            if let Some((failures, why)) = self.answered(job, answer, slot)
                && failures.is_multiple_of(self.attempts)
            {
                return Attempt::Again { retry_after: None, why, paced: true };
            }
        }
    }
}

#[cfg(test)]
mod tests;
