//! How many documents a second were accepted of late.

use std::time::Duration;

use tailgate_common::clock::Nanos;

/// Counts of the last two seconds, in slots of a quarter of one.
#[derive(Debug, Default)]
pub(super) struct Meter {
    slots: [u64; SLOTS],
    /// The newest slot, counted since the clock's start.
    newest: u64,
    since: Option<Nanos>,
}

const SLOTS: usize = 8;
const SLOT: Duration = Duration::from_millis(250);
/// What is seen for less than this counts as a burst, not as a rate.
const LEAST: f64 = 1.0;

fn slot(now: Nanos) -> u64 {
    now.0 / SLOT.as_nanos() as u64
}

// === impl Meter ===

impl Meter {
    pub(super) fn add(&mut self, now: Nanos, documents: usize) {
        self.since.get_or_insert(now);
        let at = slot(now).max(self.newest);
        for skipped in self.newest + 1..=at.min(self.newest + SLOTS as u64) {
            self.slots[skipped as usize % SLOTS] = 0;
        }
        if at > self.newest + SLOTS as u64 {
            self.slots = [0; SLOTS];
        }
        self.newest = at;
        self.slots[at as usize % SLOTS] += documents as u64;
    }

    /// Since the first was counted.
    pub(super) fn age(&self, now: Nanos) -> Duration {
        self.since.map_or(Duration::ZERO, |since| now.since(since))
    }

    /// Documents a second.
    pub(super) fn rate(&self, now: Nanos) -> f64 {
        let Some(since) = self.since else { return 0.0 };
        let current = slot(now).max(self.newest);
        let oldest = (current + 1).saturating_sub(SLOTS as u64);
        let live = (oldest..=self.newest).map(|at| self.slots[at as usize % SLOTS]);
        // The newest slot has only begun.
        let begun = now.since(Nanos(current * SLOT.as_nanos() as u64));
        let seen = (SLOT * (SLOTS as u32 - 1) + begun).min(now.since(since));
        live.sum::<u64>() as f64 / seen.as_secs_f64().max(LEAST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_two_seconds_count() {
        let mut meter = Meter::default();
        let at = |ms: u64| Nanos::from(Duration::from_millis(10_000 + ms));
        assert_eq!(meter.rate(at(0)), 0.0);
        meter.add(at(0), 100);
        assert_eq!(meter.rate(at(100)), 100.0, "no faster than in a second");
        for ms in (100..4_000).step_by(100) {
            meter.add(at(ms), 100);
        }
        let rate = meter.rate(at(4_000));
        assert!((900.0..1100.0).contains(&rate), "{rate}");
        assert_eq!(meter.rate(at(7_000)), 0.0);
        meter.add(at(60_000), 50);
        assert!(meter.rate(at(60_100)) < 30.0);
    }
}
