//! How fast calls may be made. Sans-IO: time comes in as an argument.
//!
//! One [`Pace`] is shared by all batches of an exporter. Two limits move by additive increase and
//! multiplicative decrease (AIMD): calls in flight, and documents a second. X-Ray publishes neither
//! its quota nor how much of it others in the account use, so the quota is what was accepted when
//! throttling began.
//!
//! ## Open => Paused
//! A call was throttled, or failed while none succeeded: nobody calls for a while, chosen at random
//! up to a bound (full jitter) that grows with each failure in a row.
//! ## Paused => Probing
//! The pause is over. One call at a time is made.
//! ## Probing => Open
//! It was answered well.
//! ## Probing => Paused
//! It was not.
//!
//! Calls that were under way when a pause began say nothing new: they don't lengthen it.

use std::time::Duration;

use tailgate_common::chance::Chance;
use tailgate_common::clock::Nanos;

mod meter;

use crate::export::HURRIED_WAIT;
use meter::Meter;

/// What is configured of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PaceSettings {
    /// Most calls in flight.
    pub workers: usize,
    /// Bound of the first pause.
    pub first_pause: Duration,
    /// By how much the bound grows with each failure in a row.
    pub growth: f64,
    /// Largest bound, unless the service asks for more.
    pub longest_pause: Duration,
}

/// The answer to [`Pace::ask`].
#[derive(Debug, PartialEq)]
pub enum Ask {
    /// Make the call, and give this to [`Pace::answered`].
    Go(Call),
    /// Ask again at this time, or when a call was answered.
    At(Nanos),
    /// Ask again when a call was answered.
    Later,
}

/// A call that is under way.
#[derive(Debug, PartialEq, Eq)]
pub struct Call {
    epoch: u64,
    good_before: u64,
}

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// So many documents were accepted.
    Accepted(usize),
    /// The service gets too much, and accepted this much of it.
    Throttled {
        /// Documents.
        accepted: usize,
        /// It asked for this much patience.
        retry_after: Option<Duration>,
    },
    /// No use, for a reason that may pass.
    Failed {
        /// It asked for this much patience.
        retry_after: Option<Duration>,
        /// The pause is not to be longer than this.
        at_most: Duration,
    },
    /// Nobody waited for the answer.
    Dropped,
}

/// The figures at a moment; documents a second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PaceFigures {
    /// Accepted in the last two seconds.
    pub rate: f64,
    /// Allowed; none while nothing was throttled.
    pub limit: Option<f64>,
    /// At which throttling began, or more if more is accepted since; none while nothing was
    /// throttled.
    pub quota: Option<f64>,
    /// Calls in flight.
    pub in_flight: usize,
    /// Most calls in flight now.
    pub window: usize,
    /// Nobody calls, or only to see whether the service answers.
    pub paused: bool,
}

/// The state machine; see the module.
#[derive(Debug)]
pub struct Pace {
    settings: PaceSettings,
    chance: Chance,
    /// Calls that may be in flight; the fraction grows with each answer.
    window: f64,
    in_flight: usize,
    limit: Option<f64>,
    quota: Option<f64>,
    /// Documents that may be sent now, as of `filled_at`.
    tokens: f64,
    filled_at: Nanos,
    /// `limit` made a call wait since it was last raised: only a limit that is felt is raised.
    felt: bool,
    /// Failures since the last good answer.
    failures: u32,
    paused_until: Nanos,
    /// The process is stopping.
    hurried: bool,
    /// Grows with each slow-down, so that one congestion is answered once.
    epoch: u64,
    good: u64,
    meter: Meter,
    /// The best rate that was accepted, halved every [`FADE`], as of `best_at`.
    best: f64,
    best_at: Nanos,
}

/// No rate is taken from less than this.
const SEEN_FOR: Duration = Duration::from_secs(1);
/// A slow-down leaves this much of what was accepted.
const DECREASE: f64 = 0.88;
/// The limit gets back what a slow-down took after this long.
const REGAIN: f64 = 2.4;
/// Nor sooner than after this many documents: a small quota must not be overrun every few calls.
const REGAIN_DOCUMENTS: f64 = 400.0;
/// Farther than this from the quota, as a share of it, the limit moves the faster the farther: the
/// quota is not what it was.
const NEAR: f64 = 0.07;
const HASTE: f64 = 80.0;
/// It gets no faster than it is so far off, lest it runs away while the first calls are under way.
const FARTHEST: f64 = 1.0;
/// Weight of the newest finding in the quota.
const NEWEST: f64 = 0.3;
/// No limit is below: two calls a second. For a quota below it the pauses remain.
const LEAST_LIMIT: f64 = 100.0;
/// Nor below this share of the best that was accepted of late. A service that throttles whatever
/// the load is does not get better by sending less and less.
const LEAST_SHARE: f64 = 0.25;
const FADE: Duration = Duration::from_secs(20);
/// Seconds of the limit that may be saved up for a burst: a short pause costs nothing.
const SAVED: f64 = 0.5;
/// At least this many documents may be sent at once: two calls.
const LEAST_BURST: f64 = 100.0;
/// The service may ask for patience up to this.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(30);

// === impl Pace ===

impl Pace {
    /// Open, with all workers. `chance` seeds the jitter.
    pub fn new(settings: PaceSettings, chance: u64) -> Self {
        Self {
            window: settings.workers.max(1) as f64,
            settings,
            chance: Chance::new(chance),
            in_flight: 0,
            limit: None,
            quota: None,
            tokens: 0.0,
            filled_at: Nanos::ZERO,
            felt: false,
            failures: 0,
            paused_until: Nanos::ZERO,
            hurried: false,
            epoch: 0,
            good: 0,
            meter: Meter::default(),
            best: 0.0,
            best_at: Nanos::ZERO,
        }
    }

    /// Whether a call with so many documents may be made now.
    pub fn ask(&mut self, now: Nanos, documents: usize) -> Ask {
        if self.in_flight >= self.allowed() {
            return Ask::Later;
        }
        if now < self.paused_until {
            return Ask::At(self.paused_until);
        }
        if let Some(limit) = self.limit {
            self.fill(now, limit);
            let wanted = (documents as f64).min(burst(limit));
            let missing = wanted - self.tokens;
            if missing > 0.0 {
                self.felt = true;
                return Ask::At(now + seconds(missing / limit) + Duration::from_nanos(1));
            }
            self.tokens -= documents as f64;
        }
        self.in_flight += 1;
        Ask::Go(Call { epoch: self.epoch, good_before: self.good })
    }

    /// A call has ended.
    pub fn answered(&mut self, now: Nanos, call: &Call, outcome: Outcome) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let news = call.epoch == self.epoch;
        match outcome {
            Outcome::Accepted(documents) => {
                self.meter.add(now, documents);
                self.went_well(news);
                self.speed_up(documents);
            }
            Outcome::Throttled { accepted, retry_after } => {
                self.meter.add(now, accepted);
                if accepted > 0 {
                    self.went_well(news);
                }
                if news {
                    // While it is paused, what is accepted says nothing about the quota.
                    if self.failures == 0 {
                        self.slow_down(now);
                    }
                    self.pause(now, retry_after, Duration::MAX);
                }
            }
            Outcome::Failed { retry_after, at_most } => {
                let alone = self.good != call.good_before;
                if news && alone {
                    // Others are answered: one call's trouble must not hold up all.
                    self.shrink();
                } else if news {
                    self.pause(now, retry_after, at_most);
                }
            }
            Outcome::Dropped => {}
        }
    }

    /// The process is stopping: no pause is longer than [`HURRIED_WAIT`] from now on, the present
    /// one included.
    pub fn hurry(&mut self, now: Nanos) {
        self.hurried = true;
        self.paused_until = self.paused_until.min(now + HURRIED_WAIT);
    }

    /// The figures now.
    pub fn figures(&self, now: Nanos) -> PaceFigures {
        let rate = self.meter.rate(now);
        // Savings of the service may be in the rate, so it alone proves nothing.
        let proven = self.limit.map_or(0.0, |limit| rate.min(limit));
        PaceFigures {
            rate,
            limit: self.limit,
            quota: self.quota.map(|found| found.max(proven)),
            in_flight: self.in_flight,
            window: self.allowed(),
            paused: self.failures > 0,
        }
    }

    /// How long one batch should wait whose call has failed this often (from 1) on its own.
    pub fn own_delay(&mut self, failures: u32, retry_after: Option<Duration>) -> Duration {
        let drawn = self.bound(failures.saturating_sub(1)).mul_f64(self.chance.fraction());
        drawn.max(asked(retry_after))
    }

    fn allowed(&self) -> usize {
        if self.failures > 0 { 1 } else { (self.window as usize).max(1) }
    }

    fn went_well(&mut self, news: bool) {
        self.good += 1;
        if news {
            self.failures = 0;
        }
    }

    fn speed_up(&mut self, documents: usize) {
        let most = self.settings.workers.max(1) as f64;
        self.window = (self.window + 1.0 / self.window).min(most);
        let (Some(limit), true) = (self.limit, self.felt) else { return };
        let quota = self.quota.unwrap_or(limit);
        let step = (1.0 - DECREASE) * quota * documents as f64;
        let step = step / REGAIN_DOCUMENTS.max(REGAIN * quota);
        let far = ((limit / quota - 1.0).abs() - NEAR).clamp(0.0, FARTHEST);
        self.limit = Some(limit + step * (1.0 + HASTE * far));
        self.felt = false;
    }

    fn slow_down(&mut self, now: Nanos) {
        let accepted = self.meter.rate(now);
        if accepted == 0.0 || self.meter.age(now) < SEEN_FOR {
            // Nothing has been learnt but that it is too much now.
            return;
        }
        self.quota = Some(match self.quota {
            Some(before) => before + NEWEST * (accepted - before),
            None => accepted,
        });
        let base = self.limit.map_or(accepted, |limit| limit.min(accepted));
        if self.limit.is_none() {
            (self.tokens, self.filled_at) = (0.0, now);
        }
        let age = now.since(self.best_at).as_secs_f64() / FADE.as_secs_f64();
        self.best = accepted.max(self.best * 0.5f64.powf(age));
        self.best_at = now;
        self.limit = Some((DECREASE * base).max(LEAST_SHARE * self.best).max(LEAST_LIMIT));
    }

    fn shrink(&mut self) {
        self.window = (self.window / 2.0).max(1.0);
        self.epoch += 1;
    }

    fn pause(&mut self, now: Nanos, retry_after: Option<Duration>, at_most: Duration) {
        self.shrink();
        let drawn = self.bound(self.failures).min(at_most).mul_f64(self.chance.fraction());
        let most = if self.hurried { HURRIED_WAIT } else { Duration::MAX };
        self.paused_until = self.paused_until.max(now + drawn.max(asked(retry_after)).min(most));
        self.failures = self.failures.saturating_add(1);
    }

    /// The longest pause after so many failures before.
    fn bound(&self, failures: u32) -> Duration {
        let longest = self.settings.longest_pause;
        let exponent = i32::try_from(failures).unwrap_or(i32::MAX);
        let bound = self.settings.first_pause.as_secs_f64() * self.settings.growth.powi(exponent);
        Duration::try_from_secs_f64(bound).unwrap_or(longest).min(longest)
    }

    fn fill(&mut self, now: Nanos, limit: f64) {
        let earned = limit * now.since(self.filled_at).as_secs_f64();
        self.tokens = (self.tokens + earned).min(burst(limit));
        self.filled_at = now;
    }
}

fn asked(retry_after: Option<Duration>) -> Duration {
    retry_after.unwrap_or_default().min(MAX_RETRY_AFTER)
}

fn burst(limit: f64) -> f64 {
    (SAVED * limit).max(LEAST_BURST)
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(MAX_RETRY_AFTER)
}

#[cfg(test)]
mod tests;
