//! Samplers that stop (SIGSTOP) and go on: nobody can tell them from slow ones.

use std::time::Duration;

use tailgate_testkit::load::Config;
use tailgate_testkit::traffic::Shape;

use crate::config::Setup;
use crate::fleet::Fleet;
use crate::run::{Owners, Run, all, config, errors_or_chance, pass, seconds};

/// Spans of the requests that may be under way at once.
const UNDER_WAY: usize = 16 * 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sampler_is_silent_for_a_moment_and_nothing_is_lost() {
    let setup = Setup { samplers: 3, ..Setup::default() };
    let fleet = Fleet::start(&setup).await;
    let run = Run::start(seconds(6.0), config(fleet.targets()));
    run.more_acked(5_000).await;
    fleet.samplers[0].process.pause().unwrap();
    pass(Duration::from_secs(2)).await;
    fleet.samplers[0].process.resume().unwrap();
    let ended = run.end().await;
    ended.all_acked();
    fleet.settled().await;
    let verdict = ended.judge_fleet(&fleet, all);
    verdict.clean().unwrap();
    let end = fleet.end(&[]).await;
    end.exported_is_at_sink(&verdict);
}

/// Long enough for deputies to hold for it, not for it to count as removed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sampler_is_silent_for_longer_and_gets_back_what_came_for_it() {
    let setup = Setup { samplers: 3, ..Setup::default() };
    let fleet = Fleet::start(&setup).await;
    let run = Run::start(seconds(6.0), config(fleet.targets()));
    run.more_acked(5_000).await;
    fleet.samplers[0].process.pause().unwrap();
    run.more_acked(4_000).await;
    fleet.samplers[0].process.resume().unwrap();
    let ended = run.end().await;
    ended.all_acked();
    fleet.settled().await;
    let verdict = ended.judge_fleet(&fleet, all);
    verdict.clean().unwrap();
    let end = fleet.end(&[]).await;
    end.exported_is_at_sink(&verdict);
    // An offer that found it silent is made again, and known by its spans.
    let (given, got) = (end.total("handed_off"), end.total("received_handoff"));
    println!("handed back {given}, received back {got}");
    assert!(given > 0 && (given..=given + end.total("deduplicated")).contains(&got));
}

/// Its deputies own its slots, and then it is back with what it held: nothing is lost. Spans that reached it but were
/// not answered when it stopped may come out twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sampler_is_removed_for_its_silence_and_comes_back() {
    let setup = Setup { samplers: 3, eject_after: "3s", ..Setup::default() };
    let fleet = Fleet::start(&setup).await;
    let run = Run::start(seconds(9.0), config(fleet.targets()));
    run.more_acked(5_000).await;
    fleet.samplers[0].process.pause().unwrap();
    pass(Duration::from_secs(6)).await;
    fleet.samplers[0].process.resume().unwrap();
    let ended = run.end().await;
    ended.all_acked();
    fleet.settled().await;
    let verdict = ended.judge_fleet(&fleet, all);
    verdict.except(&["D"]).unwrap();
    assert!(verdict.duplicated.len() <= UNDER_WAY, "{verdict}");
    let end = fleet.end(&[]).await;
    end.exported_is_at_sink(&verdict);
}

/// When it goes on, decisions are overdue: they wait for what the deputies give back. Nothing waits long enough on its
/// way to miss its decision: not for a free worker, and on the way to the deputy for two seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_sampler_decides_on_what_its_deputies_held_too() {
    let setup = Setup { samplers: 3, policies: true, decision_wait: "6s", ..Setup::default() };
    let fleet = Fleet::start(&setup).await;
    let many = Config { workers: 200, ..config(fleet.targets()) };
    let run = Run::start(Shape { errors_per_mille: 200, ..seconds(7.0) }, many);
    run.more_acked(3_000).await;
    fleet.samplers[0].process.pause().unwrap();
    pass(Duration::from_secs(7)).await;
    fleet.samplers[0].process.resume().unwrap();
    let ended = run.end().await;
    ended.all_acked();
    fleet.settled().await;
    let verdict = ended.judge_fleet(&fleet, errors_or_chance);
    let owners = Owners::of(&fleet);
    let of_others = verdict.lost.iter().filter(|key| owners.owner(key) != "sampler-0").count();
    println!("{of_others} of the lost spans are of other samplers");
    verdict.clean().unwrap();
    let end = fleet.end(&[]).await;
    println!("handed back {}", end.total("handed_off"));
    assert!(end.total("handed_off") > 0);
    end.exported_is_at_sink(&verdict);
}

/// It has heard nobody for as long as it stood still, which says nothing about them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_balancer_that_stood_still_does_not_take_the_samplers_for_silent() {
    let setup = Setup {
        samplers: 3,
        policies: true,
        decision_wait: "7s",
        eject_after: "3s",
        ..Setup::default()
    };
    let fleet = Fleet::start(&setup).await;
    let many = Config { workers: 300, ..config(fleet.targets()) };
    let run = Run::start(Shape { errors_per_mille: 300, ..seconds(7.0) }, many);
    run.more_acked(3_000).await;
    fleet.balancers[0].process.pause().unwrap();
    pass(Duration::from_millis(4_000)).await;
    fleet.balancers[0].process.resume().unwrap();
    let ended = run.end().await;
    ended.all_acked();
    fleet.settled().await;
    let verdict = ended.judge_fleet(&fleet, errors_or_chance);
    verdict.clean().unwrap();
    let said = fleet.balancers[0].process.stdout() + &fleet.balancers[0].process.stderr();
    assert!(!said.contains("Ejected"), "{said}");
    let end = fleet.end(&[]).await;
    end.exported_is_at_sink(&verdict);
}
