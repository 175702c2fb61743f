//! Buffers for fragments: charged before they are filled, used again when nobody reads them.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tailgate_common::limit::{ByteBudget, Permit};

/// Lends buffers within a budget. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Buffers {
    budget: ByteBudget,
    spare: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// A buffer to fill. Its bytes stay charged until the last reader of [`Buffer::freeze`] is gone.
#[derive(Debug)]
pub(crate) struct Buffer {
    pub(crate) bytes: Vec<u8>,
    buffers: Buffers,
    _permit: Permit,
}

/// Bytes that somebody else owns, and the permit for keeping them.
struct Charged {
    bytes: Bytes,
    _permit: Permit,
}

const MAX_SPARE: usize = 64;
/// Larger buffers are not kept.
const MAX_SPARE_BYTES: usize = 1 << 20;

// === impl Buffers ===

impl Buffers {
    pub(crate) fn new(budget: ByteBudget) -> Self {
        Self { budget, spare: Arc::default() }
    }

    /// A buffer with room for `len` bytes, if the budget has them.
    pub(crate) fn take(&self, len: usize) -> Option<Buffer> {
        let permit = self.budget.try_acquire(len as u64)?;
        let mut bytes = self.spare.lock().pop().unwrap_or_default();
        bytes.reserve(len);
        Some(Buffer { bytes, buffers: self.clone(), _permit: permit })
    }

    /// Charges bytes that are there already, if the budget has them.
    pub(crate) fn charge(&self, bytes: Bytes) -> Option<Bytes> {
        let permit = self.budget.try_acquire(bytes.len() as u64)?;
        Some(Bytes::from_owner(Charged { bytes, _permit: permit }))
    }
}

// === impl Buffer ===

impl Buffer {
    pub(crate) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        if bytes.capacity() <= MAX_SPARE_BYTES {
            bytes.clear();
            let mut spare = self.buffers.spare.lock();
            if spare.len() < MAX_SPARE {
                spare.push(bytes);
            }
        }
    }
}

// === impl Charged ===

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn bytes_are_charged_until_the_last_reader_is_gone() {
        let budget = ByteBudget::new(100);
        let buffers = Buffers::new(budget.clone());
        let mut buffer = buffers.take(60).unwrap();
        buffer.bytes.extend_from_slice(&[1; 60]);
        assert!(buffers.take(41).is_none());
        let whole = buffer.freeze();
        let part = whole.slice(..10);
        drop(whole);
        assert_eq!(budget.used(), 60);
        assert!(buffers.charge(Bytes::from(vec![0; 41])).is_none());
        drop(part);
        assert_eq!(budget.used(), 0);
        assert_eq!(buffers.spare.lock().len(), 1);
        assert!(buffers.take(100).unwrap().bytes.is_empty());
    }
}
