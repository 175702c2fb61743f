//! The ledger, from a reading to series.

use tailgate_common::ledger::Ledger;
use tailgate_common::telemetry::{LedgerSeries, Metrics};
use tailgate_sampler::core::outbox::Reason;
use tailgate_sampler::export::xray;

/// All rows of this ledger, and one for each reason for which spans may yet be lost.
pub fn series(metrics: &Metrics, ledger: &Ledger, lost: &[Reason]) -> LedgerSeries {
    let rows = ledger.rows().into_iter().map(|(outcome, reason, _)| (outcome, reason));
    let lost = lost.iter().map(|reason| ("lost", reason.0));
    let mut pairs: Vec<_> = rows.chain(lost).collect();
    pairs.sort_unstable();
    pairs.dedup();
    LedgerSeries::new(metrics, pairs)
}

/// Why exporters lose spans.
pub fn lost_reasons(aws: bool) -> Vec<Reason> {
    let mut reasons = vec![
        Reason::SHUTDOWN,
        Reason::REJECTED_BY_BACKEND,
        Reason::RETRIES_EXHAUSTED,
        Reason::PERMANENT,
        Reason::TOO_LARGE,
        Reason::TIMESTAMP,
        Reason::INTERNAL,
        Reason::QUEUE_FULL,
    ];
    if aws {
        reasons.extend(xray::lost_reasons());
    }
    reasons
}

/// Shows it.
pub fn set(series: &LedgerSeries, ledger: &Ledger) {
    for (outcome, reason, spans) in ledger.rows() {
        let known = series.set(outcome, reason, spans);
        debug_assert!(known, "no series for {outcome} {reason}");
    }
}
