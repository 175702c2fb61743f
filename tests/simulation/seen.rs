//! What happened, for the print-out and for the assertion that everything did.

use std::collections::BTreeMap;

/// What happened, over one run or many.
#[derive(Default)]
pub struct Seen {
    pub digest: u64,
    pub events: u64,
    pub least_events: u64,
    pub trace_transitions: BTreeMap<&'static str, u64>,
    pub part_transitions: BTreeMap<String, u64>,
    pub outcomes: BTreeMap<&'static str, u64>,
}

impl Seen {
    pub fn add(&mut self, other: &Seen) {
        let first = self.events == 0;
        self.events += other.events;
        self.least_events = if first { other.events } else { self.least_events.min(other.events) };
        for (name, count) in &other.trace_transitions {
            *self.trace_transitions.entry(name).or_default() += count;
        }
        for (name, count) in &other.part_transitions {
            *self.part_transitions.entry(name.clone()).or_default() += count;
        }
        for (name, count) in &other.outcomes {
            *self.outcomes.entry(name).or_default() += count;
        }
    }

    pub fn print(&self) {
        println!("{} events, {} in the shortest run", self.events, self.least_events);
        let lines = self.trace_transitions.iter().map(|(name, count)| (name.to_string(), count));
        let parts = self.part_transitions.iter().map(|(name, count)| (name.clone(), count));
        let outcomes = self.outcomes.iter().map(|(name, count)| (name.to_string(), count));
        for (name, count) in lines.chain(parts).chain(outcomes) {
            println!("{count:>10} {name}");
        }
    }
}
