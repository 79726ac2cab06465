//! A container that is joined to the user's own terminal or pipes, for `shell`.
//!
//! The plan goes to the monitor in a file without a name, because stdin is the container's from the
//! beginning; the record comes back in it. A terminal inside is one of its own, and so are pipes: what
//! runs there never holds the user's. Of a file that is open for reading it could open the other
//! half, and a folder would be a way out.

use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, PipeReader, PipeWriter, Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::JoinHandle;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{OpenptyResult, openpty};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::{Gid, Uid, fchown};

use super::super::call::{not_started, pipe};
use super::super::{Ending, EngineError};
use super::cgroup::Guard;
use super::container::conclude;
use super::plan::{Plan, Record};
use super::{MONITOR, diagnose};

/// Runs the container of `plan` with our stdio, and returns its exit status.
///
/// # Errors
/// It does not start.
pub fn attach(program: &Path, plan: &Plan) -> Result<u8, EngineError> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |error: std::io::Error| EngineError::Other(format!("cannot {what}: {error}"))
    };
    let mut file = plan_file(plan).map_err(failed("write a container's plan"))?;
    let argv: Vec<OsString> = vec![
        program.into(),
        MONITOR.into(),
        file.as_raw_fd().to_string().into(),
    ];
    let cgroups = Guard::make(&plan.cgroups).map_err(|obstacle| diagnose::explain(&obstacle))?;
    let joined = if plan.terminal {
        let terminal = Terminal::open(plan.user).map_err(failed("make a terminal"))?;
        Joined::Terminal(terminal)
    } else {
        Joined::Pipes(Box::new(Pipes::open(plan.user)?))
    };
    let [stdin, stdout, stderr] = joined.ends().map_err(failed("copy a descriptor"))?;
    let expression = duct::cmd(&argv[0], &argv[1..])
        .unchecked()
        .stdin_file(stdin)
        .stdout_file(stdout)
        .stderr_file(stderr);
    let handle = expression
        .start()
        .map_err(|error| not_started(&argv, &error))?;
    cgroups.hand_over();
    // It holds the inner ends.
    drop(expression);
    let ended = match joined {
        Joined::Terminal(terminal) => {
            terminal.relay();
            handle.wait().map(drop)
        }
        Joined::Pipes(pipes) => {
            let output = pipes.relay().map_err(failed("start a thread"))?;
            let ended = handle.wait().map(drop);
            // Nobody in the container is left to write.
            for thread in output {
                let _ = thread.join();
            }
            ended
        }
    };
    ended.map_err(failed("wait for the container"))?;
    match conclude(read_record(&mut file), false) {
        Ending::Exited(status) => Ok(u8::try_from(status).unwrap_or(u8::MAX)),
        Ending::Oom | Ending::Removed | Ending::HungUp => Ok(137),
        Ending::NeverStarted(error) | Ending::EngineGone(error) => Err(error),
    }
}

/// A file without a name that holds the plan, and that the monitor inherits.
fn plan_file(plan: &Plan) -> std::io::Result<File> {
    let mut file = File::from(memfd_create(c"plan", MFdFlags::empty())?);
    fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty()))?;
    file.write_all(&plan.message()?)?;
    file.rewind()?;
    Ok(file)
}

fn read_record(file: &mut File) -> Option<Record> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// What the container has as its stdio.
enum Joined {
    Terminal(Terminal),
    Pipes(Box<Pipes>),
}

impl Joined {
    /// The container's ends.
    fn ends(&self) -> std::io::Result<[OwnedFd; 3]> {
        let ends = match self {
            Joined::Terminal(terminal) => [terminal.inner.as_fd(); 3],
            Joined::Pipes(pipes) => [
                pipes.stdin.0.as_fd(),
                pipes.stdout.1.as_fd(),
                pipes.stderr.1.as_fd(),
            ],
        };
        let [stdin, stdout, stderr] = ends.map(|end| end.try_clone_to_owned());
        Ok([stdin?, stdout?, stderr?])
    }
}

/// Pipes for the container's stdio, which go on to ours.
struct Pipes {
    stdin: (PipeReader, PipeWriter),
    stdout: (PipeReader, PipeWriter),
    stderr: (PipeReader, PipeWriter),
}

impl Pipes {
    fn open((user, group): (u32, u32)) -> Result<Self, EngineError> {
        let open = || {
            let ends = pipe()?;
            // Programs inside open `/dev/stdout`. Only root may, and only there it is another's.
            let _ = fchown(
                &ends.0,
                Some(Uid::from_raw(user)),
                Some(Gid::from_raw(group)),
            );
            Ok(ends)
        };
        Ok(Pipes {
            stdin: open()?,
            stdout: open()?,
            stderr: open()?,
        })
    }

    /// Passes on what is written and read; the threads end when the container's outputs do.
    fn relay(self) -> std::io::Result<[JoinHandle<()>; 2]> {
        let carry = |from: OwnedFd, to: OwnedFd| {
            std::thread::Builder::new().spawn(move || while pass(&from, &to) {})
        };
        let ours = |fd: std::os::fd::BorrowedFd<'_>| fd.try_clone_to_owned();
        // It may wait for our stdin for ever: nobody waits for it.
        carry(ours(std::io::stdin().as_fd())?, self.stdin.1.into())?;
        Ok([
            carry(self.stdout.0.into(), ours(std::io::stdout().as_fd())?)?,
            carry(self.stderr.0.into(), ours(std::io::stderr().as_fd())?)?,
        ])
    }
}

/// A terminal for the container, and ours while it is joined to it.
struct Terminal {
    outer: File,
    inner: OwnedFd,
}

/// Our terminal's settings, restored at the end.
struct Restore(Option<Termios>);

impl Drop for Restore {
    fn drop(&mut self) {
        if let Some(settings) = &self.0 {
            // A terminal that went away needs no settings.
            let _ = tcsetattr(std::io::stdin(), SetArg::TCSADRAIN, settings);
        }
    }
}

impl Terminal {
    fn open((user, group): (u32, u32)) -> std::io::Result<Self> {
        let OpenptyResult { master, slave } = openpty(None, None)?;
        for end in [&master, &slave] {
            fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        }
        // Only root may, and only there it is somebody else's.
        let _ = fchown(
            &slave,
            Some(Uid::from_raw(user)),
            Some(Gid::from_raw(group)),
        );
        Ok(Terminal {
            outer: File::from(master),
            inner: slave,
        })
    }

    /// Passes on what is typed and printed until nobody holds the inner end any more.
    fn relay(self) {
        let Terminal { outer, inner } = self;
        drop(inner);
        let stdin = std::io::stdin();
        let _restore = Restore(tcgetattr(&stdin).ok().inspect(|settings| {
            let mut raw = settings.clone();
            cfmakeraw(&mut raw);
            let _ = tcsetattr(&stdin, SetArg::TCSADRAIN, &raw);
        }));
        let resized = UnixStream::pair().ok().and_then(|(from, to)| {
            let signal = signal_hook::consts::SIGWINCH;
            signal_hook::low_level::pipe::register(signal, to).ok()?;
            Some(from)
        });
        copy_size(&outer);
        let mut typed = true;
        loop {
            let watch = |fd| PollFd::new(fd, PollFlags::POLLIN);
            let mut fds = vec![watch(outer.as_fd())];
            fds.extend(resized.as_ref().map(|resized| watch(resized.as_fd())));
            if typed {
                fds.push(watch(stdin.as_fd()));
            }
            match poll(&mut fds, PollTimeout::NONE) {
                Err(Errno::EINTR) => continue,
                Err(_) => return,
                Ok(_) => {}
            }
            let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(false)).collect();
            if ready[0] && !pass(&outer, &std::io::stdout()) {
                return;
            }
            if let Some(resized) = &resized
                && ready[1]
            {
                let _ = { resized }.read(&mut [0; 64]);
                copy_size(&outer);
            }
            if typed && ready.last() == Some(&true) {
                typed = pass(&stdin, &outer);
            }
        }
    }
}

/// Reads once and writes all of it; false at the end.
fn pass(from: &impl AsFd, to: &impl AsFd) -> bool {
    let file = |fd: &dyn Fn() -> std::io::Result<OwnedFd>| fd().map(File::from);
    let (Ok(mut from), Ok(mut to)) = (
        file(&|| from.as_fd().try_clone_to_owned()),
        file(&|| to.as_fd().try_clone_to_owned()),
    ) else {
        return false;
    };
    let mut buffer = [0; 4096];
    loop {
        return match from.read(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            // A terminal whose other end is closed reads as an error.
            Ok(0) | Err(_) => false,
            Ok(count) => to.write_all(&buffer[..count]).is_ok(),
        };
    }
}

/// Gives the container's terminal the size of ours.
fn copy_size(to: &File) {
    // SAFETY: a structure of integers, which one call fills in and the other reads.
    unsafe {
        let mut size: libc::winsize = std::mem::zeroed();
        if libc::ioctl(libc::STDIN_FILENO, libc::TIOCGWINSZ, &raw mut size) == 0 {
            libc::ioctl(to.as_raw_fd(), libc::TIOCSWINSZ, &raw const size);
        }
    }
}
