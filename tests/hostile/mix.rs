//! All attacks at once, on both nodes, with a good client beside them.

use crate::attacks::payloads::{self, Bomb};
use crate::attacks::{bombs, floods, shapes, slow};
use crate::rig::{CONNECTIONS, Rig, Target, cap};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tailgate_testkit::checker::{Keep, check};
use tailgate_testkit::load::{Config, Load, Report};
use tailgate_testkit::traffic::{Shape, Traffic};
use tokio::task::JoinSet;

/// Spans a second of the good client.
const RATE: f64 = 1_500.0;
const SECONDS: &str = "TAILGATE_HOSTILE_SECONDS";
const MOMENT: Duration = Duration::from_secs(2);

/// Attackers, each a loop of its own until the time is over.
struct Attackers {
    tasks: JoinSet<()>,
    until: Instant,
    rounds: Arc<AtomicU64>,
}

impl Attackers {
    /// Attacks again and again; the attack checks its answers.
    fn again<F: Future<Output = ()> + Send>(&mut self, attack: impl Fn(u64) -> F + Send + 'static) {
        let (until, rounds) = (self.until, self.rounds.clone());
        self.tasks.spawn(async move {
            let mut round = 0;
            while Instant::now() < until {
                attack(round).await;
                round += 1;
                rounds.fetch_add(1, Relaxed);
            }
        });
    }

    fn large_bodies(&mut self, target: Target, arsenal: &Arc<Vec<Bomb>>) {
        let bombs = arsenal.clone();
        self.again(move |round| {
            let bombs = bombs.clone();
            async move { bombs::bomb(target, &bombs[round as usize % bombs.len()]).await }
        });
        self.again(move |_| bombs::odd_encodings(target));
        self.again(move |_| bombs::giants(target));
        self.again(move |_| shapes::tiny_elements(target));
        self.again(move |_| shapes::deep_values(target, 4_000_000));
    }

    fn odd_spans(&mut self, target: Target) {
        self.again(move |_| shapes::strings(target));
        self.again(move |_| shapes::times_and_ids(target));
        let chosen = payloads::one_slot(100);
        self.again(move |round| {
            let chosen = chosen.clone();
            async move { shapes::of_traces(target, "one slot", &chosen, 1 + round * 100).await }
        });
        let monster = vec![[9; 16]; 2_000];
        self.again(move |round| {
            let monster = monster.clone();
            async move { shapes::of_traces(target, "a monster", &monster, 1 + round * 2_000).await }
        });
        let copies = vec![[8; 16]; 1_000];
        self.again(move |_| {
            let copies = copies.clone();
            async move { shapes::of_traces(target, "copies", &copies, 1).await }
        });
        self.again(move |round| async move {
            let body = payloads::services(round * 500, 500);
            let (status, _) = crate::raw::export(&target.grpc_url(), None, &body).await;
            crate::attacks::grpc_says("services", &status, tonic::Code::Ok, "");
        });
    }

    fn odd_connections(&mut self, target: Target) {
        self.again(move |_| slow::heads(target, 100));
        self.again(move |_| slow::bodies(target, 100));
        self.again(move |_| slow::silent(target, 40));
        self.again(move |_| slow::deaf(target, 10, MOMENT));
        for addr in [target.grpc, target.http] {
            self.again(move |_| async move {
                let _ = floods::rapid_reset(addr).await;
            });
            self.again(move |_| async move {
                let _ = floods::continuation(addr).await;
            });
            self.again(move |_| async move {
                let _ = floods::control(addr, MOMENT).await;
            });
            self.again(move |_| async move {
                let _ = floods::tiny_data(addr, MOMENT).await;
            });
            let message = payloads::services(7, 400);
            self.again(move |_| {
                let message = message.clone();
                async move { floods::no_window(addr, &message, MOMENT).await }
            });
        }
        self.again(move |_| floods::large_headers(target.grpc));
    }
}

fn seconds() -> u64 {
    std::env::var(SECONDS).ok().and_then(|s| s.parse().ok()).unwrap_or(45)
}

fn good_load(rig: &Rig, dir: &std::path::Path) -> Load {
    let shape = Shape { traces: 1 << 24, ..Shape::default() };
    let config = Config {
        rate: Some(RATE),
        retry_for: Duration::from_secs(60),
        ledger: Some(dir.join("ledger")),
        ..Config::new(rig.front.grpc())
    };
    Load::start(Traffic::new(shape).unwrap(), config).unwrap()
}

/// Every good span that was acked came out, and none of the attackers'.
async fn judge(rig: &Rig, report: &Report) {
    for (name, node) in rig.nodes() {
        let ledger = node.settled().await;
        println!("{name}: {ledger}");
        assert_eq!(ledger.total("lost"), 0);
    }
    let verdict = check(&report.ledger, &[rig.sink.received()], |_| Keep::Yes).unwrap();
    println!("{verdict}");
    verdict.clean().unwrap();
    assert_eq!(verdict.received, report.acked_spans);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_it_with_a_good_client_beside() {
    let rig = Rig::start().await;
    let (dir, arsenal) = (tempfile::tempdir().unwrap(), Arc::new(payloads::bombs()));
    let load = good_load(&rig, dir.path());
    let until = Instant::now() + Duration::from_secs(seconds());
    let mut attackers = Attackers { tasks: JoinSet::new(), until, rounds: Arc::default() };
    for (_, node) in rig.nodes() {
        let target = Target::of(node);
        attackers.large_bodies(target, &arsenal);
        attackers.odd_spans(target);
        attackers.odd_connections(target);
    }
    let (tls, internal) = (rig.tls.addr(), rig.sampler.ports.internal.addr());
    attackers.again(move |_| slow::no_tls(tls));
    attackers.again(move |_| slow::no_peer(internal));
    while let Some(ended) = attackers.tasks.join_next().await {
        ended.unwrap();
    }
    load.stop();
    let report = load.finish().await.unwrap();
    println!(
        "{} s: {} rounds of attacks, at most {CONNECTIONS} connections to a node; good client: {} \
         spans acked, {} attempts refused, p50 {:?}, p99 {:?}",
        seconds(),
        attackers.rounds.load(Relaxed),
        report.acked_spans,
        report.failed_attempts,
        report.percentile(50.0),
        report.percentile(99.0),
    );
    let failed = report.ledger.records.iter().filter(|r| !is_acked(r)).count();
    assert_eq!(failed, 0, "a good request failed");
    for (name, node) in rig.nodes() {
        let (most, cap) = (node.process.usage().unwrap().peak_rss, cap(name == "sampler"));
        println!("{name}: {} MiB resident at most, caps {} MiB", most >> 20, cap >> 20);
        assert!(most < cap, "{name}");
    }
    judge(&rig, &report).await;
    rig.end().await;
}

fn is_acked(record: &tailgate_testkit::ledger::Record) -> bool {
    record.outcome == tailgate_testkit::ledger::Outcome::Acked
}
