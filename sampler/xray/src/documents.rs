//! The documents of a fragment: what `Translator` writes to.

use std::borrow::Cow;

use crate::json::Json;

/// X-Ray takes no larger document, in bytes. Source: AWS X-Ray developer guide, segment documents.
/// Larger ones are written all the same; see [`Document::is_oversized`].
pub const MAX_DOCUMENT_BYTES: usize = 64 * 1024;

/// Documents and the spans that gave none. Reusable: [`Documents::clear`] keeps the room.
#[derive(Debug, Default)]
pub struct Documents {
    pub(crate) json: Json,
    pub(crate) order: Vec<u32>,
    pub(crate) spans: u32,
    entries: Vec<Entry>,
    unsendable: Vec<Unsendable>,
}

/// One segment document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Document<'d> {
    /// Which span of the fragment it came from, counted from 0. The two documents of a split span
    /// have the same.
    pub span: u32,
    /// The JSON text, UTF-8.
    pub json: &'d [u8],
}

/// A span that gave no document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsendable {
    /// Which span of the fragment, counted from 0.
    pub span: u32,
    /// Why.
    pub reason: Reason,
}

/// Why a span cannot be told to X-Ray.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It holds a NaN or an infinity, which JSON cannot say.
    NotFinite,
    /// Its trace id begins with a time that X-Ray does not take.
    TraceIdTime,
    /// A link's trace id does.
    LinkTraceIdTime,
}

#[derive(Debug)]
struct Entry {
    span: u32,
    start: usize,
    end: usize,
}

// === impl Documents ===

impl Documents {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.json.clear();
        self.spans = 0;
        self.entries.clear();
        self.unsendable.clear();
    }

    /// How many documents there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// There are no documents.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many spans were read; each gave documents or is unsendable.
    pub fn spans(&self) -> u32 {
        self.spans
    }

    /// All documents together, in bytes.
    pub fn bytes(&self) -> usize {
        self.json.buf.len()
    }

    /// The documents, in the order of their spans; a dependency comes before its service.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Document<'_>> {
        self.entries.iter().map(|entry| Document {
            span: entry.span,
            json: &self.json.buf[entry.start..entry.end],
        })
    }

    /// The spans that gave no document, in order.
    pub fn unsendable(&self) -> &[Unsendable] {
        &self.unsendable
    }

    /// Counts what was written since `start` as a document.
    pub(crate) fn push(&mut self, span: u32, start: usize) {
        self.entries.push(Entry { span, start, end: self.json.buf.len() });
    }

    /// Takes back what was written for a span, from `start` on.
    pub(crate) fn reject(&mut self, span: u32, start: usize, reason: Reason) {
        self.json.buf.truncate(start);
        self.json.unwritable = false;
        while self.entries.pop_if(|entry| entry.end > start).is_some() {}
        self.unsendable.push(Unsendable { span, reason });
    }
}

// === impl Document ===

impl<'d> Document<'d> {
    /// The JSON text.
    pub fn text(&self) -> Cow<'d, str> {
        String::from_utf8_lossy(self.json)
    }

    /// X-Ray will not take it.
    pub fn is_oversized(&self) -> bool {
        self.json.len() > MAX_DOCUMENT_BYTES
    }
}

// === impl Reason ===

impl Reason {
    /// All reasons.
    pub const ALL: [Reason; 3] = [Reason::NotFinite, Reason::TraceIdTime, Reason::LinkTraceIdTime];

    /// A name for metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::NotFinite => "not_finite",
            Reason::TraceIdTime => "trace_id_time",
            Reason::LinkTraceIdTime => "link_trace_id_time",
        }
    }
}
