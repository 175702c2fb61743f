//! OTLP/JSON out of OTLP protobuf, without an object tree in between; [`read_json`] is the other way.
//!
//! Fields, their order and what is left out are those of the collector's file exporter (pdata 1.67
//! `MarshalJSON`, json-iterator): ids as hex, 64-bit integers as strings, enums as numbers, bytes
//! as base64, `NaN` and infinities as strings; unset fields are omitted, but `resource`, `scope`,
//! `status` and a pair's `value` are always there. One thing differs: a string that is not UTF-8
//! gets U+FFFD in the place of its bad bytes, so that a line is always JSON.

mod read;
mod schema;

pub use read::{JsonError, read_json};

use std::fmt::Display;
use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::view::{
    Attributes, EventView, LinkView, ResourceSpansView, ResourceView, ScopeSpansView, ScopeView,
    SpanView, Value, bytes_field, messages,
};

/// Values nested deeper are written as empty: the stack is finite and the caller's limits are not
/// ours to know. The receivers' default limit is 32.
const MAX_DEPTH: usize = 64;

/// Appends one OTLP/JSON object, `{"resourceSpans":[..]}`, without a line feed. `fragment` is an
/// `ExportTraceServiceRequest` in protobuf; of malformed bytes what precedes the fault is written.
pub fn write_json(fragment: &[u8], out: &mut Vec<u8>) {
    let mut object = Object::open(out);
    object.list("resourceSpans", messages(fragment, 1), write_resource_spans);
    object.close();
}

/// An object being written: puts the commas.
struct Object<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

fn write_resource_spans(bytes: &[u8], out: &mut Vec<u8>) {
    let view = ResourceSpansView::new(bytes);
    let mut object = Object::open(out);
    write_resource(bytes_field(bytes, 1), object.key("resource"));
    object.list("scopeSpans", view.scopes(), write_scope_spans);
    object.string("schemaUrl", view.schema_url());
    object.close();
}

fn write_resource(bytes: &[u8], out: &mut Vec<u8>) {
    let view = ResourceView::new(bytes);
    let mut object = Object::open(out);
    object.attributes(view.attributes());
    object.number("droppedAttributesCount", view.dropped_attributes_count());
    object.list("entityRefs", messages(bytes, 3), write_entity_ref);
    object.close();
}

/// An `EntityRef` (`common.proto`): which attributes name the entity the resource is about.
fn write_entity_ref(bytes: &[u8], out: &mut Vec<u8>) {
    let mut object = Object::open(out);
    object.string("schemaUrl", bytes_field(bytes, 1));
    object.string("type", bytes_field(bytes, 2));
    object.list("idKeys", messages(bytes, 3), write_string);
    object.list("descriptionKeys", messages(bytes, 4), write_string);
    object.close();
}

fn write_scope_spans(view: ScopeSpansView<'_>, out: &mut Vec<u8>) {
    let mut object = Object::open(out);
    write_scope(view.scope(), object.key("scope"));
    object.list("spans", view.spans(), write_span);
    object.string("schemaUrl", view.schema_url());
    object.close();
}

fn write_scope(view: ScopeView<'_>, out: &mut Vec<u8>) {
    let mut object = Object::open(out);
    object.string("name", view.name());
    object.string("version", view.version());
    object.attributes(view.attributes());
    object.number("droppedAttributesCount", view.dropped_attributes_count());
    object.close();
}

fn write_span(view: SpanView<'_>, out: &mut Vec<u8>) {
    let mut object = Object::open(out);
    object.id("traceId", view.trace_id());
    object.id("spanId", view.span_id());
    object.string("traceState", view.trace_state());
    object.id("parentSpanId", view.parent_span_id());
    object.number("flags", view.flags());
    object.string("name", view.name());
    object.number("kind", view.kind());
    object.quoted("startTimeUnixNano", view.start_ns());
    object.quoted("endTimeUnixNano", view.end_ns());
    object.attributes(view.attributes());
    object.number("droppedAttributesCount", view.dropped_attributes_count());
    object.list("events", view.events(), write_event);
    object.number("droppedEventsCount", view.dropped_events_count());
    object.list("links", view.links(), write_link);
    object.number("droppedLinksCount", view.dropped_links_count());
    let status = view.status();
    let mut inner = Object::open(object.key("status"));
    inner.string("message", status.message);
    inner.number("code", status.code);
    inner.close();
    object.close();
}

fn write_event(view: EventView<'_>, out: &mut Vec<u8>) {
    let mut object = Object::open(out);
    object.quoted("timeUnixNano", view.time_ns());
    object.string("name", view.name());
    object.attributes(view.attributes());
    object.number("droppedAttributesCount", view.dropped_attributes_count());
    object.close();
}

fn write_link(view: LinkView<'_>, out: &mut Vec<u8>) {
    let mut object = Object::open(out);
    object.id("traceId", view.trace_id());
    object.id("spanId", view.span_id());
    object.string("traceState", view.trace_state());
    object.attributes(view.attributes());
    object.number("droppedAttributesCount", view.dropped_attributes_count());
    object.number("flags", view.flags());
    object.close();
}

fn write_pair((key, value): (&[u8], Value<'_>), depth: usize, out: &mut Vec<u8>) {
    let mut object = Object::open(out);
    object.string("key", key);
    write_value(value, depth, object.key("value"));
    object.close();
}

fn write_value(value: Value<'_>, depth: usize, out: &mut Vec<u8>) {
    let mut object = Object::open(out);
    match value {
        Value::Empty => {}
        Value::Str(bytes) => write_string(bytes, object.key("stringValue")),
        Value::Bool(v) => put(object.key("boolValue"), v),
        Value::Int(v) => put(object.key("intValue"), format_args!("\"{v}\"")),
        Value::Double(v) => write_double(v, object.key("doubleValue")),
        Value::Array(values) => {
            let mut inner = Object::open(object.key("arrayValue"));
            if let Some(depth) = depth.checked_sub(1) {
                inner.list("values", values, |value, out| write_value(value, depth, out));
            }
            inner.close();
        }
        Value::Map(pairs) => {
            let mut inner = Object::open(object.key("kvlistValue"));
            if let Some(depth) = depth.checked_sub(1) {
                inner.list("values", pairs, |pair, out| write_pair(pair, depth, out));
            }
            inner.close();
        }
        Value::Bytes(bytes) => write_base64(bytes, object.key("bytesValue")),
    }
    object.close();
}

fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    // The space is exact, so encoding cannot fail.
    let written = STANDARD.encode_slice(bytes, &mut out[start..]).unwrap_or(0);
    out.truncate(start + written);
    out.push(b'"');
}

/// As Go's `strconv.AppendFloat(.., -1, 64)`: plain within [1e-6, 1e21), else with an exponent of a
/// sign and at least two digits.
fn write_double(v: f64, out: &mut Vec<u8>) {
    if v.is_nan() {
        return put(out, "\"NaN\"");
    }
    if v.is_infinite() {
        return put(out, if v > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" });
    }
    if v == 0.0 || (1e-6..1e21).contains(&v.abs()) {
        return put(out, v);
    }
    put(out, format_args!("{v:e}"));
    let Some(at) = out.iter().rposition(|byte| *byte == b'e') else { return };
    let mut exponent = out.split_off(at + 1);
    let negative = exponent.first() == Some(&b'-');
    exponent.retain(u8::is_ascii_digit);
    out.push(if negative { b'-' } else { b'+' });
    if exponent.len() < 2 {
        out.push(b'0');
    }
    out.extend_from_slice(&exponent);
}

fn write_string(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for chunk in bytes.utf8_chunks() {
        write_escaped(chunk.valid().as_bytes(), out);
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    out.push(b'"');
}

fn write_escaped(text: &[u8], out: &mut Vec<u8>) {
    let mut plain = 0;
    for (at, byte) in text.iter().enumerate() {
        if *byte >= 0x20 && *byte != b'"' && *byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&text[plain..at]);
        plain = at + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            other => put(out, format_args!("\\u{other:04x}")),
        }
    }
    out.extend_from_slice(&text[plain..]);
}

fn put(out: &mut Vec<u8>, value: impl Display) {
    // Writing to a vector does not fail.
    let _ = write!(out, "{value}");
}

// === impl Object ===

impl<'o> Object<'o> {
    fn open(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, first: true }
    }

    fn close(self) {
        self.out.push(b'}');
    }

    /// Begins a field; the caller writes its value. Keys need no escaping.
    fn key(&mut self, key: &str) -> &mut Vec<u8> {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    fn string(&mut self, key: &str, value: &[u8]) {
        if !value.is_empty() {
            write_string(value, self.key(key));
        }
    }

    fn number<N: Display + Default + PartialEq>(&mut self, key: &str, value: N) {
        if value != N::default() {
            put(self.key(key), value);
        }
    }

    fn quoted(&mut self, key: &str, value: u64) {
        if value != 0 {
            put(self.key(key), format_args!("\"{value}\""));
        }
    }

    /// An id as hex; all zero counts as unset.
    fn id(&mut self, key: &str, value: &[u8]) {
        if value.iter().all(|byte| *byte == 0) {
            return;
        }
        let out = self.key(key);
        out.push(b'"');
        for byte in value {
            out.push(b"0123456789abcdef"[usize::from(byte >> 4)]);
            out.push(b"0123456789abcdef"[usize::from(byte & 15)]);
        }
        out.push(b'"');
    }

    fn list<T>(
        &mut self,
        key: &str,
        items: impl Iterator<Item = T>,
        mut write: impl FnMut(T, &mut Vec<u8>),
    ) {
        let mut items = items.peekable();
        if items.peek().is_none() {
            return;
        }
        let out = self.key(key);
        let mut separator = b'[';
        for item in items {
            out.push(separator);
            separator = b',';
            write(item, out);
        }
        out.push(b']');
    }

    fn attributes(&mut self, pairs: Attributes<'_>) {
        self.list("attributes", pairs, |pair, out| write_pair(pair, MAX_DEPTH, out));
    }
}

#[cfg(test)]
mod read_tests;
#[cfg(test)]
mod tests;
