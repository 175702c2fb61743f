//! `processors.tail_sampling`.

use std::time::Duration;

use tailgate_common::config::Reader;
use tailgate_policy::PolicyConfig;

use super::policies;

/// `processors.tail_sampling`.
#[derive(Clone, Debug, PartialEq)]
pub struct TailSampling {
    /// From a trace's first span to its decision; default 30 s. Not rounded to seconds.
    pub decision_wait: Duration,
    /// From a trace's root to its decision, if that is earlier; zero = off, the default.
    pub decision_wait_after_root_received: Duration,
    /// Undecided traces held at most; default 50,000.
    pub num_traces: u64,
    /// Decisions to sample that are remembered; 0 = none. Default 100,000; the collector's is 0.
    pub sampled_cache_size: usize,
    /// Other decisions that are remembered; 0 = none. Default 100,000; the collector's is 0.
    pub non_sampled_cache_size: usize,
    /// Stop at the first policy that samples; default false.
    pub sample_on_first_match: bool,
    /// The policies, in order; at least one. They compile.
    pub policies: Vec<PolicyConfig>,
}

/// On by default: without it, late spans of a decided trace would get a decision of their own.
const DEFAULT_CACHE: i64 = 100_000;
/// Some 100 bytes each.
const MAX_CACHE: i64 = 100_000_000;
const MAX_SHARDS: i64 = 256;

// === impl TailSampling ===

impl TailSampling {
    pub(super) fn read(r: &Reader<'_>) -> Self {
        not_needed(r);
        not_yet(r);
        let cache = r.map_or_empty("decision_cache");
        let size = |key| cache.typed(key).and_then(|i| i.integer(0, MAX_CACHE));
        let sampled = size("sampled_cache_size");
        let non_sampled = size("non_sampled_cache_size");
        if r.bool_or("block_on_overflow", false) {
            if sampled.unwrap_or(0) == 0 || non_sampled.unwrap_or(0) == 0 {
                let help = "leave it out, or give both sizes of decision_cache: a collector with \
                            this file stops taking spans after num_traces";
                r.error("block_on_overflow", "both decision caches are needed for it", help);
            }
            r.note("block_on_overflow", "accepted, not needed: no undecided trace is evicted");
        }
        let wait = |key, default| r.duration_or(key, Duration::from_secs(default));
        Self {
            decision_wait: wait("decision_wait", 30),
            decision_wait_after_root_received: wait("decision_wait_after_root_received", 0),
            num_traces: r.int_or("num_traces", 50_000, 1) as u64,
            sampled_cache_size: sampled.unwrap_or(DEFAULT_CACHE) as usize,
            non_sampled_cache_size: non_sampled.unwrap_or(DEFAULT_CACHE) as usize,
            sample_on_first_match: r.bool_or("sample_on_first_match", false),
            policies: policies::read(r),
        }
    }
}

/// Keys about the collector's insides.
fn not_needed(r: &Reader<'_>) {
    if let Some(item) = r.typed("expected_new_traces_per_sec") {
        item.integer(0, i64::MAX);
        r.note("expected_new_traces_per_sec", "accepted, not needed: maps grow as they must");
    }
    if let Some(item) = r.typed("num_shards") {
        item.integer(0, MAX_SHARDS);
        r.note("num_shards", "accepted, not needed: all cores are used");
    }
}

fn not_yet(r: &Reader<'_>) {
    r.refuse(&["tail_storage"], "leave it out: traces are held in memory");
    if let Some(item) = r.typed("sampling_strategy")
        && item.choice(&["trace-complete", "span-ingest"]) == Some(1)
    {
        item.error("span-ingest is not supported yet", "use trace-complete, the default");
    }
    if r.bool_or("drop_pending_traces_on_shutdown", false) {
        let help = "leave it out: at shutdown, what is held is decided";
        r.error("drop_pending_traces_on_shutdown", "is not supported yet", help);
    }
    if r.count_or("maximum_trace_size_bytes", 0) > 0 {
        let help = "leave it out: memory is bounded for all traces together";
        r.error("maximum_trace_size_bytes", "is not supported yet", help);
    }
}
