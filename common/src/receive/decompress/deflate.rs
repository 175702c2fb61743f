//! gzip and zlib.

use super::super::reply::Refusal;
use super::{Output, malformed};
use flate2::{Decompress, FlushDecompress, Status};
use std::cell::RefCell;

/// 2^15 bytes, gzip's largest window.
const GZIP_WINDOW_BITS: u8 = 15;
/// The most that deflate can make out of a byte.
const MAX_RATIO: usize = 1032;

thread_local! {
    static GZIP: RefCell<Decompress> = RefCell::new(Decompress::new_gzip(GZIP_WINDOW_BITS));
    static ZLIB: RefCell<Decompress> = RefCell::new(Decompress::new(true));
}

/// All members of a gzip body.
pub(super) fn gunzip(mut input: &[u8], out: &mut Output<'_>) -> Result<(), Refusal> {
    // The last four bytes say how long the last member is: a hint, so it is only believed as far
    // as deflate can reach.
    let told = input.last_chunk().map_or(0, |size| u32::from_le_bytes(*size) as usize);
    out.reserve(told.min(input.len().saturating_mul(MAX_RATIO)).max(input.len()))?;
    GZIP.with_borrow_mut(|context| {
        loop {
            // A context made for gzip stays one; the flag is about zlib's header.
            context.reset(true);
            input = inflate(context, "gzip", input, out)?;
            if input.is_empty() {
                return Ok(());
            }
        }
    })
}

/// A zlib stream, which HTTP calls deflate.
pub(super) fn unzlib(input: &[u8], out: &mut Output<'_>) -> Result<(), Refusal> {
    out.reserve(input.len().saturating_mul(4))?;
    ZLIB.with_borrow_mut(|context| {
        context.reset(true);
        match inflate(context, "zlib", input, out)? {
            [] => Ok(()),
            _ => Err(malformed("zlib", "bytes after its end")),
        }
    })
}

/// Returns what follows the stream.
fn inflate<'a>(
    context: &mut Decompress,
    name: &str,
    input: &'a [u8],
    out: &mut Output<'_>,
) -> Result<&'a [u8], Refusal> {
    loop {
        let before = (context.total_in(), out.bytes.len());
        let rest = usize::try_from(before.0).ok().and_then(|at| input.get(at..));
        let rest = rest.unwrap_or_default();
        let status = context.decompress_vec(rest, &mut out.bytes, FlushDecompress::None);
        let status = status.map_err(|e| malformed(name, e))?;
        out.check_size(out.bytes.len())?;
        if status == Status::StreamEnd {
            let used = usize::try_from(context.total_in()).unwrap_or(usize::MAX);
            return Ok(input.get(used..).unwrap_or_default());
        }
        if out.is_full() {
            out.grow()?;
        } else if (context.total_in(), out.bytes.len()) == before {
            return Err(malformed(name, "truncated"));
        }
    }
}
