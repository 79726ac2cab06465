//! System calls that no test needs, tried one by one.
//!
//! The arguments are such that the kernel's own answer is not EPERM wherever that is possible (a
//! null pointer, a closed descriptor): EPERM then proves that the filter refused the call before
//! the kernel looked at it. They also make every call harmless on a machine without a filter, and
//! each is tried in a process of its own, so that what a call changes ends with it.

use libc::{c_int, c_long};
use nix::errno::Errno;

use super::Finding;
use super::answer::Answer;

/// A call to try, and how it is to be refused.
pub struct Attempt {
    name: &'static str,
    number: c_long,
    arguments: &'static [u64],
    refusal: Errno,
}

const fn eperm(name: &'static str, number: c_long, arguments: &'static [u64]) -> Attempt {
    Attempt {
        name,
        number,
        arguments,
        refusal: Errno::EPERM,
    }
}

/// The kernel's own answer for an id that the user namespace does not have: the calls that change
/// ids are open, and root is nobody there.
const NO_SUCH_ID: Errno = Errno::EINVAL;

/// A null pointer, or 0.
const NULL: u64 = 0;
/// No descriptor, or every bit set where a call takes flags.
const NONE: u64 = u64::MAX;
/// The half of a register that the kernel ignores where it takes an `int`, and a filter may not.
const UPPER: u64 = 1 << 32;

const TIOCSTI: u64 = 0x5412;
const TIOCLINUX: u64 = 0x541c;
const KEYCTL_GET_KEYRING_ID: u64 = 0;
const KEY_SPEC_SESSION_KEYRING: u64 = -3i64 as u64;
const ADDR_NO_RANDOMIZE: u64 = 0x0004_0000;
const AT_FDCWD: u64 = libc::AT_FDCWD as u64;

const fn flag(bits: c_int) -> u64 {
    bits as u32 as u64
}

/// What is refused in every image.
pub const ALWAYS_REFUSED: &[Attempt] = &[
    // Namespaces and mounts.
    eperm(
        "unshare-user",
        libc::SYS_unshare,
        &[flag(libc::CLONE_NEWUSER)],
    ),
    eperm(
        "unshare-mount",
        libc::SYS_unshare,
        &[flag(libc::CLONE_NEWNS)],
    ),
    eperm("unshare-nothing", libc::SYS_unshare, &[0]),
    eperm(
        "clone-user",
        libc::SYS_clone,
        &[flag(libc::CLONE_NEWUSER | libc::SIGCHLD)],
    ),
    Attempt {
        // Its flags are in memory, where a filter cannot look; libc falls back to clone.
        refusal: Errno::ENOSYS,
        ..eperm("clone3", libc::SYS_clone3, &[NULL, 0])
    },
    eperm("setns", libc::SYS_setns, &[NONE, 0]),
    eperm("mount", libc::SYS_mount, &[NULL, NULL, NULL, 0, NULL]),
    eperm("umount", libc::SYS_umount2, &[NULL, 0]),
    eperm("pivot-root", libc::SYS_pivot_root, &[NULL, NULL]),
    eperm("open-tree", libc::SYS_open_tree, &[NONE, NULL, 0]),
    eperm(
        "move-mount",
        libc::SYS_move_mount,
        &[NONE, NULL, NONE, NULL, 0],
    ),
    eperm("fsopen", libc::SYS_fsopen, &[NULL, 0]),
    eperm("chroot", libc::SYS_chroot, &[NULL]),
    eperm(
        "open-by-handle",
        libc::SYS_open_by_handle_at,
        &[NONE, NULL, 0],
    ),
    // The kernel's less travelled parts.
    eperm(
        "keyctl",
        libc::SYS_keyctl,
        &[KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0],
    ),
    eperm("add-key", libc::SYS_add_key, &[NULL, NULL, NULL, 0, 0]),
    eperm("request-key", libc::SYS_request_key, &[NULL, NULL, NULL, 0]),
    eperm("bpf", libc::SYS_bpf, &[flag(-1), NULL, 0]),
    eperm(
        "perf-event-open",
        libc::SYS_perf_event_open,
        &[NULL, 0, NONE, NONE, 0],
    ),
    eperm("userfaultfd", libc::SYS_userfaultfd, &[flag(-1)]),
    eperm("io-uring-setup", libc::SYS_io_uring_setup, &[0, NULL]),
    eperm(
        "fanotify-init",
        libc::SYS_fanotify_init,
        &[flag(-1), flag(-1)],
    ),
    // The machine. The magic numbers, sizes and flags are wrong: nothing of it can happen.
    eperm("reboot", libc::SYS_reboot, &[0, 0, 0, NULL]),
    eperm("kexec-load", libc::SYS_kexec_load, &[0, NONE, NULL, NONE]),
    eperm("init-module", libc::SYS_init_module, &[NULL, 0, NULL]),
    eperm(
        "finit-module",
        libc::SYS_finit_module,
        &[NONE, NULL, flag(-1)],
    ),
    eperm("delete-module", libc::SYS_delete_module, &[NULL, 0]),
    eperm(
        "clock-settime",
        libc::SYS_clock_settime,
        &[flag(libc::CLOCK_REALTIME), NULL],
    ),
    eperm("settimeofday", libc::SYS_settimeofday, &[NULL, NULL]),
    eperm("adjtimex", libc::SYS_adjtimex, &[NULL]),
    eperm("syslog", libc::SYS_syslog, &[flag(-1), NULL, 0]),
    eperm("swapon", libc::SYS_swapon, &[NULL, 0]),
    eperm("sethostname", libc::SYS_sethostname, &[NULL, flag(-1)]),
    // Who we are.
    eperm("setuid-root", libc::SYS_setuid, &[0]),
    eperm("setgid-root", libc::SYS_setgid, &[0]),
    eperm("setgroups", libc::SYS_setgroups, &[0, NULL]),
    // Devices, terminals and sockets.
    eperm(
        "mknod-block",
        libc::SYS_mknodat,
        &[AT_FDCWD, NULL, flag(0o060_600), 0x0801],
    ),
    eperm(
        "mknod-character",
        libc::SYS_mknodat,
        &[AT_FDCWD, NULL, flag(0o020_600), 0x0101],
    ),
    eperm("ioctl-tiocsti", libc::SYS_ioctl, &[NONE, TIOCSTI, NULL]),
    eperm(
        "ioctl-tiocsti-upper",
        libc::SYS_ioctl,
        &[NONE, UPPER | TIOCSTI, NULL],
    ),
    eperm("ioctl-tioclinux", libc::SYS_ioctl, &[NONE, TIOCLINUX, NULL]),
    eperm(
        "ioctl-tioclinux-upper",
        libc::SYS_ioctl,
        &[NONE, UPPER | TIOCLINUX, NULL],
    ),
    eperm(
        "socket-vsock",
        libc::SYS_socket,
        &[40, flag(libc::SOCK_STREAM), 0],
    ),
    eperm(
        "socket-alg",
        libc::SYS_socket,
        &[38, flag(libc::SOCK_SEQPACKET), 0],
    ),
    eperm(
        "socket-packet",
        libc::SYS_socket,
        &[17, flag(libc::SOCK_RAW), 0],
    ),
    eperm(
        "socket-packet-upper",
        libc::SYS_socket,
        &[UPPER | 17, flag(libc::SOCK_RAW), 0],
    ),
    eperm(
        "socket-inet-raw",
        libc::SYS_socket,
        &[2, flag(libc::SOCK_RAW), 1],
    ),
];

/// What only a debugger needs: refused in the isolation image and open in the full one.
pub const FOR_DEBUGGERS: &[Attempt] = &[
    eperm("ptrace-traceme", libc::SYS_ptrace, &[0, 0, NULL, NULL]),
    eperm(
        "process-vm-readv",
        libc::SYS_process_vm_readv,
        &[0, NULL, 0, NULL, 0, 0],
    ),
    eperm(
        "process-vm-writev",
        libc::SYS_process_vm_writev,
        &[0, NULL, 0, NULL, 0, 0],
    ),
    eperm("kcmp", libc::SYS_kcmp, &[0, 0, flag(-1), 0, 0]),
    eperm("pidfd-getfd", libc::SYS_pidfd_getfd, &[NONE, NONE, 0]),
    eperm("personality", libc::SYS_personality, &[ADDR_NO_RANDOMIZE]),
    eperm(
        "socket-netlink",
        libc::SYS_socket,
        &[16, flag(libc::SOCK_RAW), 0],
    ),
];

/// Tries each and prints its answer; not as it should be where one reached the kernel.
pub fn try_all(attempts: &[Attempt]) -> Finding {
    let mut all_refused = true;
    for attempt in attempts {
        let answer = in_child(attempt)?;
        let changes_id = matches!(attempt.number, libc::SYS_setuid | libc::SYS_setgid);
        let refused = answer == Answer::Refused(attempt.refusal)
            || (changes_id && answer == Answer::Refused(NO_SUCH_ID));
        let remark = if refused {
            ""
        } else {
            " (not refused by the filter)"
        };
        println!("{} {answer}{remark}", attempt.name);
        all_refused &= refused;
    }
    Ok(all_refused)
}

/// Makes the call in a process of its own, which ends with it.
fn in_child(attempt: &Attempt) -> Result<Answer, String> {
    // SAFETY: the probe has one thread, and the child only makes system calls.
    let child = unsafe { libc::fork() };
    if child < 0 {
        return Err(format!("fork: {}", std::io::Error::last_os_error()));
    }
    if child == 0 {
        let errno = match call(attempt) {
            Answer::Refused(errno) => errno as c_int,
            _ => 0,
        };
        // SAFETY: it takes no pointer and does not return. A process that the tried call itself
        // made ends here as well.
        unsafe { libc::_exit(errno) }
    }
    let mut status = 0;
    // SAFETY: `status` lives during the call.
    while unsafe { libc::waitpid(child, &raw mut status, 0) } < 0 {
        if Errno::last() != Errno::EINTR {
            return Err(format!("waitpid: {}", std::io::Error::last_os_error()));
        }
    }
    Ok(if libc::WIFSIGNALED(status) {
        Answer::Killed(libc::WTERMSIG(status))
    } else {
        match libc::WEXITSTATUS(status) {
            0 => Answer::Done,
            errno => Answer::Refused(Errno::from_raw(errno)),
        }
    })
}

fn call(attempt: &Attempt) -> Answer {
    let argument = |index: usize| attempt.arguments.get(index).copied().unwrap_or(NULL);
    // SAFETY: every pointer in the tables is null, so no memory of ours is read or written.
    Answer::of(unsafe {
        libc::syscall(
            attempt.number,
            argument(0),
            argument(1),
            argument(2),
            argument(3),
            argument(4),
            argument(5),
        )
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_attempt_has_its_own_name_and_at_most_six_arguments() {
        let mut names = BTreeSet::new();
        for attempt in ALWAYS_REFUSED.iter().chain(FOR_DEBUGGERS) {
            assert!(names.insert(attempt.name), "{} twice", attempt.name);
            assert!(attempt.arguments.len() <= 6, "{}", attempt.name);
        }
    }

    #[test]
    fn the_answer_is_the_kernels_own_and_a_call_that_works_is_not_refused() {
        let bad = eperm("bad", libc::SYS_close, &[NONE]);
        assert_eq!(in_child(&bad), Ok(Answer::Refused(Errno::EBADF)));
        let works = eperm("works", libc::SYS_getpid, &[]);
        assert_eq!(in_child(&works), Ok(Answer::Done));
        assert_eq!(try_all(&[works]), Ok(false));
    }
}
