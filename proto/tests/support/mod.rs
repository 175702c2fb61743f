//! Random requests, as prost types.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::collection::vec;
use proptest::prelude::*;

pub fn any_value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        Just(None),
        "[a-z\u{e9}]{0,6}".prop_map(|s| Some(Value::StringValue(s))),
        any::<bool>().prop_map(|b| Some(Value::BoolValue(b))),
        any::<i64>().prop_map(|i| Some(Value::IntValue(i))),
        (-1e9..1e9f64).prop_map(|d| Some(Value::DoubleValue(d))),
        vec(any::<u8>(), 0..6).prop_map(|b| Some(Value::BytesValue(b))),
    ]
    .prop_map(|value| AnyValue { value });
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(|values| AnyValue {
                value: Some(Value::ArrayValue(ArrayValue { values }))
            }),
            vec(("[a-z]{1,4}", inner), 0..3).prop_map(|pairs| {
                let values = pairs.into_iter().map(pair).collect();
                AnyValue { value: Some(Value::KvlistValue(KeyValueList { values })) }
            }),
        ]
    })
}

fn pair((key, value): (String, AnyValue)) -> KeyValue {
    KeyValue { key, value: Some(value), ..Default::default() }
}

pub fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    vec(("[a-z.]{1,8}", any_value()), 0..4).prop_map(|p| p.into_iter().map(pair).collect())
}

pub fn span() -> impl Strategy<Value = Span> {
    let ids = (0u8..6, any::<[u8; 8]>(), proptest::option::of(any::<[u8; 8]>()));
    let times = (any::<u64>(), any::<u64>(), any::<u32>());
    let text = ("[a-z /]{0,12}", "[a-z=,]{0,9}", 0..6i32);
    let lists = (
        attributes(),
        vec((any::<u64>(), "[a-z]{0,5}", attributes()), 0..3),
        vec((any::<[u8; 16]>(), any::<[u8; 8]>(), attributes()), 0..2),
        proptest::option::of((0..3i32, "[a-z]{0,5}")),
    );
    (ids, times, text, lists).prop_map(|((trace, id, parent), times, text, lists)| Span {
        trace_id: vec![trace + 1; 16],
        span_id: id.iter().map(|byte| byte | 1).collect(),
        parent_span_id: parent.map(|p| p.to_vec()).unwrap_or_default(),
        trace_state: text.1,
        flags: times.2,
        name: text.0,
        kind: text.2,
        start_time_unix_nano: times.0,
        end_time_unix_nano: times.1,
        attributes: lists.0,
        events: lists
            .1
            .into_iter()
            .map(|(time_unix_nano, name, attributes)| Event {
                time_unix_nano,
                name,
                attributes,
                dropped_attributes_count: 0,
            })
            .collect(),
        links: lists
            .2
            .into_iter()
            .map(|(trace_id, span_id, attributes)| Link {
                trace_id: trace_id.to_vec(),
                span_id: span_id.to_vec(),
                attributes,
                ..Default::default()
            })
            .collect(),
        status: lists.3.map(|(code, message)| Status { code, message }),
        ..Default::default()
    })
}

pub fn request() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let scope = (proptest::option::of("[a-z]{0,5}"), vec(span(), 0..5), "[a-z:/]{0,6}");
    let scope = scope.prop_map(|(name, spans, schema_url)| ScopeSpans {
        scope: name.map(|name| InstrumentationScope { name, ..Default::default() }),
        spans,
        schema_url,
    });
    let resource = (proptest::option::of(attributes()), vec(scope, 0..3), "[a-z:/]{0,6}");
    let resource = resource.prop_map(|(attributes, scope_spans, schema_url)| ResourceSpans {
        resource: attributes.map(|attributes| Resource { attributes, ..Default::default() }),
        scope_spans,
        schema_url,
    });
    vec(resource, 0..4).prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}
