//! What a sampler says of itself.

use std::sync::atomic::Ordering;

use tailgate_common::ledger::Ledger;
use tailgate_common::telemetry::{Reading, defs};

use super::{Mode, Sampler};
use crate::core::buffer::{SHARDS, totals};
use crate::core::counts::Counts;
use crate::core::outbox::OutboxCounts;

/// All figures of a sampler at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The ledger.
    pub ledger: Ledger,
    /// The shards' counters.
    pub counts: Counts,
    /// The exporters' counters.
    pub outbox: OutboxCounts,
    /// Undecided traces.
    pub traces: u64,
    /// Kept traces that the exporters have no room for.
    pub waiting: u64,
    /// Bytes of held records, and of the segments they are in.
    pub bytes: (u64, u64),
    /// Votes of each policy.
    pub votes: Vec<tailgate_policy::Votes>,
    /// Spans that are held.
    pub spans: u64,
    /// Remembered decisions: kept, not kept.
    pub remembered: [u64; 2],
}

// === impl Sampler ===

impl Sampler {
    /// Milliseconds of the runs of decisions.
    pub fn tick_ms(&self) -> Reading {
        self.tick_ms.read()
    }

    /// Microseconds in which traces were decided: of all policies together, whose conditions are looked at once and
    /// for all of them.
    pub fn deciding_us(&self) -> u64 {
        self.deciding_us.load(Ordering::Relaxed)
    }

    /// Seconds from decisions to late spans, and from first spans to the end of their traces.
    pub fn ages(&self) -> (Reading, Reading) {
        let mut late = Reading::empty(&defs::TAIL_LATE_SPAN_AGE);
        let mut removal = Reading::empty(&defs::TAIL_TRACE_REMOVAL_AGE);
        let shards =
            self.buffer().into_iter().flat_map(|buffer| (0..SHARDS).map(|i| buffer.shard(i)));
        for shard in shards {
            late += &shard.ages().late.read();
            removal += &shard.ages().removal.read();
        }
        (late, removal)
    }

    /// Bytes charged for what is held, and the most that may be.
    pub fn budget(&self) -> (u64, u64) {
        (self.budget.used(), self.budget.limit())
    }

    /// All figures, at one moment: every lock is held while they are read.
    pub fn snapshot(&self) -> Snapshot {
        let invalid = self.invalid.load(Ordering::Relaxed);
        let mut snapshot = match &self.mode {
            Mode::Sample(buffer) => {
                let shards = buffer.lock_all();
                let (counts, in_flight) = totals(&shards);
                let mut snapshot = self.figures(counts, in_flight);
                snapshot.spans = in_flight;
                for shard in &shards {
                    snapshot.traces += shard.undecided() as u64;
                    snapshot.waiting += shard.waiting() as u64;
                    let (live, capacity) = shard.bytes();
                    snapshot.bytes = (snapshot.bytes.0 + live, snapshot.bytes.1 + capacity);
                    let [kept, not] = shard.remembered().map(|n| n as u64);
                    let sum = snapshot.remembered;
                    snapshot.remembered = [sum[0] + kept, sum[1] + not];
                    add_votes(&mut snapshot.votes, shard.tally().votes());
                }
                snapshot
            }
            Mode::Forward(forwarded) => {
                let counts = forwarded.counts.lock();
                self.figures(*counts, 0)
            }
        };
        snapshot.ledger.received += invalid;
        snapshot.ledger.rejected.push(("invalid", invalid));
        snapshot
    }

    /// Must be called with the locks held that `counts` were read under.
    fn figures(&self, counts: Counts, in_flight: u64) -> Snapshot {
        let outbox = self.exports.counts();
        let mut lost: Vec<(&'static str, u64)> =
            outbox.lost.iter().map(|(reason, spans)| (reason.0, *spans)).collect();
        let held = [("shutdown", counts.lost_shutdown), ("queue_full", counts.lost_queue_full)];
        for (why, more) in held {
            match lost.iter_mut().find(|(reason, _)| *reason == why) {
                Some((_, spans)) => *spans += more,
                None => lost.push((why, more)),
            }
        }
        let ledger = Ledger {
            received: counts.received,
            received_handoff: counts.received_handoff,
            exported: outbox.exported,
            sampled_out: counts.sampled_out,
            deduplicated: counts.deduplicated,
            rejected: vec![
                ("memory", counts.rejected_memory),
                ("export_queue", counts.rejected_export_queue),
                ("handing_off", counts.rejected_offered),
                ("stopped", counts.rejected_stopped),
            ],
            lost,
            handed_off: counts.handed_off,
            in_flight: in_flight + outbox.in_flight,
            ..Ledger::default()
        };
        Snapshot { ledger, counts, outbox, ..Snapshot::default() }
    }
}

fn add_votes(sum: &mut Vec<tailgate_policy::Votes>, votes: &[tailgate_policy::Votes]) {
    sum.resize(sum.len().max(votes.len()), Default::default());
    for (sum, votes) in sum.iter_mut().zip(votes) {
        sum.sampled += votes.sampled;
        sum.not_sampled += votes.not_sampled;
        sum.spans_sampled += votes.spans_sampled;
        sum.spans_not_sampled += votes.spans_not_sampled;
    }
}
