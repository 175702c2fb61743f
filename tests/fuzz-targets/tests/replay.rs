//! Replays the fuzzer's corpora: its seeds, and all that it has ever found.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::{Path, PathBuf};
use tailgate_fuzz_targets::ALL;

/// Of all corpora together, in bytes.
const MOST: u64 = 1 << 20;

/// The files of a target's corpus, in the same order everywhere.
fn seeds(name: &str) -> Vec<PathBuf> {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let entries = std::fs::read_dir(corpora.join(name)).unwrap();
    let mut seeds: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    seeds.sort();
    seeds
}

#[test]
fn corpora_hold_for_their_targets() {
    let mut size = 0;
    for (name, run) in ALL {
        let mut inputs = 0;
        for path in seeds(name) {
            let bytes = std::fs::read(&path).unwrap();
            size += bytes.len() as u64;
            // Said before, so that what panics has its name above it.
            println!("{}", path.display());
            run(&bytes);
            inputs += 1;
        }
        assert!(inputs > 0, "{name} has no corpus");
    }
    assert!(size <= MOST, "{size} bytes of corpora");
}

/// Damage to what is good reaches further than noise does.
#[test]
fn damaged_seeds_hold_too() {
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random as usize
    };
    for (name, run) in ALL {
        let seeds: Vec<Vec<u8>> =
            seeds(name).iter().map(|path| std::fs::read(path).unwrap()).collect();
        for _ in 0..200 {
            let mut bytes = seeds[next() % seeds.len()].clone();
            for _ in 0..1 + next() % 4 {
                if bytes.is_empty() {
                    break;
                }
                let at = next() % bytes.len();
                match next() % 3 {
                    0 => bytes[at] = next() as u8,
                    1 => bytes.truncate(at),
                    _ => bytes.insert(at, next() as u8),
                }
            }
            run(&bytes);
        }
    }
}
