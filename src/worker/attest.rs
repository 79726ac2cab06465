//! Reads back from inside what holds for this worker.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::{getgid, getpid, getuid};

use super::Place;
use super::cgroup::{NO_LIMIT, version};
use crate::protocol::Attestation;

/// What the kernel keeps in folders of its own, and every container has.
const KERNELS: [&str; 3] = ["/dev", "/proc", "/sys"];

/// Reads everything back. In a sealed place the cgroup files are this worker's own. `token_closed`: of
/// a worker that dialled in.
pub fn attest(place: &Place, token_closed: Option<bool>) -> Attestation {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let hex =
        |key| status_field(&status, key).and_then(|value| u64::from_str_radix(value, 16).ok());
    let number = |key| status_field(&status, key).and_then(|value| value.parse::<u32>().ok());
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok();
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
        read_only_root: mounts.as_deref().and_then(root_read_only),
        writable_mounts: mounts
            .as_deref()
            .map(|text| writable_mounts(text, &place.own)),
        interfaces: fs::read_to_string("/proc/self/net/dev")
            .ok()
            .map(|text| interfaces(&text)),
        token_closed,
        ..Attestation::default()
    };
    if place.sealed {
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

/// From /proc/self/mountinfo: where something can be written that is neither `own` nor the kernel's.
/// The root itself has a word of its own.
fn writable_mounts(mountinfo: &str, own: &[PathBuf]) -> Vec<String> {
    let mut places: BTreeMap<&str, bool> = BTreeMap::new();
    for line in mountinfo.lines() {
        let mut fields = line.split(' ').skip(4);
        if let (Some(place), Some(options)) = (fields.next(), fields.next()) {
            // The last one mounted at a place covers the others.
            places.insert(place, options.split(',').any(|option| option == "rw"));
        }
    }
    let is_known = |place: &str| {
        let place = Path::new(place);
        place == Path::new("/")
            || own.iter().any(|own| own == place)
            || KERNELS.iter().any(|kernel| place.starts_with(kernel))
    };
    places
        .into_iter()
        .filter(|(place, writable)| *writable && !is_known(place))
        .map(|(place, _)| place.to_owned())
        .collect()
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
    fn a_writable_project_is_found_and_what_is_covered_is_not() {
        let mounts = "1 0 0:1 / / rw,relatime - overlay x rw\n\
            2 1 0:2 / /tmp rw,nosuid - tmpfs t rw\n\
            3 1 0:3 / /dev/shm rw - tmpfs t rw\n\
            4 1 8:1 /p /work rw,relatime shared:1 - ext4 d rw\n\
            5 1 8:1 /q /data rw,relatime - ext4 d rw\n\
            6 1 8:1 /q /data ro,relatime - ext4 d rw\n\
            7 1 8:1 /e /etc/hosts ro,relatime - ext4 d rw\n\
            8 1 8:1 /e /tmp/more rw - ext4 d rw\n";
        let own = [PathBuf::from("/tmp")];
        assert_eq!(writable_mounts(mounts, &own), ["/tmp/more", "/work"]);
        assert_eq!(writable_mounts("", &own), [""; 0]);
    }

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
