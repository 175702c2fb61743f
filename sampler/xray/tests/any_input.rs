//! No input makes it panic, every document is JSON, and every span is accounted for.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};
use support::UniqueKeys;
use tailgate_proto::wire::put_len;
use tailgate_xray::{Conventions, Documents, MAX_DOCUMENT_BYTES, Options, Translator};

/// Options of every sort.
fn translators() -> Vec<Translator> {
    let keys = ["a b", "http.method", "k", "otel.resource.k", "aws.xray.metadata.ns"];
    let indexed_attributes = keys.map(String::from).to_vec();
    let base = Options::default;
    [
        base(),
        Options { indexed_attributes, ..base() },
        Options { index_all_attributes: true, allow_dot: false, ..base() },
        Options { conventions: Conventions::Stable, ..base() },
        Options { skip_timestamp_validation: false, aws_log_groups: vec![String::new()], ..base() },
    ]
    .map(Translator::new)
    .to_vec()
}

fn check(translator: &Translator, fragment: &[u8]) {
    checked(translator, fragment);
}

/// Translates, with all that holds for any input.
fn checked(translator: &Translator, fragment: &[u8]) -> Documents {
    let mut out = Documents::default();
    translator.translate(fragment, &mut || 7, 1_700_000_000, &mut out);
    let mut with_outcome: Vec<u32> = out.iter().map(|document| document.span).collect();
    with_outcome.dedup();
    for document in out.iter() {
        // As whoever reads a call gets it.
        let inside = str::from_utf8(document.escaped).expect("UTF-8");
        let text: String = serde_json::from_str(&format!("\"{inside}\"")).expect("a string");
        assert_eq!(text, document.text());
        assert!(text.len() <= MAX_DOCUMENT_BYTES);
        let value: Value = serde_json::from_str(&text).expect("JSON");
        for key in ["name", "id", "trace_id", "start_time", "error", "fault", "throttle"] {
            assert!(value.get(key).is_some(), "no {key} in {text}");
        }
    }
    assert!(with_outcome.into_iter().eq(0..out.spans()));
    out
}

fn corpus() -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let inputs = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path().join("input.json"));
    let mut inputs: Vec<_> = inputs.filter(|path| path.exists()).collect();
    inputs.sort();
    let read = |path| serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    inputs.into_iter().map(|path| support::encode(&read(path))).collect()
}

/// Truncated and damaged fragments.
#[test]
fn damaged_corpus() {
    let translators = translators();
    let mut seed = 1_u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as usize % below
    };
    for fragment in corpus().into_iter().filter(|fragment| fragment.len() < 20_000) {
        for translator in &translators {
            check(translator, &fragment);
            for _ in 0..6 {
                let mut damaged = fragment.clone();
                damaged.truncate(random(fragment.len()) + 1);
                check(translator, &damaged);
                let mut damaged = fragment.clone();
                for _ in 0..3 {
                    let at = random(fragment.len());
                    damaged[at] = random(256) as u8;
                }
                check(translator, &damaged);
            }
        }
    }
}

/// Nested deeper than any thread's stack would bear.
#[test]
fn deep_nesting() {
    let mut value = Vec::new();
    for _ in 0..10_000 {
        let mut array = Vec::new();
        put_len(&mut array, 1, &value);
        value.clear();
        put_len(&mut value, 5, &array);
    }
    let mut key_value = Vec::new();
    put_len(&mut key_value, 1, b"deep");
    put_len(&mut key_value, 2, &value);
    let mut fragment = Vec::new();
    put_len(&mut fragment, 9, &key_value);
    for number in [2, 2, 1] {
        let inner = std::mem::take(&mut fragment);
        put_len(&mut fragment, number, &inner);
    }
    translators().iter().for_each(|translator| check(translator, &fragment));
}

const KEYS: &[&str] = &[
    "k",
    "a b",
    "a-b",
    "otel.resource.k",
    "otel_resource_k",
    "http.method",
    "http.url",
    "url.query",
    "http.status_code",
    "net.peer.ip",
    "server.port",
    "client.address",
    "db.system",
    "db.name",
    "db.connection_string",
    "aws.span.kind",
    "aws.service",
    "aws.remote.service",
    "rpc.system",
    "aws.xray.inprogress",
    "aws.xray.annotations",
    "aws.xray.metadata.ns",
    "enduser.id",
    "aws.xray.metadata.default",
    "aws.dynamodb.table_names",
    "aws.log.group.arns",
    "host.id",
    "cloud.provider",
    "cloud.platform",
    "telemetry.sdk.language",
    "container.image.tags",
    "exception.type",
    "exception.message",
    "exception.stacktrace",
    "message.type",
    "http.response.status_code",
    "aws.http.error_message",
    "service.name",
];

const TEXTS: &[&str] = &[
    "",
    "LOCAL_ROOT",
    "aws-api",
    "aws",
    "gcp",
    "aws_ecs",
    "aws_eks",
    "mysql",
    "java",
    "python",
    "javascript",
    "dotnet",
    "go",
    "RECEIVED",
    "k",
    "jdbc:mysql://h:1/x",
    "http://[::1%25a]:x",
    "{\"k\":{\"a\":[1,2.5,null]}}",
    "null",
    "{\"a\":\"\\ud800\"}",
    "E\nCaused by: F:",
    "10.0.0.1",
    "E\n  File \"a\", line 1, in b\n\n\
     During handling of the above exception, another exception occurred:\n\n",
    "E\n    at a (b:1:2)\n\tat c(d:3)\n   at e in f:line\nat in x\n",
    "a&b&&c:d:e:f:g:h:i",
    "\u{e9}<>\u{1f680}",
];

fn double(value: f64) -> Value {
    json!({"doubleValue": value.to_string().replace("inf", "Infinity")})
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => prop::sample::select(TEXTS).prop_map(|text| json!({"stringValue": text})),
        1 => any::<String>().prop_map(|text| json!({"stringValue": text})),
        1 => prop_oneof![Just(429), Just(500), any::<i64>()].prop_map(|i| json!({"intValue": i})),
        1 => any::<f64>().prop_map(double),
        1 => any::<bool>().prop_map(|bool| json!({"boolValue": bool})),
        1 => Just(json!({"bytesValue": "AP8="})),
        1 => Just(json!({})),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let member = (prop::sample::select(KEYS), inner.clone());
        let members = prop::collection::vec(member.prop_map(pair), 0..4);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(|v| json!({"arrayValue": {"values": v}})),
            members.prop_map(|v| json!({"kvlistValue": {"values": v}})),
        ]
    })
}

fn pair((key, value): (&str, Value)) -> Value {
    json!({"key": key, "value": value})
}

fn attributes() -> impl Strategy<Value = Vec<Value>> {
    prop::collection::vec((prop::sample::select(KEYS), value()).prop_map(pair), 0..12)
}

fn span() -> impl Strategy<Value = Value> {
    let events = prop::sample::select(vec!["exception", "HTTP request failure", "x"]);
    let events = (events, any::<u64>(), attributes()).prop_map(|(name, time, attributes)| {
        json!({"name": name, "timeUnixNano": time, "attributes": attributes})
    });
    let links = attributes().prop_map(|attributes| json!({"attributes": attributes}));
    let events = prop::collection::vec(events, 0..3);
    let links = prop::collection::vec(links, 0..2);
    let times = (any::<u64>(), any::<u64>());
    (attributes(), events, links, 0..7, 0..3, any::<String>(), times).prop_map(
        |(attributes, events, links, kind, code, name, (start, end))| {
            json!({
                "traceId": "6553f100000000000000000000000001", "spanId": "00000000000000aa",
                "parentSpanId": if start % 2 == 0 { "" } else { "00000000000000bb" },
                "name": name, "kind": kind, "status": {"code": code},
                "startTimeUnixNano": start, "endTimeUnixNano": end,
                "attributes": attributes, "events": events, "links": links,
            })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut span = Vec::new();
        put_len(&mut span, 9, &bytes);
        span.extend_from_slice(&bytes);
        let mut framed = Vec::new();
        put_len(&mut framed, 2, &span);
        for number in [2, 1] {
            let inner = std::mem::take(&mut framed);
            put_len(&mut framed, number, &inner);
        }
        for translator in translators() {
            check(&translator, &bytes);
            check(&translator, &framed);
        }
    }

    #[test]
    fn random_spans(resource in attributes(), spans in prop::collection::vec(span(), 1..4)) {
        let request = json!({"resourceSpans": [{
            "resource": {"attributes": resource},
            "scopeSpans": [{"spans": spans}]
        }]});
        let fragment = support::encode(&request);
        for translator in translators() {
            for document in checked(&translator, &fragment).iter() {
                serde_json::from_str::<UniqueKeys>(&document.text()).expect("unique keys");
            }
        }
    }
}
