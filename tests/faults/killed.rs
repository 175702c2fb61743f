//! kill -9 under load.

use tailgate_testkit::SpanKey;
use tailgate_testkit::balance::NodeLedger;
use tailgate_testkit::checker::Verdict;

use crate::config::Setup;
use crate::fleet::Fleet;
use crate::node::{Node, PATIENCE};
use crate::run::{Ended, Owners, Run, all, config, seconds};

/// Spans of the requests that may be under way at once.
const UNDER_WAY: u64 = 16 * 60;

/// What is known about a sampler when it is killed.
struct Death {
    victim: String,
    /// Just before.
    ledger: NodeLedger,
    /// In flight there, and acked by anybody since that was read.
    held_at_most: u64,
    /// Requests from this number on were sent after it was dead.
    begun: u64,
}

// === impl Death ===

impl Death {
    async fn of(node: &mut Node, run: &Run) -> Self {
        let acked = run.acked();
        let ledger = node.ledger().await.unwrap();
        let held = ledger.total("in_flight");
        node.process.kill().unwrap();
        node.process.wait_exit(PATIENCE).await.unwrap();
        let since = run.acked() - acked + UNDER_WAY;
        let (victim, begun) = (node.name.clone(), run.begun());
        println!("{victim} killed with {held} spans, at most {since} came since");
        assert!(held > 0);
        Death { victim, ledger, held_at_most: held + since, begun }
    }

    /// Only what the victim may have held is missing.
    fn explains(&self, ended: &Ended, verdict: &Verdict, owners: &Owners) {
        let lost = verdict.lost.len() as u64;
        println!("lost {lost} of at most {}", self.held_at_most);
        assert!((1..=self.held_at_most).contains(&lost), "lost {lost}");
        let of_others = verdict.lost.iter().find(|key| owners.owner(key) != self.victim);
        assert_eq!(of_others, None, "it was not the victim's");
        let late: Vec<SpanKey> = ended.spans_from(self.begun);
        let lost_later = late.iter().filter(|key| verdict.lost.contains(key)).count();
        assert_eq!((late.is_empty(), lost_later), (false, 0), "spans sent after its death");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_balancer_is_killed_and_nothing_is_lost() {
    let setup = Setup { balancers: 2, ..Setup::default() };
    let mut fleet = Fleet::start(&setup).await;
    let run = Run::start(seconds(5.0), config(fleet.targets()));
    run.more_acked(5_000).await;
    let mut victim = fleet.balancers.remove(0);
    victim.process.kill().unwrap();
    victim.process.wait_exit(PATIENCE).await.unwrap();
    run.more_acked(3_000).await;
    let ended = run.end().await;
    ended.all_acked();
    fleet.settled().await;
    let verdict = ended.judge_fleet(&fleet, all);
    verdict.clean().unwrap();
    let end = fleet.end(&[]).await;
    end.exported_is_at_sink(&verdict);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sampler_is_killed_and_only_what_it_held_is_lost() {
    let setup = Setup { samplers: 3, eject_after: "4s", ..Setup::default() };
    let mut fleet = Fleet::start(&setup).await;
    let owners = Owners::of(&fleet);
    let run = Run::start(seconds(7.0), config(fleet.targets()));
    run.more_acked(6_000).await;
    let mut victim = fleet.samplers.remove(2);
    let death = Death::of(&mut victim, &run).await;
    // New spans of its slots find their deputies at once, long before it counts as removed.
    let refused = run.failed_attempts();
    run.more_acked(6_000).await;
    let ended = run.end().await;
    ended.all_acked();
    println!("{} attempts failed since the death", ended.report.failed_attempts - refused);
    fleet.settled().await;
    let verdict = ended.judge_fleet(&fleet, all);
    verdict.except(&["L", "S"]).unwrap();
    death.explains(&ended, &verdict, &owners);
    fleet.end(&[death.ledger]).await.cancelled();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sampler_is_killed_and_back_in_time_for_what_its_deputies_held() {
    let setup = Setup { samplers: 3, eject_after: "30s", ..Setup::default() };
    let mut fleet = Fleet::start(&setup).await;
    let owners = Owners::of(&fleet);
    let run = Run::start(seconds(7.0), config(fleet.targets()));
    run.more_acked(6_000).await;
    let victim = 2;
    let death = Death::of(&mut fleet.samplers[victim], &run).await;
    run.more_acked(4_000).await;
    fleet.samplers[victim].restart().unwrap();
    fleet.samplers[victim].ready().await.unwrap();
    let given = |ledger: &NodeLedger| ledger.total("received_handoff") > 0;
    fleet.sampler_until(victim, "spans given back", given).await;
    let ended = run.end().await;
    ended.all_acked();
    fleet.settled().await;
    let verdict = ended.judge_fleet(&fleet, all);
    verdict.except(&["L", "S"]).unwrap();
    death.explains(&ended, &verdict, &owners);

    // Direct, too: spans of its slots do not go through a deputy for ever.
    let direct = |ledger: &NodeLedger| ledger.total("received") > 0;
    fleet.sampler_until(victim, "spans from the load balancer", direct).await;
    // Whether or not the victim had given something before.
    let end = fleet.end(&[death.ledger]).await;
    let given = end.cancelled().total("handed_off");
    println!("handed back: {given}");
    assert!(given > 0);
}
