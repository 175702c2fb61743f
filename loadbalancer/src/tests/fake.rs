//! Samplers that do as they are told, and requests for them.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use tailgate_common::clock::SystemClock;
use tailgate_common::config::{Secret, SecretSource};
use tailgate_common::limit::ByteBudget;
use tailgate_common::net::Listener;
use tailgate_common::peer::{
    Deliver, DeliverResult, Entry, GiveBackResult, Identity, Mode, PeerInfo, PeerServer,
    PeerService, Plain, Role, ServerOptions, SharedDigest, SharedSecret,
};
use tailgate_common::receive::{Ingest, Reply, Transport};
use tailgate_proto::wire::put_varint;
use tailgate_proto::{Limits, Scan, TraceId, scan};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::core::Timing;
use crate::{Backends, LoadBalancer, Member, Options, StaticResolver};

/// What a fake sampler does with the next deliveries.
#[derive(Clone, Copy, PartialEq)]
pub enum Mood {
    Hold,
    /// Holds, and never answers.
    LoseAck,
    /// Takes nothing, and never answers.
    Stall,
    Refuse,
    /// Holds all but one.
    RejectOne,
}

#[derive(Clone, Default)]
pub struct Holder(Arc<Mutex<State>>);

struct State {
    mood: Mood,
    /// How often this mood is still in force; then it holds.
    times: usize,
    held: HashMap<TraceId, Vec<Mode>>,
    deliveries: usize,
}

pub struct Sampler {
    pub name: String,
    pub address: String,
    pub holder: Holder,
    task: JoinHandle<()>,
}

impl Default for State {
    fn default() -> Self {
        Self { mood: Mood::Hold, times: 0, held: HashMap::new(), deliveries: 0 }
    }
}

impl PeerService for Holder {
    async fn deliver(&self, _: &PeerInfo, deliver: Deliver) -> DeliverResult {
        let mood = self.take(&deliver);
        match mood {
            Mood::Hold => DeliverResult::held(deliver.spans),
            Mood::Refuse => DeliverResult::refused(deliver.spans, 10, "full"),
            Mood::RejectOne => DeliverResult {
                held: deliver.spans - 1,
                rejected: 1,
                reason: "bad span".into(),
                ..DeliverResult::default()
            },
            Mood::LoseAck | Mood::Stall => std::future::pending().await,
        }
    }

    async fn give_back(&self, _: &PeerInfo, _: Vec<Entry>) -> GiveBackResult {
        GiveBackResult::default()
    }
}

// === impl Holder ===

impl Holder {
    /// From now on, for so many deliveries.
    pub fn is(&self, mood: Mood, times: usize) {
        let mut state = self.0.lock();
        (state.mood, state.times) = (mood, times);
    }

    /// How each span of a trace came, in order.
    pub fn modes(&self, trace: TraceId) -> Vec<Mode> {
        self.0.lock().held.get(&trace).cloned().unwrap_or_default()
    }

    pub fn deliveries(&self) -> usize {
        self.0.lock().deliveries
    }

    pub fn spans(&self) -> usize {
        self.0.lock().held.values().map(Vec::len).sum()
    }

    fn take(&self, deliver: &Deliver) -> Mood {
        let mut state = self.0.lock();
        state.deliveries += 1;
        let mood = if state.times > 0 { state.mood } else { Mood::Hold };
        state.times = state.times.saturating_sub(1);
        if !matches!(mood, Mood::Refuse | Mood::Stall) {
            let mut found = Scan::default();
            scan(&deliver.fragment, &Limits::default(), &mut found).unwrap();
            assert_eq!(found.spans().len(), deliver.spans as usize);
            for span in found.spans() {
                state.held.entry(span.trace_id).or_default().push(deliver.mode.clone());
            }
        }
        mood
    }
}

// === impl Sampler ===

impl Sampler {
    pub async fn start(name: &str) -> Self {
        Self::start_at(name, "127.0.0.1:0", Holder::default()).await
    }

    pub async fn start_at(name: &str, address: &str, holder: Holder) -> Self {
        let listener = Listener::bind(address).await.unwrap();
        let address = listener.local_addr().to_string();
        let me = identity(Role::Sampler, name, "secret");
        let budget = ByteBudget::new(64 << 20);
        let options = ServerOptions::new(me, budget.clone(), budget);
        let server = PeerServer::new(listener, Plain, holder.clone(), options);
        let task = tokio::spawn(server.run(CancellationToken::new()));
        Self { name: name.to_owned(), address, holder, task }
    }

    /// As kill -9 would.
    pub async fn kill(self) -> (String, Holder) {
        self.task.abort();
        let _ = self.task.await;
        (self.name, self.holder)
    }

    pub fn member(&self) -> Member {
        Member { name: self.name.as_str().into(), endpoint: self.address.clone() }
    }
}

pub fn identity(role: Role, name: &str, secret: &str) -> Identity {
    let secret = SecretSource::Inline(Secret::new(secret));
    let secret = SharedSecret::from_source(&secret, Duration::MAX).unwrap();
    let name = name.into();
    Identity { role, name, secret, digest: SharedDigest::default() }
}

/// Short times, so that tests are, but not what ends an attempt because the machine stood still.
pub fn options() -> Options {
    Options {
        timeout: Duration::from_secs(10),
        timing: Timing {
            attempt: Duration::from_secs(1),
            first_pause: Duration::from_millis(10),
            longest_pause: Duration::from_millis(100),
        },
        silent_after: Duration::from_secs(3),
        eject_after: Duration::from_secs(30),
        ..Options::new(ByteBudget::new(64 << 20))
    }
}

pub fn balancer(options: Options, samplers: &[&Sampler], secret: &str) -> LoadBalancer {
    balancer_as(identity(Role::LoadBalancer, "lb-0", secret), options, samplers)
}

pub fn balancer_as(me: Identity, options: Options, samplers: &[&Sampler]) -> LoadBalancer {
    let clock = Arc::new(SystemClock::new());
    let resolver = StaticResolver::new(samplers.iter().map(|sampler| sampler.member()));
    LoadBalancer::start(options, &resolver, Backends::plain_peers(me, clock.clone()), clock)
}

/// A balancer that is connected to all of them.
pub async fn connected(options: Options, samplers: &[&Sampler]) -> LoadBalancer {
    let balancer = balancer(options, samplers, "secret");
    until("all connected", || balancer.backends().iter().all(|b| b.is_connected())).await;
    balancer
}

pub async fn until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

pub async fn send(balancer: &LoadBalancer, traces: &[TraceId]) -> Reply {
    balancer.ingest(request("shop", traces), Transport::Grpc).await
}

/// The name of the owner of a trace.
pub fn owner(balancer: &LoadBalancer, trace: TraceId) -> String {
    let view = balancer.view();
    view.table().owner_name(trace.slot()).unwrap().to_string()
}

pub fn traces(from: u32, count: u32) -> Vec<TraceId> {
    let id = |n: u32| {
        let mut bytes = [7; 16];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        TraceId(bytes)
    };
    (from..from + count).map(id).collect()
}

/// A request with one span of each trace.
pub fn request(service: &str, traces: &[TraceId]) -> Bytes {
    let name =
        field(1, &[field(1, b"service.name"), field(2, &field(1, service.as_bytes()))].concat());
    let mut scope = Vec::new();
    for trace in traces {
        let span = [field(1, &trace.0), field(2, &[1; 8]), field(5, b"GET /")].concat();
        scope.extend(field(2, &span));
    }
    field(1, &[field(1, &name), field(2, &scope)].concat()).into()
}

/// A length-delimited field.
fn field(number: u8, value: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    put_varint(&mut out, value.len() as u64);
    out.extend_from_slice(value);
    out
}
