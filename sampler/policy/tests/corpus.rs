//! Decides the recorded cases of a real collector, see `corpus/README.md`.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tailgate_policy::{Decision, Options, Outcome, Program, Tally};
use tailgate_proto::TraceId;

fn cases(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(folder);
    let mut cases: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

fn read(case: &Path, file: &str) -> String {
    fs::read_to_string(case.join(file)).unwrap()
}

fn decide(case: &Path) -> BTreeMap<String, bool> {
    let block = common::read_block(&read(case, "policies.yaml"));
    let options = Options { sample_on_first_match: block.sample_on_first_match, version: 1 };
    let program = Program::compile(&common::configs(block.policies), options).unwrap();
    let request: ExportTraceServiceRequest =
        serde_json::from_str(&read(case, "input.json")).unwrap();
    let mut traces = BTreeMap::new();
    common::fold(&program, &request.encode_to_vec(), &mut traces);

    let batch: Vec<(TraceId, _)> = traces.into_iter().collect();
    let (mut tally, mut decisions) = (Tally::default(), Vec::new());
    program.finish(&batch, &mut tally, &mut decisions);
    assert_eq!(decisions.len(), batch.len());
    let sampled = |decision: &Decision| decision.outcome == Outcome::Sampled;
    batch
        .iter()
        .zip(&decisions)
        .map(|((id, _), decision)| (id.to_string(), sampled(decision)))
        .collect()
}

fn check(folder: &str, expected: &str) -> (usize, usize) {
    let cases = cases(folder);
    let mut traces = 0;
    let mut failures = Vec::new();
    for case in &cases {
        let expected: BTreeMap<String, bool> = serde_json::from_str(&read(case, expected)).unwrap();
        let decided = decide(case);
        traces += expected.len();
        if decided != expected {
            let wrong = expected.iter().filter(|(id, keep)| decided.get(*id) != Some(keep));
            failures.push((case.file_name().unwrap().to_owned(), wrong.collect::<Vec<_>>().len()));
        }
    }
    assert!(failures.is_empty(), "cases and their wrong traces: {failures:?}");
    (cases.len(), traces)
}

/// The numbers of cases and traces are exact, so that none gets lost.
#[test]
fn decides_as_the_collector() {
    assert_eq!(check("visible", "expected.json"), (112, 7820));
}

#[test]
fn decides_correctly_where_the_collector_does_not() {
    assert_eq!(check("defects", "correct.json"), (3, 45));
}

#[test]
fn refuses_what_means_nothing() {
    let cases = cases("invalid");
    for case in &cases {
        let notes = read(case, "notes.md");
        let key = notes.split('`').nth(1).unwrap();
        let block = common::read_block(&read(case, "policies.yaml"));
        let compiled = Program::compile(&common::configs(block.policies), Options::default());
        let error = compiled.err().unwrap_or_else(|| panic!("{} compiles", case.display()));
        assert_eq!(error.path, key, "{error}");
    }
    assert_eq!(cases.len(), 24);
}
