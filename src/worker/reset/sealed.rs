//! What belongs to the worker's own namespaces: IPC objects, sockets, mounts.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use nix::dir::Dir;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::{Cleaned, ipc};
use crate::model::{ByteText, Leak};

/// How long sockets of killed processes may take to close.
const SOCKET_PATIENCE: Duration = Duration::from_secs(1);

/// Open views of the namespaces, with their baseline.
pub struct Sealed {
    queues: Option<Dir>,
    sockstat: Option<File>,
    sockets: u64,
    mounts: File,
}

impl Sealed {
    /// Takes the baseline.
    ///
    /// # Errors
    /// /proc is not there.
    pub fn new() -> Result<Self, String> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mounts = File::open("/proc/self/mountinfo")
            .map_err(|error| format!("cannot open /proc/self/mountinfo: {error}"))?;
        let sockstat = File::open("/proc/net/sockstat").ok();
        Ok(Sealed {
            queues: Dir::open("/dev/mqueue", flags, Mode::empty()).ok(),
            sockets: sockstat.as_ref().and_then(sockets).unwrap_or(0),
            sockstat,
            mounts,
        })
    }

    /// Removes, waits and checks.
    pub fn reset(&mut self, cleaned: &mut Cleaned) {
        let found = ipc::remove_all();
        if !found.is_empty() && !ipc::is_empty() {
            cleaned.unclean = Some("a System V IPC object cannot be removed".into());
        }
        cleaned.leaks.extend(found);
        for name in self.queue_names() {
            if let Some(dir) = &self.queues
                && let Err(error) =
                    unlinkat(dir.as_fd(), name.as_c_str(), UnlinkatFlags::NoRemoveDir)
            {
                cleaned.unclean = Some(format!("a message queue cannot be removed: {error}"));
            }
            let name = ByteText::from(name.into_bytes());
            cleaned.leaks.push(Leak::MessageQueue { name });
        }
        self.settle_sockets(cleaned);
        if self.mounts_changed() {
            cleaned.unclean = Some("a mount was changed".into());
        }
    }

    fn queue_names(&mut self) -> Vec<CString> {
        let entries = self.queues.iter_mut().flat_map(|dir| dir.iter().flatten());
        entries
            .map(|entry| entry.file_name().to_owned())
            .filter(|name| !matches!(name.to_bytes(), b"." | b".."))
            .collect()
    }

    /// Sockets of a killed process close in their own time, a few milliseconds at most on loopback.
    fn settle_sockets(&self, cleaned: &mut Cleaned) {
        let extra = || {
            let count = self.sockstat.as_ref().and_then(sockets)?;
            count.checked_sub(self.sockets).filter(|extra| *extra > 0)
        };
        let Some(count) = extra() else { return };
        let deadline = Instant::now() + SOCKET_PATIENCE;
        while extra().is_some() {
            if Instant::now() > deadline {
                cleaned.unclean = Some("a socket outlives every process".into());
                cleaned.leaks.push(Leak::Sockets { count });
                return;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// The kernel marks the file when the mount table changes after it was opened.
    fn mounts_changed(&self) -> bool {
        let mut fds = [PollFd::new(self.mounts.as_fd(), PollFlags::POLLPRI)];
        poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }
}

/// Sockets of the network namespace, those that wait for a late packet included.
fn sockets(file: &File) -> Option<u64> {
    let mut buffer = [0; 1024];
    let size = file.read_at(&mut buffer, 0).ok()?;
    count_sockets(std::str::from_utf8(&buffer[..size]).ok()?)
}

/// From the text of /proc/net/sockstat: sockets in use, orphans and those in TIME_WAIT.
fn count_sockets(text: &str) -> Option<u64> {
    let number = |line: &str, key: &str| {
        let mut words = line.split_whitespace();
        words.find(|word| *word == key)?;
        words.next()?.parse::<u64>().ok()
    };
    let used = text
        .lines()
        .find_map(|line| number(line.strip_prefix("sockets:")?, "used"))?;
    let tcp = text
        .lines()
        .find_map(|line| line.strip_prefix("TCP:"))
        .unwrap_or("");
    Some(used + number(tcp, "orphan").unwrap_or(0) + number(tcp, "tw").unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_of_every_state_count() {
        let text =
            "sockets: used 3\nTCP: inuse 0 orphan 1 tw 2 alloc 9 mem 0\nUDP: inuse 0 mem 0\n";
        assert_eq!(count_sockets(text), Some(6));
        assert_eq!(count_sockets("garbage"), None);
    }
}
