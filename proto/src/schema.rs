//! The shape of OTLP's messages: which field has which wire type, and which message is inside which.
//!
//! `check` walks bytes against it, so that whatever was accepted here is also accepted by any protobuf decoder behind
//! us: one string that is not UTF-8 makes strict ones refuse the whole batch that it is in.
//! Source: opentelemetry-proto v1.7 `trace.proto`, `common.proto`, `resource.proto`.

use crate::wire::{Field, Fields, Wire, WireError};

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

use Kind::{Bytes, Fixed32, Fixed64, Text, Unknown, Varint};

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
static KEY_VALUE_LIST: Message = Message { fields: &[Unknown, Kind::Message(&KEY_VALUE)] };
static KEY_VALUE: Message = Message { fields: &[Unknown, Text, Kind::Message(&ANY_VALUE), Varint] };
static ENTITY_REF: Message = Message { fields: &[Unknown, Text, Text, Text, Text] };
pub(crate) static RESOURCE: Message =
    Message { fields: &[Unknown, Kind::Message(&KEY_VALUE), Varint, Kind::Message(&ENTITY_REF)] };
static SCOPE: Message =
    Message { fields: &[Unknown, Text, Text, Kind::Message(&KEY_VALUE), Varint] };
static EVENT: Message =
    Message { fields: &[Unknown, Fixed64, Text, Kind::Message(&KEY_VALUE), Varint] };
static LINK: Message =
    Message { fields: &[Unknown, Bytes, Bytes, Text, Kind::Message(&KEY_VALUE), Varint, Fixed32] };
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
        Kind::Message(&KEY_VALUE),
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

    /// Checks one field of this message.
    #[inline(always)]
    pub(crate) fn check_field(&self, field: &Field<'_>, depth: usize) -> Result<(), Malformed> {
        let kind = self.fields.get(field.number as usize).copied().unwrap_or(Unknown);
        match (kind, field.value) {
            (Kind::Message(inner), Wire::Len(bytes)) => match depth.checked_sub(1) {
                Some(depth) => inner.check(bytes, depth),
                None => Err(Malformed::TooDeep),
            },
            (Text, Wire::Len(bytes)) => match std::str::from_utf8(bytes) {
                Ok(_) => Ok(()),
                Err(_) => Err(Malformed::NotText),
            },
            (Unknown, _)
            | (Varint, Wire::Varint(_))
            | (Fixed64, Wire::Fixed64(_))
            | (Fixed32, Wire::Fixed32(_))
            | (Bytes, Wire::Len(_)) => Ok(()),
            (_, value) => Err(Malformed::Wire(WireError::WireType(value.wire_type()))),
        }
    }
}
