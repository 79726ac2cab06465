//! Programs with a known consumption, to hold the measurement against.
//!
//! Each uses next to nothing besides what it is asked for, and ends by itself.

use std::fs::File;
use std::hint::black_box;
use std::io::{Read, pipe};
use std::time::Duration;

use nix::sys::wait::{WaitStatus, waitpid};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{ForkResult, Pid, fork, setsid};

use super::Finding;

/// Bytes in a MiB.
const MIB: usize = 1 << 20;
/// The smallest page that any machine has, in bytes.
const PAGE: usize = 4096;

/// Has so many MiB of memory for so many milliseconds, and writes to every page of it.
pub fn touch(mib: usize, ms: u64) -> Finding {
    let size = mib.checked_mul(MIB).ok_or("too much memory")?;
    let mut memory: Vec<u8> = Vec::new();
    memory
        .try_reserve_exact(size)
        .map_err(|_| format!("there is no room for {mib} MiB"))?;
    let room = memory.spare_capacity_mut();
    for page in room.chunks_mut(PAGE) {
        page[0].write(1);
    }
    black_box(room);
    sleep(ms);
    Ok(true)
}

/// Uses so many milliseconds of CPU time in user mode, in this process.
pub fn burn(ms: u64) -> Finding {
    use_cpu(ms, || {
        // Few enough that an unoptimised program looks at its clock every few milliseconds, too.
        for at in 0..20_000u64 {
            black_box(at);
        }
    });
    Ok(true)
}

/// The same in the kernel.
pub fn burn_in_kernel(ms: u64) -> Finding {
    let mut zero = File::open("/dev/zero").map_err(|error| format!("/dev/zero: {error}"))?;
    let mut buffer = vec![0; 64 << 10];
    let mut result = Ok(());
    use_cpu(ms, || result = zero.read_exact(black_box(&mut buffer)));
    result
        .map(|()| true)
        .map_err(|error| format!("/dev/zero: {error}"))
}

/// The same in a child that this process waits for.
pub fn burn_in_child(ms: u64) -> Finding {
    wait_for(child(|| drop(burn(ms)))?)
}

/// The same in a process that has left: its parent has ended, it has its own session, and nobody
/// waits for it but through a pipe that it holds open.
pub fn burn_in_daemon(ms: u64) -> Finding {
    let failed = |error| format!("no pipe: {error}");
    let (mut until, held) = pipe().map_err(failed)?;
    let parent = child(|| {
        let _ = setsid();
        let _ = child(|| drop(burn(ms)));
    })?;
    drop(held);
    let done = wait_for(parent)?;
    until.read_to_end(&mut Vec::new()).map_err(failed)?;
    Ok(done)
}

/// Holds so many files open, besides the three that everybody has, for so many milliseconds.
pub fn open_files(count: usize, ms: u64) -> Finding {
    let open = |_| File::open("/dev/null").map_err(|error| format!("/dev/null: {error}"));
    let files = (0..count).map(open).collect::<Result<Vec<_>, _>>()?;
    sleep(ms);
    drop(files);
    Ok(true)
}

/// Has so many threads besides its first for so many milliseconds.
pub fn threads(count: usize, ms: u64) -> Finding {
    let start = |_| {
        std::thread::Builder::new()
            .stack_size(64 << 10)
            .spawn(move || sleep(ms))
            .map_err(|error| format!("no thread: {error}"))
    };
    let threads = (0..count).map(start).collect::<Result<Vec<_>, _>>()?;
    let broken = threads.into_iter().filter_map(|thread| thread.join().err());
    Ok(broken.count() == 0)
}

/// Has so many processes besides itself for so many milliseconds.
pub fn processes(count: usize, ms: u64) -> Finding {
    let started = (0..count).map(|_| child(|| sleep(ms)));
    let children = started.collect::<Result<Vec<_>, _>>()?;
    for child in children {
        wait_for(child)?;
    }
    Ok(true)
}

/// Leaves a process behind, by the name `leftover`, which ends after a minute.
pub fn leave_process() -> Finding {
    child(|| {
        let _ = setsid();
        let _ = nix::sys::prctl::set_name(c"leftover");
        sleep(60_000);
    })?;
    // Its name is its own before this process ends and the supervisor looks.
    sleep(20);
    Ok(true)
}

fn sleep(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

/// Repeats something short until this process has used so much CPU time more than now.
fn use_cpu(ms: u64, mut something: impl FnMut()) {
    let used =
        || clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map_or(Duration::MAX, Duration::from);
    let until = used().saturating_add(Duration::from_millis(ms));
    while used() < until {
        something();
    }
}

/// A process that does this and ends.
fn child(what: impl FnOnce()) -> Result<Pid, String> {
    // SAFETY: this process has one thread, so its copy is as good as it is.
    match unsafe { fork() }.map_err(|error| format!("no process: {error}"))? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            what();
            // SAFETY: ends the child at once, without what the parent has registered for its end.
            unsafe { libc::_exit(0) }
        }
    }
}

fn wait_for(child: Pid) -> Finding {
    let status = waitpid(child, None).map_err(|error| format!("a child is lost: {error}"))?;
    Ok(matches!(status, WaitStatus::Exited(_, 0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn used() -> Duration {
        clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
            .unwrap()
            .into()
    }

    #[test]
    fn as_much_is_used_as_was_asked_for() {
        let before = used();
        // Other threads of these tests are counted too, so it may be less of this one.
        burn(20).unwrap();
        burn_in_kernel(20).unwrap();
        assert!(used() - before <= Duration::from_millis(45));
        let start = Instant::now();
        assert_eq!(touch(4, 10), Ok(true));
        assert_eq!(open_files(4, 10), Ok(true));
        assert_eq!(threads(4, 10), Ok(true));
        assert!(start.elapsed() >= Duration::from_millis(30));
        assert!(touch(usize::MAX, 0).is_err());
    }
}
