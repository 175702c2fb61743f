//! When to try again: exponential, jittered, bounded. Pure: time and chance come in.
//!
//! The keys are the collector's `retry_on_failure`. Two things differ. `max_elapsed_time` is 0
//! unless configured: what was acked is not given up because the backend is away for long, new
//! spans are refused instead. And the first waits are shorter, since a batch that waits here still
//! takes room in the queue.

use std::time::Duration;

/// `retry_on_failure`.
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    /// Off: one attempt, then lost.
    pub enabled: bool,
    /// The first wait.
    pub initial_interval: Duration,
    /// The share of each wait that chance decides, 0 to 1.
    pub randomization_factor: f64,
    /// By how much each wait is longer than the one before.
    pub multiplier: f64,
    /// The longest wait.
    pub max_interval: Duration,
    /// After this long from the first attempt on, no further one is made; zero is for ever.
    pub max_elapsed_time: Duration,
}

// === impl Retry ===

impl Default for Retry {
    fn default() -> Self {
        Self {
            enabled: true,
            initial_interval: Duration::from_millis(500),
            randomization_factor: 0.5,
            multiplier: 1.5,
            max_interval: Duration::from_secs(30),
            max_elapsed_time: Duration::ZERO,
        }
    }
}

impl Retry {
    /// How long to wait before the next attempt, or `None` to give up. `failures` have been in a
    /// row (from 1), `elapsed` is the time since the first attempt, `chance` is anywhere in [0, 1).
    pub fn delay(
        &self,
        failures: u32,
        elapsed: Duration,
        retry_after: Option<Duration>,
        chance: f64,
    ) -> Option<Duration> {
        if !self.enabled {
            return None;
        }
        let exponent = i32::try_from(failures.saturating_sub(1)).unwrap_or(i32::MAX);
        let longest = self.max_interval.as_secs_f64();
        let interval =
            (self.initial_interval.as_secs_f64() * self.multiplier.powi(exponent)).min(longest);
        let jitter = self.randomization_factor.clamp(0.0, 1.0) * (2.0 * chance - 1.0);
        // From configuration, so perhaps not a number that a duration can be.
        let delay =
            Duration::try_from_secs_f64(interval * (1.0 + jitter)).unwrap_or(self.max_interval);
        let delay = delay.min(self.max_interval).max(retry_after.unwrap_or_default());
        let over = !self.max_elapsed_time.is_zero() && elapsed + delay > self.max_elapsed_time;
        (!over).then_some(delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn settings() -> Retry {
        Retry { initial_interval: SECOND, multiplier: 2.0, ..Default::default() }
    }

    #[test]
    fn grows_up_to_the_longest_wait() {
        let delay = |n| settings().delay(n, Duration::ZERO, None, 0.5);
        assert_eq!(delay(1), Some(SECOND));
        assert_eq!(delay(4), Some(8 * SECOND));
        assert_eq!(delay(u32::MAX), Some(30 * SECOND));
    }

    #[test]
    fn chance_moves_it_within_its_share() {
        assert_eq!(settings().delay(2, Duration::ZERO, None, 0.0), Some(SECOND));
        assert!(
            settings().delay(2, Duration::ZERO, None, 0.999) > Some(Duration::from_millis(2900))
        );
        assert_eq!(settings().delay(99, Duration::ZERO, None, 0.999), Some(30 * SECOND));
    }

    #[test]
    fn the_backend_may_ask_for_more() {
        assert_eq!(settings().delay(1, Duration::ZERO, Some(90 * SECOND), 0.5), Some(90 * SECOND));
    }

    #[test]
    fn gives_up_only_if_told_so() {
        let year = SECOND * 86_400 * 365;
        assert!(settings().delay(9, year, None, 0.5).is_some());
        let brief = Retry { max_elapsed_time: 10 * SECOND, ..settings() };
        assert!(brief.delay(1, 9 * SECOND, None, 0.5).is_some());
        assert_eq!(brief.delay(1, 10 * SECOND, None, 0.5), None);
        let off = Retry { enabled: false, ..settings() };
        assert_eq!(off.delay(1, Duration::ZERO, None, 0.5), None);
    }
}
