//! Chance for made-up traffic.

use tailgate_common::chance::Chance;

/// A seeded source of numbers.
#[derive(Clone, Debug)]
pub(super) struct Random(Chance);

// === impl Random ===

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random(Chance::new(seed))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0.number()
    }

    /// A number in `0..n`; `n` is not 0. The bias of the remainder does not matter here.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// A number in `low..high`.
    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low)
    }

    /// One of `choices`, which is not empty.
    pub(super) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// An id of spans: never all zero.
    pub(super) fn span_id(&mut self) -> [u8; 8] {
        (self.next() | 1).to_be_bytes()
    }

    /// An id of traces: never all zero.
    pub(super) fn trace_id(&mut self) -> [u8; 16] {
        (u128::from(self.next()) << 64 | u128::from(self.next() | 1)).to_be_bytes()
    }

    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}
