//! The monitor: a small process between the launcher and one container.
//!
//! It makes the namespaces, and then waits for one of two ends, the launcher's or
//! the container's, and removes what is left. It has one thread, so that it may fork freely; the
//! launcher has many.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, PipeReader, PipeWriter, Read, Seek, Write};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, dup2_stdin, dup2_stdout, getgid, getppid, getuid};

use super::network::WayOut;
use super::plan::{Link, Obstacle, Plan, RECORD, Record};
use super::sys::{self, Forked};
use super::{cgroup, inside, limits};

/// The longest plan, in bytes.
const LONGEST: u64 = 16 << 20;

/// Runs the container whose plan comes on stdin, or in the file of a descriptor, and says on stderr,
/// or there, how it ended. Returns the exit status: the container's, 128 + n for signal n, 125 where
/// it never started.
pub fn monitor(descriptor: Option<&OsStr>) -> u8 {
    let mut file = descriptor.and_then(plan_file);
    let record = match run(file.as_mut()) {
        Ok(record) => record,
        Err(obstacle) => Record::NotStarted(obstacle),
    };
    let text = serde_json::to_string(&record).unwrap_or_default();
    // The launcher may be gone.
    let _ = match &mut file {
        None => std::io::stderr().write_all(format!("{RECORD}{text}\n").as_bytes()),
        Some(file) => file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(text.as_bytes())),
    };
    match record {
        Record::NotStarted(_) => 125,
        Record::Exited(status) => u8::try_from(status).unwrap_or(u8::MAX),
        Record::Signalled { signal, .. } => u8::try_from(128 + signal).unwrap_or(u8::MAX),
    }
}

fn at_io<T>(result: std::io::Result<T>) -> nix::Result<T> {
    result.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
}

fn at<T>(result: nix::Result<T>, step: &str) -> Result<T, Obstacle> {
    result.map_err(|errno| Obstacle {
        step: step.to_owned(),
        errno: errno as i32,
    })
}

/// The inherited file of this number, closed in what is executed.
fn plan_file(descriptor: &OsStr) -> Option<File> {
    let number = descriptor.to_str()?.parse().ok().filter(|n| *n > 2)?;
    // SAFETY: the launcher left this descriptor open for us, and nothing else here knows of it.
    let file = unsafe { File::from_raw_fd(number) };
    fcntl(&file, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).ok()?;
    Some(file)
}

fn run(file: Option<&mut File>) -> Result<Record, Obstacle> {
    let attached = file.is_some();
    let plan = match file {
        Some(file) => read_plan(file),
        // Not std's stdin, which would read ahead.
        None => at_io(std::io::stdin().as_fd().try_clone_to_owned())
            .and_then(|stdin| read_plan(&mut File::from(stdin))),
    };
    let plan = at(plan, "read the plan")?;
    limits::raise_open_files();
    let mut mask = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        mask.add(signal);
    }
    at(mask.thread_block(), "block signals")?;
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    let signals = at(SignalFd::with_flags(&mask, flags), "read signals")?;
    let launcher = at(
        sys::pidfd(Pid::from_raw(plan.launcher)),
        "watch the launcher",
    )?;
    if getppid().as_raw() != plan.launcher {
        // It died meanwhile, and its number is another's or nobody's.
        return Err(Obstacle {
            step: "find the launcher".into(),
            errno: Errno::ESRCH as i32,
        });
    }
    let guard = cgroup::Guard::adopt(&plan.cgroups);
    let (go, may_go) = pipe()?;
    let (errors, error_end) = pipe()?;
    let mut namespaces = libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWNET;
    if plan.mapped.is_some() {
        namespaces |= libc::CLONE_NEWUSER;
    }
    let birthplace = guard.birthplace()?;
    let cgroup = birthplace.as_ref().map(AsFd::as_fd);
    // SAFETY: the monitor has one thread.
    let forked = unsafe { sys::fork_into(namespaces, cgroup) };
    let (child, pidfd) = match at(forked, "make namespaces")? {
        Forked::Child => {
            drop((may_go, errors, signals, launcher));
            // The cgroups are the monitor's to remove.
            guard.hand_over();
            become_container(&plan, go, error_end)
        }
        Forked::Parent(child, pidfd) => (child, pidfd),
    };
    drop((go, error_end));
    let container = Running { child, guard };
    let _way_out = container.prepare(&plan, may_go)?;
    let obstacle = read_obstacle(errors);
    if !attached {
        close_stdio();
    }
    if let Some(obstacle) = obstacle {
        let _ = waitpid(child, None);
        return Err(obstacle);
    }
    let ours = wait_for_an_end(&signals, &launcher, &pidfd);
    if ours {
        let _ = kill(child, Signal::SIGKILL);
    }
    Ok(container.end(&plan, ours))
}

/// A container that was made. However this goes, it is killed and waited for before its cgroups
/// are removed.
struct Running {
    child: Pid,
    guard: cgroup::Guard,
}

impl Running {
    /// Does what only the outside can, and lets the child go.
    fn prepare(&self, plan: &Plan, may_go: PipeWriter) -> Result<Option<WayOut>, Obstacle> {
        let result = write_maps(self.child, plan).and_then(|()| {
            let way_out = match &plan.network {
                Link::Out(program) => {
                    let program = Path::new(program.as_os_str());
                    Some(WayOut::make(program, self.child, plan.mapped.is_some())?)
                }
                Link::None | Link::Internal => None,
            };
            let sent = { may_go }.write_all(b"!");
            at(sent.map_err(|_| Errno::EPIPE), "let the container start")?;
            Ok(way_out)
        });
        if result.is_err() {
            let _ = kill(self.child, Signal::SIGKILL);
            let _ = waitpid(self.child, None);
        }
        result
    }

    fn end(self, plan: &Plan, ours: bool) -> Record {
        let status = loop {
            match waitpid(self.child, None) {
                Err(Errno::EINTR) => {}
                status => break status,
            }
        };
        let record = match status {
            Ok(WaitStatus::Exited(_, status)) => Record::Exited(status),
            Ok(WaitStatus::Signaled(_, signal, _)) => Record::Signalled {
                signal: signal as i32,
                ours,
                oom: cgroup::oom_kills(plan.oom_file.as_ref()) > 0,
            },
            _ => Record::Signalled {
                signal: libc::SIGKILL,
                ours,
                oom: false,
            },
        };
        drop(self.guard);
        record
    }
}

/// The plan: its length in bytes as a line, then as many bytes. What follows is the container's.
fn read_plan(file: &mut File) -> nix::Result<Plan> {
    let mut reader = BufReader::with_capacity(1, &mut *file);
    let mut line = String::new();
    at_io((&mut reader).take(20).read_line(&mut line))?;
    let length = line.trim().parse().unwrap_or(0);
    if length > LONGEST {
        return Err(Errno::E2BIG);
    }
    let mut text = vec![0; length as usize];
    at_io(file.read_exact(&mut text))?;
    serde_json::from_slice(&text).map_err(|_| Errno::EINVAL)
}

fn pipe() -> Result<(PipeReader, PipeWriter), Obstacle> {
    at(at_io(std::io::pipe()), "make a pipe")
}

/// The child's life until its program begins.
fn become_container(plan: &Plan, mut go: PipeReader, errors: PipeWriter) -> ! {
    let mut byte = [0];
    // End of file: the monitor could not do its part, and has said so.
    if go.read_exact(&mut byte).is_ok() {
        drop(go);
        let obstacle = inside::enter(plan, errors.as_fd());
        inside::tell(&obstacle, OwnedFd::from(errors));
    }
    // SAFETY: the way to end a forked child without running the monitor's destructors.
    unsafe { libc::_exit(125) }
}

/// Maps the container's only user and group to ours.
fn write_maps(child: Pid, plan: &Plan) -> Result<(), Obstacle> {
    let Some((uid, gid)) = plan.mapped else {
        return Ok(());
    };
    debug_assert_eq!((uid, gid), (getuid().as_raw(), getgid().as_raw()));
    let (user, group) = plan.user;
    for (file, text) in [
        // Without this the kernel takes no map of groups from an ordinary user.
        ("setgroups", "deny".to_owned()),
        ("gid_map", format!("{group} {gid} 1")),
        ("uid_map", format!("{user} {uid} 1")),
    ] {
        let path = format!("/proc/{child}/{file}");
        at(at_io(std::fs::write(&path, text)), &format!("write {file}"))?;
    }
    Ok(())
}

/// What stood in the child's way; nothing once its program runs, which closes the pipe.
fn read_obstacle(mut errors: PipeReader) -> Option<Obstacle> {
    let mut text = Vec::new();
    loop {
        match errors.read_to_end(&mut text) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            _ => break,
        }
    }
    serde_json::from_slice(&text).ok()
}

/// Lets go of the pipes: their ends must be seen by those who really use them.
fn close_stdio() {
    if let Ok(null) = File::options().read(true).write(true).open("/dev/null") {
        let _ = dup2_stdin(&null);
        let _ = dup2_stdout(&null);
    }
}

/// Waits until the container has ended by itself (false), or is to be ended (true).
fn wait_for_an_end(signals: &SignalFd, launcher: &OwnedFd, child: &OwnedFd) -> bool {
    loop {
        let watch = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut fds = [
            watch(child.as_fd()),
            watch(signals.as_fd()),
            watch(launcher.as_fd()),
        ];
        match poll(&mut fds, PollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            Err(_) => return true,
            Ok(_) => {}
        }
        let [ended, signal, orphaned] = fds.map(|fd| fd.any().unwrap_or(false));
        if ended {
            return false;
        }
        if signal || orphaned {
            return true;
        }
    }
}
