//! What the terminal shows while the demo runs: redrawn in place on a terminal, one line a second
//! elsewhere.

use super::plan::Plan;
use crate::demo::metrics::{Metrics, Reader};
use crate::demo::traffic::Counts;
use crate::demo::xray::Stats;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::time::Instant;

/// Spans by outcome and reason; also printed by a child when it ends.
pub(super) const LEDGER: &str = "tailgate_ledger_spans";
const HELD: &str = "otelcol_processor_tail_sampling_sampling_traces_on_memory";
const KEPT: &str = "otelcol_processor_tail_sampling_count_traces_sampled";
const RSS: &str = "otelcol_process_memory_rss";

/// The live view.
pub(super) struct View {
    reader: Reader,
    /// Name, port and last reading of each process; the load balancer is the first.
    nodes: Vec<(String, u16, Metrics)>,
    started: Instant,
    last: (Instant, u64),
    redraws: bool,
    /// Lines on the terminal that the next drawing replaces.
    drawn: usize,
}

/// What is shown.
#[derive(Debug, Default, PartialEq)]
struct Snapshot {
    seconds: u64,
    spans_in: u64,
    spans_per_second: u64,
    held: u64,
    kept: BTreeMap<String, u64>,
    dropped: u64,
    lost: u64,
    refused: u64,
    memory: Vec<(String, u64)>,
    documents: u64,
    traces: u64,
}

// === impl View ===

impl View {
    pub(super) fn new(plan: &Plan, reader: Reader) -> View {
        let nodes = plan.nodes().map(|n| (n.name.clone(), n.metrics_port, Metrics::default()));
        let now = Instant::now();
        View {
            reader,
            nodes: nodes.collect(),
            started: now,
            last: (now, 0),
            redraws: std::io::stdout().is_terminal(),
            drawn: 0,
        }
    }

    /// Reads the children's metrics and shows them; a child that does not answer in time is shown
    /// as it was.
    pub(super) async fn show(&mut self, shop: Counts, xray: Stats) {
        for (_, port, metrics) in &mut self.nodes {
            if let Some(new) = self.reader.metrics(*port).await {
                *metrics = new;
            }
        }
        let snapshot = self.snapshot(shop, xray);
        let mut text = String::new();
        if self.redraws {
            if self.drawn > 0 {
                // Up to the first line of the last drawing, and clear from there.
                let _ = write!(text, "\x1b[{}F\x1b[J", self.drawn);
            }
            let drawing = snapshot.drawing();
            self.drawn = drawing.lines().count();
            text.push_str(&drawing);
        } else {
            text.push_str(&snapshot.line());
        }
        let mut out = std::io::stdout();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    fn snapshot(&mut self, shop: Counts, xray: Stats) -> Snapshot {
        let (front, samplers) = match &self.nodes[..] {
            [front, samplers @ ..] => (&front.2, samplers),
            [] => return Snapshot::default(),
        };
        let of = |name: &str, labels: &[(&str, &str)]| -> u64 {
            samplers.iter().map(|(_, _, metrics)| metrics.sum(name, labels) as u64).sum()
        };
        let mut kept = BTreeMap::new();
        for (_, _, metrics) in samplers {
            for (policy, traces) in metrics.sum_by(KEPT, "policy", &[("sampled", "true")]) {
                *kept.entry(policy.to_owned()).or_default() += traces as u64;
            }
        }
        let spans_in = front.sum(LEDGER, &[("outcome", "received")]) as u64;
        let lost = [("outcome", "lost")];
        let memory = |(name, _, m): &(String, u16, Metrics)| (name.clone(), m.sum(RSS, &[]) as u64);
        let now = Instant::now();
        let (before, spans_before) = std::mem::replace(&mut self.last, (now, spans_in));
        let passed = now.duration_since(before).as_secs_f64().max(0.001);
        Snapshot {
            seconds: self.started.elapsed().as_secs(),
            spans_in,
            spans_per_second: (spans_in.saturating_sub(spans_before) as f64 / passed) as u64,
            held: of(HELD, &[]),
            kept,
            dropped: of(LEDGER, &[("outcome", "sampled_out")]),
            lost: of(LEDGER, &lost) + front.sum(LEDGER, &lost) as u64,
            refused: shop.refused + shop.rejected,
            memory: self.nodes.iter().map(memory).collect(),
            documents: xray.documents,
            traces: xray.traces,
        }
    }
}

// === impl Snapshot ===

impl Snapshot {
    fn drawing(&self) -> String {
        let Snapshot { spans_in, spans_per_second, held, dropped, lost, refused, .. } = self;
        let clock = format!("{}:{:02}", self.seconds / 60, self.seconds % 60);
        let (kept, memory) = (self.kept(": ", "   "), self.memory(" ", " MiB", "   "));
        format!(
            "  running       {clock}\n\
             \x20 spans in      {spans_in}   ({spans_per_second}/s)   refused {refused}\n\
             \x20 traces held   {held}\n\
             \x20 traces kept   {kept}\n\
             \x20 spans dropped {dropped}   lost {lost}\n\
             \x20 memory        {memory}\n\
             \x20 X-Ray         {} documents of {} traces\n",
            self.documents, self.traces
        )
    }

    fn line(&self) -> String {
        let Snapshot { seconds, spans_in, held, dropped, lost, refused, .. } = self;
        format!(
            "{seconds}s spans_in={spans_in} held={held} kept[{}] dropped={dropped} lost={lost} \
             refused={refused} memory_mib[{}] xray_documents={} xray_traces={}\n",
            self.kept("=", " "),
            self.memory("=", "", " "),
            self.documents,
            self.traces
        )
    }

    fn kept(&self, is: &str, and: &str) -> String {
        let all = self.kept.iter().map(|(policy, traces)| format!("{policy}{is}{traces}"));
        all.collect::<Vec<_>>().join(and)
    }

    fn memory(&self, is: &str, unit: &str, and: &str) -> String {
        let all = self.memory.iter().map(|(name, bytes)| {
            let mib = *bytes as f64 / f64::from(1 << 20);
            format!("{name}{is}{mib:.1}{unit}")
        });
        all.collect::<Vec<_>>().join(and)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, text: &str) -> (String, u16, Metrics) {
        (name.into(), 0, Metrics::parse(text))
    }

    fn view() -> View {
        View {
            reader: Reader::new(),
            nodes: vec![
                node(
                    "loadbalancer",
                    "tailgate_ledger_spans{outcome=\"received\",reason=\"\"} 500\n\
                     otelcol_process_memory_rss 10485760\n",
                ),
                node(
                    "sampler-0",
                    "otelcol_processor_tail_sampling_sampling_traces_on_memory 7\n\
                     otelcol_processor_tail_sampling_count_traces_sampled{policy=\"errors\",\
                     sampled=\"true\"} 3\n\
                     otelcol_processor_tail_sampling_count_traces_sampled{policy=\"errors\",\
                     sampled=\"false\"} 30\n\
                     tailgate_ledger_spans{outcome=\"sampled_out\",reason=\"\"} 90\n",
                ),
                node(
                    "sampler-1",
                    "otelcol_processor_tail_sampling_sampling_traces_on_memory 5\n\
                     otelcol_processor_tail_sampling_count_traces_sampled_total{policy=\"errors\",\
                     sampled=\"true\"} 2\n\
                     tailgate_ledger_spans{outcome=\"lost\",reason=\"expired\"} 1\n",
                ),
            ],
            started: Instant::now(),
            last: (Instant::now(), 0),
            redraws: false,
            drawn: 0,
        }
    }

    #[test]
    fn sums_over_the_samplers() {
        let shop = Counts { refused: 4, ..Counts::default() };
        let xray = Stats { documents: 31, traces: 5, ..Stats::default() };
        let shown = view().snapshot(shop, xray);
        assert_eq!((shown.spans_in, shown.held, shown.dropped, shown.lost), (500, 12, 90, 1));
        assert_eq!(shown.kept.get("errors"), Some(&5));
        assert_eq!(
            shown.line(),
            "0s spans_in=500 held=12 kept[errors=5] dropped=90 lost=1 refused=4 \
             memory_mib[loadbalancer=10.0 sampler-0=0.0 sampler-1=0.0] \
             xray_documents=31 xray_traces=5\n"
        );
        assert_eq!(shown.drawing().lines().count(), 7);
    }
}
