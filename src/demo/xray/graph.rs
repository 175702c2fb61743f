//! `GetServiceGraph`: which services called which, and how that went.
//!
//! A node is a service that sent segments; a callee that sent none (a database, a host outside) is
//! inferred from the call's subsegment; whoever began a trace is the node `client`. Source of the
//! form: <https://docs.aws.amazon.com/xray/latest/api/API_GetServiceGraph.html>.

use super::api::{Error, write};
use super::document::Facts;
use super::store::{Store, Trace};
use super::summary::in_range;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Parents looked at to find the service of a call.
const MAX_DEPTH: usize = 256;

/// The call.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetGraph {
    start_time: f64,
    end_time: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Reply {
    start_time: f64,
    end_time: f64,
    contains_old_group_versions: bool,
    services: Vec<Service>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Service {
    reference_id: usize,
    name: String,
    names: [String; 1],
    root: bool,
    r#type: String,
    state: &'static str,
    start_time: f64,
    end_time: f64,
    edges: Vec<Edge>,
    summary_statistics: Statistics,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Edge {
    reference_id: usize,
    start_time: f64,
    end_time: f64,
    summary_statistics: Statistics,
}

#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statistics {
    ok_count: u64,
    error_statistics: ErrorStatistics,
    fault_statistics: FaultStatistics,
    total_count: u64,
    /// Seconds.
    total_response_time: f64,
}

#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ErrorStatistics {
    throttle_count: u64,
    other_count: u64,
    total_count: u64,
}

#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct FaultStatistics {
    other_count: u64,
    total_count: u64,
}

/// A service: its name and type.
type Key = (String, String);

/// What happened at a node or along an edge, and between which times.
struct Seen {
    start: f64,
    end: f64,
    statistics: Statistics,
}

#[derive(Default)]
struct Graph {
    nodes: BTreeMap<Key, Seen>,
    edges: BTreeMap<(Key, Key), Seen>,
    roots: BTreeSet<Key>,
}

/// Answers with the whole graph.
pub(super) fn get(call: &GetGraph, store: &Store) -> Result<String, Error> {
    let (start_time, end_time) = (call.start_time, call.end_time);
    let mut graph = Graph::default();
    for (_, trace) in in_range(store, start_time, end_time, None)? {
        graph.add(trace);
    }
    let services = graph.services();
    write(&Reply { start_time, end_time, contains_old_group_versions: false, services })
}

fn key(facts: &Facts) -> Key {
    (facts.name.clone(), facts.origin.clone().unwrap_or_default())
}

/// A callee that sends nothing itself; none if the subsegment is no call.
fn inferred(facts: &Facts) -> Option<Key> {
    let kind = match facts.namespace.as_deref()? {
        _ if facts.is_query => "Database::SQL".to_owned(),
        "aws" => format!("AWS::{}", facts.name),
        _ => "remote".to_owned(),
    };
    Some((facts.name.clone(), kind))
}

// === impl Graph ===

impl Graph {
    fn add(&mut self, trace: &Trace) {
        let documents: HashMap<u64, &Facts> = trace.by_id().collect();
        let answered: BTreeSet<u64> = documents
            .values()
            .filter(|f| !f.is_subsegment)
            .filter_map(|facts| facts.parent)
            .collect();
        for (id, facts) in &documents {
            let caller = facts.parent.and_then(|parent| service_of(parent, &documents));
            if facts.is_subsegment {
                // If the callee reports for itself, its segment tells.
                if let (Some(callee), Some(caller), false) =
                    (inferred(facts), caller, answered.contains(id))
                {
                    seen(&mut self.nodes, callee.clone(), facts);
                    seen(&mut self.edges, (caller, callee), facts);
                }
                continue;
            }
            let callee = key(facts);
            seen(&mut self.nodes, callee.clone(), facts);
            match caller {
                Some(caller) if caller == callee => {}
                Some(caller) => seen(&mut self.edges, (caller, callee), facts),
                // Its parent is not here: it may come, or was never sent.
                None if facts.parent.is_some() => {}
                None => {
                    let client = ("client".to_owned(), "client".to_owned());
                    seen(&mut self.nodes, client.clone(), facts);
                    self.roots.insert(callee.clone());
                    seen(&mut self.edges, (client, callee), facts);
                }
            }
        }
    }

    fn services(self) -> Vec<Service> {
        let ids: BTreeMap<Key, usize> = self.nodes.keys().cloned().zip(0..).collect();
        let mut edges: BTreeMap<Key, Vec<Edge>> = BTreeMap::new();
        for ((from, to), seen) in self.edges {
            let Some(reference_id) = ids.get(&to).copied() else { continue };
            edges.entry(from).or_default().push(Edge {
                reference_id,
                start_time: seen.start,
                end_time: seen.end,
                summary_statistics: seen.statistics,
            });
        }
        let service = |(key, seen): (Key, Seen)| Service {
            reference_id: ids.get(&key).copied().unwrap_or_default(),
            root: self.roots.contains(&key),
            edges: edges.remove(&key).unwrap_or_default(),
            names: [key.0.clone()],
            name: key.0,
            r#type: key.1,
            state: "active",
            start_time: seen.start,
            end_time: seen.end,
            summary_statistics: seen.statistics,
        };
        self.nodes.into_iter().map(service).collect()
    }
}

/// The service that a document belongs to: itself, or the segment that it is within.
fn service_of(id: u64, documents: &HashMap<u64, &Facts>) -> Option<Key> {
    let mut facts = documents.get(&id)?;
    for _ in 0..MAX_DEPTH {
        if !facts.is_subsegment {
            return Some(key(facts));
        }
        facts = documents.get(&facts.parent?)?;
    }
    None
}

fn seen<K: Ord>(map: &mut BTreeMap<K, Seen>, key: K, facts: &Facts) {
    let (start, end) = (facts.start, facts.end.unwrap_or(facts.start));
    let first = || Seen { start, end, statistics: Statistics::default() };
    let seen = map.entry(key).or_insert_with(first);
    seen.start = seen.start.min(start);
    seen.end = seen.end.max(end);
    seen.statistics.add(facts);
}

// === impl Statistics ===

impl Statistics {
    /// A throttled call is an error too; of error and fault, the fault counts.
    fn add(&mut self, facts: &Facts) {
        self.total_count += 1;
        self.total_response_time += facts.end.map_or(0.0, |end| end - facts.start);
        if facts.fault {
            self.fault_statistics.other_count += 1;
            self.fault_statistics.total_count += 1;
        } else if facts.throttle {
            self.error_statistics.throttle_count += 1;
            self.error_statistics.total_count += 1;
        } else if facts.error {
            self.error_statistics.other_count += 1;
            self.error_statistics.total_count += 1;
        } else {
            self.ok_count += 1;
        }
    }
}
