//! The processes of a test: signalling, reaping and naming them.

use std::fs;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, SysconfVar, getpid, sysconf};

use crate::model::{ByteText, Termination};

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
                for pid in descendants(getpid()) {
                    let _ = kill(pid, signal);
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

    /// Every process of the test, reaped ones aside.
    fn pids(self) -> Vec<Pid> {
        match self {
            Reach::Namespace => all_pids().filter(|pid| *pid != getpid()).collect(),
            Reach::Descendants => descendants(getpid()),
        }
    }

    /// CPU time of the test's processes that are not reaped, and of those that they waited for, in
    /// microseconds; the kernel tells it to a hundredth of a second or so.
    pub fn cpu_us(self) -> u64 {
        let second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
        let ticks = |pid: Pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            cpu_ticks(&stat)
        };
        let all: u64 = self.pids().into_iter().filter_map(ticks).sum();
        all * 1_000_000 / second.max(1).unsigned_abs()
    }

    /// The names of the processes that are left.
    pub fn names(self) -> Vec<ByteText> {
        self.pids()
            .into_iter()
            .filter_map(|pid| {
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

/// User and system time of a process and of the children that it waited for, by its `stat` text.
fn cpu_ticks(stat: &str) -> Option<u64> {
    // The name is in parentheses and may hold anything; these are the twelfth field behind the last
    // of them and the next three.
    let fields = stat.rsplit_once(')')?.1.split_whitespace();
    let times = fields.skip(11).take(4).map(str::parse::<u64>);
    times.sum::<Result<u64, _>>().ok()
}

fn all_pids() -> impl Iterator<Item = Pid> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let name = entry.ok()?.file_name();
            name.to_str()?.parse().ok().map(Pid::from_raw)
        })
}

/// The living descendants of `root`, by /proc. Zombies count until they are reaped.
fn descendants(root: Pid) -> Vec<Pid> {
    let parents: Vec<(Pid, Pid)> = all_pids()
        .filter_map(|pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // The name is in parentheses and may hold anything; the parent is the second field
            // behind the last of them.
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?;
            Some((pid, Pid::from_raw(parent.parse().ok()?)))
        })
        .collect();
    let mut family = vec![root];
    let mut at = 0;
    while at < family.len() {
        let parent = family[at];
        family.extend(
            parents
                .iter()
                .filter(|(_, p)| *p == parent)
                .map(|(pid, _)| *pid),
        );
        at += 1;
    }
    family.split_off(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 100 200 3 4 10 20 300 4000 20 0 1 0 5 6 7";
        assert_eq!(cpu_ticks(stat), Some(4330));
        assert_eq!(cpu_ticks("7 (x) S 1"), Some(0));
        assert_eq!(cpu_ticks(""), None);
    }
}
