//! The one clock seam: everything that reads time takes a [`Clock`], so that tests and simulation
//! decide what time it is.

use std::ops::{Add, Sub};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Monotonic time in nanoseconds since a clock's start. Arithmetic saturates: a deadline far away
/// is never a deadline in the past.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub u64);

/// Where time comes from.
pub trait Clock: Send + Sync {
    /// Monotonic time since the clock's start; for timers and ages.
    fn now(&self) -> Nanos;

    /// Wall time in nanoseconds since 1970; only for what leaves the process.
    fn unix_ns(&self) -> u64;
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Instant,
}

/// A clock that stands still until it is told to move.
#[derive(Debug, Default)]
pub struct ManualClock {
    now: AtomicU64,
    unix_start: u64,
}

// === impl Nanos ===

impl Nanos {
    /// The clock's start.
    pub const ZERO: Self = Self(0);
    /// Never, as a deadline.
    pub const MAX: Self = Self(u64::MAX);

    /// The time from `earlier` to here; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Nanos {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(whole_nanos(by)))
    }
}

impl Sub<Duration> for Nanos {
    type Output = Self;

    fn sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(whole_nanos(by)))
    }
}

impl From<Duration> for Nanos {
    fn from(since_start: Duration) -> Self {
        Self(whole_nanos(since_start))
    }
}

fn whole_nanos(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)
}

// === impl SystemClock ===

impl SystemClock {
    /// A clock that starts now.
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Nanos {
        self.start.elapsed().into()
    }

    fn unix_ns(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, whole_nanos)
    }
}

// === impl ManualClock ===

impl ManualClock {
    /// A clock at zero whose wall time starts at `unix_start` nanoseconds.
    pub fn new(unix_start: u64) -> Self {
        Self { now: AtomicU64::new(0), unix_start }
    }

    /// Moves time forward.
    pub fn advance(&self, by: Duration) {
        let step = whole_nanos(by);
        let add = |now: u64| Some(now.saturating_add(step));
        // The closure always answers Some, so this can't fail.
        let _ = self.now.fetch_update(Ordering::SeqCst, Ordering::SeqCst, add);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Nanos {
        Nanos(self.now.load(Ordering::SeqCst))
    }

    fn unix_ns(&self) -> u64 {
        self.unix_start.saturating_add(self.now().0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Nanos::MAX + Duration::from_secs(1), Nanos::MAX);
        assert_eq!(Nanos(5) - Duration::from_secs(1), Nanos::ZERO);
        assert_eq!(Nanos(5) + Duration::MAX, Nanos::MAX);
        assert_eq!(Nanos(5).since(Nanos(9)), Duration::ZERO);
        assert_eq!(Nanos(9).since(Nanos(5)), Duration::from_nanos(4));
    }

    #[test]
    fn the_manual_clock_moves_only_when_told() {
        let clock = ManualClock::new(1_000);
        assert_eq!((clock.now(), clock.unix_ns()), (Nanos::ZERO, 1_000));
        clock.advance(Duration::from_nanos(7));
        assert_eq!((clock.now(), clock.unix_ns()), (Nanos(7), 1_007));
    }

    #[test]
    fn the_system_clock_does_not_go_back() {
        let clock = SystemClock::new();
        let before = clock.now();
        assert!(clock.now() >= before);
        assert!(clock.unix_ns() > 1_600_000_000_000_000_000);
    }
}
