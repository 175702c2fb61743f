//! What every application traces: a visit, an order that fails, and looks at many items. The
//! applications in python/, node/, java/ and go/ follow this.

use crate::doors::all_spans;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span, span::SpanKind};
use std::collections::BTreeMap;

/// Items that are looked at, a trace each.
pub const ITEMS: usize = 40;
/// `visit`, `POST /buy`, `charge`, `prices`, and the items.
pub const SPANS: usize = 4 + ITEMS;

/// By name: trace id, span id and the parent's span id or nothing, in lower-case hex. An
/// application prints this of what it made.
pub type Made = BTreeMap<String, [String; 3]>;

fn any(value: Any) -> Option<AnyValue> {
    Some(AnyValue { value: Some(value) })
}

fn texts(items: &[&str]) -> Any {
    let values = items.iter().map(|t| any(Any::StringValue((*t).to_owned())).unwrap()).collect();
    Any::ArrayValue(ArrayValue { values })
}

/// The attributes of a span by its name, sorted.
fn attributes(name: &str) -> Vec<(String, Any)> {
    let text = |text: &str| Any::StringValue(text.to_owned());
    let of = |key: &str, value| (key.to_owned(), value);
    match name.strip_prefix("GET /item/") {
        Some(item) => vec![of("item", Any::IntValue(item.parse().unwrap()))],
        None if name == "POST /buy" => vec![
            of("http.request.method", text("POST")),
            of("http.response.status_code", Any::IntValue(402)),
            of("shop.items", texts(&["tea", "K\u{e4}se \u{2615}"])),
            of("shop.member", Any::BoolValue(true)),
            of("shop.total", Any::DoubleValue(12.5)),
        ],
        None => Vec::new(),
    }
}

fn sorted(attributes: &[KeyValue]) -> Vec<(String, Any)> {
    let value = |a: &KeyValue| a.value.clone().and_then(|v| v.value).unwrap();
    let mut found: Vec<_> = attributes.iter().map(|a| (a.key.clone(), value(a))).collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What came out is what the application made: each span once and whole.
pub fn check(made: &Made, came: &[ResourceSpans]) {
    let mut spans: BTreeMap<&str, &Span> = BTreeMap::new();
    for span in all_spans(came) {
        assert!(spans.insert(&span.name, span).is_none(), "{} came twice", span.name);
    }
    let names: Vec<&str> = made.keys().map(String::as_str).collect();
    assert_eq!(spans.keys().copied().collect::<Vec<_>>(), names);
    assert_eq!(names.len(), SPANS);
    for (name, ids) in made {
        let span = spans[name.as_str()];
        let has = [&span.trace_id, &span.span_id, &span.parent_span_id].map(|id| hex(id));
        assert_eq!(&has, ids, "{name}");
        assert_eq!(sorted(&span.attributes), attributes(name), "{name}");
        assert!(span.start_time_unix_nano > 0, "{name}");
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano, "{name}");
        let kind = match name.as_str() {
            "prices" => SpanKind::Internal,
            "charge" => SpanKind::Client,
            _ => SpanKind::Server,
        };
        assert_eq!(span.kind, kind as i32, "{name}");
    }
    check_order(&spans);
    let scopes = came.iter().flat_map(|r| &r.scope_spans).filter_map(|s| s.scope.as_ref());
    for scope in scopes {
        assert_eq!((&*scope.name, &*scope.version), ("shop", "1.0"));
    }
}

fn check_order(spans: &BTreeMap<&str, &Span>) {
    let (buy, charge, visit) = (spans["POST /buy"], spans["charge"], spans["visit"]);
    for child in [charge, spans["prices"]] {
        assert_eq!((&child.trace_id, &child.parent_span_id), (&buy.trace_id, &buy.span_id));
    }
    let status = buy.status.clone().unwrap();
    assert_eq!((status.code, &*status.message), (2, "card declined"));
    let event = &charge.events[0];
    assert_eq!((charge.events.len(), &*event.name), (1, "retry"));
    assert_eq!(sorted(&event.attributes), [("attempt".to_owned(), Any::IntValue(2))]);
    assert!(event.time_unix_nano > 0);
    let link = &charge.links[0];
    assert_eq!(charge.links.len(), 1);
    assert_eq!((&link.trace_id, &link.span_id), (&visit.trace_id, &visit.span_id));
}
