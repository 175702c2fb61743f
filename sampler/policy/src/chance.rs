//! The `probabilistic` policy: a trace is sampled if the hash of its id is at most the threshold.
//!
//! This is the collector's default path, bit for bit, so a trace that it samples is sampled here:
//! the hash is FNV-1a-64 of the salt and the 16 id bytes. (Its other path, consistent sampling by
//! the trace state, is behind a feature gate.)

use tailgate_proto::TraceId;

/// The salt if none is configured.
pub const DEFAULT_SALT: &str = "default-hash-seed";

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// A probabilistic policy, compiled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chance {
    /// The hash after the salt.
    salted: u64,
    threshold: u64,
}

/// The hash of a trace id that `probabilistic` compares. An empty salt is [`DEFAULT_SALT`].
pub fn hash(salt: &str, id: &TraceId) -> u64 {
    fnv(salted(salt), &id.0)
}

/// The greatest hash that is sampled at this percentage: `trunc(round64((2^64 - 1) * (percentage /
/// 100)))`, where the quotient is a double and `round64` rounds to 64 significant bits, half to
/// even. At most 2^64 - 1; 0 for negative percentages and NaN (even then, the hash 0 is sampled).
pub fn threshold(percentage: f64) -> u64 {
    let ratio = percentage / 100.0;
    if ratio.is_nan() || ratio <= 0.0 {
        return 0;
    }
    if ratio >= 1.0 {
        return u64::MAX;
    }
    // ratio = mantissa * 2^exponent, exactly.
    let bits = ratio.to_bits();
    let (fraction, raw) = (bits & ((1 << 52) - 1), (bits >> 52) as i32);
    let (mantissa, exponent) =
        if raw == 0 { (fraction, -1074) } else { (fraction | 1 << 52, raw - 1075) };
    // At most 53 + 64 bits.
    let product = u128::from(mantissa) * u128::from(u64::MAX);
    let (rounded, shift) = round64(product);
    // Below 2^64, since ratio < 1 and its mantissa has 53 bits: ratio <= 1 - 2^-53.
    let shift = exponent + shift;
    if shift >= 0 {
        return rounded.checked_shl(shift.unsigned_abs()).unwrap_or(u128::MAX).min(MAX) as u64;
    }
    rounded.checked_shr(shift.unsigned_abs()).unwrap_or(0).min(MAX) as u64
}

const MAX: u128 = u64::MAX as u128;

/// Rounds to 64 significant bits, half to even: `value ~ result.0 * 2^result.1`.
fn round64(value: u128) -> (u128, i32) {
    let excess = 64u32.saturating_sub(value.leading_zeros());
    if excess == 0 {
        return (value, 0);
    }
    let (kept, cut, half) = (value >> excess, value & ((1 << excess) - 1), 1u128 << (excess - 1));
    let up = cut > half || (cut == half && kept & 1 == 1);
    (kept + u128::from(up), excess as i32)
}

fn salted(salt: &str) -> u64 {
    fnv(OFFSET, if salt.is_empty() { DEFAULT_SALT } else { salt }.as_bytes())
}

fn fnv(state: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(state, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

// === impl Chance ===

impl Chance {
    pub(crate) fn new(salt: &str, percentage: f64) -> Self {
        Self { salted: salted(salt), threshold: threshold(percentage) }
    }

    /// The part of all hashes that is sampled; never 0.
    pub(crate) fn probability(&self) -> f64 {
        (self.threshold as f64 + 1.0) / 2_f64.powi(64)
    }

    #[inline]
    pub(crate) fn samples(&self, id: &TraceId) -> bool {
        fnv(self.salted, &id.0) <= self.threshold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(hex: u128) -> TraceId {
        TraceId(hex.to_be_bytes())
    }

    /// Computed by the collector's arithmetic (Go's big.Float at 64 bits).
    #[test]
    fn thresholds_are_the_collectors() {
        let table = [
            (0.0, 0),
            (-5.0, 0),
            (0.0001, 0x0000_10c6_f7a0_b5ed),
            (0.1, 0x0041_8937_4bc6_a7ef),
            (1.0, 0x028f_5c28_f5c2_8f5f),
            (10.0, 0x1999_9999_9999_99ff),
            (12.5, 0x1fff_ffff_ffff_ffff),
            (33.333333, 0x5555_5547_044b_6bff),
            (37.3, 0x5f7c_ed91_6872_afff),
            (50.0, 0x7fff_ffff_ffff_ffff),
            (66.6, 0xaa7e_f9db_22d0_dfff),
            (99.99, 0xfff9_7247_4538_e7ff),
            (100.0, u64::MAX),
            (250.0, u64::MAX),
            (f64::MAX, u64::MAX),
            (f64::INFINITY, u64::MAX),
            (f64::MIN_POSITIVE, 0),
            (5e-324, 0),
            (f64::NAN, 0),
        ];
        for (percentage, expected) in table {
            assert_eq!(threshold(percentage), expected, "{percentage}");
        }
    }

    #[test]
    fn rounding_is_half_to_even() {
        let at = |low: u128| round64((1 << 65) | low);
        assert_eq!(at(0), (1 << 63, 2));
        assert_eq!(at(2), (1 << 63, 2), "half, even below");
        assert_eq!(at(3), ((1 << 63) + 1, 2));
        assert_eq!(at(6), ((1 << 63) + 2, 2), "half, odd below");
        assert_eq!(round64(u128::MAX), (1 << 64, 64));
        assert_eq!(round64(MAX), (MAX, 0));
    }

    /// Checked against a running collector.
    #[test]
    fn hashes_are_the_collectors() {
        let ids =
            [0x0af7651916cd43dd8448eb211c80319c, 0x4bf92f3577b34da6a3ce929d0e0e4736, 0, u128::MAX];
        let table = [
            (0x33bf83d45f51634c, 0x0ad785b96d0194b8),
            (0xa54533ba2e4970b5, 0x79a2953a67c5bc09),
            (0xe19536eed1bbac3d, 0x05af85b6a2fbe6b9),
            (0x17bec3739634fe2d, 0x34cbde78118c58a9),
        ];
        for (number, (default, pepper)) in ids.into_iter().zip(table) {
            assert_eq!((hash("", &id(number)), hash("pepper", &id(number))), (default, pepper));
            assert_eq!(hash(DEFAULT_SALT, &id(number)), default);
        }
    }

    #[test]
    fn a_hash_at_the_threshold_is_sampled() {
        let trace = id(7);
        let at = hash("s", &trace);
        let mut chance = Chance { salted: salted("s"), threshold: at };
        assert!(chance.samples(&trace));
        chance.threshold = at - 1;
        assert!(!chance.samples(&trace));
    }
}
