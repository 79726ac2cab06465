//! What belongs to the worker's own namespaces: IPC objects, sockets, mounts.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use nix::dir::Dir;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{Mode, fchmod, fstat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::{Cleaned, ipc};
use crate::model::{ByteText, Leak};

/// How long sockets of killed processes may take to close.
const SOCKET_PATIENCE: Duration = Duration::from_secs(1);

/// The sockets of a connection to a run's socket. The kernel makes the run's end of it in our
/// namespace, too.
const CONNECTION: u64 = 2;

/// Where message queues are: /dev/mqueue.
const QUEUES: &str = "/dev/mqueue";

/// The folder of the message queues. In a user namespace with one user it is the tests' own, who can
/// close it to the next test.
struct Queues {
    dir: Dir,
    mode: u32,
}

impl Queues {
    fn open(path: &str) -> Option<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let dir = Dir::open(path, flags, Mode::empty()).ok()?;
        let mode = fstat(dir.as_fd()).ok()?.st_mode;
        Some(Queues { dir, mode })
    }

    /// Puts its mode back; whether that was needed.
    fn restore(&self) -> nix::Result<bool> {
        let changed = fstat(self.dir.as_fd())?.st_mode != self.mode;
        if changed {
            fchmod(self.dir.as_fd(), Mode::from_bits_truncate(self.mode))?;
        }
        Ok(changed)
    }

    fn names(&mut self) -> Vec<CString> {
        let entries = self.dir.iter().flatten();
        entries
            .map(|entry| entry.file_name().to_owned())
            .filter(|name| !matches!(name.to_bytes(), b"." | b".."))
            .collect()
    }

    /// Opens it again to everybody it was open to, and removes every queue.
    fn reset(&mut self, cleaned: &mut Cleaned) {
        match self.restore() {
            Ok(false) => {}
            Ok(true) => cleaned.leaks.push(Leak::Attributes {
                place: QUEUES.into(),
            }),
            Err(error) => cleaned.unclean = Some(format!("cannot restore {QUEUES}: {error}")),
        }
        for name in self.names() {
            let removed = unlinkat(
                self.dir.as_fd(),
                name.as_c_str(),
                UnlinkatFlags::NoRemoveDir,
            );
            if let Err(error) = removed {
                cleaned.unclean = Some(format!("a message queue cannot be removed: {error}"));
            }
            let name = ByteText::from(name.into_bytes());
            cleaned.leaks.push(Leak::MessageQueue { name });
        }
    }
}

/// Open views of the namespaces, with their baseline.
pub struct Sealed {
    queues: Option<Queues>,
    sockstat: Option<File>,
    sockets: u64,
    mounts: File,
}

impl Sealed {
    /// Takes the baseline. `dials`: during tests there will be a connection that is not there yet.
    ///
    /// # Errors
    /// /proc is not there.
    pub fn new(dials: bool) -> Result<Self, String> {
        let mounts = File::open("/proc/self/mountinfo")
            .map_err(|error| format!("cannot open /proc/self/mountinfo: {error}"))?;
        let sockstat = File::open("/proc/net/sockstat").ok();
        Ok(Sealed {
            queues: Queues::open(QUEUES),
            sockets: sockstat.as_ref().and_then(sockets).unwrap_or(0)
                + if dials { CONNECTION } else { 0 },
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
        if let Some(queues) = &mut self.queues {
            queues.reset(cleaned);
        }
        self.settle_sockets(cleaned);
        if self.mounts_changed() {
            cleaned.unclean = Some("a mount was changed".into());
        }
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
    fn a_closed_folder_of_queues_is_opened_again() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let mut queues = Queues::open(folder.path().to_str().unwrap()).unwrap();
        let mode = || folder.path().metadata().unwrap().permissions().mode();
        let before = mode();
        let mut cleaned = Cleaned::default();
        queues.reset(&mut cleaned);
        assert_eq!((cleaned.leaks.len(), mode()), (0, before));
        std::fs::write(folder.path().join("queue"), "").unwrap();
        let closed = std::fs::Permissions::from_mode(0o000);
        std::fs::set_permissions(folder.path(), closed).unwrap();
        queues.reset(&mut cleaned);
        assert_eq!((cleaned.unclean, mode()), (None, before));
        let leaks: Vec<String> = cleaned.leaks.iter().map(Leak::to_string).collect();
        assert_eq!(
            leaks,
            ["changed attributes of /dev/mqueue", "message queue queue"]
        );
    }

    #[test]
    fn sockets_of_every_state_count() {
        let text =
            "sockets: used 3\nTCP: inuse 0 orphan 1 tw 2 alloc 9 mem 0\nUDP: inuse 0 mem 0\n";
        assert_eq!(count_sockets(text), Some(6));
        assert_eq!(count_sockets("garbage"), None);
    }
}
