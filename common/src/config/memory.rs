//! `processors.memory_limiter`: how much memory there is, and how much of it may be used.

use std::fs;
use std::path::Path;

use super::reader::Reader;

/// `processors.memory_limiter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimiter {
    /// Bytes that are not to be exceeded (the collector's hard limit).
    pub limit_bytes: u64,
    /// Bytes kept free below it (the soft limit is `limit_bytes - spike_bytes`).
    pub spike_bytes: u64,
}

const MIB: u64 = 1 << 20;
/// Spike without a key for it: a fifth, as in the collector.
const SPIKE_SHARE: u64 = 5;
/// cgroup v1 says "no limit" with a number near 2^63.
const NO_LIMIT: u64 = 1 << 60;

// === impl MemoryLimiter ===

impl MemoryLimiter {
    /// Reads the block; percentages are of the memory this process may use.
    pub(super) fn read(r: &Reader<'_>) -> Self {
        Self::read_with(r, total_memory(Path::new("/")))
    }

    fn read_with(r: &Reader<'_>, total: Option<u64>) -> Self {
        let inert = [
            "check_interval",
            "min_gc_interval_when_soft_limited",
            "min_gc_interval_when_hard_limited",
            "max_gc_interval_when_soft_limited",
            "max_gc_interval_when_hard_limited",
        ];
        for key in inert {
            // Nothing is checked at intervals here: every request asks for its bytes first.
            r.duration_or(key, std::time::Duration::ZERO);
        }
        let percent = |key| r.typed(key).and_then(|i| i.integer(0, 100)).unwrap_or(0) as u64;
        let mib = |key| r.typed(key).and_then(|i| i.integer(0, 1 << 32)).unwrap_or(0) as u64 * MIB;
        let (limit, limit_percent) = (mib("limit_mib"), percent("limit_percentage"));
        let (spike, spike_percent) = (mib("spike_limit_mib"), percent("spike_limit_percentage"));
        let share = |percent: u64| total.unwrap_or(0) / 100 * percent;
        let limit_bytes = if limit > 0 { limit } else { share(limit_percent) };
        let spike_bytes = match (spike, spike_percent) {
            (0, 0) => limit_bytes / SPIKE_SHARE,
            (0, percent) => share(percent),
            (bytes, _) => bytes,
        };
        if limit == 0 && limit_percent == 0 {
            r.error("limit_mib", "no limit is given", "give limit_mib or limit_percentage");
        } else if limit == 0 && total.is_none() {
            let what = "the memory of this machine is not known";
            r.error("limit_percentage", what, "give limit_mib");
        } else if limit_bytes > 0 && spike_bytes >= limit_bytes {
            let by_mib = if spike > 0 { "spike_limit_mib" } else { "spike_limit_percentage" };
            r.error(by_mib, "is not below the limit", "a fifth of the limit is usual");
        }
        Self { limit_bytes, spike_bytes }
    }
}

/// Bytes this process may use: the least of the limits of its cgroups (v2, then v1) and the
/// memory of the machine. `root` is `/`, or a tree like it in a test.
pub fn total_memory(root: &Path) -> Option<u64> {
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    let limit = |path: String| {
        let bytes: u64 = read(&path).trim().parse().ok()?;
        (bytes < NO_LIMIT).then_some(bytes)
    };
    let mut found: Vec<u64> = meminfo(&read("proc/meminfo")).into_iter().collect();
    for line in read("proc/self/cgroup").lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        let (base, file) = match controllers {
            "" => ("sys/fs/cgroup", "memory.max"),
            c if c.split(',').any(|c| c == "memory") => {
                ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        // A limit on any group above counts; in a container the path may not be there at all.
        let mut group = path.trim_matches('/');
        loop {
            let dir = if group.is_empty() { String::new() } else { format!("/{group}") };
            found.extend(limit(format!("{base}{dir}/{file}")));
            if group.is_empty() {
                break;
            }
            group = group.rsplit_once('/').map_or("", |(parent, _)| parent);
        }
    }
    found.into_iter().min()
}

fn meminfo(text: &str) -> Option<u64> {
    let line = text.lines().find(|l| l.starts_with("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}
