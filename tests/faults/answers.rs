//! Answers that do not arrive.

use std::time::Duration;

use tailgate_testkit::ledger::Outcome;
use tailgate_testkit::load::Config;
use tailgate_testkit::proxy::{Direction, Fault, Proxy};
use tailgate_testkit::wait::eventually;

use crate::config::Setup;
use crate::fleet::Fleet;
use crate::node::PATIENCE;
use crate::run::{Run, all, config, pass, seconds};

/// The samplers hold everything, but cannot say so: then it is not acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_sampler_says_it_holds_is_not_acknowledged() {
    let fleet = Fleet::start(&Setup::default()).await;
    let patient = Config { retry_for: Duration::from_secs(60), ..config(fleet.targets()) };
    let run = Run::start(seconds(4.0), patient);
    run.more_acked(4_000).await;
    let silence = |fault| fleet.inward.iter().for_each(|proxy| proxy.set(Direction::Down, fault));
    silence(Fault::Blackhole);
    // What had been answered before may still be on its way to the client.
    let mut acked = u64::MAX;
    let quiet = async || {
        pass(Duration::from_secs(1)).await;
        run.acked() == std::mem::replace(&mut acked, run.acked())
    };
    eventually("no more answers", PATIENCE, quiet).await.unwrap();
    let once = Config { retry_for: Duration::ZERO, rate: None, ..config(fleet.targets()) };
    let doubted = Run::start(seconds(0.25), once).end().await;
    let unavailable = |outcome: &Outcome| match outcome {
        Outcome::Rejected(reason) => reason.starts_with("Unavailable"),
        _ => false,
    };
    let refused = doubted.ledger.spans(unavailable).unwrap();
    assert_eq!(refused, doubted.ledger.shape.spans(), "{:?}", doubted.failures());
    println!("{refused} spans refused, and {} attempts of the others", run.failed_attempts());
    assert_eq!(run.acked(), acked, "an ack out of nothing");
    silence(Fault::None);
    let ended = run.end().await;
    ended.all_acked();
    fleet.settled().await;
    let verdict = ended.judge_fleet(&fleet, all);
    // What was held and refused comes out, too; once.
    let of_doubted = doubted.judge_fleet(&fleet, all);
    assert_eq!(verdict.foreign.len() as u64, of_doubted.received);
    verdict.except(&["F"]).unwrap();
    of_doubted.except(&["F"]).unwrap();
    let end = fleet.end(&[]).await;
    println!("deduplicated: {}", end.total("deduplicated"));
    assert!(end.total("deduplicated") > 0, "the resends were known");
    assert_eq!(end.total("exported"), verdict.received + of_doubted.received);
}

/// Answers are lost between the clients and the load balancer, and between it and each sampler in turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_answers_make_no_duplicates() {
    let fleet = Fleet::start(&Setup { samplers: 3, ..Setup::default() }).await;
    let front = Proxy::start(fleet.balancers[0].ports.otlp.addr()).await.unwrap();
    let run = Run::start(seconds(6.0), config(vec![format!("http://{}", front.addr())]));
    run.more_acked(2_000).await;
    for proxy in [&front, &fleet.inward[0], &front, &fleet.inward[1], &front, &fleet.inward[2]] {
        proxy.set(Direction::Down, Fault::Blackhole);
        pass(Duration::from_millis(300)).await;
        proxy.set(Direction::Down, Fault::None);
        run.more_acked(500).await;
    }
    let ended = run.end().await;
    ended.all_acked();
    fleet.settled().await;
    let verdict = ended.judge_fleet(&fleet, all);
    verdict.clean().unwrap();
    let end = fleet.end(&[]).await;
    println!("deduplicated: {}", end.total("deduplicated"));
    assert!(end.total("deduplicated") > 0, "no answer was lost");
    end.exported_is_at_sink(&verdict);
}
