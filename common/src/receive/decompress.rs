//! The one place that decompresses what others send: every byte of output is permitted before it
//! is written, the output is capped, and zstd windows are at most 8 MiB (RFC 9659).
//!
//! Contexts of gzip, zlib and zstd belong to the thread and are used again: making one costs more than a small request.

mod deflate;
mod frames;
mod zstandard;

use super::reply::{Code, Refusal};
use crate::limit::Permit;
use std::fmt::Display;

/// A compression that we take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// None.
    Identity,
    /// gzip.
    Gzip,
    /// zlib, which HTTP calls `deflate` too.
    Zlib,
    /// Zstandard.
    Zstd,
    /// Snappy: a block, or frames.
    Snappy,
    /// Snappy, framed.
    SnappyFramed,
    /// lz4, framed.
    Lz4,
}

/// Decompressed bytes and what they may still grow to.
struct Output<'a> {
    bytes: Vec<u8>,
    limit: usize,
    permit: &'a mut Permit,
}

const SMALLEST_OUTPUT: usize = 4 * 1024;

/// Decompresses all of `input` into at most `limit` bytes. `permit` grows by the memory of the
/// output.
///
/// # Errors
/// Data that is malformed or too large, or no room in the permit's budget.
pub fn unpack(
    encoding: Encoding,
    input: &[u8],
    limit: usize,
    permit: &mut Permit,
) -> Result<Vec<u8>, Refusal> {
    let mut out = Output { bytes: Vec::new(), limit, permit };
    match encoding {
        Encoding::Identity => {
            out.reserve(input.len())?;
            out.bytes.extend_from_slice(input);
        }
        Encoding::Gzip => deflate::gunzip(input, &mut out)?,
        Encoding::Zlib => deflate::unzlib(input, &mut out)?,
        Encoding::Zstd => zstandard::unzstd(input, &mut out)?,
        Encoding::Snappy => frames::unsnappy(input, &mut out)?,
        Encoding::SnappyFramed => frames::unsnappy_frames(input, &mut out)?,
        Encoding::Lz4 => frames::unlz4(input, &mut out)?,
    }
    out.check_size(out.bytes.len())?;
    Ok(out.bytes)
}

fn malformed(encoding: &str, error: impl Display) -> Refusal {
    Refusal::new(Code::InvalidArgument, format!("malformed {encoding} data: {error}"))
}

// === impl Encoding ===

impl Encoding {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Identity,
        Self::Gzip,
        Self::Zlib,
        Self::Zstd,
        Self::Snappy,
        Self::SnappyFramed,
        Self::Lz4,
    ];

    /// The encoding that HTTP calls by this name; as the collector's confighttp knows them.
    pub fn of_http(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"" | b"identity" => Self::Identity,
            b"gzip" => Self::Gzip,
            b"zstd" => Self::Zstd,
            b"zlib" | b"deflate" => Self::Zlib,
            b"snappy" => Self::Snappy,
            b"x-snappy-framed" => Self::SnappyFramed,
            b"lz4" => Self::Lz4,
            _ => return None,
        })
    }

    /// The encoding that gRPC calls by this name; those which the collector registers.
    pub fn of_grpc(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"identity" => Self::Identity,
            b"gzip" => Self::Gzip,
            b"zstd" => Self::Zstd,
            b"snappy" => Self::Snappy,
            _ => return None,
        })
    }
}

// === impl Output ===

impl Output<'_> {
    fn is_full(&self) -> bool {
        self.bytes.len() == self.bytes.capacity()
    }

    fn grow(&mut self) -> Result<(), Refusal> {
        self.reserve(self.bytes.capacity().saturating_mul(2))
    }

    /// Makes room for `capacity` bytes in all, but never for more than one byte over the limit
    /// (which is how an output that is too large is noticed).
    fn reserve(&mut self, capacity: usize) -> Result<(), Refusal> {
        let wanted = capacity.max(SMALLEST_OUTPUT).min(self.limit.saturating_add(1));
        let more = wanted.saturating_sub(self.bytes.capacity());
        if !self.permit.try_grow(more as u64) {
            return Err(no_room(more));
        }
        self.bytes.reserve_exact(wanted.saturating_sub(self.bytes.len()));
        Ok(())
    }

    fn check_size(&self, size: usize) -> Result<(), Refusal> {
        if size <= self.limit {
            return Ok(());
        }
        let message =
            format!("decompressed size exceeds {} bytes; send smaller batches", self.limit);
        Err(Refusal::new(Code::TooLarge, message))
    }
}

/// The refusal of a request whose bytes there is no room for now.
pub(super) fn no_room(bytes: usize) -> Refusal {
    let message = format!("no memory for {bytes} more bytes of requests now; try again later");
    Refusal::new(Code::Unavailable, message)
}

#[cfg(test)]
mod tests;
