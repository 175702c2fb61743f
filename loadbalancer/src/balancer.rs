//! Receives requests and answers them: scan, route, deliver, and the answer only when all is held.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tailgate_common::clock::Clock;
use tailgate_common::limit::ByteBudget;
use tailgate_common::receive::{Code, Ingest, ReceivedSpans, Refusal, Reply, Transport};
use tailgate_proto::view::{Value, resource_spans};
use tailgate_proto::{Limits, Slot, scan};
use tokio::task::JoinHandle;

use crate::backend::Backend;
use crate::buffer::Buffers;
use crate::core::{Answer, Timing, View};
use crate::members::{Backends, Keeper, Snapshot};
use crate::request::{Finished, Request, Scratch, Scratches};
use crate::resolver::Resolver;
use crate::stats::Stats;

/// For backends that may take longer than half of it: the time within which a client is answered all the same.
const LONGEST_ANSWER: Duration = Duration::from_secs(9);

/// What a span's backend depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Routing {
    /// Its trace id.
    TraceId,
    /// Its resource's `service.name`.
    Service,
}

/// How a load balancer behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// What a span's backend depends on.
    pub routing: Routing,
    /// What a request may contain.
    pub limits: Limits,
    /// Time for a request, with everything sent again; then the client is told to.
    pub timeout: Duration,
    /// Times within that.
    pub timing: Timing,
    /// A sampler not heard for this long is silent: its deputies hold for it.
    pub silent_after: Duration,
    /// A sampler not heard for this long is removed until it is heard again.
    pub eject_after: Duration,
    /// What a client is told to wait if no backend said anything else.
    pub retry_after: Duration,
    /// For the bytes on their way to backends.
    pub in_flight: ByteBudget,
}

/// Tier 1. It holds nothing: what it has not answered, the client still has.
pub struct LoadBalancer {
    options: Options,
    snapshots: Arc<ArcSwap<Snapshot>>,
    clock: Arc<dyn Clock>,
    stats: Arc<Stats>,
    received: ReceivedSpans,
    buffers: Buffers,
    scratches: Scratches,
    seeds: (RandomState, AtomicU64),
    resolver: &'static str,
    keeper: JoinHandle<()>,
}

// === impl Options ===

impl Options {
    /// Usual times and limits.
    pub fn new(in_flight: ByteBudget) -> Self {
        Self {
            routing: Routing::TraceId,
            limits: Limits::default(),
            timeout: Duration::from_secs(5),
            timing: Timing::default(),
            silent_after: Duration::from_secs(3),
            eject_after: Duration::from_secs(30),
            retry_after: Duration::from_secs(1),
            in_flight,
        }
    }

    /// Gives each attempt the time that a backend may take, and a request time for one more.
    pub fn with_attempt(self, attempt: Duration) -> Self {
        let timing = Timing { attempt, ..self.timing };
        let two = attempt * 2 + timing.longest_pause;
        // Clients commonly wait for 10 s; they should hear from us before they give up and send it all again.
        Self { timeout: two.min(LONGEST_ANSWER).max(attempt), timing, ..self }
    }
}

// === impl LoadBalancer ===

impl LoadBalancer {
    /// Starts with the resolver's members. Needs a tokio runtime.
    pub fn start(
        options: Options,
        resolver: &dyn Resolver,
        backends: Backends,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let stats = Arc::new(Stats::default());
        let (keeper, snapshots) = Keeper::new(
            resolver,
            backends,
            options.silent_after,
            options.eject_after,
            clock.clone(),
            stats.clone(),
        );
        let keeper = tokio::spawn(keeper.run(snapshots.clone()));
        let buffers = Buffers::new(options.in_flight.clone());
        let (scratches, seeds) = (Scratches::default(), (RandomState::new(), AtomicU64::new(0)));
        let resolver = resolver.label();
        let received = ReceivedSpans::default();
        Self {
            options,
            snapshots,
            clock,
            stats,
            received,
            buffers,
            scratches,
            seeds,
            resolver,
            keeper,
        }
    }

    /// The counters.
    pub fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }

    /// The backends now, ejected ones too.
    pub fn backends(&self) -> Vec<Arc<Backend>> {
        self.snapshots.load().backends.clone()
    }

    /// Where spans go now.
    pub fn view(&self) -> View {
        self.snapshots.load().view.clone()
    }

    /// The resolver's label.
    pub fn resolver(&self) -> &'static str {
        self.resolver
    }

    /// Spans by transport.
    pub fn received(&self) -> &ReceivedSpans {
        &self.received
    }

    /// The answer, and how many spans the request has.
    async fn handle(&self, body: &Bytes) -> (Reply, u64) {
        let mut lent = self.scratches.take();
        let Some(scratch) = lent.scratch.as_mut() else {
            return (unavailable(None, ""), 0);
        };
        if let Err(error) = scan(body, &self.options.limits, &mut scratch.scan) {
            self.stats.malformed();
            let refusal = Refusal::new(Code::InvalidArgument, error.to_string());
            return (Reply::Refused(refusal), 0);
        }
        let (total, invalid) = (scratch.scan.total() as u64, scratch.scan.rejected().spans);
        self.begin(body, scratch);
        let in_flight = self.stats.receive(total, invalid);
        let (stats, buffers) = (&self.stats, &self.buffers);
        let reason = scratch.scan.rejected().reason.clone().unwrap_or_default();
        let mut request = Request { body, scratch, in_flight, stats, buffers, reason };
        let finished = request.run(&self.snapshots, &*self.clock).await;
        let message = std::mem::take(&mut request.reason);
        let reply = match finished {
            Finished::Answered(Answer::Held { rejected }) if rejected + invalid == 0 => Reply::Held,
            Finished::Answered(Answer::Held { rejected }) => {
                Reply::Partial { rejected: rejected + invalid, message }
            }
            Finished::Answered(Answer::Unavailable { retry_after }) => {
                let retry_after = retry_after.unwrap_or(self.options.retry_after);
                unavailable(Some(retry_after), &message)
            }
            Finished::NoMemory => {
                unavailable(Some(self.options.retry_after), "too many bytes in flight")
            }
        };
        (reply, total)
    }

    /// Gives each span its slot.
    fn begin(&self, body: &Bytes, scratch: &mut Scratch) {
        let Scratch { scan, delivery, service_slots, .. } = scratch;
        let deadline = self.clock.now() + self.options.timeout;
        let seed = self.seeds.0.hash_one(self.seeds.1.fetch_add(1, Ordering::Relaxed));
        let timing = self.options.timing;
        match self.options.routing {
            Routing::TraceId => {
                let slots = scan.spans().iter().map(|span| span.trace_id.slot());
                delivery.begin(slots, timing, deadline, seed);
            }
            Routing::Service => {
                service_slots.clear();
                service_slots.extend(resource_spans(body).map(|resource| {
                    let name = resource.resource().attributes().get("service.name");
                    service_slot(name)
                }));
                let of = |scope| service_slots[scan.resource_of(scope) as usize];
                delivery.begin(
                    scan.spans().iter().map(|span| of(span.scope)),
                    timing,
                    deadline,
                    seed,
                );
            }
        }
    }
}

impl Ingest for LoadBalancer {
    async fn ingest(&self, body: Bytes, transport: Transport) -> Reply {
        let (reply, total) = self.handle(&body).await;
        let refused = match &reply {
            Reply::Held => 0,
            Reply::Partial { rejected, .. } => *rejected,
            Reply::Refused(_) => total,
        };
        self.received.count(transport, total - refused, refused);
        reply
    }
}

impl Drop for LoadBalancer {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// A service without a name is one service.
fn service_slot(name: Option<Value<'_>>) -> Slot {
    let name = match name {
        Some(Value::Str(name)) => name,
        _ => &[],
    };
    (xxhash_rust::xxh3::xxh3_64(name) & 0xffff) as Slot
}

fn unavailable(retry_after: Option<Duration>, reason: &str) -> Reply {
    let message = match reason {
        "" => "no sampler holds these spans now; send them again".to_owned(),
        reason => format!("no sampler holds these spans now ({reason}); send them again"),
    };
    Reply::Refused(Refusal { code: Code::Unavailable, message, retry_after })
}
