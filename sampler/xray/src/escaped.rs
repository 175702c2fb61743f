//! Reads back what stands inside a JSON string: a text whose quotes and backslashes have a backslash
//! before them, and which has no other escapes.

use std::iter;

/// The text by itself.
pub(crate) fn plain(escaped: &[u8]) -> Vec<u8> {
    bytes(escaped).collect()
}

/// How many bytes [`plain`] gives.
pub(crate) fn plain_len(escaped: &[u8]) -> usize {
    bytes(escaped).count()
}

fn bytes(escaped: &[u8]) -> impl Iterator<Item = u8> {
    let mut bytes = escaped.iter().copied();
    iter::from_fn(move || match bytes.next() {
        Some(b'\\') => bytes.next().or(Some(b'\\')),
        byte => byte,
    })
}
