//! Inputs on which the exporter has no single answer, crashes, or loses the span: the last in
//! attribute order counts, nothing crashes, and what can be sent is sent.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use serde_json::{Value, json};
use support::requests::{Attribute, changes, list, request, span, string};
use tailgate_xray::{Change, Decision, Documents, Options, Part, Told, Translator};

fn with(options: Options, resource: &[Attribute], kind: i32, attributes: &[Attribute]) -> Value {
    let request = request(resource, span(kind, attributes));
    support::parsed(&support::translate(&request, options, 0)).into_iter().collect()
}

fn document(attributes: &[Attribute]) -> Value {
    with(Options::default(), &[], 3, attributes)[0].take()
}

#[test]
fn last_spelling_counts() {
    let pairs = [
        ("request_id", "aws.request_id", "aws.requestId"),
        ("queue_url", "aws.queue_url", "aws.queue.url"),
        ("table_name", "aws.table_name", "aws.table.name"),
    ];
    for (field, a, b) in pairs {
        let got = document(&[(a, string("1")), (b, string("2"))]);
        assert_eq!(got["aws"][field], "2");
        let got = document(&[(b, string("1")), (a, string("2"))]);
        assert_eq!(got["aws"][field], "2");
    }
}

#[test]
fn last_annotation_of_equal_keys_counts() {
    let options =
        Options { indexed_attributes: vec!["a-b".into(), "a b".into()], ..Options::default() };
    let pair = |a, b| [(a, string("1")), (b, string("2"))];
    for attributes in [pair("a-b", "a b"), pair("a b", "a-b")] {
        let got = with(options.clone(), &[], 2, &attributes);
        assert_eq!(got[0]["annotations"], json!({"a_b": "2"}));
    }
    // What cannot be an annotation does not count.
    let attributes = [("a-b", string("1")), ("a b", json!({"arrayValue": {}}))];
    assert_eq!(with(options, &[], 2, &attributes)[0]["annotations"], json!({"a_b": "1"}));
}

#[test]
fn last_member_of_default_counts() {
    let object = |text: &str| ("aws.xray.metadata.default", string(text));
    let upper = |text: &str| ("aws.xray.metadata.DEFAULT", string(text));
    let k = ("k", string("attribute"));
    let default = |attributes: &[Attribute]| document(attributes)["metadata"]["default"].take();
    assert_eq!(default(&[object(r#"{"k":1}"#), k.clone()]), json!({"k": "attribute"}));
    assert_eq!(default(&[k, object(r#"{"k":1}"#)]), json!({"k": 1}));
    assert_eq!(default(&[object(r#"{"k":1}"#), upper(r#"{"k":2}"#)]), json!({"k": 2}));
    assert_eq!(default(&[upper(r#"{"k":2}"#), object(r#"{"k":1}"#)]), json!({"k": 1}));
}

#[test]
fn span_beats_resource_and_last_resource_key_counts() {
    let resource = [("x", string("r1")), ("y", string("1")), ("y", string("2"))];
    let attributes = [("otel.resource.x", string("span"))];
    let want = json!({"otel.resource.x": "span", "otel.resource.y": "2"});
    let got = with(Options::default(), &resource, 2, &attributes);
    assert_eq!(got[0]["metadata"]["default"], want);
    let options = Options { index_all_attributes: true, ..Options::default() };
    assert_eq!(with(options, &resource, 2, &attributes)[0]["annotations"], want);
}

#[test]
fn duplicates_of_a_configured_key() {
    let indexed_attributes = vec!["http.method".into(), "k".into()];
    let options = Options { indexed_attributes, ..Options::default() };
    let twice = |key| [(key, string("1")), (key, string("2"))];
    // Brought back from the `http` block, or never gone.
    for (key, want) in [("http.method", "1"), ("k", "2")] {
        let got = with(options.clone(), &[], 2, &twice(key));
        assert_eq!(got[0]["annotations"], json!({(key): want}));
    }
}

#[test]
fn split_local_root_in_another_cloud() {
    let resource = [("cloud.provider", string("gcp"))];
    let root = [("aws.span.kind", string("LOCAL_ROOT")), ("aws.region", string("r"))];
    let got = with(Options::default(), &resource, 3, &root);
    assert_eq!(got.as_array().unwrap().len(), 2);
    assert!(got[0].get("aws").is_none() && got[1].get("aws").is_none());
    assert_eq!(got[0]["parent_id"], got[1]["id"]);
}

#[test]
fn in_progress() {
    let got = document(&[("aws.xray.inprogress", json!({"boolValue": true}))]);
    assert_eq!(got["in_progress"], true);
    assert!(got.get("end_time").is_none() && got.get("metadata").is_none());
}

/// What is said of a span when its trace id, or a link's, is so many seconds old.
fn aged(age: i64, linked: bool, skip_timestamp_validation: bool) -> Vec<Change> {
    let now = 1_700_000_000_i64;
    let id = |age: i64| format!("{:08x}{:024x}", now - age, 1);
    let mut span = span(2, &[]);
    span["traceId"] = json!(id(if linked { 0 } else { age }));
    span["links"] = json!([{"traceId": id(0)}, {"traceId": id(if linked { age } else { 0 })}]);
    let options = Options { skip_timestamp_validation, ..Options::default() };
    let documents = support::translate(&request(&[], span), options, now as u64);
    let [document] = &documents.iter().collect::<Vec<_>>()[..] else { panic!("one document") };
    let value: Value = serde_json::from_str(&document.text()).unwrap();
    assert_eq!(value["links"].as_array().unwrap().len(), 2);
    changes(document.changes)
}

#[test]
fn odd_trace_id_times_are_sent_and_known() {
    let month = 28 * 24 * 3600;
    for age in [0, 3600, month, -300] {
        assert_eq!(aged(age, false, false), []);
        assert_eq!(aged(age, true, false), []);
    }
    for age in [month + 1, month + 24 * 3600, -301, 1_700_000_000] {
        assert_eq!(aged(age, false, false), [Change::TraceIdTime]);
        assert_eq!(aged(age, true, false), [Change::LinkTraceIdTime]);
        assert_eq!(aged(age, false, true), []);
    }
}

#[test]
fn numbers_that_json_does_not_have_are_strings() {
    let double = |text: &str| json!({"doubleValue": text});
    let nested = json!({"arrayValue": {"values": [double("-Infinity"), double("1.5")]}});
    let attributes = [("a", double("NaN")), ("b", double("Infinity")), ("c", nested)];
    let options = Options { indexed_attributes: vec!["b".into()], ..Options::default() };
    let mut root = span(3, &attributes);
    root["links"] = json!([{"attributes": list(&[("x", double("NaN"))])}]);
    let documents = support::translate(&request(&[], root), options, 0);
    let document = documents.iter().next().unwrap();
    assert_eq!(changes(document.changes), [Change::NotFinite]);
    let got = &support::parsed(&documents)[0];
    assert_eq!(got["metadata"]["default"], json!({"a": "NaN", "c": ["-Infinity", 1.5]}));
    assert_eq!(got["annotations"], json!({"b": "Infinity"}));
    assert_eq!(got["links"][0]["attributes"], json!({"x": "NaN"}));
}

#[test]
fn only_what_is_written_counts_as_changed() {
    let nan = || json!({"doubleValue": "NaN"});
    let attributes = [("http.method", nan()), ("x", nan()), ("x", string("last"))];
    // A subsegment does not have the resource's attributes; the second span is a segment.
    let mut child = span(1, &attributes);
    child["parentSpanId"] = json!("00000000000000bb");
    let resource = json!({"attributes": list(&[("r", nan())])});
    let spans = json!([{"spans": [child, span(1, &[]), span(7, &[])]}]);
    let request = json!({"resourceSpans": [{"resource": resource, "scopeSpans": spans}]});
    let documents = support::translate(&request, Options::default(), 0);
    let found: Vec<_> = documents.iter().map(|document| changes(document.changes)).collect();
    assert_eq!(found, [vec![], vec![Change::NotFinite], vec![Change::NotFinite]]);
}

#[test]
fn a_fragment_can_be_translated_in_parts() {
    let resource = json!({"attributes": list(&[("r", string(&"r".repeat(1000)))])});
    let spans: Vec<Value> = (0..10).map(|_| span(2, &[])).collect();
    let part = json!({"resource": resource, "scopeSpans": [{"spans": spans}]});
    let request = json!({"resourceSpans": [part, part]});
    let whole = support::translate(&request, Options::default(), 0);
    let fragment = support::encode(&request);
    let translator = Translator::new(Options::default());
    let mut texts = Vec::new();
    let mut from = 0;
    let mut parts = 0;
    loop {
        let mut out = Documents::default();
        let part = Part { fragment: &fragment, from, max_bytes: 3000, decision: None };
        let next = translator.translate_part(part, &mut || 1, 0, &mut out);
        assert!(out.bytes() < 3000 + 2000);
        texts.extend(out.iter().map(|document| document.text()));
        parts += 1;
        match next {
            Some(next) => from = next,
            None => break,
        }
    }
    assert!(parts >= 5, "{parts}");
    assert!(whole.iter().map(|document| document.text()).eq(texts));
}

#[test]
fn segments_tell_of_the_decision_if_asked() {
    let mut child = span(3, &[("k", string("v"))]);
    child["parentSpanId"] = json!("00000000000000bb");
    let root = span(2, &[("k", string("v")), ("tailgate.policy", string("mine"))]);
    let request = json!({"resourceSpans": [{"scopeSpans": [{"spans": [root, child]}]}]});
    let fragment = support::encode(&request);
    let decision = Decision { adjusted_count: 20.0, keep_reason: "chance", policy: "base" };
    let annotations = |told, allow_dot| -> Vec<Value> {
        let options = Options { index_all_attributes: true, told, allow_dot, ..Options::default() };
        let decision = Some(decision);
        let part = Part { fragment: &fragment, from: 0, max_bytes: usize::MAX, decision };
        let mut out = Documents::default();
        Translator::new(options).translate_part(part, &mut || 1, 0, &mut out);
        support::parsed(&out).iter_mut().map(|document| document["annotations"].take()).collect()
    };
    let all = Told { adjusted_count: true, keep_reason: true, policy: true };
    let want = json!({
        "k": "v",
        "tailgate.adjusted_count": 20,
        "tailgate.keep_reason": "chance",
        "tailgate.policy": "base"
    });
    assert_eq!(annotations(all, true), [want, json!({"k": "v"})]);
    let one = Told { adjusted_count: true, ..Told::default() };
    let want = json!({"k": "v", "tailgate_policy": "mine", "tailgate_adjusted_count": 20});
    assert_eq!(annotations(one, false)[0], want);
    let want = json!({"k": "v", "tailgate.policy": "mine"});
    assert_eq!(annotations(Told::default(), true)[0], want);
}
