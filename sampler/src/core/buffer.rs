//! All shards together. A request takes each shard's lock at most once.

use std::cell::RefCell;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tailgate_common::clock::Nanos;
use tailgate_common::limit::ByteBudget;
use tailgate_policy::{Facts, Program};
use tailgate_proto::{Limits, Scan, ScanError, TraceId, scan};
use xxhash_rust::xxh3::xxh3_128;

use super::counts::Counts;
use super::shard::{Arrived, Outlet, Request, Role, Settings, Shard};
use super::trace::MemberId;

/// How many shards there are; each holds as many slots.
pub const SHARDS: usize = 16;

/// How many times its size a request may take in repeated resources and scopes, beside 1 MiB.
const MAX_GROWTH: usize = 32;

/// The buffer of a sampler.
pub struct Buffer {
    shards: Box<[Mutex<Shard>]>,
    program: Arc<Program>,
}

/// What became of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Spans held (or dealt with), and refused retryably.
    pub arrived: Arrived,
    /// Spans that can never be accepted.
    pub rejected: u64,
    /// Why the first of them can't.
    pub reason: Option<String>,
}

/// Buffers of one request, reused by the next one on the same thread.
#[derive(Default)]
struct Work {
    scan: Scan,
    hashes: Vec<u128>,
    resources: Vec<Facts>,
    /// Rank of the trace and index of each span; sorted, so that a shard's and a trace's spans are together.
    order: Vec<(u64, u32)>,
    indexes: Vec<u32>,
}

thread_local! {
    static WORK: RefCell<Work> = RefCell::default();
}

/// The shard of a trace: its range of slots.
pub fn shard_of(trace_id: &TraceId) -> usize {
    shard_at(trace_id.rank())
}

/// The shard of the traces with this rank.
fn shard_at(rank: u64) -> usize {
    (rank >> 48) as usize * SHARDS / tailgate_proto::SLOTS
}

// === impl Buffer ===

impl Buffer {
    /// An empty buffer. `settings` are those of one shard.
    pub fn new(settings: &Settings, program: &Arc<Program>, budget: &ByteBudget) -> Self {
        let shard = |_| Mutex::new(Shard::new(settings.clone(), program.clone(), budget.clone()));
        Self { shards: (0..SHARDS).map(shard).collect(), program: program.clone() }
    }

    /// Takes the spans of a request.
    ///
    /// # Errors
    /// The request is malformed; nothing of it was taken.
    pub fn arrive(
        &self,
        now: Nanos,
        role: Role,
        request: &[u8],
        limits: &Limits,
        out: &impl Outlet,
    ) -> Result<Outcome, ScanError> {
        WORK.with_borrow_mut(|work| {
            work.prepare(request, limits, &self.program)?;
            let arrived = self.insert(now, role, request, work, out);
            let rejected = work.scan.rejected();
            Ok(Outcome { arrived, rejected: rejected.spans, reason: rejected.reason.clone() })
        })
    }

    /// One shard.
    pub fn shard(&self, index: usize) -> MutexGuard<'_, Shard> {
        self.shards[index].lock()
    }

    /// All shards, locked: a consistent view.
    pub fn lock_all(&self) -> Vec<MutexGuard<'_, Shard>> {
        self.shards.iter().map(|shard| shard.lock()).collect()
    }

    /// Traces held for a member.
    pub fn held_for(&self, member: MemberId) -> usize {
        self.shards.iter().map(|shard| shard.lock().held_for(member)).sum()
    }

    fn insert(
        &self,
        now: Nanos,
        role: Role,
        bytes: &[u8],
        work: &mut Work,
        out: &impl Outlet,
    ) -> Arrived {
        let Work { scan, hashes, resources, order, indexes } = work;
        let request = Request { bytes, scan, hashes, resources };
        let mut arrived = Arrived::default();
        let trace_id = |(_, index): &(u64, u32)| scan.spans()[*index as usize].trace_id;
        for of_shard in order.chunk_by(|a, b| shard_at(a.0) == shard_at(b.0)) {
            let mut shard = self.shards[shard_at(of_shard[0].0)].lock();
            for of_trace in of_shard.chunk_by(|a, b| trace_id(a) == trace_id(b)) {
                indexes.clear();
                indexes.extend(of_trace.iter().map(|(_, index)| *index));
                arrived += shard.arrive(now, role, trace_id(&of_trace[0]), &request, indexes, out);
            }
        }
        arrived
    }
}

/// The sum of the shards' counters, and the spans they hold.
pub fn totals(shards: &[MutexGuard<'_, Shard>]) -> (Counts, u64) {
    let mut sum = Counts::default();
    let mut in_flight = 0;
    for shard in shards {
        sum += *shard.counts();
        in_flight += shard.in_flight();
    }
    (sum, in_flight)
}

// === impl Work ===

impl Work {
    /// Everything that needs no lock.
    fn prepare(
        &mut self,
        request: &[u8],
        limits: &Limits,
        program: &Program,
    ) -> Result<(), ScanError> {
        scan(request, limits, &mut self.scan)?;
        self.resources.clear();
        self.resources.extend(self.scan.resources(request).map(|resource| {
            let mut facts = program.new_facts();
            program.fold_resource(resource.attributes(), &mut facts);
            facts
        }));
        self.hashes.clear();
        self.order.clear();
        for (index, span) in self.scan.spans().iter().enumerate() {
            let bytes = &request[span.start as usize..span.end as usize];
            self.hashes.push(xxh3_128(bytes));
            self.order.push((span.trace_id.rank(), index as u32));
        }
        self.order.sort_unstable();
        self.check_headers(request.len())
    }

    /// A resource and a scope are held once for each trace that has spans of them. A request must not grow by that
    /// beyond what its size can pay for.
    fn check_headers(&self, len: usize) -> Result<(), ScanError> {
        let span = |(_, index): &(u64, u32)| &self.scan.spans()[*index as usize];
        let same = |a: &(u64, u32), b: &(u64, u32)| {
            let (a, b) = (span(a), span(b));
            a.trace_id == b.trace_id && a.scope == b.scope
        };
        let headers = self.order.chunk_by(same);
        let headers = headers.map(|run| self.scan.header_bytes(span(&run[0]).scope));
        let (bytes, limit) = (headers.sum::<usize>(), MAX_GROWTH * len + (1 << 20));
        if bytes > limit {
            return Err(ScanError::Headers { bytes, limit });
        }
        Ok(())
    }
}
