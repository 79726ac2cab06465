//! The counters of the worker's own cgroup, v1 and v2, kept open: a read is one system call.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Values of a v1 memory limit above this mean that there is none.
pub const NO_LIMIT: u64 = 1 << 62;

/// The counters. One that the kernel does not have is absent, and so is its figure.
pub struct Counters {
    cpu: Option<(File, CpuFormat)>,
    throttled: Option<(File, &'static str, u64)>,
    memory: Option<File>,
    memory_peak: Option<File>,
    oom: Option<File>,
    pids: Option<File>,
}

enum CpuFormat {
    /// v1: nanoseconds, alone in the file.
    Nanoseconds,
    /// v2: `usage_usec N` among other lines.
    UsageUsec,
}

/// One reading of all counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// CPU time of everything that ever ran in the cgroup, in microseconds.
    pub cpu_us: Option<u64>,
    /// Time in which the quota held it back, in microseconds.
    pub throttled_us: Option<u64>,
    /// Memory now, in bytes.
    pub memory_bytes: Option<u64>,
    /// The highest memory ever, in bytes.
    pub memory_peak_bytes: Option<u64>,
    /// Processes that were killed for want of memory.
    pub oom_kills: Option<u64>,
    /// Forks that the pids limit refused.
    pub pids_limit_hits: Option<u64>,
}

impl Counters {
    /// None at all: where the cgroup is not this worker's alone.
    pub fn none() -> Self {
        Counters {
            cpu: None,
            throttled: None,
            memory: None,
            memory_peak: None,
            oom: None,
            pids: None,
        }
    }

    /// Those of the hierarchy that is mounted at `root`, normally /sys/fs/cgroup.
    pub fn open(root: &Path) -> Self {
        let open = |path: &str| File::open(root.join(path)).ok();
        if version(root) == Some(2) {
            return Counters {
                cpu: open("cpu.stat").map(|file| (file, CpuFormat::UsageUsec)),
                throttled: open("cpu.stat").map(|file| (file, "throttled_usec", 1)),
                memory: open("memory.current"),
                memory_peak: open("memory.peak"),
                oom: open("memory.events"),
                pids: open("pids.events"),
            };
        }
        Counters {
            cpu: open("cpuacct/cpuacct.usage").map(|file| (file, CpuFormat::Nanoseconds)),
            throttled: open("cpu/cpu.stat").map(|file| (file, "throttled_time", 1000)),
            memory: open("memory/memory.usage_in_bytes"),
            memory_peak: open("memory/memory.max_usage_in_bytes"),
            oom: open("memory/memory.oom_control"),
            pids: open("pids/pids.events"),
        }
    }

    /// Whether CPU time can be read.
    pub fn count_cpu(&self) -> bool {
        self.cpu.is_some()
    }

    /// CPU time of the cgroup, in microseconds.
    pub fn cpu_us(&self) -> Option<u64> {
        let (file, format) = self.cpu.as_ref()?;
        with_text(file, |text| match format {
            CpuFormat::Nanoseconds => text.trim().parse::<u64>().ok().map(|ns| ns / 1000),
            CpuFormat::UsageUsec => field(text, "usage_usec"),
        })
    }

    /// Reads them all.
    pub fn read(&self) -> Reading {
        let number =
            |file: &Option<File>| with_text(file.as_ref()?, |text| text.trim().parse::<u64>().ok());
        let keyed =
            |file: &Option<File>, key: &str| with_text(file.as_ref()?, |text| field(text, key));
        Reading {
            cpu_us: self.cpu_us(),
            throttled_us: self.throttled.as_ref().and_then(|(file, key, per_us)| {
                Some(with_text(file, |text| field(text, key))? / per_us)
            }),
            memory_bytes: number(&self.memory),
            memory_peak_bytes: number(&self.memory_peak),
            oom_kills: keyed(&self.oom, "oom_kill"),
            pids_limit_hits: keyed(&self.pids, "max"),
        }
    }
}

/// Version of the hierarchy at `root` that has the memory and pids controllers.
pub fn version(root: &Path) -> Option<u8> {
    if root.join("cgroup.controllers").exists() {
        Some(2)
    } else {
        root.join("memory").is_dir().then_some(1)
    }
}

/// Whether the cgroup at `root` holds this container alone. An engine without the right to make
/// cgroups leaves the container in one that others are in too, whose figures are not the tests'.
pub fn is_own(root: &Path) -> bool {
    let text = |path: &str| std::fs::read_to_string(root.join(path));
    match version(root) {
        // A process that is out of sight has no number here, which is written as 0.
        Some(2) => text("cgroup.procs").is_ok_and(|pids| pids.lines().all(|pid| pid != "0")),
        // Here it is left out; but a worker's own cgroup always has a memory limit.
        Some(_) => text("memory/memory.limit_in_bytes").is_ok_and(|limit| {
            limit
                .trim()
                .parse()
                .is_ok_and(|limit: u64| limit < NO_LIMIT)
        }),
        None => false,
    }
}

/// The number behind `key` in lines of `key number`.
pub fn field(text: &str, key: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))
        .and_then(|value| value.trim().parse().ok())
}

fn with_text<T>(file: &File, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
    let mut buffer = [0; 1024];
    let size = file.read_at(&mut buffer, 0).ok()?;
    parse(std::str::from_utf8(&buffer[..size]).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn v1() {
        let root = tree(&[
            ("cpuacct/cpuacct.usage", "1234567\n"),
            (
                "cpu/cpu.stat",
                "nr_periods 3\nnr_throttled 1\nthrottled_time 5000000\n",
            ),
            ("memory/memory.usage_in_bytes", "4096\n"),
            ("memory/memory.max_usage_in_bytes", "8192\n"),
            (
                "memory/memory.oom_control",
                "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
            ),
            ("pids/pids.events", "max 7\n"),
        ]);
        assert_eq!(version(root.path()), Some(1));
        let expected = Reading {
            cpu_us: Some(1234),
            throttled_us: Some(5000),
            memory_bytes: Some(4096),
            memory_peak_bytes: Some(8192),
            oom_kills: Some(2),
            pids_limit_hits: Some(7),
        };
        assert_eq!(Counters::open(root.path()).read(), expected);
    }

    #[test]
    fn v2_without_memory_peak_says_so() {
        let root = tree(&[
            ("cgroup.controllers", "cpu memory pids\n"),
            ("cpu.stat", "usage_usec 99\nuser_usec 9\nthrottled_usec 5\n"),
            ("memory.current", "4096\n"),
            (
                "memory.events",
                "low 0\nhigh 0\nmax 4\noom 1\noom_kill 1\noom_group_kill 0\n",
            ),
        ]);
        assert_eq!(version(root.path()), Some(2));
        let expected = Reading {
            cpu_us: Some(99),
            throttled_us: Some(5),
            memory_bytes: Some(4096),
            memory_peak_bytes: None,
            oom_kills: Some(1),
            pids_limit_hits: None,
        };
        assert_eq!(Counters::open(root.path()).read(), expected);
    }

    #[test]
    fn a_cgroup_that_others_are_in_is_not_its_own() {
        let own = |files: &[(&str, &str)]| is_own(tree(files).path());
        let controllers = ("cgroup.controllers", "cpu memory pids\n");
        assert!(own(&[controllers, ("cgroup.procs", "1\n7\n")]));
        assert!(!own(&[controllers, ("cgroup.procs", "0\n0\n1\n")]));
        assert!(!own(&[controllers]));
        assert!(own(&[("memory/memory.limit_in_bytes", "134217728\n")]));
        assert!(!own(&[(
            "memory/memory.limit_in_bytes",
            "9223372036854771712\n"
        )]));
        assert!(!own(&[]));
    }

    #[test]
    fn nothing_at_all_is_absent_and_not_zero() {
        let root = tree(&[]);
        assert_eq!(version(root.path()), None);
        assert_eq!(Counters::open(root.path()).read(), Reading::default());
        assert_eq!(Counters::none().read(), Reading::default());
    }
}
