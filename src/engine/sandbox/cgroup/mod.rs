//! Cgroups, written directly: which there are, what a container's are, making and removing them.
//!
//! All containers' cgroups lie in one folder of ours in each hierarchy, and their names say whose
//! they are: a launcher's process id and start time. Whoever comes later sweeps those of the dead.

mod divide;
mod guard;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::{ContainerSpec, Owner};
use super::plan::Cgroup;
use crate::host;
use crate::model::ByteText;

pub use guard::{Guard, change, join, oom_kills, remove_all};

/// The folder of ours in a hierarchy.
const OURS: &str = "docker-test";
/// The kernel's period of CPU quotas, in microseconds.
const PERIOD_US: u64 = 100_000;
/// What this machine lets us limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hierarchy {
    /// Version 1: one folder of ours for each of these controllers.
    One(Vec<(&'static str, PathBuf)>),
    /// Version 2.
    Two {
        /// The folder of ours.
        folder: PathBuf,
        /// Processors can be limited too; some machines let ordinary users limit none.
        processors: bool,
    },
    /// Nothing, and why: one safe line.
    None(String),
}

/// What is limited or counted.
const CONTROLLERS_1: [&str; 5] = ["memory", "pids", "cpu", "cpuacct", "blkio"];
/// And of version 2; input and output are only counted.
const WANTED_2: [&str; 4] = ["memory", "pids", "cpu", "io"];
const NEEDED_2: [&str; 2] = ["memory", "pids"];

impl Hierarchy {
    /// Finds out, and makes our folders.
    pub fn discover() -> Self {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        match host::cgroup_version() {
            Some(2) => divide::two(&mounts, &own),
            Some(_) => divide::one(&mounts),
            None => Hierarchy::None("no cgroup hierarchy is mounted".into()),
        }
    }

    /// Whether memory and processes of a container can be limited as a whole.
    pub fn limits(&self) -> bool {
        match self {
            Hierarchy::One(folders) => ["memory", "pids"]
                .iter()
                .all(|wanted| folders.iter().any(|(name, _)| name == wanted)),
            Hierarchy::Two { .. } => true,
            Hierarchy::None(_) => false,
        }
    }

    /// The cgroups of a container of this number, and the file that counts kills.
    pub fn plan(&self, spec: &ContainerSpec, number: u64) -> (Vec<Cgroup>, Option<ByteText>) {
        let name = name(&spec.owner, number);
        let text = |path: PathBuf| ByteText::from(path.into_os_string());
        match self {
            Hierarchy::None(_) => (Vec::new(), None),
            Hierarchy::Two { folder, processors } => {
                let folder = folder.join(name);
                let cgroup = Cgroup {
                    folder: text(folder.clone()),
                    settings: settings_2(spec, *processors),
                    view: Some("/sys/fs/cgroup".into()),
                };
                (vec![cgroup], Some(text(folder.join("memory.events"))))
            }
            Hierarchy::One(folders) => {
                let cgroup = |(controller, folder): &(&str, PathBuf)| Cgroup {
                    folder: text(folder.join(&name)),
                    settings: settings_1(controller, spec),
                    view: Some(format!("/sys/fs/cgroup/{controller}")),
                };
                let memory = folders
                    .iter()
                    .find(|(controller, _)| *controller == "memory");
                let oom = memory.map(|(_, folder)| folder.join(&name).join("memory.oom_control"));
                (folders.iter().map(cgroup).collect(), oom.map(text))
            }
        }
    }

    fn folders(&self) -> Vec<&Path> {
        match self {
            Hierarchy::None(_) => Vec::new(),
            Hierarchy::Two { folder, .. } => vec![folder],
            Hierarchy::One(folders) => folders.iter().map(|(_, folder)| folder.as_path()).collect(),
        }
    }

    /// Removes our folders where no container is left in them.
    pub fn leave(&self) {
        for folder in self.folders() {
            // Another launcher's containers keep it.
            let _ = fs::remove_dir(folder);
        }
    }

    /// Removes the cgroups of launchers that are dead.
    pub fn sweep(&self) {
        for name in self.containers() {
            if launcher(&name).is_some_and(|(pid, start)| host::process_start(pid) != Some(start)) {
                // What cannot be removed now is swept another time.
                let _ = self.remove_within(&name, Duration::ZERO);
            }
        }
    }

    /// The names of the containers that there are, whoever's they are.
    pub fn containers(&self) -> BTreeSet<String> {
        self.folders()
            .into_iter()
            .flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| launcher(name).is_some())
            .collect()
    }

    /// Removes the cgroups of a container; one that is gone already is no error. Its processes are
    /// gone, or about to be: PID 1 ends with its monitor.
    ///
    /// # Errors
    /// It is none of ours, or lives.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        self.remove_within(name, guard::BUSY)
    }

    fn remove_within(&self, name: &str, patience: Duration) -> io::Result<()> {
        if launcher(name).is_none() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let folders = self.folders();
        let mut each = folders
            .iter()
            .map(|folder| guard::remove_within(&folder.join(name), patience));
        each.try_for_each(|removed| removed)
    }
}

/// A container's cgroups with the limits of another spec; `None` where they do not limit both memory
/// and processes.
pub fn resized(cgroups: &[Cgroup], spec: &ContainerSpec) -> Option<Vec<Cgroup>> {
    let limits = |controller| {
        let mut files = cgroups.iter().flat_map(|cgroup| &cgroup.settings);
        files.any(|(file, ..)| file.starts_with(controller))
    };
    if !(limits("memory.") && limits("pids.")) {
        return None;
    }
    let one = ["memory", "cpu"].map(|controller| settings_1(controller, spec));
    let all = [one.concat(), settings_2(spec, true)].concat();
    let resize = |cgroup: &Cgroup| {
        let value = |(file, ..): &(String, String, bool)| all.iter().find(|(of, ..)| of == file);
        Cgroup {
            settings: cgroup.settings.iter().filter_map(value).cloned().collect(),
            ..cgroup.clone()
        }
    };
    Some(cgroups.iter().map(resize).collect())
}

/// A container's name in each hierarchy.
fn name(owner: &Owner, number: u64) -> String {
    format!("{}-{}-{number}", owner.pid, owner.pid_start)
}

/// Whose container has this name: process id and start time; `None` for a name that is not of ours.
pub fn launcher(name: &str) -> Option<(u32, u64)> {
    let mut numbers = name.split('-');
    let pid = numbers.next()?.parse().ok()?;
    let start = numbers.next()?.parse().ok()?;
    let _: u64 = numbers.next()?.parse().ok()?;
    numbers.next().is_none().then_some((pid, start))
}

fn quota_us(cpus: f64) -> u64 {
    // The kernel takes no less than a millisecond.
    ((cpus * PERIOD_US as f64).round() as u64).max(1000)
}

/// What is written into the files of a controller of version 1. The memory limit comes before the
/// one of memory and swap together, which may not be lower.
fn settings_1(controller: &str, spec: &ContainerSpec) -> Vec<(String, String, bool)> {
    let set = |file: &str, value: u64| (file.to_owned(), value.to_string(), false);
    match controller {
        "memory" => vec![
            set("memory.limit_in_bytes", spec.memory_bytes),
            // Not there where the kernel does not count swap.
            (
                "memory.memsw.limit_in_bytes".into(),
                spec.memory_bytes.to_string(),
                true,
            ),
        ],
        "pids" => vec![set("pids.max", spec.pids)],
        "cpu" => vec![
            set("cpu.cfs_period_us", PERIOD_US),
            set("cpu.cfs_quota_us", quota_us(spec.cpus)),
        ],
        _ => Vec::new(),
    }
}

fn settings_2(spec: &ContainerSpec, processors: bool) -> Vec<(String, String, bool)> {
    let mut settings = vec![
        ("memory.max".into(), spec.memory_bytes.to_string(), false),
        // Not there where the kernel has no swap.
        ("memory.swap.max".into(), "0".into(), true),
        ("pids.max".into(), spec.pids.to_string(), false),
    ];
    if processors {
        let quota = format!("{} {PERIOD_US}", quota_us(spec.cpus));
        settings.push(("cpu.max".into(), quota, false));
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::docker::fake::spec;

    #[test]
    fn a_container_has_its_limits_in_each_version() {
        let mut spec = spec("dt-1", &["worker"]);
        spec.owner.pid = 7;
        spec.owner.pid_start = 8;
        let two = |processors| Hierarchy::Two {
            folder: "/c/docker-test".into(),
            processors,
        };
        let (cgroups, _) = two(false).plan(&spec, 3);
        let files: Vec<_> = cgroups[0].settings.iter().map(|(file, ..)| file).collect();
        assert_eq!(files, ["memory.max", "memory.swap.max", "pids.max"]);
        let two = two(true);
        let (cgroups, oom) = two.plan(&spec, 3);
        assert_eq!(cgroups[0].folder, "/c/docker-test/7-8-3".into());
        assert!(
            cgroups[0]
                .settings
                .contains(&("cpu.max".into(), "50000 100000".into(), false))
        );
        assert_eq!(oom, Some("/c/docker-test/7-8-3/memory.events".into()));
        let one = Hierarchy::One(vec![
            ("memory", "/m/docker-test".into()),
            ("cpuacct", "/a/docker-test".into()),
        ]);
        let (cgroups, oom) = one.plan(&spec, 3);
        let files: Vec<_> = cgroups[0].settings.iter().map(|(file, ..)| file).collect();
        assert_eq!(
            files,
            ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"]
        );
        assert_eq!(cgroups[1].view.as_deref(), Some("/sys/fs/cgroup/cpuacct"));
        assert_eq!(oom, Some("/m/docker-test/7-8-3/memory.oom_control".into()));
        assert!(!one.limits() && two.limits());
    }

    #[test]
    fn a_resized_container_has_other_limits_in_the_same_files() {
        let small = spec("dt-1", &["worker"]);
        let mut large = small.clone();
        (large.memory_bytes, large.cpus, large.pids) = (1 << 30, 2.0, 256);
        let folders = ["memory", "pids", "cpu", "cpuacct"];
        let folders = folders.map(|name| (name, Path::new("/c").join(name)));
        let one = Hierarchy::One(folders.to_vec());
        let two = |processors| Hierarchy::Two {
            folder: "/c/docker-test".into(),
            processors,
        };
        for hierarchy in [&one, &two(true), &two(false)] {
            let (before, _) = hierarchy.plan(&small, 3);
            let (after, _) = hierarchy.plan(&large, 3);
            assert_eq!(resized(&before, &large), Some(after.clone()));
            assert_eq!(resized(&after, &small), Some(before));
        }
        let without = Hierarchy::One(vec![("memory", "/m".into())]);
        for hierarchy in [without, Hierarchy::None(String::new())] {
            assert_eq!(resized(&hierarchy.plan(&small, 3).0, &large), None);
        }
    }

    #[test]
    fn only_what_is_ours_and_dead_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        let pid = std::process::id();
        let start = host::process_start(pid).unwrap();
        let alive = format!("{pid}-{start}-1");
        let dead = format!("{pid}-{}-1", start + 1);
        let others = ["1-2", "a-2-3", "1-2-3-4", "docker-test-launcher"];
        for name in [alive.as_str(), &dead].iter().chain(&others) {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let hierarchy = Hierarchy::Two {
            folder: folder.path().into(),
            processors: true,
        };
        let names = |list: &[&String]| list.iter().map(|name| (*name).clone()).collect();
        assert_eq!(hierarchy.containers(), names(&[&alive, &dead]));
        hierarchy.sweep();
        assert_eq!(hierarchy.containers(), names(&[&alive]));
        for name in others {
            assert!(folder.path().join(name).is_dir(), "{name}");
            hierarchy.remove(name).unwrap_err();
        }
        hierarchy.remove(&dead).unwrap();
    }
}
