//! What is sent: made once, as it takes a while.

use std::io::Write as _;
use tailgate_proto::TraceId;
use tailgate_proto::wire::{put_len, put_varint};

const MIB: usize = 1 << 20;

/// A body that is much larger than it looks.
pub struct Bomb {
    /// `content-encoding`.
    pub http: &'static str,
    /// `grpc-encoding`, where gRPC has it.
    pub grpc: Option<&'static str>,
    pub body: Vec<u8>,
}

/// Zeros in every encoding; each is below the limits as it is sent.
pub fn bombs() -> Vec<Bomb> {
    let zeros = vec![0; 128 * MIB];
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&zeros).unwrap();
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    zlib.write_all(&zeros).unwrap();
    let mut frames = snap::write::FrameEncoder::new(Vec::new());
    frames.write_all(&zeros[..64 * MIB]).unwrap();
    let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
    lz4.write_all(&zeros).unwrap();
    let block = snap::raw::Encoder::new().compress_vec(&zeros[..64 * MIB]).unwrap();
    let bomb = |http, grpc, body| Bomb { http, grpc, body };
    vec![
        bomb("gzip", Some("gzip"), gzip.finish().unwrap()),
        bomb("deflate", None, zlib.finish().unwrap()),
        bomb("zstd", Some("zstd"), zstd::bulk::compress(&zeros, 1).unwrap()),
        bomb("snappy", Some("snappy"), block),
        bomb("x-snappy-framed", None, frames.into_inner().unwrap()),
        bomb("lz4", None, lz4.finish().unwrap()),
    ]
}

/// A good frame of zstd whose window is 16 MiB.
pub fn wide_window() -> Vec<u8> {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(24).unwrap();
    encoder.write_all(&[7; 100_000]).unwrap();
    encoder.finish().unwrap()
}

/// A field of `len` bytes, all of them the same empty message `tag`.
fn repeated(number: u32, tag: u8, len: usize) -> Vec<u8> {
    let mut out = Vec::new();
    put_len(&mut out, number, &[tag, 0].repeat(len / 2));
    out
}

/// The encoded spans, in one scope of one resource.
pub fn request_of(spans: &[Vec<u8>]) -> Vec<u8> {
    let (mut scope, mut resource, mut request) = (Vec::new(), Vec::new(), Vec::new());
    spans.iter().for_each(|span| put_len(&mut scope, 2, span));
    put_len(&mut resource, 2, &scope);
    put_len(&mut request, 1, &resource);
    request
}

/// A span with these ids, and fields behind them as they are.
pub fn span(trace: [u8; 16], span: u64, fields: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_len(&mut out, 1, &trace);
    put_len(&mut out, 2, &span.to_be_bytes());
    out.extend_from_slice(fields);
    out
}

/// Start and end of a span, as fields.
pub fn times(start: u64, end: u64) -> Vec<u8> {
    [&[0x39][..], &start.to_le_bytes(), &[0x41], &end.to_le_bytes()].concat()
}

/// As many empty spans, or scopes, as `bytes` are.
pub fn empty_spans(bytes: usize) -> Vec<u8> {
    let mut request = Vec::new();
    put_len(&mut request, 1, &repeated(2, 0x12, bytes));
    request
}

/// As many empty resources as `bytes` are.
pub fn empty_resources(bytes: usize) -> Vec<u8> {
    [0x0a, 0].repeat(bytes / 2)
}

/// As many empty attributes (9), events (11) or links (13) as `bytes` are, as a span's fields.
pub fn empty_elements(number: u8, bytes: usize) -> Vec<u8> {
    [number << 3 | 2, 0].repeat(bytes / 2)
}

/// An attribute whose value is lists in lists, `levels` deep: as a span's field.
pub fn deep(levels: usize) -> Vec<u8> {
    // From the inside out, so backwards: a length is known when what is behind it has been written.
    let mut out = Vec::new();
    let wrap = |out: &mut Vec<u8>, tag: u8| {
        let mut head = vec![tag];
        put_varint(&mut head, out.len() as u64);
        out.extend(head.iter().rev());
    };
    for _ in 0..levels {
        wrap(&mut out, 1 << 3 | 2);
        wrap(&mut out, 5 << 3 | 2);
    }
    wrap(&mut out, 2 << 3 | 2);
    out.extend([b'k', 1, 1 << 3 | 2]);
    wrap(&mut out, 9 << 3 | 2);
    out.reverse();
    out
}

/// A good span and one with a value nested so that the text has about `bytes`, in JSON.
pub fn deep_json(bytes: usize) -> Vec<u8> {
    let (open, close) = (r#"{"arrayValue":{"values":["#, "]}}");
    let levels = bytes / (open.len() + close.len());
    let value = format!("{}null{}", open.repeat(levels), close.repeat(levels));
    let good = r#"{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174"}"#;
    let bad = format!(r#"{{"attributes":[{{"key":"k","value":{value}}}],{}"#, &good[1..]);
    format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{bad},{good}]}}]}}]}}"#).into_bytes()
}

/// Trace ids that an attacker has picked so that all are in one slot.
pub fn one_slot(count: usize) -> Vec<[u8; 16]> {
    let ids = (1u128..).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
    let slot = |id: &[u8; 16]| TraceId(*id).slot() == 77;
    ids.map(u128::to_be_bytes).filter(slot).take(count).collect()
}

/// A request of `count` services, each with a span; their names begin with `first`.
pub fn services(first: u64, count: u64) -> Vec<u8> {
    let mut request = Vec::new();
    for n in first..first + count {
        let (mut value, mut pair, mut resource) = (Vec::new(), Vec::new(), Vec::new());
        put_len(&mut value, 1, format!("service-{n}").as_bytes());
        put_len(&mut pair, 1, b"service.name");
        put_len(&mut pair, 2, &value);
        put_len(&mut resource, 1, &pair);
        let mut scope = Vec::new();
        put_len(&mut scope, 2, &span((u128::from(n) << 64 | 1).to_be_bytes(), n + 1, &[]));
        let mut group = Vec::new();
        put_len(&mut group, 1, &resource);
        put_len(&mut group, 2, &scope);
        put_len(&mut request, 1, &group);
    }
    request
}
