//! Lazy views over OTLP bytes: a field is read when it is asked for, and nothing is copied.
//!
//! Views never fail. The scan has checked the framing of every span that was accepted; on other bytes a view's
//! iteration ends at the first error. A singular field that occurs several times counts as protobuf says: the last
//! scalar wins.
//! Field numbers: opentelemetry-proto `trace.proto`, `common.proto`, `resource.proto`.

use crate::wire::{Field, Fields, Wire};

mod span;
mod value;

pub use span::{EventView, LinkView, SpanView, StatusView};
pub use value::{ArrayView, Attributes, Value, key_tail, key_value};

/// The spans of one resource.
#[derive(Debug, Clone, Copy)]
pub struct ResourceSpansView<'a>(&'a [u8]);

/// The spans of one instrumentation scope.
#[derive(Debug, Clone, Copy)]
pub struct ScopeSpansView<'a>(&'a [u8]);

/// A resource: what produced the spans.
#[derive(Debug, Clone, Copy)]
pub struct ResourceView<'a>(&'a [u8]);

/// An instrumentation scope.
#[derive(Debug, Clone, Copy)]
pub struct ScopeView<'a>(&'a [u8]);

/// The resources of a fragment or request, in order.
pub fn resource_spans(fragment: &[u8]) -> impl Iterator<Item = ResourceSpansView<'_>> + Clone {
    messages(fragment, 1).map(ResourceSpansView)
}

/// All length-delimited fields with this number.
pub(crate) fn messages(bytes: &[u8], number: u32) -> impl Iterator<Item = &[u8]> + Clone {
    fields(bytes).filter(move |field| field.number == number).filter_map(|f| f.value.len_bytes())
}

pub(crate) fn fields(bytes: &[u8]) -> impl Iterator<Item = Field<'_>> + Clone {
    Fields::new(bytes).sound()
}

/// The last length-delimited field with this number, or nothing.
pub(crate) fn bytes_field(bytes: &[u8], number: u32) -> &[u8] {
    messages(bytes, number).last().unwrap_or_default()
}

/// The last varint with this number, or 0.
pub(crate) fn varint_field(bytes: &[u8], number: u32) -> u64 {
    let varints = fields(bytes).filter(|field| field.number == number);
    let values = varints.filter_map(|field| match field.value {
        Wire::Varint(value) => Some(value),
        _ => None,
    });
    values.last().unwrap_or_default()
}

// === impl ResourceSpansView ===

impl<'a> ResourceSpansView<'a> {
    /// The `ResourceSpans` message in `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The resource; empty if there is none.
    pub fn resource(&self) -> ResourceView<'a> {
        ResourceView(bytes_field(self.0, 1))
    }

    /// The schema URL of the resource.
    pub fn schema_url(&self) -> &'a [u8] {
        bytes_field(self.0, 3)
    }

    /// The scopes, in order.
    pub fn scopes(&self) -> impl Iterator<Item = ScopeSpansView<'a>> + Clone + use<'a> {
        messages(self.0, 2).map(ScopeSpansView)
    }
}

// === impl ScopeSpansView ===

impl<'a> ScopeSpansView<'a> {
    /// The scope; empty if there is none.
    pub fn scope(&self) -> ScopeView<'a> {
        ScopeView(bytes_field(self.0, 1))
    }

    /// The schema URL of the spans.
    pub fn schema_url(&self) -> &'a [u8] {
        bytes_field(self.0, 3)
    }

    /// The spans, in order.
    pub fn spans(&self) -> impl Iterator<Item = SpanView<'a>> + Clone + use<'a> {
        messages(self.0, 2).map(SpanView::new)
    }
}

// === impl ResourceView ===

impl<'a> ResourceView<'a> {
    /// The `Resource` message in `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The attributes.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.0, 1)
    }

    /// How many attributes the sender dropped.
    pub fn dropped_attributes_count(&self) -> u32 {
        varint_field(self.0, 2) as u32
    }
}

// === impl ScopeView ===

impl<'a> ScopeView<'a> {
    /// The scope's name.
    pub fn name(&self) -> &'a [u8] {
        bytes_field(self.0, 1)
    }

    /// The scope's version.
    pub fn version(&self) -> &'a [u8] {
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

    /// No field is set: the sender gave no scope.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
