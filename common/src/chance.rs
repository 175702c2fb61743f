//! Numbers that differ: jitter, invented ids, made-up traffic. Not for secrets.

/// SplitMix64 (<https://prng.di.unimi.it/splitmix64.c>): the same seed gives the same numbers on
/// every machine.
#[derive(Debug, Clone)]
pub struct Chance(u64);

// === impl Chance ===

impl Chance {
    /// Begins with this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mix = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mix = (mix ^ (mix >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mix ^ (mix >> 31)
    }

    /// Anywhere in [0, 1).
    pub fn fraction(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1u64 << 53) as f64
    }
}
