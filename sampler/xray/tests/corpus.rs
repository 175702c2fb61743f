//! Every case of the golden data in `corpus/`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use serde_json::Value;
use tailgate_xray::{Conventions, Options};

/// As many as there are; a case that goes missing must be seen.
const CASES: usize = 175;
/// Of the collector's documents.
const DOCUMENTS: usize = 840;
const STABLE_CASES: usize = 11;
const STABLE_DOCUMENTS: usize = 27;

const RANDOM: &str = "<random>";

#[test]
fn every_case_agrees() {
    all_agree("tests/corpus", CASES, DOCUMENTS);
}

/// Ours, in the same form: there is nothing to take them from.
#[test]
fn every_case_of_stable_conventions_agrees() {
    all_agree("tests/stable", STABLE_CASES, STABLE_DOCUMENTS);
}

fn all_agree(dir: &str, want_cases: usize, want_documents: usize) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(dir);
    let mut cases: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.join("case.json").exists());
    cases.sort();
    assert_eq!(cases.len(), want_cases);
    let mut documents = 0;
    let mut failed = Vec::new();
    for case in &cases {
        let (count, differences) = check(case);
        documents += count;
        if !differences.is_empty() {
            failed.push(format!("{}:\n  {}", case.display(), differences.join("\n  ")));
        }
    }
    assert!(failed.is_empty(), "{} of {want_cases} fail\n{}", failed.len(), failed.join("\n"));
    assert_eq!(documents, want_documents);
}

/// How many documents the case has, and what is different.
fn check(case: &Path) -> (usize, Vec<String>) {
    let read = |name: &str| -> Value {
        serde_json::from_str(&fs::read_to_string(case.join(name)).unwrap()).unwrap()
    };
    let meta = read("case.json");
    let mut options = options(&fs::read_to_string(case.join("config.yaml")).unwrap());
    options.skip_timestamp_validation = meta["gates"]["skip_timestamp_validation"] == true;
    options.allow_dot = meta["gates"]["allow_dot"] == true;

    let documents = support::translate(&read("input.json"), options, 1_700_000_000);
    let actual = Value::Array(support::parsed(&documents));
    // Where the collector drops a span, or X-Ray what the collector sends, ours differs by rule.
    let ours = case.join("ours.json").exists();
    let expected = read(if ours { "ours.json" } else { "expected.json" });
    let mut changed = documents.iter().filter(|document| !document.changes.is_empty());
    assert_eq!(changed.next().is_some(), ours, "{}", case.display());
    let mut out = Vec::new();
    diff(&expected, &actual, "", &mut out);
    if out.is_empty() {
        check_ids(&meta, &expected, &actual, &mut out);
    }
    (documents.len(), out)
}

/// The few keys and forms of the corpus' configurations.
fn options(yaml: &str) -> Options {
    let mut options = Options::default();
    let mut list = "";
    for line in yaml.lines() {
        if let Some(item) = line.trim_start().strip_prefix("- ") {
            let item: String = serde_json::from_str(item).unwrap();
            match list {
                "indexed_attributes" => options.indexed_attributes.push(item),
                "aws_log_groups" => options.aws_log_groups.push(item),
                other => panic!("unknown list {other}"),
            }
        } else if let Some((key, value)) = line.split_once(':') {
            list = key;
            match (key, value.trim()) {
                ("semantic_conventions", "stable") => options.conventions = Conventions::Stable,
                ("index_all_attributes", value) => options.index_all_attributes = value == "true",
                ("indexed_attributes" | "aws_log_groups", "" | "[]") => {}
                other => panic!("unknown option {other:?}"),
            }
        } else {
            assert_eq!(line, "{}");
        }
    }
    options
}

fn diff(want: &Value, got: &Value, path: &str, out: &mut Vec<String>) {
    match (want, got) {
        (Value::String(want), got) if want == RANDOM => {
            if !got.as_str().is_some_and(is_id) {
                out.push(format!("{path}: want an invented id, got {got}"));
            }
        }
        (Value::Number(a), Value::Number(b)) => {
            let whole = |n: &serde_json::Number| n.is_i64() || n.is_u64();
            let same = if whole(a) && whole(b) { a == b } else { a.as_f64() == b.as_f64() };
            if !same {
                out.push(format!("{path}: want {a}, got {b}"));
            }
        }
        (Value::Object(want), Value::Object(got)) => {
            for (key, value) in want {
                let path = format!("{path}/{key}");
                match got.get(key) {
                    Some(got) => diff(value, got, &path, out),
                    None => out.push(format!("{path}: missing, want {value}")),
                }
            }
            for (key, value) in got.iter().filter(|(key, _)| !want.contains_key(*key)) {
                out.push(format!("{path}/{key}: not wanted, got {value}"));
            }
        }
        (Value::Array(want), Value::Array(got)) => {
            if want.len() != got.len() {
                out.push(format!("{path}: want {} items, got {}", want.len(), got.len()));
            }
            for (i, (want, got)) in want.iter().zip(got).enumerate() {
                diff(want, got, &format!("{path}/{i}"), out);
            }
        }
        _ if want == got => {}
        _ => out.push(format!("{path}: want {want}, got {got}")),
    }
}

fn is_id(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Every invented id is new, but for those that must be the same.
fn check_ids(meta: &Value, expected: &Value, actual: &Value, out: &mut Vec<String>) {
    let mut pointers = Vec::new();
    randoms(expected, String::new(), &mut pointers);
    let mut ids = HashSet::new();
    let mut grouped = HashSet::new();
    for group in meta["same_id_groups"].as_array().unwrap() {
        let group: Vec<&str> =
            group.as_array().unwrap().iter().map(|p| p.as_str().unwrap()).collect();
        let values: HashSet<_> = group.iter().map(|p| actual.pointer(p).unwrap()).collect();
        if values.len() != 1 || !ids.insert(actual.pointer(group[0]).unwrap()) {
            out.push(format!("not one id, or one used elsewhere: {group:?}"));
        }
        grouped.extend(group);
    }
    for pointer in pointers.iter().filter(|pointer| !grouped.contains(pointer.as_str())) {
        if !ids.insert(actual.pointer(pointer).unwrap()) {
            out.push(format!("{pointer}: an id is repeated"));
        }
    }
}

fn randoms(value: &Value, path: String, out: &mut Vec<String>) {
    match value {
        Value::String(text) if text == RANDOM => out.push(path),
        Value::Object(members) => {
            for (key, value) in members {
                let key = key.replace('~', "~0").replace('/', "~1");
                randoms(value, format!("{path}/{key}"), out);
            }
        }
        Value::Array(values) => {
            for (i, value) in values.iter().enumerate() {
                randoms(value, format!("{path}/{i}"), out);
            }
        }
        _ => {}
    }
}
