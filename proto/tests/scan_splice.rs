//! Scan and splice against prost: the same spans, the same refusals.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest as Request;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use proptest::prelude::*;
use prost::Message;
use tailgate_proto::view::{SpanView, resource_spans};
use tailgate_proto::{Limits, Scan, ScanError, TraceId, scan, splice, spliced_len};

fn scanned(bytes: &[u8]) -> Result<Scan, ScanError> {
    let mut out = Scan::default();
    scan(bytes, &Limits::default(), &mut out).map(|()| out)
}

/// What splicing should give: the request with other spans left out, and without what is empty then.
fn only(request: &Request, keep: impl Fn(usize, &Span) -> bool) -> Request {
    let mut index = 0;
    let mut scope = |scope: &ScopeSpans| {
        let mut scope = scope.clone();
        scope.spans.retain(|span| {
            index += 1;
            keep(index - 1, span)
        });
        scope
    };
    let mut resource = |resource: &ResourceSpans| {
        let mut scopes: Vec<_> = resource.scope_spans.iter().map(&mut scope).collect();
        scopes.retain(|scope| !scope.spans.is_empty());
        ResourceSpans { scope_spans: scopes, ..resource.clone() }
    };
    let mut all: Vec<_> = request.resource_spans.iter().map(&mut resource).collect();
    all.retain(|resource| !resource.scope_spans.is_empty());
    Request { resource_spans: all }
}

fn flat(request: &Request) -> Vec<&Span> {
    let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    scopes.flat_map(|scope| &scope.spans).collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn scan_finds_prosts_spans(request in support::request()) {
        let bytes = request.encode_to_vec();
        let out = scanned(&bytes).unwrap();
        prop_assert_eq!(out.rejected().spans, 0);
        let spans = flat(&request);
        prop_assert_eq!(out.spans().len(), spans.len());
        for (found, span) in out.spans().iter().zip(spans) {
            prop_assert_eq!(&found.trace_id.0[..], &span.trace_id[..]);
            prop_assert_eq!(found.root, span.parent_span_id.iter().all(|byte| *byte == 0));
            let body = &bytes[found.start as usize..found.end as usize];
            prop_assert_eq!(&Span::decode(body).unwrap(), span);
        }
    }

    #[test]
    fn splice_is_prosts_regrouping(request in support::request(), mask in any::<u64>()) {
        let bytes = request.encode_to_vec();
        let out = scanned(&bytes).unwrap();
        let keep = |index: usize| mask >> (index % 64) & 1 == 1;
        let indexes: Vec<u32> = (0..out.spans().len() as u32).filter(|i| keep(*i as usize)).collect();
        let mut fragment = Vec::new();
        splice(&bytes, &out, &indexes, &mut fragment);
        prop_assert_eq!(fragment.len(), spliced_len(&out, &indexes));
        prop_assert_eq!(Request::decode(&fragment[..]).unwrap(), only(&request, |i, _| keep(i)));
    }

    #[test]
    fn fragments_concatenate(request in support::request()) {
        let bytes = request.encode_to_vec();
        let out = scanned(&bytes).unwrap();
        let (even, odd): (Vec<u32>, Vec<u32>) =
            (0..out.spans().len() as u32).partition(|index| index % 2 == 0);
        let mut both = Vec::new();
        splice(&bytes, &out, &even, &mut both);
        splice(&bytes, &out, &odd, &mut both);
        prop_assert_eq!(scanned(&both).unwrap().spans().len(), out.spans().len());
    }

    #[test]
    fn truncated_requests_are_refused_as_prost_does(
        request in support::request(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = request.encode_to_vec();
        bytes.truncate(cut.index(bytes.len() + 1));
        prop_assert_eq!(scanned(&bytes).is_ok(), Request::decode(&bytes[..]).is_ok());
    }

    #[test]
    fn what_is_accepted_prost_accepts(
        request in support::request(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = request.encode_to_vec();
        prop_assume!(!bytes.is_empty());
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let Ok(out) = scanned(&bytes) else { return Ok(()) };
        let indexes: Vec<u32> = (0..out.spans().len() as u32).collect();
        let mut fragment = Vec::new();
        splice(&bytes, &out, &indexes, &mut fragment);
        prop_assert!(Request::decode(&fragment[..]).is_ok());
    }

    #[test]
    fn views_read_what_prost_reads(span in support::span()) {
        let bytes = span.encode_to_vec();
        let view = SpanView::new(&bytes);
        prop_assert_eq!(view.trace_id(), &span.trace_id[..]);
        prop_assert_eq!(view.span_id(), &span.span_id[..]);
        prop_assert_eq!(view.parent_span_id(), &span.parent_span_id[..]);
        prop_assert_eq!(view.name(), span.name.as_bytes());
        prop_assert_eq!(view.kind(), span.kind);
        prop_assert_eq!(view.start_ns(), span.start_time_unix_nano);
        prop_assert_eq!(view.end_ns(), span.end_time_unix_nano);
        prop_assert_eq!(view.flags(), span.flags);
        prop_assert_eq!(view.attributes().count(), span.attributes.len());
        prop_assert_eq!(view.events().count(), span.events.len());
        prop_assert_eq!(view.links().count(), span.links.len());
        prop_assert_eq!(view.status().code, span.status.map_or(0, |status| status.code));
    }

    #[test]
    fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = scanned(&bytes);
        for group in resource_spans(&bytes) {
            let _ = group.resource().attributes().count();
            for span in group.scopes().flat_map(|scope| scope.spans()) {
                let _ = (span.status(), span.attributes().map(|(_, v)| format!("{v:?}")).count());
            }
        }
    }
}

fn request_with(span: Span) -> Vec<u8> {
    let scope = ScopeSpans { spans: vec![good(), span], ..Default::default() };
    let resource = ResourceSpans { scope_spans: vec![scope], ..Default::default() };
    Request { resource_spans: vec![resource] }.encode_to_vec()
}

fn good() -> Span {
    Span { trace_id: vec![1; 16], span_id: vec![1; 8], ..Default::default() }
}

fn nested(levels: usize) -> Span {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
    let mut value = AnyValue { value: Some(Value::IntValue(1)) };
    for _ in 0..levels {
        value = AnyValue { value: Some(Value::ArrayValue(ArrayValue { values: vec![value] })) };
    }
    let attribute = KeyValue { key: "k".into(), value: Some(value), ..Default::default() };
    Span { attributes: vec![attribute], ..good() }
}

#[test]
fn bad_spans_are_left_out_with_the_reason() {
    let cases = [
        (Span { trace_id: vec![], ..good() }, "trace_id must be 16 non-zero bytes"),
        (Span { trace_id: vec![0; 16], ..good() }, "trace_id must be 16 non-zero bytes"),
        (Span { trace_id: vec![1; 8], ..good() }, "trace_id must be 16 non-zero bytes"),
        (Span { span_id: vec![], ..good() }, "span_id must be 8 non-zero bytes"),
        (Span { span_id: vec![0; 8], ..good() }, "span_id must be 8 non-zero bytes"),
        (Span { parent_span_id: vec![1; 3], ..good() }, "parent_span_id must be empty or 8 bytes"),
        (
            Span { name: "x".repeat(300_000), ..good() },
            "span of 300032 bytes exceeds max_span_bytes 262144",
        ),
        (nested(33), "attribute nesting > 32"),
    ];
    for (span, reason) in cases {
        let out = scanned(&request_with(span)).unwrap();
        assert_eq!(out.spans().len(), 1, "the good span stays");
        assert_eq!(out.rejected().spans, 1);
        assert_eq!(out.rejected().reason.as_deref(), Some(reason));
    }
    assert_eq!(scanned(&request_with(nested(32))).unwrap().rejected().spans, 0);
}

/// A span with `\u{b5}` in each of its strings, which are 11.
fn wordy() -> Span {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
    use opentelemetry_proto::tonic::trace::v1::Status;
    use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
    let text = || "\u{b5}".to_owned();
    let value = Some(AnyValue { value: Some(Value::StringValue(text())) });
    let pair = KeyValue { key: text(), value, ..Default::default() };
    let attributes = vec![pair];
    let event = Event { name: text(), attributes: attributes.clone(), ..Default::default() };
    let link = Link { trace_state: text(), attributes: attributes.clone(), ..Default::default() };
    let status = Some(Status { message: text(), code: 0 });
    let (name, trace_state) = (text(), text());
    Span { name, trace_state, attributes, events: vec![event], links: vec![link], status, ..good() }
}

#[test]
fn a_string_that_is_none_costs_its_span_only() {
    let whole = request_with(wordy());
    assert_eq!(scanned(&whole).unwrap().rejected().spans, 0);
    let places = (0..whole.len()).filter(|at| whole[*at..].starts_with("\u{b5}".as_bytes()));
    let mut tried = 0;
    for place in places {
        let mut bytes = whole.clone();
        bytes[place] = 0xff;
        assert!(Request::decode(&bytes[..]).is_err(), "strict decoders refuse all of it");
        let out = scanned(&bytes).unwrap();
        assert_eq!((out.spans().len(), out.rejected().spans), (1, 1));
        assert_eq!(out.rejected().reason.as_deref(), Some("a string is not UTF-8"));
        let mut rest = Vec::new();
        splice(&bytes, &out, &[0], &mut rest);
        assert!(Request::decode(&rest[..]).is_ok());
        tried += 1;
    }
    assert_eq!(tried, 11);
}

#[test]
fn too_many_spans_are_refused() {
    let scope = ScopeSpans { spans: vec![good(); 11], ..Default::default() };
    let resource = ResourceSpans { scope_spans: vec![scope], ..Default::default() };
    let bytes = Request { resource_spans: vec![resource] }.encode_to_vec();
    let limits = Limits { max_spans: 10, ..Limits::default() };
    let error = scan(&bytes, &limits, &mut Scan::default()).unwrap_err();
    assert_eq!(error, ScanError::TooManySpans { limit: 10 });
}

#[test]
fn empty_scopes_do_not_cost_more_than_they_are() {
    let bomb: Vec<u8> = [vec![0x0a, 0x80, 0x80, 0x08], [0x12, 0].repeat(1 << 16)].concat();
    let error = scanned(&bomb).unwrap_err();
    assert_eq!(error, ScanError::TooManyScopes { limit: 50_000 });
}

#[test]
fn slots_are_fixed_for_ever() {
    let id = TraceId(std::array::from_fn(|i| i as u8));
    assert_eq!(id.to_string(), "000102030405060708090a0b0c0d0e0f");
    assert_eq!(id.slot(), SLOT_OF_EXAMPLE);
}

/// xxh3-64 of the bytes 0..16, low 16 bits.
const SLOT_OF_EXAMPLE: u16 = 28891;
