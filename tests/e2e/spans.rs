//! Requests of a few spans, as an SDK would encode them.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;

/// A span of 10 ms without an error.
pub fn dull(trace: u8, span: u8) -> Span {
    Span {
        trace_id: vec![trace; 16],
        span_id: vec![span; 8],
        name: "GET /".to_owned(),
        kind: 2,
        start_time_unix_nano: 1_767_225_600_000_000_000,
        end_time_unix_nano: 1_767_225_600_010_000_000,
        ..Span::default()
    }
}

/// The same, failed.
pub fn failed(trace: u8, span: u8) -> Span {
    let status = Some(Status { code: 2, message: "boom".to_owned() });
    Span { status, ..dull(trace, span) }
}

/// A span with an attribute of lists in lists.
pub fn nested(trace: u8, span: u8, depth: usize) -> Span {
    let mut value = AnyValue { value: Some(Value::BoolValue(true)) };
    for _ in 0..depth {
        value = AnyValue { value: Some(Value::ArrayValue(ArrayValue { values: vec![value] })) };
    }
    let attribute = KeyValue { key: "deep".to_owned(), value: Some(value), ..KeyValue::default() };
    Span { attributes: vec![attribute], ..dull(trace, span) }
}

/// The encoded request of one service.
pub fn request(spans: Vec<Span>) -> Vec<u8> {
    let name = AnyValue { value: Some(Value::StringValue("shop".to_owned())) };
    let attribute =
        KeyValue { key: "service.name".to_owned(), value: Some(name), ..KeyValue::default() };
    let resource = Resource { attributes: vec![attribute], ..Resource::default() };
    let scope = ScopeSpans { spans, ..ScopeSpans::default() };
    let resource_spans = ResourceSpans {
        resource: Some(resource),
        scope_spans: vec![scope],
        ..ResourceSpans::default()
    };
    ExportTraceServiceRequest { resource_spans: vec![resource_spans] }.encode_to_vec()
}
