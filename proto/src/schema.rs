//! The shape of OTLP's messages: which field has which wire type, and which message is inside which.
//!
//! `check` walks bytes against it, so that whatever was accepted here is also accepted by any protobuf decoder behind
//! us (except for strings that are not UTF-8, which pass through).
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
    Message(&'static Message),
}

/// Why a message is not well-formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// Not protobuf, or a known field with a wrong wire type.
    Wire(WireError),
    /// Messages are nested deeper than allowed.
    TooDeep,
}

use Kind::{Bytes, Fixed32, Fixed64, Unknown, Varint};

static ANY_VALUE: Message = Message {
    fields: &[
        Unknown,
        Bytes,
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
static KEY_VALUE: Message =
    Message { fields: &[Unknown, Bytes, Kind::Message(&ANY_VALUE), Varint] };
static ENTITY_REF: Message = Message { fields: &[Unknown, Bytes, Bytes, Bytes, Bytes] };
pub(crate) static RESOURCE: Message =
    Message { fields: &[Unknown, Kind::Message(&KEY_VALUE), Varint, Kind::Message(&ENTITY_REF)] };
static SCOPE: Message =
    Message { fields: &[Unknown, Bytes, Bytes, Kind::Message(&KEY_VALUE), Varint] };
static EVENT: Message =
    Message { fields: &[Unknown, Fixed64, Bytes, Kind::Message(&KEY_VALUE), Varint] };
static LINK: Message =
    Message { fields: &[Unknown, Bytes, Bytes, Bytes, Kind::Message(&KEY_VALUE), Varint, Fixed32] };
static STATUS: Message = Message { fields: &[Unknown, Unknown, Bytes, Varint] };
pub(crate) static SPAN: Message = Message {
    fields: &[
        Unknown,
        Bytes,
        Bytes,
        Bytes,
        Bytes,
        Bytes,
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
    Message { fields: &[Unknown, Kind::Message(&RESOURCE), Unknown, Bytes] };
pub(crate) static SCOPE_SPANS: Message =
    Message { fields: &[Unknown, Kind::Message(&SCOPE), Unknown, Bytes] };

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
    #[inline]
    pub(crate) fn check_field(&self, field: &Field<'_>, depth: usize) -> Result<(), Malformed> {
        let kind = self.fields.get(field.number as usize).copied().unwrap_or(Unknown);
        match (kind, field.value) {
            (Kind::Message(inner), Wire::Len(bytes)) => match depth.checked_sub(1) {
                Some(depth) => inner.check(bytes, depth),
                None => Err(Malformed::TooDeep),
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
