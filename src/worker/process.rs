//! The processes of a test: signalling, reaping and naming them.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, SysconfVar, getpid, sysconf};

use super::stat::Stat;
use crate::model::{ByteText, Termination};

/// Where the kernel shows processes.
pub const PROC: &str = "/proc";

/// How far our authority over processes goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// We are PID 1 of a namespace: every process but ourselves is the test's.
    Namespace,
    /// We adopt the orphans of our descendants; those are the test's.
    Descendants,
}

/// How long the kernel may take to let a killed process go.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

/// A reaped process.
pub struct Ended {
    /// Which one.
    pub pid: Pid,
    /// How.
    pub termination: Termination,
}

impl Reach {
    /// Finds out, and becomes the one who adopts orphans.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn establish() -> nix::Result<Self> {
        if getpid().as_raw() == 1 {
            return Ok(Reach::Namespace);
        }
        nix::sys::prctl::set_child_subreaper(true)?;
        Ok(Reach::Descendants)
    }

    /// Sends `signal` to every process of the test.
    pub fn signal_all(self, signal: Signal) {
        match self {
            // From PID 1, -1 means every other process of the namespace, at one moment.
            Reach::Namespace => {
                let _ = kill(Pid::from_raw(-1), signal);
            }
            Reach::Descendants => {
                for (pid, _) in self.processes(Path::new(PROC)) {
                    let _ = kill(Pid::from_raw(pid), signal);
                }
            }
        }
    }

    /// Whether any process of the test is left, reaped ones aside.
    pub fn any_left(self) -> bool {
        match self {
            Reach::Namespace => kill(Pid::from_raw(-1), None) != Err(Errno::ESRCH),
            // Whoever has no child has no descendant: orphans become our children.
            Reach::Descendants => {
                let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
                waitid(Id::All, flags) != Err(Errno::ECHILD)
            }
        }
    }

    /// Every process of the test that `proc` shows, reaped ones aside.
    pub fn processes(self, proc: &Path) -> Vec<(i32, Stat)> {
        self.processes_until(proc, None).unwrap_or_default()
    }

    /// The same, or `None` where they cannot be listed, or not until `deadline`.
    pub fn processes_until(
        self,
        proc: &Path,
        deadline: Option<Instant>,
    ) -> Option<Vec<(i32, Stat)>> {
        let own = getpid().as_raw();
        let mut all = Vec::new();
        for pid in listed(proc)?.filter(|pid| *pid != own) {
            if is_over(deadline) {
                return None;
            }
            // What has vanished since it was listed has no `stat`.
            all.extend(Stat::read(proc, pid).map(|stat| (pid, stat)));
        }
        Some(match self {
            Reach::Namespace => all,
            Reach::Descendants => descendants(own, &all),
        })
    }

    /// CPU time of the test's processes that are not reaped, and of those that they waited for, in
    /// microseconds; the kernel tells it to a hundredth of a second or so.
    pub fn cpu_us(self) -> u64 {
        let processes = self.processes(Path::new(PROC));
        ticks_us(processes.iter().map(|(_, stat)| stat.ticks).sum())
    }

    /// The names of the processes that are left.
    pub fn names(self) -> Vec<ByteText> {
        self.processes(Path::new(PROC))
            .into_iter()
            .filter_map(|(pid, _)| {
                let mut name = fs::read(format!("/proc/{pid}/comm")).ok()?;
                name.pop();
                Some(ByteText::from(name))
            })
            .collect()
    }

    /// Kills and reaps every process of the test, and says whether none is left.
    pub fn kill_all(self) -> bool {
        let deadline = Instant::now() + KILL_PATIENCE;
        loop {
            self.signal_all(Signal::SIGKILL);
            while reap().is_some() {}
            if !self.any_left() {
                return true;
            }
            if Instant::now() > deadline {
                return false;
            }
            // A killed process needs a moment to end; nothing announces the end of one that is
            // not our child yet.
            std::thread::sleep(Duration::from_micros(50));
        }
    }
}

/// Clock ticks in microseconds.
pub fn ticks_us(ticks: u64) -> u64 {
    let second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
    ticks * 1_000_000 / second.max(1).unsigned_abs()
}

/// Reaps one ended child, if there is one.
pub fn reap() -> Option<Ended> {
    let mut status = 0;
    // SAFETY: a plain system call that fills in a local.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
    if pid <= 0 {
        return None;
    }
    let termination = if libc::WIFSIGNALED(status) {
        Termination::Signal(libc::WTERMSIG(status))
    } else {
        Termination::Exit(libc::WEXITSTATUS(status))
    };
    Some(Ended {
        pid: Pid::from_raw(pid),
        termination,
    })
}

/// Whether there is a deadline and it has passed.
pub fn is_over(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| Instant::now() >= deadline)
}

/// The processes that the kernel shows in `proc`; `None` where it cannot be read.
fn listed(proc: &Path) -> Option<impl Iterator<Item = i32>> {
    let entries = fs::read_dir(proc).ok()?;
    Some(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()))
}

/// The descendants of `root` among `all`. Zombies count until they are reaped.
fn descendants(root: i32, all: &[(i32, Stat)]) -> Vec<(i32, Stat)> {
    let mut by_parent = all.to_vec();
    by_parent.sort_by_key(|(_, stat)| stat.parent);
    let children = |of: i32| {
        let from = by_parent.partition_point(|(_, stat)| stat.parent < of);
        let of_it = by_parent[from..].iter();
        of_it.take_while(move |(_, stat)| stat.parent == of)
    };
    let mut family: Vec<(i32, Stat)> = children(root).copied().collect();
    let mut at = 0;
    while let Some((parent, _)) = family.get(at) {
        family.extend(children(*parent));
        at += 1;
    }
    family
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descendants_of_every_generation_and_nobody_else() {
        let of = |(pid, parent)| {
            let stat = Stat {
                zombie: false,
                parent,
                threads: 1,
                ticks: 0,
            };
            (pid, stat)
        };
        let all = [(1, 0), (7, 1), (12, 9), (8, 7), (9, 8), (10, 1), (11, 7)].map(of);
        let found: Vec<i32> = descendants(7, &all).iter().map(|(pid, _)| *pid).collect();
        assert_eq!(found, [8, 11, 9, 12]);
        assert_eq!(descendants(12, &all), []);
    }

    /// Its cost must not grow with the square of their number.
    #[test]
    fn a_hundred_thousand_descendants_are_found_at_once() {
        let of = |pid| {
            let stat = Stat {
                zombie: false,
                parent: pid - 1,
                threads: 1,
                ticks: 0,
            };
            (pid, stat)
        };
        let all: Vec<_> = (2..100_002).rev().map(of).collect();
        let started = Instant::now();
        assert_eq!(descendants(1, &all).len(), 100_000);
        assert!(started.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn who_cannot_be_listed_in_time_is_not_nobody() {
        let nowhere = tempfile::tempdir().unwrap().path().join("none");
        assert_eq!(Reach::Namespace.processes_until(&nowhere, None), None);
        let proc = Path::new(PROC);
        let now = Some(Instant::now());
        assert_eq!(Reach::Namespace.processes_until(proc, now), None);
        let all = Reach::Namespace.processes_until(proc, None);
        assert!(all.is_some_and(|all| !all.is_empty()));
    }
}
