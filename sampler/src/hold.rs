//! The sampler as its receivers see it: spans come in and are held, or refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tailgate_common::clock::{Clock, Nanos};
use tailgate_common::limit::ByteBudget;
use tailgate_common::receive::{Code, Ingest, ReceivedSpans, Refusal, Reply, Transport};
use tailgate_common::telemetry::{Distribution, defs};
use tailgate_policy::Value;
use tailgate_proto::{Limits, Scan, ScanError, scan, splice, spliced_len};

use crate::core::buffer::{Buffer, Outcome, SHARDS};
use crate::core::counts::Counts;
use crate::core::log::SEGMENT_BYTES;
use crate::core::outbox::Kept;
use crate::core::shard::{Arrived, Outlet, Role};
use crate::export::Exports;

mod figures;
mod shedding;
mod traces;

pub use figures::Snapshot;
use shedding::Shedding;
pub use traces::{HeldService, HeldTraces};

/// When a sender should come back.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What the sampler does with spans.
pub enum Mode {
    /// Hold traces, and decide.
    Sample(Buffer),
    /// No `tail_sampling` in the pipeline: everything goes to the exporters.
    Forward(Box<Forwarded>),
}

/// The counters of [`Mode::Forward`]; what was offered is with the exporters, in the same breath.
#[derive(Debug, Default)]
pub struct Forwarded {
    counts: parking_lot::Mutex<Counts>,
}

/// A sampler.
pub struct Sampler {
    mode: Mode,
    exports: Arc<Exports>,
    budget: ByteBudget,
    clock: Arc<dyn Clock>,
    stopping: AtomicBool,
    /// Spans that can never be accepted: received and rejected at once.
    invalid: AtomicU64,
    /// Accepted and refused spans by transport, for the receiver's metrics.
    received: ReceivedSpans,
    /// Milliseconds of each run of decisions.
    tick_ms: Distribution,
    /// Microseconds in which traces were decided.
    deciding_us: AtomicU64,
    shedding: Shedding,
}

impl Outlet for Exports {
    fn has_room(&self) -> bool {
        Exports::has_room(self)
    }

    fn offer(&self, _now: Nanos, kept: Kept) -> Result<(), Kept> {
        Exports::offer(self, kept)
    }

    fn sheds(&self) -> bool {
        Exports::sheds(self)
    }

    fn shed(&self, value: Value) -> u64 {
        Exports::shed(self, value)
    }
}

// === impl Sampler ===

impl Sampler {
    /// A sampler whose buffer, if it has one, takes its memory from `budget`.
    pub fn new(
        mode: Mode,
        exports: Arc<Exports>,
        budget: ByteBudget,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            mode,
            exports,
            budget,
            clock,
            stopping: AtomicBool::new(false),
            invalid: AtomicU64::new(0),
            received: ReceivedSpans::default(),
            tick_ms: Distribution::new(&defs::TAIL_DECISION_TIMER_LATENCY),
            deciding_us: AtomicU64::new(0),
            shedding: Shedding::default(),
        }
    }

    /// The way out.
    pub fn exports(&self) -> &Exports {
        &self.exports
    }

    /// The buffer, if traces are held.
    pub fn buffer(&self) -> Option<&Buffer> {
        match &self.mode {
            Mode::Sample(buffer) => Some(buffer),
            Mode::Forward(_) => None,
        }
    }

    /// The clock.
    pub fn now(&self) -> Nanos {
        self.clock.now()
    }

    /// Spans by transport.
    pub fn received(&self) -> &ReceivedSpans {
        &self.received
    }

    /// From now on everything that comes is refused.
    pub fn stop_accepting(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Everything is refused.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Why nothing at all is taken now, if so: the last segment is gone, or the process is stopping.
    pub fn refuses_all(&self) -> Option<Refusal> {
        let full = || self.budget.used() + SEGMENT_BYTES as u64 > self.budget.limit();
        let no_memory = || unavailable("no memory for spans".to_owned());
        self.refuses_stopping().or_else(|| (self.buffer().is_some() && full()).then(no_memory))
    }

    fn refuses_stopping(&self) -> Option<Refusal> {
        let refusal = || unavailable("this sampler is shutting down".to_owned());
        self.is_stopping().then(refusal)
    }

    /// Takes a request in.
    ///
    /// # Errors
    /// The request is malformed; nothing of it was taken.
    pub fn take(&self, role: Role, body: &Bytes, limits: &Limits) -> Result<Outcome, ScanError> {
        let outcome = match &self.mode {
            Mode::Sample(buffer) => {
                buffer.arrive(self.clock.now(), role, body, limits, &*self.exports)?
            }
            Mode::Forward(forwarded) => forwarded.arrive(body, limits, &self.exports)?,
        };
        self.invalid.fetch_add(outcome.rejected, Ordering::Relaxed);
        Ok(outcome)
    }

    /// Decides what is due; whether there is more to do at once.
    pub fn tick(&self) -> bool {
        let Some(buffer) = self.buffer() else { return false };
        let now = self.clock.now();
        let mut more = false;
        for index in 0..SHARDS {
            let began = self.clock.now();
            let ticked = buffer.shard(index).tick(now, &*self.exports);
            more |= ticked.more;
            if ticked.decided > 0 {
                let took = self.clock.now().since(began).as_micros() as u64;
                self.deciding_us.fetch_add(took, Ordering::Relaxed);
            }
        }
        let relief = buffer.relieve(now, &*self.exports);
        self.shedding.note(relief);
        more |= relief.more;
        self.tick_ms.record(self.clock.now().since(now).as_secs_f64() * 1e3);
        more
    }

    /// Decides everything that is undecided; how many traces the exporters have no room for yet.
    pub fn decide_all(&self) -> usize {
        let Some(buffer) = self.buffer() else { return 0 };
        let now = self.clock.now();
        let shards = 0..SHARDS;
        shards
            .map(|index| {
                let mut shard = buffer.shard(index);
                while shard.decide_all(now, 1024, &*self.exports) > 0 {}
                shard.waiting()
            })
            .sum()
    }

    /// Gives up what is still held.
    pub fn abandon(&self) {
        if let Some(buffer) = self.buffer() {
            (0..SHARDS).for_each(|index| buffer.shard(index).abandon());
        }
    }
}

impl Ingest for Sampler {
    async fn ingest(&self, body: Bytes, transport: Transport) -> Reply {
        if let Some(refusal) = self.refuses_stopping() {
            return Reply::Refused(refusal);
        }
        match self.take(Role::Owner, &body, &Limits::default()) {
            Err(error) => Reply::Refused(Refusal::new(Code::InvalidArgument, error.to_string())),
            Ok(Outcome { arrived, rejected, reason }) => {
                let refused = u64::from(arrived.refused) + rejected;
                self.received.count(transport, u64::from(arrived.accepted), refused);
                reply(arrived, rejected, reason)
            }
        }
    }
}

fn reply(arrived: Arrived, rejected: u64, reason: Option<String>) -> Reply {
    if arrived.refused > 0 {
        let Arrived { accepted, refused } = arrived;
        let message = format!(
            "no room for {refused} of {} spans; send the whole request again",
            accepted + refused
        );
        return Reply::Refused(unavailable(message));
    }
    match rejected {
        0 => Reply::Held,
        rejected => Reply::Partial { rejected, message: reason.unwrap_or_default() },
    }
}

fn unavailable(message: String) -> Refusal {
    Refusal { retry_after: Some(RETRY_AFTER), ..Refusal::new(Code::Unavailable, message) }
}

// === impl Forwarded ===

impl Forwarded {
    fn arrive(
        &self,
        body: &Bytes,
        limits: &Limits,
        exports: &Exports,
    ) -> Result<Outcome, ScanError> {
        let mut found = Scan::default();
        scan(body, limits, &mut found)?;
        let spans = found.spans().len() as u32;
        let rejected = found.rejected().clone();
        let mut outcome =
            Outcome { rejected: rejected.spans, reason: rejected.reason, ..Outcome::default() };
        let Some(first) = found.spans().first() else { return Ok(outcome) };
        let (fragment, value) = (whole(body, &found), Value::default());
        let kept = Kept { trace_id: first.trace_id, spans, fragment, value, why: None };
        // Offered and counted under one lock, so that a snapshot sees both or neither.
        let mut counts = self.counts.lock();
        counts.received += u64::from(spans);
        match exports.offer(kept) {
            Ok(()) => {
                counts.passed_on += u64::from(spans);
                outcome.arrived.accepted = spans;
            }
            Err(_) => {
                counts.rejected_export_queue += u64::from(spans);
                outcome.arrived.refused = spans;
            }
        }
        Ok(outcome)
    }
}

/// The request as a fragment: itself, unless spans have to be left out of it. Copied, since the request shares a
/// buffer that may be much larger.
fn whole(body: &Bytes, found: &Scan) -> Bytes {
    if found.rejected().spans == 0 {
        return Bytes::copy_from_slice(body);
    }
    let all: Vec<u32> = (0..found.spans().len() as u32).collect();
    let mut fragment = Vec::with_capacity(spliced_len(found, &all));
    splice(body, found, &all, &mut fragment);
    Bytes::from(fragment)
}
