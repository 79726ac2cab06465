//! Reads back from inside what holds for this worker.

use std::fs;
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::{getgid, getpid, getuid};

use super::cgroup::{NO_LIMIT, version};
use crate::protocol::Attestation;

/// Reads everything back. `sealed`: the cgroup files are this worker's own.
pub fn attest(sealed: bool) -> Attestation {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let hex =
        |key| status_field(&status, key).and_then(|value| u64::from_str_radix(value, 16).ok());
    let number = |key| status_field(&status, key).and_then(|value| value.parse::<u32>().ok());
    let mut attestation = Attestation {
        pid: getpid().as_raw().unsigned_abs(),
        uid: getuid().as_raw(),
        gid: getgid().as_raw(),
        open_files: getrlimit(Resource::RLIMIT_NOFILE)
            .ok()
            .map(|(_, hard)| hard),
        capabilities: hex("CapEff"),
        bounding_set: hex("CapBnd"),
        no_new_privileges: number("NoNewPrivs").map(|value| value == 1),
        seccomp: number("Seccomp"),
        read_only_root: fs::read_to_string("/proc/self/mountinfo")
            .ok()
            .and_then(|text| root_read_only(&text)),
        interfaces: fs::read_to_string("/proc/self/net/dev")
            .ok()
            .map(|text| interfaces(&text)),
        ..Attestation::default()
    };
    if sealed {
        read_cgroup(Path::new("/sys/fs/cgroup"), &mut attestation);
        if attestation.pids.is_none() && in_own_user_namespace() {
            // There this limit counts the processes of this container alone.
            attestation.pids = getrlimit(Resource::RLIMIT_NPROC)
                .ok()
                .map(|(_, hard)| hard)
                .filter(|hard| *hard < NO_LIMIT);
        }
    }
    attestation
}

fn read_cgroup(root: &Path, attestation: &mut Attestation) {
    let text = |path: &str| fs::read_to_string(root.join(path)).ok();
    let number = |path: &str| {
        text(path)?
            .trim()
            .parse::<u64>()
            .ok()
            .filter(|value| *value < NO_LIMIT)
    };
    attestation.cgroup_version = version(root);
    if attestation.cgroup_version == Some(2) {
        attestation.memory_bytes = number("memory.max");
        attestation.swap_bytes = number("memory.swap.max");
        attestation.cpus = text("cpu.max").and_then(|text| cpu_max(&text));
        attestation.pids = number("pids.max");
        return;
    }
    attestation.memory_bytes = number("memory/memory.limit_in_bytes");
    attestation.swap_bytes = match (
        number("memory/memory.memsw.limit_in_bytes"),
        attestation.memory_bytes,
    ) {
        (Some(both), Some(memory)) => Some(both.saturating_sub(memory)),
        _ => None,
    };
    attestation.cpus = match (
        number("cpu/cpu.cfs_quota_us"),
        number("cpu/cpu.cfs_period_us"),
    ) {
        (Some(quota), Some(period)) if period > 0 => Some(quota as f64 / period as f64),
        _ => None,
    };
    attestation.pids = number("pids/pids.max");
}

/// Whether ids here are not the machine's.
fn in_own_user_namespace() -> bool {
    fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| maps_some_ids(&map))
}

/// Whether a `uid_map` text is not that of the machine's first user namespace.
fn maps_some_ids(map: &str) -> bool {
    !map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// `cpu.max` of v2: quota and period in microseconds, or `max` for none.
fn cpu_max(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    Some(quota.parse::<f64>().ok()? / period.parse::<f64>().ok()?)
}

/// The value of `key:` in /proc/self/status.
fn status_field<'a>(status: &'a str, key: &str) -> Option<&'a str> {
    status
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
        .map(str::trim)
}

/// From /proc/self/mountinfo: whether the topmost mount on `/` is read-only.
fn root_read_only(mountinfo: &str) -> Option<bool> {
    let root = mountinfo
        .lines()
        .rfind(|line| line.split(' ').nth(4) == Some("/"))?;
    Some(
        root.split(' ')
            .nth(5)?
            .split(',')
            .any(|option| option == "ro"),
    )
}

/// From /proc/net/dev: the interfaces other than loopback.
fn interfaces(dev: &str) -> Vec<String> {
    dev.lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name.trim().to_owned())
        .filter(|name| name != "lo")
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parsers() {
        assert_eq!(
            status_field("CapEff:\t0000\nSeccomp:\t2\n", "Seccomp"),
            Some("2")
        );
        assert_eq!(cpu_max("150000 100000\n"), Some(1.5));
        assert_eq!(cpu_max("max 100000\n"), None);
        let mounts = "1 0 0:1 / / rw,relatime - overlay x rw\n2 1 0:2 / / ro,nosuid - ext4 y rw\n";
        assert_eq!(root_read_only(mounts), Some(true));
        assert!(maps_some_ids("      1001       1000          1\n"));
        assert!(!maps_some_ids("         0          0 4294967295\n"));
        let dev = "Inter-|  Receive\n face |bytes\n    lo: 0 0\n  eth0: 1 2\n";
        assert_eq!(interfaces(dev), ["eth0"]);
    }
}
