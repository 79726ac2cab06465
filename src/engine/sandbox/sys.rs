//! System calls that no library here has: mounts by descriptor, `clone3`, and giving up rights.
//!
//! Each is one call with what its manual page says around it.

use std::ffi::{CStr, CString};
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;

/// Attributes of a mount, as `mount_setattr(2)` has them.
pub mod attribute {
    pub const READ_ONLY: u64 = 0x1;
    pub const NO_SUID: u64 = 0x2;
    pub const NO_DEV: u64 = 0x4;
    pub const NO_EXEC: u64 = 0x8;
}

const OPEN_TREE_CLONE: libc::c_uint = 1;
const MOVE_MOUNT_F_EMPTY_PATH: libc::c_uint = 4;
const AT_RECURSIVE: libc::c_uint = 0x8000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;
const KEYCTL_JOIN_SESSION_KEYRING: libc::c_long = 1;

/// `struct mount_attr`
#[repr(C)]
#[derive(Default)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// A detached copy of what is mounted at `path`, with everything mounted below it.
///
/// # Errors
/// The path is not there, or the kernel refuses. Needs Linux 5.2.
pub fn open_tree(path: &CStr) -> nix::Result<OwnedFd> {
    let flags = OPEN_TREE_CLONE | AT_RECURSIVE | libc::O_CLOEXEC.cast_unsigned();
    // SAFETY: the path is a string that lives through the call.
    let fd = unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) };
    let fd = Errno::result(fd)?;
    // SAFETY: the kernel just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Mounts a detached copy at `target`.
///
/// # Errors
/// The target is not there, or the kernel refuses. Needs Linux 5.2.
pub fn attach(tree: BorrowedFd<'_>, target: &CStr) -> nix::Result<()> {
    // SAFETY: both paths are strings that live through the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_FDCWD,
            target.as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH,
        )
    };
    Errno::result(result).map(drop)
}

/// Adds attributes to a detached copy and everything below it.
///
/// # Errors
/// The kernel refuses. Needs Linux 5.12.
pub fn restrict(tree: BorrowedFd<'_>, attributes: u64) -> nix::Result<()> {
    let flags = libc::AT_EMPTY_PATH.cast_unsigned() | AT_RECURSIVE;
    set_attributes(tree.as_raw_fd(), c"", flags, attributes)
}

/// Adds attributes to the mount at `path` alone.
///
/// # Errors
/// Nothing is mounted there, or the kernel refuses. Needs Linux 5.12.
pub fn restrict_path(path: &CStr, attributes: u64) -> nix::Result<()> {
    set_attributes(libc::AT_FDCWD, path, 0, attributes)
}

fn set_attributes(
    directory: i32,
    path: &CStr,
    flags: libc::c_uint,
    attributes: u64,
) -> nix::Result<()> {
    let attributes = MountAttributes {
        set: attributes,
        ..MountAttributes::default()
    };
    // SAFETY: the structure has the size that is given, and outlives the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            directory,
            path.as_ptr(),
            flags,
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    };
    Errno::result(result).map(drop)
}

/// A child in new namespaces, as `fork` makes one.
pub enum Forked {
    /// This is the child.
    Child,
    /// Its process id and its pidfd.
    Parent(Pid, OwnedFd),
}

/// Forks into the namespaces of `flags`, and into a cgroup of version 2 where one is given: moving a
/// process later can cost milliseconds.
///
/// # Safety
/// This process has one thread.
///
/// # Errors
/// The kernel refuses. Needs Linux 5.3, and with a cgroup 5.7.
pub unsafe fn fork_into(flags: libc::c_int, cgroup: Option<BorrowedFd<'_>>) -> nix::Result<Forked> {
    let mut pidfd: libc::c_int = -1;
    // SAFETY: a structure of integers, for which zero is valid.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = u64::from((flags | libc::CLONE_PIDFD).cast_unsigned());
    arguments.pidfd = (&raw mut pidfd) as u64;
    arguments.exit_signal = libc::SIGCHLD as u64;
    if let Some(cgroup) = cgroup {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = u64::from(cgroup.as_raw_fd().cast_unsigned());
    }
    // SAFETY: without CLONE_VM the child gets a copy of our memory, as from fork.
    let pid = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            &raw mut arguments,
            size_of::<libc::clone_args>(),
        )
    };
    match Errno::result(pid)? {
        0 => Ok(Forked::Child),
        // SAFETY: the kernel just made this descriptor for us.
        pid => Ok(Forked::Parent(Pid::from_raw(pid as i32), unsafe {
            OwnedFd::from_raw_fd(pidfd)
        })),
    }
}

/// A descriptor of a process that can be polled for its end.
///
/// # Errors
/// There is no such process. Needs Linux 5.3.
pub fn pidfd(pid: Pid) -> nix::Result<OwnedFd> {
    // SAFETY: a plain system call.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    let fd = Errno::result(fd)?;
    // SAFETY: the kernel just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Lets no descriptor above stderr survive an exec.
///
/// # Errors
/// The kernel refuses. Needs Linux 5.11.
pub fn close_on_exec() -> nix::Result<()> {
    let flags = libc::CLOSE_RANGE_CLOEXEC;
    // SAFETY: a plain system call; no descriptor is closed by it.
    let result = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, flags) };
    Errno::result(result).map(drop)
}

/// Empties the bounding set.
///
/// # Errors
/// The kernel refuses.
pub fn empty_bounding_set() -> nix::Result<()> {
    for capability in 0..=63 {
        // SAFETY: a plain system call.
        let result = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
        match Errno::result(result) {
            // One more than this kernel knows.
            Err(Errno::EINVAL) if capability > 0 => break,
            other => other?,
        };
    }
    Ok(())
}

/// Gives up every capability in every set that is left.
///
/// # Errors
/// The kernel refuses.
pub fn drop_capabilities() -> nix::Result<()> {
    let header: [u32; 2] = [CAPABILITY_VERSION_3, 0];
    let none = [0_u32; 6];
    // SAFETY: header and data are what this version of capset takes, and outlive the calls.
    unsafe {
        let clear = libc::PR_CAP_AMBIENT_CLEAR_ALL;
        Errno::result(libc::prctl(libc::PR_CAP_AMBIENT, clear, 0, 0, 0))?;
        let result = libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr());
        Errno::result(result).map(drop)
    }
}

/// A session keyring of its own: the launcher's keys are not the tests'. Kernels without keyrings
/// have none to protect.
pub fn leave_keyring() {
    let name = std::ptr::null::<libc::c_char>();
    // SAFETY: without a name the kernel makes an anonymous keyring.
    unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name) };
}

/// Gives every signal its default effect: one that is ignored is ignored by what is executed too.
pub fn default_signals() {
    // The kernel's `struct sigaction`, all zero: the default, no flags, an empty mask.
    let default = [0_u64; 4];
    let old = std::ptr::null_mut::<u64>();
    // The C library's own signals among them, which it lets nobody name.
    for signal in 1..=64 {
        // SAFETY: the structure is no longer than what is given, and outlives the call. SIGKILL and
        // SIGSTOP are refused, and need none.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), old, 8) };
    }
}

/// Makes stdin the controlling terminal of this new session.
///
/// # Errors
/// It is none, or another session's.
pub fn control_terminal() -> nix::Result<()> {
    // SAFETY: a plain system call on a descriptor.
    Errno::result(unsafe { libc::ioctl(libc::STDIN_FILENO, libc::TIOCSCTTY, 0) }).map(drop)
}

/// A path for the kernel.
///
/// # Errors
/// `EINVAL`: it has a NUL byte.
pub fn c_path(path: &[u8]) -> nix::Result<CString> {
    CString::new(path).map_err(|_| Errno::EINVAL)
}
