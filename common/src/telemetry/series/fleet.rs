//! The load balancer and its backends, members, and the ledger.

use super::super::metrics::{Counter, DistributionSeries, Gauge, Metrics};
use super::super::names::defs;

/// The load balancer's resolver and backends.
#[derive(Clone)]
pub struct LoadBalancerSeries {
    /// Backends now.
    pub backends: Gauge,
    /// Changes of the list.
    pub backend_updates: Counter,
    /// Resolutions that worked.
    pub resolutions_ok: Counter,
    /// Resolutions that failed.
    pub resolutions_failed: Counter,
    /// Requests that could not be read.
    pub malformed: Counter,
}

/// The samplers as this process sees them.
#[derive(Clone)]
pub struct MemberSeries {
    states: Vec<(&'static str, Gauge)>,
    /// Those that were given other members.
    pub disagreeing: Gauge,
    /// Changes of the table.
    pub table_version: Gauge,
}

/// One backend of the load balancer.
#[derive(Clone)]
pub struct BackendSeries {
    /// Parts it took.
    pub ok: Counter,
    /// Parts it did not take.
    pub failed: Counter,
    /// Milliseconds to its answer.
    pub latency: DistributionSeries,
}

/// The ledger: one gauge per outcome and reason.
#[derive(Clone)]
pub struct LedgerSeries {
    gauges: Vec<(&'static str, &'static str, Gauge)>,
}

// === impl LoadBalancerSeries ===

impl LoadBalancerSeries {
    /// For a resolver: `static`, `dns`, `k8s` or `aws`.
    pub fn new(metrics: &Metrics, resolver: &str) -> Self {
        let resolutions =
            |success| metrics.counter(&defs::LB_NUM_RESOLUTIONS, &[resolver, success]);
        Self {
            backends: metrics.gauge(&defs::LB_NUM_BACKENDS, &[resolver]),
            backend_updates: metrics.counter(&defs::LB_NUM_BACKEND_UPDATES, &[resolver]),
            resolutions_ok: resolutions("true"),
            resolutions_failed: resolutions("false"),
            malformed: metrics.counter(&defs::MALFORMED_REQUESTS, &[]),
        }
    }
}

// === impl MemberSeries ===

impl MemberSeries {
    /// For these states.
    pub fn new(metrics: &Metrics, states: &[&'static str]) -> Self {
        let gauge = |state: &&'static str| (*state, metrics.gauge(&defs::MEMBERS, &[*state]));
        Self {
            states: states.iter().map(gauge).collect(),
            disagreeing: metrics.gauge(&defs::MEMBERS_DISAGREEING, &[]),
            table_version: metrics.gauge(&defs::TABLE_VERSION, &[]),
        }
    }

    /// These are the states of all members.
    pub fn set<'s>(&self, states: impl Iterator<Item = &'s str> + Clone) {
        for (state, gauge) in &self.states {
            gauge.set(states.clone().filter(|is| is == state).count() as f64);
        }
    }
}

// === impl BackendSeries ===

impl BackendSeries {
    /// For a backend's `host:port`.
    pub fn new(metrics: &Metrics, endpoint: &str) -> Self {
        let outcome = |success| metrics.counter(&defs::LB_BACKEND_OUTCOME, &[endpoint, success]);
        Self {
            ok: outcome("true"),
            failed: outcome("false"),
            latency: metrics.distribution(&defs::LB_BACKEND_LATENCY, &[endpoint]),
        }
    }

    /// Backends that are gone have no series: addresses change for as long as the process lives.
    pub fn retain(metrics: &Metrics, is_there: impl Fn(&str) -> bool) {
        let keep = |values: &[String]| values.first().is_some_and(|endpoint| is_there(endpoint));
        metrics.retain(&defs::LB_BACKEND_OUTCOME, keep);
        metrics.retain(&defs::LB_BACKEND_LATENCY, keep);
    }
}

// === impl LedgerSeries ===

impl LedgerSeries {
    /// For these outcomes and reasons; a reason may be empty.
    pub fn new(
        metrics: &Metrics,
        pairs: impl IntoIterator<Item = (&'static str, &'static str)>,
    ) -> Self {
        let gauge = |(outcome, reason)| {
            (outcome, reason, metrics.gauge(&defs::LEDGER_SPANS, &[outcome, reason]))
        };
        Self { gauges: pairs.into_iter().map(gauge).collect() }
    }

    /// So many spans have this outcome. False if there is no such series.
    pub fn set(&self, outcome: &str, reason: &str, spans: u64) -> bool {
        let found = self.gauges.iter().find(|(o, r, _)| (*o, *r) == (outcome, reason));
        found.map(|(.., gauge)| gauge.set(spans as f64)).is_some()
    }
}
