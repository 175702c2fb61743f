//! A fleet of real processes: load balancers, samplers and the sink behind them, with a proxy on each way between the
//! tiers and on each way out.

use std::sync::Arc;

use tailgate_testkit::balance::NodeLedger;
use tailgate_testkit::checker::Verdict;
use tailgate_testkit::proxy::Proxy;
use tailgate_testkit::sink::Sink;
use tailgate_testkit::wait::eventually;
use tokio::sync::{Mutex, MutexGuard};

use crate::config::{Member, Setup};
use crate::node::{Node, PATIENCE, Ports};
use crate::watch::Watch;

/// All processes of a test.
pub struct Fleet {
    pub sink: Arc<Sink>,
    pub balancers: Vec<Node>,
    pub samplers: Vec<Node>,
    /// From the load balancers to each sampler. Samplers reach each other directly.
    pub inward: Vec<Proxy>,
    /// From each sampler to the sink.
    pub outward: Vec<Proxy>,
    watch: Watch,
    _turn: MutexGuard<'static, ()>,
}

/// What the samplers said at their end, added up.
#[derive(Debug)]
pub struct End {
    ledgers: Vec<NodeLedger>,
}

/// Whose turn it is.
static TURN: Mutex<()> = Mutex::const_new(());

/// Waits until no other test uses the machine.
pub async fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().await
}

// === impl Fleet ===

impl Fleet {
    /// Starts all and waits until all are ready.
    pub async fn start(setup: &Setup) -> Fleet {
        let turn = turn().await;
        let sink = Arc::new(Sink::local().await.unwrap());
        let ports: Vec<Ports> = (0..setup.samplers).map(|_| Ports::reserve().unwrap()).collect();
        let (mut inward, mut outward) = (Vec::new(), Vec::new());
        for ports in &ports {
            inward.push(Proxy::start(ports.internal.addr()).await.unwrap());
            outward.push(Proxy::start(sink.addr()).await.unwrap());
        }
        let name = |n: usize| format!("sampler-{n}");
        let members: Vec<Member> = (0..).map(name).zip(&ports).map(direct).collect();
        let proxied: Vec<Member> =
            (0..).map(name).zip(&inward).map(|(name, proxy)| (name, proxy.addr())).collect();
        let mut samplers = Vec::new();
        for (n, ports) in ports.into_iter().enumerate() {
            let config = setup.sampler(&name(n), &ports, &members, outward[n].addr());
            samplers.push(Node::start("sampler", &name(n), ports, config).unwrap());
        }
        let mut balancers = Vec::new();
        for n in 0..setup.balancers {
            let (name, ports) = (format!("loadbalancer-{n}"), Ports::reserve().unwrap());
            let config = setup.balancer(&name, &ports, &proxied);
            balancers.push(Node::start("loadbalancer", &name, ports, config).unwrap());
        }
        for node in samplers.iter_mut().chain(&mut balancers) {
            node.ready().await.unwrap();
        }
        let urls = samplers.iter().chain(&balancers).map(|n| (n.name.clone(), n.metrics_url()));
        let watch = Watch::start(urls.collect());
        Fleet { sink, balancers, samplers, inward, outward, watch, _turn: turn }
    }

    /// Where the load goes.
    pub fn targets(&self) -> Vec<String> {
        self.balancers.iter().map(Node::target).collect()
    }

    /// Waits until no sampler holds or exports anything.
    pub async fn settled(&self) {
        for node in &self.samplers {
            eventually(&format!("an empty {}", node.name), PATIENCE, async || {
                node.ledger().await.unwrap().total("in_flight") == 0
            })
            .await
            .unwrap();
        }
    }

    /// Waits until a sampler's ledger is as `condition` wants it.
    pub async fn sampler_until(
        &self,
        sampler: usize,
        what: &str,
        condition: impl Fn(&NodeLedger) -> bool,
    ) -> NodeLedger {
        let mut last = NodeLedger::default();
        eventually(what, PATIENCE, async || {
            let ledger = self.samplers[sampler].ledger().await;
            ledger.is_ok_and(|ledger| {
                last = ledger;
                condition(&last)
            })
        })
        .await
        .unwrap_or_else(|error| panic!("{error}: {last}"));
        last
    }

    /// SIGTERM to all that are left; each exits with 0, and all ledgers balance. `others`: ledgers of samplers that
    /// ended before.
    pub async fn end(mut self, others: &[NodeLedger]) -> End {
        let mut ledgers = others.to_vec();
        for node in self.balancers.iter_mut().chain(&mut self.samplers) {
            let (code, ledger) = node.stop().await.unwrap();
            assert_eq!(code, 0, "{}", node.name);
            if node.is_sampler() {
                ledgers.push(ledger);
            } else {
                assert_eq!(ledger.total("lost"), 0, "a load balancer holds nothing");
            }
        }
        self.watch.end();
        End { ledgers }
    }
}

// === impl End ===

impl End {
    /// Of one outcome, at all samplers.
    pub fn total(&self, outcome: &str) -> u64 {
        self.ledgers.iter().map(|ledger| ledger.total(outcome)).sum()
    }

    /// What was handed off by some was received by others: their sum, which has all outcomes.
    pub fn cancelled(&self) -> NodeLedger {
        tailgate_testkit::balance::fleet(&self.ledgers).unwrap()
    }

    /// What the samplers call exported is at the sink, copy for copy.
    pub fn exported_is_at_sink(&self, verdict: &Verdict) {
        let at_sink = verdict.received + verdict.duplicated.len() as u64;
        assert_eq!(self.total("exported"), at_sink, "exported, and at the sink");
    }
}

fn direct((name, ports): (String, &Ports)) -> Member {
    (name, ports.internal.addr())
}
