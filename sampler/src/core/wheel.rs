//! Timers of traces, in ticks of 100 ms.
//!
//! Moving a timer is lazy: the trace remembers its tick, and an entry that no longer agrees is skipped.

use std::collections::BTreeMap;

use tailgate_common::clock::Nanos;
use tailgate_proto::TraceId;

/// Length of a tick, in nanoseconds.
pub const TICK_NANOS: u64 = 100_000_000;

/// A moment, in ticks since the clock's origin.
pub type Tick = u64;

/// The timers of one shard.
#[derive(Debug, Default)]
pub struct Wheel {
    ticks: BTreeMap<Tick, Vec<TraceId>>,
}

/// The first tick that is not before `at`: a timer never fires early.
pub fn tick_at(at: Nanos) -> Tick {
    at.0.div_ceil(TICK_NANOS)
}

/// The last tick that has passed.
pub fn tick_now(now: Nanos) -> Tick {
    now.0 / TICK_NANOS
}

// === impl Wheel ===

impl Wheel {
    /// Sets a timer.
    pub fn set(&mut self, tick: Tick, trace_id: TraceId) {
        self.ticks.entry(tick).or_default().push(trace_id);
    }

    /// Takes an entry that is due at `until` or before, earliest first.
    pub fn pop(&mut self, until: Tick) -> Option<(Tick, TraceId)> {
        loop {
            let mut first = self.ticks.first_entry().filter(|entry| *entry.key() <= until)?;
            let tick = *first.key();
            if let Some(trace_id) = first.get_mut().pop() {
                return Some((tick, trace_id));
            }
            first.remove();
        }
    }
}
