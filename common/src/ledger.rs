//! The ledger of a node: what became of every received copy of a span.
//!
//! received + received_forwarded + received_handoff = exported + sampled_out + deduplicated + rejected + lost
//! + handed_off + forwarded + in_flight
//!
//! All figures of one [`Ledger`] are read at the same moment.

use std::fmt;

/// The name under which it is scraped and printed.
pub const METRIC: &str = "tailgate_ledger_spans";

/// Spans by reason.
pub type ByReason = Vec<(&'static str, u64)>;

/// A consistent snapshot; all figures in spans.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    /// From clients and load balancers.
    pub received: u64,
    /// From another sampler that was not responsible for them.
    pub received_forwarded: u64,
    /// From another sampler that held them.
    pub received_handoff: u64,
    /// Accepted by every exporter's backend.
    pub exported: u64,
    /// Not kept by any policy.
    pub sampled_out: u64,
    /// Copies of spans that were held already.
    pub deduplicated: u64,
    /// Refused: the sender knows.
    pub rejected: ByReason,
    /// Acknowledged, and gone.
    pub lost: ByReason,
    /// Given to another sampler, which holds them.
    pub handed_off: u64,
    /// Passed on to a sampler, which holds them.
    pub forwarded: u64,
    /// Held now.
    pub in_flight: u64,
}

// === impl Ledger ===

impl Ledger {
    /// Spans that came in.
    pub fn incoming(&self) -> u64 {
        self.received + self.received_forwarded + self.received_handoff
    }

    /// Spans that have an outcome or are held.
    pub fn accounted(&self) -> u64 {
        let sum = |by_reason: &ByReason| by_reason.iter().map(|(_, spans)| spans).sum::<u64>();
        self.exported
            + self.sampled_out
            + self.deduplicated
            + sum(&self.rejected)
            + sum(&self.lost)
            + self.handed_off
            + self.forwarded
            + self.in_flight
    }

    /// Every span that came in is accounted for, once.
    pub fn is_balanced(&self) -> bool {
        self.incoming() == self.accounted()
    }

    /// Spans that were acknowledged and are gone.
    pub fn lost_spans(&self) -> u64 {
        self.lost.iter().map(|(_, spans)| spans).sum()
    }

    /// All figures: outcome, reason (empty if there is only one) and spans. Always the same rows in the same order.
    pub fn rows(&self) -> Vec<(&'static str, &'static str, u64)> {
        let mut rows = vec![
            ("received", "", self.received),
            ("received_forwarded", "", self.received_forwarded),
            ("received_handoff", "", self.received_handoff),
            ("exported", "", self.exported),
            ("sampled_out", "", self.sampled_out),
            ("deduplicated", "", self.deduplicated),
        ];
        rows.extend(by_reason("rejected", &self.rejected));
        rows.extend(by_reason("lost", &self.lost));
        rows.extend([
            ("handed_off", "", self.handed_off),
            ("forwarded", "", self.forwarded),
            ("in_flight", "", self.in_flight),
        ]);
        rows
    }
}

impl fmt::Display for Ledger {
    /// As the metric shows it, a line for each row, and whether it balances.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (outcome, reason, spans) in self.rows() {
            writeln!(f, "{METRIC}{{outcome=\"{outcome}\",reason=\"{reason}\"}} {spans}")?;
        }
        let verdict = if self.is_balanced() { "balanced" } else { "NOT BALANCED" };
        let (incoming, accounted) = (self.incoming(), self.accounted());
        write!(f, "ledger {verdict}: {incoming} spans came in, {accounted} are accounted for")
    }
}

/// At least one row, so that the outcome is there when nothing happened.
fn by_reason(outcome: &'static str, reasons: &ByReason) -> Vec<(&'static str, &'static str, u64)> {
    match reasons.as_slice() {
        [] => vec![(outcome, "", 0)],
        reasons => reasons.iter().map(|(reason, spans)| (outcome, *reason, *spans)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_counts_in_the_balance() {
        let ledger = Ledger {
            received: 100,
            received_forwarded: 10,
            received_handoff: 1,
            exported: 50,
            sampled_out: 20,
            deduplicated: 10,
            rejected: vec![("memory", 5), ("invalid", 6)],
            lost: vec![("shutdown", 7)],
            handed_off: 8,
            forwarded: 3,
            in_flight: 2,
        };
        assert!(ledger.is_balanced(), "{ledger}");
        let incoming = |row: &&(&str, &str, u64)| row.0.starts_with("received");
        let sum: u64 = ledger.rows().iter().filter(incoming).map(|row| row.2).sum();
        assert_eq!(sum, ledger.incoming());
        let sum: u64 = ledger.rows().iter().filter(|row| !incoming(row)).map(|row| row.2).sum();
        assert_eq!(sum, ledger.accounted());
        assert!(!Ledger { exported: 51, ..ledger }.is_balanced());
    }
}
