//! Both tiers' cores under random faults, in simulated time: the production state machines of delivery, membership,
//! buffer, hand-back and outbox, with the network, the clock, the clients and the backend played by the test.
//!
//! A seed gives the same run each time; a failing one is replayed with `TAILGATE_SEED=n`.
#![allow(clippy::unwrap_used)]

mod check;
mod node;
mod random;
mod spans;
mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tailgate_loadbalancer::core::{Tables, Transitions};
use tailgate_sampler::core::counts::TRANSITIONS;

use self::world::{Faults, Seen, World};

const SEEDS: u64 = 1_000;

fn run(seed: u64, faults: Faults, tables: &mut Tables) -> Seen {
    let mut world = World::new(seed, faults, std::mem::take(tables));
    let seen = world.run();
    *tables = world.into_tables();
    seen
}

#[test]
fn every_seed_keeps_the_promises_and_every_transition_is_hit() {
    let only: Option<u64> = std::env::var("TAILGATE_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = only.map_or(0..SEEDS, |seed| seed..seed + 1);
    let (mut total, mut tables) = (Seen::default(), Tables::default());
    for seed in seeds {
        let result = catch_unwind(AssertUnwindSafe(|| run(seed, Faults::of(seed), &mut tables)));
        match result {
            Ok(seen) => total.add(&seen),
            Err(_) => panic!("seed {seed} failed; replay it with TAILGATE_SEED={seed}"),
        }
    }
    total.print();
    if only.is_some() {
        return;
    }
    assert!(total.least_events >= 1_000, "only {} events in a seed", total.least_events);
    for (_, name) in TRANSITIONS {
        assert!(total.trace_transitions[name] > 0, "never: {name}");
    }
    for transition in Transitions::ALL {
        let name = format!("{transition:?}");
        let hits = total.part_transitions.get(&name).copied().unwrap_or_default();
        // A sampler of the simulation rejects nothing: its spans are good.
        assert!(hits > 0 || name == "SomeRejected", "never: {name}");
    }
    for (what, count) in &total.outcomes {
        assert!(*count > 0, "never: {what}");
    }
}

#[test]
fn a_seed_replays_exactly() {
    let mut tables = Tables::default();
    let runs: Vec<Seen> =
        [7, 7, 8].map(|seed| run(seed, Faults::of(seed), &mut tables)).into_iter().collect();
    assert_eq!(runs[0].digest, runs[1].digest);
    assert_ne!(runs[0].digest, runs[2].digest);
}

#[test]
fn without_the_duplicate_filter_the_checker_complains() {
    let mut tables = Tables::default();
    let mut complaints: BTreeMap<u64, bool> = BTreeMap::new();
    for seed in 0..20 {
        let faults = Faults { deduplicate: false, ..Faults::of(seed) };
        let failed = catch_unwind(AssertUnwindSafe(|| run(seed, faults, &mut tables))).is_err();
        complaints.insert(seed, failed);
    }
    assert!(complaints.values().any(|failed| *failed), "the checker sees duplicates");
}
