#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;

use proptest::collection::vec;
use proptest::prelude::*;

use tailgate_common::config::Sizer;

use super::*;

const REASONS: [Reason; 3] = [Reason::REJECTED_BY_BACKEND, Reason::PERMANENT, Reason::INTERNAL];
const LINGER: Duration = Duration::from_nanos(10);

fn limits(spans: usize, traces: usize) -> BatchLimits {
    let enough_bytes = 3 * charge(1);
    BatchLimits { bytes: 1000, spans, traces, enough_spans: 8, enough_bytes, linger: LINGER }
}

fn eager() -> BatchLimits {
    BatchLimits { enough_spans: 1, ..limits(100, 10) }
}

fn queue(bytes: usize, batches: usize) -> QueueLimits {
    QueueLimits { bytes, size: None, batches, sheds: false }
}

fn kept(n: u8, spans: u32) -> Kept {
    let (fragment, value) = (Bytes::from(vec![n; 100]), Value::default());
    Kept { trace_id: TraceId([n; 16]), spans, fragment, value, why: None }
}

fn charge(traces: usize) -> usize {
    traces * (100 + ENTRY_OVERHEAD)
}

#[derive(Debug, Clone)]
enum Op {
    Offer { spans: u32 },
    Take { exporter: usize, spans: usize, traces: usize },
    Settle { exporter: usize, which: usize, losses: Vec<(usize, u32, u32, usize)> },
    Retry { exporter: usize, which: usize, delay: u64 },
    Wait(u64),
    Hurry,
    Abandon,
}

fn op() -> impl Strategy<Value = Op> {
    let loss = (0..4usize, 0..6u32, 0..6u32, 0..REASONS.len());
    prop_oneof![
        8 => (0..6u32).prop_map(|spans| Op::Offer { spans }),
        8 => (0..2usize, 1..12usize, 1..4usize)
            .prop_map(|(exporter, spans, traces)| Op::Take { exporter, spans, traces }),
        6 => (0..2usize, any::<usize>(), vec(loss, 0..3))
            .prop_map(|(exporter, which, losses)| Op::Settle { exporter, which, losses }),
        3 => (0..2usize, any::<usize>(), 0..30u64)
            .prop_map(|(exporter, which, delay)| Op::Retry { exporter, which, delay }),
        4 => (1..20u64).prop_map(Op::Wait),
        1 => Just(Op::Hurry),
        1 => Just(Op::Abandon),
    ]
}

fn size() -> impl Strategy<Value = Option<(Sizer, usize)>> {
    prop_oneof![
        Just(None),
        (1..4usize).prop_map(|n| Some((Sizer::Requests, n))),
        (1..12usize).prop_map(|n| Some((Sizer::Items, n))),
        (1..9usize).prop_map(|n| Some((Sizer::Bytes, n * charge(1) / 2))),
    ]
}

/// The obvious model: every span of every trace, and what each exporter said of it.
#[derive(Default)]
struct Model {
    traces: Vec<Trace>,
}

struct Trace {
    spans: u32,
    /// By exporter: done, and the order in which they were done with their reasons.
    done: [bool; 2],
    sent: [u64; 2],
    reasons: Vec<Option<Reason>>,
}

impl Model {
    fn finish(&mut self, exporter: usize, n: usize, lost: impl Fn(u32) -> Option<Reason>) {
        let trace = &mut self.traces[n];
        if std::mem::replace(&mut trace.done[exporter], true) {
            return;
        }
        for span in 0..trace.spans {
            let reason = lost(span);
            trace.sent[exporter] += u64::from(reason.is_none());
            let known = &mut trace.reasons[span as usize];
            *known = known.or(reason);
        }
    }

    fn counts(&self, limits: &[QueueLimits]) -> OutboxCounts {
        let queue = |limits: &QueueLimits| QueueCounts {
            capacity: limits.bytes,
            size: limits.size,
            ..Default::default()
        };
        let mut counts = OutboxCounts {
            queues: limits.iter().map(queue).collect(),
            capacity: limits.iter().map(|l| l.bytes).max().unwrap(),
            ..OutboxCounts::default()
        };
        for trace in &self.traces {
            if trace.done == [true; 2] {
                for reason in &trace.reasons {
                    match reason {
                        None => counts.exported += 1,
                        Some(reason) => *counts.lost.entry(*reason).or_default() += 1,
                    }
                }
            } else {
                counts.in_flight += u64::from(trace.spans);
                counts.bytes += charge(1);
            }
            for (exporter, queue) in counts.queues.iter_mut().enumerate() {
                if trace.done[exporter] {
                    queue.sent += trace.sent[exporter];
                    queue.failed += u64::from(trace.spans) - trace.sent[exporter];
                } else {
                    queue.bytes += charge(1);
                    queue.traces += 1;
                    queue.spans += trace.spans as usize;
                }
            }
        }
        counts
    }
}

struct Harness {
    limits: [QueueLimits; 2],
    outbox: Outbox,
    model: Model,
    now: Nanos,
    out: [Vec<Batch>; 2],
    /// By exporter: traces never taken yet.
    fresh: [VecDeque<usize>; 2],
    closed: bool,
}

impl Harness {
    /// One queue is bounded in bytes alone, the other in a unit as well.
    fn new(size: Option<(Sizer, usize)>) -> Self {
        let limits = [queue(charge(5), 2), QueueLimits { size, ..queue(charge(4), 1) }];
        Self {
            limits,
            outbox: Outbox::new(&limits),
            model: Model::default(),
            now: Nanos::ZERO,
            out: Default::default(),
            fresh: Default::default(),
            closed: false,
        }
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Offer { spans } => self.offer(spans),
            Op::Take { exporter, spans, traces } => self.take(exporter, spans, traces),
            Op::Settle { exporter, which, losses } => self.settle(exporter, which, &losses),
            Op::Retry { exporter, which, delay } => {
                let out = &mut self.out[exporter];
                if !out.is_empty() {
                    let batch = out.remove(which % out.len());
                    self.outbox.retry(batch, self.now + Duration::from_nanos(delay));
                }
            }
            Op::Wait(nanos) => self.now = self.now + Duration::from_nanos(nanos),
            Op::Hurry => self.outbox.hurry(),
            Op::Abandon => {
                self.outbox.abandon(Reason::SHUTDOWN);
                self.closed = true;
                for n in 0..self.model.traces.len() {
                    (0..2).for_each(|e| self.model.finish(e, n, |_| Some(Reason::SHUTDOWN)));
                }
                self.fresh = Default::default();
            }
        }
        assert_eq!(self.outbox.counts(), self.model.counts(&self.limits));
    }

    fn offer(&mut self, spans: u32) {
        let n = self.model.traces.len();
        let counts = self.model.counts(&self.limits);
        let fits = |q: &QueueCounts| {
            let fits = match q.size {
                Some((Sizer::Requests, most)) => q.traces < most,
                Some((Sizer::Items, most)) => q.spans < most,
                Some((Sizer::Bytes, most)) => q.bytes < most,
                None => true,
            };
            fits && q.bytes < q.capacity
        };
        let expected = !self.closed && counts.queues.iter().all(fits);
        assert_eq!(self.outbox.has_room(), expected);
        let answer = self.outbox.offer(kept(n as u8, spans), self.now);
        assert_eq!(answer.is_ok(), expected);
        if expected {
            let reasons = vec![None; spans as usize];
            self.model.traces.push(Trace { spans, done: [false; 2], sent: [0; 2], reasons });
            self.fresh.iter_mut().for_each(|fresh| fresh.push_back(n));
        }
    }

    fn take(&mut self, exporter: usize, spans: usize, traces: usize) {
        let limits = limits(spans, traces);
        let due = self.outbox.next_due(exporter, &limits);
        let Some(batch) = self.outbox.take(exporter, self.now, &limits) else {
            assert!(due.is_none_or(|due| due > self.now), "due but not given");
            return;
        };
        assert!(due.is_some_and(|due| due <= self.now), "given but not due");
        if batch.retries == 0 {
            for item in batch.items() {
                let n = self.fresh[exporter].pop_front().unwrap();
                assert_eq!(item.trace_id, TraceId([n as u8; 16]), "not first in, first out");
                assert_eq!(item.fragment, kept(n as u8, item.spans).fragment);
            }
            assert!(batch.items().len() <= traces);
            assert!(batch.items().len() == 1 || batch.spans() <= spans as u64);
        }
        self.out[exporter].push(batch);
        assert!(self.out[exporter].len() <= [2, 1][exporter]);
    }

    fn settle(&mut self, exporter: usize, which: usize, losses: &[(usize, u32, u32, usize)]) {
        let out = &mut self.out[exporter];
        if out.is_empty() {
            return;
        }
        let batch = out.remove(which % out.len());
        let losses: Vec<_> = losses
            .iter()
            .map(|(item, first, spans, r)| Loss {
                item: *item,
                first: *first,
                spans: *spans,
                reason: REASONS[*r],
            })
            .collect();
        for (at, item) in batch.items().iter().enumerate() {
            let n = usize::from(item.trace_id.0[0]);
            let hit =
                |l: &&Loss, span| l.item == at && (l.first..l.first + l.spans).contains(&span);
            self.model
                .finish(exporter, n, |span| losses.iter().find(|l| hit(l, span)).map(|l| l.reason));
        }
        self.outbox.settle(batch, &losses);
    }
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn agrees_with_the_model(size in size(), ops in vec(op(), 1..120)) {
        let mut harness = Harness::new(size);
        for op in ops {
            harness.step(op);
        }
    }
}

#[test]
fn a_full_queue_of_one_exporter_refuses_for_all() {
    let mut outbox = Outbox::new(&[queue(charge(10), 1), queue(charge(1), 1)]);
    outbox.offer(kept(1, 3), Nanos::ZERO).unwrap();
    assert_eq!(outbox.offer(kept(2, 1), Nanos::ZERO), Err(kept(2, 1)));
    let batch = outbox.take(1, Nanos::ZERO, &eager()).unwrap();
    assert!(!outbox.has_room(), "what is out is still charged");
    outbox.settle(batch, &[]);
    assert_eq!(outbox.counts().exported, 0, "the other exporter is not done");
    outbox.offer(kept(2, 1), Nanos::ZERO).unwrap();
}

#[test]
fn a_queue_is_bounded_in_its_own_unit_beside_its_bytes() {
    for (size, fits, fill) in [
        (None, 10, (charge(10), charge(10))),
        (Some((Sizer::Requests, 4)), 4, (4, 4)),
        // The last one may go over.
        (Some((Sizer::Items, 7)), 3, (9, 7)),
        (Some((Sizer::Bytes, charge(2))), 2, (charge(2), charge(2))),
        (Some((Sizer::Bytes, charge(99))), 10, (charge(10), charge(10))),
        (Some((Sizer::Requests, 99)), 10, (10, 99)),
    ] {
        let mut outbox = Outbox::new(&[QueueLimits { size, ..queue(charge(10), 1) }]);
        let taken = (0..20).take_while(|n| outbox.offer(kept(*n, 3), Nanos::ZERO).is_ok());
        assert_eq!(taken.count(), fits, "{size:?}");
        assert_eq!(outbox.counts().queues[0].fill(), fill, "{size:?}");
        let batch = outbox.take(0, Nanos::ZERO, &eager()).unwrap();
        assert!(!outbox.has_room(), "what is out still counts");
        outbox.settle(batch, &[]);
        assert!(outbox.has_room());
    }
}

#[test]
fn an_empty_queue_takes_a_trace_of_any_size() {
    let mut outbox = Outbox::new(&[queue(10, 1)]);
    outbox.offer(kept(1, 3), Nanos::ZERO).unwrap();
    assert!(outbox.offer(kept(2, 3), Nanos::ZERO).is_err());
}

#[test]
fn a_span_is_lost_once_if_any_exporter_lost_it() {
    let mut outbox = Outbox::new(&[queue(1000, 1), queue(1000, 1)]);
    outbox.offer(kept(1, 5), Nanos::ZERO).unwrap();
    let (a, b) = (outbox.take(0, Nanos::ZERO, &eager()), outbox.take(1, Nanos::ZERO, &eager()));
    let loss = |first, spans, reason| Loss { item: 0, first, spans, reason };
    outbox.settle(a.unwrap(), &[loss(1, 2, Reason::PERMANENT)]);
    assert_eq!(outbox.counts().in_flight, 5);
    outbox.settle(b.unwrap(), &[loss(2, 9, Reason::REJECTED_BY_BACKEND)]);
    let counts = outbox.counts();
    assert_eq!((counts.exported, counts.in_flight, counts.bytes), (1, 0, 0));
    let lost = [(Reason::PERMANENT, 2), (Reason::REJECTED_BY_BACKEND, 2)];
    assert_eq!(counts.lost, BTreeMap::from(lost));
    assert_eq!((counts.queues[0].sent, counts.queues[0].failed), (3, 2));
    assert_eq!((counts.queues[1].sent, counts.queues[1].failed), (2, 3));
}

#[test]
fn lingers_for_more_but_not_when_hurried() {
    let mut outbox = Outbox::new(&[queue(9999, 2)]);
    outbox.offer(kept(1, 5), Nanos(1)).unwrap();
    assert!(outbox.take(0, Nanos(1), &limits(10, 3)).is_none());
    assert_eq!(outbox.next_due(0, &limits(10, 3)), Some(Nanos(11)));
    assert!(outbox.take(0, Nanos(11), &limits(10, 3)).is_some());
    outbox.offer(kept(2, 5), Nanos(12)).unwrap();
    outbox.hurry();
    assert!(outbox.take(0, Nanos(12), &limits(10, 3)).is_some());
}

#[test]
fn a_retry_comes_first_and_bars_the_way() {
    let mut outbox = Outbox::new(&[queue(9999, 1)]);
    outbox.offer(kept(1, 1), Nanos::ZERO).unwrap();
    let batch = outbox.take(0, Nanos::ZERO, &eager()).unwrap();
    outbox.offer(kept(2, 1), Nanos::ZERO).unwrap();
    outbox.retry(batch, Nanos(50));
    assert!(outbox.take(0, Nanos(49), &eager()).is_none());
    let batch = outbox.take(0, Nanos(50), &eager()).unwrap();
    assert_eq!((batch.items()[0].trace_id, batch.retries), (TraceId([1; 16]), 1));
}

#[test]
fn a_full_queue_gives_up_what_is_worth_least() {
    let sheds = |bytes| QueueLimits { sheds: true, ..queue(bytes, 2) };
    let mut outbox = Outbox::new(&[sheds(charge(4)), queue(charge(99), 2)]);
    for (n, value) in Value::ALL.into_iter().enumerate() {
        assert!(!outbox.sheds(), "there is room");
        outbox.offer(Kept { value, ..kept(n as u8, 2) }, Nanos::ZERO).unwrap();
    }
    assert!(outbox.sheds() && outbox.offer(kept(9, 1), Nanos::ZERO).is_err());
    assert_eq!([Value::Chance, Value::Chance, Value::Policy].map(|v| outbox.shed(v)), [2, 0, 0]);
    assert!(outbox.has_room(), "and nothing more is given up");
    let counts = outbox.counts();
    assert_eq!((counts.in_flight, counts.queues[0].shed, counts.queues[0].traces), (8, 2, 3));
    assert_eq!((counts.queues[1].shed, counts.queues[1].traces), (0, 4), "the other has it yet");
    outbox.abandon(Reason::SHUTDOWN);
    let lost = [(Reason::QUEUE_FULL, 2), (Reason::SHUTDOWN, 6)];
    assert_eq!(outbox.counts().lost, lost.into());
}
