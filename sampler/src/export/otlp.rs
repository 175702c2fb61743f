//! `otlp_grpc` and `otlp_http`: batches as they are, in requests that the backend takes.
//!
//! How much that is in bytes is learnt: what a backend finds too large is halved and sent again,
//! and no later request is as large.

pub mod limits;
mod request;

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tailgate_common::client::{Exported, OtlpGrpcClient, OtlpHttpClient, SendError};
use tailgate_common::clock::Clock;

use self::limits::EndpointLimits;
use self::request::Request;
use super::{Attempt, BatchSettings, Exporter, Job};
use crate::core::outbox::{Batch, BatchLimits, Loss, Reason};

/// What the exporter needs of a client.
pub trait OtlpClient: Send + Sync + 'static {
    /// Sends one `ExportTraceServiceRequest` and waits for its answer.
    fn export(&self, request: Bytes) -> impl Future<Output = Result<Exported, SendError>> + Send;
}

/// The exporter.
pub struct OtlpExporter<C> {
    name: String,
    client: C,
    limits: BatchLimits,
    /// What else the backend says it takes.
    endpoint: Option<(EndpointLimits, Arc<dyn Clock>)>,
    /// Most bytes of a request, as far as it is known.
    most: AtomicUsize,
}

/// The requests that are left of a batch.
#[derive(Debug, Default)]
pub struct OtlpJob {
    requests: VecDeque<Request>,
    losses: Vec<Loss>,
}

/// Backends commonly take messages of 4 MiB (gRPC's default limit); this leaves room.
const MAX_REQUEST_BYTES: usize = 3_670_016;
/// Smaller limits are not believed in: it is one span that is too large then.
const LEAST_REQUEST_BYTES: usize = 16 * 1024;
const MAX_REQUEST_SPANS: usize = 8192;

const LIMITS: BatchLimits = BatchLimits {
    bytes: MAX_REQUEST_BYTES,
    spans: MAX_REQUEST_SPANS,
    traces: MAX_REQUEST_SPANS,
    enough_spans: 2048,
    enough_bytes: usize::MAX,
    linger: Duration::from_millis(200),
};

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
    async fn export(&self, request: Bytes) -> Result<Exported, SendError> {
        OtlpGrpcClient::export(self, request).await
    }
}

impl OtlpClient for OtlpHttpClient {
    async fn export(&self, request: Bytes) -> Result<Exported, SendError> {
        OtlpHttpClient::export(self, request).await
    }
}

// === impl OtlpExporter ===

impl<C: OtlpClient> OtlpExporter<C> {
    /// An exporter with this name in the configuration. `batch` bounds its requests too: a trace
    /// that is larger goes in several.
    pub fn new(name: impl Into<String>, client: C, batch: Option<BatchSettings>) -> Self {
        let limits = batch.map_or(LIMITS, |batch| batch.applied_to(LIMITS));
        let most = AtomicUsize::new(limits.bytes);
        Self { name: name.into(), client, limits, endpoint: None, most }
    }

    /// With the limits of an endpoint, which are kept: what breaks one by itself is lost.
    pub fn within(self, endpoint: EndpointLimits, clock: Arc<dyn Clock>) -> Self {
        let bytes = self.limits.bytes.min(endpoint.request_bytes);
        let spans = self.limits.spans.min(endpoint.request_spans);
        Self {
            limits: BatchLimits { bytes, spans, ..self.limits },
            endpoint: Some((endpoint, clock)),
            most: AtomicUsize::new(bytes),
            ..self
        }
    }

    /// The requests that are made of one, and what of it is in none.
    fn admit(&self, request: Request) -> OtlpJob {
        let Some((limits, clock)) = &self.endpoint else {
            return OtlpJob { requests: VecDeque::from([request]), losses: Vec::new() };
        };
        let (requests, losses) = request.within(limits, clock.unix_ns());
        for reason in [Reason::TOO_LARGE, Reason::TIMESTAMP] {
            let of = losses.iter().filter(|loss| loss.reason == reason);
            let spans: u32 = of.map(|loss| loss.spans).sum();
            if spans > 0 {
                let (exporter, reason) = (&*self.name, reason.0);
                tracing::warn!(exporter, spans, reason, "the endpoint does not take such spans");
            }
        }
        OtlpJob { requests: requests.into(), losses }
    }

    fn fits(&self, request: &Request) -> bool {
        let bytes = self.most.load(Ordering::Relaxed);
        request.body.len() <= bytes && request.spans() as usize <= self.limits.spans
    }

    /// The backend found so many bytes too large.
    fn learn(&self, bytes: usize, message: &str) {
        let most = (bytes / 2).max(LEAST_REQUEST_BYTES);
        let before = self.most.fetch_min(most, Ordering::Relaxed);
        if most < before {
            tracing::warn!(exporter = %self.name, bytes, most, why = message, "requests are smaller now");
        }
    }
}

impl<C: OtlpClient> Exporter for OtlpExporter<C> {
    type Job = OtlpJob;

    fn limits(&self) -> BatchLimits {
        self.limits
    }

    fn prepare(&self, batch: &Batch) -> OtlpJob {
        let body = match batch.items() {
            [item] => item.fragment.clone(),
            items => {
                let total = items.iter().map(|item| item.fragment.len()).sum();
                let mut body = Vec::with_capacity(total);
                items.iter().for_each(|item| body.extend_from_slice(&item.fragment));
                body.into()
            }
        };
        self.admit(Request { body, parts: batch.lost(Reason::INTERNAL) })
    }

    async fn attempt(&self, job: &mut OtlpJob) -> Attempt {
        while let Some(next) = job.requests.front() {
            if !self.fits(next)
                && let Some(halves) = next.halves()
            {
                job.requests.pop_front();
                job.put_back(halves);
                continue;
            }
            // It stays in the job until its outcome is known: this may be dropped meanwhile.
            let sent = self.client.export(next.body.clone()).await;
            let Some(request) = job.requests.pop_front() else { break };
            match sent {
                Ok(Exported { rejected: count, message }) => {
                    if count > 0 {
                        tracing::warn!(exporter = %self.name, count, why = %message, "spans rejected");
                        rejected(&request.parts, count, &mut job.losses);
                    }
                }
                // A token that was rotated, or a right that is missing, is mended sooner than what is lost.
                Err(error) if error.retryable || error.is_denied() => {
                    job.put_back([request]);
                    let why = error.to_string();
                    return Attempt::Again { retry_after: error.retry_after, why, paced: false };
                }
                Err(error) if error.too_large => match request.halves() {
                    Some(halves) => {
                        self.learn(request.body.len(), &error.message);
                        job.put_back(halves);
                    }
                    None => {
                        let bytes = request.body.len();
                        tracing::error!(exporter = %self.name, bytes, %error, "a span is too large");
                        job.lose(request, Reason::TOO_LARGE);
                    }
                },
                Err(error) => {
                    tracing::error!(exporter = %self.name, %error, "request refused for good");
                    job.lose(request, Reason::PERMANENT);
                }
            }
        }
        Attempt::Done
    }
}

// === impl OtlpJob ===

impl OtlpJob {
    /// These are next, in this order.
    fn put_back<const N: usize>(&mut self, requests: [Request; N]) {
        requests.into_iter().rev().for_each(|request| self.requests.push_front(request));
    }

    fn lose(&mut self, request: Request, reason: Reason) {
        self.losses.extend(request.parts.into_iter().map(|part| Loss { reason, ..part }));
    }
}

impl Job for OtlpJob {
    fn losses(self, rest: Reason) -> Vec<Loss> {
        let left = self.requests.into_iter().flat_map(|request| request.parts);
        self.losses.into_iter().chain(left.map(|part| Loss { reason: rest, ..part })).collect()
    }
}
