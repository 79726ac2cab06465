//! The machine's own processes and cgroups, as they are seen from outside of every container.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Project, wait_until};

/// How long something may take that an engine does, on a busy machine.
pub const SOON: Duration = Duration::from_secs(30);

/// A command line that no other process has, which sleeps a little longer than `seconds`: so it is
/// found in the machine's own list of processes, in whatever container it runs.
pub fn sleep_of(seconds: u32) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("sleep {seconds}.000{}{number:03}", std::process::id())
}

/// The machine's process that has this command line, if there is one.
pub fn process(command: &str) -> Option<Pid> {
    let words: Vec<&str> = command.split(' ').collect();
    processes().find(|pid| command_line(*pid) == words)
}

/// Waits for it.
pub fn wait_for(command: &str) -> Pid {
    let mut found = None;
    wait_until(command, SOON, || {
        found = process(command);
        found.is_some()
    });
    found.unwrap()
}

pub fn processes() -> impl Iterator<Item = Pid> {
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            Some(Pid::from_raw(number))
        })
}

/// A process's arguments; none of one that has ended.
pub fn command_line(pid: Pid) -> Vec<String> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let text = String::from_utf8_lossy(&line);
    text.split_terminator('\0').map(str::to_owned).collect()
}

/// The words of one line of a process's status.
pub fn status(pid: Pid, name: &str) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_default()
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

pub fn parent(pid: Pid) -> Option<Pid> {
    status(pid, "PPid:")
        .first()?
        .parse()
        .ok()
        .map(Pid::from_raw)
}

/// Process 1 of the container that this process runs in.
pub fn supervisor_of(pid: Pid) -> Pid {
    let above = std::iter::successors(Some(pid), |pid| parent(*pid));
    let first = |pid: &Pid| {
        let numbers = status(*pid, "NSpid:");
        numbers.len() > 1 && numbers.last().is_some_and(|number| number == "1")
    };
    above.into_iter().find(first).unwrap()
}

pub fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id() as i32), signal).unwrap();
}

/// The embedded engine's monitors of this project's runs. Each has one container below it.
pub fn monitors_of(project: &Project) -> Vec<Pid> {
    let folder = project.path().canonicalize().unwrap();
    let is_one = |pid: &Pid| {
        command_line(*pid)
            .get(1)
            .is_some_and(|word| word == "sandbox-monitor")
            && fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(&folder))
    };
    processes().filter(is_one).collect()
}

/// The processes that see this project's folder mounted somewhere: those in its containers. Only
/// root can ask every process.
pub fn inside(project: &Project) -> Vec<Pid> {
    let name = project.path().file_name().unwrap().to_str().unwrap();
    let sees = |pid: &Pid| {
        let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo"));
        mounts.is_ok_and(|text| text.contains(name))
    };
    // A test may mount something there.
    let ours = fs::read_to_string("/proc/self/mountinfo").unwrap();
    match ours.contains(name) {
        true => Vec::new(),
        false => processes().filter(sees).collect(),
    }
}

/// The cgroups that the embedded engine has made for the containers of these launchers.
pub fn cgroups_of(launchers: &[u32]) -> Vec<PathBuf> {
    let of_them = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let owner = name.split('-').next().unwrap_or_default();
        launchers.iter().any(|pid| pid.to_string() == owner)
    };
    let mut found = Vec::new();
    for folder in folders_named("docker-test", Path::new("/sys/fs/cgroup")) {
        found.extend(subfolders(&folder).into_iter().filter(of_them));
    }
    found
}

fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

fn folders_named(name: &str, below: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in subfolders(below) {
        if folder.file_name().is_some_and(|own| own == name) {
            found.push(folder);
        } else {
            found.extend(folders_named(name, &folder));
        }
    }
    found
}
