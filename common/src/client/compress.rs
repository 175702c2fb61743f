//! Compression of what we send, at the fastest level unless configured: the wire between our tiers
//! is cheap, CPU is not. Contexts belong to the thread and are used again.

use flate2::{Compress, FlushCompress, Status};
use std::cell::RefCell;
use std::io::{self, Write};
use zstd::bulk::Compressor;

/// How requests are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
    /// zlib.
    Zlib,
    /// zlib by the name that HTTP has for it.
    Deflate,
    /// Snappy: one block over HTTP, frames over gRPC, as in the collector.
    Snappy,
    /// Snappy frames.
    SnappyFramed,
    /// lz4 frames.
    Lz4,
}

/// A compression with its level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packer {
    /// The compression.
    pub compression: Compression,
    /// gzip, zlib, deflate: 0 to 9; zstd: 1 to 22; `None` is 1. The others have no levels.
    pub level: Option<u32>,
}

const FASTEST: u32 = 1;
const WINDOW_BITS: u8 = 15;
/// Contexts of gzip and zlib that a thread keeps; there are 20 kinds.
const KEPT_CONTEXTS: usize = 4;

/// A context, whether it is gzip's, and its level.
type Deflater = ((bool, u32), Compress);

thread_local! {
    static DEFLATE: RefCell<Vec<Deflater>> = const { RefCell::new(Vec::new()) };
    static ZSTD: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
}

// === impl Compression ===

impl Compression {
    /// Its name as a `grpc-encoding`, if gRPC has it.
    pub fn grpc_name(self) -> Option<&'static str> {
        match self {
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
            Self::Snappy => Some("snappy"),
            _ => None,
        }
    }

    /// Its name as a `content-encoding`.
    pub fn http_name(self) -> Option<&'static str> {
        Some(match self {
            Self::None => return None,
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Zlib => "zlib",
            Self::Deflate => "deflate",
            Self::Snappy => "snappy",
            Self::SnappyFramed => "x-snappy-framed",
            Self::Lz4 => "lz4",
        })
    }
}

// === impl Packer ===

impl Packer {
    /// The same for gRPC, where snappy is framed.
    pub(super) fn for_grpc(self) -> Self {
        match self.compression {
            Compression::Snappy => Self { compression: Compression::SnappyFramed, ..self },
            _ => self,
        }
    }

    /// The compressed bytes; `None` if this is no compression.
    pub(super) fn pack(self, input: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let level = self.level.unwrap_or(FASTEST);
        match self.compression {
            Compression::None => return Ok(None),
            Compression::Gzip => deflate(true, level, input),
            Compression::Zlib | Compression::Deflate => deflate(false, level, input),
            Compression::Zstd => zstandard(level, input),
            Compression::Snappy => {
                snap::raw::Encoder::new().compress_vec(input).map_err(io::Error::other)
            }
            Compression::SnappyFramed => {
                let mut encoder = snap::write::FrameEncoder::new(Vec::new());
                encoder.write_all(input)?;
                encoder.into_inner().map_err(|e| io::Error::other(e.to_string()))
            }
            Compression::Lz4 => {
                let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
                encoder.write_all(input)?;
                encoder.finish().map_err(io::Error::other)
            }
        }
        .map(Some)
    }
}

fn zstandard(level: u32, input: &[u8]) -> io::Result<Vec<u8>> {
    let level = i32::try_from(level).unwrap_or(i32::MAX);
    ZSTD.with_borrow_mut(|slot| {
        let context = match slot {
            Some(context) => context,
            None => slot.insert(Compressor::new(level)?),
        };
        context.set_compression_level(level)?;
        context.compress(input)
    })
}

fn deflate(is_gzip: bool, level: u32, input: &[u8]) -> io::Result<Vec<u8>> {
    DEFLATE.with_borrow_mut(|contexts| {
        let kind = (is_gzip, level);
        let at = match contexts.iter().position(|(k, _)| *k == kind) {
            Some(at) => at,
            None => {
                let level = flate2::Compression::new(level);
                let context = match is_gzip {
                    true => Compress::new_gzip(level, WINDOW_BITS),
                    false => Compress::new(level, true),
                };
                contexts.truncate(KEPT_CONTEXTS - 1);
                contexts.insert(0, (kind, context));
                0
            }
        };
        deflate_with(&mut contexts[at].1, input)
    })
}

fn deflate_with(context: &mut Compress, input: &[u8]) -> io::Result<Vec<u8>> {
    context.reset();
    let mut out = Vec::with_capacity(input.len() / 3 + 64);
    loop {
        let rest = usize::try_from(context.total_in()).ok().and_then(|at| input.get(at..));
        let rest = rest.unwrap_or_default();
        match context.compress_vec(rest, &mut out, FlushCompress::Finish)? {
            Status::StreamEnd => return Ok(out),
            Status::Ok | Status::BufError => out.reserve(out.capacity().max(64)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Read;

    /// A packer with its standard decoder.
    fn unpack(compression: Compression, packed: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match compression {
            Compression::None => out.extend_from_slice(packed),
            Compression::Gzip => {
                flate2::read::GzDecoder::new(packed).read_to_end(&mut out).map(drop).unwrap();
            }
            Compression::Zlib | Compression::Deflate => {
                flate2::read::ZlibDecoder::new(packed).read_to_end(&mut out).map(drop).unwrap();
            }
            Compression::Zstd => out = zstd::stream::decode_all(packed).unwrap(),
            Compression::Snappy => out = snap::raw::Decoder::new().decompress_vec(packed).unwrap(),
            Compression::SnappyFramed => {
                snap::read::FrameDecoder::new(packed).read_to_end(&mut out).map(drop).unwrap();
            }
            Compression::Lz4 => {
                lz4_flex::frame::FrameDecoder::new(packed).read_to_end(&mut out).map(drop).unwrap();
            }
        }
        out
    }

    const ALL: [Compression; 7] = [
        Compression::Gzip,
        Compression::Zstd,
        Compression::Zlib,
        Compression::Deflate,
        Compression::Snappy,
        Compression::SnappyFramed,
        Compression::Lz4,
    ];

    #[test]
    fn standard_decoders_read_it_at_every_level() {
        for len in [0usize, 1, 1_000, 300_000] {
            let data: Vec<u8> = (0..len).map(|i| (i * i % 255) as u8).collect();
            for compression in ALL {
                for level in [None, Some(1), Some(6), Some(9), None] {
                    let packed = Packer { compression, level }.pack(&data).unwrap().unwrap();
                    assert!(unpack(compression, &packed) == data, "{compression:?} {level:?}");
                }
            }
        }
        assert!(Packer::default().pack(b"x").unwrap().is_none());
    }

    #[test]
    fn a_higher_level_packs_tighter() {
        let data: Vec<u8> =
            (0..200_000u32).flat_map(|i| (i % 977 * i % 61).to_le_bytes()).collect();
        for compression in [Compression::Gzip, Compression::Zlib, Compression::Zstd] {
            let len = |level| Packer { compression, level }.pack(&data).unwrap().unwrap().len();
            assert!(len(Some(9)) < len(None), "{compression:?}");
        }
        let stored = Packer { compression: Compression::Gzip, level: Some(0) };
        assert!(stored.pack(&data).unwrap().unwrap().len() > data.len());
    }
}
