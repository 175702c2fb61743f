//! The buffer alone: capacity, compaction, growth. What it promises as a whole is shown by the simulation.
#![allow(clippy::unwrap_used)]

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use tailgate_common::clock::Nanos;
use tailgate_common::limit::ByteBudget;
use tailgate_policy::{Options, PolicyConfig, Program, Rule};
use tailgate_proto::wire::put_len;
use tailgate_proto::{Limits, ScanError};

use super::buffer::{Buffer, SHARDS, totals};
use super::counts::Early;
use super::outbox::{Kept, WhyKept};
use super::shard::{Outlet, Role, Settings};

#[derive(Default)]
struct Sink(RefCell<Vec<Kept>>);

impl Outlet for Sink {
    fn has_room(&self) -> bool {
        true
    }

    fn offer(&self, _: Nanos, kept: Kept) -> Result<(), Kept> {
        self.0.borrow_mut().push(kept);
        Ok(())
    }
}

fn span(trace: u32, span: u32, padding: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut id = [1; 16];
    id[..4].copy_from_slice(&trace.to_be_bytes());
    put_len(&mut out, 1, &id);
    let mut id = [1; 8];
    id[..4].copy_from_slice(&span.to_be_bytes());
    put_len(&mut out, 2, &id);
    put_len(&mut out, 5, &vec![b'x'; padding]);
    out
}

fn request(resource: usize, spans: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut scope = Vec::new();
    spans.for_each(|span| put_len(&mut scope, 2, &span));
    let mut group = Vec::new();
    put_len(&mut group, 3, &vec![b'u'; resource]);
    put_len(&mut group, 2, &scope);
    let mut out = Vec::new();
    put_len(&mut out, 1, &group);
    out
}

fn buffer(budget: &ByteBudget, sampled: bool) -> Buffer {
    telling(budget, sampled, false)
}

fn telling(budget: &ByteBudget, sampled: bool, tell_why: bool) -> Buffer {
    let rule = match sampled {
        true => Rule::AlwaysSample,
        false => Rule::SpanCount { min_spans: 1_000_000, max_spans: 0 },
    };
    let policies = [PolicyConfig { name: "all".to_owned(), rule }];
    let program = Arc::new(Program::compile(&policies, Options::default()).unwrap());
    let decision_wait = Duration::from_secs(10);
    let settings = Settings { decision_wait, tell_why, ..Settings::default() };
    Buffer::new(&settings, &program, budget)
}

fn arrive(buffer: &Buffer, request: &[u8], out: &Sink) -> Result<u32, ScanError> {
    let limits = Limits::default();
    let outcome = buffer.arrive(Nanos(1), Role::Owner, request, &limits, out)?;
    Ok(outcome.arrived.refused)
}

#[test]
fn what_is_not_kept_gives_its_memory_back() {
    let (budget, sink) = (ByteBudget::new(64 << 20), Sink::default());
    let buffer = buffer(&budget, false);
    for trace in 0..5_000 {
        let request = request(100, (0..4).map(|n| span(trace, n, 400)));
        assert_eq!(arrive(&buffer, &request, &sink), Ok(0));
    }
    let held = budget.used();
    let (live, capacity) = sum_bytes(&buffer);
    assert!(live > 5_000 * 4 * 400 && capacity <= held && held < 2 * live, "{live} {held}");
    tick(&buffer, Duration::from_secs(11), &sink);
    assert_eq!(sum_bytes(&buffer), (0, 0));
    tick(&buffer, Duration::from_secs(80), &sink);
    assert_eq!(budget.used(), 0, "hashes and entries are forgotten too");
    assert!(sink.0.borrow().is_empty());
}

#[test]
fn sparse_segments_are_rewritten() {
    let (budget, sink) = (ByteBudget::new(256 << 20), Sink::default());
    let buffer = buffer(&budget, true);
    for trace in 0..20_000 {
        let request = request(10, (0..2).map(|n| span(trace, n, 1_000)));
        assert_eq!(arrive(&buffer, &request, &sink), Ok(0));
    }
    let (_, full) = sum_bytes(&buffer);
    // Of each shard's traces the older ones go, all but the last of each segment or so: decided early, one by one.
    for index in 0..SHARDS {
        let mut shard = buffer.shard(index);
        let goes = shard.undecided() * 9 / 10;
        (0..goes).for_each(|_| assert!(shard.decide_oldest(Nanos(2), Early::Memory, &sink)));
    }
    for _ in 0..200 {
        tick(&buffer, Duration::from_secs(1), &sink);
    }
    let (live, capacity) = sum_bytes(&buffer);
    assert!(capacity < full / 3 && live > 0, "{capacity} of {full} for {live}");
    tick(&buffer, Duration::from_secs(11), &sink);
    let spans: u32 = sink.0.borrow().iter().map(|kept| kept.spans).sum();
    assert_eq!(spans, 40_000, "rewriting loses nothing");
}

#[test]
fn a_request_must_not_grow_by_its_resource() {
    let (budget, sink) = (ByteBudget::new(1 << 30), Sink::default());
    let buffer = buffer(&budget, true);
    let bomb = request(60_000, (0..2_000).map(|trace| span(trace, 0, 1)));
    assert!(matches!(arrive(&buffer, &bomb, &sink), Err(ScanError::Headers { .. })));
    let one_trace = request(60_000, (0..2_000).map(|n| span(1, n, 1)));
    assert_eq!(arrive(&buffer, &one_trace, &sink), Ok(0));
}

#[test]
fn a_trace_that_is_too_large_is_decided_and_followed() {
    let (budget, sink) = (ByteBudget::new(1 << 30), Sink::default());
    let buffer = buffer(&budget, true);
    for n in 0..50 {
        let request = request(10, (0..10).map(|m| span(1, n * 10 + m, 100_000)));
        assert_eq!(arrive(&buffer, &request, &sink), Ok(0));
    }
    let (counts, held) = totals(&buffer.lock_all());
    assert_eq!(counts.decided_early[Early::TraceSize as usize], 1);
    assert_eq!((counts.received, counts.passed_on, held), (500, 500, 0));
}

#[test]
fn kept_and_late_spans_say_why_if_asked() {
    for tell_why in [false, true] {
        let (budget, sink) = (ByteBudget::new(1 << 30), Sink::default());
        let buffer = telling(&budget, true, tell_why);
        let spans = |n| request(10, std::iter::once(span(1, n, 10)));
        assert_eq!(arrive(&buffer, &spans(1), &sink), Ok(0));
        tick(&buffer, Duration::from_secs(20), &sink);
        assert_eq!(arrive(&buffer, &spans(2), &sink), Ok(0));
        let all = WhyKept { policy: "all".to_owned(), by_chance: false, adjusted_count: 1.0 };
        let want = tell_why.then_some(&all);
        let kept = sink.0.borrow();
        assert_eq!(kept.iter().map(|kept| kept.why.as_deref()).collect::<Vec<_>>(), [want; 2]);
    }
}

fn tick(buffer: &Buffer, at: Duration, out: &Sink) {
    for index in 0..SHARDS {
        while buffer.shard(index).tick(at.into(), out).more {}
    }
}

fn sum_bytes(buffer: &Buffer) -> (u64, u64) {
    let shards = buffer.lock_all();
    shards.iter().map(|shard| shard.bytes()).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
}
