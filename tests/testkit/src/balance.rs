//! A node's own ledger, as its metrics and its last words tell it, and whether it balances.
//!
//! Per node, in received copies of spans: `received + received_forwarded + received_handoff =
//! exported + sampled_out + deduplicated + rejected + lost + handed_off + forwarded + in_flight`.

use crate::prom::{Metrics, Sample};
use std::collections::BTreeMap;

/// The metric, with the labels `outcome` and `reason`.
pub const METRIC: &str = "tailgate_ledger_spans";
/// The outcomes on the left of the equation.
pub const SOURCES: [&str; 3] = ["received", "received_forwarded", "received_handoff"];
/// The outcomes on its right.
pub const ENDS: [&str; 8] = [
    "exported",
    "sampled_out",
    "deduplicated",
    "rejected",
    "lost",
    "handed_off",
    "forwarded",
    "in_flight",
];

/// Counts by outcome and reason (`""` where there is none).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeLedger(BTreeMap<(String, String), u64>);

/// Why a ledger is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Imbalance {
    /// A text without any sample of [`METRIC`].
    #[error("no {METRIC}")]
    Missing,
    /// An outcome that must always be there is not.
    #[error("no {METRIC} with outcome {0}")]
    NoOutcome(&'static str),
    /// An outcome that nobody knows.
    #[error("unknown outcome {0}")]
    UnknownOutcome(String),
    /// A value that is no count.
    #[error("{METRIC} is no whole number: {0}")]
    NoCount(String),
    /// The two sides differ.
    #[error("{sources} came in, {ends} are accounted for: {ledger}")]
    Sides {
        /// The left side.
        sources: u64,
        /// The right side.
        ends: u64,
        /// All terms.
        ledger: String,
    },
    /// What one sampler sent to another was not what that one got.
    #[error("{sent} spans {outcome} by some, {got} received by others")]
    BetweenNodes {
        /// `forwarded` or `handed_off`.
        outcome: &'static str,
        /// As the senders count.
        sent: u64,
        /// As the receivers count.
        got: u64,
    },
}

// === impl NodeLedger ===

impl NodeLedger {
    /// From a scrape.
    ///
    /// # Errors
    /// When the metric is missing or holds anything but counts.
    pub fn from_metrics(metrics: &Metrics) -> Result<Self, Imbalance> {
        Self::from_samples(metrics.matching(METRIC, &[]))
    }

    /// From any text with lines such as `tailgate_ledger_spans{outcome="lost",reason="x"} 3`: a
    /// scrape, or what a node prints when it ends. Other lines, and whatever a logger puts before
    /// the metric, are passed over; of a line told twice, the last counts.
    ///
    /// # Errors
    /// As [`NodeLedger::from_metrics`].
    pub fn from_text(text: &str) -> Result<Self, Imbalance> {
        let at = |line: &str| line.find(METRIC).map(|at| line[at..].to_owned());
        let lines: Vec<String> =
            text.lines().filter(|l| !l.starts_with('#')).filter_map(at).collect();
        let samples: Vec<Sample> = lines.iter().filter_map(|l| Sample::parse(l)).collect();
        Self::from_samples(samples.iter())
    }

    fn from_samples<'a>(samples: impl Iterator<Item = &'a Sample>) -> Result<Self, Imbalance> {
        let mut counts = BTreeMap::new();
        for sample in samples {
            let label = |name: &str| sample.labels.get(name).cloned().unwrap_or_default();
            let whole = sample.value >= 0.0 && sample.value.fract() == 0.0;
            if !whole {
                return Err(Imbalance::NoCount(format!("{sample:?}")));
            }
            counts.insert((label("outcome"), label("reason")), sample.value as u64);
        }
        if counts.is_empty() { Err(Imbalance::Missing) } else { Ok(NodeLedger(counts)) }
    }

    /// Sets one count, for tests of what reads it.
    pub fn set(&mut self, outcome: &str, reason: &str, count: u64) {
        self.0.insert((outcome.to_owned(), reason.to_owned()), count);
    }

    /// The count of one outcome, all reasons together.
    pub fn total(&self, outcome: &str) -> u64 {
        self.0.iter().filter(|((o, _), _)| o == outcome).map(|(_, n)| n).sum()
    }

    /// The count of one outcome for one reason.
    pub fn of(&self, outcome: &str, reason: &str) -> u64 {
        self.0.get(&(outcome.to_owned(), reason.to_owned())).copied().unwrap_or(0)
    }

    /// The reasons of an outcome with more than zero.
    pub fn reasons(&self, outcome: &str) -> BTreeMap<&str, u64> {
        let of_outcome = self.0.iter().filter(|((o, _), n)| o == outcome && **n > 0);
        of_outcome.map(|((_, reason), n)| (reason.as_str(), *n)).collect()
    }

    /// Checks the equation.
    ///
    /// # Errors
    /// When the sides differ, an outcome is missing or one is not known.
    pub fn balance(&self) -> Result<(), Imbalance> {
        let all = SOURCES.iter().chain(&ENDS);
        for outcome in all.clone() {
            if !self.0.keys().any(|(o, _)| o == outcome) {
                return Err(Imbalance::NoOutcome(outcome));
            }
        }
        if let Some((o, _)) = self.0.keys().find(|(o, _)| !all.clone().any(|known| known == o)) {
            return Err(Imbalance::UnknownOutcome(o.clone()));
        }
        let sum = |outcomes: &[&str]| outcomes.iter().map(|o| self.total(o)).sum::<u64>();
        let (sources, ends) = (sum(&SOURCES), sum(&ENDS));
        if sources == ends {
            return Ok(());
        }
        Err(Imbalance::Sides { sources, ends, ledger: self.to_string() })
    }
}

impl std::fmt::Display for NodeLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for ((outcome, reason), count) in self.0.iter().filter(|(_, n)| **n > 0) {
            write!(f, " {outcome}{{{reason}}}={count}")?;
        }
        Ok(())
    }
}

/// Adds up samplers and checks that what they sent each other cancels; each must balance too.
///
/// # Errors
/// The first node that does not balance, or the term that does not cancel.
pub fn fleet(nodes: &[NodeLedger]) -> Result<NodeLedger, Imbalance> {
    let mut sum = NodeLedger::default();
    for node in nodes {
        node.balance()?;
        for (key, count) in &node.0 {
            *sum.0.entry(key.clone()).or_default() += count;
        }
    }
    for (outcome, received) in
        [("forwarded", "received_forwarded"), ("handed_off", "received_handoff")]
    {
        let (sent, got) = (sum.total(outcome), sum.total(received));
        if sent != got {
            return Err(Imbalance::BetweenNodes { outcome, sent, got });
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn node(counts: &[(&str, u64)]) -> NodeLedger {
        let mut node = NodeLedger::default();
        SOURCES.iter().chain(&ENDS).for_each(|outcome| node.set(outcome, "", 0));
        counts.iter().for_each(|(outcome, n)| node.set(outcome, "", *n));
        node
    }

    const EVEN: [(&str, u64); 4] =
        [("received", 100), ("exported", 60), ("sampled_out", 30), ("in_flight", 10)];

    #[test]
    fn an_even_ledger_balances_and_one_span_more_or_less_does_not() {
        node(&EVEN).balance().unwrap();
        for outcome in SOURCES.iter().chain(&ENDS) {
            let mut canary = node(&EVEN);
            canary.set(outcome, "canary", 1);
            assert!(matches!(canary.balance(), Err(Imbalance::Sides { .. })), "{outcome}");
        }
    }

    #[test]
    fn all_outcomes_must_be_there_and_no_other() {
        let mut extra = node(&EVEN);
        extra.set("vanished", "", 0);
        assert_eq!(extra.balance(), Err(Imbalance::UnknownOutcome("vanished".into())));
        let mut few = node(&EVEN);
        few.0.remove(&("lost".into(), String::new()));
        assert_eq!(few.balance(), Err(Imbalance::NoOutcome("lost")));
    }

    #[test]
    fn it_is_read_from_a_scrape_and_from_last_words() {
        let text = "# TYPE tailgate_ledger_spans gauge\n\
            tailgate_ledger_spans{outcome=\"received\",reason=\"\"} 5\n\
            12:00 INFO tailgate_ledger_spans{outcome=\"lost\",reason=\"queue_full\"} 2\n\
            12:00 INFO tailgate_ledger_spans{outcome=\"lost\",reason=\"shutdown\"} 1\n";
        let ledger = NodeLedger::from_text(text).unwrap();
        assert_eq!((ledger.total("received"), ledger.total("lost")), (5, 3));
        assert_eq!(ledger.of("lost", "queue_full"), 2);
        assert_eq!(ledger.reasons("lost").len(), 2);
        assert_eq!(NodeLedger::from_text("nothing"), Err(Imbalance::Missing));
        let half = Metrics::parse("tailgate_ledger_spans{outcome=\"lost\"} 0.5").unwrap();
        assert!(matches!(NodeLedger::from_metrics(&half), Err(Imbalance::NoCount(_))));
    }

    #[test]
    fn between_nodes_the_terms_cancel() {
        let a = node(&[("received", 10), ("forwarded", 4), ("exported", 6)]);
        let b = node(&[("received_forwarded", 4), ("exported", 4)]);
        assert_eq!(fleet(&[a.clone(), b]).unwrap().total("exported"), 10);
        let b = node(&[("received_forwarded", 3), ("exported", 3)]);
        let error = fleet(&[a, b]).unwrap_err();
        assert_eq!(error, Imbalance::BetweenNodes { outcome: "forwarded", sent: 4, got: 3 });
    }
}
