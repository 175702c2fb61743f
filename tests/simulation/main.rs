//! Both tiers' cores under random faults, in simulated time: the production state machines of delivery, membership,
//! buffer, hand-back and outbox, with the network, the clock, the clients and the backend played by the test.
//!
//! A seed gives the same run each time; a failing one is replayed with `TAILGATE_SEED=n`.
#![allow(clippy::unwrap_used)]

mod check;
mod faults;
mod node;
mod plan;
mod random;
mod seen;
mod spans;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use tailgate_loadbalancer::core::{Tables, Transitions};
use tailgate_sampler::core::counts::TRANSITIONS;

use self::faults::Faults;
use self::seen::Seen;
use self::world::World;

const SEEDS: u64 = 1_000;

fn run(seed: u64, faults: Faults, tables: &mut Tables) -> Result<Seen, String> {
    let mut world = World::new(seed, faults, std::mem::take(tables));
    let result = world.run();
    *tables = world.into_tables();
    result
}

#[test]
fn every_seed_keeps_the_promises_and_every_transition_is_hit() {
    let only: Option<u64> = std::env::var("TAILGATE_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = only.map_or(0..SEEDS, |seed| seed..seed + 1);
    let (mut total, mut tables) = (Seen::default(), Tables::default());
    for seed in seeds {
        let run = AssertUnwindSafe(|| run(seed, Faults::of(seed), &mut tables));
        match catch_unwind(run) {
            Ok(Ok(seen)) => total.add(&seen),
            Ok(Err(why)) => panic!("seed {seed}: {why}; replay it with TAILGATE_SEED={seed}"),
            Err(_) => panic!("seed {seed} panicked; replay it with TAILGATE_SEED={seed}"),
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
        // The samplers of the simulation reject nothing: its spans are good.
        assert!(hits > 0 || name == "SomeRejected", "never: {name}");
    }
    for (what, count) in &total.outcomes {
        assert!(*count > 0, "never: {what}");
    }
}

#[test]
fn a_seed_replays_exactly() {
    let mut tables = Tables::default();
    let digests = [7, 7, 8].map(|seed| run(seed, Faults::of(seed), &mut tables).unwrap().digest);
    assert_eq!(digests[0], digests[1]);
    assert_ne!(digests[0], digests[2]);
}

#[test]
fn without_the_duplicate_filter_the_checker_complains() {
    let mut tables = Tables::default();
    let complains = |seed: &u64| {
        let faults = Faults { deduplicate: false, ..Faults::of(*seed) };
        let complaint = run(*seed, faults, &mut tables).err();
        complaint.is_some_and(|why| why.contains("exported more than once"))
    };
    let complaints = (0..20).filter(complains).count();
    assert!(complaints > 5, "the checker sees duplicates: {complaints} seeds of 20");
}
