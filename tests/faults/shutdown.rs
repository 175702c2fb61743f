//! SIGTERM under load: whoever stops in order loses nothing, or says what.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use tailgate_testkit::checker::check;
use tailgate_testkit::wait::eventually;

use crate::config::Setup;
use crate::fleet::Fleet;
use crate::node::PATIENCE;
use crate::run::{Owners, Run, all, config, seconds};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_balancer_stops_and_nothing_is_lost() {
    let setup = Setup { balancers: 2, ..Setup::default() };
    let mut fleet = Fleet::start(&setup).await;
    let run = Run::start(seconds(5.0), config(fleet.targets()));
    run.more_acked(5_000).await;
    let (code, _) = fleet.balancers.remove(0).stop().await.unwrap();
    assert_eq!(code, 0);
    run.more_acked(3_000).await;
    let ended = run.end().await;
    ended.all_acked();
    fleet.settled().await;
    let verdict = ended.judge_fleet(&fleet, all);
    verdict.clean().unwrap();
    let end = fleet.end(&[]).await;
    end.exported_is_at_sink(&verdict);
}

/// What the sampler held goes out, and its slots' new spans stay with their deputies until it counts as removed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sampler_stops_and_its_deputies_take_over() {
    let setup = Setup { samplers: 3, eject_after: "20s", ..Setup::default() };
    let mut fleet = Fleet::start(&setup).await;
    let owners = Owners::of(&fleet);
    let run = Run::start(seconds(4.5), config(fleet.targets()));
    run.more_acked(6_000).await;
    let mut victim = fleet.samplers.remove(1);
    let held = victim.ledger().await.unwrap().total("in_flight");
    let stopped = Instant::now();
    let (code, last) = victim.stop().await.unwrap();
    let took = stopped.elapsed();
    println!("held at SIGTERM: {held}; it took {took:?}");
    assert_eq!((code, last.total("lost")), (0, 0));
    assert!(held > 0 && took < Duration::from_secs(10), "{took:?}");
    let ended = run.end().await;
    ended.all_acked();

    // All other traces are out before the victim counts as removed.
    let mut with_deputies = 0;
    eventually("the others' traces", PATIENCE, async || {
        let verdict = check(&ended.ledger, &[fleet.sink.received()], all).unwrap();
        with_deputies = verdict.lost.len();
        verdict.lost.iter().all(|key| owners.owner(key) == victim.name)
    })
    .await
    .unwrap();
    let mut in_flight = 0;
    for node in &fleet.samplers {
        in_flight += node.ledger().await.unwrap().total("in_flight");
    }
    println!("{with_deputies} spans wait with deputies, {in_flight} by their own count");
    assert!(
        stopped.elapsed() < Duration::from_secs(20),
        "too slow to see: {:?}",
        stopped.elapsed()
    );
    assert!(with_deputies > 0);
    assert_eq!(in_flight, with_deputies as u64);

    fleet.settled().await;
    println!("all out {:?} after SIGTERM", stopped.elapsed());
    assert!(stopped.elapsed() > Duration::from_secs(19), "deputies did not wait for their owner");
    let verdict = ended.judge_fleet(&fleet, all);
    verdict.clean().unwrap();
    let end = fleet.end(&[last]).await;
    end.exported_is_at_sink(&verdict);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sampler_that_cannot_export_says_exactly_what_it_lost() {
    let setup = Setup { shutdown_timeout: "3s", ..Setup::default() };
    let mut fleet = Fleet::start(&setup).await;
    let owners = Owners::of(&fleet);
    let first = Run::start(seconds(1.5), config(fleet.targets())).end().await;
    fleet.settled().await;
    let victim = 0;
    fleet.outward[victim].refuse(true);
    fleet.outward[victim].reset();
    // Some of it waits in the exporter's queue by the end, some for a decision.
    let second = Run::start(seconds(3.0), config(fleet.targets())).end().await;
    first.all_acked();
    second.all_acked();
    let mut victim = fleet.samplers.remove(victim);
    let stopped = Instant::now();
    let (code, last) = victim.stop().await.unwrap();
    let (lost, took) = (last.total("lost"), stopped.elapsed());
    println!("lost {:?}; it took {took:?}", last.reasons("lost"));
    assert_eq!(code, 75);
    let told = format!("{lost} acknowledged spans were lost at shutdown");
    assert!(victim.process.stderr().contains(&told), "{}", victim.process.stderr());
    assert!(took < Duration::from_secs(10), "{took:?}");

    fleet.settled().await;
    let received = [fleet.sink.received()];
    let (before, after) = (first.judge(&received, all), second.judge(&received, all));
    // Each load's spans are strangers to the other's record.
    before.except(&["F"]).unwrap();
    let strangers: HashSet<_> = after.foreign.iter().collect();
    assert_eq!(strangers.len() as u64, before.received);
    after.except(&["F", "L", "S"]).unwrap();
    assert_eq!(after.lost.len() as u64, lost, "what it says, and what the sink misses");
    assert!(lost > 0 && after.lost.iter().all(|key| owners.owner(key) == victim.name));
    // No trace is torn: its owner lost all of it.
    assert!(after.split.is_empty());
    fleet.end(&[last]).await;
}
