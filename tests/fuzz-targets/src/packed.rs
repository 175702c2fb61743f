//! Compressed bodies: no more comes out than allowed, and no more is used than was permitted.

use tailgate_common::limit::ByteBudget;
use tailgate_common::receive::{Encoding, unpack};

const LIMIT: usize = 1 << 20;
/// What a decoder may have of its own: lz4's two blocks of 4 MiB and a window.
const DECODER: u64 = (8 << 20) + (192 << 10);

/// Unpacking any bytes by the encoding that the first of them picks.
pub(crate) fn decompress_any(bytes: &[u8]) {
    let Some((pick, packed)) = bytes.split_first() else { return };
    let encoding = Encoding::ALL[usize::from(*pick) % Encoding::ALL.len()];
    // The output, and as much while it grows.
    let budget = ByteBudget::new(2 * (LIMIT as u64 + 1) + DECODER);
    let mut permit = budget.empty_permit();
    if let Ok(out) = unpack(encoding, packed, LIMIT, &mut permit) {
        assert!(out.len() <= LIMIT && out.capacity() as u64 <= permit.bytes(), "{encoding:?}");
    }
    drop(permit);
    assert_eq!(budget.used(), 0);
}
