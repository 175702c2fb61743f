//! More load than memory.

use std::time::Duration;

use tailgate_testkit::balance::NodeLedger;
use tailgate_testkit::checker::Keep;
use tailgate_testkit::load::Config;
use tailgate_testkit::sink::Behaviour;
use tailgate_testkit::traffic::{Shape, Trace};
use tailgate_testkit::wait::eventually;

use crate::config::Setup;
use crate::fleet::Fleet;
use crate::node::PATIENCE;
use crate::run::{Run, all, config, seconds};

const EARLY: &str = "otelcol_processor_tail_sampling_sampling_trace_dropped_too_early";
const LIMIT_MIB: u32 = 64;
/// What a process needs that holds nothing, and the copies of what is under way.
const BESIDES: u64 = 40 << 20;

/// The backend takes nothing, so everything that is acknowledged stays. What does not fit is refused, until the backend
/// is back; then all of it comes out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_is_refused_and_what_was_acknowledged_is_not_lost() {
    let setup = Setup { memory_mib: LIMIT_MIB, decision_wait: "8s", ..Setup::default() };
    let fleet = Fleet::start(&setup).await;
    fleet.sink.behave(Behaviour::Refuse(tonic::Code::Unavailable, None));
    let shape = Shape { traces: 6_000, span_bytes: 2_000, lag_blocks: 4, ..seconds(1.0) };
    // Longer than it takes until there is room for the last of it.
    let retry_for = Duration::from_secs(100);
    let run = Run::start(shape, Config { rate: None, retry_for, ..config(fleet.targets()) });
    for sampler in 0..2 {
        let refuses = |ledger: &_| refused(ledger) > 0;
        let ledger = fleet.sampler_until(sampler, "refusals", refuses).await;
        let rss = fleet.samplers[sampler].process.usage().unwrap().rss >> 20;
        println!("sampler-{sampler} is full: {rss} MiB resident,{ledger}");
    }
    let told = async || run.failed_attempts() > 0;
    eventually("a client that is told", PATIENCE, told).await.unwrap();
    fleet.sink.behave(Behaviour::Accept);
    let ended = run.end().await;
    ended.all_acked();
    let mut early = 0.0;
    for node in &fleet.samplers {
        let usage = node.process.usage().unwrap();
        println!("{}: {} MiB at most", node.name, usage.peak_rss >> 20);
        assert!(usage.peak_rss < (u64::from(LIMIT_MIB) << 20) + BESIDES, "{usage:?}");
        early += node.scrape().await.unwrap().sum(EARLY, &[]).unwrap();
    }
    println!("{early} traces decided early");
    assert!(early > 0.0);
    fleet.settled().await;
    let verdict = ended.judge_fleet(&fleet, all);
    verdict.clean().unwrap();
    let end = fleet.end(&[]).await;
    assert_eq!(end.total("lost"), 0);
    end.exported_is_at_sink(&verdict);
}

/// The backend takes nothing and queues may give up what they hold: what comes is acknowledged all the same, and of
/// what is kept the traces go that only chance keeps.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_worth_least_is_given_up_first_and_counted() {
    let (policies, chance, block_on_overflow) = (true, 100, false);
    // Not so fast that traces are decided early: their late spans would be judged by themselves.
    let (memory_mib, decision_wait, rate) = (2 * LIMIT_MIB, "2s", Some(4_000.0));
    let setup = Setup {
        memory_mib,
        decision_wait,
        policies,
        chance,
        block_on_overflow,
        ..Setup::default()
    };
    let fleet = Fleet::start(&setup).await;
    fleet.sink.behave(Behaviour::Refuse(tonic::Code::Unavailable, None));
    let (traces, span_bytes, errors_per_mille) = (6_000, 4_000, 100);
    let shape = Shape { traces, span_bytes, errors_per_mille, lag_blocks: 0, ..seconds(1.0) };
    let run = Run::start(shape, Config { rate, ..config(fleet.targets()) });
    let ended = run.end().await;
    ended.all_acked();
    for sampler in 0..2 {
        let gives_up = |ledger: &NodeLedger| ledger.of("lost", "queue_full") > 0;
        fleet.sampler_until(sampler, "traces given up", gives_up).await;
        let usage = fleet.samplers[sampler].process.usage().unwrap();
        assert!(usage.peak_rss < (u64::from(memory_mib) << 20) + BESIDES, "{usage:?}");
    }
    fleet.sink.behave(Behaviour::Accept);
    fleet.settled().await;
    // All are kept, errors and by chance. Whole traces are given up: of those that are up to chance.
    let keep = |trace: &Trace| if trace.error.is_some() { Keep::Yes } else { Keep::Either };
    let verdict = ended.judge_fleet(&fleet, keep);
    verdict.clean().unwrap();
    let end = fleet.end(&[]).await;
    let lost = end.total("lost");
    println!("given up: {lost}, out: {}", verdict.received);
    assert_eq!(
        lost,
        verdict.acked - verdict.received,
        "what the ledgers call lost, the sink misses"
    );
    assert_eq!(lost, end.cancelled().of("lost", "queue_full"));
    end.exported_is_at_sink(&verdict);
}

fn refused(ledger: &NodeLedger) -> u64 {
    ledger.of("rejected", "memory") + ledger.of("rejected", "export_queue")
}
