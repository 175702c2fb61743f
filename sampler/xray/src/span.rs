//! One span, its top-level fields read once.

use tailgate_proto::view::{SpanView, StatusView};
use tailgate_proto::wire::{Fields, Wire};

use crate::attrs::Attrs;

/// What the span is to its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
    /// Unspecified or unknown.
    Other,
}

/// A span's fields, all but its attributes.
#[derive(Debug)]
pub(crate) struct Span<'a> {
    pub(crate) view: SpanView<'a>,
    /// All zero if missing.
    pub(crate) trace_id: [u8; 16],
    /// All zero if missing.
    pub(crate) span_id: [u8; 8],
    /// All zero if there is no parent.
    pub(crate) parent_id: [u8; 8],
    pub(crate) name: &'a [u8],
    pub(crate) kind: Kind,
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
    pub(crate) status: StatusView<'a>,
    pub(crate) has_events: bool,
    pub(crate) has_links: bool,
}

/// An id of exactly `N` bytes; all zero otherwise.
pub(crate) fn id<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().unwrap_or([0; N])
}

// === impl Kind ===

impl Kind {
    fn new(number: i32) -> Self {
        match number {
            1 => Kind::Internal,
            2 => Kind::Server,
            3 => Kind::Client,
            4 => Kind::Producer,
            5 => Kind::Consumer,
            _ => Kind::Other,
        }
    }

    /// It calls someone else.
    pub(crate) fn is_remote(self) -> bool {
        matches!(self, Kind::Client | Kind::Producer)
    }
}

// === impl Span ===

impl<'a> Span<'a> {
    /// Reads the span, its attributes into `attrs`.
    pub(crate) fn new(view: SpanView<'a>, attrs: &mut Attrs<'a>) -> Self {
        attrs.clear();
        let mut span = Self {
            view,
            trace_id: [0; 16],
            span_id: [0; 8],
            parent_id: [0; 8],
            name: &[],
            kind: Kind::Other,
            start_ns: 0,
            end_ns: 0,
            status: StatusView { code: 0, message: &[] },
            has_events: false,
            has_links: false,
        };
        // Field numbers: opentelemetry-proto, trace.proto.
        for field in Fields::new(view.bytes()).sound() {
            match (field.number, field.value) {
                (1, Wire::Len(bytes)) => span.trace_id = id(bytes),
                (2, Wire::Len(bytes)) => span.span_id = id(bytes),
                (4, Wire::Len(bytes)) => span.parent_id = id(bytes),
                (5, Wire::Len(bytes)) => span.name = bytes,
                (6, Wire::Varint(number)) => span.kind = Kind::new(number as i32),
                (7, Wire::Fixed64(ns)) => span.start_ns = ns,
                (8, Wire::Fixed64(ns)) => span.end_ns = ns,
                (9, Wire::Len(pair)) => attrs.push(pair),
                (11, Wire::Len(_)) => span.has_events = true,
                (13, Wire::Len(_)) => span.has_links = true,
                (15, Wire::Len(bytes)) => span.status = StatusView::read(bytes, span.status),
                _ => {}
            }
        }
        span
    }

    /// A segment rather than a subsegment: it begins the work of a service.
    pub(crate) fn is_segment(&self) -> bool {
        matches!(self.kind, Kind::Server | Kind::Consumer) || self.parent_id == [0; 8]
    }

    /// The status says ERROR.
    pub(crate) fn is_error(&self) -> bool {
        self.status.code == 2
    }
}
