//! The configuration language from outside: files as people have them through `tailgate validate`,
//! the documentation against the code, and damage.
#![allow(clippy::unwrap_used)]

mod damage;
mod docs;
mod keys;
mod shapes;

use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of `shapes/`, in order.
fn shapes() -> Vec<PathBuf> {
    let dir = root().join("tests/configs/shapes");
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "yaml"))
        .collect();
    files.sort();
    assert!(files.len() >= 15, "the shapes have been found");
    files
}

/// Whether expected texts are to be written anew.
fn blessing() -> bool {
    std::env::var_os("BLESS").is_some()
}
