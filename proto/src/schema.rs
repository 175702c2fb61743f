//! The shape of OTLP's messages: which field has which wire type, and which message is inside which.
//!
//! `check` walks bytes against it, so that whatever was accepted here is also accepted by any protobuf decoder behind
//! us: one string that is not UTF-8 makes strict ones refuse the whole batch that it is in.
//! Source: opentelemetry-proto v1.7 `trace.proto`, `common.proto`, `resource.proto`.

use crate::wire::{Field, Fields, Wire, WireError};

#[cfg(test)]
mod tests;

/// A message type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message {
    /// By field number; numbers beyond are unknown and skipped.
    fields: &'static [Kind],
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Unknown,
    Varint,
    Fixed64,
    Fixed32,
    Bytes,
    Text,
    Message(&'static Message),
    /// A `KeyValue`.
    Pair,
}

/// Why a message is not well-formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// Not protobuf, or a known field with a wrong wire type.
    Wire(WireError),
    /// Messages are nested deeper than allowed.
    TooDeep,
    /// A string that is not UTF-8.
    NotText,
}

use Kind::{Bytes, Fixed32, Fixed64, Pair, Text, Unknown, Varint};

static ANY_VALUE: Message = Message {
    fields: &[
        Unknown,
        Text,
        Varint,
        Varint,
        Fixed64,
        Kind::Message(&ARRAY_VALUE),
        Kind::Message(&KEY_VALUE_LIST),
        Bytes,
        Varint,
    ],
};
static ARRAY_VALUE: Message = Message { fields: &[Unknown, Kind::Message(&ANY_VALUE)] };
static KEY_VALUE_LIST: Message = Message { fields: &[Unknown, Pair] };
static KEY_VALUE: Message = Message { fields: &[Unknown, Text, Kind::Message(&ANY_VALUE), Varint] };
static ENTITY_REF: Message = Message { fields: &[Unknown, Text, Text, Text, Text] };
pub(crate) static RESOURCE: Message =
    Message { fields: &[Unknown, Pair, Varint, Kind::Message(&ENTITY_REF)] };
static SCOPE: Message = Message { fields: &[Unknown, Text, Text, Pair, Varint] };
static EVENT: Message = Message { fields: &[Unknown, Fixed64, Text, Pair, Varint] };
static LINK: Message = Message { fields: &[Unknown, Bytes, Bytes, Text, Pair, Varint, Fixed32] };
static STATUS: Message = Message { fields: &[Unknown, Unknown, Text, Varint] };
pub(crate) static SPAN: Message = Message {
    fields: &[
        Unknown,
        Bytes,
        Bytes,
        Text,
        Bytes,
        Text,
        Varint,
        Fixed64,
        Fixed64,
        Pair,
        Varint,
        Kind::Message(&EVENT),
        Varint,
        Kind::Message(&LINK),
        Varint,
        Kind::Message(&STATUS),
        Fixed32,
    ],
};
/// `ResourceSpans` and `ScopeSpans` without their field 2, which the scan walks itself.
pub(crate) static RESOURCE_SPANS: Message =
    Message { fields: &[Unknown, Kind::Message(&RESOURCE), Unknown, Text] };
pub(crate) static SCOPE_SPANS: Message =
    Message { fields: &[Unknown, Kind::Message(&SCOPE), Unknown, Text] };

// === impl Message ===

impl Message {
    /// Checks a whole message, whose own messages may be nested `depth` deep.
    pub(crate) fn check(&self, bytes: &[u8], depth: usize) -> Result<(), Malformed> {
        for field in Fields::new(bytes) {
            self.check_field(&field.map_err(Malformed::Wire)?, depth)?;
        }
        Ok(())
    }

    /// Checks a message of this type that is inside another one.
    fn check_inside(&self, bytes: &[u8], depth: usize) -> Result<(), Malformed> {
        self.check(bytes, depth.checked_sub(1).ok_or(Malformed::TooDeep)?)
    }

    /// Checks one field of this message.
    #[inline(always)]
    pub(crate) fn check_field(&self, field: &Field<'_>, depth: usize) -> Result<(), Malformed> {
        let kind = self.fields.get(field.number as usize).copied().unwrap_or(Unknown);
        match (kind, field.value) {
            // Its value is one level more.
            (Pair, Wire::Len(bytes)) if depth >= 2 && is_plain_pair(bytes) => Ok(()),
            (Pair, Wire::Len(bytes)) => KEY_VALUE.check_inside(bytes, depth),
            (Kind::Message(inner), Wire::Len(bytes)) => inner.check_inside(bytes, depth),
            (Text, Wire::Len(bytes)) => {
                match bytes.is_ascii() || std::str::from_utf8(bytes).is_ok() {
                    true => Ok(()),
                    false => Err(Malformed::NotText),
                }
            }
            (Unknown, _)
            | (Varint, Wire::Varint(_))
            | (Fixed64, Wire::Fixed64(_))
            | (Fixed32, Wire::Fixed32(_))
            | (Bytes, Wire::Len(_)) => Ok(()),
            (_, value) => Err(Malformed::Wire(WireError::WireType(value.wire_type()))),
        }
    }
}

/// Whether this is a `KeyValue` as nearly all attributes are: key and value once each, in this order, with lengths of
/// one byte; the value an ASCII string or a number. `check` accepts these too, and decides about all others.
///
/// Two thirds of a scan were the reading of attributes field by field and the UTF-8 of each of their strings.
#[inline(always)]
fn is_plain_pair(pair: &[u8]) -> bool {
    let [0x0a, key_len @ ..0x80, rest @ ..] = pair else { return false };
    let Some((key, rest)) = rest.split_at_checked(usize::from(*key_len)) else { return false };
    let [0x12, len @ ..0x80, value @ ..] = rest else { return false };
    if usize::from(*len) != value.len() {
        return false;
    }
    match value {
        // Tags and lengths are ASCII, too: one look at all of it.
        [0x0a, len @ ..0x80, text @ ..] => usize::from(*len) == text.len() && pair.is_ascii(),
        [0x10 | 0x18, more @ .., ..0x80] => {
            more.len() < 9 && more.iter().all(|b| *b >= 0x80) && key.is_ascii()
        }
        [0x21, double @ ..] => double.len() == 8 && key.is_ascii(),
        _ => false,
    }
}
