//! The one place that decompresses what others send: every byte of output is permitted before it
//! is written, the output is capped, and zstd windows are at most 8 MiB (RFC 9659).
//!
//! Contexts belong to the thread and are used again: making one costs more than a small request.

use super::reply::{Code, Refusal};
use crate::limit::Permit;
use flate2::{Decompress, FlushDecompress, Status};
use std::cell::RefCell;
use std::fmt::Display;
use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};
use zstd::zstd_safe::{DParameter, get_frame_content_size};

/// A compression that we take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

/// Decompressed bytes and what they may still grow to.
struct Output<'a> {
    bytes: Vec<u8>,
    limit: usize,
    permit: &'a mut Permit,
}

const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// 2^15 bytes, gzip's largest window.
const GZIP_WINDOW_BITS: u8 = 15;
const SMALLEST_OUTPUT: usize = 4 * 1024;

thread_local! {
    static GZIP: RefCell<Decompress> =
        RefCell::new(Decompress::new_gzip(GZIP_WINDOW_BITS));
    static ZSTD: RefCell<Option<Decoder<'static>>> = const { RefCell::new(None) };
}

/// Decompresses all of `input` into at most `limit` bytes. `permit` grows by the memory of the
/// output.
pub(super) fn unpack(
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
        Encoding::Gzip => GZIP.with_borrow_mut(|context| gunzip(context, input, &mut out))?,
        Encoding::Zstd => ZSTD.with_borrow_mut(|slot| unzstd(slot, input, &mut out))?,
    }
    out.check_size(out.bytes.len())?;
    Ok(out.bytes)
}

fn gunzip(context: &mut Decompress, mut input: &[u8], out: &mut Output<'_>) -> Result<(), Refusal> {
    // The last four bytes say how long the last member is: a hint, so it is only believed as far
    // as deflate can reach (1:1032).
    let told = input.last_chunk().map_or(0, |size| u32::from_le_bytes(*size) as usize);
    out.reserve(told.min(input.len().saturating_mul(1032)).max(input.len()))?;
    loop {
        // A context made for gzip stays one; the flag is about zlib's header.
        context.reset(true);
        input = gunzip_member(context, input, out)?;
        if input.is_empty() {
            return Ok(());
        }
    }
}

/// Returns what follows the member.
fn gunzip_member<'a>(
    context: &mut Decompress,
    input: &'a [u8],
    out: &mut Output<'_>,
) -> Result<&'a [u8], Refusal> {
    loop {
        let before = (context.total_in(), out.bytes.len());
        let rest = usize::try_from(before.0).ok().and_then(|at| input.get(at..));
        let rest = rest.unwrap_or_default();
        let status = context.decompress_vec(rest, &mut out.bytes, FlushDecompress::None);
        let status = status.map_err(|e| malformed("gzip", e))?;
        out.check_size(out.bytes.len())?;
        if status == Status::StreamEnd {
            let used = usize::try_from(context.total_in()).unwrap_or(usize::MAX);
            return Ok(input.get(used..).unwrap_or_default());
        }
        if out.is_full() {
            out.grow()?;
        } else if (context.total_in(), out.bytes.len()) == before {
            return Err(malformed("gzip", "truncated"));
        }
    }
}

fn unzstd(
    slot: &mut Option<Decoder<'static>>,
    input: &[u8],
    out: &mut Output<'_>,
) -> Result<(), Refusal> {
    let context = match slot {
        Some(context) => context,
        None => slot.insert(new_zstd_context().map_err(|e| malformed("zstd", e))?),
    };
    context.reinit().map_err(|e| malformed("zstd", e))?;
    let told = get_frame_content_size(input).ok().flatten();
    let told = told.map(|size| usize::try_from(size).unwrap_or(usize::MAX));
    if let Some(size) = told {
        out.check_size(size)?;
    }
    // With room for the whole frame, zstd writes straight into the output. One byte more tells
    // a full output from a finished one.
    out.reserve(told.map_or(input.len().saturating_mul(4), |size| size.saturating_add(1)))?;
    let mut input = InBuffer::around(input);
    loop {
        let (read, written) = (input.pos(), out.bytes.len());
        let mut buffer = OutBuffer::around_pos(&mut out.bytes, written);
        let wanted = context.run(&mut input, &mut buffer).map_err(|e| malformed("zstd", e))?;
        out.check_size(out.bytes.len())?;
        if wanted == 0 && input.pos() == input.src.len() {
            return Ok(());
        }
        if out.is_full() {
            out.grow()?;
        } else if (input.pos(), out.bytes.len()) == (read, written) {
            return Err(malformed("zstd", "truncated"));
        }
    }
}

fn new_zstd_context() -> std::io::Result<Decoder<'static>> {
    let mut context = Decoder::new()?;
    context.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))?;
    Ok(context)
}

fn malformed(encoding: &str, error: impl Display) -> Refusal {
    Refusal::new(Code::InvalidArgument, format!("malformed {encoding} data: {error}"))
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
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::limit::ByteBudget;
    use std::io::Write;

    const LIMIT: usize = 1 << 20;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd_streamed(data: &[u8], window_log: u32) -> Vec<u8> {
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(window_log).unwrap();
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn code(encoding: Encoding, input: &[u8], budget: u64) -> Result<Vec<u8>, Code> {
        let budget = ByteBudget::new(budget);
        let mut permit = budget.empty_permit();
        let result = unpack(encoding, input, LIMIT, &mut permit).map_err(|r| r.code);
        if let Ok(bytes) = &result {
            assert!(budget.used() >= bytes.len() as u64);
        }
        assert!(budget.used() <= 3 * LIMIT as u64);
        result
    }

    fn sample(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i * i / 7 % 251) as u8).collect()
    }

    #[test]
    fn what_was_compressed_comes_back() {
        for len in [0, 1, 4_096, 100_000, LIMIT] {
            let data = sample(len);
            let frames = [
                (Encoding::Identity, data.clone()),
                (Encoding::Gzip, gzip(&data)),
                (Encoding::Zstd, zstd::bulk::compress(&data, 1).unwrap()),
                (Encoding::Zstd, zstd_streamed(&data, 20)),
            ];
            for (encoding, packed) in frames {
                assert!(code(encoding, &packed, u64::MAX) == Ok(data.clone()), "{encoding:?}");
            }
        }
    }

    #[test]
    fn several_members_are_one_body() {
        let (a, b) = (sample(5_000), sample(70_000));
        let both = [a.clone(), b.clone()].concat();
        let zipped = [gzip(&a), gzip(&b)].concat();
        let zstd = [zstd::bulk::compress(&a, 1).unwrap(), zstd_streamed(&b, 18)].concat();
        assert!(code(Encoding::Gzip, &zipped, u64::MAX) == Ok(both.clone()));
        assert!(code(Encoding::Zstd, &zstd, u64::MAX) == Ok(both));
    }

    #[test]
    fn bombs_are_too_large() {
        let zeros = vec![0; 64 * LIMIT];
        for (encoding, bomb) in [
            (Encoding::Gzip, gzip(&zeros)),
            (Encoding::Zstd, zstd::bulk::compress(&zeros, 1).unwrap()),
            (Encoding::Zstd, zstd_streamed(&zeros, 20)),
        ] {
            assert_eq!(code(encoding, &bomb, u64::MAX), Err(Code::TooLarge), "{encoding:?}");
        }
        let one_more = sample(LIMIT + 1);
        assert_eq!(code(Encoding::Gzip, &gzip(&one_more), u64::MAX), Err(Code::TooLarge));
    }

    #[test]
    fn a_window_over_8_mib_is_refused() {
        let frame = zstd_streamed(&sample(300_000), 24);
        assert_eq!(code(Encoding::Zstd, &frame, u64::MAX), Err(Code::InvalidArgument));
        let frame = zstd_streamed(&sample(300_000), 23);
        assert!(code(Encoding::Zstd, &frame, u64::MAX).is_ok());
    }

    #[test]
    fn without_permits_there_is_no_output() {
        let data = sample(100_000);
        let packed = [(Encoding::Gzip, gzip(&data)), (Encoding::Zstd, zstd_streamed(&data, 20))];
        for (encoding, packed) in packed {
            assert_eq!(code(encoding, &packed, 90_000), Err(Code::Unavailable), "{encoding:?}");
        }
    }

    #[test]
    fn damage_never_passes_and_does_not_spoil_the_context() {
        let data = sample(20_000);
        let packed = [(Encoding::Gzip, gzip(&data)), (Encoding::Zstd, zstd_streamed(&data, 20))];
        for (encoding, packed) in packed {
            for cut in (0..packed.len()).step_by(97) {
                let got = code(encoding, &packed[..cut], u64::MAX);
                assert_eq!(got, Err(Code::InvalidArgument), "{encoding:?} cut at {cut}");
            }
            let mut bad = packed.clone();
            bad[0] ^= 0xff;
            assert_eq!(code(encoding, &bad, u64::MAX), Err(Code::InvalidArgument));
            assert!(code(encoding, &packed, u64::MAX) == Ok(data.clone()));
        }
    }
}
