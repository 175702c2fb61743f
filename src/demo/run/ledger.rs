//! The ledgers that the children print when they end, and whether everything adds up.
//!
//! Unit: a received copy of a span. In one process, what came in (`received`,
//! `received_forwarded`, `received_handoff`) is what went out; between processes, what was
//! acknowledged must be with the samplers.

use super::view::LEDGER;
use crate::demo::metrics::Metrics;
use crate::demo::traffic::Counts;
use crate::demo::xray::Stats;
use std::collections::BTreeMap;

const IN: [&str; 3] = ["received", "received_forwarded", "received_handoff"];
const OUT: [&str; 8] = [
    "exported",
    "sampled_out",
    "deduplicated",
    "rejected",
    "lost",
    "handed_off",
    "forwarded",
    "in_flight",
];

/// Spans by outcome, over all reasons.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ledger(BTreeMap<&'static str, u64>);

/// All that has to fit together.
pub(super) struct Total {
    pub(super) loadbalancer: Ledger,
    pub(super) samplers: Vec<Ledger>,
    /// `None`: the shop was closed.
    pub(super) shop: Option<Counts>,
    pub(super) xray: Stats,
}

/// One statement about the total.
pub(super) struct Check {
    pub(super) holds: bool,
    pub(super) text: String,
}

// === impl Ledger ===

impl Ledger {
    /// Reads what a child printed: rows as in its metrics; other lines are passed over.
    pub(super) fn parse(lines: &[String]) -> Ledger {
        let rows = Metrics::parse(&lines.join("\n"));
        let printed = rows.sum_by(LEDGER, "outcome", &[]);
        let spans = |outcome: &'static str| Some((outcome, *printed.get(outcome)? as u64));
        Ledger(IN.into_iter().chain(OUT).filter_map(spans).collect())
    }

    pub(super) fn get(&self, outcome: &str) -> u64 {
        self.0.get(outcome).copied().unwrap_or(0)
    }

    fn came_in(&self) -> u64 {
        IN.iter().map(|outcome| self.get(outcome)).sum()
    }

    fn went_out(&self) -> u64 {
        OUT.iter().map(|outcome| self.get(outcome)).sum()
    }

    fn balance(&self, name: &str) -> Check {
        let (came_in, went_out) = (self.came_in(), self.went_out());
        let in_flight = self.get("in_flight");
        Check {
            holds: !self.0.is_empty() && came_in == went_out && in_flight == 0,
            text: if self.0.is_empty() {
                format!("{name} printed a ledger")
            } else {
                format!("{name}: {came_in} in = {went_out} out, {in_flight} in flight")
            },
        }
    }
}

// === impl Total ===

impl Total {
    /// What must hold when all has ended, in words and whether it does.
    pub(super) fn checks(&self) -> Vec<Check> {
        let mut checks = vec![self.loadbalancer.balance("loadbalancer")];
        for (n, ledger) in self.samplers.iter().enumerate() {
            checks.push(ledger.balance(&format!("sampler-{n}")));
        }
        // What a sampler had already, or did not take, was sent more than once.
        let again = self.sum("deduplicated") + self.sum("rejected");
        let with_samplers = self.sum("received").saturating_sub(again);
        let arrived = self.loadbalancer.get("received");
        if let Some(shop) = self.shop {
            checks.push(Check {
                holds: shop.sent == shop.acked + shop.rejected + shop.refused,
                text: format!(
                    "shop: {} sent = {} acknowledged + {} refused + {} rejected",
                    shop.sent, shop.acked, shop.refused, shop.rejected
                ),
            });
            checks.push(Check {
                holds: shop.acked <= with_samplers,
                text: format!("{} acknowledged <= {with_samplers} at the samplers", shop.acked),
            });
        }
        checks.push(Check {
            holds: with_samplers <= arrived,
            text: format!("{with_samplers} at the samplers <= {arrived} at the load balancer"),
        });
        let (exported, stored) =
            (self.sum("exported"), self.xray.accepted.saturating_sub(self.xray.replaced));
        checks.push(Check {
            holds: exported <= stored,
            text: format!("{exported} exported <= {stored} documents taken by X-Ray"),
        });
        checks
    }

    fn sum(&self, outcome: &str) -> u64 {
        self.samplers.iter().map(|ledger| ledger.get(outcome)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(text: &str) -> Ledger {
        let row = |line: &str| match line.split_once(' ') {
            Some((outcome, spans)) => {
                format!("tailgate_ledger_spans{{outcome=\"{outcome}\",reason=\"\"}} {spans}")
            }
            None => line.to_owned(),
        };
        Ledger::parse(&text.lines().map(row).collect::<Vec<_>>())
    }

    fn total() -> Total {
        Total {
            loadbalancer: ledger("received 100\nexported 100\n"),
            samplers: vec![
                ledger("received 62\ndeduplicated 2\nexported 20\nsampled_out 40\n"),
                ledger("received 40\nexported 10\nsampled_out 30\n"),
            ],
            shop: Some(Counts { traces: 9, sent: 100, acked: 100, rejected: 0, refused: 0 }),
            xray: Stats { accepted: 31, replaced: 1, ..Stats::default() },
        }
    }

    fn failing(total: &Total) -> Vec<String> {
        total.checks().into_iter().filter(|c| !c.holds).map(|c| c.text).collect()
    }

    #[test]
    fn reads_what_a_child_prints() {
        let printed = r#"draining
tailgate_ledger_spans{outcome="received",reason=""} 120
tailgate_ledger_spans{outcome="lost",reason="exporter_queue"} 3
tailgate_ledger_spans{outcome="lost",reason="timeout"} 4
tailgate_ledger_spans{outcome="in_flight",reason=""} 0
ledger NOT BALANCED: 120 spans came in, 7 are accounted for"#;
        let read = Ledger::parse(&printed.lines().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!((read.get("received"), read.get("lost")), (120, 7));
        assert_eq!(read.0.len(), 3);
        assert!(!read.balance("sampler-0").holds);
    }

    #[test]
    fn what_adds_up_holds() {
        assert_eq!(failing(&total()), Vec::<String>::new());
    }

    #[test]
    fn a_lost_span_shows() {
        let mut one_less = total();
        one_less.samplers[1] = ledger("received 39\nexported 10\nsampled_out 29\n");
        assert_eq!(failing(&one_less), ["100 acknowledged <= 99 at the samplers"]);

        let mut unbalanced = total();
        unbalanced.samplers[1] = ledger("received 40\nexported 10\nsampled_out 29\n");
        assert_eq!(failing(&unbalanced), ["sampler-1: 40 in = 39 out, 0 in flight"]);

        let mut not_stored = total();
        not_stored.xray.accepted = 30;
        assert_eq!(failing(&not_stored), ["30 exported <= 29 documents taken by X-Ray"]);

        let mut silent = total();
        silent.loadbalancer = Ledger::default();
        assert!(failing(&silent).contains(&"loadbalancer printed a ledger".to_owned()));
    }
}
