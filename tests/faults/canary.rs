//! The judges themselves: one span that is gone, or there twice, must not pass.

use tailgate_testkit::SpanKey;
use tailgate_testkit::balance::ENDS;

use crate::config::Setup;
use crate::fleet::Fleet;
use crate::run::{Run, all, config, errors_or_chance, seconds};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_span_less_or_more_is_found() {
    let fleet = Fleet::start(&Setup::default()).await;
    let ended = Run::start(seconds(1.5), config(fleet.targets())).end().await;
    ended.all_acked();
    fleet.settled().await;
    let received = fleet.sink.received();
    let verdict = ended.judge(std::slice::from_ref(&received), all);
    verdict.clean().unwrap();

    let victim: SpanKey = *received.iter().next().unwrap().0;
    let mut less = received.clone();
    assert_eq!(less.remove(&victim), Some(1));
    let found = ended.judge(&[less], all);
    assert_eq!(
        (found.lost.as_slice(), found.split.as_slice()),
        (&[victim][..], &[victim.trace][..])
    );
    assert!(found.clean().unwrap_err().to_string().contains("L = 1"));
    let mut more = received;
    more.add(victim);
    assert_eq!(ended.judge(&[more], all).duplicated, [victim]);

    let end = fleet.end(&[]).await;
    end.exported_is_at_sink(&verdict);
    for outcome in ENDS {
        let mut ledger = end.cancelled();
        ledger.set(outcome, "canary", 1);
        assert!(ledger.balance().is_err(), "{outcome}");
    }
    let mut ledger = end.cancelled();
    let exported = ledger.total("exported");
    ledger.set("exported", "", exported - 1);
    assert!(ledger.balance().is_err());
}

/// With policies in force the same judges hold, and those traces are dropped that should be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_drop_what_they_should_and_nothing_else() {
    let fleet =
        Fleet::start(&Setup { policies: true, decision_wait: "5s", ..Setup::default() }).await;
    let ended = Run::start(seconds(2.0), config(fleet.targets())).end().await;
    ended.all_acked();
    fleet.settled().await;
    let verdict = ended.judge_fleet(&fleet, errors_or_chance);
    verdict.clean().unwrap();
    let end = fleet.end(&[]).await;
    end.exported_is_at_sink(&verdict);
    let ended = end.total("exported") + end.total("sampled_out");
    assert_eq!(ended, verdict.acked, "one outcome for each acked span");
    assert!(end.total("sampled_out") > verdict.acked / 2);
}
