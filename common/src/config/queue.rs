//! `sending_queue` and `retry_on_failure`, which all exporters share.

use std::time::Duration;

use super::reader::Reader;
use crate::retry::Retry;

/// `sending_queue`.
#[derive(Clone, Debug, PartialEq)]
pub struct Queue {
    /// Requests under way at a time; default 10.
    pub num_consumers: usize,
    /// `queue_size`: what fits in, in units of `sizer`, beside the share of the memory limit that
    /// bounds every queue. Where the collector has 1000 requests there is no bound but that share.
    pub size: Option<u64>,
    /// Unit of `queue_size`; default requests.
    pub sizer: Sizer,
    /// When it is full, new spans are refused and nothing is given up; default false.
    pub block_on_overflow: bool,
    /// `batch`; without it batches are cut as the exporter does it by itself.
    pub batch: Option<Batch>,
}

/// `sending_queue.batch`.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Fewer than `min_size` are sent after this time; default 200 ms.
    pub flush_timeout: Duration,
    /// Unit of the sizes: items or bytes; the queue's if it is one of them, else items.
    pub sizer: Sizer,
    /// This many are sent at once; default 8192.
    pub min_size: u64,
    /// The most in a request; zero is as many as the exporter puts into one.
    pub max_size: u64,
}

/// Unit of a queue's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sizer {
    /// Requests: here, kept traces, which is what `tail_sampling` hands to exporters.
    Requests,
    /// Spans.
    Items,
    /// Bytes of the request in protobuf.
    Bytes,
}

/// Waits below this would make retries a hot loop.
const LEAST_INTERVAL: Duration = Duration::from_millis(1);
const MAX_CONSUMERS: i64 = 10_000;

// === impl Retry ===

impl Retry {
    /// Reads the block; defaults if it is empty.
    pub fn read(r: &Reader<'_>) -> Self {
        let or = Self::default();
        let factor = r.typed("randomization_factor").and_then(|i| i.number(0.0, 1.0));
        let multiplier = r.typed("multiplier").and_then(|i| i.number(1.0, f64::MAX));
        let retry = Self {
            enabled: r.bool_or("enabled", or.enabled),
            initial_interval: r.duration_or("initial_interval", or.initial_interval),
            randomization_factor: factor.unwrap_or(or.randomization_factor),
            multiplier: multiplier.unwrap_or(or.multiplier),
            max_interval: r.duration_or("max_interval", or.max_interval),
            max_elapsed_time: r.duration_or("max_elapsed_time", or.max_elapsed_time),
        };
        if retry.enabled && retry.initial_interval < LEAST_INTERVAL {
            r.error("initial_interval", "is too short", "wait 1ms or more");
        }
        // A first wait above the longest one is legal in the collector; it is the wait then.
        Self { max_interval: retry.max_interval.max(retry.initial_interval), ..retry }
    }
}

// === impl Queue ===

impl Default for Queue {
    fn default() -> Self {
        let (num_consumers, sizer) = (10, Sizer::Requests);
        Self { num_consumers, size: None, sizer, block_on_overflow: false, batch: None }
    }
}

const ENABLED: &str = "accepted, has no effect: what is kept waits in a queue, in memory";
const RESULT: &str = "accepted, has no effect: spans are acknowledged when they are held, before it \
    is decided whether they are kept";
const STORAGE: &str = "leave it out: the queue is in memory, within its share of the memory limit, and refuses before \
     it is full";

impl Queue {
    /// Reads the block of an exporter's own queue, and notes what it is instead.
    pub fn read_own(r: &Reader<'_>) -> Self {
        let queue = Self::read(r);
        let off = |key| r.typed(key).and_then(|i| i.boolean()) == Some(false);
        let on = |key| r.typed(key).and_then(|i| i.boolean()) == Some(true);
        if off("enabled") {
            r.note("enabled", ENABLED);
        }
        if on("wait_for_result") {
            r.note("wait_for_result", RESULT);
        }
        if r.has("sizer") && queue.size.is_none() {
            r.note("sizer", "accepted, has no effect without queue_size");
        }
        queue
    }

    /// Reads the block; defaults if it is empty.
    pub fn read(r: &Reader<'_>) -> Self {
        let or = Self::default();
        r.refuse(&["storage"], STORAGE);
        for key in ["enabled", "wait_for_result"] {
            let _ = r.typed(key).and_then(|i| i.boolean());
        }
        let sizer = r.typed("sizer").and_then(|i| i.choice(&["requests", "items", "bytes"]));
        let sizer = match sizer {
            Some(1) => Sizer::Items,
            Some(2) => Sizer::Bytes,
            _ => or.sizer,
        };
        let consumers = r.typed("num_consumers").and_then(|i| i.integer(1, MAX_CONSUMERS));
        let size = r.typed("queue_size").and_then(|i| i.integer(1, i64::MAX));
        Self {
            num_consumers: consumers.map_or(or.num_consumers, |n| n as usize),
            size: size.map(|n| n as u64),
            sizer,
            block_on_overflow: r.bool_or("block_on_overflow", or.block_on_overflow),
            batch: r.map("batch").map(|batch| Batch::read(&batch, sizer)),
        }
    }
}

// === impl Batch ===

impl Batch {
    fn read(r: &Reader<'_>, of_queue: Sizer) -> Self {
        let why = "has no effect: no metadata of clients is held, so there is nothing to part by";
        r.accept(&["partition"], why);
        let sizer = match r.typed("sizer").and_then(|i| i.choice(&["items", "bytes"])) {
            Some(0) => Sizer::Items,
            Some(_) => Sizer::Bytes,
            None if of_queue == Sizer::Bytes => Sizer::Bytes,
            None => Sizer::Items,
        };
        let flush_timeout = r.duration_or("flush_timeout", Duration::from_millis(200));
        if flush_timeout.is_zero() {
            r.error("flush_timeout", "is zero", "write a time such as 200ms");
        }
        let (min_size, max_size) = (r.count_or("min_size", 8192), r.count_or("max_size", 0));
        if max_size != 0 && max_size < min_size {
            r.error("max_size", "is below min_size", "raise it, or 0 for no limit");
        }
        Self { flush_timeout, sizer, min_size, max_size }
    }
}
