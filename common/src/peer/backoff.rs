//! Pauses between attempts to connect: exponential, with full jitter, so that the nodes that lost
//! a peer don't all come back to it at once.
//!
//! Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).

use std::time::Duration;

use crate::auth::random;

/// The next pause is anywhere between zero and a ceiling that doubles.
#[derive(Debug)]
pub(super) struct Backoff {
    ceiling: Duration,
}

const FIRST: Duration = Duration::from_millis(50);
const LAST: Duration = Duration::from_secs(2);

// === impl Backoff ===

impl Backoff {
    pub(super) fn new() -> Self {
        Self { ceiling: FIRST }
    }

    pub(super) fn next(&mut self) -> Duration {
        // Without randomness the whole ceiling is still a pause.
        let share =
            random().map_or(1.0, |bytes| f64::from(u32::from_le_bytes(bytes)) / 2f64.powi(32));
        let pause = self.ceiling.mul_f64(share);
        self.ceiling = (self.ceiling * 2).min(LAST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_stay_under_a_ceiling_that_doubles_up_to_two_seconds() {
        let mut backoff = Backoff::new();
        for round in 0..20 {
            let ceiling = (FIRST * (1 << round.min(10))).min(LAST);
            assert_eq!(backoff.ceiling, ceiling);
            assert!(backoff.next() <= ceiling);
        }
    }
}
