//! Compression of what we send, at the fastest level: the wire between our tiers is cheap, CPU is
//! not. Contexts belong to the thread and are used again.

use flate2::{Compress, FlushCompress, Status};
use std::cell::RefCell;
use std::io;
use zstd::bulk::Compressor;

/// How requests are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip, level 1.
    Gzip,
    /// Zstandard, level 1.
    Zstd,
}

const ZSTD_LEVEL: i32 = 1;
const GZIP_WINDOW_BITS: u8 = 15;

thread_local! {
    static GZIP: RefCell<Compress> =
        RefCell::new(Compress::new_gzip(flate2::Compression::fast(), GZIP_WINDOW_BITS));
    static ZSTD: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
}

// === impl Compression ===

impl Compression {
    /// Its name as a `grpc-encoding`.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }

    /// The compressed bytes; `None` if this is no compression.
    pub(super) fn pack(self, input: &[u8]) -> io::Result<Option<Vec<u8>>> {
        match self {
            Self::None => Ok(None),
            Self::Gzip => GZIP.with_borrow_mut(|context| gzip(context, input)).map(Some),
            Self::Zstd => ZSTD.with_borrow_mut(|slot| {
                let context = match slot {
                    Some(context) => context,
                    None => slot.insert(Compressor::new(ZSTD_LEVEL)?),
                };
                context.compress(input).map(Some)
            }),
        }
    }
}

fn gzip(context: &mut Compress, input: &[u8]) -> io::Result<Vec<u8>> {
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

    #[test]
    fn standard_decoders_read_it() {
        for len in [0usize, 1, 1_000, 300_000] {
            let data: Vec<u8> = (0..len).map(|i| (i * i % 255) as u8).collect();
            let zipped = Compression::Gzip.pack(&data).unwrap().unwrap();
            let mut back = Vec::new();
            flate2::read::GzDecoder::new(&zipped[..]).read_to_end(&mut back).unwrap();
            assert!(back == data);
            let zstd = Compression::Zstd.pack(&data).unwrap().unwrap();
            assert!(zstd::stream::decode_all(&zstd[..]).unwrap() == data);
            assert!(Compression::None.pack(&data).unwrap().is_none());
        }
    }
}
