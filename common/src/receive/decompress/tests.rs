//! Every encoding: whole, damaged, too large, and without permits.

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

fn zlib(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn snappy(data: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(data).unwrap()
}

fn snappy_framed(data: &[u8]) -> Vec<u8> {
    let mut encoder = snap::write::FrameEncoder::new(Vec::new());
    encoder.write_all(data).unwrap();
    encoder.into_inner().unwrap()
}

fn lz4(data: &[u8]) -> Vec<u8> {
    let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

type Pack = fn(&[u8]) -> Vec<u8>;

/// Each encoding with its encoder; the two forms of snappy both go by its name.
const ALL: [(Encoding, Pack); 7] = [
    (Encoding::Gzip, gzip),
    (Encoding::Zlib, zlib),
    (Encoding::Zstd, |data| zstd_streamed(data, 20)),
    (Encoding::Snappy, snappy),
    (Encoding::Snappy, snappy_framed),
    (Encoding::SnappyFramed, snappy_framed),
    (Encoding::Lz4, lz4),
];

fn code(encoding: Encoding, input: &[u8], budget: u64) -> Result<Vec<u8>, Code> {
    let budget = ByteBudget::new(budget);
    let mut permit = budget.empty_permit();
    let result = unpack(encoding, input, LIMIT, &mut permit).map_err(|r| r.code);
    if let Ok(bytes) = &result {
        assert!(budget.used() >= bytes.len() as u64);
    }
    // Beside the output, lz4's decoder may have 8 MiB of buffers.
    assert!(budget.used() <= 3 * LIMIT as u64 + (9 << 20));
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
            (Encoding::Zstd, zstd::bulk::compress(&data, 1).unwrap()),
        ];
        let all = ALL.map(|(encoding, pack)| (encoding, pack(&data)));
        for (encoding, packed) in frames.into_iter().chain(all) {
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
    let bulk = [(Encoding::Zstd, zstd::bulk::compress(&zeros, 1).unwrap())];
    let all = ALL.map(|(encoding, pack)| (encoding, pack(&zeros)));
    for (encoding, bomb) in all.into_iter().chain(bulk) {
        assert_eq!(code(encoding, &bomb, u64::MAX), Err(Code::TooLarge), "{encoding:?}");
    }
    for (encoding, pack) in ALL {
        let one_more = pack(&sample(LIMIT + 1));
        assert_eq!(code(encoding, &one_more, u64::MAX), Err(Code::TooLarge), "{encoding:?}");
    }
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
    for (encoding, pack) in ALL {
        let packed = pack(&data);
        assert_eq!(code(encoding, &packed, 90_000), Err(Code::Unavailable), "{encoding:?}");
    }
}

#[test]
fn damage_never_passes_and_does_not_spoil_the_context() {
    let data = sample(20_000);
    for (encoding, pack) in ALL {
        let packed = pack(&data);
        for cut in (1..packed.len()).step_by(97) {
            let got = code(encoding, &packed[..cut], u64::MAX);
            assert_eq!(got, Err(Code::InvalidArgument), "{encoding:?} cut at {cut}");
        }
        let mut bad = packed.clone();
        bad[0] ^= 0xff;
        assert_eq!(code(encoding, &bad, u64::MAX), Err(Code::InvalidArgument));
        assert!(code(encoding, &packed, u64::MAX) == Ok(data.clone()));
    }
}
