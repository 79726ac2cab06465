//! What code of the same user might do to the supervisor, which is process 1.
//!
//! It cannot be traced, but a kernel without our filter lets its user change its limits, nice value
//! and processors, through its own number or that of one of its threads, its group or its user.

use std::fs;

use libc::{c_int, c_long};
use nix::errno::Errno;

use super::Finding;
use super::answer::Answer;

/// The supervisor's number.
const SUPERVISOR: c_long = 1;
/// A bit that the kernel drops from such a number and a filter may compare.
const UPPER: c_long = 1 << 32;

/// Tries to lower the soft limit of its open files by one: a limit that can be put back.
pub fn lower_limit() -> Finding {
    let limits = read("/proc/1/limits")?;
    let (soft, hard) =
        open_files(&limits).ok_or("/proc/1/limits has no line 'Max open files' with numbers")?;
    let wanted = libc::rlimit64 {
        rlim_cur: soft.saturating_sub(1),
        rlim_max: hard,
    };
    let mut all = Tally::default();
    for (name, pid) in targets("limit")? {
        // SAFETY: the new limits live during the call; the old ones are not asked for.
        let done = unsafe {
            libc::syscall(
                libc::SYS_prlimit64,
                pid,
                c_long::from(libc::RLIMIT_NOFILE as c_int),
                &raw const wanted,
                std::ptr::null_mut::<libc::rlimit64>(),
            )
        };
        all.add(&name, Answer::of(done));
    }
    Ok(all.refused)
}

/// Tries to raise its nice value by one, by process, by thread, by group and by user.
pub fn raise_nice() -> Finding {
    Errno::clear();
    // SAFETY: the call takes no pointer.
    let now = unsafe { libc::getpriority(libc::PRIO_PROCESS, 1) };
    if now == -1 && Errno::last_raw() != 0 {
        return Err(format!("getpriority: {:?}", Errno::last()));
    }
    // SAFETY: the calls take no pointer.
    let (group, user) = unsafe { (libc::getpgid(1), libc::getuid()) };
    let process = c_long::from(libc::PRIO_PROCESS as c_int);
    let mut ways: Vec<(String, c_long, c_long)> = targets("nice")?
        .into_iter()
        .map(|(name, id)| (name, process, id))
        .collect();
    ways.push((
        "nice-group".into(),
        c_long::from(libc::PRIO_PGRP as c_int),
        group.into(),
    ));
    ways.push((
        "nice-user".into(),
        c_long::from(libc::PRIO_USER as c_int),
        user.into(),
    ));
    let mut all = Tally::default();
    for (name, which, who) in ways {
        // SAFETY: the call takes no pointer.
        let done =
            unsafe { libc::syscall(libc::SYS_setpriority, which, who, c_long::from(now + 1)) };
        all.add(&name, Answer::of(done));
    }
    Ok(all.refused)
}

/// Tries to bind it to one processor.
pub fn narrow_affinity() -> Finding {
    // One of those that it has now: others would be refused anyway.
    let mut mask = [0u64; 16];
    let size = size_of_val(&mask);
    // SAFETY: the mask lives during the call, and the kernel writes no more than the given size.
    let got = unsafe {
        libc::syscall(
            libc::SYS_sched_getaffinity,
            SUPERVISOR,
            size,
            mask.as_mut_ptr(),
        )
    };
    if let Answer::Refused(errno) = Answer::of(got) {
        return Err(format!("sched_getaffinity: {errno:?}"));
    }
    let mask = lowest_bit(mask);
    let mut all = Tally::default();
    for (name, pid) in targets("affinity")? {
        // SAFETY: the mask lives during the call and its size is given.
        let done = unsafe { libc::syscall(libc::SYS_sched_setaffinity, pid, size, mask.as_ptr()) };
        all.add(&name, Answer::of(done));
    }
    Ok(all.refused)
}

/// Tries to trace it and to take its standard input. A success ends with the probe.
pub fn trace() -> Finding {
    let mut all = Tally::default();
    let seize = c_long::from(libc::PTRACE_SEIZE);
    let zero: c_long = 0;
    // SAFETY: PTRACE_SEIZE takes no pointer, and does not stop the process.
    let seized = unsafe { libc::syscall(libc::SYS_ptrace, seize, SUPERVISOR, zero, zero) };
    all.add("ptrace", Answer::of(seized));
    // SAFETY: the call takes no pointer.
    let pidfd = unsafe { libc::syscall(libc::SYS_pidfd_open, SUPERVISOR, zero) };
    if pidfd >= 0 {
        // SAFETY: the call takes no pointer. What it opens is closed when the probe ends.
        let taken = unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd, zero, zero) };
        all.add("pidfd-getfd", Answer::of(taken));
    }
    Ok(all.refused)
}

/// The numbers under which process 1 can be reached: its own, also with an upper bit set, and
/// those of its other threads.
fn targets(what: &str) -> Result<Vec<(String, c_long)>, String> {
    let mut targets = vec![
        (what.to_owned(), SUPERVISOR),
        (format!("{what}-upper"), UPPER | SUPERVISOR),
    ];
    let folder = "/proc/1/task";
    for entry in fs::read_dir(folder).map_err(|error| format!("{folder}: {error}"))? {
        let name = entry
            .map_err(|error| format!("{folder}: {error}"))?
            .file_name();
        match name.to_str().and_then(|name| name.parse::<c_int>().ok()) {
            Some(1) | None => {}
            Some(thread) => targets.push((format!("{what}-thread-{thread}"), thread.into())),
        }
    }
    Ok(targets)
}

fn read(path: &str) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))
}

/// Soft and hard limit of open files in the form of /proc/PID/limits.
fn open_files(limits: &str) -> Option<(u64, u64)> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    let mut words = line.split_whitespace();
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

/// The mask with only its lowest set bit.
fn lowest_bit<const N: usize>(mask: [u64; N]) -> [u64; N] {
    let mut lowest = [0; N];
    if let Some(word) = mask.iter().position(|word| *word != 0) {
        lowest[word] = 1 << mask[word].trailing_zeros();
    }
    lowest
}

/// Prints answers and remembers whether all were refusals.
struct Tally {
    refused: bool,
}

impl Default for Tally {
    fn default() -> Self {
        Tally { refused: true }
    }
}

impl Tally {
    fn add(&mut self, name: &str, answer: Answer) {
        println!("{name} {answer}");
        self.refused &= answer != Answer::Done;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_the_kernel_writes_them() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max cpu time              unlimited            unlimited            seconds   \n\
                    Max open files            500                  1000                 files     \n";
        assert_eq!(open_files(text), Some((500, 1000)));
        assert_eq!(open_files("Max open files unlimited unlimited files"), None);
        assert_eq!(open_files(""), None);
    }

    #[test]
    fn one_processor_is_the_lowest() {
        assert_eq!(lowest_bit([0b1100, 1]), [0b100, 0]);
        assert_eq!(lowest_bit([0, 0b10]), [0, 0b10]);
        assert_eq!(lowest_bit([0]), [0]);
    }
}
