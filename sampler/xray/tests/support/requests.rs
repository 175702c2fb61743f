//! Requests of one span, written in few words.

use serde_json::{Value, json};
use tailgate_xray::{Change, Changes};

pub type Attribute = (&'static str, Value);

pub fn string(text: &str) -> Value {
    json!({"stringValue": text})
}

pub fn list(attributes: &[Attribute]) -> Value {
    attributes.iter().map(|(key, value)| json!({"key": key, "value": value})).collect()
}

pub fn request(resource: &[Attribute], span: Value) -> Value {
    json!({"resourceSpans": [{
        "resource": {"attributes": list(resource)},
        "scopeSpans": [{"spans": [span]}]
    }]})
}

pub fn span(kind: i32, attributes: &[Attribute]) -> Value {
    json!({
        "traceId": "6553f100000000000000000000000001",
        "spanId": "00000000000000aa",
        "name": "n",
        "kind": kind,
        "attributes": list(attributes)
    })
}

pub fn changes(changes: Changes) -> Vec<Change> {
    Change::ALL.into_iter().filter(|change| changes.contains(*change)).collect()
}
