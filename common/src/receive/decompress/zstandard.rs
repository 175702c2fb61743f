//! Zstandard, with windows of at most 8 MiB (RFC 9659).

use super::super::reply::Refusal;
use super::{Output, malformed};
use std::cell::RefCell;
use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};
use zstd::zstd_safe::{DParameter, get_frame_content_size};

const ZSTD_WINDOW_LOG_MAX: u32 = 23;

thread_local! {
    static ZSTD: RefCell<Option<Decoder<'static>>> = const { RefCell::new(None) };
}

/// All frames of a zstd body.
pub(super) fn unzstd(input: &[u8], out: &mut Output<'_>) -> Result<(), Refusal> {
    ZSTD.with_borrow_mut(|slot| unpack(slot, input, out))
}

fn unpack(
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
