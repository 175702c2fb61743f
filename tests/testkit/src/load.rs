//! The load generator: sends [`Traffic`] over OTLP and records what became of it.
//!
//! Each worker takes the next request, sends it until an outcome is known, records that and takes
//! the next. So at most `workers` requests are under way; that and the retry time are its bounds.

mod client;
mod verdict;

pub use client::{Compression, Transport};
pub use verdict::Verdict;

use crate::ledger::{Ledger, Outcome, Record, Writer};
use crate::traffic::{Shape, Traffic};
use client::Client;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// How to send.
#[derive(Clone, Debug)]
pub struct Config {
    /// `http://host:port` of each receiver; a worker moves to the next when an attempt fails.
    pub targets: Vec<String>,
    /// gRPC or HTTP.
    pub transport: Transport,
    /// Of the requests' bodies.
    pub compression: Compression,
    /// Connections to each target.
    pub connections: usize,
    /// Requests under way at once, over all connections.
    pub workers: usize,
    /// Spans a second to keep to; `None`: as fast as answers come.
    pub rate: Option<f64>,
    /// Time for one attempt.
    pub timeout: Duration,
    /// A request is given up this long after it was first sent.
    pub retry_for: Duration,
    /// Where the ledger is written, if not only in memory.
    pub ledger: Option<PathBuf>,
}

/// Counts while the load runs.
#[derive(Debug, Default)]
pub struct Progress {
    /// Spans whose request was acked, each once.
    pub acked: AtomicU64,
    /// Spans sent: every copy of every attempt.
    pub sent: AtomicU64,
    /// Attempts that did not end in success.
    pub failed_attempts: AtomicU64,
}

/// A load under way; dropping it stops it without a report.
#[derive(Debug)]
pub struct Load {
    progress: Arc<Progress>,
    stop: Arc<AtomicBool>,
    start: Instant,
    writer: Writer,
    workers: JoinSet<Vec<Duration>>,
    shape: Shape,
    next: Arc<AtomicU64>,
}

/// What a run did.
#[derive(Debug)]
pub struct Report {
    /// The outcome of each request.
    pub ledger: Ledger,
    /// Spans of requests acked (wholly).
    pub acked_spans: u64,
    /// Spans sent, every copy of every attempt.
    pub sent_spans: u64,
    /// Attempts that did not end in success.
    pub failed_attempts: u64,
    /// From the first request to the last outcome.
    pub elapsed: Duration,
    /// From a request's first attempt to its ack; sorted.
    pub latencies: Vec<Duration>,
}

struct Worker {
    traffic: Arc<Traffic>,
    config: Arc<Config>,
    clients: Vec<Client>,
    next: Arc<AtomicU64>,
    progress: Arc<Progress>,
    stop: Arc<AtomicBool>,
    start: Instant,
    records: mpsc::Sender<Record>,
}

// === impl Config ===

impl Config {
    /// gRPC, uncompressed, 4 connections, 16 workers, as fast as possible.
    pub fn new(target: impl Into<String>) -> Self {
        Config {
            targets: vec![target.into()],
            transport: Transport::Grpc,
            compression: Compression::None,
            connections: 4,
            workers: 16,
            rate: None,
            timeout: Duration::from_secs(10),
            retry_for: Duration::from_secs(30),
            ledger: None,
        }
    }

    fn clients(&self) -> anyhow::Result<Vec<Vec<Client>>> {
        let connect = |_| self.targets.iter().map(|t| Client::new(self, t)).collect();
        (0..self.connections.max(1)).map(connect).collect()
    }
}

// === impl Load ===

impl Load {
    /// Starts sending `traffic`.
    ///
    /// # Errors
    /// When a target is no URL or the ledger cannot be created.
    pub fn start(traffic: Traffic, config: Config) -> anyhow::Result<Self> {
        anyhow::ensure!(!config.targets.is_empty(), "no targets");
        let shape = traffic.shape().clone();
        let writer = Writer::start(config.ledger.as_deref(), &shape)?;
        let connections = config.clients()?;
        let (traffic, config) = (Arc::new(traffic), Arc::new(config));
        let (progress, stop) = (Arc::new(Progress::default()), Arc::new(AtomicBool::new(false)));
        let (next, start) = (Arc::new(AtomicU64::new(0)), Instant::now());
        let mut workers = JoinSet::new();
        for n in 0..config.workers.max(1) {
            let worker = Worker {
                traffic: traffic.clone(),
                config: config.clone(),
                clients: connections[n % connections.len()].clone(),
                next: next.clone(),
                progress: progress.clone(),
                stop: stop.clone(),
                start,
                records: writer.sender(),
            };
            workers.spawn(worker.run(n));
        }
        Ok(Load { progress, stop, start, writer, workers, shape, next })
    }

    /// The counts so far.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Requests from this number on have not been sent yet.
    pub fn begun(&self) -> u64 {
        self.next.load(Relaxed)
    }

    /// Begins no more requests; those under way still get their outcome.
    pub fn stop(&self) {
        self.stop.store(true, Relaxed);
    }

    /// Waits for the last outcome.
    ///
    /// # Errors
    /// When the ledger could not be written.
    pub async fn finish(mut self) -> anyhow::Result<Report> {
        let mut latencies = Vec::new();
        while let Some(of_worker) = self.workers.join_next().await {
            latencies.extend(of_worker?);
        }
        let elapsed = self.start.elapsed();
        latencies.sort_unstable();
        let (writer, begun) = (self.writer, self.next.load(Relaxed));
        let records = tokio::task::spawn_blocking(move || writer.finish(begun)).await??;
        Ok(Report {
            ledger: Ledger { shape: self.shape, begun, records },
            acked_spans: self.progress.acked.load(Relaxed),
            sent_spans: self.progress.sent.load(Relaxed),
            failed_attempts: self.progress.failed_attempts.load(Relaxed),
            elapsed,
            latencies,
        })
    }
}

/// Sends all of `traffic` and waits for the last outcome.
///
/// # Errors
/// As [`Load::start`] and [`Load::finish`].
pub async fn run(traffic: Traffic, config: Config) -> anyhow::Result<Report> {
    Load::start(traffic, config)?.finish().await
}

// === impl Report ===

impl Report {
    /// The latency that `percent` of the acked requests did not exceed; zero without any.
    pub fn percentile(&self, percent: f64) -> Duration {
        let at = (self.latencies.len() as f64 * percent / 100.0).ceil() as usize;
        self.latencies.get(at.saturating_sub(1)).copied().unwrap_or_default()
    }

    /// Acked spans a second.
    pub fn rate(&self) -> f64 {
        self.acked_spans as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

// === impl Worker ===

impl Worker {
    async fn run(self, number: usize) -> Vec<Duration> {
        let mut latencies = Vec::new();
        // Workers start at different targets.
        let mut target = number;
        loop {
            let seq = self.next.fetch_add(1, Relaxed);
            if seq >= self.traffic.requests() || !self.pace(seq).await {
                return latencies;
            }
            let begun = Instant::now();
            let mut record = self.send(seq, &mut target).await;
            if record.outcome == Outcome::Acked {
                latencies.push(begun.elapsed());
                self.progress.acked.fetch_add(self.traffic.span_count(seq), Relaxed);
                if self.traffic.duplicated(seq) {
                    // Whatever becomes of the copy, the request stays acked.
                    record.attempts += self.send(seq, &mut target).await.attempts;
                }
            }
            if self.records.send(record).await.is_err() {
                return latencies;
            }
        }
    }

    /// Waits until request `seq` is due; false when the load was stopped.
    async fn pace(&self, seq: u64) -> bool {
        if let Some(rate) = self.config.rate {
            let spans = seq as f64 * f64::from(self.traffic.shape().spans_per_request);
            let due = self.start + Duration::from_secs_f64(spans / rate);
            tokio::time::sleep_until(due.into()).await;
        }
        !self.stop.load(Relaxed)
    }

    /// Sends request `seq` until an answer settles it or the time for retries is over.
    async fn send(&self, seq: u64, target: &mut usize) -> Record {
        let mut body = Vec::new();
        self.traffic.encode(seq, &mut body);
        let body = client::compress_for(&self.config, body);
        let give_up = Instant::now() + self.config.retry_for;
        let (mut attempts, mut ambiguous) = (0, false);
        loop {
            attempts += 1;
            let client = &self.clients[*target % self.clients.len()];
            self.progress.sent.fetch_add(self.traffic.span_count(seq), Relaxed);
            let verdict = client.export(body.clone(), self.config.timeout).await;
            let (reason, wait) = match verdict {
                Verdict::Ok { rejected: 0 } => return record(seq, attempts, Outcome::Acked),
                Verdict::Ok { rejected } => {
                    return record(seq, attempts, Outcome::Partial(rejected));
                }
                Verdict::Refused { reason, retry } => (reason, retry),
                Verdict::NoAnswer { reason } => {
                    ambiguous = true;
                    (reason, Some(None))
                }
            };
            self.progress.failed_attempts.fetch_add(1, Relaxed);
            let wait = wait.map(|told| told.unwrap_or_else(|| backoff(seq, attempts)));
            match wait {
                Some(wait) if Instant::now() + wait < give_up => {
                    *target += 1;
                    tokio::time::sleep(wait).await;
                }
                _ if ambiguous => return record(seq, attempts, Outcome::Unknown(reason)),
                _ => return record(seq, attempts, Outcome::Rejected(reason)),
            }
        }
    }
}

fn record(seq: u64, attempts: u32, outcome: Outcome) -> Record {
    Record { seq, attempts, outcome }
}

/// 50 ms doubled each time up to 1.6 s, with a spread that differs between requests.
fn backoff(seq: u64, attempts: u32) -> Duration {
    let base = 50u64 << attempts.saturating_sub(1).min(5);
    Duration::from_millis(base / 2 + seq.wrapping_mul(31).wrapping_add(u64::from(attempts)) % base)
}
