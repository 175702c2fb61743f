#![allow(clippy::unwrap_used)]

use super::*;
use crate::ledger::Record;
use crate::traffic::Shape;

fn shape() -> Shape {
    Shape { traces: 200, errors_per_mille: 200, ..Shape::default() }
}

fn errors(trace: &Trace) -> Keep {
    if trace.error.is_some() { Keep::Yes } else { Keep::No }
}

/// A run in which all was acked, and a sink that has exactly what `keep` keeps.
fn run(keep: impl Fn(&Trace) -> Keep) -> (Ledger, Received) {
    let traffic = Traffic::new(shape()).unwrap();
    let record = |seq| Record { seq, attempts: 1, outcome: Outcome::Acked };
    let records = (0..traffic.requests()).map(record).collect();
    let mut received = Received::default();
    for seq in 0..traffic.requests() {
        let spans = traffic.spans(seq).filter(|(trace, _)| keep(trace) == Keep::Yes);
        received.extend(spans.map(|(trace, index)| traffic.shape().key(&trace, index)));
    }
    (Ledger { shape: shape(), begun: u64::MAX, records }, received)
}

fn first(chosen: impl Fn(&Trace) -> bool) -> Trace {
    (0..200).map(|n| shape().trace(n)).find(chosen).unwrap()
}

#[test]
fn a_faultless_run_is_clean() {
    let (ledger, received) = run(errors);
    let verdict = check(&ledger, &[received], errors).unwrap();
    verdict.clean().unwrap();
    assert_eq!(verdict.acked, 2_400);
    assert!(verdict.received > 200 && verdict.received.is_multiple_of(12), "{verdict}");
}

#[test]
fn canary_one_missing_span_is_a_loss_and_a_split() {
    let (ledger, mut received) = run(errors);
    let victim = shape().key(&first(|t| t.error.is_some()), 7);
    received.remove(&victim).unwrap();
    let verdict = check(&ledger, &[received.clone()], errors).unwrap();
    assert_eq!((verdict.lost.as_slice(), verdict.split.len()), ([victim].as_slice(), 1));
    let told = verdict.clean().unwrap_err().to_string();
    assert!(told.contains("L = 1") && told.contains(&victim.to_string()), "{told}");
    assert!(verdict.except(&["S"]).is_err());
    assert!(verdict.except(&["L", "S"]).is_ok());
    let either = check(&ledger, &[received], |_| Keep::Either).unwrap();
    assert_eq!(either.lost, [victim]);
}

#[test]
fn canary_a_whole_trace_missing_is_a_loss_if_the_policy_keeps_it() {
    let (ledger, mut received) = run(errors);
    let trace = first(|t| t.error.is_some());
    (0..12).for_each(|n| assert_eq!(received.remove(&shape().key(&trace, n)), Some(1)));
    let verdict = check(&ledger, &[received.clone()], errors).unwrap();
    assert_eq!((verdict.lost.len(), verdict.split.len()), (12, 0));
    check(&ledger, &[received], |_| Keep::Either).unwrap().clean().unwrap();
}

#[test]
fn what_was_not_acked_may_be_missing_or_not() {
    for outcome in [Outcome::Unknown("x".into()), Outcome::Rejected("x".into())] {
        let (mut ledger, mut received) = run(|_| Keep::Yes);
        ledger.records[3].outcome = outcome;
        check(&ledger, &[received.clone()], |_| Keep::Yes).unwrap().clean().unwrap();
        let traffic = Traffic::new(shape()).unwrap();
        for (trace, index) in traffic.spans(ledger.records[3].seq) {
            received.remove(&shape().key(&trace, index)).unwrap();
        }
        let verdict = check(&ledger, &[received.clone()], |_| Keep::Yes).unwrap();
        verdict.clean().unwrap();
        assert_eq!(verdict.unknown + verdict.rejected, 60);
        // Nor is a request that was never recorded as ended.
        ledger.records.remove(3);
        check(&ledger, &[received], |_| Keep::Yes).unwrap().clean().unwrap();
    }
}

#[test]
fn canary_duplicates_strangers_and_unwanted_spans_are_found() {
    let (ledger, clean) = run(errors);
    let kept = shape().key(&first(|t| t.error.is_some()), 0);
    let dropped = shape().key(&first(|t| t.error.is_none()), 0);
    let stranger = SpanKey { trace: [9; 16], span: [9; 8] };
    for (key, letter) in [(kept, "D = 1"), (dropped, "U = 1"), (stranger, "F = 1")] {
        let mut received = clean.clone();
        received.add(key);
        let verdict = check(&ledger, &[received], errors).unwrap();
        let told = verdict.clean().unwrap_err().to_string();
        assert!(told.contains(letter) && told.contains(&key.to_string()), "{told}");
    }
}

#[test]
fn canary_a_trace_at_two_sinks_is_split() {
    let (ledger, mut received) = run(|_| Keep::Yes);
    let key = shape().key(&shape().trace(5), 4);
    received.remove(&key);
    let mut other = Received::default();
    other.add(key);
    let verdict = check(&ledger, &[received, other], |_| Keep::Yes).unwrap();
    assert_eq!(verdict.split, [key.trace]);
    assert!(verdict.lost.is_empty() && verdict.duplicated.is_empty());
}
