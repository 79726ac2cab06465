//! Keeps tests from a file that the supervisor, who is the same user, must read: Landlock.
//!
//! Its rules only allow. So everything is allowed but what lies on the way to the file: all other
//! entries of its folder, of the folder above, and so on up to the root, as they are when the worker
//! starts. A folder that is mounted in two places, the project's and the socket's say, has two ways.

use std::collections::BTreeSet;
use std::ffi::{CString, OsString};
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
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
pub struct Lock {
    rules: OwnedFd,
    /// Every path of the secret.
    paths: Vec<PathBuf>,
}

impl Lock {
    /// Rules that close a file, which need not be there yet; `None` where the kernel has no such
    /// rules.
    pub fn on(secret: &Path) -> Option<Self> {
        // The second right is taken from whoever does not name it: links and moves between folders.
        let rights: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::Refer;
        let rules = Ruleset::default().handle_access(rights).ok()?;
        let rules = rules.create().ok()?;
        let paths = paths(
            secret,
            &fs::read("/proc/self/mountinfo").unwrap_or_default(),
        );
        let rules = rules.add_rules(path_beneath_rules(others(&paths), rights));
        let fd: Option<OwnedFd> = rules.ok()?.into();
        fd.map(|rules| Lock { rules, paths })
    }

    pub fn fd(&self) -> RawFd {
        self.rules.as_raw_fd()
    }

    /// Whether it keeps us from the file: tried in a process, which alone takes the rules on. A thread
    /// would do, but the C library installs a signal's handler with the first one, and PID 1 has none.
    pub fn holds(&self, secret: &Path) -> bool {
        let strings = |path: &Path| CString::new(path.as_os_str().as_bytes());
        let paths = self.paths.iter().map(|path| strings(path));
        let (Ok(secret), Ok(paths)) = (strings(secret), paths.collect::<Result<Vec<_>, _>>())
        else {
            return false;
        };
        // SAFETY: the child makes system calls alone, on what was prepared, and exits.
        match unsafe { fork() } {
            // SAFETY: as above.
            Ok(ForkResult::Child) => unsafe {
                let open = |path: &CString| libc::open(path.as_ptr(), libc::O_RDONLY);
                let closed = close(self.fd()) == 0;
                let refused = open(&secret) < 0 && Errno::last() == Errno::EACCES;
                let nowhere = paths.iter().all(|path| open(path) < 0);
                libc::_exit(i32::from(!(closed && refused && nowhere)))
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

/// All paths by which a file can be reached, whether it is there or not, from the table of mounts.
fn paths(secret: &Path, mounts: &[u8]) -> Vec<PathBuf> {
    let folder = secret.parent().unwrap_or(Path::new("/"));
    let folder = folder.canonicalize().unwrap_or(folder.to_path_buf());
    let Some(secret) = secret.file_name().map(|name| folder.join(name)) else {
        return Vec::new();
    };
    let mounts: Vec<Mount> = mounts
        .split(|byte| *byte == b'\n')
        .filter_map(Mount::of)
        .collect();
    let mut paths = vec![secret.clone()];
    // Of mounts on one another the last is what is seen.
    let own = mounts
        .iter()
        .filter(|mount| secret.starts_with(&mount.point));
    let own = own.max_by_key(|mount| mount.point.components().count());
    if let Some(own) = own
        && let Ok(rest) = secret.strip_prefix(&own.point)
    {
        let inside = own.root.join(rest);
        let same = mounts.iter().filter(|mount| mount.device == own.device);
        let others = same.filter_map(|mount| {
            let rest = inside.strip_prefix(&mount.root).ok()?;
            Some(mount.point.join(rest))
        });
        paths.extend(others.filter(|path| *path != secret));
    }
    paths
}

/// A line of /proc/self/mountinfo.
struct Mount<'a> {
    device: &'a [u8],
    /// What of the device is mounted.
    root: PathBuf,
    point: PathBuf,
}

impl<'a> Mount<'a> {
    fn of(line: &'a [u8]) -> Option<Self> {
        let mut words = line.split(|byte| *byte == b' ').skip(2);
        let device = words.next()?;
        let mut path = || words.next().map(unescape);
        let (root, point) = (path()?, path()?);
        Some(Mount {
            device,
            root,
            point,
        })
    }
}

/// A path of the table, where blanks and the like are three octal digits.
fn unescape(text: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        let code = after.get(..3).filter(|_| *byte == b'\\');
        let code = code.and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(code) => {
                bytes.push(code);
                rest = &after[3..];
            }
            None => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    OsString::from_vec(bytes).into()
}

/// Everything beside the ways to a file. A symbolic link is allowed where what it names is.
fn others(paths: &[PathBuf]) -> Vec<PathBuf> {
    let ways: BTreeSet<&Path> = paths.iter().flat_map(|path| path.ancestors()).collect();
    let above = paths.iter().flat_map(|path| path.ancestors().skip(1));
    let folders: BTreeSet<&Path> = above.collect();
    let entries = folders
        .into_iter()
        .filter_map(|folder| fs::read_dir(folder).ok());
    let entries = entries.flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_symlink()))
        .map(|entry| entry.path())
        .chain([PathBuf::from(QUEUES)])
        .filter(|path| !ways.contains(path.as_path()))
        .collect()
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
    fn a_folder_that_is_mounted_twice_has_two_ways() {
        let mounts = b"\
            1 0 0:30 / / rw - overlay overlay rw\n\
            2 1 254:0 /home/me/a\\040project /work ro - ext4 /dev/vda rw\n\
            3 1 254:0 /home/me/a\\040project/tmp/share /nowhere/run ro - ext4 /dev/vda rw\n\
            4 1 254:0 /var/lib/hosts /etc/hosts ro - ext4 /dev/vda rw\n\
            5 1 0:31 / /nowhere/run/deeper rw - tmpfs tmpfs rw\n";
        let names = |secret: &str| -> Vec<String> {
            let paths = paths(Path::new(secret), mounts);
            paths
                .iter()
                .map(|path| path.display().to_string())
                .collect()
        };
        assert_eq!(
            names("/nowhere/run/socket.token"),
            ["/nowhere/run/socket.token", "/work/tmp/share/socket.token"]
        );
        assert_eq!(
            names("/nowhere/run/deeper/token"),
            ["/nowhere/run/deeper/token"]
        );
    }

    #[test]
    fn a_link_to_a_folder_above_opens_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("token");
        fs::write(&secret, "closed").unwrap();
        std::os::unix::fs::symlink("/", folder.path().join("link")).unwrap();
        match Lock::on(&secret) {
            Some(lock) => assert!(lock.holds(&secret)),
            None => assert!(!kernel_has_it()),
        }
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
