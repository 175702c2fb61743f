//! Remembered decisions, so that late spans follow them.
//!
//! Keys are whole trace ids. Two lists, as in the collector (`decision_cache`), so that many dropped traces can't push
//! out the few kept ones.

use lru::LruCache;
use tailgate_proto::TraceId;

/// The decisions of one shard.
#[derive(Debug)]
pub struct DecisionCache {
    sampled: Bounded,
    not_sampled: Bounded,
}

#[derive(Debug)]
struct Bounded {
    ids: LruCache<TraceId, ()>,
    capacity: usize,
}

// === impl DecisionCache ===

impl DecisionCache {
    /// Remembers this many kept and dropped traces; 0 remembers none.
    pub fn new(sampled: usize, not_sampled: usize) -> Self {
        // Unbounded, since a bounded one allocates its capacity at once.
        let bounded = |capacity| Bounded { ids: LruCache::unbounded(), capacity };
        Self { sampled: bounded(sampled), not_sampled: bounded(not_sampled) }
    }

    /// Remembers a decision.
    pub fn put(&mut self, trace_id: TraceId, sampled: bool) {
        let Bounded { ids, capacity } =
            if sampled { &mut self.sampled } else { &mut self.not_sampled };
        if *capacity > 0 {
            ids.put(trace_id, ());
        }
        if ids.len() > *capacity {
            ids.pop_lru();
        }
    }

    /// How many decisions are remembered: kept, not kept.
    pub fn len(&self) -> [usize; 2] {
        [&self.sampled, &self.not_sampled].map(|decisions| decisions.ids.len())
    }

    /// What was decided about this trace: kept or not.
    pub fn get(&mut self, trace_id: &TraceId) -> Option<bool> {
        if self.sampled.ids.get(trace_id).is_some() {
            return Some(true);
        }
        self.not_sampled.ids.get(trace_id).map(|()| false)
    }
}
