//! Cgroups, written directly: which there are, what a container's are, making and removing them.
//!
//! All containers' cgroups lie in one folder of ours in each hierarchy, and their names say whose
//! they are: a launcher's process id and start time. Whoever comes later sweeps those of the dead.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use super::super::{ContainerSpec, Owner};
use super::plan::{Cgroup, Obstacle};
use crate::host;
use crate::model::ByteText;

/// The folder of ours in a hierarchy.
const OURS: &str = "docker-test";
/// Where the processes of a delegated group go: a group with processes of its own has no limits to
/// give.
const LEAF: &str = "docker-test-launcher";
/// The kernel's period of CPU quotas, in microseconds.
const PERIOD_US: u64 = 100_000;
/// How often a folder that others remove is made again.
const TRIES: u32 = 10;
/// How long a cgroup may stay busy after its last process ended.
const BUSY: Duration = Duration::from_secs(2);

/// What this machine lets us limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hierarchy {
    /// Version 1: one folder of ours for each of these controllers.
    One(Vec<(&'static str, PathBuf)>),
    /// Version 2: one folder of ours.
    Two(PathBuf),
    /// Nothing, and why: one safe line.
    None(String),
}

/// What is limited or counted.
const CONTROLLERS_1: [&str; 5] = ["memory", "pids", "cpu", "cpuacct", "blkio"];
const CONTROLLERS_2: [&str; 3] = ["memory", "pids", "cpu"];

impl Hierarchy {
    /// Finds out, and makes our folders.
    pub fn discover() -> Self {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        match host::cgroup_version() {
            Some(2) => two(&mounts, &own),
            Some(_) => one(&mounts),
            None => Hierarchy::None("no cgroup hierarchy is mounted".into()),
        }
    }

    /// Whether memory and processes of a container can be limited as a whole.
    pub fn limits(&self) -> bool {
        match self {
            Hierarchy::One(folders) => ["memory", "pids"]
                .iter()
                .all(|wanted| folders.iter().any(|(name, _)| name == wanted)),
            Hierarchy::Two(_) => true,
            Hierarchy::None(_) => false,
        }
    }

    /// The cgroups of a container of this number, and the file that counts kills.
    pub fn plan(&self, spec: &ContainerSpec, number: u64) -> (Vec<Cgroup>, Option<ByteText>) {
        let name = name(&spec.owner, number);
        let text = |path: PathBuf| ByteText::from(path.into_os_string());
        match self {
            Hierarchy::None(_) => (Vec::new(), None),
            Hierarchy::Two(folder) => {
                let folder = folder.join(name);
                let cgroup = Cgroup {
                    folder: text(folder.clone()),
                    settings: settings_2(spec),
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
            Hierarchy::Two(folder) => vec![folder],
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

    /// Removes the cgroups of launchers that are dead, and says how many containers these were.
    pub fn sweep(&self) -> usize {
        let mut swept = 0;
        for (index, folder) in self.folders().into_iter().enumerate() {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            for entry in entries.filter(|entry| is_dead(&entry.file_name().to_string_lossy())) {
                // Its processes are gone, or about to be: PID 1 ends with its monitor.
                let removed = remove(&entry.path());
                swept += usize::from(removed.is_ok() && index == 0);
            }
        }
        swept
    }
}

/// A container's name in each hierarchy.
fn name(owner: &Owner, number: u64) -> String {
    format!("{}-{}-{number}", owner.pid, owner.pid_start)
}

/// Whether a name of ours is that of a launcher that is gone.
fn is_dead(name: &str) -> bool {
    let mut numbers = name.split('-').map(str::parse::<u64>);
    let (Some(Ok(pid)), Some(Ok(start)), Some(Ok(_)), None) = (
        numbers.next(),
        numbers.next(),
        numbers.next(),
        numbers.next(),
    ) else {
        return false;
    };
    u32::try_from(pid).is_ok_and(|pid| host::process_start(pid) != Some(start))
}

/// Where filesystems of this kind are mounted, with their options, by a `mountinfo` text.
fn mounted<'a>(mounts: &'a str, kind: &str) -> Vec<(&'a str, &'a str)> {
    let read = |line: &'a str| {
        let (before, after) = line.split_once(" - ")?;
        let mut after = after.split(' ');
        (after.next()? == kind).then_some((before.split(' ').nth(4)?, after.nth(1)?))
    };
    mounts.lines().filter_map(read).collect()
}

fn one(mounts: &str) -> Hierarchy {
    let mounted = mounted(mounts, "cgroup");
    let mut folders = Vec::new();
    let mut problem = None;
    for controller in CONTROLLERS_1 {
        let has = |options: &str| options.split(',').any(|option| option == controller);
        let Some((place, _)) = mounted.iter().find(|(_, options)| has(options)) else {
            continue;
        };
        let folder = Path::new(place).join(OURS);
        match make(&folder) {
            Ok(()) => folders.push((controller, folder)),
            Err(error) => problem = Some(format!("{} cannot be made: {error}", folder.display())),
        }
    }
    if folders.is_empty() {
        let why = problem.unwrap_or_else(|| "no controller is mounted".into());
        return Hierarchy::None(format!("cgroup version 1: {why}"));
    }
    Hierarchy::One(folders)
}

fn two(mounts: &str, own: &str) -> Hierarchy {
    let Some((root, _)) = mounted(mounts, "cgroup2").first().copied() else {
        return Hierarchy::None("cgroup version 2: it is not mounted".into());
    };
    let root = Path::new(root);
    // What is written at the root reaches everything; whoever may not writes below its own group.
    let base = if access(&root.join("cgroup.subtree_control"), AccessFlags::W_OK).is_ok() {
        root.to_path_buf()
    } else {
        own_group(root, own)
    };
    let folder = base.join(OURS);
    let made = delegate(&base)
        .and_then(|()| make(&folder))
        .and_then(|()| delegate(&folder));
    match made {
        Ok(()) => Hierarchy::Two(folder),
        Err(error) => Hierarchy::None(format!(
            "cgroup version 2: {} is not ours to divide: {error}",
            base.display()
        )),
    }
}

/// Our own group of version 2, by a `/proc/self/cgroup` text; the one above where an earlier
/// launcher moved us into a leaf.
fn own_group(root: &Path, own: &str) -> PathBuf {
    let path = own.lines().find_map(|line| line.strip_prefix("0::"));
    let path = Path::new(path.unwrap_or("/"));
    let path = match path.file_name() {
        Some(name) if name == LEAF => path.parent().unwrap_or(path),
        _ => path,
    };
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// Lets the groups below `folder` have limits.
fn delegate(folder: &Path) -> io::Result<()> {
    let control = folder.join("cgroup.subtree_control");
    let missing = |file: &Path| {
        let there = fs::read_to_string(file).unwrap_or_default();
        let there: Vec<&str> = there.split_whitespace().collect();
        let missing = CONTROLLERS_2.iter().filter(|name| !there.contains(name));
        missing.map(|name| format!("+{name}")).collect::<Vec<_>>()
    };
    let wanted = missing(&control);
    if wanted.is_empty() {
        return Ok(());
    }
    if let Some(absent) = missing(&folder.join("cgroup.controllers")).first() {
        let name = &absent[1..];
        return Err(io::Error::other(format!("it has no {name} controller")));
    }
    let enable = || fs::write(&control, wanted.join(" "));
    match enable() {
        Err(error) if error.raw_os_error() == Some(Errno::EBUSY as i32) => {
            move_processes(folder)?;
            enable()
        }
        done => done,
    }
}

/// Moves the processes of a group into a leaf of it.
fn move_processes(folder: &Path) -> io::Result<()> {
    let leaf = folder.join(LEAF);
    make(&leaf)?;
    for pid in fs::read_to_string(folder.join("cgroup.procs"))?.lines() {
        match fs::write(leaf.join("cgroup.procs"), pid) {
            // It ended meanwhile.
            Err(error) if error.raw_os_error() == Some(Errno::ESRCH as i32) => {}
            done => done?,
        }
    }
    Ok(())
}

/// Makes a folder that we can make others in; it may be there, and may be somebody else's.
fn make(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Ok(access(folder, AccessFlags::W_OK)?)
        }
        made => made,
    }
}

/// Makes a container's folder, and ours above it where it is gone: a launcher that ends removes it
/// while it is empty.
fn make_below(folder: &Path) -> io::Result<()> {
    for _ in 0..TRIES {
        match fs::create_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let ours = folder.parent().unwrap_or(folder);
                make(ours)?;
                if ours.join("cgroup.subtree_control").exists() {
                    delegate(ours)?;
                }
            }
            made => return made,
        }
    }
    fs::create_dir(folder)
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

fn settings_2(spec: &ContainerSpec) -> Vec<(String, String, bool)> {
    vec![
        ("memory.max".into(), spec.memory_bytes.to_string(), false),
        // Not there where the kernel has no swap.
        ("memory.swap.max".into(), "0".into(), true),
        ("pids.max".into(), spec.pids.to_string(), false),
        (
            "cpu.max".into(),
            format!("{} {PERIOD_US}", quota_us(spec.cpus)),
            false,
        ),
    ]
}

/// Kills for want of memory that a counter file has seen; 0 where there is none.
pub fn oom_kills(file: Option<&ByteText>) -> u64 {
    let read = |file: &ByteText| {
        let text = fs::read_to_string(file.as_os_str()).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        line?.trim().parse().ok()
    };
    file.and_then(read).unwrap_or(0)
}

/// The cgroups of one container, removed at the end.
pub struct Guard(Vec<PathBuf>);

impl Guard {
    /// Makes them with their limits.
    ///
    /// # Errors
    /// The kernel refuses; nothing is left then.
    pub fn make(cgroups: &[Cgroup]) -> Result<Self, Obstacle> {
        let failed = |step: String| {
            move |error: io::Error| Obstacle {
                step,
                errno: error.raw_os_error().unwrap_or(0),
            }
        };
        let mut guard = Guard(Vec::new());
        for cgroup in cgroups {
            let folder = PathBuf::from(cgroup.folder.as_os_str());
            let shown = cgroup.folder.to_string();
            let made = make_below(&folder);
            made.map_err(failed(format!("make the cgroup {shown}")))?;
            guard.0.push(folder.clone());
            for (file, value, may_miss) in &cgroup.settings {
                let path = folder.join(file);
                match fs::write(&path, value) {
                    Err(_) if *may_miss && !path.exists() => {}
                    done => done.map_err(failed(format!("write {value} to {shown}/{file}")))?,
                }
            }
        }
        Ok(guard)
    }

    /// The cgroup of version 2, for a process to be born in.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn birthplace(&self) -> Result<Option<File>, Obstacle> {
        let folder = self.0.first();
        let Some(folder) = folder.filter(|folder| !folder.join("tasks").exists()) else {
            return Ok(None);
        };
        File::open(folder).map(Some).map_err(|error| Obstacle {
            step: format!("open the cgroup {}", folder.display()),
            errno: error.raw_os_error().unwrap_or(0),
        })
    }
}

/// Joins the cgroups of version 1. A thread that moves itself does not wait for all processors, as
/// moving another process does.
///
/// # Errors
/// The kernel refuses.
pub fn join(cgroups: &[Cgroup]) -> Result<(), Obstacle> {
    for cgroup in cgroups {
        let tasks = Path::new(cgroup.folder.as_os_str()).join("tasks");
        match fs::write(tasks, "0") {
            // Of version 2, where we were born.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            joined => joined.map_err(|error| Obstacle {
                step: format!("join the cgroup {}", cgroup.folder),
                errno: error.raw_os_error().unwrap_or(0),
            })?,
        }
    }
    Ok(())
}

impl Drop for Guard {
    fn drop(&mut self) {
        for folder in &self.0 {
            // What cannot be removed is swept at a later start.
            let _ = remove(folder);
        }
    }
}

/// Removes the cgroups of a container whose monitor could not.
pub fn remove_all(cgroups: &[Cgroup]) {
    let folders = cgroups
        .iter()
        .map(|cgroup| cgroup.folder.as_os_str().into());
    drop(Guard(folders.collect()));
}

/// Removes a cgroup, whose last processes may still be ending.
fn remove(folder: &Path) -> io::Result<()> {
    let deadline = Instant::now() + BUSY;
    loop {
        match fs::remove_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error)
                if error.raw_os_error() == Some(Errno::EBUSY as i32)
                    && Instant::now() < deadline =>
            {
                std::thread::sleep(Duration::from_millis(1));
            }
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests;
