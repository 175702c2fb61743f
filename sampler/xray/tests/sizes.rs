//! Every document has a size that X-Ray takes.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use serde_json::{Value, json};
use support::requests::{Attribute, changes, list, request, span, string};
use tailgate_xray::{Change, MAX_DOCUMENT_BYTES, Options};

fn large(bytes: usize) -> Value {
    string(&"x".repeat(bytes))
}

/// The only document, which X-Ray takes, and what was changed.
fn fitted(options: Options, resource: &[Attribute], span: Value) -> (Value, Vec<Change>) {
    let documents = support::translate(&request(resource, span), options, 0);
    let [document] = &documents.iter().collect::<Vec<_>>()[..] else { panic!("one document") };
    let text = document.text();
    assert!(text.len() <= MAX_DOCUMENT_BYTES, "{}", text.len());
    (serde_json::from_str(&text).unwrap(), changes(document.changes))
}

#[test]
fn the_largest_metadata_go_first() {
    let object = |text: &str| ("aws.xray.metadata.ns", string(text));
    let attributes = [
        ("a", large(20_000)),
        ("b", large(50_000)),
        ("c", large(10_000)),
        ("d", json!({"intValue": "9007199254740993"})),
        ("e", json!({"doubleValue": -0.0})),
        object(&format!(r#"{{"f":"{}","g":null}}"#, "y".repeat(15_000))),
        ("aws.xray.metadata.tailgate", string(r#"{"mine":true}"#)),
    ];
    let resource = [("r", large(1000))];
    let (got, changed) = fitted(Options::default(), &resource, span(2, &attributes));
    assert_eq!(changed, [Change::MetadataLeftOut]);
    let metadata = &got["metadata"];
    let keys: Vec<_> = metadata["default"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["a", "c", "d", "e", "otel.resource.r"]);
    assert_eq!(metadata["default"]["d"], 9_007_199_254_740_993_i64);
    assert_eq!(metadata["ns"].as_object().unwrap().len(), 2);
    let marker = json!({"left_out": ["default.b"], "left_out_bytes": 50_006, "mine": true});
    assert_eq!(metadata["tailgate"], marker);

    // All of them, if need be; a document just below the limit stays as it is.
    let options =
        Options { indexed_attributes: vec!["a".into(), "c".into()], ..Options::default() };
    let attributes = [("a", large(26_000)), ("b", large(30_000)), ("c", large(26_000))];
    let (got, changed) = fitted(options, &[], span(2, &attributes));
    assert_eq!(changed, [Change::MetadataLeftOut]);
    assert_eq!(got["metadata"]["default"], json!({}));
    assert_eq!(got["annotations"]["c"].as_str().unwrap().len(), 26_000);
    let (_, changed) = fitted(Options::default(), &[], span(2, &[("a", large(65_000))]));
    assert_eq!(changed, []);
}

#[test]
fn only_the_document_itself_counts() {
    // Twice as many bytes in the document, four times as many in a call.
    let quotes = |count: usize| string(&"\"".repeat(count));
    let (got, changed) = fitted(Options::default(), &[], span(2, &[("a", quotes(32_000))]));
    assert_eq!(changed, []);
    assert_eq!(got["metadata"]["default"]["a"].as_str().unwrap().len(), 32_000);

    let attributes = [("a", quotes(20_000)), ("b", quotes(16_000))];
    let (got, changed) = fitted(Options::default(), &[], span(2, &attributes));
    assert_eq!(changed, [Change::MetadataLeftOut]);
    assert_eq!(got["metadata"]["tailgate"]["left_out_bytes"], 40_006);
    assert_eq!(got["metadata"]["default"], json!({"b": "\"".repeat(16_000)}));
}

#[test]
fn many_names_of_what_was_left_out_are_bounded() {
    let keys: Vec<String> = (0..200).map(|i| format!("{i}{}", "\u{1}".repeat(5000))).collect();
    let attributes: Vec<Value> =
        keys.iter().map(|key| json!({"key": key, "value": string("v")})).collect();
    let mut span = span(2, &[]);
    span["attributes"] = json!(attributes);
    let (got, changed) = fitted(Options::default(), &[], span);
    assert_eq!(changed, [Change::MetadataLeftOut]);
    assert_eq!(got["metadata"]["tailgate"]["left_out"].as_array().unwrap().len(), 8);
}

#[test]
fn what_is_too_large_without_metadata_is_shortened() {
    let mut failed = span(3, &[("k", string("v")), ("http.url", large(100_000))]);
    failed["status"] = json!({"code": 2, "message": "m".repeat(100_000)});
    let link = json!({"spanId": "00000000000000cc", "attributes": list(&[("x", large(100))])});
    failed["links"] = Value::Array(vec![link; 1000]);
    let (got, changed) = fitted(Options::default(), &[], failed);
    assert_eq!(changed, [Change::Shortened]);
    assert_eq!(got["metadata"], json!({"tailgate": {"left_out": ["*"], "shortened": true}}));
    assert_eq!(got["http"]["request"]["url"], format!("{}...", "x".repeat(1024)));
    assert_eq!(got["cause"]["exceptions"][0]["message"], format!("{}...", "m".repeat(1024)));
    assert!(got["links"].as_array().unwrap().len() > 10);
    assert_eq!((&got["id"], &got["namespace"]), (&json!("00000000000000aa"), &json!("remote")));

    // Annotations, log groups, versions, exceptions: nothing makes it too large.
    let options = Options { index_all_attributes: true, ..Options::default() };
    let resource = [
        ("aws.log.group.names", large(70_000)),
        ("service.version", large(70_000)),
        ("r", large(9)),
    ];
    let mut failed = span(2, &[("k", large(70_000)), ("z", string("v"))]);
    let event = json!({"name": "exception", "attributes": list(&[("exception.type", large(900))])});
    failed["events"] = Value::Array(vec![event; 200]);
    let (got, changed) = fitted(options, &resource, failed);
    assert_eq!(changed, [Change::Shortened]);
    assert_eq!(got["annotations"]["k"].as_str().unwrap().len(), 1027);
    assert!((1..10).contains(&got["cause"]["exceptions"].as_array().unwrap().len()));
}

#[test]
fn shortened_lists_and_platforms_are_measured_as_they_read() {
    let groups = |count: usize| string(&vec!["g".repeat(40); count].join("&"));
    let url = ("http.url", large(70_000));
    // A log group takes 57 bytes and a comma, 61 in a call: 70 of them are below 4 KiB either way.
    for (count, kept) in [(60, true), (68, true), (80, false)] {
        let resource = [("aws.log.group.names", groups(count))];
        let (got, changed) =
            fitted(Options::default(), &resource, span(2, std::slice::from_ref(&url)));
        assert_eq!(changed, [Change::Shortened]);
        assert_eq!(got["aws"]["cloudwatch_logs"].is_array(), kept, "{count}");
    }
    let version = string(&"\"".repeat(400));
    let (got, _) = fitted(Options::default(), &[("service.version", version)], span(2, &[url]));
    assert_eq!(got["service"]["version"].as_str().map(str::len), Some(400));
}

#[test]
fn both_documents_of_a_split_span_fit_and_belong_together() {
    let attributes = [("aws.span.kind", string("LOCAL_ROOT")), ("http.url", large(100_000))];
    let request = request(&[("r", large(70_000))], span(5, &attributes));
    let documents = support::translate(&request, Options::default(), 0);
    let sizes = documents.iter().map(|document| document.text().len());
    assert!(sizes.into_iter().all(|size| size <= MAX_DOCUMENT_BYTES));
    let [call, service] = &support::parsed(&documents)[..] else { panic!("two documents") };
    assert_eq!(call["parent_id"], service["id"]);
}
