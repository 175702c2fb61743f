#![allow(clippy::unwrap_used)]

mod otlp;
mod sizes;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tailgate_common::clock::SystemClock;
use tailgate_policy::Value;
use tailgate_proto::TraceId;

use super::*;
use crate::core::outbox::Kept;

/// Tests wait at most this long for anything.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn span(trace: u32, number: u32, name: impl Into<String>) -> Span {
    Span {
        trace_id: TraceId::of(trace).0.to_vec(),
        span_id: (u64::from(trace) << 32 | u64::from(number + 1)).to_be_bytes().to_vec(),
        name: name.into(),
        kind: 1,
        start_time_unix_nano: 1_700_000_000_000_000_000,
        end_time_unix_nano: 1_700_000_000_500_000_000,
        ..Span::default()
    }
}

pub(super) trait Numbered {
    fn of(number: u32) -> Self;
}

impl Numbered for TraceId {
    fn of(number: u32) -> Self {
        let mut id = [0x11; 16];
        id[12..].copy_from_slice(&number.to_be_bytes());
        TraceId(id)
    }
}

pub(super) fn fragment(spans: Vec<Span>) -> Bytes {
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec().into()
}

pub(super) fn kept(trace: u32, spans: u32) -> Kept {
    let fragment = fragment((0..spans).map(|n| span(trace, n, "work")).collect());
    Kept { trace_id: TraceId::of(trace), spans, fragment, value: Value::default(), why: None }
}

/// Retries at once, for ever.
pub(super) fn eager() -> Retry {
    Retry {
        initial_interval: Duration::from_millis(2),
        max_interval: Duration::from_millis(20),
        ..Retry::default()
    }
}

pub(super) fn start(name: &str, exporter: impl Exporter, consumers: usize) -> Exports {
    let queue = QueueSettings { consumers, ..QueueSettings::default() };
    Builder::new().add(name, exporter, queue, eager()).start(Arc::new(SystemClock::new()))
}

pub(super) async fn until(what: &str, condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < PATIENCE, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Dies on one trace, and takes all others.
struct Mortal;

impl Exporter for Mortal {
    type Job = super::nop::NothingLeft;

    fn limits(&self) -> BatchLimits {
        BatchLimits { traces: 1, ..super::nop::WHATEVER }
    }

    fn prepare(&self, batch: &Batch) -> Self::Job {
        assert!(batch.items()[0].trace_id != TraceId::of(1), "killed by its batch");
        super::nop::NothingLeft
    }

    async fn attempt(&self, _: &mut Self::Job) -> Attempt {
        Attempt::Done
    }
}

#[tokio::test]
async fn a_batch_that_kills_its_task_is_lost_alone() {
    let exports = start("mortal", Mortal, 2);
    for trace in 0..3 {
        exports.offer(kept(trace, 4)).unwrap();
    }
    until("all settled", || exports.counts().in_flight == 0).await;
    let counts = exports.counts();
    assert_eq!((counts.exported, counts.lost), (8, [(Reason::INTERNAL, 4)].into()));
}

/// Never answers.
struct Deaf;

impl Exporter for Deaf {
    type Job = DeafJob;

    fn limits(&self) -> BatchLimits {
        BatchLimits { traces: 2, ..super::nop::WHATEVER }
    }

    fn prepare(&self, batch: &Batch) -> DeafJob {
        DeafJob(batch.lost(Reason::INTERNAL))
    }

    async fn attempt(&self, _: &mut DeafJob) -> Attempt {
        std::future::pending().await
    }
}

struct DeafJob(Vec<Loss>);

impl Job for DeafJob {
    fn losses(self, rest: Reason) -> Vec<Loss> {
        self.0.into_iter().map(|loss| Loss { reason: rest, ..loss }).collect()
    }
}

#[tokio::test]
async fn drain_ends_in_time_and_counts_what_is_left() {
    let queue = QueueSettings { consumers: 2, ..QueueSettings::default() };
    let both = Builder::new()
        .add("deaf", Deaf, queue, eager())
        .add("nop", NopExporter, queue, eager())
        .start(Arc::new(SystemClock::new()));
    for trace in 0..10 {
        both.offer(kept(trace, 3)).unwrap();
    }
    until("nop is done", || both.counts().queues[1].sent == 30).await;
    assert_eq!((both.counts().in_flight, both.counts().exported), (30, 0));
    let counts = both.drain(Duration::from_millis(50)).await;
    assert_eq!((counts.exported, counts.in_flight, counts.bytes), (0, 0, 0));
    assert_eq!(counts.lost, [(Reason::SHUTDOWN, 30)].into());
    assert_eq!((counts.queues[0].failed, counts.queues[1].failed), (30, 0));
    assert!(both.offer(kept(99, 1)).is_err(), "all is over");
}

#[tokio::test]
async fn drain_returns_as_soon_as_all_is_sent() {
    let exports = start("debug", DebugExporter::new("debug"), 1);
    exports.offer(kept(1, 7)).unwrap();
    let begin = Instant::now();
    assert_eq!(exports.drain(PATIENCE).await.exported, 7);
    assert!(begin.elapsed() < PATIENCE);
}

#[tokio::test]
async fn a_file_has_one_line_per_batch() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.json");
    std::fs::write(&path, "old\n").unwrap();
    for (append, lines) in [(false, 1), (true, 2)] {
        let file = FileExporter::open(&FileSettings { path: path.clone(), append }).unwrap();
        let exports = start("file", file, 1);
        exports.offer(kept(1, 2)).unwrap();
        exports.offer(kept(2, 3)).unwrap();
        assert_eq!(exports.drain(PATIENCE).await.exported, 5);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.ends_with('\n') && text.lines().count() == lines, "{text}");
        for line in text.lines() {
            let request: ExportTraceServiceRequest = serde_json::from_str(line).unwrap();
            let scopes = request.resource_spans.iter().flat_map(|r| &r.scope_spans);
            let spans: Vec<_> = scopes.flat_map(|s| s.spans.clone()).collect();
            let expected =
                (0..2).map(|n| span(1, n, "work")).chain((0..3).map(|n| span(2, n, "work")));
            let expected: Vec<_> = expected.collect();
            let ids = |spans: &[Span]| spans.iter().map(|s| s.span_id.clone()).collect::<Vec<_>>();
            assert_eq!(ids(&spans), ids(&expected));
        }
    }
    let nowhere = FileSettings { path: dir.path().join("no/where"), append: false };
    assert!(FileExporter::open(&nowhere).unwrap_err().to_string().contains("no/where"));
}

/// `/dev/full` takes nothing: tried again until time is over, then lost.
#[tokio::test]
async fn a_file_that_cannot_be_written_is_tried_again() {
    let full = FileSettings { path: "/dev/full".into(), append: true };
    let file = FileExporter::open(&full).unwrap();
    let brief = Retry { max_elapsed_time: Duration::from_secs(2), ..eager() };
    let exports = Builder::new()
        .add("file", file, QueueSettings::default(), brief)
        .start(Arc::new(SystemClock::new()));
    exports.offer(kept(1, 2)).unwrap();
    until("an error is reported", || exports.status()[0].failure.is_some()).await;
    until("given up", || exports.counts().in_flight == 0).await;
    assert_eq!(exports.counts().lost, [(Reason::RETRIES_EXHAUSTED, 2)].into());
    until("the error is gone", || exports.status()[0].failure.is_none()).await;
}
