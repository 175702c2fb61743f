#![allow(clippy::unwrap_used)]

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

use super::{read_json, write_json};
use crate::wire::put_len;
use crate::{Limits, Scan, scan};

fn json(request: &ExportTraceServiceRequest) -> String {
    let mut out = Vec::new();
    write_json(&request.encode_to_vec(), &mut out);
    String::from_utf8(out).unwrap()
}

fn pair(key: &str, value: Option<Any>) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value }), ..Default::default() }
}

fn any_value() -> impl Strategy<Value = Any> {
    let finite = any::<f64>().prop_filter("serde has no NaN", |v| v.is_finite());
    let leaf = prop_oneof![
        ".{0,12}".prop_map(Any::StringValue),
        any::<bool>().prop_map(Any::BoolValue),
        any::<i64>().prop_map(Any::IntValue),
        finite.prop_map(Any::DoubleValue),
        vec(any::<u8>(), 0..9).prop_map(Any::BytesValue),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let value = inner.prop_map(|value| AnyValue { value: Some(value) });
        let pairs = vec(("[a-z]{1,4}", value.clone()), 1..4).prop_map(|pairs| {
            let pair = |(key, value)| KeyValue { key, value: Some(value), ..Default::default() };
            Any::KvlistValue(KeyValueList { values: pairs.into_iter().map(pair).collect() })
        });
        let array = vec(value, 1..4).prop_map(|values| Any::ArrayValue(ArrayValue { values }));
        prop_oneof![array, pairs]
    })
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    vec(("[a-z.\"\\\\\n]{1,8}", any_value()).prop_map(|(k, v)| pair(&k, Some(v))), 0..4)
}

fn id(len: usize) -> impl Strategy<Value = Vec<u8>> {
    let id = vec(any::<u8>(), len).prop_filter("zero is unset", |id| id.iter().any(|b| *b != 0));
    prop_oneof![Just(Vec::new()), id]
}

fn span() -> impl Strategy<Value = Span> {
    let ids = (id(16), id(8), ".{0,6}", id(8), any::<u32>());
    let main = (".{0,20}", 0..6i32, any::<u64>(), any::<u64>(), attributes(), any::<u32>());
    let event = (any::<u64>(), ".{0,9}", attributes(), any::<u32>()).prop_map(
        |(time_unix_nano, name, attributes, dropped_attributes_count)| Event {
            time_unix_nano,
            name,
            attributes,
            dropped_attributes_count,
        },
    );
    let link = (id(16), id(8), ".{0,6}", attributes(), any::<u32>(), any::<u32>()).prop_map(
        |(trace_id, span_id, trace_state, attributes, dropped_attributes_count, flags)| Link {
            trace_id,
            span_id,
            trace_state,
            attributes,
            dropped_attributes_count,
            flags,
        },
    );
    let status = (".{0,9}", 0..3i32).prop_map(|(message, code)| Status { message, code });
    let rest = (vec(event, 0..3), any::<u32>(), vec(link, 0..3), any::<u32>(), status);
    (ids, main, rest).prop_map(|(ids, main, rest)| Span {
        trace_id: ids.0,
        span_id: ids.1,
        trace_state: ids.2,
        parent_span_id: ids.3,
        flags: ids.4,
        name: main.0,
        kind: main.1,
        start_time_unix_nano: main.2,
        end_time_unix_nano: main.3,
        attributes: main.4,
        dropped_attributes_count: main.5,
        events: rest.0,
        dropped_events_count: rest.1,
        links: rest.2,
        dropped_links_count: rest.3,
        status: Some(rest.4),
    })
}

fn request() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let scope = (".{0,5}", ".{0,5}", attributes(), any::<u32>()).prop_map(
        |(name, version, attributes, dropped_attributes_count)| InstrumentationScope {
            name,
            version,
            attributes,
            dropped_attributes_count,
        },
    );
    let scope_spans =
        (scope, vec(span(), 0..3), ".{0,5}").prop_map(|(scope, spans, schema_url)| ScopeSpans {
            scope: Some(scope),
            spans,
            schema_url,
        });
    let resource = (attributes(), any::<u32>()).prop_map(|(attributes, dropped)| Resource {
        attributes,
        dropped_attributes_count: dropped,
        entity_refs: Vec::new(),
    });
    let resource_spans = (resource, vec(scope_spans, 0..3), ".{0,5}").prop_map(
        |(resource, scope_spans, schema_url)| ResourceSpans {
            resource: Some(resource),
            scope_spans,
            schema_url,
        },
    );
    vec(resource_spans, 1..3)
        .prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    /// The oracle's JSON reader finds the same request again.
    #[test]
    fn means_the_same_as_the_protobuf(request in request()) {
        let text = json(&request);
        let back: ExportTraceServiceRequest = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&back, &request);
        let read = read_json(text.as_bytes()).unwrap();
        prop_assert!(read.len() <= text.len());
        prop_assert_eq!(ExportTraceServiceRequest::decode(&*read).unwrap(), request);
    }

    /// Any text is read or refused, and what is read fits into its place.
    #[test]
    fn damaged_text_is_read_or_refused(
        request in request(), at in any::<prop::sample::Index>(), byte in any::<u8>()
    ) {
        let mut text = json(&request).into_bytes();
        let at = at.index(text.len());
        text[at] = byte;
        if let Ok(read) = read_json(&text) {
            prop_assert!(read.len() <= text.len());
            let mut found = Scan::default();
            let _ = scan(&read, &Limits::default(), &mut found);
        }
        prop_assert!(read_json(&text[..at]).is_err());
    }

    #[test]
    fn random_bytes_give_json(bytes in vec(any::<u8>(), 0..400)) {
        let mut out = Vec::new();
        write_json(&bytes, &mut out);
        prop_assert!(serde_json::from_slice::<serde_json::Value>(&out).is_ok());
    }

    #[test]
    fn damaged_requests_give_json(
        request in request(), at in any::<prop::sample::Index>(), byte in any::<u8>()
    ) {
        let mut bytes = request.encode_to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let mut out = Vec::new();
        write_json(&bytes, &mut out);
        prop_assert!(serde_json::from_slice::<serde_json::Value>(&out).is_ok());
        out.clear();
        write_json(&bytes[..at], &mut out);
        prop_assert!(serde_json::from_slice::<serde_json::Value>(&out).is_ok());
    }
}

/// A request that touches every rule of the format.
fn sample() -> ExportTraceServiceRequest {
    let doubles = [0.0, 0.1, -2.5, 1e-7, 1.25e21, 1e20, 1e-300, 1e-6, 123456789.0];
    let special = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    let doubles = doubles.into_iter().chain(special);
    let values = doubles.map(|v| AnyValue { value: Some(Any::DoubleValue(v)) }).collect();
    let attributes = vec![
        pair("", None),
        pair(
            "s",
            Some(Any::StringValue("a\"\\/\n\r\t\u{8}\u{7f}<&>\u{2028}\u{e9}\u{1f600}".into())),
        ),
        pair("empty", Some(Any::StringValue(String::new()))),
        pair("i", Some(Any::IntValue(i64::MIN))),
        pair("zero", Some(Any::IntValue(0))),
        pair("f", Some(Any::BoolValue(false))),
        pair("d", Some(Any::ArrayValue(ArrayValue { values }))),
        pair("b", Some(Any::BytesValue(vec![1, 2, 3, 255]))),
        pair("none", Some(Any::BytesValue(Vec::new()))),
        pair("array", Some(Any::ArrayValue(ArrayValue { values: Vec::new() }))),
        pair("map", Some(Any::KvlistValue(KeyValueList { values: vec![pair("k", None)] }))),
    ];
    let entity = EntityRef {
        schema_url: "u".into(),
        r#type: "service".into(),
        id_keys: vec!["service.name".into()],
        description_keys: vec!["x".into(), "y".into()],
    };
    let resource = Resource { attributes, dropped_attributes_count: 7, entity_refs: vec![entity] };
    let full = Span {
        trace_id: (1..17).collect(),
        span_id: vec![0xab; 8],
        trace_state: "ot=th:8".into(),
        parent_span_id: vec![0, 0, 0, 0, 0, 0, 0, 1],
        flags: 0x301,
        name: "GET /".into(),
        kind: 2,
        start_time_unix_nano: u64::MAX,
        end_time_unix_nano: 1_700_000_000_000_000_001,
        attributes: vec![pair("a", Some(Any::BoolValue(true)))],
        dropped_attributes_count: 1,
        events: vec![Event { time_unix_nano: 5, name: "e".into(), ..Default::default() }],
        dropped_events_count: 2,
        links: vec![Link {
            trace_id: vec![3; 16],
            span_id: vec![4; 8],
            trace_state: "x=y".into(),
            flags: 1,
            dropped_attributes_count: 9,
            ..Default::default()
        }],
        dropped_links_count: 3,
        status: Some(Status { message: "no".into(), code: 2 }),
    };
    let scope = InstrumentationScope {
        name: "lib".into(),
        version: "1".into(),
        attributes: vec![pair("sa", Some(Any::IntValue(-1)))],
        dropped_attributes_count: 4,
    };
    let bare = Span { trace_id: vec![9; 16], span_id: vec![8; 8], ..Default::default() };
    let scopes = vec![
        ScopeSpans { scope: Some(scope), spans: vec![full], schema_url: "ss".into() },
        ScopeSpans { scope: None, spans: vec![bare], schema_url: String::new() },
    ];
    let first =
        ResourceSpans { resource: Some(resource), scope_spans: scopes, schema_url: "rs".into() };
    let second = ResourceSpans { resource: None, ..Default::default() };
    ExportTraceServiceRequest { resource_spans: vec![first, second] }
}

/// `collector.json` is what the collector v0.161's file exporter wrote for the same request.
#[test]
fn is_what_the_collector_writes() {
    if let Ok(path) = std::env::var("WRITE_SAMPLE") {
        std::fs::write(path, sample().encode_to_vec()).unwrap();
    }
    assert_eq!(json(&sample()), include_str!("collector.json").trim_end());
}

#[test]
fn nothing_is_an_empty_object() {
    assert_eq!(json(&ExportTraceServiceRequest::default()), "{}");
}

#[test]
fn bad_utf8_is_replaced() {
    let (mut span, mut scope, mut resource, mut request) = (vec![], vec![], vec![], vec![]);
    put_len(&mut span, 5, b"a\xffb");
    put_len(&mut scope, 2, &span);
    put_len(&mut resource, 2, &scope);
    put_len(&mut request, 1, &resource);
    let mut out = Vec::new();
    write_json(&request, &mut out);
    assert!(String::from_utf8(out).unwrap().contains("\"name\":\"a\u{fffd}b\""));
}

/// Nested far deeper than any stack: cut, not overflowed.
#[test]
fn depth_is_bounded() {
    let mut value = Vec::new();
    for _ in 0..20_000 {
        let mut array = Vec::new();
        put_len(&mut array, 1, &value);
        value.clear();
        put_len(&mut value, 5, &array);
    }
    let mut attribute = Vec::new();
    put_len(&mut attribute, 2, &value);
    let (mut resource, mut resource_spans, mut request) = (vec![], vec![], vec![]);
    put_len(&mut resource, 1, &attribute);
    put_len(&mut resource_spans, 1, &resource);
    put_len(&mut request, 1, &resource_spans);
    let mut out = Vec::new();
    write_json(&request, &mut out);
    assert_eq!(out.windows(10).filter(|w| *w == b"arrayValue").count(), super::MAX_DEPTH + 1);
}
