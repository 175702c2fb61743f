//! A histogram that its owner counts in atomics, and that is copied at each scrape.
//!
//! Recording takes two atomic additions and never allocates, whether anybody scrapes or not.

use std::sync::atomic::{AtomicU64, Ordering};

use super::names::{Def, Kind};

/// Observations by bucket.
#[derive(Debug)]
pub struct Distribution {
    bounds: &'static [f64],
    /// One more than bounds: the last is for what is above them all.
    buckets: Vec<AtomicU64>,
    /// In thousandths, so that it can be added to.
    sum: AtomicU64,
}

/// One reading of a [`Distribution`].
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Upper bound of each bucket but the last.
    pub bounds: &'static [f64],
    /// Observations up to each bound; the last is all of them.
    pub cumulative: Vec<u64>,
    /// Sum of the observations.
    pub sum: f64,
}

// === impl Reading ===

impl Reading {
    /// Nothing, over these bounds.
    pub fn empty(def: &Def) -> Self {
        Distribution::new(def).read()
    }

    /// How many observations.
    pub fn count(&self) -> u64 {
        self.cumulative.last().copied().unwrap_or_default()
    }

    /// What was observed in milliseconds, in the seconds of `def`, whose bounds are the same times.
    pub fn in_seconds(&self, def: &Def) -> Self {
        let Self { bounds, .. } = Self::empty(def);
        debug_assert_eq!(bounds.len(), self.bounds.len(), "{}", def.name);
        Self { bounds, cumulative: self.cumulative.clone(), sum: self.sum / 1e3 }
    }

    /// As many observations of 1 as there are observations here.
    pub fn ones(&self, def: &Def) -> Self {
        let count = self.count();
        let cumulative = vec![count; Self::empty(def).cumulative.len()];
        Self { bounds: Self::empty(def).bounds, cumulative, sum: count as f64 }
    }
}

impl std::ops::AddAssign<&Reading> for Reading {
    fn add_assign(&mut self, other: &Reading) {
        debug_assert_eq!(self.bounds, other.bounds);
        self.cumulative.iter_mut().zip(&other.cumulative).for_each(|(sum, n)| *sum += n);
        self.sum += other.sum;
    }
}

// === impl Distribution ===

impl Distribution {
    /// Nothing observed yet. `def` must be a histogram; of anything else there is one bucket.
    pub fn new(def: &Def) -> Self {
        debug_assert!(matches!(def.kind, Kind::Histogram(_)), "{}", def.name);
        let bounds = match def.kind {
            Kind::Histogram(bounds) => bounds,
            Kind::Counter | Kind::FloatCounter | Kind::Gauge => &[],
        };
        let buckets = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, buckets, sum: AtomicU64::new(0) }
    }

    /// Adds an observation, in the unit of the definition.
    pub fn record(&self, value: f64) {
        let bucket = self.bounds.iter().take_while(|bound| value > **bound).count();
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add((value * 1e3) as u64, Ordering::Relaxed);
    }

    /// What has been observed so far.
    pub fn read(&self) -> Reading {
        let counts = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed));
        let cumulative = counts.scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        let cumulative = cumulative.collect();
        let sum = self.sum.load(Ordering::Relaxed) as f64 / 1e3;
        Reading { bounds: self.bounds, cumulative, sum }
    }
}

#[cfg(test)]
mod tests {
    use super::super::names::defs;
    use super::*;

    #[test]
    fn counts_by_bucket_and_sums() {
        let latency = Distribution::new(&defs::LB_BACKEND_LATENCY);
        [0.5, 5.0, 5.1, 9_999.0].into_iter().for_each(|ms| latency.record(ms));
        let read = latency.read();
        assert_eq!(read.cumulative[..2], [2, 3]);
        assert_eq!(read.cumulative.last(), Some(&4));
        assert!((read.sum - 10_009.6).abs() < 0.01);
    }
}
