//! What a process uses, from /proc.

use anyhow::Context as _;
use std::fs;
use std::time::Duration;

/// A reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time in user and kernel mode of all its threads, in steps of a clock tick (10 ms).
    pub cpu: Duration,
    /// Resident bytes now.
    pub rss: u64,
    /// The most resident bytes ever.
    pub peak_rss: u64,
    /// Threads.
    pub threads: u64,
    /// Open file descriptors.
    pub descriptors: u64,
}

// === impl Usage ===

impl Usage {
    /// Of the process with this id.
    ///
    /// # Errors
    /// When there is none.
    pub fn of(pid: u32) -> anyhow::Result<Self> {
        let read = |file: &str| {
            let path = format!("/proc/{pid}/{file}");
            fs::read_to_string(&path).context(path)
        };
        let ticks = ticks(&read("stat")?).context("stat")?;
        let status = read("status")?;
        let field = |name: &str| field(&status, name);
        Ok(Usage {
            cpu: Duration::from_secs_f64(
                ticks as f64 / rustix::param::clock_ticks_per_second() as f64,
            ),
            rss: field("VmRSS:").context("ended")? << 10,
            peak_rss: field("VmHWM:").context("ended")? << 10,
            threads: field("Threads:").context("ended")?,
            descriptors: fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64,
        })
    }
}

/// utime + stime, fields 14 and 15 of `stat`; field 2, the name, may hold anything up to `)`.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut times = rest.split_whitespace().skip(11);
    let mut time = || times.next()?.parse::<u64>().ok();
    Some(time()? + time()?)
}

fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 1 2 3 4 55 66 0 0 20 0 1 0 9";
        assert_eq!(ticks(stat), Some(121));
        assert_eq!(ticks("7 (a"), None);
        assert_eq!(field("VmHWM:\t 3 kB\nVmRSS:\t 2 kB\n", "VmRSS:"), Some(2));
    }
}
