//! OTLP/JSON to protobuf bytes, as lenient as the corpus needs: integers as strings or numbers,
//! `"NaN"`, missing ids.

#![allow(clippy::unwrap_used, dead_code)]

pub mod requests;

use std::collections::HashSet;
use std::fmt;

use base64::Engine as _;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use tailgate_proto::wire::{put_len, put_varint};
use tailgate_xray::{Documents, Options, Translator};

/// The documents of a request, with invented ids 1, 2, 3, ...
pub fn translate(request: &Value, options: Options, now_s: u64) -> Documents {
    let mut next = 0;
    let mut out = Documents::default();
    let fragment = encode(request);
    Translator::new(options).translate(
        &fragment,
        &mut || {
            next += 1;
            next
        },
        now_s,
        &mut out,
    );
    out
}

/// The documents, parsed.
pub fn parsed(documents: &Documents) -> Vec<Value> {
    documents.iter().map(|document| serde_json::from_str(&document.text()).unwrap()).collect()
}

/// An ExportTraceServiceRequest.
pub fn encode(request: &Value) -> Vec<u8> {
    message(|out| each(out, 1, &request["resourceSpans"], resource_spans))
}

fn message(f: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    f(&mut out);
    out
}

fn each(out: &mut Vec<u8>, number: u32, list: &Value, f: fn(&mut Vec<u8>, &Value)) {
    for item in list.as_array().into_iter().flatten() {
        put_len(out, number, &message(|out| f(out, item)));
    }
}

fn resource_spans(out: &mut Vec<u8>, value: &Value) {
    let resource = message(|out| each(out, 1, &value["resource"]["attributes"], key_value));
    put_len(out, 1, &resource);
    each(out, 2, &value["scopeSpans"], |out, value| {
        let name = value["scope"]["name"].as_str().unwrap_or_default();
        put_len(out, 1, &message(|out| put_len(out, 1, name.as_bytes())));
        each(out, 2, &value["spans"], span);
    });
}

fn span(out: &mut Vec<u8>, value: &Value) {
    put_len(out, 1, &hex(&value["traceId"]));
    put_len(out, 2, &hex(&value["spanId"]));
    text(out, 3, &value["traceState"]);
    put_len(out, 4, &hex(&value["parentSpanId"]));
    text(out, 5, &value["name"]);
    varint(out, 6, int(&value["kind"]));
    fixed64(out, 7, uint(&value["startTimeUnixNano"]));
    fixed64(out, 8, uint(&value["endTimeUnixNano"]));
    each(out, 9, &value["attributes"], key_value);
    each(out, 11, &value["events"], |out, value| {
        fixed64(out, 1, uint(&value["timeUnixNano"]));
        text(out, 2, &value["name"]);
        each(out, 3, &value["attributes"], key_value);
    });
    each(out, 13, &value["links"], |out, value| {
        put_len(out, 1, &hex(&value["traceId"]));
        put_len(out, 2, &hex(&value["spanId"]));
        text(out, 3, &value["traceState"]);
        each(out, 4, &value["attributes"], key_value);
    });
    let status = &value["status"];
    put_len(
        out,
        15,
        &message(|out| {
            text(out, 2, &status["message"]);
            varint(out, 3, int(&status["code"]));
        }),
    );
}

fn key_value(out: &mut Vec<u8>, value: &Value) {
    text(out, 1, &value["key"]);
    put_len(out, 2, &message(|out| any_value(out, &value["value"])));
}

fn any_value(out: &mut Vec<u8>, value: &Value) {
    for (kind, value) in value.as_object().into_iter().flatten() {
        match kind.as_str() {
            "stringValue" => text(out, 1, value),
            "boolValue" => varint(out, 2, i64::from(value.as_bool().unwrap())),
            "intValue" => varint(out, 3, int(value)),
            "doubleValue" => fixed64(out, 4, double(value).to_bits()),
            "arrayValue" => {
                put_len(out, 5, &message(|out| each(out, 1, &value["values"], any_value)));
            }
            "kvlistValue" => {
                put_len(out, 6, &message(|out| each(out, 1, &value["values"], key_value)));
            }
            "bytesValue" => {
                let bytes =
                    base64::engine::general_purpose::STANDARD.decode(value.as_str().unwrap());
                put_len(out, 7, &bytes.unwrap());
            }
            other => panic!("unknown value {other}"),
        }
    }
}

fn text(out: &mut Vec<u8>, number: u32, value: &Value) {
    if let Some(text) = value.as_str() {
        put_len(out, number, text.as_bytes());
    }
}

fn varint(out: &mut Vec<u8>, number: u32, value: i64) {
    put_varint(out, u64::from(number) << 3);
    put_varint(out, value as u64);
}

fn fixed64(out: &mut Vec<u8>, number: u32, value: u64) {
    put_varint(out, u64::from(number) << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

fn int(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| value.as_str().map_or(0, |text| text.parse().unwrap()))
}

fn uint(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| value.as_str().map_or(0, |text| text.parse().unwrap()))
}

fn double(value: &Value) -> f64 {
    match value.as_str() {
        Some("Infinity") => f64::INFINITY,
        Some("-Infinity") => f64::NEG_INFINITY,
        Some(text) => text.parse().unwrap(),
        None => value.as_f64().unwrap(),
    }
}

fn hex(value: &Value) -> Vec<u8> {
    let digits = value.as_str().unwrap_or_default().as_bytes();
    let digit = |b: u8| char::from(b).to_digit(16).unwrap() as u8;
    digits.chunks(2).map(|pair| digit(pair[0]) * 16 + digit(pair[1])).collect()
}

/// JSON in which no object has a key twice.
#[derive(Debug)]
pub struct UniqueKeys;

struct UniqueKeysVisitor;

// === impl UniqueKeys ===

impl<'de> Deserialize<'de> for UniqueKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueKeysVisitor)
    }
}

// === impl UniqueKeysVisitor ===

impl<'de> Visitor<'de> for UniqueKeysVisitor {
    type Value = UniqueKeys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<UniqueKeys, A::Error> {
        let mut keys = HashSet::new();
        while let Some((key, UniqueKeys)) = map.next_entry::<String, UniqueKeys>()? {
            if let Some(twice) = keys.replace(key) {
                return Err(A::Error::custom(format!("{twice} is there twice")));
            }
        }
        Ok(UniqueKeys)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<UniqueKeys, A::Error> {
        while let Some(UniqueKeys) = seq.next_element()? {}
        Ok(UniqueKeys)
    }

    fn visit_str<E>(self, _: &str) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_bool<E>(self, _: bool) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_i64<E>(self, _: i64) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_u64<E>(self, _: u64) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_f64<E>(self, _: f64) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_unit<E>(self) -> Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }
}
