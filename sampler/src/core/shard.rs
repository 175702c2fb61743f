//! One shard of the buffer: a range of slots, under one lock.
//!
//! Sans-IO: time and the way out come in as arguments. What a shard is made of is here; [`super::arrive`],
//! [`super::decide`] and [`super::deputy`] hold the life of a trace.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hashbrown::HashMap;
use tailgate_common::clock::Nanos;
use tailgate_common::limit::{ByteBudget, Permit};
use tailgate_policy::{Facts, Program, Tally, Value};
use tailgate_proto::{Scan, TraceId};

use super::by_value::ByValue;
use super::cache::DecisionCache;
use super::counts::{Ages, Counts};
use super::deputy::Held;
use super::log::{Log, RecordRef};
use super::outbox::{Kept, Outbox};
use super::trace::{MemberId, Trace};
use super::wheel::Wheel;

/// What an entry of the index costs besides its bytes and hashes: key, value, and the map's and wheel's slack.
pub const TRACE_OVERHEAD: u64 = 2 * (16 + size_of::<Trace>() as u64) + 32;

/// Bytes that permits for index entries and hashes are taken and given back by.
const OVERHEAD_STEP: u64 = 64 << 10;

/// How a shard behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// From a trace's first span to its decision.
    pub decision_wait: Duration,
    /// From its root span to its decision, if that is earlier.
    pub wait_after_root: Option<Duration>,
    /// Undecided traces in this shard; beyond, the oldest is decided.
    pub max_traces: usize,
    /// Bytes of one trace; beyond, it is decided.
    pub max_trace_bytes: u32,
    /// For how long after the decision a trace's span hashes are remembered.
    pub remember_spans: Duration,
    /// Kept traces to remember the decision of.
    pub sampled_cache: usize,
    /// Dropped traces to remember the decision of.
    pub not_sampled_cache: usize,
    /// Find duplicates. Only a test that shows that it matters switches this off.
    pub deduplicate: bool,
    /// Kept traces go out with why they are kept.
    pub tell_why: bool,
}

/// Where kept traces go.
pub trait Outlet {
    /// Whether a trace would be taken now.
    fn has_room(&self) -> bool;
    /// Takes a kept trace, or gives it back if there is no room.
    fn offer(&self, now: Nanos, kept: Kept) -> Result<(), Kept>;
    /// Whether it has no room, and may give up what it holds to get some.
    fn sheds(&self) -> bool {
        false
    }
    /// Gives up some of what it holds of this value where it has no room; how many spans.
    fn shed(&self, _value: Value) -> u64 {
        0
    }
}

/// In which role spans arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// We own the trace, or nobody else does.
    Owner,
    /// We hold it for a silent owner.
    DeputyFor(MemberId),
    /// A deputy gives back what it held; the trace is this old.
    HandedBack {
        /// Since its first span came to the deputy.
        age: Duration,
    },
}

/// A scanned request, and what is known of its spans and resources.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The bytes that were scanned.
    pub bytes: &'a [u8],
    /// Where its spans are.
    pub scan: &'a Scan,
    /// For each span of the scan, xxh3-128 of its bytes.
    pub hashes: &'a [u128],
    /// For each resource of the scan, what it adds to the facts of a trace with spans of it.
    pub resources: &'a [Facts],
}

/// What became of the spans of one arrival.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Arrived {
    /// Held, or dealt with by a decision made before; duplicates included.
    pub accepted: u32,
    /// Refused, retryably.
    pub refused: u32,
}

/// A range of slots with all that is held for them.
pub struct Shard {
    pub(super) settings: Settings,
    pub(super) program: Arc<Program>,
    pub(super) tally: Tally,
    pub(super) index: HashMap<TraceId, Trace>,
    pub(super) log: Log,
    /// Timers of pending traces.
    pub(super) wheel: Wheel,
    /// When decided traces are forgotten.
    pub(super) forget: Wheel,
    pub(super) cache: DecisionCache,
    pub(super) counts: Counts,
    pub(super) ages: Ages,
    /// Traces in state Pending, HeldFor or Offered.
    pub(super) undecided: usize,
    /// Kept traces that the exporters had no room for.
    pub(super) waiting: ByValue<TraceId>,
    pub(super) held: Held,
    /// It has been abandoned: nothing comes in any more.
    pub(super) closed: bool,
    pub(super) budget: ByteBudget,
    pub(super) overhead: Permit,
    pub(super) overhead_used: u64,
    pub(super) fresh: Vec<u32>,
}

// === impl Outlet ===

/// An outbox with nobody else at it, as where time is simulated.
impl Outlet for RefCell<Outbox> {
    fn has_room(&self) -> bool {
        self.borrow().has_room()
    }

    fn offer(&self, now: Nanos, kept: Kept) -> Result<(), Kept> {
        self.borrow_mut().offer(kept, now)
    }

    fn sheds(&self) -> bool {
        self.borrow().sheds()
    }

    fn shed(&self, value: Value) -> u64 {
        self.borrow_mut().shed(value)
    }
}

// === impl Settings ===

impl Default for Settings {
    fn default() -> Self {
        Self {
            decision_wait: Duration::from_secs(30),
            wait_after_root: None,
            max_traces: usize::MAX,
            max_trace_bytes: 8 << 20,
            remember_spans: Duration::from_secs(60),
            sampled_cache: 10_000,
            not_sampled_cache: 100_000,
            deduplicate: true,
            tell_why: false,
        }
    }
}

// === impl Arrived ===

impl std::ops::AddAssign for Arrived {
    fn add_assign(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.refused += other.refused;
    }
}

// === impl Shard ===

impl Shard {
    /// An empty shard that takes its memory from `budget`.
    pub fn new(settings: Settings, program: Arc<Program>, budget: ByteBudget) -> Self {
        Self {
            cache: DecisionCache::new(settings.sampled_cache, settings.not_sampled_cache),
            settings,
            tally: Tally::default(),
            program,
            index: HashMap::new(),
            log: Log::new(budget.clone()),
            wheel: Wheel::default(),
            forget: Wheel::default(),
            counts: Counts::default(),
            ages: Ages::default(),
            undecided: 0,
            waiting: ByValue::default(),
            held: Held::default(),
            closed: false,
            overhead: budget.empty_permit(),
            overhead_used: 0,
            budget,
            fresh: Vec::new(),
        }
    }

    /// The counters.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// How old late spans and removed traces were.
    pub fn ages(&self) -> &Ages {
        &self.ages
    }

    /// Remembered decisions: kept, not kept.
    pub fn remembered(&self) -> [usize; 2] {
        self.cache.len()
    }

    /// The policies' votes.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Undecided traces.
    pub fn undecided(&self) -> usize {
        self.undecided
    }

    /// Spans held, counted one trace after the other.
    pub fn in_flight(&self) -> u64 {
        self.index.values().map(|trace| u64::from(trace.spans)).sum()
    }

    /// Bytes of held records, and of the segments they are in.
    pub fn bytes(&self) -> (u64, u64) {
        (self.log.live_bytes(), self.log.capacity())
    }

    /// Shows up to `most` records of held traces: trace, when it began, spans of the record, its fragment. Records of
    /// one trace come one after the other.
    pub fn look(&self, mut most: usize, mut see: impl FnMut(TraceId, Nanos, u32, &[u8])) {
        for (trace_id, trace) in &self.index {
            let mut next = trace.last;
            while let Some(at) = next {
                if most == 0 {
                    return;
                }
                most -= 1;
                let record = self.log.read(at);
                see(*trace_id, trace.first_seen, record.spans, record.fragment);
                next = record.prev;
            }
        }
    }

    pub(super) fn charge(&mut self, bytes: u64) -> bool {
        charge(&mut self.overhead, &mut self.overhead_used, bytes)
    }

    pub(super) fn uncharge(&mut self, bytes: u64) {
        uncharge(&mut self.overhead, &mut self.overhead_used, bytes);
    }

    /// The trace's records, first to last.
    pub(super) fn records(&self, last: Option<RecordRef>) -> Vec<RecordRef> {
        let mut records = Vec::new();
        let mut next = last;
        while let Some(at) = next {
            records.push(at);
            next = self.log.read(at).prev;
        }
        records.reverse();
        records
    }

    /// The trace's fragments in one piece.
    pub(super) fn collect(&self, records: &[RecordRef], bytes: usize) -> Bytes {
        let mut fragment = Vec::with_capacity(bytes);
        for record in records {
            fragment.extend_from_slice(self.log.read(*record).fragment);
        }
        Bytes::from(fragment)
    }
}

pub(super) fn charge(permit: &mut Permit, used: &mut u64, bytes: u64) -> bool {
    let wanted = *used + bytes;
    if wanted > permit.bytes() {
        let missing = (wanted - permit.bytes()).next_multiple_of(OVERHEAD_STEP);
        if !permit.try_grow(missing) {
            return false;
        }
    }
    *used = wanted;
    true
}

pub(super) fn uncharge(permit: &mut Permit, used: &mut u64, bytes: u64) {
    assert!(*used >= bytes, "what is given back was charged");
    *used -= bytes;
    permit.shrink(used.next_multiple_of(OVERHEAD_STEP));
}
