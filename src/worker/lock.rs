//! Keeps tests from a file that the supervisor, who is the same user, must read: Landlock.
//!
//! Its rules only allow. So everything is allowed but what lies on the way to the file: all other
//! entries of its folder, of the folder above, and so on up to the root, as they are when the worker
//! starts.

use std::ffi::CString;
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use landlock::{AccessFs, BitFlags, Ruleset, RulesetAttr, RulesetCreatedAttr, path_beneath_rules};
use nix::errno::Errno;
use nix::libc;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};

/// The kernel opens a message queue by way of a mount of its own, which is below no folder; its root is
/// this folder's.
const QUEUES: &str = "/dev/mqueue";

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

    /// Whether it keeps us from the file: tried in a process, which alone takes the rules on. A thread
    /// would do, but the C library installs a signal's handler with the first one, and PID 1 has none.
    pub fn holds(&self, secret: &Path) -> bool {
        let Ok(path) = CString::new(secret.as_os_str().as_bytes()) else {
            return false;
        };
        // SAFETY: the child makes system calls alone, on what was prepared, and exits.
        match unsafe { fork() } {
            // SAFETY: as above.
            Ok(ForkResult::Child) => unsafe {
                let closed = close(self.fd()) == 0;
                let opened = libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
                let refused = opened < 0 && Errno::last() == Errno::EACCES;
                libc::_exit(i32::from(!(closed && refused)))
            },
            Ok(ForkResult::Parent { child }) => loop {
                match waitpid(child, None) {
                    Err(Errno::EINTR) => {}
                    ended => return ended == Ok(WaitStatus::Exited(child, 0)),
                }
            },
            Err(_) => false,
        }
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
    let mut others = vec![PathBuf::from(QUEUES)];
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

    /// Nothing is below another folder than the one that it is opened by.
    #[test]
    fn what_has_no_folder_stays_open() {
        let folder = tempfile::tempdir().unwrap();
        let Some(lock) = Lock::on(&folder.path().join("token")) else {
            assert!(!kernel_has_it());
            return;
        };
        let rules = lock.fd();
        let opened = std::thread::spawn(move || {
            let name = format!("/docker-test-lock-{}", std::process::id());
            let name = CString::new(name).unwrap();
            let flags = libc::O_CREAT | libc::O_RDWR;
            // SAFETY: the lock outlives this thread; plain calls on locals.
            unsafe {
                assert_eq!(close(rules), 0);
                let null = std::ptr::null_mut::<libc::mq_attr>();
                let queue = libc::mq_open(name.as_ptr(), flags, 0o600, null);
                let error = Errno::last();
                libc::mq_unlink(name.as_ptr());
                (queue, error)
            }
        });
        let (queue, error) = opened.join().unwrap();
        // Every container has the folder; a machine need not.
        assert!(queue >= 0 || !Path::new(QUEUES).exists(), "{error}");
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
