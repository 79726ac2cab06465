//! System V and POSIX IPC objects: they outlive the process that made them.

use std::ffi::CString;
use std::fs;
use std::io::Write;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;
use nix::mqueue::{MQ_OFlag, MqAttr, mq_open};
use nix::sys::stat::Mode;

use super::Finding;
use super::answer::Answer;
use crate::model::escape;

/// Makes a shared memory segment, a semaphore set and a message queue, and leaves them.
pub fn make_sysv() -> Finding {
    let flags = libc::IPC_CREAT | 0o600;
    // SAFETY: the three calls take no pointer.
    let shm = unsafe { Answer::of(libc::shmget(libc::IPC_PRIVATE, 4096, flags).into()) };
    // SAFETY: as above.
    let sem = unsafe { Answer::of(libc::semget(libc::IPC_PRIVATE, 1, flags).into()) };
    // SAFETY: as above.
    let msg = unsafe { Answer::of(libc::msgget(libc::IPC_PRIVATE, flags).into()) };
    println!("shm {shm}\nsem {sem}\nmsg {msg}");
    Ok([shm, sem, msg] == [Answer::Done; 3])
}

/// Makes a POSIX shared memory object of this name, without its leading slash, and size in bytes,
/// and leaves it.
pub fn make_shm(name: &str, bytes: usize) -> Finding {
    let shown = escape(name.as_bytes());
    let path = CString::new(format!("/{name}")).map_err(|error| error.to_string())?;
    let flags = libc::O_CREAT | libc::O_EXCL | libc::O_RDWR;
    // SAFETY: the name lives during the call.
    let fd = unsafe { libc::shm_open(path.as_ptr(), flags, 0o600) };
    if fd < 0 {
        return Err(format!("shared memory '{shown}': {:?}", Errno::last()));
    }
    // SAFETY: the descriptor was just made, and is nobody else's.
    let mut file = fs::File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    file.write_all(&vec![1; bytes])
        .map_err(|error| format!("shared memory '{shown}': {error}"))?;
    println!("made");
    Ok(true)
}

/// Counts the objects of this IPC namespace; not clean where there is one.
pub fn list_sysv() -> Finding {
    let mut clean = true;
    for kind in ["shm", "sem", "msg"] {
        let path = format!("/proc/sysvipc/{kind}");
        let table = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        let count = rows(&table);
        println!("{kind} {count}");
        clean &= count == 0;
    }
    Ok(clean)
}

/// The rows of a table with one line of headings.
fn rows(table: &str) -> usize {
    table.lines().count().saturating_sub(1)
}

/// Makes a POSIX message queue of this name, without its leading slash, and leaves it.
pub fn make_queue(name: &str) -> Finding {
    let path = CString::new(format!("/{name}")).map_err(|error| error.to_string())?;
    // Without attributes, nix passes no mode either.
    let attributes = MqAttr::new(0, 1, 64, 0);
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    mq_open(
        path.as_c_str(),
        MQ_OFlag::O_CREAT | MQ_OFlag::O_RDWR,
        mode,
        Some(&attributes),
    )
    .map_err(|errno| format!("message queue '{}': {errno:?}", escape(name.as_bytes())))?;
    println!("made");
    Ok(true)
}

/// Lists the POSIX message queues of this IPC namespace; not clean where there is one.
pub fn list_queues() -> Finding {
    let folder = "/dev/mqueue";
    let entries = fs::read_dir(folder).map_err(|error| format!("{folder}: {error}"))?;
    let mut clean = true;
    for entry in entries {
        let entry = entry.map_err(|error| format!("{folder}: {error}"))?;
        println!("mqueue {}", escape(entry.file_name().as_bytes()));
        clean = false;
    }
    Ok(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_are_no_object() {
        assert_eq!(rows("       key      shmid perms\n"), 0);
        assert_eq!(rows("key shmid\n0 5 600\n0 6 600\n"), 2);
        assert_eq!(rows(""), 0);
    }
}
