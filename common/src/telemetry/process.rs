//! What the process itself uses: `/proc/self` and the allocator's own figures.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tikv_jemalloc_ctl::{epoch, stats};

use super::metrics::Metrics;
use super::names::defs;

/// What the program allocates with; only its binary knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allocator {
    /// jemalloc, whose figures are shown.
    Jemalloc,
    /// Another one: the heap's figures stay 0.
    Other,
}

/// Ticks per second in `/proc/self/stat`; fixed in Linux' interface (`USER_HZ`).
const TICKS: f64 = 100.0;

/// Shows the process' figures, from now on.
pub fn watch_process(metrics: &Metrics, allocator: Allocator, started: Instant) {
    let uptime = metrics.gauge(&defs::PROCESS_UPTIME, &[]);
    let cpu = metrics.gauge(&defs::PROCESS_CPU_SECONDS, &[]);
    let rss = metrics.gauge(&defs::PROCESS_MEMORY_RSS, &[]);
    let heap = metrics.gauge(&defs::PROCESS_HEAP_ALLOC, &[]);
    let total = metrics.counter(&defs::PROCESS_TOTAL_ALLOC, &[]);
    let sys = metrics.gauge(&defs::PROCESS_TOTAL_SYS, &[]);
    let last = AtomicU64::new(0);
    metrics.on_scrape(move || {
        uptime.set(started.elapsed().as_secs_f64());
        cpu.set(cpu_seconds().unwrap_or_else(|| cpu.get()));
        rss.set(rss_bytes().unwrap_or_default() as f64);
        if allocator != Allocator::Jemalloc || epoch::advance().is_err() {
            return;
        }
        let allocated = stats::allocated::read().unwrap_or_default() as u64;
        let mapped = stats::mapped::read().unwrap_or_default();
        let retained = stats::retained::read().unwrap_or_default();
        heap.set(allocated as f64);
        sys.set((mapped + retained) as f64);
        // jemalloc keeps no sum over time that can be read safely; growth between scrapes is a
        // lower bound.
        total.increment(allocated.saturating_sub(last.swap(allocated, Ordering::Relaxed)));
    });
}

/// User and system time of this process, in seconds.
fn cpu_seconds() -> Option<f64> {
    parse_cpu(&std::fs::read_to_string("/proc/self/stat").ok()?)
}

/// Fields 14 and 15 of proc(5); the name, field 2, is in parentheses and may hold spaces.
fn parse_cpu(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS)
}

/// `VmRSS`, in bytes.
fn rss_bytes() -> Option<u64> {
    parse_rss(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn parse_rss(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_linux_writes() {
        let stat = "7 (a ) b) S 1 1 1 0 -1 4194304 5 0 0 0 150 50 0 0 20 0 1 0 100 1 1";
        assert_eq!(parse_cpu(stat), Some(2.0));
        assert_eq!(parse_rss("Name:\tx\nVmRSS:\t  2048 kB\n"), Some(2 << 20));
        assert_eq!((parse_cpu(""), parse_rss("VmRSS: many")), (None, None));
    }

    #[test]
    fn this_process_has_memory() {
        assert!(rss_bytes() > Some(1 << 20));
        assert!(cpu_seconds().is_some());
    }

    /// Whether the allocator's figures can be had does not depend on who uses it.
    #[test]
    fn jemalloc_answers() {
        assert!(epoch::advance().is_ok());
        assert!(stats::mapped::read().is_ok() && stats::retained::read().is_ok());
        assert!(stats::allocated::read().is_ok());
    }
}
