//! The memory a process may use, from trees like those of real machines.

use std::fs;

use super::*;

fn total(files: &[(&str, &str)]) -> Option<u64> {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    total_memory(root.path())
}

const MEMINFO: (&str, &str) = ("proc/meminfo", "MemFree: 1 kB\nMemTotal:  8388608 kB\n");
const GIB: u64 = 1 << 30;

#[test]
fn least_of_cgroups_and_machine() {
    let v1 = ("proc/self/cgroup", "5:cpu:/\n4:blkio,memory:/docker/x\n");
    let v2 = ("proc/self/cgroup", "0::/a/b\n");
    for (files, want) in [
        (vec![], None),
        (vec![MEMINFO], Some(8 * GIB)),
        (vec![MEMINFO, v2, ("sys/fs/cgroup/a/b/memory.max", "max\n")], Some(8 * GIB)),
        (vec![MEMINFO, v2, ("sys/fs/cgroup/a/b/memory.max", "1073741824\n")], Some(GIB)),
        (vec![MEMINFO, v2, ("sys/fs/cgroup/a/memory.max", "1073741824\n")], Some(GIB)),
        // In a container, the group's path is not there; the root of the mount is the group.
        (vec![MEMINFO, v2, ("sys/fs/cgroup/memory.max", "1073741824\n")], Some(GIB)),
        (
            vec![MEMINFO, v1, ("sys/fs/cgroup/memory/memory.limit_in_bytes", "1073741824\n")],
            Some(GIB),
        ),
        (
            vec![
                MEMINFO,
                v1,
                ("sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", "9223372036854771712\n"),
            ],
            Some(8 * GIB),
        ),
    ] {
        assert_eq!(total(&files), want, "{files:?}");
    }
}

#[test]
fn limits_and_spikes() {
    let limiter = |yaml: &str| read(yaml, MemoryLimiter::read);
    let mib = 1 << 20;
    assert_eq!(
        limiter("check_interval: 1s\nlimit_mib: 100\n"),
        Ok(MemoryLimiter { limit_bytes: 100 * mib, spike_bytes: 20 * mib })
    );
    assert_eq!(
        limiter("limit_mib: 100\nspike_limit_mib: 30\nlimit_percentage: 50\n"),
        Ok(MemoryLimiter { limit_bytes: 100 * mib, spike_bytes: 30 * mib })
    );
    let share = limiter("limit_percentage: 50\nspike_limit_percentage: 10\n").unwrap();
    assert_eq!(share.limit_bytes / 5, share.spike_bytes);
    assert_eq!(heads(&limiter("{}").unwrap_err()), ["f.yaml:1:1: limit_mib: no limit is given"]);
    assert_eq!(
        heads(&limiter("limit_mib: 1\nspike_limit_mib: 1\n").unwrap_err()),
        ["f.yaml:2:18: spike_limit_mib: is not below the limit"]
    );
}
