//! System V IPC objects of the worker's own namespace.

use nix::libc::{self, c_int};

use crate::model::Leak;

// libc lacks these. The *_STAT_ANY calls (Linux 4.17) look at an object although its mode denies it.
const SHM_INFO: c_int = 14;
const SHM_STAT_ANY: c_int = 15;
const SEM_STAT_ANY: c_int = 20;
const MSG_STAT_ANY: c_int = 13;

/// Removes every System V object and says what there was. With none there it is three system calls.
pub fn remove_all() -> Vec<Leak> {
    let kinds = [
        Kind {
            what: "shm",
            last: shm_last,
            id: shm_id,
            remove: shm_remove,
        },
        Kind {
            what: "sem",
            last: sem_last,
            id: sem_id,
            remove: sem_remove,
        },
        Kind {
            what: "msg",
            last: msg_last,
            id: msg_id,
            remove: msg_remove,
        },
    ];
    kinds.iter().filter_map(Kind::remove_all).collect()
}

/// Whether there is none.
pub fn is_empty() -> bool {
    [shm_last(), sem_last(), msg_last()]
        .iter()
        .all(Option::is_none)
}

struct Kind {
    what: &'static str,
    /// The highest index in use; `None` with no object at all.
    last: fn() -> Option<c_int>,
    /// The id of the object at an index.
    id: fn(c_int) -> c_int,
    remove: fn(c_int) -> c_int,
}

impl Kind {
    fn remove_all(&self) -> Option<Leak> {
        let last = (self.last)()?;
        let mut count = 0;
        for index in 0..=last {
            let id = (self.id)(index);
            if id >= 0 && (self.remove)(id) == 0 {
                count += 1;
            }
        }
        Some(Leak::SysvIpc {
            what: self.what.into(),
            count,
        })
    }
}

// SAFETY of all below: the kernel fills in a buffer that is as large as the largest of the
// structures that these calls write (all are under 256 bytes), aligned for any of them.
type Buffer = [u64; 32];

fn shm_last() -> Option<c_int> {
    let mut info: Buffer = [0; 32];
    // SAFETY: see Buffer. `used_ids` is the first int of struct shm_info.
    let last = unsafe { libc::shmctl(0, SHM_INFO, info.as_mut_ptr().cast()) };
    let used = info[0] as u32;
    (last >= 0 && used > 0).then_some(last)
}

fn sem_last() -> Option<c_int> {
    let mut info: Buffer = [0; 32];
    // SAFETY: see Buffer. SEM_INFO puts the number of sets into `semusz`, the eighth int.
    let last = unsafe { libc::semctl(0, 0, libc::SEM_INFO, info.as_mut_ptr()) };
    let used = info[3] >> 32;
    (last >= 0 && used > 0).then_some(last)
}

fn msg_last() -> Option<c_int> {
    let mut info: Buffer = [0; 32];
    // SAFETY: see Buffer. MSG_INFO puts the number of queues into `msgpool`, the first int.
    let last = unsafe { libc::msgctl(0, libc::MSG_INFO, info.as_mut_ptr().cast()) };
    let used = info[0] as u32;
    (last >= 0 && used > 0).then_some(last)
}

fn shm_id(index: c_int) -> c_int {
    let mut buffer: Buffer = [0; 32];
    // SAFETY: see Buffer.
    unsafe { libc::shmctl(index, SHM_STAT_ANY, buffer.as_mut_ptr().cast()) }
}

fn sem_id(index: c_int) -> c_int {
    let mut buffer: Buffer = [0; 32];
    // SAFETY: see Buffer.
    unsafe { libc::semctl(index, 0, SEM_STAT_ANY, buffer.as_mut_ptr()) }
}

fn msg_id(index: c_int) -> c_int {
    let mut buffer: Buffer = [0; 32];
    // SAFETY: see Buffer.
    unsafe { libc::msgctl(index, MSG_STAT_ANY, buffer.as_mut_ptr().cast()) }
}

fn shm_remove(id: c_int) -> c_int {
    // SAFETY: IPC_RMID takes no buffer.
    unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) }
}

fn sem_remove(id: c_int) -> c_int {
    // SAFETY: IPC_RMID takes no argument.
    unsafe { libc::semctl(id, 0, libc::IPC_RMID) }
}

fn msg_remove(id: c_int) -> c_int {
    // SAFETY: IPC_RMID takes no buffer.
    unsafe { libc::msgctl(id, libc::IPC_RMID, std::ptr::null_mut()) }
}
