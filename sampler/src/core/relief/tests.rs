//! The buffer and the outbox together, while no backend takes anything.
#![allow(clippy::unwrap_used)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use tailgate_common::limit::ByteBudget;
use tailgate_policy::{Options, PolicyConfig, Program, Rule};
use tailgate_proto::Limits;

use super::super::buffer::totals;
use super::super::counts::Counts;
use super::super::outbox::{BatchLimits, Outbox, OutboxCounts, QueueLimits, Reason};
use super::super::shard::{Role, Settings};
use super::*;

/// Budget of the buffer, and bytes of a trace: as many as fit before new ones are refused.
const MEMORY: u64 = 32 << 20;
const TRACE: usize = 4_000;
const QUEUE: usize = 400_000;

struct Sampler {
    budget: ByteBudget,
    buffer: Buffer,
    out: RefCell<Outbox>,
    now: Nanos,
    /// Traces taken, by what they are worth.
    taken: BTreeMap<Value, u64>,
}

impl Sampler {
    fn new(memory: u64, sheds: bool) -> Self {
        let rules = [
            ("errors", Rule::StatusCode { status_codes: vec!["ERROR".to_owned()] }),
            ("slow", Rule::Latency { threshold_ms: 1_000, upper_threshold_ms: 0 }),
            ("two", Rule::SpanCount { min_spans: 2, max_spans: 0 }),
            ("all", Rule::AlwaysSample),
        ];
        let policies = rules.map(|(name, rule)| PolicyConfig { name: name.to_owned(), rule });
        let program = Arc::new(Program::compile(&policies, Options::default()).unwrap());
        let settings = Settings { decision_wait: Duration::from_secs(2), ..Settings::default() };
        let budget = ByteBudget::new(memory);
        let buffer = Buffer::new(&settings, &program, &budget);
        let limits = QueueLimits { bytes: QUEUE, size: None, batches: 2, sheds };
        let out = RefCell::new(Outbox::new(&[limits]));
        Sampler { budget, buffer, out, now: Nanos(1), taken: BTreeMap::new() }
    }

    /// A trace of this value; whether it was taken.
    fn arrive(&mut self, number: u32, value: Value) -> bool {
        self.arrive_with(number, value, TRACE)
    }

    fn arrive_with(&mut self, number: u32, value: Value, bytes: usize) -> bool {
        let mut trace_id = [1; 16];
        trace_id[..4].copy_from_slice(&number.to_be_bytes());
        let spans = if value == Value::Policy { 2 } else { 1 };
        let span = |n: u8| Span {
            trace_id: trace_id.to_vec(),
            span_id: vec![n + 1; 8],
            name: "x".repeat(bytes / usize::from(spans)),
            start_time_unix_nano: 1,
            end_time_unix_nano: if value == Value::Slow { 2_000_000_001 } else { 2 },
            status: (value == Value::Error).then(|| Status { code: 2, ..Status::default() }),
            ..Span::default()
        };
        let scope = ScopeSpans { spans: (0..spans).map(span).collect(), ..ScopeSpans::default() };
        let group = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
        let request = ExportTraceServiceRequest { resource_spans: vec![group] }.encode_to_vec();
        let limits = Limits::default();
        let role = Role::Owner;
        let outcome = self.buffer.arrive(self.now, role, &request, &limits, &self.out).unwrap();
        let taken = outcome.arrived.refused == 0;
        *self.taken.entry(value).or_default() += u64::from(taken);
        taken
    }

    /// Decides what is due, and relieves memory until there is no more to do.
    fn tick(&mut self, wait: Duration) -> Relief {
        self.now = self.now + wait;
        self.buffer.each(|shard| {
            while shard.tick(self.now, &self.out).more {}
            false
        });
        let mut all = Relief { more: true, ..Relief::default() };
        while all.more {
            let relief = self.buffer.relieve(self.now, &self.out);
            all = Relief { shed: all.shed || relief.shed, ..relief };
        }
        all
    }

    /// The backend takes everything; how many traces of each value.
    fn export(&mut self) -> BTreeMap<Value, u64> {
        let limits = BatchLimits {
            bytes: QUEUE,
            spans: 1_000,
            traces: 1_000,
            enough_spans: 1,
            enough_bytes: 1,
            linger: Duration::ZERO,
        };
        let mut exported = BTreeMap::new();
        loop {
            let batch = self.out.borrow_mut().take(0, self.now, &limits);
            let Some(batch) = batch else { break };
            for item in batch.items() {
                *exported.entry(worth(&item.fragment)).or_default() += 1;
            }
            self.out.borrow_mut().settle(batch, &[]);
            self.tick(Duration::ZERO);
        }
        exported
    }

    fn counts(&self) -> (Counts, OutboxCounts, u64) {
        let (counts, held) = totals(&self.buffer.lock_all());
        (counts, self.out.borrow().counts(), held)
    }
}

/// What a trace was made to be worth.
fn worth(fragment: &[u8]) -> Value {
    let request = ExportTraceServiceRequest::decode(fragment).unwrap();
    let spans: Vec<_> = request.resource_spans.iter().flat_map(|g| &g.scope_spans).collect();
    let spans: Vec<_> = spans.iter().flat_map(|scope| &scope.spans).collect();
    match spans[..] {
        [span] if span.status.is_some() => Value::Error,
        [span] if span.end_time_unix_nano > 2 => Value::Slow,
        [_] => Value::Chance,
        _ => Value::Policy,
    }
}

/// Of each hundred traces so many are of each value, mixed.
fn mixed(number: u32, mix: [u32; 4]) -> Value {
    let mut place = number.wrapping_mul(37) % 100;
    for (value, part) in Value::ALL.into_iter().zip(mix) {
        if place < part {
            return value;
        }
        place -= part;
    }
    Value::Error
}

#[test]
fn nothing_goes_before_all_that_is_worth_less() {
    let mut reached = BTreeMap::new();
    for mix in [[40, 20, 20, 20], [2, 40, 38, 20], [2, 2, 50, 46], [1, 1, 1, 97]] {
        let mut sampler = Sampler::new(MEMORY, true);
        let fits = |number: &u32| sampler.arrive(*number, mixed(*number, mix));
        assert!((0..).take_while(fits).count() > 5_000);
        let relief = sampler.tick(Duration::from_secs(11));
        assert!(relief.shed && relief.pressure && !relief.more, "{relief:?}");
        assert!(sampler.budget.used() <= MEMORY / 10 * SHORT_TENTHS);
        let lost_here = sampler.counts().0.lost_queue_full;

        let exported = sampler.export();
        assert!(!sampler.tick(Duration::ZERO).pressure);
        let out = |value| exported.get(&value).copied().unwrap_or_default();
        let lost = |value| sampler.taken[&value] - out(value);
        for (n, value) in Value::ALL.into_iter().enumerate() {
            if lost(value) > 0 {
                let less: Vec<_> = Value::ALL[..n].iter().map(|value| out(*value)).collect();
                assert!(less.iter().all(|out| *out == 0), "{mix:?}: {value:?} lost, out: {less:?}");
                *reached.entry(value).or_insert(0) += 1;
            }
        }
        // No more goes than has to: a tenth of the memory, but in segments that are to become sparse first.
        let traces: u64 = Value::ALL.into_iter().map(lost).sum();
        assert!(traces < sampler.taken.values().sum::<u64>() / 3, "{traces}");
        let spans = traces + lost(Value::Policy);
        let (counts, outbox, held) = sampler.counts();
        let in_queue = outbox.lost.get(&Reason::QUEUE_FULL).copied().unwrap_or_default();
        assert_eq!(counts.lost_queue_full, lost_here, "nothing is given up any more");
        assert_eq!((counts.lost_queue_full + in_queue, held), (spans, 0));
        assert_eq!(counts.incoming(), counts.outgoing());
    }
    assert_eq!(reached.len(), 4, "each value was given up somewhere: {reached:?}");
}

#[test]
fn nothing_goes_while_there_is_memory() {
    let mut sampler = Sampler::new(2 * MEMORY, true);
    for number in 0..6_000 {
        assert!(sampler.arrive(number, mixed(number, [40, 20, 20, 20])));
    }
    let relief = sampler.tick(Duration::from_secs(11));
    assert_eq!(relief, Relief { more: false, shed: false, pressure: true });
    assert_eq!(sampler.export().values().sum::<u64>(), 6_000);
}

#[test]
fn a_queue_that_is_to_block_closes_the_door() {
    let mut sampler = Sampler::new(MEMORY, false);
    let (mut number, mut taken) = (0, 0);
    for _ in 0..5 {
        while sampler.arrive(number, Value::Chance) {
            (number, taken) = (number + 1, taken + 1);
        }
        number += 1;
        assert!(!sampler.tick(Duration::from_secs(11)).shed);
    }
    assert_eq!(sampler.export().values().sum::<u64>(), taken);
    assert!(sampler.arrive(number, Value::Chance), "the door is open again");
}

/// A trace that is out already, and then so many others of this value that the queue is full.
fn out_and_full(forgotten: bool, worth: Value, memory: u64) -> Sampler {
    let mut sampler = Sampler::new(memory, true);
    assert!(sampler.arrive(0, Value::Slow));
    sampler.tick(Duration::from_secs(11));
    assert_eq!(sampler.export()[&Value::Slow], 1);
    // Its hashes are forgotten, the decision is not.
    sampler.tick(Duration::from_secs(if forgotten { 70 } else { 1 }));
    (1..6_000).take_while(|number| sampler.arrive(*number, worth)).for_each(drop);
    // They are kept, but memory is not relieved yet.
    sampler.now = sampler.now + Duration::from_secs(11);
    sampler.buffer.each(|shard| {
        while shard.tick(sampler.now, &sampler.out).more {}
        false
    });
    assert!(sampler.out.sheds(), "the queue is full");
    sampler
}

#[test]
fn late_spans_wait_as_others_do() {
    let mut sampler = out_and_full(false, Value::Chance, 2 * MEMORY);
    for _ in 0..2 {
        assert!(
            sampler.arrive(0, Value::Policy),
            "never refused; the second time they are duplicates"
        );
    }
    let (counts, outbox, held) = sampler.counts();
    assert_eq!((counts.late, counts.deduplicated), (2, 2));
    assert_eq!((counts.lost_queue_full, outbox.lost.len()), (0, 0));
    assert_eq!(counts.incoming(), counts.outgoing() + held);
    let exported = sampler.export();
    assert_eq!((exported[&Value::Policy], exported[&Value::Chance]), (1, 5_999));
    sampler.tick(Duration::from_secs(200));
    assert_eq!(sampler.budget.used(), 0, "all is forgotten");
}

#[test]
fn spans_that_come_very_late_take_the_place_of_what_only_chance_keeps() {
    for (worth, out, lost) in [(Value::Chance, 2, 0), (Value::Slow, 0, 2)] {
        let mut sampler = out_and_full(true, worth, MEMORY);
        let before = sampler.counts().0;
        assert!(sampler.arrive(0, Value::Policy), "never refused");
        let after = sampler.counts().0;
        let did = (after.passed_on - before.passed_on, after.lost_queue_full);
        assert_eq!(did, (out, lost));
    }
}

/// Large traces, little memory, and nothing goes out for long; also when the memory is full of traces that are not
/// decided yet.
#[test]
fn what_is_worth_most_stays_as_long_as_there_is_anything_else() {
    const LARGE: usize = 26_000;
    for (burst, every) in [(12, 1), (1_500, 125)] {
        let mut sampler = Sampler::new(MEMORY, true);
        let (mut number, mut due) = (0, 0);
        for step in 0..250 {
            due += if step % every == 0 { burst } else { 0 };
            while number < due {
                let value = if number % 10 == 0 { Value::Error } else { Value::Chance };
                if !sampler.arrive_with(number, value, LARGE) {
                    break;
                }
                number += 1;
            }
            sampler.tick(Duration::from_millis(100));
        }
        assert_eq!(number, 3_000, "all were taken");
        sampler.tick(Duration::from_secs(3));
        let exported = sampler.export();
        assert_eq!(exported[&Value::Error], 300, "{burst}: {exported:?}");
        assert!(exported[&Value::Chance] > 300, "{burst}: {exported:?}");
    }
}
