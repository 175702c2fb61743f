//! Spans as AWS X-Ray segment documents.
//!
//! [`Translator`] reads the spans of a fragment (OTLP bytes) in place and writes the documents that
//! the OpenTelemetry Collector's `awsxray` exporter (v0.161.0) would send, into a reused buffer: as
//! JSON text that is escaped, as calls take documents as strings. Golden data in `tests/corpus` says
//! what they are.
//!
//! Where the exporter's output depends on the order of its hash maps, the last one in attribute
//! order counts; on inputs that crash it, there is a document all the same. Nothing here panics on
//! any input, and every span has a document that X-Ray can take: numbers that JSON does not have
//! become strings, and documents that are too large lose metadata first. [`Document::changes`] says
//! which are not as the exporter would have written them.
//!
//! Pure: no I/O, no clock, no random numbers of its own.

mod annotate;
mod attrs;
mod aws;
mod cause;
mod documents;
mod escaped;
mod exceptions;
mod go_url;
mod http;
mod json;
mod keys;
mod links;
mod merge;
mod metadata_json;
mod name;
mod options;
mod resource;
mod segment;
mod span;
mod sql;
mod stable;
mod stack;
mod translator;
mod trim;

pub use documents::{Change, Changes, Document, Documents};
pub use options::{Conventions, Decision, Options, Told};
pub use translator::{Part, Translator};
pub use trim::MAX_DOCUMENT_BYTES;
