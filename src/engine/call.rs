//! One call of an engine's command line: arguments as a vector, never a shell, always a deadline.
//!
//! The program runs in a process group of its own, so that a terminal's Ctrl-C reaches the launcher
//! alone, and so that a call that hangs is ended with all its helpers. What it prints is bounded. A
//! helper that it left behind and that still holds its output does not delay the answer.

mod words;

use std::ffi::OsString;
use std::io::{self, PipeReader, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::ExitStatus;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use duct::{Expression, Handle};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

pub(super) use self::words::{failed, not_started, one_line};
use self::words::{last_lines, shorten};
use super::EngineError;
use crate::model::escape;
use crate::protocol::Stream;

/// Answers beyond this are no answers: a list of ten thousand containers is 2 MiB.
const STDOUT_BYTES: usize = 16 << 20;
/// The end of stderr is where the reason stands.
pub(super) const STDERR_BYTES: usize = 8 << 10;
/// How much of an answer that cannot be understood is shown.
const QUOTED_BYTES: usize = 200;
/// A line of streamed output is cut into pieces of this size.
const LINE_BYTES: usize = 64 << 10;

/// A command line that is to be run.
#[derive(Clone, Debug)]
pub struct Call {
    argv: Vec<OsString>,
    limit: Duration,
    stdin: Option<Vec<u8>>,
    environment: Vec<(OsString, OsString)>,
}

/// What a program that ran to its end said.
#[derive(Clone, Debug)]
pub struct Answer {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// The end of what it said on stderr, as it is.
    pub stderr: Vec<u8>,
}

impl Call {
    /// A call of `program`, looked up in PATH, which is killed after `limit`.
    pub fn new<I, S>(program: impl Into<OsString>, arguments: I, limit: Duration) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        let mut argv = vec![program.into()];
        argv.extend(arguments.into_iter().map(Into::into));
        Call {
            argv,
            limit,
            stdin: None,
            environment: Vec::new(),
        }
    }

    /// Gives it these bytes as its stdin; without, its stdin is empty.
    pub fn stdin(mut self, bytes: Vec<u8>) -> Self {
        self.stdin = Some(bytes);
        self
    }

    /// Sets a variable of its environment, which is the launcher's otherwise.
    pub fn environment(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Runs it and returns what it printed: for tests; `Docker::run` explains errors as well.
    ///
    /// # Errors
    /// It is not there, exits with another status than 0, or does not end in time.
    #[cfg(test)]
    pub fn run(self) -> Result<Vec<u8>, EngineError> {
        let answer = self.answer()?;
        if answer.status.success() {
            Ok(answer.stdout)
        } else {
            Err(self.failed(answer.status, &answer.stderr))
        }
    }

    /// Runs it, whatever its exit status is.
    ///
    /// # Errors
    /// It is not there, prints without end, or does not end in time.
    pub fn answer(&self) -> Result<Answer, EngineError> {
        let (stdout_reader, stdout) = pipe()?;
        let (stderr_reader, stderr) = pipe()?;
        let expression = self.expression().stdout_file(stdout).stderr_file(stderr);
        let (mut stdout, mut stderr) = (Vec::new(), Tail::default());
        let status = self.watch(
            expression,
            stdout_reader,
            Some(stderr_reader),
            |stream, bytes| {
                match stream {
                    Stream::Stdout if stdout.len() + bytes.len() > STDOUT_BYTES => {
                        return Err(self.garbage(b"output without an end"));
                    }
                    Stream::Stdout => stdout.extend_from_slice(bytes),
                    Stream::Stderr => stderr.push(bytes),
                }
                Ok(())
            },
        )?;
        Ok(Answer {
            status,
            stdout,
            stderr: stderr.0,
        })
    }

    /// Runs it and hands out what it prints on stdout and stderr, line by line as it comes, raw and
    /// without line ends; very long lines come in pieces.
    ///
    /// # Errors
    /// As [`Call::run`]; the message of a failure quotes the last lines.
    pub fn stream(self, mut on_line: impl FnMut(&[u8])) -> Result<(), EngineError> {
        let (reader, writer) = pipe()?;
        let second = writer.try_clone().map_err(|error| no_pipe(&error))?;
        let expression = dying_with_us(self.expression())
            .stdout_file(writer)
            .stderr_file(second);
        let (mut line, mut tail) = (Vec::new(), Tail::default());
        let status = self.watch(expression, reader, None, |_, bytes| {
            tail.push(bytes);
            for part in bytes.split_inclusive(|&byte| byte == b'\n') {
                line.extend_from_slice(part);
                if line.ends_with(b"\n") || line.len() >= LINE_BYTES {
                    on_line(trim_end(&line));
                    line.clear();
                }
            }
            Ok(())
        })?;
        if !line.is_empty() {
            on_line(trim_end(&line));
        }
        if status.success() {
            Ok(())
        } else {
            Err(self.failed(status, last_lines(&tail.0, 3)))
        }
    }

    /// The error of an exit status that is none of the good ones.
    pub fn failed(&self, status: ExitStatus, stderr: &[u8]) -> EngineError {
        failed(&self.argv, status, stderr)
    }

    /// The error of an answer that cannot be understood; its beginning is quoted.
    pub fn garbage(&self, answer: &[u8]) -> EngineError {
        let mut quoted = escape(&answer[..answer.len().min(QUOTED_BYTES)]);
        if answer.len() > QUOTED_BYTES {
            quoted.push('…');
        }
        EngineError::Garbage {
            command: shorten(&self.argv),
            answer: if quoted.is_empty() {
                "nothing".into()
            } else {
                format!("`{quoted}`")
            },
        }
    }

    fn expression(&self) -> Expression {
        let mut expression = own_group(&self.argv);
        for (name, value) in &self.environment {
            expression = expression.env(name, value);
        }
        match &self.stdin {
            Some(bytes) => expression.stdin_bytes(bytes.clone()),
            None => expression.stdin_null(),
        }
    }

    /// Starts it, passes its output on as it comes, and returns its status once it has ended.
    fn watch(
        &self,
        expression: Expression,
        stdout: PipeReader,
        stderr: Option<PipeReader>,
        mut take: impl FnMut(Stream, &[u8]) -> Result<(), EngineError>,
    ) -> Result<ExitStatus, EngineError> {
        let deadline = Instant::now() + self.limit;
        let handle = expression
            .start()
            .map_err(|error| not_started(&self.argv, &error))?;
        // It holds our copies of the pipes' write ends: no end of file would come.
        drop(expression);
        let handle = Arc::new(handle);
        let end = End::watch(Arc::clone(&handle))?;

        let mut open: Vec<(PipeReader, Stream)> = vec![(stdout, Stream::Stdout)];
        open.extend(stderr.map(|stderr| (stderr, Stream::Stderr)));
        let mut buffer = vec![0; 16 << 10];
        let mut ended = false;
        let result = loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() && !ended {
                break Err(EngineError::Timeout {
                    command: shorten(&self.argv),
                    limit: self.limit,
                });
            }
            // Once it has ended, all that it wrote is in the pipes: what is not ready never comes,
            // or comes from a helper that it left behind.
            let wait = if ended { Duration::ZERO } else { left };
            let pipes = open.iter().map(|(pipe, _)| pipe.as_fd());
            let mut ready = match ready(pipes.chain([end.pipe.as_fd()]), wait) {
                Ok(ready) => ready,
                Err(error) => break Err(EngineError::Other(format!("cannot wait: {error}"))),
            };
            let at_end = ready.pop() == Some(true);
            if ended && (left.is_zero() || !ready.contains(&true)) {
                break Ok(());
            }
            ended |= at_end;
            if let Err(error) = read_ready(&mut open, &ready, &mut buffer, &mut take) {
                break Err(error);
            }
        };
        if ended {
            let status = end.status();
            result.and(status.map_err(|error| {
                EngineError::Other(format!(
                    "`{}`: cannot wait for its end: {error}",
                    shorten(&self.argv)
                ))
            }))
        } else {
            kill_group(&handle);
            Err(result.err().unwrap_or_else(|| gone(&self.argv)))
        }
    }
}

/// Reads once from each pipe that is ready, and forgets those that are at their end.
fn read_ready(
    open: &mut Vec<(PipeReader, Stream)>,
    ready: &[bool],
    buffer: &mut [u8],
    take: &mut impl FnMut(Stream, &[u8]) -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    let mut ready = ready.iter();
    let mut result = Ok(());
    open.retain_mut(|(pipe, stream)| {
        if ready.next() != Some(&true) || result.is_err() {
            return true;
        }
        match pipe.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => true,
            Ok(0) | Err(_) => false,
            Ok(count) => {
                result = take(*stream, &buffer[..count]);
                true
            }
        }
    });
    result
}

/// Which of these can be read or are at their end, once one is or `wait` is over.
fn ready<'a>(
    pipes: impl Iterator<Item = BorrowedFd<'a>>,
    wait: Duration,
) -> Result<Vec<bool>, Errno> {
    let mut polled: Vec<PollFd> = pipes
        .map(|pipe| PollFd::new(pipe, PollFlags::POLLIN))
        .collect();
    // Rounded up: no busy waiting in the last millisecond. A long wait is begun again.
    let wait = u16::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(u16::MAX);
    match poll(&mut polled, PollTimeout::from(wait)) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(error) => return Err(error),
    }
    Ok(polled.iter().map(|one| one.any() == Some(true)).collect())
}

/// The end of a program, as a pipe that is closed then.
struct End {
    pipe: PipeReader,
    waiter: JoinHandle<io::Result<ExitStatus>>,
}

impl End {
    /// Waits on a thread of its own, which also reaps the program after a kill.
    fn watch(handle: Arc<Handle>) -> Result<Self, EngineError> {
        let (pipe, closed_at_end) = pipe()?;
        let waiter = thread::spawn(move || {
            let status = handle.wait().map(|output| output.status);
            drop(closed_at_end);
            status
        });
        Ok(End { pipe, waiter })
    }

    /// How it ended, once it has.
    fn status(self) -> io::Result<ExitStatus> {
        self.waiter
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the waiting thread is gone")))
    }
}

/// `argv` as an expression whose process has a process group of its own; its exit status is the
/// caller's to judge.
pub(super) fn own_group(argv: &[OsString]) -> Expression {
    duct::cmd(&argv[0], &argv[1..])
        .before_spawn(|command| {
            command.process_group(0);
            Ok(())
        })
        .unchecked()
}

/// Runs a program on our own stdio, terminal and all, and returns its exit status; 128 + n for signal
/// n. What a terminal's keys send is the program's alone.
///
/// # Errors
/// It cannot be started.
pub(super) fn attach(argv: &[OsString]) -> Result<u8, EngineError> {
    let Some((program, rest)) = argv.split_first() else {
        return Err(EngineError::Other("this engine opens no shells".into()));
    };
    let failed = |error: io::Error| not_started(argv, &error);
    // A handler, unlike a signal that is ignored, is not the program's too.
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGQUIT] {
        let heard = Arc::default();
        signal_hook::flag::register(signal, heard).map_err(failed)?;
    }
    let output = duct::cmd(program, rest).unchecked().run().map_err(failed)?;
    let status = output.status;
    let code = status.code().unwrap_or(128 + status.signal().unwrap_or(0));
    Ok(u8::try_from(code).unwrap_or(u8::MAX))
}

/// Ends the program when the thread that starts it ends: an interrupted launcher must not leave a
/// long build to itself. Only for a thread that waits for the program.
fn dying_with_us(expression: Expression) -> Expression {
    expression.before_spawn(|command| {
        // SAFETY: prctl is a plain system call, which may be made between fork and exec.
        unsafe {
            command.pre_exec(|| Ok(nix::sys::prctl::set_pdeathsig(Signal::SIGTERM)?));
        }
        Ok(())
    })
}

/// Kills a program of [`own_group`] with all its helpers, if it has not ended: its number may be
/// another's by then.
pub(super) fn kill_group(handle: &Handle) {
    if !matches!(handle.try_wait(), Ok(None)) {
        return;
    }
    for pid in handle.pids() {
        if let Ok(pid) = i32::try_from(pid) {
            // It may have ended by itself a moment ago.
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// A pipe for a child's stdio.
pub(super) fn pipe() -> Result<(PipeReader, io::PipeWriter), EngineError> {
    io::pipe().map_err(|error| no_pipe(&error))
}

fn no_pipe(error: &io::Error) -> EngineError {
    EngineError::Other(format!("cannot make a pipe: {error}"))
}

fn gone(argv: &[OsString]) -> EngineError {
    EngineError::Other(format!("`{}` is out of sight", shorten(argv)))
}

/// The last bytes of a stream.
#[derive(Default)]
pub(super) struct Tail(pub(super) Vec<u8>);

impl Tail {
    /// Takes more, and forgets what is too old.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        if self.0.len() > 2 * STDERR_BYTES {
            self.0.drain(..self.0.len() - STDERR_BYTES);
        }
    }
}

fn trim_end(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n")
        .map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line))
}

#[cfg(test)]
mod tests;
