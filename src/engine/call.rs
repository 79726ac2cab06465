//! One call of an engine's command line: arguments as a vector, never a shell, always a deadline.
//!
//! The program runs in a process group of its own, so that a terminal's Ctrl-C reaches the launcher
//! alone, and so that a call that hangs is ended with all its helpers. What it prints is bounded. A
//! helper that it left behind and that still holds its output does not delay the answer.

use std::ffi::OsString;
use std::io::{self, PipeReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use duct::{Expression, Handle};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::EngineError;
use crate::model::escape;

/// Answers beyond this are no answers: a list of ten thousand containers is 2 MiB.
const STDOUT_BYTES: usize = 16 << 20;
/// The end of stderr is where the reason stands.
pub(super) const STDERR_BYTES: usize = 8 << 10;
/// How much of an answer that cannot be understood is shown.
const QUOTED_BYTES: usize = 200;
/// How long output may still come after the program itself has ended.
pub(super) const DRAIN: Duration = Duration::from_secs(1);
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

    /// Runs it and returns what it printed.
    ///
    /// # Errors
    /// It is not there, exits with another status than 0, or does not end in time.
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
        let status = self.watch(expression, stdout_reader, Some(stderr_reader), |piece| {
            match piece {
                Piece::Stdout(bytes) if stdout.len() + bytes.len() > STDOUT_BYTES => {
                    return Err(self.garbage(b"output without an end"));
                }
                Piece::Stdout(bytes) => stdout.extend_from_slice(bytes),
                Piece::Stderr(bytes) => stderr.push(bytes),
            }
            Ok(())
        })?;
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
        let expression = self.expression().stdout_file(writer).stderr_file(second);
        let (mut line, mut tail) = (Vec::new(), Tail::default());
        let status = self.watch(expression, reader, None, |piece| {
            let (Piece::Stdout(bytes) | Piece::Stderr(bytes)) = piece;
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
        mut take: impl FnMut(Piece<'_>) -> Result<(), EngineError>,
    ) -> Result<ExitStatus, EngineError> {
        let deadline = Instant::now() + self.limit;
        let handle = Arc::new(
            expression
                .start()
                .map_err(|error| not_started(&self.argv, &error))?,
        );
        // It holds our copies of the pipes' write ends: no end of file would come.
        drop(expression);

        // A few chunks: a program that prints faster than we read waits.
        let (sender, receiver) = sync_channel(16);
        let mut open = 1 + usize::from(stderr.is_some());
        forward(stdout, sender.clone(), Message::Stdout);
        if let Some(stderr) = stderr {
            forward(stderr, sender.clone(), Message::Stderr);
        }
        report_end(Arc::clone(&handle), sender);

        let mut ended: Option<(io::Result<ExitStatus>, Instant)> = None;
        let result = loop {
            let until = ended.as_ref().map_or(deadline, |(_, drain)| *drain);
            let taken = match next(&receiver, until) {
                Some(Message::Stdout(bytes)) => take(Piece::Stdout(&bytes)),
                Some(Message::Stderr(bytes)) => take(Piece::Stderr(&bytes)),
                Some(Message::Closed) => {
                    open -= 1;
                    Ok(())
                }
                Some(Message::Ended(status)) => {
                    ended = Some((status, Instant::now() + DRAIN));
                    Ok(())
                }
                None if ended.is_some() => break Ok(()),
                None => Err(EngineError::Timeout {
                    command: shorten(&self.argv),
                    limit: self.limit,
                }),
            };
            if taken.is_err() || (open == 0 && ended.is_some()) {
                break taken;
            }
        };
        match ended {
            None => {
                kill_group(&handle);
                Err(result.err().unwrap_or_else(|| gone(&self.argv)))
            }
            Some((Err(error), _)) => Err(EngineError::Other(format!(
                "`{}`: cannot wait for its end: {error}",
                shorten(&self.argv)
            ))),
            Some((Ok(status), _)) => result.map(|()| status),
        }
    }
}

/// A piece of output.
enum Piece<'a> {
    Stdout(&'a [u8]),
    Stderr(&'a [u8]),
}

enum Message {
    Stdout(Vec<u8>),
    Stderr(Vec<u8>),
    Closed,
    Ended(io::Result<ExitStatus>),
}

/// The next message, or nothing where none comes before `until`.
fn next(receiver: &Receiver<Message>, until: Instant) -> Option<Message> {
    receiver
        .recv_timeout(until.saturating_duration_since(Instant::now()))
        .ok()
}

/// Reads a pipe to its end on a thread of its own. A failed send means that nobody listens any
/// more; then the rest is nobody's.
fn forward(mut from: PipeReader, to: SyncSender<Message>, wrap: fn(Vec<u8>) -> Message) {
    thread::spawn(move || {
        let mut buffer = vec![0; 16 << 10];
        loop {
            match from.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => break,
                Ok(count) => {
                    if to.send(wrap(buffer[..count].to_vec())).is_err() {
                        return;
                    }
                }
            }
        }
        let _ = to.send(Message::Closed);
    });
}

/// Waits for the program's end on a thread of its own, which also reaps it after a kill.
fn report_end(handle: Arc<Handle>, to: SyncSender<Message>) {
    thread::spawn(move || {
        let status = handle.wait().map(|output| output.status);
        let _ = to.send(Message::Ended(status));
    });
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

/// The error of a program that cannot be started.
pub(super) fn not_started(argv: &[OsString], error: &io::Error) -> EngineError {
    let program = escape(argv[0].as_bytes());
    match error.kind() {
        io::ErrorKind::NotFound => EngineError::Unavailable {
            message: format!("the program `{program}` was not found in PATH"),
            hint: "install Docker Engine 20.10 or newer, or put its program into PATH".into(),
        },
        _ => EngineError::Unavailable {
            message: format!("the program `{program}` cannot be started: {error}"),
            hint: "`docker-test doctor` checks the engine".into(),
        },
    }
}

/// The error of a program that ended with another status than 0.
pub(super) fn failed(argv: &[OsString], status: ExitStatus, stderr: &[u8]) -> EngineError {
    let status = match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("killed by {}", crate::model::signal_name(signal)),
        (None, None) => "no exit status".into(),
    };
    EngineError::Failed {
        command: shorten(argv),
        status,
        stderr: one_line(stderr),
    }
}

/// A command line for people: escaped, words with blanks in quotes, the long rest left out.
pub(super) fn shorten(argv: &[OsString]) -> String {
    const SHOWN: usize = 120;
    let mut text = String::new();
    for (index, word) in argv.iter().enumerate() {
        let word = escape(word.as_bytes());
        if index > 0 && text.len() + word.len() > SHOWN {
            text.push_str(" …");
            break;
        }
        if index > 0 {
            text.push(' ');
        }
        if word.is_empty() || word.contains(' ') {
            text.push_str(&format!("'{word}'"));
        } else {
            text.push_str(&word);
        }
    }
    text
}

/// What an engine said on stderr, as one line that is safe to print, without its own name and its
/// pointers to help.
pub(super) fn one_line(stderr: &[u8]) -> String {
    const SHOWN: usize = 1000;
    let mut lines: Vec<String> = Vec::new();
    for line in stderr.split(|&byte| byte == b'\n') {
        let line = line.trim_ascii();
        let line = line.strip_prefix(b"docker: ").unwrap_or(line);
        let help = [&b"See 'docker"[..], b"Run 'docker", b"Usage:"];
        let help = help.iter().any(|words| line.starts_with(words));
        if !line.is_empty() && !help {
            lines.push(escape(line));
        }
    }
    let mut text = lines.join("; ");
    if text.is_empty() {
        return "it gave no reason".into();
    }
    if let Some((cut, _)) = text.char_indices().nth(SHOWN) {
        text.truncate(cut);
        text.push('…');
    }
    text
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

/// The last `count` lines that are not empty.
fn last_lines(text: &[u8], count: usize) -> &[u8] {
    let text = text.trim_ascii_end();
    let start = text
        .iter()
        .enumerate()
        .rev()
        .filter(|&(_, &byte)| byte == b'\n')
        .nth(count - 1)
        .map_or(0, |(index, _)| index + 1);
    &text[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(200);

    fn sh(script: &str, limit: Duration) -> Call {
        Call::new("sh", ["-c", script], limit)
    }

    #[test]
    fn stdout_is_the_answer() {
        assert_eq!(sh("echo a; echo b >&2", LONG).run().unwrap(), b"a\n");
    }

    #[test]
    fn stdin_is_empty_or_as_given() {
        assert_eq!(sh("cat", LONG).run().unwrap(), b"");
        let big = vec![b'x'; 1 << 20];
        assert_eq!(sh("cat", LONG).stdin(big.clone()).run().unwrap(), big);
        assert_eq!(sh("exit 0", LONG).stdin(big).run().unwrap(), b"");
    }

    #[test]
    fn a_failure_quotes_stderr_on_one_safe_line() {
        let script =
            "printf 'docker: no \\033[31mway.\\nSee '\"'docker run --help'\"'.\\n' >&2; exit 125";
        let error = sh(script, LONG).run().unwrap_err();
        let EngineError::Failed { status, stderr, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(status, "exit status 125");
        assert_eq!(stderr, "no \\x1b[31mway.");
    }

    #[test]
    fn a_signal_is_named() {
        let error = sh("kill -9 $$", LONG).run().unwrap_err().to_string();
        assert!(error.contains("killed by SIGKILL"), "{error}");
    }

    #[test]
    fn what_hangs_is_ended_with_its_helpers() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("alive");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        // Two processes hold the pipe's write end; it reads as ended once both are gone.
        let script = format!("exec 9<>{}; sleep 1000 & sleep 1000", fifo.display());
        let reader = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(&fifo)
            .unwrap();
        let error = sh(&script, SHORT).run().unwrap_err();
        assert!(matches!(error, EngineError::Timeout { .. }), "{error}");
        // Opening for writing alone fails with ENXIO once nobody else has it open.
        drop(reader);
        let deadline = Instant::now() + LONG;
        loop {
            use std::os::unix::fs::OpenOptionsExt;
            let open = std::fs::OpenOptions::new()
                .write(true)
                .custom_flags(libc::O_NONBLOCK)
                .open(&fifo);
            if open.is_err() {
                break;
            }
            assert!(Instant::now() < deadline, "its helpers live on");
            thread::yield_now();
        }
    }

    #[test]
    fn a_helper_that_keeps_the_output_open_does_not_delay_the_answer() {
        let answer = sh("echo a; sleep 5 & exit 3", LONG).answer().unwrap();
        assert_eq!(
            (answer.stdout.as_slice(), answer.status.code()),
            (&b"a\n"[..], Some(3))
        );
    }

    #[test]
    fn endless_output_is_refused() {
        let error = sh("yes", LONG).run().unwrap_err();
        assert!(matches!(error, EngineError::Garbage { .. }), "{error}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = Call::new("no-such-engine", ["version"], LONG)
            .run()
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("the program `no-such-engine` was not found"),
            "{error}"
        );
    }

    #[test]
    fn lines_come_in_order_from_both_streams() {
        let mut lines = Vec::new();
        sh("echo a; echo b >&2; printf 'c\\r\\nd'", LONG)
            .stream(|line| lines.push(line.to_vec()))
            .unwrap();
        assert_eq!(lines, [b"a", b"b", b"c", b"d"]);
    }

    #[test]
    fn a_failed_stream_quotes_its_last_lines() {
        let error = sh("echo a; echo b; echo c; echo; echo d; exit 1", LONG)
            .stream(|_| {})
            .unwrap_err();
        let EngineError::Failed { stderr, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(stderr, "c; d");
    }

    #[test]
    fn command_lines_are_short_and_safe() {
        let argv: Vec<OsString> = vec!["docker".into(), "a b".into(), "\n".into()];
        assert_eq!(shorten(&argv), "docker 'a b' \\n");
        let long: Vec<OsString> = std::iter::repeat_n("word".into(), 100).collect();
        assert!(shorten(&long).ends_with(" …") && shorten(&long).len() < 130);
    }
}
