//! The kernel's counter of a container's memory peak, from outside: read and reset.
//!
//! Version 1 resets it for everybody who reads it. Version 2, from Linux 6.12 on, lets it start anew
//! for the descriptor that was written to, and for no other, so it is kept open.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The counter's file in each version, the newer one first.
const FILES: [&str; 2] = ["memory.peak", "memory.max_usage_in_bytes"];

/// What a counter said before it started anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The highest memory since it last started anew, in bytes; absent the first time.
    pub bytes: Option<u64>,
    /// Where it starts now, in bytes: the memory at this moment.
    pub from: u64,
}

/// A container's counter.
pub struct PeakCounter {
    state: State,
}

enum State {
    /// Not needed yet: how to find the container's cgroup, the memory controller's in version 1.
    Closed(Box<dyn FnOnce() -> Option<PathBuf> + Send>),
    /// Open; the second says that we have reset it before.
    Open(File, bool),
    /// There is none, or the kernel refuses.
    Broken,
}

impl PeakCounter {
    /// The counter in the cgroup that `find` finds, which is asked when the counter is first taken.
    pub fn new(find: impl FnOnce() -> Option<PathBuf> + Send + 'static) -> Self {
        PeakCounter {
            state: State::Closed(Box::new(find)),
        }
    }

    /// Reads it and lets it start anew. `None` where that cannot be done, now and ever after.
    pub fn take(&mut self) -> Option<Taken> {
        let state = std::mem::replace(&mut self.state, State::Broken);
        let (file, reset_before) = match state {
            State::Closed(find) => (open(&find()?)?, false),
            State::Open(file, reset_before) => (file, reset_before),
            State::Broken => return None,
        };
        let bytes = read(&file)?;
        file.write_all_at(b"0\n", 0).ok()?;
        let from = read(&file)?;
        self.state = State::Open(file, true);
        Some(Taken {
            bytes: reset_before.then_some(bytes),
            from,
        })
    }
}

fn open(cgroup: &Path) -> Option<File> {
    FILES.into_iter().find_map(|name| {
        let mut options = OpenOptions::new();
        options.read(true).write(true).open(cgroup.join(name)).ok()
    })
}

fn read(file: &File) -> Option<u64> {
    let mut buffer = [0; 64];
    let size = file.read_at(&mut buffer, 0).ok()?;
    let text = std::str::from_utf8(&buffer[..size]).ok()?;
    text.lines().next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(folder: &Path) -> PeakCounter {
        let folder = folder.to_path_buf();
        PeakCounter::new(move || Some(folder))
    }

    #[test]
    fn the_first_time_it_only_starts_anew() {
        for name in FILES {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join(name);
            std::fs::write(&file, "314572800\n").unwrap();
            let mut counter = counter(folder.path());
            let first = Taken {
                bytes: None,
                from: 0,
            };
            assert_eq!(counter.take(), Some(first), "{name}");
            std::fs::write(&file, "104857600\n").unwrap();
            let second = Taken {
                bytes: Some(104_857_600),
                from: 0,
            };
            assert_eq!(counter.take(), Some(second), "{name}");
        }
    }

    /// The real one, of a group of our own, where we may make one.
    #[test]
    fn the_kernel_lets_it_start_anew() {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let Some(root) = super::super::cgroupfs::memory_root(&mounts) else {
            return;
        };
        let group = root.join(format!("docker-test-peak-{}", std::process::id()));
        if std::fs::create_dir(&group).is_err() {
            return;
        }
        let taken = [(); 2].map(|()| counter(&group).take());
        let mut counter = counter(&group);
        let again = [counter.take(), counter.take()];
        let version_1 = group.join(FILES[1]).exists();
        std::fs::remove_dir(&group).unwrap();
        // Version 2 without the memory controller, or before Linux 6.12, has none to reset.
        if version_1 || taken[0].is_some() {
            let nothing = |bytes| Some(Taken { bytes, from: 0 });
            assert_eq!(taken, [nothing(None); 2]);
            assert_eq!(again, [nothing(None), nothing(Some(0))]);
        }
        assert_eq!(counter.take(), None, "its cgroup is gone");
    }

    #[test]
    fn what_cannot_be_done_is_not_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILES[1]);
        let mut counter = counter(folder.path());
        assert_eq!(counter.take(), None);
        assert!(!file.exists(), "it makes no file");
        std::fs::write(&file, "1\n").unwrap();
        assert_eq!(counter.take(), None);
        assert_eq!(PeakCounter::new(|| None).take(), None);
        let garbage = tempfile::tempdir().unwrap();
        std::fs::write(garbage.path().join(FILES[0]), "max\n").unwrap();
        assert_eq!(self::counter(garbage.path()).take(), None);
    }

    #[test]
    fn nothing_is_looked_for_before_it_is_needed() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let mut counter = PeakCounter::new(move || {
            sender.send(()).ok()?;
            None
        });
        assert!(receiver.try_recv().is_err());
        counter.take();
        assert!(receiver.try_recv().is_ok());
    }
}
