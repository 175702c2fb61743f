//! One request on its way: runs the delivery's state machine against the real backends.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;
use tailgate_common::clock::{Clock, Nanos};
use tailgate_proto::{Scan, Slot, splice, spliced_len};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::backend::{Parcel, attempt};
use crate::buffer::Buffers;
use crate::core::{Answer, Delivery, Effect, Event, Outcome, Target};
use crate::members::Snapshot;
use crate::stats::{InFlight, Reason, Stats};

/// What a request needs besides its bytes; used again by later requests.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) scan: Scan,
    pub(crate) delivery: Delivery,
    pub(crate) service_slots: Vec<Slot>,
    effects: Vec<Effect>,
    sends: Vec<(u32, u32, Target)>,
}

/// Scratch space that nobody uses now.
#[derive(Debug, Default)]
pub(crate) struct Scratches(Mutex<Vec<Scratch>>);

/// A scratch that goes back when it is dropped.
#[derive(Debug)]
pub(crate) struct Lent<'a> {
    pub(crate) scratch: Option<Scratch>,
    from: &'a Scratches,
}

/// A request in flight. However it ends, its spans are accounted for when it is dropped.
pub(crate) struct Request<'a> {
    pub(crate) body: &'a Bytes,
    pub(crate) scratch: &'a mut Scratch,
    pub(crate) in_flight: InFlight<'a>,
    pub(crate) stats: &'a Arc<Stats>,
    pub(crate) buffers: &'a Buffers,
    /// Why the first parcel that was not held was not.
    pub(crate) reason: String,
}

/// How a request ended.
pub(crate) enum Finished {
    Answered(Answer),
    /// The budget has no room for its fragments.
    NoMemory,
}

const MAX_SPARE: usize = 256;
/// A scratch with more spans than this is not kept.
const MAX_SPARE_SPANS: usize = 4_096;

// === impl Scratches ===

impl Scratches {
    pub(crate) fn take(&self) -> Lent<'_> {
        let scratch = self.0.lock().pop().unwrap_or_default();
        Lent { scratch: Some(scratch), from: self }
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let Some(scratch) = self.scratch.take() else { return };
        if scratch.scan.spans().len() <= MAX_SPARE_SPANS {
            let mut spare = self.from.0.lock();
            if spare.len() < MAX_SPARE {
                spare.push(scratch);
            }
        }
    }
}

// === impl Request ===

impl Request<'_> {
    /// Runs until there is an answer.
    pub(crate) async fn run(
        &mut self,
        snapshots: &ArcSwap<Snapshot>,
        clock: &dyn Clock,
    ) -> Finished {
        let mut attempts = FuturesUnordered::new();
        let mut timer: Option<std::pin::Pin<Box<Sleep>>> = None;
        let mut events = vec![Event::Start];
        loop {
            let (now, snapshot) = (clock.now(), snapshots.load_full());
            while let Some(event) = events.pop() {
                let starts = event == Event::Start;
                if let Some(answer) = self.step(now, &snapshot, event) {
                    return Finished::Answered(answer);
                }
                match self.parcels(&snapshot) {
                    Some(parcels) => attempts.extend(parcels),
                    None if starts => {
                        self.in_flight.failed = Reason::Memory;
                        return Finished::NoMemory;
                    }
                    // Sent again when there is room; the delivery minds the deadline.
                    None => events.extend(self.scratch.sends.drain(..).map(|(_, attempt, _)| {
                        let outcome = Outcome::Refused { retry_after: None };
                        Event::Outcome { attempt, outcome }
                    })),
                }
            }
            let due = until(clock, self.scratch.delivery.next_due());
            let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
            if timer.deadline() != due {
                timer.as_mut().reset(due);
            }
            events.push(tokio::select! {
                biased;
                Some(ended) = attempts.next() => {
                    let crate::backend::Ended { attempt, outcome, reason } = ended;
                    if self.reason.is_empty() {
                        self.reason = reason;
                    }
                    Event::Outcome { attempt, outcome }
                }
                () = timer.as_mut() => Event::Tick,
            });
        }
    }

    /// One step of the delivery: its sends are left in the scratch.
    fn step(&mut self, now: Nanos, snapshot: &Snapshot, event: Event) -> Option<Answer> {
        let Scratch { delivery, effects, sends, .. } = &mut *self.scratch;
        delivery.step(now, &snapshot.view, event, effects);
        let mut answer = None;
        sends.clear();
        for effect in effects.drain(..) {
            match effect {
                Effect::Send { part, attempt, target } => sends.push((part, attempt, target)),
                Effect::Answer(given) => answer = Some(given),
            }
        }
        answer
    }

    /// The attempts for the sends of a step, with their fragments in one buffer. None if there is
    /// no room for it.
    fn parcels(
        &self,
        snapshot: &Snapshot,
    ) -> Option<Vec<impl Future<Output = crate::backend::Ended> + use<>>> {
        let Scratch { scan, delivery, sends, .. } = &*self.scratch;
        if sends.is_empty() {
            return Some(Vec::new());
        }
        let mut ranges = Vec::with_capacity(sends.len());
        let whole = sends.len() == 1 && delivery.spans(sends[0].0).len() == scan.total();
        let bytes = if whole {
            // All goes to one place: the request is the fragment.
            ranges.push(0..self.body.len());
            self.buffers.charge(self.body.clone())?
        } else {
            let spans = sends.iter().map(|(part, ..)| delivery.spans(*part));
            let mut buffer =
                self.buffers.take(spans.clone().map(|s| spliced_len(scan, s)).sum())?;
            for spans in spans {
                let start = buffer.bytes.len();
                splice(self.body, scan, spans, &mut buffer.bytes);
                ranges.push(start..buffer.bytes.len());
            }
            buffer.freeze()
        };
        let parcels = sends.iter().zip(ranges).filter_map(|((part, number, target), range)| {
            let backend = snapshot.backend(target.to)?.clone();
            let owner = target.deputy_of.and_then(|owner| snapshot.backend(owner));
            let parcel = Parcel {
                attempt: *number,
                spans: delivery.spans(*part).len() as u32,
                fragment: bytes.slice(range),
                deputy_of: owner.map(|owner| owner.member.name.clone()),
            };
            Some(attempt(backend, self.stats.clone(), parcel))
        });
        Some(parcels.collect())
    }
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        let delivery = &self.scratch.delivery;
        let mut tally = delivery.tally();
        if self.in_flight.failed == Reason::Memory {
            // Nothing was sent.
            tally.failed += std::mem::take(&mut tally.open);
        }
        self.in_flight.tally = tally;
        self.stats.happened(delivery.transitions());
    }
}

/// The runtime's time for a time of the clock; a day if there is none.
fn until(clock: &dyn Clock, due: Option<Nanos>) -> Instant {
    let wait = due.map_or(Duration::from_secs(86_400), |due| due.since(clock.now()));
    Instant::now() + wait
}
