//! A load and its judgement.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};

use tailgate_common::ownership::Table;
use tailgate_proto::TraceId;
use tailgate_testkit::SpanKey;
use tailgate_testkit::checker::{self, Keep, Verdict};
use tailgate_testkit::ledger::Ledger;
use tailgate_testkit::load::{Config, Load, Report};
use tailgate_testkit::sink::Received;
use tailgate_testkit::traffic::{Shape, Trace, Traffic};
use tailgate_testkit::wait::eventually;
use tempfile::TempDir;

use crate::fleet::Fleet;
use crate::node::PATIENCE;

/// Spans a second.
pub const RATE: f64 = 3_000.0;

/// A load under way, with its record on disk.
pub struct Run {
    load: Load,
    /// Of all of it.
    spans: u64,
    dir: TempDir,
}

/// Which sampler each trace belongs to.
pub struct Owners(Table);

/// A load that has ended: its record as it was read back from disk.
pub struct Ended {
    pub ledger: Ledger,
    pub report: Report,
}

/// Traffic for so many seconds at [`RATE`]; the spans of a trace come over 0.6 s.
pub fn seconds(seconds: f64) -> Shape {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let base = Shape::default();
    let shape = Shape {
        seed: now.as_nanos() as u64,
        traces: (RATE * seconds / f64::from(base.spans_per_trace)) as u64,
        errors_per_mille: 50,
        base_unix_ns: now.as_nanos() as u64,
        ..base
    };
    shape.spread(0.6, RATE)
}

/// gRPC to `targets` at [`RATE`].
pub fn config(targets: Vec<String>) -> Config {
    Config { targets, rate: Some(RATE), ..Config::new("") }
}

/// Everything is kept.
pub fn all(_: &Trace) -> Keep {
    Keep::Yes
}

/// Errors are kept, the others by chance.
pub fn errors_or_chance(trace: &Trace) -> Keep {
    if trace.error.is_some() { Keep::Yes } else { Keep::Either }
}

// === impl Owners ===

impl Owners {
    pub fn of(fleet: &Fleet) -> Self {
        let names: Vec<&str> = fleet.samplers.iter().map(|node| node.name.as_str()).collect();
        Owners(Table::new(&names))
    }

    pub fn owner(&self, key: &SpanKey) -> &str {
        self.0.owner_name(TraceId(key.trace).slot()).unwrap()
    }
}

// === impl Run ===

impl Run {
    pub fn start(shape: Shape, config: Config) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { ledger: Some(dir.path().join("ledger")), ..config };
        let spans = shape.spans();
        println!("seed {}: {spans} spans", shape.seed);
        Run { load: Load::start(Traffic::new(shape).unwrap(), config).unwrap(), spans, dir }
    }

    /// Spans acked so far.
    pub fn acked(&self) -> u64 {
        self.load.progress().acked.load(Relaxed)
    }

    /// Attempts that did not end in success so far.
    pub fn failed_attempts(&self) -> u64 {
        self.load.progress().failed_attempts.load(Relaxed)
    }

    /// Requests from this number on have not been sent yet.
    pub fn begun(&self) -> u64 {
        self.load.begun()
    }

    /// Waits until so many more spans were acked, or all.
    pub async fn more_acked(&self, spans: u64) {
        let goal = (self.acked() + spans).min(self.spans);
        eventually("acks", PATIENCE, async || self.acked() >= goal).await.unwrap();
    }

    /// Waits for its end.
    pub async fn end(self) -> Ended {
        let report = self.load.finish().await.unwrap();
        let ledger = Ledger::load(&self.dir.path().join("ledger")).unwrap();
        assert_eq!(ledger.records, report.ledger.records, "the disk has what memory has");
        println!(
            "load: acked {} of {} spans in {:.1} s, sent {}, {} attempts failed, p50 {:?}, p99 {:?}",
            report.acked_spans,
            ledger.shape.spans(),
            report.elapsed.as_secs_f64(),
            report.sent_spans,
            report.failed_attempts,
            report.percentile(50.0),
            report.percentile(99.0),
        );
        Ended { ledger, report }
    }
}

// === impl Ended ===

impl Ended {
    /// All was acked.
    pub fn all_acked(&self) -> &Self {
        assert_eq!(self.report.acked_spans, self.ledger.shape.spans(), "{:?}", self.failures());
        self
    }

    /// What became of requests that were not acked.
    pub fn failures(&self) -> Vec<String> {
        use tailgate_testkit::ledger::Outcome;
        let failed = self.ledger.records.iter().filter(|r| r.outcome != Outcome::Acked);
        failed.take(5).map(|r| format!("{r:?}")).collect()
    }

    /// The spans of requests from number `first` on.
    pub fn spans_from(&self, first: u64) -> Vec<SpanKey> {
        let traffic = Traffic::new(self.ledger.shape.clone()).unwrap();
        let later = (first..traffic.requests()).flat_map(|seq| traffic.spans(seq));
        later.map(|(trace, index)| traffic.shape().key(&trace, index)).collect()
    }

    /// The checker's findings.
    pub fn judge(&self, received: &[Received], keep: impl Fn(&Trace) -> Keep) -> Verdict {
        let verdict = checker::check(&self.ledger, received, keep).unwrap();
        println!("checker: {verdict}");
        verdict
    }

    /// The checker's findings at the fleet's sink.
    pub fn judge_fleet(&self, fleet: &Fleet, keep: impl Fn(&Trace) -> Keep) -> Verdict {
        self.judge(&[fleet.sink.received()], keep)
    }
}

/// Time to let something go wrong.
pub async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}
