//! `sending_queue` and `retry_on_failure`, which all exporters share.

use std::time::Duration;

use super::reader::Reader;
use crate::retry::Retry;

/// `sending_queue`.
#[derive(Clone, Debug, PartialEq)]
pub struct Queue {
    /// Whether there is a queue; default true.
    pub enabled: bool,
    /// Requests under way at a time; default 10.
    pub num_consumers: usize,
    /// What fits in, in units of `sizer`; default 1000.
    pub queue_size: u64,
    /// Unit of `queue_size`; default requests.
    pub sizer: Sizer,
    /// Wait for room instead of refusing; default false.
    pub block_on_overflow: bool,
}

/// Unit of a queue's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sizer {
    /// Requests.
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
        Self {
            enabled: true,
            num_consumers: 10,
            queue_size: 1000,
            sizer: Sizer::Requests,
            block_on_overflow: false,
        }
    }
}

impl Queue {
    /// Reads the block of an exporter's own queue, and notes what it is instead.
    pub fn read_own(r: &Reader<'_>) -> Self {
        let queue = Self::read(r);
        if !queue.enabled {
            r.note("enabled", "accepted, has no effect: there is always a queue, in memory");
        }
        if queue.block_on_overflow {
            let text = "accepted, has no effect: before the queue is full, new spans are refused";
            r.note("block_on_overflow", text);
        }
        if r.has("queue_size") && queue.sizer != Sizer::Bytes {
            let text = "accepted, has no effect: the queue is bounded in bytes, by its share of \
                        the memory limit";
            r.note("queue_size", text);
        }
        queue
    }

    /// Reads the block; defaults if it is empty.
    pub fn read(r: &Reader<'_>) -> Self {
        let or = Self::default();
        r.refuse(&["storage"], "leave it out: the queue is in memory");
        r.accept(&["wait_for_result"], "has no effect");
        if let Some(batch) = r.map("batch") {
            read_batch(&batch);
        }
        let sizer = r.typed("sizer").and_then(|i| i.choice(&["requests", "items", "bytes"]));
        let consumers = r.typed("num_consumers").and_then(|i| i.integer(1, MAX_CONSUMERS));
        Self {
            enabled: r.bool_or("enabled", or.enabled),
            num_consumers: consumers.map_or(or.num_consumers, |n| n as usize),
            queue_size: r.int_or("queue_size", or.queue_size as i64, 1) as u64,
            sizer: match sizer {
                Some(1) => Sizer::Items,
                Some(2) => Sizer::Bytes,
                _ => or.sizer,
            },
            block_on_overflow: r.bool_or("block_on_overflow", or.block_on_overflow),
        }
    }
}

/// `sending_queue.batch` is checked, so that a file that loads here loads in a collector.
fn read_batch(r: &Reader<'_>) {
    r.duration_or("flush_timeout", Duration::from_millis(200));
    let _ = r.typed("sizer").and_then(|i| i.choice(&["items", "bytes"]));
    let (min, max) = (r.count_or("min_size", 8192), r.count_or("max_size", 0));
    if max != 0 && max < min {
        r.error("max_size", "is below min_size", "raise it, or 0 for no limit");
    }
    r.accept(&["partition"], "has no effect");
    r.note("", "accepted, has no effect yet");
}
