//! What must be true at the end of a run.

use std::collections::{BTreeMap, BTreeSet};

use crate::node::Node;
use crate::spans::{Key, has_error, of_trace};
use crate::world::Faults;

/// What the clients know, and what was seen on the way.
pub struct Claims<'a> {
    pub acked: &'a BTreeSet<Key>,
    pub traces: u16,
    /// Some member was ejected: its traces may have been decided twice.
    pub ejected: bool,
}

pub fn check(nodes: &[Node], claims: &Claims<'_>, faults: &Faults) {
    for node in nodes {
        assert_eq!(node.check_ledger(), 0, "nothing is left in flight");
    }
    let mut exported: BTreeMap<Key, u32> = BTreeMap::new();
    for (key, count) in nodes.iter().flat_map(|node| &node.exported) {
        *exported.entry(*key).or_default() += count;
    }
    let kept: BTreeSet<Key> = exported.keys().copied().collect();
    for trace in 0..claims.traces {
        let acked = of_trace(claims.acked, trace);
        let kept = of_trace(&kept, trace);
        // The backend refused some, and an ejected member's part was decided alone.
        if faults.backend_rejects || claims.ejected {
            continue;
        }
        if !kept.is_empty() {
            let missing: Vec<_> = acked.difference(&kept).collect();
            assert!(missing.is_empty(), "trace {trace} was split: {missing:?} missing");
        }
        let complete_before_decision = !faults.few_traces && !faults.little_memory;
        if has_error(trace) && acked.len() > 5 && complete_before_decision && faults.prompt {
            assert_eq!(kept.len(), acked.len(), "trace {trace} has an error: kept");
        }
    }
    if !claims.ejected {
        let twice: Vec<_> = exported.iter().filter(|(_, count)| **count > 1).collect();
        assert!(twice.is_empty(), "exported more than once: {twice:?}");
    }
}
