//! The series of an X-Ray exporter.

use super::super::metrics::{Counter, DistributionSeries, Gauge, Metrics};
use super::super::names::defs;

/// One exporter to X-Ray. Rates are documents a second.
#[derive(Clone)]
pub struct XraySeries {
    /// Calls taken.
    pub taken: Counter,
    /// Calls throttled.
    pub throttled: Counter,
    /// Calls refused for good.
    pub refused: Counter,
    /// Calls that failed otherwise.
    pub failed: Counter,
    /// Documents accepted.
    pub accepted: Counter,
    /// Documents to be sent again.
    pub retried: Counter,
    /// Documents refused for good.
    pub lost: Counter,
    /// Unprocessed documents by code, in the order given.
    pub unprocessed: Vec<(&'static str, Counter)>,
    /// Documents by what was changed, in the order given.
    pub changed: Vec<Counter>,
    /// Documents in a call.
    pub fill: DistributionSeries,
    /// Accepted.
    pub rate: Gauge,
    /// Sent at most.
    pub limit: Gauge,
    /// At which throttling began.
    pub quota: Gauge,
    /// Of the quota.
    pub headroom: Gauge,
    /// Calls under way.
    pub in_flight: Gauge,
    /// Calls that may be.
    pub window: Gauge,
    /// 1 while it is waited for X-Ray to recover.
    pub paused: Gauge,
}

// === impl XraySeries ===

impl XraySeries {
    /// For the exporter of this name, the codes that X-Ray may give for a document, and what may
    /// be changed in one.
    pub fn new(
        metrics: &Metrics,
        exporter: &str,
        codes: Vec<&'static str>,
        changes: &[&'static str],
    ) -> Self {
        let call = |outcome| metrics.counter(&defs::XRAY_CALLS, &[exporter, outcome]);
        let document = |outcome| metrics.counter(&defs::XRAY_DOCUMENTS, &[exporter, outcome]);
        let gauge = |def| metrics.gauge(def, &[exporter]);
        let unprocessed =
            |code| (code, metrics.counter(&defs::XRAY_UNPROCESSED, &[exporter, code]));
        let changed =
            |change: &&'static str| metrics.counter(&defs::XRAY_CHANGED, &[exporter, change]);
        Self {
            taken: call("taken"),
            throttled: call("throttled"),
            refused: call("refused"),
            failed: call("failed"),
            accepted: document("accepted"),
            retried: document("retried"),
            lost: document("lost"),
            unprocessed: codes.into_iter().map(unprocessed).collect(),
            changed: changes.iter().map(changed).collect(),
            fill: metrics.distribution(&defs::XRAY_CALL_DOCUMENTS, &[exporter]),
            rate: gauge(&defs::XRAY_RATE),
            limit: gauge(&defs::XRAY_RATE_LIMIT),
            quota: gauge(&defs::XRAY_QUOTA),
            headroom: gauge(&defs::XRAY_HEADROOM),
            in_flight: gauge(&defs::XRAY_CALLS_IN_FLIGHT),
            window: gauge(&defs::XRAY_CALLS_ALLOWED),
            paused: gauge(&defs::XRAY_PAUSED),
        }
    }
}
