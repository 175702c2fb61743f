//! Throttling: a third of the calls, then all, then by a quota.

use super::proxy::{Call, Fate, Judged, XrayProxy};
use super::{plan, shape};
use crate::fleet::Node;
use crate::python::Moto;
use std::time::{Duration, Instant};
use tailgate_testkit::load::{Config, Load};
use tailgate_testkit::traffic::Traffic;
use tokio::sync::oneshot;

/// Each phase but the last, which goes on until all is sent.
const PHASE: Duration = Duration::from_secs(8);
/// Spans a second.
const LOAD: f64 = 600.0;
/// Documents a second in the last phase, in which what was held back is sent too.
const QUOTA: f64 = 1_500.0;
const DECISION_WAIT: Duration = Duration::from_millis(500);

/// The phases, from when the load begins.
struct Weather {
    begin: Instant,
    chance: u64,
    saved: f64,
    filled: Instant,
}

/// Traces at a moment.
#[derive(Clone, Copy)]
struct Sample {
    asked: Instant,
    at: Instant,
    new: f64,
    decided: f64,
}

// === impl Weather ===

impl Weather {
    fn judge(&mut self, call: &Call) -> Fate {
        match phase(call.at, self.begin) {
            0 => Fate::Pass,
            1 if self.draw() < 0.3 => Fate::Throttle,
            1 => Fate::Pass,
            2 => Fate::Throttle,
            _ => self.within_quota(call),
        }
    }

    fn within_quota(&mut self, call: &Call) -> Fate {
        let earned = QUOTA * call.at.duration_since(self.filled).as_secs_f64();
        (self.saved, self.filled) = ((self.saved + earned).min(QUOTA), call.at);
        if self.saved < call.documents as f64 {
            return Fate::Throttle;
        }
        self.saved -= call.documents as f64;
        Fate::Pass
    }

    fn draw(&mut self) -> f64 {
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.chance >> 33) as f64 / (1u64 << 31) as f64
    }
}

fn phase(at: Instant, begin: Instant) -> u32 {
    ((at.duration_since(begin).as_secs_f64() / PHASE.as_secs_f64()) as u32).min(3)
}

/// Looks at the traces of a node until told to end.
async fn look(node: &Node, mut end: oneshot::Receiver<()>) -> Vec<Sample> {
    let mut samples = Vec::new();
    while end.try_recv().is_err() {
        let asked = Instant::now();
        let metrics = node.metrics().await;
        let sum = |name: &str| {
            metrics.sum(&format!("otelcol_processor_tail_sampling_{name}"), &[]).unwrap()
        };
        let (new, decided) = (sum("new_trace_id_received"), sum("global_count_traces_sampled"));
        samples.push(Sample { asked, at: Instant::now(), new, decided });
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    samples
}

/// How late the slowest hundredth of the decisions on traces of this phase were: when they had not
/// been made yet, for the last time. A machine that stands still delays the looks as well, and does
/// not count.
fn p99_delay(samples: &[Sample], begin: Instant, wanted: u32) -> Duration {
    let arrived = samples.iter().filter(|s| phase(s.at, begin) == wanted && s.new > 0.0);
    let delay = |sample: &Sample| {
        let decided = samples.iter().position(|later| later.decided >= sample.new)?;
        let before = samples[decided.checked_sub(1)?];
        Some(before.asked.saturating_duration_since(sample.at + DECISION_WAIT))
    };
    let mut delays: Vec<Duration> = arrived.filter_map(delay).collect();
    delays.sort_unstable();
    assert!(delays.len() > 50, "{} samples", delays.len());
    delays[delays.len() * 99 / 100]
}

fn stored(calls: &[Judged], wanted: impl Fn(Instant) -> bool) -> usize {
    calls.iter().filter(|judged| wanted(judged.call.at)).map(|judged| judged.stored).sum()
}

/// From the end of the outage until a second brings nine tenths of the quota.
fn recovery(calls: &[Judged], begin: Instant) -> Duration {
    let over = begin + 3 * PHASE;
    let second = |from: &Instant| {
        let to = *from + Duration::from_secs(1);
        stored(calls, |at| at >= *from && at < to) as f64 >= 0.9 * QUOTA
    };
    let starts = calls.iter().map(|judged| judged.call.at).filter(|at| *at >= over);
    let first = starts.into_iter().find(second).expect("it never recovered");
    first.duration_since(over) + Duration::from_secs(1)
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_loses_nothing_delays_no_decision_and_wastes_few_calls() {
    let moto = Moto::start().await;
    let proxy = XrayProxy::start(moto.url()).await;
    let mut node = plan(&proxy, "").alone().await;
    let seconds = 4.0 * PHASE.as_secs_f64();
    let shape = shape((LOAD * seconds / 10.0) as u64);
    let begin = Instant::now();
    let mut weather = Weather { begin, chance: 7, saved: 0.0, filled: begin };
    proxy.script(move |call| weather.judge(call));
    let config = Config { rate: Some(LOAD), ..Config::new(node.grpc()) };
    let load = Load::start(Traffic::new(shape.clone()).unwrap(), config).unwrap();
    let (end, ended) = oneshot::channel();
    let finish = async {
        let report = load.finish().await.unwrap();
        node.settled().await;
        let _ = end.send(());
        report
    };
    let (report, samples) = tokio::join!(finish, look(&node, ended));
    assert_eq!((report.acked_spans, report.failed_attempts), (shape.spans(), 0));
    let metrics = node.metrics().await;
    let quota = metrics.sum("tailgate_xray_quota_documents_per_second", &[]).unwrap();
    let (code, ledger) = node.stop().await;
    assert_eq!((code, ledger.total("lost")), (Some(0), 0), "{ledger}");
    assert_eq!(ledger.total("exported"), shape.spans());
    let found = proxy.stored(&shape).await;
    assert_eq!(found.len() as u64, shape.spans());
    assert!(found.values().all(|copies| *copies == 1), "throttled calls store nothing");

    let delays = [0, 1, 2].map(|wanted| p99_delay(&samples, begin, wanted));
    let calls = proxy.judged();
    let recovery = recovery(&calls, begin);
    // In the second phase nobody can do better than to call 1/0.7 times as often.
    let lucky = stored(&calls, |at| phase(at, begin) == 1) as f64;
    let ideal = (shape.spans() as f64 - lucky + lucky / 0.7) / 50.0;
    let made = calls.len() as f64;
    let sent: usize = calls.iter().map(|judged| judged.call.documents).sum();
    let fill = sent as f64 / made / 50.0;
    println!(
        "{made} calls, {:.2} times the ideal; {fill:.3} full; p99 of the decisions' delay {delays:?}; \
         recovered in {recovery:?}; quota {quota:.0}",
        made / ideal
    );
    assert!(made <= 1.2 * ideal && fill >= 0.9);
    assert!(recovery <= Duration::from_secs(30));
    assert!((0.7..1.4).contains(&(quota / QUOTA)), "{quota}");
    for throttled in &delays[1..] {
        assert!(*throttled <= delays[0] + Duration::from_millis(100), "{delays:?}");
    }
}
