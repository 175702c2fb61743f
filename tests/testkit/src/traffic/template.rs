//! Spans encoded once; each span sent is a copy with ids and times patched in.

use super::{Shape, ShapeError};

/// The names that `service.name` takes, in the order of the services.
pub const SERVICES: [&str; 8] =
    ["frontend", "checkout", "cart", "payment", "shipping", "catalog", "email", "quote"];

/// An encoded span and the places of what differs between copies.
#[derive(Debug)]
pub(super) struct Template {
    /// Tag, length and body.
    bytes: Vec<u8>,
    trace: usize,
    span: usize,
    parent: Option<usize>,
    start: usize,
    end: usize,
}

/// What one copy gets.
pub(super) struct Patch<'a> {
    pub trace: &'a [u8; 16],
    pub span: [u8; 8],
    pub parent: [u8; 8],
    pub start_ns: u64,
    pub end_ns: u64,
}

// === impl Template ===

impl Template {
    pub(super) fn new(shape: &Shape, index: u32, error: bool) -> Result<Self, ShapeError> {
        let bare = body(index, error, 0).0.len();
        let pad = shape.span_bytes.checked_sub(bare).ok_or(ShapeError::Small(bare))?;
        // Longer paddings need longer length prefixes, so look for the one that fits exactly.
        let fitting = (0..=pad).rev().take(16).map(|pad| body(index, error, pad));
        let (body, parent) = fitting
            .into_iter()
            .find(|(body, _)| body.len() == shape.span_bytes)
            .ok_or(ShapeError::Small(shape.span_bytes))?;
        let mut bytes = vec![0x12];
        put_varint(&mut bytes, body.len() as u64);
        let at = bytes.len();
        bytes.extend_from_slice(&body);
        let ids = at + 28 + if parent { 10 } else { 0 };
        Ok(Template {
            bytes,
            trace: at + 2,
            span: at + 20,
            parent: parent.then_some(at + 30),
            start: ids + 1,
            end: ids + 10,
        })
    }

    pub(super) fn put(&self, out: &mut Vec<u8>, patch: &Patch<'_>) {
        let at = out.len();
        out.extend_from_slice(&self.bytes);
        let copy = &mut out[at..];
        copy[self.trace..][..16].copy_from_slice(patch.trace);
        copy[self.span..][..8].copy_from_slice(&patch.span);
        if let Some(parent) = self.parent {
            copy[parent..][..8].copy_from_slice(&patch.parent);
        }
        copy[self.start..][..8].copy_from_slice(&patch.start_ns.to_le_bytes());
        copy[self.end..][..8].copy_from_slice(&patch.end_ns.to_le_bytes());
    }
}

/// The body of span `index` with `pad` bytes of padding, and whether it has a parent.
fn body(index: u32, error: bool, pad: usize) -> (Vec<u8>, bool) {
    let mut out = Vec::with_capacity(512);
    put_bytes(&mut out, 1, &[0; 16]);
    put_bytes(&mut out, 2, &[0; 8]);
    let parent = index > 0;
    if parent {
        put_bytes(&mut out, 4, &[0; 8]);
    }
    for number in [7, 8] {
        out.push(number << 3 | 1);
        out.extend_from_slice(&[0; 8]);
    }
    put_bytes(&mut out, 5, b"GET /api/item/{id}");
    out.extend_from_slice(&[6 << 3, if parent { 3 } else { 2 }]);
    for (key, value) in [
        ("http.request.method", "GET"),
        ("url.scheme", "https"),
        ("url.path", "/api/item/4815"),
        ("server.address", "shop.example"),
        ("network.peer.address", "10.42.7.31"),
        ("http.route", "/api/item/{id}"),
        ("app.build", "2026.11"),
        ("enduser.id", "user-108"),
    ] {
        put_attribute(&mut out, 9, key, |v| put_bytes(v, 1, value.as_bytes()));
    }
    let code = if error { 500 } else { 200 };
    for (key, value) in [("http.response.status_code", code), ("server.port", 443), ("part", index)]
    {
        put_attribute(&mut out, 9, key, |v| {
            v.push(3 << 3);
            put_varint(v, u64::from(value));
        });
    }
    put_attribute(&mut out, 9, "note", |v| put_bytes(v, 1, &vec![b'.'; pad]));
    if error {
        put_bytes(&mut out, 15, &[3 << 3, 2]);
    }
    // flags, fixed32: sampled, random trace id.
    put_varint(&mut out, 16 << 3 | 5);
    out.extend_from_slice(&3u32.to_le_bytes());
    (out, parent)
}

/// The Resource message of a service.
pub(super) fn resource(service: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let name = SERVICES[service];
    let host = format!("ip-10-0-0-{service}.internal");
    let attributes = [
        ("service.name", name),
        ("service.namespace", "shop"),
        ("host.name", &host),
        ("telemetry.sdk.language", "rust"),
    ];
    for (key, value) in attributes {
        put_attribute(&mut out, 1, key, |v| put_bytes(v, 1, value.as_bytes()));
    }
    out
}

/// Appends everything before the first span: ResourceSpans, Resource, ScopeSpans, Scope.
pub(super) fn put_frame(out: &mut Vec<u8>, resource: &[u8], spans_len: usize) {
    let mut scope = Vec::with_capacity(32);
    let mut name = Vec::with_capacity(16);
    put_bytes(&mut name, 1, b"testkit");
    put_bytes(&mut scope, 1, &name);
    let scope_spans = scope.len() + spans_len;
    let mut head = Vec::with_capacity(resource.len() + 8);
    put_bytes(&mut head, 1, resource);
    out.push(1 << 3 | 2);
    let resource_spans = head.len() + 1 + varint_len(scope_spans) + scope_spans;
    put_varint(out, resource_spans as u64);
    out.extend_from_slice(&head);
    out.push(2 << 3 | 2);
    put_varint(out, scope_spans as u64);
    out.extend_from_slice(&scope);
}

fn put_attribute(out: &mut Vec<u8>, number: u8, key: &str, value: impl FnOnce(&mut Vec<u8>)) {
    let mut any = Vec::new();
    value(&mut any);
    let mut pair = Vec::new();
    put_bytes(&mut pair, 1, key.as_bytes());
    put_bytes(&mut pair, 2, &any);
    put_bytes(out, number, &pair);
}

fn put_bytes(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(super) fn varint_len(value: usize) -> usize {
    (1 + value.max(1).ilog2() / 7) as usize
}
