//! Which spans of a trace have been seen, by the 128-bit hash of their bytes.
//!
//! A trace carries the hashes of its own spans: they live and move as long as it does, and most traces are so small
//! that a linear search is the fastest one.

use hashbrown::HashSet;

/// Up to here a list is searched; beyond, a set.
const SMALL: usize = 32;

/// What the list's growth costs at most, in bytes per hash.
pub const BYTES_PER_HASH: usize = 32;

/// The hashes of a trace's spans.
#[derive(Debug)]
pub enum Seen {
    /// At most [`SMALL`] of them.
    Few(Vec<u128>),
    /// More.
    Many(HashSet<u128>),
}

// === impl Seen ===

impl Default for Seen {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Seen {
    /// Adds a hash; `false` if it was there.
    pub fn insert(&mut self, hash: u128) -> bool {
        match self {
            Self::Few(hashes) if hashes.contains(&hash) => false,
            Self::Few(hashes) if hashes.len() < SMALL => {
                hashes.push(hash);
                true
            }
            Self::Few(hashes) => {
                let mut many: HashSet<u128> = hashes.drain(..).collect();
                many.insert(hash);
                *self = Self::Many(many);
                true
            }
            Self::Many(hashes) => hashes.insert(hash),
        }
    }

    /// Takes a hash out again.
    pub fn remove(&mut self, hash: u128) {
        match self {
            Self::Few(hashes) => hashes.retain(|seen| *seen != hash),
            Self::Many(hashes) => {
                hashes.remove(&hash);
            }
        }
    }

    /// How many hashes there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Few(hashes) => hashes.len(),
            Self::Many(hashes) => hashes.len(),
        }
    }

    /// No span was seen.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gives back what growth has taken too much, once no more spans are expected.
    pub fn shrink(&mut self) {
        match self {
            Self::Few(hashes) => hashes.shrink_to_fit(),
            Self::Many(hashes) => hashes.shrink_to_fit(),
        }
    }
}
