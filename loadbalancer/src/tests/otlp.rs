//! Plain OTLP to backends that are not ours.
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tailgate_common::client::{ClientSettings, OtlpGrpcClient};
use tailgate_common::clock::SystemClock;
use tailgate_common::limit::ByteBudget;
use tailgate_common::receive::{
    Code, Ingest, Refusal, Reply, Server, ServerHandle, ServerSettings, Transport,
};
use tailgate_proto::{Limits, Scan, TraceId, scan};

use super::fake::{options, request, send, traces};
use crate::{Backends, Link, LoadBalancer, Options, Routing, StaticResolver};

/// A backend that gives these answers first, then holds all.
#[derive(Default)]
struct Probe {
    got: Mutex<Vec<Vec<TraceId>>>,
    first: Mutex<Vec<Reply>>,
    /// Time that each answer takes.
    slow: Mutex<Duration>,
}

struct Backend {
    probe: Arc<Probe>,
    server: ServerHandle,
}

impl Ingest for Probe {
    async fn ingest(&self, body: Bytes, _: Transport) -> Reply {
        let mut found = Scan::default();
        scan(&body, &Limits::default(), &mut found).unwrap();
        self.got.lock().push(found.spans().iter().map(|span| span.trace_id).collect());
        let slow = *self.slow.lock();
        tokio::time::sleep(slow).await;
        self.first.lock().pop().unwrap_or(Reply::Held)
    }
}

async fn backend() -> Backend {
    let probe = Arc::new(Probe::default());
    let settings = ServerSettings::grpc("127.0.0.1:0");
    let budget = ByteBudget::new(64 << 20);
    let server = Server::bind(settings, probe.clone(), budget, None).await.unwrap().spawn();
    Backend { probe, server }
}

fn balancer(options: Options, backends: &[&Backend]) -> LoadBalancer {
    let endpoints = backends.iter().map(|backend| backend.server.local_addr().to_string());
    let connect = |member: &crate::Member| {
        let client = OtlpGrpcClient::new(ClientSettings::new(member.endpoint.clone()))?;
        Ok(Link::Otlp(Box::new(client)))
    };
    let resolver = StaticResolver::of_endpoints(endpoints);
    let clock = Arc::new(SystemClock::new());
    LoadBalancer::start(options, &resolver, Backends::otlp(Box::new(connect)), clock)
}

fn not_now() -> Reply {
    let retry_after = Some(Duration::from_millis(20));
    Reply::Refused(Refusal { code: Code::Unavailable, message: "full".into(), retry_after })
}

#[tokio::test]
async fn only_the_part_that_failed_is_sent_again_and_to_the_same_backend() {
    let (a, b) = (backend().await, backend().await);
    let balancer = balancer(options(), &[&a, &b]);
    a.probe.first.lock().extend([not_now(), not_now()]);
    let all = traces(0, 60);
    assert_eq!(send(&balancer, &all).await, Reply::Held);
    let (of_a, of_b) = (a.probe.got.lock().clone(), b.probe.got.lock().clone());
    assert_eq!((of_a.len(), of_b.len()), (3, 1));
    assert!(of_a.iter().all(|part| *part == of_a[0]));
    let both: HashSet<_> = of_a[0].iter().chain(&of_b[0]).copied().collect();
    assert_eq!((both.len(), of_a[0].len() + of_b[0].len()), (60, 60));
    assert!(balancer.stats().ledger().is_balanced());
    assert_eq!(balancer.stats().ledger().forwarded, 60);
}

#[tokio::test]
async fn what_a_backend_will_never_take_is_a_partial_success() {
    let a = backend().await;
    let balancer = balancer(options(), &[&a]);
    let bad = Refusal::new(Code::InvalidArgument, "bad");
    *a.probe.first.lock() =
        vec![Reply::Partial { rejected: 2, message: "two".into() }, Reply::Refused(bad)];
    let reply = send(&balancer, &traces(0, 5)).await;
    assert_eq!(reply, Reply::Partial { rejected: 5, message: "bad".into() });
    let reply = send(&balancer, &traces(0, 5)).await;
    assert_eq!(reply, Reply::Partial { rejected: 2, message: "two".into() });
    let ledger = balancer.stats().ledger();
    assert!(ledger.is_balanced() && ledger.forwarded == 3, "{ledger}");
}

#[tokio::test]
async fn a_backend_that_is_down_makes_the_request_retryable() {
    let (a, b) = (backend().await, backend().await);
    let options = Options { timeout: Duration::from_millis(500), ..options() };
    let balancer = balancer(options, &[&a, &b]);
    a.server.shutdown(Duration::ZERO).await;
    let reply = send(&balancer, &traces(0, 60)).await;
    let Reply::Refused(refusal) = reply else { panic!("{reply:?}") };
    assert_eq!(refusal.code, Code::Unavailable);
    let backends = balancer.backends();
    let failing: Vec<_> = backends.iter().filter(|backend| backend.is_failing()).collect();
    assert!(
        matches!(failing[..], [one] if refusal.message.contains(&*one.member.name)),
        "{failing:?}"
    );
    assert_eq!(b.probe.got.lock().len(), 1);
    let ledger = balancer.stats().ledger();
    assert!(ledger.is_balanced() && ledger.forwarded == b.probe.got.lock()[0].len() as u64);
}

#[tokio::test]
async fn a_backend_may_take_as_long_as_is_configured() {
    let a = backend().await;
    // Longer than the attempts of other tests may take.
    *a.probe.slow.lock() = options().timing.attempt * 3;
    let brief = options().with_attempt(Duration::from_secs(2));
    assert!(brief.timeout > Duration::from_secs(4), "no time for a retry");
    let usual = options().with_attempt(Duration::from_secs(5));
    assert!(usual.timeout < Duration::from_secs(10), "the client has given up by then");
    let options = options().with_attempt(Duration::from_secs(10));
    assert_eq!(options.timeout, Duration::from_secs(10));
    let balancer = balancer(options, &[&a]);
    assert_eq!(send(&balancer, &traces(0, 5)).await, Reply::Held);
    assert_eq!(a.probe.got.lock().len(), 1);
}

#[tokio::test]
async fn by_service_all_spans_of_a_service_go_to_one_backend() {
    let (a, b) = (backend().await, backend().await);
    let balancer = balancer(Options { routing: Routing::Service, ..options() }, &[&a, &b]);
    let services: Vec<String> = (0..16).map(|n| format!("service-{n}")).collect();
    for _ in 0..2 {
        let mut body = Vec::new();
        for (service, from) in services.iter().zip((0..).step_by(100)) {
            body.extend_from_slice(&request(service, &traces(from, 5)));
        }
        assert_eq!(balancer.ingest(body.into(), Transport::Grpc).await, Reply::Held);
    }
    let (of_a, of_b) = (a.probe.got.lock().clone(), b.probe.got.lock().clone());
    assert_eq!((of_a.len(), of_b.len()), (2, 2));
    assert!(of_a[0] == of_a[1] && of_b[0] == of_b[1]);
    let service = |id: &TraceId| u32::from_be_bytes([id.0[0], id.0[1], id.0[2], id.0[3]]) / 100;
    let (in_a, in_b): (HashSet<_>, HashSet<_>) =
        (of_a[0].iter().map(service).collect(), of_b[0].iter().map(service).collect());
    assert!(in_a.is_disjoint(&in_b) && in_a.len() + in_b.len() == 16);
}
