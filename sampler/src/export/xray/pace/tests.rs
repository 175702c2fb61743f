//! Batches, the pace and a service with a quota, in simulated time with seeds.

use std::collections::VecDeque;

use super::*;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
/// Documents in each call.
const CALL: usize = 50;
const WORKERS: usize = 8;

const SETTINGS: PaceSettings = PaceSettings {
    workers: WORKERS,
    first_pause: Duration::from_millis(500),
    growth: 1.5,
    longest_pause: Duration::from_secs(5),
};

/// What the service does with a call.
#[derive(Debug, Clone, Copy)]
enum Weather {
    /// It takes so many documents a second, and saves up a second's worth.
    Quota(f64),
    /// It throttles this share of calls, whatever the load.
    Random(f64),
    /// It fails.
    Down,
}

struct World {
    pace: Pace,
    now: Nanos,
    weather: Weather,
    saved: f64,
    chance: u64,
    /// Batches that have a call to make, first come first served.
    queue: VecDeque<usize>,
    /// When it is answered, by whom it was made, and the ticket.
    flying: Vec<(Nanos, usize, Call)>,
    batches: usize,
    accepted: u64,
    calls: u64,
    /// Of each batch.
    taken: Vec<u64>,
}

/// What happened in a stretch of time.
#[derive(Debug)]
struct Seen {
    /// Documents a second.
    goodput: f64,
    /// Calls made for each that was taken.
    waste: f64,
    calls: u64,
}

// === impl World ===

impl World {
    fn new(seed: u64, weather: Weather) -> Self {
        let batches = 10;
        Self {
            pace: Pace::new(SETTINGS, seed),
            now: Nanos(7),
            weather,
            saved: if let Weather::Quota(quota) = weather { quota } else { 0.0 },
            chance: seed ^ 0x5555,
            queue: (0..batches).collect(),
            flying: Vec::new(),
            batches,
            accepted: 0,
            calls: 0,
            taken: vec![0; batches],
        }
    }

    fn draw(&mut self) -> f64 {
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.chance >> 33) as f64 / (1u64 << 31) as f64
    }

    fn pass(&mut self, time: Duration) -> Seen {
        let (accepted, calls, end) = (self.accepted, self.calls, self.now + time);
        while self.now < end {
            self.step();
        }
        let taken = self.accepted - accepted;
        let made = self.calls - calls;
        let goodput = taken as f64 / time.as_secs_f64();
        Seen { goodput, waste: made as f64 / (taken as f64 / CALL as f64), calls: made }
    }

    fn step(&mut self) {
        self.now = self.now + MS;
        if let Weather::Quota(quota) = self.weather {
            self.saved = (self.saved + quota / 1e3).min(quota.max(CALL as f64));
        }
        while let Some(at) = self.flying.iter().position(|(due, ..)| *due <= self.now) {
            let (_, batch, call) = self.flying.swap_remove(at);
            let outcome = self.answer();
            if outcome == Outcome::Accepted(CALL) {
                self.accepted += CALL as u64;
                self.taken[batch] += 1;
            }
            self.pace.answered(self.now, &call, outcome);
            self.queue.push_back(batch);
        }
        while let Some(batch) = self.queue.front().copied() {
            let Ask::Go(call) = self.pace.ask(self.now, CALL) else { break };
            self.queue.pop_front();
            self.calls += 1;
            let latency = Duration::from_micros(20_000 + (60_000.0 * self.draw()) as u64);
            self.flying.push((self.now + latency, batch, call));
            assert!(self.flying.len() <= WORKERS, "too many calls in flight");
        }
    }

    fn answer(&mut self) -> Outcome {
        let throttled = Outcome::Throttled { accepted: 0, retry_after: None };
        let drawn = self.draw();
        match self.weather {
            Weather::Quota(_) if self.saved >= CALL as f64 => self.saved -= CALL as f64,
            Weather::Quota(_) => return throttled,
            Weather::Random(share) if drawn < share => return throttled,
            Weather::Random(_) => {}
            Weather::Down => return Outcome::Failed { retry_after: None, at_most: Duration::MAX },
        }
        Outcome::Accepted(CALL)
    }

    /// Until a second brings this much; how long that takes.
    fn recovers(&mut self, goodput: f64) -> Duration {
        let begin = self.now;
        while self.pass(SECOND).goodput < goodput {
            assert!(self.now.since(begin) < 60 * SECOND, "{:?}", self.pace);
        }
        self.now.since(begin)
    }
}

fn seeds(check: impl Fn(u64)) {
    (0..20).for_each(check);
}

#[test]
fn without_throttling_nothing_is_held_back() {
    let mut world = World::new(1, Weather::Random(0.0));
    let seen = world.pass(10 * SECOND);
    // 8 calls of 50 ms on average.
    assert!(seen.goodput > 0.95 * 8.0 * 50.0 * 20.0, "{seen:?}");
    assert_eq!(world.pace.figures(world.now).limit, None);
}

#[test]
fn a_quota_is_used_and_seldom_overrun() {
    for quota in [100.0, 500.0, 2_600.0, 6_000.0] {
        seeds(|seed| {
            let mut world = World::new(seed, Weather::Quota(quota));
            world.pass(5 * SECOND);
            let seen = world.pass(60 * SECOND);
            let figures = world.pace.figures(world.now);
            let context = format!("quota {quota}, seed {seed}: {seen:?} {figures:?}");
            assert!(seen.goodput >= 0.9 * quota, "{context}");
            assert!(seen.waste <= 1.3, "{context}");
            let found = figures.quota.unwrap_or_default();
            assert!((0.7..1.4).contains(&(found / quota)), "{context}");
        });
    }
}

#[test]
fn a_quota_that_moves_is_found_again() {
    seeds(|seed| {
        let mut world = World::new(seed, Weather::Quota(2_000.0));
        world.pass(20 * SECOND);
        world.weather = Weather::Quota(400.0);
        let seen = world.pass(60 * SECOND);
        assert!(seen.goodput >= 360.0 && seen.waste <= 1.3, "seed {seed}: {seen:?}");
        world.weather = Weather::Quota(2_000.0);
        let time = world.recovers(1_800.0);
        assert!(time <= 30 * SECOND, "seed {seed}: {time:?}");
    });
}

#[test]
fn while_all_is_throttled_or_down_there_are_only_probes() {
    let nothing = [Weather::Random(1.0), Weather::Down];
    for nothing in nothing {
        seeds(|seed| {
            let mut world = World::new(seed, Weather::Quota(2_600.0));
            world.pass(10 * SECOND);
            world.weather = nothing;
            let seen = world.pass(60 * SECOND);
            let context = format!("{nothing:?}, seed {seed}: {}", seen.calls);
            assert!((10..=80).contains(&seen.calls), "{context}");
            world.weather = Weather::Quota(2_600.0);
            let time = world.recovers(0.9 * 2_600.0);
            assert!(time <= 12 * SECOND, "{context}, {time:?}");
        });
    }
}

#[test]
fn from_chance_throttling_it_recovers() {
    seeds(|seed| {
        let mut world = World::new(seed, Weather::Random(0.0));
        // From the start, or after a while.
        world.pass(SECOND * (seed % 2) as u32 * 10);
        world.weather = Weather::Random(0.3);
        let seen = world.pass(60 * SECOND);
        let least = [50.0, 250.0][(seed % 2) as usize];

        assert!(seen.goodput > least && seen.waste < 1.3 / 0.7, "seed {seed}: {seen:?}");
        world.weather = Weather::Quota(2_600.0);
        let time = world.recovers(0.9 * 2_600.0);
        assert!(time <= 30 * SECOND, "seed {seed}: {time:?}");
    });
}

#[test]
fn nobody_starves() {
    seeds(|seed| {
        let mut world = World::new(seed, Weather::Quota(1_000.0));
        world.pass(60 * SECOND);
        let (least, most) = (world.taken.iter().min(), world.taken.iter().max());
        assert!(least.zip(most).is_some_and(|(l, m)| *l * 3 > *m * 2), "{:?}", world.taken);
        assert_eq!(world.batches, world.taken.len());
    });
}

#[test]
fn one_failure_among_successes_pauses_nobody() {
    let mut pace = Pace::new(SETTINGS, 1);
    let now = Nanos(1);
    let Ask::Go(bad) = pace.ask(now, CALL) else { panic!("open") };
    let Ask::Go(good) = pace.ask(now, CALL) else { panic!("open") };
    pace.answered(now, &good, Outcome::Accepted(CALL));
    pace.answered(now, &bad, Outcome::Failed { retry_after: None, at_most: Duration::MAX });
    let figures = pace.figures(now);
    assert_eq!((figures.paused, figures.window, figures.in_flight), (false, WORKERS / 2, 0));
}

#[test]
fn the_service_may_ask_for_patience() {
    let mut pace = Pace::new(SETTINGS, 1);
    let Ask::Go(call) = pace.ask(Nanos(1), CALL) else { panic!("open") };
    let retry_after = Some(7 * SECOND);
    pace.answered(Nanos(1), &call, Outcome::Throttled { accepted: 0, retry_after });
    assert_eq!(pace.ask(Nanos(2), CALL), Ask::At(Nanos(1) + 7 * SECOND));
    let Ask::Go(_probe) = pace.ask(Nanos(1) + 7 * SECOND, CALL) else { panic!("over") };
    assert_eq!(pace.ask(Nanos(1) + 8 * SECOND, CALL), Ask::Later, "one probe at a time");
}

/// Whatever it was like before: the figure that operators plan with must not be a leftover.
#[test]
fn after_any_weather_the_quota_is_found_within_seconds() {
    const QUOTA: f64 = 1_500.0;
    let before = [0.3, 0.1].map(Weather::Random);
    for before in before.into_iter().chain([300.0, 6_000.0].map(Weather::Quota)) {
        seeds(|seed| {
            let mut world = World::new(seed, Weather::Quota(QUOTA));
            world.pass(20 * SECOND);
            world.weather = before;
            world.pass(20 * SECOND);
            world.weather = Weather::Quota(QUOTA);
            world.pass(10 * SECOND);
            for second in 11..=40 {
                let seen = world.pass(SECOND);
                let figures = world.pace.figures(world.now);
                let found = figures.quota.unwrap_or_default() / QUOTA;
                let context = format!("{before:?}, seed {seed}, {second} s: {seen:?} {figures:?}");
                assert!((0.9..1.25).contains(&found), "{found:.2}, {context}");
            }
        });
    }
}

#[test]
fn who_is_stopping_waits_for_no_pause() {
    let mut pace = Pace::new(SETTINGS, 1);
    let throttled = Outcome::Throttled { accepted: 0, retry_after: Some(20 * SECOND) };
    let Ask::Go(call) = pace.ask(Nanos(1), CALL) else { panic!("open") };
    pace.answered(Nanos(1), &call, throttled);
    let mut now = Nanos(1) + SECOND;
    pace.hurry(now);
    for _ in 0..10 {
        assert_eq!(pace.ask(now, CALL), Ask::At(now + HURRIED_WAIT));
        now = now + HURRIED_WAIT;
        let Ask::Go(probe) = pace.ask(now, CALL) else { panic!("over") };
        pace.answered(now, &probe, throttled);
    }
}
