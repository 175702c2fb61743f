//! Fold and finish against an obvious evaluator over decoded spans: any policies, any spans, in any
//! order, over any records and nodes.
#![allow(clippy::unwrap_used)]

mod common;
mod evaluator;
mod generate;

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use proptest::prelude::*;
use proptest::sample::Index;
use prost::Message;
use tailgate_policy::{Facts, Options, Outcome, PolicyConfig, Program, Tally, Value};
use tailgate_proto::TraceId;
use tailgate_proto::view::{ResourceView, SpanView};

use generate::{Piece, TRACE, pieces, policies};

/// One record: the spans of each resource together.
fn encode(record: &[Piece]) -> Vec<u8> {
    let mut resources: Vec<ResourceSpans> = Vec::new();
    for piece in record {
        let resource = Some(piece.resource.clone());
        let known = resources.iter().position(|known| known.resource == resource);
        let n = known.unwrap_or_else(|| {
            let scope = ScopeSpans::default();
            resources.push(ResourceSpans {
                resource,
                scope_spans: vec![scope],
                ..Default::default()
            });
            resources.len() - 1
        });
        resources[n].scope_spans[0].spans.push(piece.span.clone());
    }
    ExportTraceServiceRequest { resource_spans: resources }.encode_to_vec()
}

/// The facts of each record on its own.
fn fold_apart(program: &Program, records: &[Vec<Piece>]) -> Vec<Facts> {
    let fold = |record: &Vec<Piece>| {
        let mut traces = BTreeMap::from([(TRACE, program.new_facts())]);
        common::fold(program, &encode(record), &mut traces);
        traces[&TRACE]
    };
    records.iter().map(fold).collect()
}

fn join_all(program: &Program, parts: &[Facts]) -> Facts {
    parts.iter().fold(program.new_facts(), |mut all, part| {
        all.join(part);
        all
    })
}

fn compile(policies: &[PolicyConfig], first_match: bool) -> Program {
    let options = Options { sample_on_first_match: first_match, version: 3 };
    Program::compile(policies, options).unwrap()
}

/// Cuts the pieces into records at the given places.
fn cut(mut pieces: Vec<Piece>, cuts: &[Index]) -> Vec<Vec<Piece>> {
    let mut records = Vec::new();
    for cut in cuts {
        records.push(pieces.split_off(cut.index(pieces.len() + 1)));
    }
    records.push(pieces);
    records
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn decides_as_the_evaluator(
        policies in policies(),
        first_match in any::<bool>(),
        (pieces, shuffled) in pieces().prop_flat_map(|p| (Just(p.clone()), Just(p).prop_shuffle())),
        cuts in prop::collection::vec(any::<Index>(), 0..4),
        first in any::<Index>(),
    ) {
        let program = compile(&policies, first_match);
        let mut parts = fold_apart(&program, &cut(shuffled, &cuts));
        let facts = join_all(&program, &parts);

        // Any other order, and all in one record, give the same facts.
        let n = parts.len();
        parts.rotate_left(first.index(n));
        prop_assert_eq!(join_all(&program, &parts), facts);
        prop_assert_eq!(fold_apart(&program, std::slice::from_ref(&pieces))[0], facts);

        prop_assert_eq!(facts.spans() as usize, pieces.len());
        prop_assert_eq!(facts.has_root(), pieces.iter().any(|p| evaluator::is_root(&p.span)));
        prop_assert_eq!(facts.has_error(), pieces.iter().any(|p| evaluator::status(&p.span) == 2));

        let votes = policies.iter().map(|policy| evaluator::samples(&policy.rule, &pieces));
        let votes: Vec<bool> = votes.collect();
        let first = votes.iter().position(|vote| *vote);
        let (mut tally, mut decisions) = (Tally::default(), Vec::new());
        program.finish(&[(TRACE, facts)], &mut tally, &mut decisions);
        let outcome = if first.is_some() { Outcome::Sampled } else { Outcome::NotSampled };
        let decided: Vec<_> = decisions.iter().map(|d| (d.outcome, d.policy)).collect();
        prop_assert_eq!(decided, [(outcome, first.map(|n| n as u16))]);
        let asked = if first_match { first.map_or(votes.len(), |n| n + 1) } else { votes.len() };
        if outcome == Outcome::Sampled {
            let asked = policies.iter().zip(&votes).take(asked);
            let worth = asked.filter(|(_, vote)| **vote).map(|(p, _)| evaluator::worth(&p.rule)).max();
            let worth = if facts.has_error() { Some(Value::Error) } else { worth };
            prop_assert_eq!(Some(decisions[0].value), worth);
        }

        for (n, counted) in tally.votes().iter().enumerate() {
            let expected = (u64::from(n < asked && votes[n]), u64::from(n < asked && !votes[n]));
            prop_assert_eq!((counted.sampled, counted.not_sampled), expected);
        }
    }

    #[test]
    fn join_is_commutative_and_associative(
        policies in policies(),
        (a, b, c) in (pieces(), pieces(), pieces()),
        mixed in any::<bool>(),
    ) {
        let program = compile(&policies, false);
        let options = Options { version: 4, ..Options::default() };
        let later = Program::compile(&policies, options).unwrap();
        let [a, b] = [a, b].map(|pieces| fold_apart(&program, &[pieces])[0]);
        let c = fold_apart(if mixed { &later } else { &program }, &[c])[0];
        // Not a closure: rustc 1.95 may let a closure change its caller's copy of an argument
        // passed by value (rust-lang/rust#155241).
        fn join(mut left: Facts, right: Facts) -> Facts {
            left.join(&right);
            left
        }
        prop_assert_eq!(join(a, c), join(c, a));
        prop_assert_eq!(join(join(a, b), c), join(a, join(b, c)));
        prop_assert_eq!(join(join(a, c), b), join(a, join(c, b)));
        prop_assert_eq!(program.owns(&join(a, c)), !mixed);
    }

    #[test]
    fn folding_never_panics_on_random_bytes(
        policies in policies(),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let program = compile(&policies, false);
        let mut facts = program.new_facts();
        program.fold_span(SpanView::new(&bytes), &mut facts);
        program.fold_resource(ResourceView::new(&bytes).attributes(), &mut facts);
        prop_assert_eq!(facts.spans(), 1);
    }

    /// Nearer to real spans than random bytes: one byte changed, or the end cut off.
    #[test]
    fn folding_never_panics_on_damaged_spans(
        policies in policies(),
        pieces in pieces(),
        (at, byte, end) in (any::<Index>(), any::<u8>(), any::<Index>()),
    ) {
        let program = compile(&policies, false);
        let mut facts = program.new_facts();
        for mut bytes in pieces.iter().map(|piece| piece.span.encode_to_vec()) {
            let n = at.index(bytes.len());
            bytes[n] = byte;
            bytes.truncate(end.index(bytes.len() * 2));
            program.fold_span(SpanView::new(&bytes), &mut facts);
        }
        prop_assert_eq!(facts.spans() as usize, pieces.len());
    }
}

#[test]
fn another_programs_facts_do_not_decide() {
    let always = [PolicyConfig { name: "all".into(), rule: tailgate_policy::Rule::AlwaysSample }];
    let (old, new) =
        (compile(&always, false), Program::compile(&always, Options::default()).unwrap());
    let id = TraceId([1; 16]);
    let (mut tally, mut decisions) = (Tally::default(), Vec::new());
    new.finish(&[(id, old.new_facts()), (id, new.new_facts())], &mut tally, &mut decisions);
    let outcomes: Vec<Outcome> = decisions.iter().map(|decision| decision.outcome).collect();
    assert_eq!(outcomes, [Outcome::Stale, Outcome::Sampled]);
    assert_eq!(tally.votes()[0].executions(), 1);
}
