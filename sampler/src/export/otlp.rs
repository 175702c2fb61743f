//! `otlp_grpc`: batches as they are, in requests that every backend takes.

use std::collections::VecDeque;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use tailgate_common::client::OtlpGrpcClient;
use tailgate_proto::{Limits, Scan, scan, splice, spliced_len};

use super::{Attempt, Exporter, Job};
use crate::core::outbox::{Batch, BatchLimits, Item, Loss, Reason};

/// What the exporter needs of a client.
pub trait OtlpClient: Send + Sync + 'static {
    /// Sends one `ExportTraceServiceRequest` and waits for its answer.
    fn export(&self, request: Bytes) -> impl Future<Output = SendOutcome> + Send;
}

/// How one request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendOutcome {
    /// The backend has it, but for `rejected` spans.
    Accepted {
        /// `partial_success.rejected_spans`.
        rejected: u64,
        /// `partial_success.error_message`.
        message: String,
    },
    /// The backend does not have it.
    Failed {
        /// Worth another try.
        retryable: bool,
        /// The backend asked for this much patience.
        retry_after: Option<Duration>,
        /// What went wrong.
        message: String,
    },
}

/// The exporter.
#[derive(Debug)]
pub struct OtlpExporter<C> {
    name: String,
    client: C,
}

/// The requests that are left of a batch.
#[derive(Debug, Default)]
pub struct OtlpJob {
    requests: VecDeque<Request>,
    losses: Vec<Loss>,
}

#[derive(Debug)]
struct Request {
    body: Bytes,
    /// Which spans it has, as losses to be.
    parts: Vec<Loss>,
}

/// Backends commonly take messages of 4 MiB (gRPC's default limit); this leaves room.
const MAX_REQUEST_BYTES: usize = 3_670_016;
const MAX_REQUEST_SPANS: usize = 8192;

const LIMITS: BatchLimits = BatchLimits {
    bytes: MAX_REQUEST_BYTES,
    spans: MAX_REQUEST_SPANS,
    traces: MAX_REQUEST_SPANS,
    enough_spans: 2048,
    enough_bytes: usize::MAX,
    linger: Duration::from_millis(200),
};

/// What was accepted at the door is not judged again here.
fn no_limits() -> Limits {
    Limits {
        max_spans: usize::MAX,
        max_span_bytes: usize::MAX,
        max_header_bytes: usize::MAX,
        check_inside: false,
        ..Limits::default()
    }
}

/// Cuts a trace that is too large for one request.
fn cut(at: usize, item: &Item, out: &mut VecDeque<Request>) {
    let mut found = Scan::default();
    let scanned = scan(&item.fragment, &no_limits(), &mut found).is_ok();
    if !scanned || found.spans().len() != item.spans as usize {
        // Not as we know it: let the backend judge.
        let parts = vec![loss(at, 0, item.spans)];
        return out.push_back(Request { body: item.fragment.clone(), parts });
    }
    let all: Vec<u32> = (0..item.spans).collect();
    halve(at, item, &found, &all, out);
}

/// One request if it is small enough, else two halves.
fn halve(at: usize, item: &Item, found: &Scan, chosen: &[u32], out: &mut VecDeque<Request>) {
    let Some(first) = chosen.first() else { return };
    let fits = chosen.len() <= MAX_REQUEST_SPANS && spliced_len(found, chosen) <= MAX_REQUEST_BYTES;
    if !fits && chosen.len() > 1 {
        let (left, right) = chosen.split_at(chosen.len() / 2);
        halve(at, item, found, left, out);
        return halve(at, item, found, right, out);
    }
    let mut body = Vec::new();
    splice(&item.fragment, found, chosen, &mut body);
    let parts = vec![loss(at, *first, chosen.len() as u32)];
    out.push_back(Request { body: body.into(), parts });
}

fn loss(item: usize, first: u32, spans: u32) -> Loss {
    Loss { item, first, spans, reason: Reason::INTERNAL }
}

/// Which spans were rejected is not said: the first ones stand for them, so that the number is
/// right.
fn rejected(parts: &[Loss], mut count: u64, losses: &mut Vec<Loss>) {
    for part in parts {
        let spans = u64::from(part.spans).min(count) as u32;
        if spans > 0 {
            losses.push(Loss { spans, reason: Reason::REJECTED_BY_BACKEND, ..*part });
        }
        count -= u64::from(spans);
    }
}

// === impl OtlpClient ===

impl OtlpClient for OtlpGrpcClient {
    async fn export(&self, request: Bytes) -> SendOutcome {
        match OtlpGrpcClient::export(self, request).await {
            Ok(exported) => {
                let (rejected, message) = (exported.rejected, exported.message);
                SendOutcome::Accepted { rejected, message }
            }
            Err(error) => SendOutcome::Failed {
                retryable: error.retryable,
                retry_after: error.retry_after,
                message: error.to_string(),
            },
        }
    }
}

// === impl OtlpExporter ===

impl<C: OtlpClient> OtlpExporter<C> {
    /// An exporter with this name in the configuration.
    pub fn new(name: impl Into<String>, client: C) -> Self {
        Self { name: name.into(), client }
    }
}

impl<C: OtlpClient> Exporter for OtlpExporter<C> {
    type Job = OtlpJob;

    fn limits(&self) -> BatchLimits {
        LIMITS
    }

    fn prepare(&self, batch: &Batch) -> OtlpJob {
        let mut job = OtlpJob::default();
        let total: usize = batch.items().iter().map(|item| item.fragment.len()).sum();
        if let [item] = batch.items() {
            if total > MAX_REQUEST_BYTES || item.spans as usize > MAX_REQUEST_SPANS {
                cut(0, item, &mut job.requests);
            } else {
                let parts = vec![loss(0, 0, item.spans)];
                job.requests.push_back(Request { body: item.fragment.clone(), parts });
            }
            return job;
        }
        let mut body = Vec::with_capacity(total);
        batch.items().iter().for_each(|item| body.extend_from_slice(&item.fragment));
        let parts = batch.lost(Reason::INTERNAL);
        job.requests.push_back(Request { body: body.into(), parts });
        job
    }

    async fn attempt(&self, job: &mut OtlpJob) -> Attempt {
        while let Some(request) = job.requests.front() {
            match self.client.export(request.body.clone()).await {
                SendOutcome::Accepted { rejected: count, message } => {
                    if count > 0 {
                        tracing::warn!(exporter = %self.name, count, %message, "spans rejected");
                        rejected(&request.parts, count, &mut job.losses);
                    }
                }
                SendOutcome::Failed { retryable: true, retry_after, message } => {
                    return Attempt::Again { retry_after, why: message, paced: false };
                }
                SendOutcome::Failed { message, .. } => {
                    tracing::error!(exporter = %self.name, %message, "request refused for good");
                    let parts = request.parts.iter();
                    job.losses.extend(parts.map(|p| Loss { reason: Reason::PERMANENT, ..*p }));
                }
            }
            job.requests.pop_front();
        }
        Attempt::Done
    }
}

// === impl OtlpJob ===

impl Job for OtlpJob {
    fn losses(self, rest: Reason) -> Vec<Loss> {
        let left = self.requests.into_iter().flat_map(|request| request.parts);
        self.losses.into_iter().chain(left.map(|part| Loss { reason: rest, ..part })).collect()
    }
}
