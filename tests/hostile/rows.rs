//! Single threats, one at a time, with the figure that docs/THREATS.md gives for each.

use crate::attacks::{bombs, floods, payloads, shapes, slow};
use crate::fleet::Node;
use crate::rig::{Rig, Target, growth, rss};
use crate::{SOON, raw};
use std::time::{Duration, Instant};
use tailgate_testkit::load::{self, Config};
use tailgate_testkit::traffic::{Shape, Traffic};
use tailgate_testkit::wait::eventually;
use tonic::Code;

const MIB: u64 = 1 << 20;

/// Both nodes, warm: what they have once is not what an attack costs.
async fn warm() -> Rig {
    let rig = Rig::start().await;
    let traffic = Traffic::new(Shape { traces: 500, ..Shape::default() }).unwrap();
    load::run(traffic, Config::new(rig.front.grpc())).await.unwrap();
    rig
}

/// The slowest of a few good requests.
async fn slowest(node: &Node) -> Duration {
    let shape = Shape { traces: 200, seed: 2, ..Shape::default() };
    let config = Config { workers: 1, ..Config::new(node.grpc()) };
    let report = load::run(Traffic::new(shape).unwrap(), config).await.unwrap();
    assert_eq!(report.failed_attempts, 0);
    report.percentile(99.0)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bomb_costs_its_cap_at_most() {
    let rig = warm().await;
    for bomb in payloads::bombs() {
        for (name, node) in rig.nodes() {
            let before = rss(node);
            let grew = growth(node, before, bombs::bomb(Target::of(node), &bomb)).await;
            println!("{} to the {name}: {} KiB more", bomb.http, grew >> 10);
            // 1.25 of 20 MiB, the body itself, and the decoder of lz4.
            assert!(grew < 25 * MIB + bomb.body.len() as u64 + 10 * MIB, "{} {grew}", bomb.http);
        }
    }
    for (_, node) in rig.nodes() {
        bombs::odd_encodings(Target::of(node)).await;
        bombs::giants(Target::of(node)).await;
    }
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_shape_costs_more_than_its_bytes() {
    let rig = warm().await;
    for (name, node) in rig.nodes() {
        let (target, before) = (Target::of(node), rss(node));
        let tiny = growth(node, before, shapes::tiny_elements(target)).await;
        let json_bytes = 19_900_000;
        let deep = growth(node, rss(node), shapes::deep_values(target, json_bytes)).await;
        println!("{name}: tiny elements {} KiB more, deep values {} KiB", tiny >> 10, deep >> 10);
        assert!(tiny < 40 * MIB && deep < 2 * json_bytes as u64, "{tiny} {deep}");
        shapes::strings(target).await;
        shapes::times_and_ids(target).await;
    }
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_are_ended_and_headers_bounded() {
    let rig = warm().await;
    for (_, node) in rig.nodes() {
        for addr in [node.ports.grpc.addr(), node.ports.http.addr()] {
            let (reset, endless) =
                (floods::rapid_reset(addr).await, floods::continuation(addr).await);
            println!("rapid reset: {reset:?}; CONTINUATION: {endless:?}");
            assert!(floods::is_calmed(reset) && floods::is_calmed(endless));
        }
        floods::large_headers(node.ports.grpc.addr()).await;
    }
    rig.end().await;
}

/// Floods that a server has to bear: it stops reading, and others hardly see it.
#[tokio::test(flavor = "multi_thread")]
async fn floods_are_borne_beside_a_good_client() {
    let rig = warm().await;
    let idle = slowest(&rig.front).await;
    let (node, addr) = (&rig.front, rig.front.ports.grpc.addr());
    let before = rss(node);
    let message = payloads::services(0, 400);
    let second = Duration::from_secs(1);
    let good = async {
        let busy = slowest(node).await;
        println!("good client's p99: {idle:?} idle, {busy:?} beside floods");
    };
    let attack = async {
        let flood = async {
            tokio::join!(
                floods::control(addr, second),
                floods::tiny_data(addr, second),
                floods::no_window(addr, &message, 2 * second),
            )
        };
        let ((pings, data, ()), ()) = tokio::join!(flood, good);
        println!(
            "{pings} times 1,000 SETTINGS and PINGs, {data} times 1,000 tiny DATA frames taken"
        );
    };
    let grew = growth(node, before, attack).await;
    println!("{} KiB more", grew >> 10);
    assert!(grew < 48 * MIB, "{grew}");
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_are_closed_and_cost_little() {
    const SOCKETS: usize = 1_500;
    let rig = warm().await;
    let (target, before) = (Target::of(&rig.front), rss(&rig.front));
    let idle = slowest(&rig.front).await;
    let attack = async {
        let good = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            slowest(&rig.front).await
        };
        let ((), (), (), (), (), busy) = tokio::join!(
            slow::heads(target, SOCKETS / 2),
            slow::bodies(target, SOCKETS / 2),
            slow::silent(target, 40),
            slow::no_tls(rig.tls.addr()),
            slow::no_peer(rig.sampler.ports.internal.addr()),
            good,
        );
        println!("good client's p99: {idle:?} idle, {busy:?} beside {SOCKETS} slow sockets");
    };
    let grew = growth(&rig.front, before, attack).await;
    println!("{SOCKETS} slow sockets: {} KiB more, {} each", grew >> 10, grew / SOCKETS as u64);
    assert!(grew < 100 * MIB, "{grew}");
    rig.end().await;
}

/// Labels come from the configuration alone, so names from data make no series.
#[tokio::test(flavor = "multi_thread")]
async fn names_from_data_make_no_series() {
    const EACH: u64 = 20_000;
    const SERVICES: u64 = 100_000;
    let rig = warm().await;
    let scrape = async |node: &Node| {
        let url = format!("http://{}/metrics", node.ports.metrics.addr());
        tailgate_testkit::http::get(&url).await.unwrap().1
    };
    let lines = |text: &str| text.lines().count();
    let before = [scrape(&rig.front).await, scrape(&rig.sampler).await];
    for first in 0..SERVICES / EACH {
        let body = payloads::services(first * EACH, EACH);
        let sent = eventually("taken", SOON, async || {
            let (status, _) = raw::export(&rig.front.grpc(), None, &body).await;
            assert!(matches!(status.code(), Code::Ok | Code::Unavailable), "{status}");
            status.code() == Code::Ok
        });
        sent.await.unwrap();
    }
    for ((name, node), before) in rig.nodes().into_iter().zip(before) {
        let after = scrape(node).await;
        println!("{name}: /metrics has {} bytes, {} lines", after.len(), lines(&after));
        assert!(lines(&after) <= lines(&before) + 10 && after.len() < 2_000_000);
    }
    rig.end().await;
}

/// A trace without end, and traces that are all in one slot: others are whole beside them.
#[tokio::test(flavor = "multi_thread")]
async fn monsters_and_chosen_ids_leave_other_traces_whole() {
    let rig = warm().await;
    let target = Target::of(&rig.front);
    let begun = Instant::now();
    let shape = Shape { traces: 2_000, seed: 3, ..Shape::default() };
    let good = async {
        let config = Config { workers: 2, ..Config::new(rig.front.grpc()) };
        load::run(Traffic::new(shape).unwrap(), config).await.unwrap()
    };
    let monster = async {
        for round in 0..100 {
            let spans = vec![[9; 16]; 10_000];
            shapes::of_traces(target, "a monster", &spans, 1 + round * 10_000).await;
        }
    };
    let chosen = async {
        let ids = payloads::one_slot(200);
        for round in 0..50 {
            shapes::of_traces(target, "one slot", &ids, 1 + round * 200).await;
        }
    };
    let (report, (), ()) = tokio::join!(good, monster, chosen);
    println!("1,000,000 spans of one trace and 10,000 of one slot in {:?}", begun.elapsed());
    let acked = |r: &load::Report| r.acked_spans == r.ledger.shape.spans();
    assert!(acked(&report) && report.failed_attempts == 0);
    rig.sampler.settled().await;
    let received = rig.sink.received();
    let keep = |_: &_| tailgate_testkit::checker::Keep::Yes;
    let verdict = tailgate_testkit::checker::check(&report.ledger, &[received], keep).unwrap();
    verdict.except(&["F"]).unwrap();
    rig.end().await;
}
