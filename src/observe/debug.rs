//! The debug pages of both tiers.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tailgate_common::config::{Shared, Shown};
use tailgate_common::ownership::Table;
use tailgate_common::telemetry::{DebugPages, Logged, rfc3339};
use tailgate_loadbalancer::LoadBalancer;
use tailgate_sampler::hold::HeldService;
use tailgate_sampler::members::Node;

/// Of a load balancer.
pub fn load_balancer_pages(balancer: &Arc<LoadBalancer>) -> DebugPages {
    let mut pages = DebugPages::default();
    let peers = balancer.clone();
    pages.add("/debug/ownership", "Ownership table", move || {
        let (view, backends) = (peers.view(), peers.backends());
        let slots = slots(view.table());
        let member = |backend: &Arc<tailgate_loadbalancer::Backend>| {
            let (owns, deputises) = slots(&backend.member.name);
            json!({
                "name": &*backend.member.name,
                "endpoint": backend.member.endpoint,
                "state": view.state_of(backend.id).label(),
                "connected": backend.is_connected(),
                "other_members": backend.disagrees(),
                "owner_of_slots": owns,
                "deputy_of_slots": deputises,
            })
        };
        json!({
            "version": view.version(),
            "digest": digest(view.table()),
            "members": backends.iter().map(member).collect::<Vec<_>>(),
        })
    });
    pages.add(
        "/debug/traces",
        "Held traces",
        || json!({"note": "a load balancer holds no traces: ask the samplers"}),
    );
    pages
}

/// Of a sampler.
pub fn sampler_pages(shared: &Shared, node: &Node) -> DebugPages {
    let mut pages = DebugPages::default();
    let (held, seen_by) = (node.sampler.clone(), node.clone());
    let members = shared.tailgate.members.clone();
    let instance = shared.tailgate.instance.clone();
    pages.add("/debug/ownership", "Ownership table", move || {
        let seen = seen_by.members.seen(seen_by.sampler.now());
        let state = |name: &str| seen.iter().find(|seen| *seen.name == *name);
        let counted = members.iter().map(|member| member.name.as_str());
        let counted = counted.filter(|name| state(name).is_none_or(|seen| seen.state != "removed"));
        let table = Table::new(&counted.collect::<Vec<_>>());
        let slots = slots(&table);
        let member = |member: &tailgate_common::config::Member| {
            let (owns, deputises) = slots(&member.name);
            let seen = state(&member.name);
            json!({
                "name": member.name,
                "endpoint": member.endpoint,
                "state": seen.map_or("this instance", |seen| seen.state),
                "other_members": seen.is_some_and(|seen| seen.disagrees),
                "heard_s_ago": seen.and_then(|seen| seen.heard_ago).map(|ago| ago.as_secs_f64()),
                "error": seen.and_then(|seen| seen.last_error.clone()),
                "owner_of_slots": owns,
                "deputy_of_slots": deputises,
            })
        };
        json!({
            "instance": instance,
            "digest": digest(&table),
            "members": members.iter().map(member).collect::<Vec<_>>(),
        })
    });
    pages.add("/debug/traces", "Held traces", move || {
        let traces = held.held_traces();
        let (looked_at, all) = traces.looked_at;
        json!({
            "held_traces": all,
            "looked_at": looked_at,
            "services": traces.services.iter().map(service).collect::<Vec<_>>(),
            "other_services": service(&traces.other),
        })
    });
    pages
}

/// What the pages of both tiers have: the configuration and what was logged.
pub fn add_common(pages: &mut DebugPages, config: &impl Debug, shown: &Shown, logged: Logged) {
    let config = json!({
        "written": shown.written,
        "in_force": shown.mask(&format!("{config:#?}")),
    });
    pages.add("/debug/config", "Configuration in force", move || config.clone());
    pages.add("/debug/errors", "Recent warnings and errors", move || {
        let (warnings, errors) = logged.counts();
        let event = |event: tailgate_common::telemetry::RecentEvent| {
            json!({
                "last": rfc3339(event.last),
                "level": event.level,
                "message": event.message,
                "fields": event.fields,
                "count": event.count,
                "first": rfc3339(event.first),
                "place": event.place,
            })
        };
        json!({
            "warnings": warnings,
            "errors": errors,
            "recent": logged.recent().into_iter().map(event).collect::<Vec<_>>(),
        })
    });
}

fn service(held: &HeldService) -> Value {
    let HeldService { name, traces, spans, bytes, oldest, .. } = held;
    let oldest: &Duration = oldest;
    json!({
        "service": name,
        "traces": traces,
        "spans": spans,
        "bytes": bytes,
        "oldest_s": oldest.as_secs_f64(),
    })
}

fn digest(table: &Table) -> String {
    format!("{:016x}", table.digest())
}

/// How many slots a member is owner and deputy of.
fn slots(table: &Table) -> impl Fn(&str) -> (u32, u32) {
    let mut counts = vec![(0u32, 0u32); table.members().len()];
    for slot in 0..=u16::MAX {
        if let Some(owner) = table.owner(slot) {
            counts[usize::from(owner)].0 += 1;
        }
        if let Some(deputy) = table.deputy(slot) {
            counts[usize::from(deputy)].1 += 1;
        }
    }
    let names: Vec<Arc<str>> = table.members().to_vec();
    move |name| {
        let index = names.iter().position(|member| **member == *name);
        index.map_or((0, 0), |index| counts[index])
    }
}
