//! Over the internal protocol.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tailgate_common::clock::SystemClock;
use tailgate_common::limit::ByteBudget;
use tailgate_common::ownership::digest_of;
use tailgate_common::peer::{Mode, Role};
use tailgate_common::receive::{Code, Ingest, Refusal, Reply, Transport};
use tailgate_proto::TraceId;
use tailgate_testkit::ports::Port;

use super::fake::*;
use crate::{Backends, LoadBalancer, Member, Options, Resolver};

async fn two() -> (Sampler, Sampler) {
    (Sampler::start("sampler-0").await, Sampler::start("sampler-1").await)
}

fn deputy(owner: &str) -> Mode {
    Mode::Deputy { owner: owner.into() }
}

fn refusal(reply: Reply) -> Refusal {
    match reply {
        Reply::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

/// Traces of the two samplers, one list each.
fn split(balancer: &LoadBalancer, all: &[TraceId]) -> [Vec<TraceId>; 2] {
    ["sampler-0", "sampler-1"]
        .map(|name| all.iter().copied().filter(|id| owner(balancer, *id) == name).collect())
}

fn assert_balanced(balancer: &LoadBalancer, forwarded: u64, rejected: &[(&str, u64)]) {
    let ledger = balancer.stats().ledger();
    assert!(ledger.is_balanced(), "{ledger}");
    assert_eq!((ledger.forwarded, ledger.in_flight), (forwarded, 0), "{ledger}");
    for (reason, spans) in &ledger.rejected {
        let expected = rejected.iter().find(|(name, _)| name == reason).map_or(0, |(_, n)| *n);
        assert_eq!(*spans, expected, "{ledger}");
    }
}

#[tokio::test]
async fn each_span_goes_to_its_owner_once() {
    let (a, b) = two().await;
    let balancer = connected(options(), &[&a, &b]).await;
    let all = traces(0, 60);
    assert_eq!(send(&balancer, &all).await, Reply::Held);
    let [of_a, of_b] = split(&balancer, &all);
    assert!(!of_a.is_empty() && !of_b.is_empty());
    for (sampler, ids) in [(&a, &of_a), (&b, &of_b)] {
        assert_eq!((sampler.holder.spans(), sampler.holder.deliveries()), (ids.len(), 1));
        assert!(ids.iter().all(|id| sampler.holder.modes(*id) == [Mode::Owner]));
    }
    assert_balanced(&balancer, 60, &[]);
    let outcomes: Vec<_> = balancer.backends().iter().map(|b| b.stats.outcomes()).collect();
    assert_eq!(outcomes, [(1, 0), (1, 0)]);
    assert_eq!(balancer.stats().backends(), 2);
}

#[tokio::test]
async fn a_dead_owner_has_a_deputy_then_a_successor_and_comes_back() {
    // Kept while nobody listens there.
    let port = Port::reserve().unwrap();
    let address = port.addr().to_string();
    let a = Sampler::start_at("sampler-0", &address, Holder::default()).await;
    let b = Sampler::start("sampler-1").await;
    let quick = Options {
        silent_after: Duration::from_millis(1_500),
        eject_after: Duration::from_millis(2_500),
        ..options()
    };
    let me = identity(Role::LoadBalancer, "lb-0", "secret");
    let digest = me.digest.clone();
    let balancer = balancer_as(me, quick, &[&a, &b]);
    until("all connected", || balancer.backends().iter().all(|b| b.is_connected())).await;
    let ids = split(&balancer, &traces(0, 300))[0].clone();
    let (first, second, third) = (ids[0], ids[1], ids[2]);
    let (name, holder) = a.kill().await;

    assert_eq!(send(&balancer, &[first]).await, Reply::Held);
    assert_eq!(b.holder.modes(first), [deputy("sampler-0")]);

    until("ejected", || balancer.view().members().count() == 1).await;
    // The set that it was given has not changed.
    assert_eq!(digest.get(), digest_of(&["sampler-0", "sampler-1"]));
    assert_eq!(send(&balancer, &[second]).await, Reply::Held);
    assert_eq!(b.holder.modes(second), [Mode::Owner]);

    let again = Sampler::start_at(&name, &address, holder).await;
    until("back", || balancer.view().members().count() == 2).await;
    assert_eq!(send(&balancer, &[third]).await, Reply::Held);
    assert_eq!(again.holder.modes(third), [Mode::Owner]);
    assert_eq!(b.holder.modes(third), []);
    assert_balanced(&balancer, 3, &[]);
}

#[tokio::test]
async fn a_balancer_with_the_wrong_secret_delivers_nothing() {
    let (a, b) = two().await;
    let options = Options { timeout: Duration::from_millis(400), ..options() };
    let balancer = balancer(options, &[&a, &b], "wrong");
    let refusal = refusal(send(&balancer, &traces(0, 5)).await);
    assert_eq!(refusal.code, Code::Unavailable);
    assert!(refusal.retry_after.is_some() && refusal.message.contains("not connected"));
    assert_eq!((a.holder.deliveries(), b.holder.deliveries()), (0, 0));
    assert_balanced(&balancer, 0, &[("unavailable", 5)]);
}

#[tokio::test]
async fn after_a_lost_ack_the_part_is_sent_again() {
    let (a, b) = two().await;
    let balancer = connected(options(), &[&a, &b]).await;
    let all = traces(0, 40);
    let [of_a, of_b] = split(&balancer, &all);
    a.holder.is(Mood::LoseAck, 1);
    assert_eq!(send(&balancer, &all).await, Reply::Held);
    assert!(of_a.iter().all(|id| b.holder.modes(*id) == [deputy("sampler-0")]));
    assert!(of_b.iter().all(|id| b.holder.modes(*id) == [Mode::Owner]));
    assert_eq!((a.holder.deliveries(), b.holder.deliveries()), (1, 2));
    assert_balanced(&balancer, 40, &[]);
}

#[tokio::test]
async fn only_the_part_that_was_refused_is_sent_again() {
    let (a, b) = two().await;
    let balancer = connected(options(), &[&a, &b]).await;
    a.holder.is(Mood::Refuse, 3);
    assert_eq!(send(&balancer, &traces(0, 40)).await, Reply::Held);
    assert_eq!((a.holder.deliveries(), b.holder.deliveries()), (4, 1));
    assert_eq!(a.holder.spans() + b.holder.spans(), 40);
}

#[tokio::test]
async fn a_stalled_append_shows_no_ack() {
    let (a, b) = two().await;
    let timeout = Duration::from_millis(2_500);
    let balancer = connected(Options { timeout, ..options() }, &[&a, &b]).await;
    a.holder.is(Mood::Stall, usize::MAX);
    b.holder.is(Mood::Stall, usize::MAX);
    let start = Instant::now();
    let refusal = refusal(send(&balancer, &traces(0, 20)).await);
    assert!(start.elapsed() >= Duration::from_millis(500) && start.elapsed() < timeout * 8);
    assert_eq!((refusal.code, a.holder.spans() + b.holder.spans()), (Code::Unavailable, 0));
    assert_balanced(&balancer, 0, &[("unavailable", 20)]);
    assert_eq!(balancer.stats().unknown_outcome_spans(), 20);
}

#[tokio::test]
async fn spans_that_are_bad_for_good_are_counted_and_the_others_held() {
    let (a, b) = two().await;
    let balancer = connected(options(), &[&a, &b]).await;
    let mut all = traces(0, 10);
    all.push(TraceId([0; 16]));
    let message = "trace_id must be 16 non-zero bytes".to_owned();
    assert_eq!(send(&balancer, &all).await, Reply::Partial { rejected: 1, message });
    a.holder.is(Mood::RejectOne, 1);
    let [of_a, _] = split(&balancer, &traces(10, 300));
    let reply = send(&balancer, &of_a[..4]).await;
    assert_eq!(reply, Reply::Partial { rejected: 1, message: "bad span".to_owned() });
    assert_balanced(&balancer, 13, &[("invalid", 1), ("backend", 1)]);
    let all_bad = send(&balancer, &[TraceId([0; 16])]).await;
    assert!(matches!(all_bad, Reply::Partial { rejected: 1, .. }));
}

#[tokio::test]
async fn malformed_requests_are_refused_for_good() {
    let (a, b) = two().await;
    let balancer = connected(options(), &[&a, &b]).await;
    let reply = balancer.ingest(Bytes::from_static(&[0x0a, 0x05, 1]), Transport::Http).await;
    assert_eq!(refusal(reply).code, Code::InvalidArgument);
    assert_eq!(balancer.stats().malformed_requests(), 1);
    assert_balanced(&balancer, 0, &[]);
}

#[tokio::test]
async fn without_room_requests_are_refused_at_the_door() {
    let (a, b) = two().await;
    let in_flight = ByteBudget::new(1_000);
    let balancer =
        connected(Options { in_flight: in_flight.clone(), ..options() }, &[&a, &b]).await;
    let refusal = refusal(send(&balancer, &traces(0, 100)).await);
    assert_eq!((refusal.code, refusal.retry_after.is_some()), (Code::Unavailable, true));
    assert_balanced(&balancer, 0, &[("memory", 100)]);
    assert_eq!(send(&balancer, &traces(0, 4)).await, Reply::Held);
    until("bytes are given back", || in_flight.used() == 0).await;
}

#[tokio::test]
async fn a_request_that_is_given_up_is_accounted_for() {
    let (a, b) = two().await;
    let balancer = connected(options(), &[&a, &b]).await;
    a.holder.is(Mood::Stall, usize::MAX);
    let all = traces(0, 30);
    let [of_a, of_b] = split(&balancer, &all);
    let given_up = async {
        until("b has its part", || b.holder.spans() == of_b.len()).await;
        let held = || balancer.backends().iter().map(|b| b.stats.outcomes().0).sum::<u64>() == 1;
        until("b has answered", held).await;
        assert_eq!(balancer.stats().ledger().in_flight, 30);
    };
    tokio::select! {
        biased;
        _ = send(&balancer, &all) => panic!("nobody can have held this"),
        () = given_up => {}
    }
    assert_balanced(&balancer, of_b.len() as u64, &[("cancelled", of_a.len() as u64)]);
}

/// A resolver whose set the test changes.
struct Changing(tokio::sync::watch::Sender<Arc<[Member]>>);

impl Resolver for Changing {
    fn label(&self) -> &'static str {
        "changing"
    }

    fn watch(&self) -> tokio::sync::watch::Receiver<Arc<[Member]>> {
        self.0.subscribe()
    }
}

#[tokio::test]
async fn the_resolvers_changes_are_followed_but_not_to_nobody() {
    let (a, b) = two().await;
    let resolver = Changing(tokio::sync::watch::Sender::new([a.member(), b.member()].into()));
    let clock = Arc::new(SystemClock::new());
    let me = identity(Role::LoadBalancer, "lb-0", "secret");
    let digest = me.digest.clone();
    let backends = Backends::plain_peers(me, clock.clone());
    let balancer = LoadBalancer::start(options(), &resolver, backends, clock);
    let ids = split(&balancer, &traces(0, 300))[0].clone();

    resolver.0.send_replace([b.member()].into());
    until("a left", || balancer.view().members().count() == 1).await;
    assert_eq!(digest.get(), digest_of(&["sampler-1"]));
    assert_eq!(send(&balancer, &ids[..1]).await, Reply::Held);
    assert_eq!(b.holder.modes(ids[0]), [Mode::Owner]);

    let seen = balancer.stats().resolutions();
    resolver.0.send_replace([].into());
    until("the empty set was seen", || balancer.stats().resolutions() > seen).await;
    assert_eq!(send(&balancer, &ids[1..2]).await, Reply::Held);

    // The same name at another address: another process.
    let moved = Sampler::start("sampler-1").await;
    resolver.0.send_replace([moved.member()].into());
    until("moved", || balancer.backends()[0].member == moved.member()).await;
    assert_eq!(send(&balancer, &ids[2..3]).await, Reply::Held);
    assert_eq!(moved.holder.modes(ids[2]), [Mode::Owner]);
    assert_eq!(b.holder.spans(), 2);
}
