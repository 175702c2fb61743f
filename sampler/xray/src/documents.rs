//! The documents of a fragment: what `Translator` writes to.

use std::ops::Range;

use crate::escaped::{plain, plain_len};
use crate::json::Json;

/// The documents of some spans. Reusable: [`Documents::clear`] keeps the room.
#[derive(Debug, Default)]
pub struct Documents {
    pub(crate) json: Json,
    pub(crate) order: Vec<u32>,
    pub(crate) spans: u32,
    entries: Vec<Entry>,
}

/// One segment document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document<'d> {
    /// Which span of the fragment it came from, counted from 0. The two documents of a split span
    /// have the same.
    pub span: u32,
    /// The JSON text, UTF-8, as it stands inside a JSON string: with a backslash before each quote
    /// and backslash.
    pub escaped: &'d [u8],
    /// Where it is in the text of all documents together.
    pub range: Range<usize>,
    /// What it does not say, or says otherwise.
    pub changes: Changes,
}

/// What is not as the span or the configuration would have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Change {
    /// A NaN or an infinity became a string: JSON has no number for it.
    NotFinite,
    /// The largest metadata were left out, so that X-Ray takes the document.
    MetadataLeftOut,
    /// All metadata were left out, strings cut and lists ended: it was too large without metadata.
    Shortened,
    /// The trace id does not begin with a recent time, and the configuration wants to know.
    TraceIdTime,
    /// The trace id of a link does not.
    LinkTraceIdTime,
}

/// A set of [`Change`]s.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changes(u8);

#[derive(Debug)]
struct Entry {
    span: u32,
    start: usize,
    end: usize,
    changes: Changes,
}

// === impl Documents ===

impl Documents {
    /// No documents, and room for so many bytes of them.
    pub fn with_capacity(bytes: usize) -> Self {
        let json = Json { buf: Vec::with_capacity(bytes), ..Json::default() };
        Self { json, ..Self::default() }
    }

    /// The text of all documents together, escaped.
    pub fn into_escaped(self) -> Vec<u8> {
        self.json.buf
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.json.clear();
        self.spans = 0;
        self.entries.clear();
    }

    /// How many documents there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// There are no documents.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many spans were read; each gave one document or two.
    pub fn spans(&self) -> u32 {
        self.spans
    }

    /// All documents together, escaped, in bytes.
    pub fn bytes(&self) -> usize {
        self.json.buf.len()
    }

    /// The documents, in the order of their spans; a dependency comes before its service.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Document<'_>> {
        self.entries.iter().map(|entry| Document {
            span: entry.span,
            escaped: &self.json.buf[entry.start..entry.end],
            range: entry.start..entry.end,
            changes: entry.changes,
        })
    }

    /// What was written since `start`, not escaped, in bytes.
    pub(crate) fn plain_len(&self, start: usize) -> usize {
        plain_len(&self.json.buf[start..])
    }

    /// Counts what was written since `start` as a document of the last span.
    pub(crate) fn push(&mut self, start: usize, mut changes: Changes) {
        if std::mem::take(&mut self.json.not_finite) {
            changes.add(Change::NotFinite);
        }
        let span = self.spans.saturating_sub(1);
        self.entries.push(Entry { span, start, end: self.json.buf.len(), changes });
    }
}

// === impl Document ===

impl Document<'_> {
    /// The JSON text, not escaped.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&plain(self.escaped)).into_owned()
    }
}

// === impl Change ===

impl Change {
    /// All of them.
    pub const ALL: [Change; 5] = [
        Change::NotFinite,
        Change::MetadataLeftOut,
        Change::Shortened,
        Change::TraceIdTime,
        Change::LinkTraceIdTime,
    ];

    /// A name for metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Change::NotFinite => "not_finite",
            Change::MetadataLeftOut => "metadata_left_out",
            Change::Shortened => "shortened",
            Change::TraceIdTime => "trace_id_time",
            Change::LinkTraceIdTime => "link_trace_id_time",
        }
    }
}

// === impl Changes ===

impl Changes {
    /// There are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// This one is among them.
    pub fn contains(self, change: Change) -> bool {
        self.0 & (1 << change as u8) != 0
    }

    pub(crate) fn add(&mut self, change: Change) {
        self.0 |= 1 << change as u8;
    }
}
