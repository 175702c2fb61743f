//! One span, its events, links and status.

use super::{Attributes, bytes_field, fields, messages, varint_field};
use crate::wire::Wire;

/// A span.
#[derive(Debug, Clone, Copy)]
pub struct SpanView<'a>(&'a [u8]);

/// An event of a span.
#[derive(Debug, Clone, Copy)]
pub struct EventView<'a>(&'a [u8]);

/// A link of a span.
#[derive(Debug, Clone, Copy)]
pub struct LinkView<'a>(&'a [u8]);

/// The status of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusView<'a> {
    /// 0 unset, 1 ok, 2 error; other numbers as sent.
    pub code: i32,
    /// The message, not checked to be UTF-8.
    pub message: &'a [u8],
}

fn fixed64_field(bytes: &[u8], number: u32) -> u64 {
    let values = fields(bytes).filter(|field| field.number == number);
    let values = values.filter_map(|field| match field.value {
        Wire::Fixed64(value) => Some(value),
        _ => None,
    });
    values.last().unwrap_or_default()
}

fn fixed32_field(bytes: &[u8], number: u32) -> u32 {
    let values = fields(bytes).filter(|field| field.number == number);
    let values = values.filter_map(|field| match field.value {
        Wire::Fixed32(value) => Some(value),
        _ => None,
    });
    values.last().unwrap_or_default()
}

// === impl SpanView ===

impl<'a> SpanView<'a> {
    /// The `Span` message in `bytes`.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The whole message.
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        self.0
    }

    /// The trace id; 16 bytes in an accepted span.
    pub fn trace_id(&self) -> &'a [u8] {
        bytes_field(self.0, 1)
    }

    /// The span id; 8 bytes in an accepted span.
    pub fn span_id(&self) -> &'a [u8] {
        bytes_field(self.0, 2)
    }

    /// The W3C trace state.
    pub fn trace_state(&self) -> &'a [u8] {
        bytes_field(self.0, 3)
    }

    /// The parent's span id; empty for a root.
    pub fn parent_span_id(&self) -> &'a [u8] {
        bytes_field(self.0, 4)
    }

    /// The name.
    pub fn name(&self) -> &'a [u8] {
        bytes_field(self.0, 5)
    }

    /// The kind: 1 internal, 2 server, 3 client, 4 producer, 5 consumer; other numbers as sent.
    pub fn kind(&self) -> i32 {
        varint_field(self.0, 6) as i32
    }

    /// The start, in nanoseconds since the Unix epoch; 0 if unset.
    pub fn start_ns(&self) -> u64 {
        fixed64_field(self.0, 7)
    }

    /// The end, in nanoseconds since the Unix epoch; 0 if unset.
    pub fn end_ns(&self) -> u64 {
        fixed64_field(self.0, 8)
    }

    /// The attributes.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.0, 9)
    }

    /// How many attributes the sender dropped.
    pub fn dropped_attributes_count(&self) -> u32 {
        varint_field(self.0, 10) as u32
    }

    /// The events, in order.
    pub fn events(&self) -> impl Iterator<Item = EventView<'a>> + Clone + use<'a> {
        messages(self.0, 11).map(EventView)
    }

    /// How many events the sender dropped.
    pub fn dropped_events_count(&self) -> u32 {
        varint_field(self.0, 12) as u32
    }

    /// The links, in order.
    pub fn links(&self) -> impl Iterator<Item = LinkView<'a>> + Clone + use<'a> {
        messages(self.0, 13).map(LinkView)
    }

    /// How many links the sender dropped.
    pub fn dropped_links_count(&self) -> u32 {
        varint_field(self.0, 14) as u32
    }

    /// The status; several occurrences are merged field by field.
    pub fn status(&self) -> StatusView<'a> {
        let mut status = StatusView { code: 0, message: &[] };
        for bytes in messages(self.0, 15) {
            status = StatusView::read(bytes, status);
        }
        status
    }

    /// The flags: W3C trace flags in the low byte, remote-parent bits 0x300.
    pub fn flags(&self) -> u32 {
        fixed32_field(self.0, 16)
    }
}

// === impl StatusView ===

impl<'a> StatusView<'a> {
    /// The `Status` message in `bytes` on top of an earlier occurrence.
    pub fn read(bytes: &'a [u8], earlier: StatusView<'a>) -> Self {
        let mut status = earlier;
        for field in fields(bytes) {
            match (field.number, field.value) {
                (2, Wire::Len(message)) => status.message = message,
                (3, Wire::Varint(code)) => status.code = code as i32,
                _ => {}
            }
        }
        status
    }
}

// === impl EventView ===

impl<'a> EventView<'a> {
    /// When it happened, in nanoseconds since the Unix epoch.
    pub fn time_ns(&self) -> u64 {
        fixed64_field(self.0, 1)
    }

    /// The name.
    pub fn name(&self) -> &'a [u8] {
        bytes_field(self.0, 2)
    }

    /// The attributes.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.0, 3)
    }

    /// How many attributes the sender dropped.
    pub fn dropped_attributes_count(&self) -> u32 {
        varint_field(self.0, 4) as u32
    }
}

// === impl LinkView ===

impl<'a> LinkView<'a> {
    /// The linked trace's id.
    pub fn trace_id(&self) -> &'a [u8] {
        bytes_field(self.0, 1)
    }

    /// The linked span's id.
    pub fn span_id(&self) -> &'a [u8] {
        bytes_field(self.0, 2)
    }

    /// The W3C trace state.
    pub fn trace_state(&self) -> &'a [u8] {
        bytes_field(self.0, 3)
    }

    /// The attributes.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.0, 4)
    }

    /// How many attributes the sender dropped.
    pub fn dropped_attributes_count(&self) -> u32 {
        varint_field(self.0, 5) as u32
    }

    /// The flags.
    pub fn flags(&self) -> u32 {
        fixed32_field(self.0, 6)
    }
}
