//! A load balancer of ours in front of backends that know nothing but OTLP.

use std::time::Duration;

use tailgate_testkit::ledger::Outcome;
use tailgate_testkit::load::Config;
use tailgate_testkit::proxy::Proxy;
use tailgate_testkit::sink::Sink;
use tailgate_testkit::traffic::Shape;
use tailgate_testkit::wait::eventually;

use crate::config::plain_balancer;
use crate::fleet::turn;
use crate::node::{Node, PATIENCE, Ports};
use crate::run::{Run, all, config, seconds};

struct Plain {
    balancer: Node,
    sinks: [Sink; 2],
    /// In front of the second sink.
    proxy: Proxy,
}

async fn start() -> Plain {
    let sinks = [Sink::local().await.unwrap(), Sink::local().await.unwrap()];
    let proxy = Proxy::start(sinks[1].addr()).await.unwrap();
    let ports = Ports::reserve().unwrap();
    let config = plain_balancer(&ports, &[sinks[0].addr(), proxy.addr()]);
    let mut balancer = Node::start("loadbalancer", "loadbalancer", ports, config).unwrap();
    balancer.ready().await.unwrap();
    Plain { balancer, sinks, proxy }
}

/// Each request has spans for both, so none is acknowledged; but the one that is up gets its part once for each time
/// that the client sends it, however often the load balancer tries the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_backend_down_costs_the_other_nothing() {
    let _turn = turn().await;
    let Plain { mut balancer, sinks, proxy } = start().await;
    proxy.refuse(true);
    let once = Config { retry_for: Duration::ZERO, rate: None, ..config(vec![balancer.target()]) };
    // Whole blocks: with 20 traces in each request, some are for either backend.
    let shape = Shape { traces: 60, lag_blocks: 0, ..seconds(1.0) };
    let ended = Run::start(shape, once).end().await;
    let unavailable = |outcome: &Outcome| match outcome {
        Outcome::Rejected(reason) => reason.starts_with("Unavailable"),
        _ => false,
    };
    let refused = ended.ledger.spans(unavailable).unwrap();
    assert_eq!(refused, ended.ledger.shape.spans(), "{:?}", ended.failures());
    let (up, down) = (sinks[0].received(), sinks[1].received());
    println!("up got {}, down got {} of {refused} spans", up.len(), down.len());
    assert!(down.is_empty() && up.len() as u64 > refused / 3);
    assert!(up.iter().all(|(_, copies)| copies == 1), "a part was sent again after it was taken");
    let (code, ledger) = balancer.stop().await.unwrap();
    assert_eq!(code, 0);
    assert_eq!(ledger.total("forwarded"), up.len() as u64);
    assert_eq!(ledger.total("rejected"), refused - up.len() as u64);
}

/// A backend that is away for less than the load balancer's time for a request is not noticed by the client.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_is_away_for_a_moment_and_nobody_sends_twice() {
    let _turn = turn().await;
    let Plain { mut balancer, sinks, proxy } = start().await;
    let run = Run::start(seconds(4.0), config(vec![balancer.target()]));
    run.more_acked(3_000).await;
    let requests = sinks[1].stats().requests;
    let quiet = async || sinks[1].stats().requests > requests;
    eventually("requests", PATIENCE, quiet).await.unwrap();
    proxy.refuse(true);
    proxy.reset();
    pass_and_heal(&proxy).await;
    let ended = run.end().await;
    ended.all_acked();
    assert_eq!(ended.report.failed_attempts, 0);
    let received = [sinks[0].received(), sinks[1].received()];
    let verdict = ended.judge(&received, all);
    verdict.except(&["D"]).unwrap();
    // Only what the reset connection had delivered without an answer may be there twice.
    let twice = received[1].iter().filter(|(_, copies)| *copies > 1).count();
    assert_eq!(verdict.duplicated.len(), twice, "none at the one that was up");
    assert!(twice <= 16 * 60, "{twice}");
    let (code, _) = balancer.stop().await.unwrap();
    assert_eq!(code, 0);
}

async fn pass_and_heal(proxy: &Proxy) {
    crate::run::pass(Duration::from_secs(1)).await;
    proxy.refuse(false);
}
