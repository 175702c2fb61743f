//! OTLP on the wire, without decoding it into objects.
//!
//! A span is its protobuf bytes from the socket to the exporter. This crate finds the spans of a request ([`scan`]),
//! builds new requests out of their byte ranges ([`splice`]) and reads single fields in place ([`view`]).
//!
//! A *fragment* is a run of `resource_spans` fields of `ExportTraceServiceRequest`, so it is itself a valid request,
//! and fragments can be concatenated.
//!
//! Pure: no I/O, no clock, no runtime. Nothing here panics on any input.

pub mod id;
pub mod json;
pub mod peer;
pub mod scan;
mod schema;
pub mod splice;
pub mod view;
pub mod wire;

pub use id::{SLOTS, Slot, SpanId, TraceId};
pub use scan::{Limits, Scan, ScanError, SpanRef, scan};
pub use splice::{splice, spliced_len};
