//! One function for each kind of bytes that strangers send. Each takes any bytes, checks what must
//! hold for all of them, and panics if it does not.
//!
//! `fuzz/run.sh` lets libFuzzer look for bytes that make them panic; what it found, and a seed for
//! each form, is in `fuzz/corpus` and is replayed by the test of this crate.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod config;
mod packed;
mod peer;
mod requests;
mod served;

/// A target: what it is called, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const ALL: [Target; 8] = [
    ("scan", requests::scan_any),
    ("splice", requests::splice_any),
    ("json", requests::json_any),
    ("config", config::config_any),
    ("decompress", packed::decompress_any),
    ("frames", peer::frames_any),
    ("handshake", peer::handshake_any),
    ("grpc", served::grpc_any),
];

/// The target of this name.
pub fn target(name: &str) -> Option<fn(&[u8])> {
    ALL.iter().find(|(known, _)| *known == name).map(|(_, run)| *run)
}
