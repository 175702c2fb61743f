//! Building fragments out of the byte ranges of a scanned request.
//!
//! For each resource: its header (all fields but the scopes), then its scopes, each with its header and its spans, in
//! request order. Nothing is decoded; two passes, since protobuf wants lengths first.

use crate::scan::{Header, Scan, SpanRef};
use crate::wire::{put_varint, varint_len};

/// `resource_spans`, `scope_spans` and `spans` are length-delimited fields 1, 2 and 2.
const RESOURCE_SPANS: u8 = 1 << 3 | 2;
const INNER: u8 = 2 << 3 | 2;

/// Appends a fragment with exactly the spans at `indexes` (ascending) of `scan`, which must be the scan of `request`.
///
/// # Panics
/// If an index is out of range or `request` is not what was scanned: both are the caller's mistakes.
pub fn splice(request: &[u8], scan: &Scan, indexes: &[u32], out: &mut Vec<u8>) {
    debug_assert!(indexes.is_sorted());
    for group in by_resource(scan, indexes) {
        let resource = scan.resource_of(scan.spans[group[0] as usize].scope);
        splice_resource(request, scan, resource, group, out);
    }
}

/// The exact length of what [`splice`] would append, in bytes.
pub fn spliced_len(scan: &Scan, indexes: &[u32]) -> usize {
    let len = |group: &[u32]| {
        let resource = scan.resource_of(scan.spans[group[0] as usize].scope);
        field_len(resource_len(scan, resource, group))
    };
    by_resource(scan, indexes).map(len).sum()
}

/// Runs of spans of the same resource.
fn by_resource<'a>(scan: &'a Scan, indexes: &'a [u32]) -> impl Iterator<Item = &'a [u32]> {
    let resource = |index: &u32| scan.resource_of(scan.spans[*index as usize].scope);
    indexes.chunk_by(move |a, b| resource(a) == resource(b))
}

fn splice_resource(request: &[u8], scan: &Scan, resource: u32, indexes: &[u32], out: &mut Vec<u8>) {
    let len = resource_len(scan, resource, indexes);
    out.reserve(field_len(len));
    put_tag(out, RESOURCE_SPANS, len);
    let end = out.len() + len;
    put_header(request, scan, scan.resources[resource as usize], out);
    for group in by_scope(scan, indexes) {
        let header = scope_header(scan, group);
        put_tag(out, INNER, scope_len(scan, group));
        put_header(request, scan, header, out);
        for span in spans(scan, group) {
            put_tag(out, INNER, span_len(span));
            out.extend_from_slice(&request[span.start as usize..span.end as usize]);
        }
    }
    assert_eq!(out.len(), end, "a spliced fragment has the length it announces");
}

/// Runs of spans of the same scope.
fn by_scope<'a>(scan: &'a Scan, indexes: &'a [u32]) -> impl Iterator<Item = &'a [u32]> {
    let scope = |index: &u32| scan.spans[*index as usize].scope;
    indexes.chunk_by(move |a, b| scope(a) == scope(b))
}

fn spans<'a>(scan: &'a Scan, indexes: &'a [u32]) -> impl Iterator<Item = &'a SpanRef> {
    indexes.iter().map(|index| &scan.spans[*index as usize])
}

fn scope_header(scan: &Scan, group: &[u32]) -> Header {
    scan.scopes[scan.spans[group[0] as usize].scope as usize].header
}

fn resource_len(scan: &Scan, resource: u32, indexes: &[u32]) -> usize {
    let scopes: usize =
        by_scope(scan, indexes).map(|group| field_len(scope_len(scan, group))).sum();
    scan.resources[resource as usize].len as usize + scopes
}

fn scope_len(scan: &Scan, group: &[u32]) -> usize {
    let spans: usize = spans(scan, group).map(|span| field_len(span_len(span))).sum();
    scope_header(scan, group).len as usize + spans
}

fn span_len(span: &SpanRef) -> usize {
    (span.end - span.start) as usize
}

/// Tag (one byte for all fields here), length and value.
fn field_len(len: usize) -> usize {
    1 + varint_len(len as u64) + len
}

fn put_tag(out: &mut Vec<u8>, tag: u8, len: usize) {
    out.push(tag);
    put_varint(out, len as u64);
}

fn put_header(request: &[u8], scan: &Scan, header: Header, out: &mut Vec<u8>) {
    for &(start, end) in scan.header_ranges(header) {
        out.extend_from_slice(&request[start as usize..end as usize]);
    }
}
