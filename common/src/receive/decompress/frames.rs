//! Snappy, block and framed, and lz4 frames.

use super::super::reply::Refusal;
use super::{Output, malformed, no_room};
use std::io::Read;

/// The first chunk of every framed stream: the stream identifier.
/// Source: snappy's framing_format.txt, 4.1.
const STREAM_IDENTIFIER: &[u8] = b"\xff\x06\x00\x00sNaPpY";
/// What a decoder of snappy frames holds: a chunk of 64 KiB, packed and not.
const SNAPPY_BUFFERS: u64 = 192 << 10;
/// What a decoder of lz4 frames holds at most: two blocks of 4 MiB and a window.
const LZ4_BUFFERS: u64 = (8 << 20) + (192 << 10);

/// A block, or frames if it begins as frames do.
pub(super) fn unsnappy(input: &[u8], out: &mut Output<'_>) -> Result<(), Refusal> {
    if input.starts_with(STREAM_IDENTIFIER) {
        return unsnappy_frames(input, out);
    }
    if input.is_empty() {
        // Frames of nothing.
        return Ok(());
    }
    let size = snap::raw::decompress_len(input).map_err(|e| malformed("snappy", e))?;
    out.check_size(size)?;
    out.reserve(size)?;
    out.bytes.resize(size, 0);
    let mut decoder = snap::raw::Decoder::new();
    let written = decoder.decompress(input, &mut out.bytes).map_err(|e| malformed("snappy", e))?;
    out.bytes.truncate(written);
    Ok(())
}

/// Frames.
pub(super) fn unsnappy_frames(input: &[u8], out: &mut Output<'_>) -> Result<(), Refusal> {
    prepare(SNAPPY_BUFFERS, input.len(), out)?;
    read_all("snappy", snap::read::FrameDecoder::new(input), out)
}

/// All lz4 frames of a body.
pub(super) fn unlz4(mut input: &[u8], out: &mut Output<'_>) -> Result<(), Refusal> {
    prepare(LZ4_BUFFERS, input.len(), out)?;
    while !input.is_empty() {
        let before = input.len();
        read_all("lz4", lz4_flex::frame::FrameDecoder::new(&mut input), out)?;
        if input.len() == before {
            return Err(malformed("lz4", "truncated"));
        }
    }
    Ok(())
}

/// Permits the decoder's own `buffers`, and makes room for what usually comes out.
fn prepare(buffers: u64, packed: usize, out: &mut Output<'_>) -> Result<(), Refusal> {
    if !out.permit.try_grow(buffers) {
        return Err(no_room(buffers as usize));
    }
    out.reserve(packed.saturating_mul(4))
}

/// Reads to the end, never more than there is room for.
fn read_all(name: &str, mut decoder: impl Read, out: &mut Output<'_>) -> Result<(), Refusal> {
    loop {
        let (start, room) = (out.bytes.len(), out.bytes.capacity() - out.bytes.len());
        out.bytes.resize(start + room, 0);
        let read = decoder.read(&mut out.bytes[start..]);
        out.bytes.truncate(start + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) if room > 0 => return Ok(()),
            Ok(_) => out.check_size(out.bytes.len())?,
            Err(e) => return Err(malformed(name, e)),
        }
        if out.is_full() {
            out.grow()?;
        }
    }
}
