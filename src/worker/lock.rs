//! Keeps tests from a file that the supervisor, who is the same user, must read: Landlock.
//!
//! Its rules only allow. So everything is allowed but what lies on the way to the file: all other
//! entries of its folder, of the folder above, and so on up to the root, as they are when the worker
//! starts.

use std::fs::{self, File};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use landlock::{AccessFs, BitFlags, Ruleset, RulesetAttr, RulesetCreatedAttr, path_beneath_rules};
use nix::libc;

/// A set of rules that a process takes on before it becomes a test.
pub struct Lock(OwnedFd);

impl Lock {
    /// Rules that close a file, which need not be there yet; `None` where the kernel has no such
    /// rules.
    pub fn on(secret: &Path) -> Option<Self> {
        // The second right is taken from whoever does not name it: links and moves between folders.
        let rights: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::Refer;
        let rules = Ruleset::default().handle_access(rights).ok()?;
        let rules = rules.create().ok()?;
        let rules = rules.add_rules(path_beneath_rules(others(secret), rights));
        let fd: Option<OwnedFd> = rules.ok()?.into();
        fd.map(Lock)
    }

    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Whether it keeps us from the file: tried in a thread, which alone takes the rules on.
    pub fn holds(&self, secret: &Path) -> bool {
        let (rules, secret) = (self.fd(), secret.to_path_buf());
        let attempt = std::thread::Builder::new().spawn(move || {
            // SAFETY: plain system calls; the descriptor outlives the thread.
            let closed = unsafe { close(rules) } == 0;
            let refused = File::open(&secret)
                .is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied);
            closed && refused
        });
        attempt.is_ok_and(|thread| thread.join().unwrap_or(false))
    }
}

/// Takes the rules on, for this thread and what it starts. 0, or -1 where the kernel refuses.
///
/// # Safety
/// `rules` is a [`Lock`]'s. It makes system calls alone, and allocates nothing.
pub unsafe fn close(rules: RawFd) -> libc::c_long {
    // SAFETY: plain system calls.
    unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        libc::syscall(libc::SYS_landlock_restrict_self, rules, 0)
    }
}

/// Everything beside the way to a file.
fn others(secret: &Path) -> Vec<PathBuf> {
    let folder = secret.parent().unwrap_or(Path::new("/"));
    let folder = folder.canonicalize().unwrap_or(folder.to_path_buf());
    let mut way = secret.file_name().map(|name| folder.join(name));
    let mut others = Vec::new();
    while let Some(step) = way {
        let Some(folder) = step.parent() else {
            break;
        };
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        others.extend(
            entries
                .map(|entry| entry.path())
                .filter(|path| *path != step),
        );
        way = Some(folder.to_path_buf());
    }
    others
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel's word on whether it has such rules.
    fn kernel_has_it() -> bool {
        // SAFETY: asks for the version, and makes nothing.
        let version = unsafe {
            let nothing = std::ptr::null::<libc::c_void>();
            libc::syscall(libc::SYS_landlock_create_ruleset, nothing, 0, 1)
        };
        version > 0
    }

    #[test]
    fn everything_but_the_secret_stays_open() {
        let folder = tempfile::tempdir().unwrap();
        let (secret, other) = (folder.path().join("token"), folder.path().join("other"));
        fs::write(&other, "open").unwrap();
        let lock = Lock::on(&secret);
        // It need not be there when the rules are made.
        fs::write(&secret, "closed").unwrap();
        let Some(lock) = lock else {
            assert!(!kernel_has_it());
            return;
        };
        assert!(lock.holds(&secret));
        assert!(!lock.holds(&other), "is no secret");
        assert!(!lock.holds(Path::new("/proc/self/status")));
        assert_eq!(fs::read_to_string(&secret).unwrap(), "closed", "for us");
    }

    #[test]
    fn links_and_moves_between_open_folders_are_left() {
        let folder = tempfile::tempdir().unwrap();
        let places = ["a", "b"].map(|name| folder.path().join("open").join(name));
        for place in &places {
            fs::create_dir_all(place).unwrap();
        }
        let secret = folder.path().join("token");
        let Some(lock) = Lock::on(&secret) else {
            assert!(!kernel_has_it());
            return;
        };
        let rules = lock.fd();
        let moved = std::thread::spawn(move || {
            let [from, to] = places.map(|place| place.join("file"));
            fs::write(&from, "x").unwrap();
            // SAFETY: the lock outlives this thread.
            assert_eq!(unsafe { close(rules) }, 0);
            fs::rename(&from, &to).and_then(|()| fs::hard_link(&to, &from))
        });
        moved.join().unwrap().unwrap();
    }
}
