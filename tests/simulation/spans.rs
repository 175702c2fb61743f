//! The spans that the simulated clients send.

use std::collections::BTreeSet;

use tailgate_proto::view::resource_spans;
use tailgate_proto::wire::{put_len, put_varint};

/// Trace number and span number.
pub type Key = (u16, u16);

pub const SPANS_PER_TRACE: u16 = 6;

/// Trace ids are spread over the slots by their hash.
pub fn trace_id(trace: u16) -> [u8; 16] {
    let mut id = [7; 16];
    id[..2].copy_from_slice(&trace.to_be_bytes());
    id
}

/// One trace in five has an error, in its last span.
pub fn has_error(trace: u16) -> bool {
    trace.is_multiple_of(5)
}

fn span(key: Key) -> Vec<u8> {
    let mut out = Vec::new();
    put_len(&mut out, 1, &trace_id(key.0));
    let mut id = [1; 8];
    id[..2].copy_from_slice(&key.1.to_be_bytes());
    put_len(&mut out, 2, &id);
    if key.1 > 0 {
        put_len(&mut out, 4, &[9; 8]);
    }
    put_len(&mut out, 5, b"operation");
    if has_error(key.0) && key.1 == SPANS_PER_TRACE - 1 {
        let mut status = Vec::new();
        put_varint(&mut status, 3 << 3);
        put_varint(&mut status, 2);
        put_len(&mut out, 15, &status);
    }
    out
}

/// A request with these spans.
pub fn request(keys: &[Key]) -> Vec<u8> {
    let mut scope = Vec::new();
    keys.iter().for_each(|key| put_len(&mut scope, 2, &span(*key)));
    let mut resource = Vec::new();
    put_len(&mut resource, 1, b"");
    put_len(&mut resource, 2, &scope);
    let mut out = Vec::new();
    put_len(&mut out, 1, &resource);
    out
}

/// The spans in a fragment.
pub fn keys(fragment: &[u8]) -> Vec<Key> {
    let spans = resource_spans(fragment).flat_map(|r| r.scopes()).flat_map(|s| s.spans());
    let two = |bytes: &[u8]| u16::from_be_bytes([bytes[0], bytes[1]]);
    spans.map(|span| (two(span.trace_id()), two(span.span_id()))).collect()
}

/// The spans of a trace that are in a set.
pub fn of_trace(all: &BTreeSet<Key>, trace: u16) -> BTreeSet<Key> {
    all.range((trace, 0)..=(trace, u16::MAX)).copied().collect()
}
