//! What must be true at the end of a run.

use std::collections::{BTreeMap, BTreeSet};

use crate::faults::Faults;
use crate::node::Node;
use crate::spans::{Key, has_error, of_trace};

/// What the clients know, and what was seen on the way.
pub struct Claims<'a> {
    pub acked: &'a BTreeSet<Key>,
    pub traces: u16,
    /// Some member was ejected: its traces may have been decided twice.
    pub ejected: bool,
}

/// What was promised and not kept.
pub fn check(nodes: &[Node], claims: &Claims<'_>, faults: &Faults) -> Result<(), String> {
    for node in nodes {
        let in_flight = node.check_ledger();
        ensure(in_flight == 0, || format!("{in_flight} spans are left in flight"))?;
    }
    let mut exported: BTreeMap<Key, u32> = BTreeMap::new();
    for (key, count) in nodes.iter().flat_map(|node| &node.exported) {
        *exported.entry(*key).or_default() += count;
    }
    let kept: BTreeSet<Key> = exported.keys().copied().collect();
    for trace in 0..claims.traces {
        let acked = of_trace(claims.acked, trace);
        let kept = of_trace(&kept, trace);
        // The backend refused some, the samplers gave some up, and an ejected member's part was decided alone.
        let given_up = nodes.iter().any(Node::gave_up);
        if faults.backend_rejects || claims.ejected || given_up {
            continue;
        }
        if !kept.is_empty() {
            let missing: Vec<_> = acked.difference(&kept).collect();
            let split = || format!("trace {trace} was split: {missing:?} missing");
            ensure(missing.is_empty(), split)?;
        }
        let complete_before_decision = !faults.few_traces && !faults.little_memory;
        if has_error(trace) && acked.len() > 5 && complete_before_decision && faults.prompt {
            let dropped = || format!("trace {trace} has an error and was not kept");
            ensure(kept.len() == acked.len(), dropped)?;
        }
    }
    if !claims.ejected {
        let twice: Vec<_> = exported.iter().filter(|(_, count)| **count > 1).collect();
        ensure(twice.is_empty(), || format!("exported more than once: {twice:?}"))?;
    }
    Ok(())
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}
