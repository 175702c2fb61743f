//! The forms that the collector's reader takes, and those it takes and we refuse.

#![allow(clippy::unwrap_used)]

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use super::read_json;

fn request(text: &str) -> ExportTraceServiceRequest {
    let bytes = read_json(text.as_bytes()).unwrap_or_else(|e| panic!("{text}: {e}"));
    assert!(bytes.len() <= text.len(), "{text}: longer than the text");
    ExportTraceServiceRequest::decode(&*bytes).unwrap()
}

fn with_span(fields: &str) -> String {
    format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{fields}}}]}}]}}]}}"#)
}

fn span(fields: &str) -> Span {
    request(&with_span(fields)).resource_spans[0].scope_spans[0].spans[0].clone()
}

fn value(text: &str) -> Option<Any> {
    let fields = format!(r#""attributes":[{{"key":"k","value":{text}}}]"#);
    span(&fields).attributes[0].value.clone().and_then(|v| v.value)
}

fn fault(fields: &str) -> String {
    read_json(with_span(fields).as_bytes()).unwrap_err().to_string()
}

#[test]
fn both_spellings() {
    let camel = span(r#""traceState":"a=b","droppedLinksCount":3,"startTimeUnixNano":"7""#);
    let snake = span(r#""trace_state":"a=b","dropped_links_count":3,"start_time_unix_nano":"7""#);
    assert_eq!(camel, snake);
    assert_eq!((camel.trace_state.as_str(), camel.start_time_unix_nano), ("a=b", 7));
}

#[test]
fn numbers_as_numbers_and_as_strings() {
    for text in ["1544712660300000000", r#""1544712660300000000""#] {
        let span = span(&format!(r#""endTimeUnixNano":{text}"#));
        assert_eq!(span.end_time_unix_nano, 1_544_712_660_300_000_000);
    }
    assert_eq!(span(r#""droppedEventsCount":"9""#).dropped_events_count, 9);
    assert_eq!(span(r#""flags":4294967295"#).flags, u32::MAX);
    assert_eq!(value(r#"{"intValue":"-9223372036854775808"}"#), Some(Any::IntValue(i64::MIN)));
    assert_eq!(value(r#"{"intValue":-5}"#), Some(Any::IntValue(-5)));
    assert_eq!(value(r#"{"intValue":1e3}"#), Some(Any::IntValue(1000)));
    assert_eq!(value(r#"{"doubleValue":"2.5"}"#), Some(Any::DoubleValue(2.5)));
    assert_eq!(value(r#"{"doubleValue":7}"#), Some(Any::DoubleValue(7.0)));
    assert_eq!(value(r#"{"doubleValue":"-Infinity"}"#), Some(Any::DoubleValue(f64::NEG_INFINITY)));
    assert!(matches!(value(r#"{"doubleValue":"NaN"}"#), Some(Any::DoubleValue(v)) if v.is_nan()));
    assert_eq!(value(r#"{"doubleValue":0.1}"#), Some(Any::DoubleValue(0.1)));
    assert_eq!(value(r#"{"doubleValue":"inf"}"#), Some(Any::DoubleValue(f64::INFINITY)));
}

#[test]
fn enums_by_name_and_number() {
    assert_eq!(span(r#""kind":3"#).kind, 3);
    assert_eq!(span(r#""kind":"SPAN_KIND_CLIENT""#).kind, 3);
    assert_eq!(span(r#""kind":77"#).kind, 77);
    assert_eq!(span(r#""status":{"code":"STATUS_CODE_ERROR"}"#).status.unwrap().code, 2);
}

#[test]
fn ids_in_either_case_or_none() {
    let upper = span(r#""traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174""#);
    let lower = span(r#""traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174""#);
    assert_eq!(upper, lower);
    assert_eq!(upper.trace_id[..3], [0x5b, 0x8e, 0xff]);
    assert_eq!(span(r#""traceId":"","parentSpanId":null"#).trace_id, Vec::<u8>::new());
}

#[test]
fn null_and_empty_are_defaults() {
    assert_eq!(request("{}"), ExportTraceServiceRequest::default());
    assert_eq!(request("null"), ExportTraceServiceRequest::default());
    assert_eq!(request(r#"{"resourceSpans":null}"#), ExportTraceServiceRequest::default());
    assert_eq!(
        span(r#""name":null,"attributes":null,"events":[null],"kind":null"#).events.len(),
        1
    );
    assert!(
        matches!(value(r#"{"arrayValue":{}}"#), Some(Any::ArrayValue(a)) if a.values.is_empty())
    );
    assert!(matches!(value(r#"{"kvlistValue":{"values":null}}"#), Some(Any::KvlistValue(_))));
    assert_eq!(value("{}"), None);
    assert_eq!(value("null"), None);
}

#[test]
fn values_keep_their_defaults() {
    assert_eq!(value(r#"{"stringValue":""}"#), Some(Any::StringValue(String::new())));
    assert_eq!(value(r#"{"boolValue":false}"#), Some(Any::BoolValue(false)));
    assert_eq!(value(r#"{"intValue":"0"}"#), Some(Any::IntValue(0)));
}

#[test]
fn bytes_in_either_alphabet_with_and_without_padding() {
    for text in ["+/8=", "+/8", "-_8=", "-_8"] {
        let value = value(&format!(r#"{{"bytesValue":"{text}"}}"#));
        assert_eq!(value, Some(Any::BytesValue(vec![0xfb, 0xff])), "{text}");
    }
}

#[test]
fn half_a_surrogate_pair_is_replaced() {
    assert_eq!(span(r#""name":"cut \ud83d""#).name, "cut \u{fffd}");
    assert_eq!(span(r#""name":"\udc00x\ud83d\ude00""#).name, "\u{fffd}x\u{1f600}");
}

#[test]
fn unknown_fields_are_skipped_however_deep() {
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(span(&format!(r#""later":{deep},"name":"n""#)).name, "n");
}

#[test]
fn long_messages_get_their_length() {
    for len in [0, 1, 100, 126, 127, 128, 129, 16_382, 16_384, 70_000] {
        let name = "n".repeat(len);
        assert_eq!(span(&format!(r#""name":"{name}""#)).name, name);
    }
}

#[test]
fn faults_say_what_and_where() {
    let cases = [
        (r#""traceId":"5b8e""#, "expected 32 hex digits or none for traceId at line 1 column"),
        (r#""spanId":"zzzzzzzzzzzzzzzz""#, "expected 16 hex digits or none for spanId"),
        (r#""spanId":7"#, "expected 16 hex digits or none for spanId"),
        (r#""name":7"#, "invalid type: integer `7`, expected a string for name"),
        (r#""kind":"CLIENT""#, "expected a number or a name for kind"),
        (r#""startTimeUnixNano":-1"#, "expected a 64-bit number for startTimeUnixNano"),
        (r#""startTimeUnixNano":1.5"#, "expected a 64-bit number for startTimeUnixNano"),
        (r#""flags":4294967296"#, "expected a number below 2^32 for flags"),
        (
            r#""attributes":[{"value":{"doubleValue":"1e400"}}]"#,
            "expected a number for doubleValue",
        ),
        (r#""attributes":{}"#, "expected a list for attributes"),
        (r#""status":[]"#, "expected an object"),
        (r#""attributes":[{"value":{"bytesValue":"!"}}]"#, "bytesValue: Invalid symbol"),
    ];
    for (fields, expected) in cases {
        let fault = fault(fields);
        assert!(fault.contains(expected), "{fields}: {fault}");
    }
    for text in ["", "[]", "7", r#"{"resourceSpans":["#, "{} {}", "{}x"] {
        read_json(text.as_bytes()).unwrap_err();
    }
    let old = r#"{"resourceSpans":[{"instrumentationLibrarySpans":[{"spans":[{}]}]}]}"#;
    assert!(read_json(old.as_bytes()).unwrap_err().to_string().contains("update the SDK"));
    assert!(fault(&format!(r#""kind":"{}""#, "x".repeat(10_000))).len() <= 300);
}
