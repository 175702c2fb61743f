//! `tailgate:`, the one top-level key that a collector does not have.

use std::time::Duration;

use super::endpoint;
use super::item::Item;
use super::reader::Reader;
use super::receiver::listen_or;
use super::secret::SecretSource;
use super::tls::{ClientTls, ServerTls, path, read_mutual};

/// `tailgate:`.
#[derive(Clone, Debug, PartialEq)]
pub struct Tailgate {
    /// Name of this instance, stable over restarts; default the host's name.
    pub instance: String,
    /// The samplers, by stable name; empty = plain OTLP to whatever the resolver gives.
    pub members: Vec<Member>,
    /// The port between the tiers, if there is one.
    pub internal: Option<Internal>,
    /// `admin`: where debug pages are served, if at all.
    pub admin: Option<Admin>,
    /// `telemetry.naming`: how metrics are called unless a reader says so itself; default collector.
    pub naming: MetricsNaming,
    /// From SIGTERM to the end at the latest; default 25 s.
    pub shutdown_timeout: Duration,
    /// A member silent for so long counts as removed; default 30 s.
    pub eject_after: Duration,
}

/// `tailgate.admin`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Where to listen; default `localhost:55679`.
    pub endpoint: String,
    /// It was asked for: if it can't be had, that is an error.
    pub required: bool,
}

/// Names of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsNaming {
    /// As the collector's default reader has them.
    Collector,
    /// With units, and counters with `_total`.
    Prometheus,
    /// Every metric by both.
    Both,
}

/// A sampler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its `tailgate.instance`.
    pub name: String,
    /// Its `tailgate.internal.endpoint`, as others reach it.
    pub endpoint: String,
}

/// `tailgate.internal`.
#[derive(Clone, Debug, PartialEq)]
pub struct Internal {
    /// Where a sampler listens; default `localhost:4319`. A load balancer does not.
    pub endpoint: String,
    /// What both sides have to know.
    pub secret: Option<SecretSource>,
    /// Mutual TLS, if it is configured.
    pub tls: Option<InternalTls>,
}

/// `tailgate.internal.tls`: mutual, with the same certificate in both directions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InternalTls {
    /// For those that connect here.
    pub server: ServerTls,
    /// For connections to the others.
    pub client: ClientTls,
}

/// Members of a fleet; each slot ranks all of them.
const MAX_MEMBERS: usize = 1024;
const MAX_NAME: usize = 128;

// === impl Tailgate ===

impl Tailgate {
    pub(super) fn read(r: &Reader<'_>) -> Self {
        if r.has("members") && !r.has("internal") {
            let help = "write internal: {secret_file: path}: members let in who knows the secret";
            r.error("members", "there is no internal beside it", help);
        }
        let or_name = |name: String| if name.is_empty() { host_name() } else { name };
        Self {
            instance: or_name(r.string_or("instance", "")),
            members: members(r),
            internal: r.map("internal").map(|i| Internal::read(&i)),
            admin: Admin::read(&r.map_or_empty("admin")),
            naming: MetricsNaming::read(&r.map_or_empty("telemetry")),
            shutdown_timeout: r.duration_or("shutdown_timeout", Duration::from_secs(25)),
            eject_after: positive(r, "eject_after", Duration::from_secs(30)),
        }
    }
}

fn positive(r: &Reader<'_>, key: &'static str, default: Duration) -> Duration {
    let value = r.duration_or(key, default);
    if value.is_zero() {
        r.error(key, "is zero", "write a time such as 30s");
    }
    value
}

fn members(r: &Reader<'_>) -> Vec<Member> {
    let list = r.list("members");
    if list.len() > MAX_MEMBERS {
        r.error("members", &format!("more than {MAX_MEMBERS} members"), "run several fleets");
        return Vec::new();
    }
    let mut members: Vec<Member> = Vec::new();
    for item in list {
        let Some(member) = read_member(&item) else { continue };
        if members.iter().any(|m| m.name == member.name) {
            let what = format!("member {:?} is listed twice", member.name);
            item.error(&what, "give each sampler a name of its own");
        } else {
            members.push(member);
        }
    }
    members
}

fn read_member(item: &Item<'_>) -> Option<Member> {
    let r = item.map()?;
    let name = r.required("name", "write {name: sampler-0, endpoint: host:4319}");
    let endpoint = r.take("endpoint");
    let Some(at) = endpoint else {
        r.error("endpoint", "is missing", "write {name: sampler-0, endpoint: host:4319}");
        return None;
    };
    if name.len() > MAX_NAME {
        r.error("name", &format!("is longer than {MAX_NAME} bytes"), "shorten it");
        return None;
    }
    let endpoint = endpoint::connect(&at, &at.string()?)?;
    (!name.is_empty()).then_some(Member { name, endpoint })
}

// === impl Admin ===

impl Admin {
    /// An empty endpoint turns the pages off.
    fn read(r: &Reader<'_>) -> Option<Self> {
        let required = r.has("endpoint");
        if required && r.string_or("endpoint", "").is_empty() {
            return None;
        }
        let endpoint = listen_or(r, "localhost:55679");
        if !endpoint::is_loopback(&endpoint) {
            r.note("endpoint", "the debug pages can be read from other machines");
        }
        Some(Self { endpoint, required })
    }
}

// === impl MetricsNaming ===

impl MetricsNaming {
    fn read(r: &Reader<'_>) -> Self {
        match r.typed("naming").and_then(|i| i.choice(&["collector", "prometheus", "both"])) {
            Some(1) => Self::Prometheus,
            Some(2) => Self::Both,
            _ => Self::Collector,
        }
    }
}

// === impl Internal ===

impl Internal {
    fn read(r: &Reader<'_>) -> Self {
        let secret = r.secret("secret");
        let file = path(r, "secret_file");
        if !secret.is_empty() && file.is_some() {
            r.error("secret_file", "secret is given too", "keep one of them");
        }
        let secret = match file {
            Some(file) => Some(SecretSource::File(file)),
            None if secret.is_empty() => None,
            None => Some(SecretSource::Inline(secret)),
        };
        let tls = r.map("tls").and_then(|tls| read_mutual(&tls));
        let tls = tls.map(|(server, client)| InternalTls { server, client });
        if secret.is_none() && !r.has("tls") {
            let help = "give secret, secret_file or tls: anyone could send spans here otherwise";
            r.error("secret", "is missing", help);
        }
        Self { endpoint: listen_or(r, "localhost:4319"), secret, tls }
    }
}

/// The host's name as the kernel has it; in Kubernetes, the name of the pod.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "tailgate".to_owned() } else { name.to_owned() }
}
