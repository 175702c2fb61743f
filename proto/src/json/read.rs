//! OTLP protobuf out of OTLP/JSON, without an object tree in between.
//!
//! As lenient as the collector's reader (pdata 1.67 `UnmarshalJSON`): both spellings of names,
//! 64-bit numbers as strings or numbers, enums by name or number, ids in either case or empty,
//! `null` for any default, unknown fields skipped. Stricter in two things, both so that no span is
//! lost without a word: text after the object is an error, and so are the fields of OTLP before
//! 0.15, whose spans nobody would see.

mod put;

use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Unexpected,
    Visitor,
};
use thiserror::Error;

use super::schema::{Field, Kind, Message, REQUEST};
use crate::wire::{put_varint, varint_len};

/// The text is no OTLP/JSON request: what is wrong, and in which line and column.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct JsonError(String);

/// Values nested deeper are cut off there, which the scan refuses (its limit is 32): the stack is
/// finite.
const MAX_DEPTH: usize = 48;
/// A message quotes the text it is about, which may be long.
const MAX_MESSAGE: usize = 256;

/// Reads one `ExportTraceServiceRequest`. The result is not longer than the text.
///
/// # Errors
/// The text is no JSON, or a known field has the wrong type.
pub fn read_json(text: &[u8]) -> Result<Vec<u8>, JsonError> {
    let mut out = Vec::with_capacity(text.len() / 2);
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    // Depth is counted here; what is skipped is skipped without recursion.
    deserializer.disable_recursion_limit();
    let request = Object { message: &REQUEST, depth: 0, out: &mut out };
    request
        .deserialize(&mut deserializer)
        .and_then(|()| deserializer.end())
        .map_err(JsonError::of)?;
    Ok(out)
}

/// A message whose fields are appended.
struct Object<'o> {
    message: &'static Message,
    depth: usize,
    out: &'o mut Vec<u8>,
}

/// A field that is appended.
struct Value<'o> {
    field: &'static Field,
    keeps_default: bool,
    depth: usize,
    out: &'o mut Vec<u8>,
}

/// The items of a list.
struct Items<'o>(Value<'o>);

/// A field's name.
struct Name(&'static Message);

/// Appends a message field whose length is known only when it is written.
fn nested<E>(
    out: &mut Vec<u8>,
    number: u32,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    put_varint(out, u64::from(number) << 3 | 2);
    let start = out.len() + 1;
    out.push(0);
    write(out)?;
    let len = out.len() - start;
    // Most messages are shorter than 128 bytes; the others move by as much as their length takes.
    let more = varint_len(len as u64) - 1;
    out.resize(out.len() + more, 0);
    out.copy_within(start..start + len, start + more);
    let mut prefix = Vec::with_capacity(10);
    put_varint(&mut prefix, len as u64);
    out[start - 1..start + more].copy_from_slice(&prefix);
    Ok(())
}

// === impl JsonError ===

impl JsonError {
    fn of(error: serde_json::Error) -> Self {
        let text = error.to_string();
        if text.len() <= MAX_MESSAGE {
            return Self(text);
        }
        let place = format!("... at line {} column {}", error.line(), error.column());
        let mut end = MAX_MESSAGE - place.len().min(MAX_MESSAGE);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Self(format!("{}{place}", &text[..end]))
    }
}

// === impl Object ===

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { message, depth, out } = self;
        let depth = depth + usize::from(message.is_value);
        while let Some(field) = map.next_key_seed(Name(message))? {
            match field {
                Some(field) if depth <= MAX_DEPTH => {
                    let keeps_default = message.keeps_defaults;
                    map.next_value_seed(Value { field, keeps_default, depth, out: &mut *out })?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

// === impl Name ===

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<&'static Field>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<&'static Field>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.field(name))
    }
}

// === impl Value ===

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.field.kind {
            Kind::One(message) => {
                let Self { field, depth, out, .. } = self;
                nested(out, field.number, |out| {
                    Object { message, depth, out }.deserialize(deserializer)
                })
            }
            // A string may have half a surrogate pair, as JavaScript writes it: only bytes can.
            Kind::Text | Kind::Id(_) | Kind::Base64 => deserializer.deserialize_option(self),
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.field.camel;
        match self.field.kind {
            Kind::Text => write!(f, "a string for {name}"),
            Kind::Texts | Kind::Many(_) => write!(f, "a list for {name}"),
            Kind::Id(len) => write!(f, "{} hex digits or none for {name}", len * 2),
            Kind::Base64 => write!(f, "base64 for {name}"),
            Kind::Bool => write!(f, "true or false for {name}"),
            Kind::Uint32 | Kind::Fixed32 => write!(f, "a number below 2^32 for {name}"),
            Kind::Int64 | Kind::Fixed64 => write!(f, "a 64-bit number for {name}"),
            Kind::Double => write!(f, "a number for {name}"),
            Kind::Enum(_) => write!(f, "a number or a name for {name}"),
            Kind::One(_) => write!(f, "an object for {name}"),
            Kind::Obsolete => write!(f, "nothing for {name}"),
        }
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_bytes(self)
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<(), E> {
        match self.field.kind {
            Kind::Id(len) => self.id(len, bytes),
            Kind::Base64 => self.base64(bytes),
            _ => {
                self.text(bytes);
                Ok(())
            }
        }
    }

    fn visit_bool<E: serde::de::Error>(self, v: bool) -> Result<(), E> {
        match self.field.kind {
            Kind::Bool => self.varint(u64::from(v)),
            _ => Err(E::invalid_type(Unexpected::Bool(v), &self)),
        }
    }

    fn visit_u64<E: serde::de::Error>(self, v: u64) -> Result<(), E> {
        match self.field.kind {
            Kind::Double => self.fixed64((v as f64).to_bits()),
            Kind::Fixed64 => self.fixed64(v),
            Kind::Fixed32 if u32::try_from(v).is_ok() => self.fixed32(v as u32),
            Kind::Uint32 if u32::try_from(v).is_ok() => self.varint(v),
            Kind::Enum(_) if i32::try_from(v).is_ok() => self.varint(v),
            Kind::Int64 if i64::try_from(v).is_ok() => self.varint(v),
            _ => Err(E::invalid_value(Unexpected::Unsigned(v), &self)),
        }
    }

    fn visit_i64<E: serde::de::Error>(self, v: i64) -> Result<(), E> {
        match self.field.kind {
            Kind::Double => self.fixed64((v as f64).to_bits()),
            Kind::Int64 => self.varint(v as u64),
            Kind::Enum(_) if i32::try_from(v).is_ok() => self.varint(v as u64),
            _ => Err(E::invalid_value(Unexpected::Signed(v), &self)),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, v: f64) -> Result<(), E> {
        match self.field.kind {
            Kind::Double => self.fixed64(v.to_bits()),
            // 1e3 and 5.0 are whole numbers in JSON; beyond 2^53 a double can't tell.
            _ if v.fract() == 0.0 && v.abs() < 9_007_199_254_740_992.0 => match v < 0.0 {
                true => self.visit_i64(v as i64),
                false => self.visit_u64(v as u64),
            },
            _ => Err(E::invalid_value(Unexpected::Float(v), &self)),
        }
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        match self.field.kind {
            Kind::Double => match double(text) {
                Some(v) => self.fixed64(v.to_bits()),
                None => Err(E::invalid_value(Unexpected::Str(text), &self)),
            },
            Kind::Enum(names) => match names.iter().position(|name| *name == text) {
                Some(v) => self.varint(v as u64),
                None => Err(E::invalid_value(Unexpected::Str(text), &self)),
            },
            Kind::Int64 | Kind::Uint32 | Kind::Fixed32 | Kind::Fixed64 => {
                match (text.parse::<u64>(), text.parse::<i64>()) {
                    (Ok(v), _) => self.visit_u64(v),
                    (_, Ok(v)) => self.visit_i64(v),
                    _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }
            _ => Err(E::invalid_type(Unexpected::Str(text), &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { field, depth, out, .. } = self;
        match field.kind {
            Kind::Many(message) => loop {
                // A field is opened before it is known whether another item follows.
                let before = out.len();
                let mut more = true;
                nested(out, field.number, |out| {
                    more = list.next_element_seed(Object { message, depth, out })?.is_some();
                    Ok(())
                })?;
                if !more {
                    out.truncate(before);
                    return Ok(());
                }
            },
            Kind::Texts => {
                let keeps_default = true;
                loop {
                    let item = Items(Value { field, keeps_default, depth, out: &mut *out });
                    if list.next_element_seed(item)?.is_none() {
                        return Ok(());
                    }
                }
            }
            Kind::Obsolete => Err(A::Error::custom(format!(
                "{} is from OTLP before 0.15 and no longer read: update the SDK that sends it",
                field.camel
            ))),
            _ => {
                let value = Value { field, keeps_default: false, depth, out };
                Err(A::Error::invalid_type(Unexpected::Seq, &value))
            }
        }
    }
}

/// A number in a string, or the name of one that JSON cannot write; what is too large for a double is
/// an error, as it is without quotes.
fn double(text: &str) -> Option<f64> {
    let v: f64 = text.parse().ok()?;
    let named = text.ends_with(|c: char| c.is_ascii_alphabetic());
    (v.is_finite() || named).then_some(v)
}

// === impl Items ===

impl<'de> DeserializeSeed<'de> for Items<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_bytes(self.0)
    }
}
