//! One `docker run`: its pipes, its kill and its end.

use std::ffi::OsString;
use std::io::{self, PipeReader, Read};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use duct::Handle;

use super::super::call::{Tail, failed, kill_group, not_started, one_line, own_group, pipe};
use super::super::{Container, ContainerSpec, Ending, EngineError, PeakCounter, Pipes, Resize};
use super::ending::{Record, Run, conclude};
use super::id::IdFile;
use super::{Docker, argv, diagnose, inspect};

/// How long a killed container may take to be gone before its command line is ended.
const AFTER_KILL: Duration = Duration::from_secs(10);
/// Between two looks for a container that is to be killed and that docker is still making.
const BETWEEN_KILLS: Duration = Duration::from_millis(100);
/// How long the last words may take after the command line's end, where something keeps its stderr
/// open.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// The engine's clock may differ from ours by this much.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// A container of docker's or podman's.
pub struct DockerContainer {
    docker: Docker,
    name: String,
    argv: Vec<OsString>,
    id: Option<IdFile>,
    run: Option<Running>,
}

/// Its command line, from start on.
struct Running {
    handle: Handle,
    since: SystemTime,
    heard: Arc<AtomicBool>,
    killed_by_us: AtomicBool,
    stderr: Stderr,
}

impl DockerContainer {
    /// The container that `argv` runs under `name`, whose id it leaves in `id`.
    pub fn new(docker: Docker, name: String, argv: Vec<OsString>, id: Option<IdFile>) -> Self {
        DockerContainer {
            docker,
            name,
            argv,
            id,
            run: None,
        }
    }

    /// Waits until the command line has ended; kills the container first where that takes longer
    /// than `patience`.
    fn wait_for_end(&self, run: &Running, patience: Duration) -> Result<ExitStatus, EngineError> {
        if let Some(status) = ended(run, patience)? {
            return Ok(status);
        }
        let killed = self.kill();
        let grace = if killed.is_ok() {
            AFTER_KILL
        } else {
            Duration::ZERO
        };
        if let Some(status) = ended(run, grace)? {
            return Ok(status);
        }
        // The engine hangs. Its stdin ends with the command line: the worker exits by itself.
        kill_group(&run.handle);
        Err(killed.err().unwrap_or_else(|| EngineError::Timeout {
            command: self.removal(),
            limit: AFTER_KILL,
        }))
    }

    /// The call that removes it, for people.
    fn removal(&self) -> String {
        format!("{} rm --force -- {}", self.docker.flavour.word(), self.name)
    }

    /// What the engine remembers of this container.
    fn record(&self, run: &Running) -> Result<Record, EngineError> {
        let since = stamp(run.since.checked_sub(CLOCK_SKEW).unwrap_or(UNIX_EPOCH));
        let ask = |until: SystemTime| {
            let arguments = self
                .docker
                .flavour
                .events(&self.name, &since, &stamp(until));
            let call = self.docker.call(arguments);
            let answer = self.docker.run(&call)?;
            Record::parse(self.docker.flavour, &answer, &self.name)
                .map_err(|line| call.garbage(&line))
        };
        let now = SystemTime::now();
        let record = ask(now)?;
        if record.is_complete() {
            return Ok(record);
        }
        // Its clock may be a little ahead of ours: then its last events are in our future.
        ask(now + Duration::from_secs(1))
    }
}

impl Container for DockerContainer {
    fn start(&mut self) -> Result<Pipes, EngineError> {
        if self.run.is_some() {
            return Err(EngineError::Other(format!(
                "the container {} was started before",
                self.name
            )));
        }
        let (child_stdin, stdin) = pipe()?;
        let (stdout, child_stdout) = pipe()?;
        let (stderr, child_stderr) = pipe()?;
        let since = SystemTime::now();
        let mut command = own_group(&self.argv);
        if let Some(folder) = self.docker.flavour.folder() {
            command = command.dir(folder);
        }
        let handle = command
            .stdin_file(child_stdin)
            .stdout_file(child_stdout)
            .stderr_file(child_stderr)
            .start()
            .map_err(|error| not_started(&self.argv, &error))?;
        let heard = Arc::new(AtomicBool::new(false));
        self.run = Some(Running {
            handle,
            since,
            heard: Arc::clone(&heard),
            killed_by_us: AtomicBool::new(false),
            stderr: Stderr::collect(stderr),
        });
        Ok(Pipes {
            stdin: Box::new(stdin),
            stdout: Box::new(Listening {
                from: stdout,
                heard,
            }),
        })
    }

    fn kill(&self) -> Result<(), EngineError> {
        let Some(run) = &self.run else { return Ok(()) };
        if ended(run, Duration::ZERO)?.is_some() {
            return Ok(());
        }
        run.killed_by_us.store(true, Ordering::Relaxed);
        let deadline = Instant::now() + self.docker.limit;
        // `rm`, not `kill`: it ends a container that is made, running or paused alike.
        while !inspect::remove_container(&self.docker, &self.name)? {
            // Either it has ended, or docker is still making it and must be let finish: a command
            // line that is ended now would leave a container behind that never starts.
            if ended(run, BETWEEN_KILLS)?.is_some() {
                break;
            }
            if Instant::now() > deadline {
                return Err(EngineError::Timeout {
                    command: self.removal(),
                    limit: self.docker.limit,
                });
            }
        }
        Ok(())
    }

    fn wait(&mut self, patience: Duration) -> Ending {
        let Some(run) = &self.run else {
            return Ending::NeverStarted(EngineError::Other(format!(
                "the container {} was not started",
                self.name
            )));
        };
        let status = match self.wait_for_end(run, patience) {
            Ok(status) => status,
            Err(error) => return Ending::EngineGone(error),
        };
        if status.success() {
            // Nothing else gives this status: no need to ask the engine.
            return Ending::Exited(0);
        }
        let stderr = run.stderr.finish();
        let error = self.docker.explain(failed(&self.argv, status, &stderr));
        let Some(code) = status.code() else {
            // Somebody killed the command line; the worker's stdin ended with it.
            return Ending::EngineGone(error);
        };
        if diagnose::not_there(self.docker.flavour, &one_line(&stderr))
            && !run.heard.load(Ordering::Relaxed)
        {
            return Ending::NeverStarted(error);
        }
        match self.record(run) {
            Ok(record) => conclude(
                Run {
                    status: code,
                    heard: run.heard.load(Ordering::Relaxed),
                    killed_by_us: run.killed_by_us.load(Ordering::Relaxed),
                },
                &record,
                error,
            ),
            Err(unanswered) => Ending::EngineGone(unanswered),
        }
    }

    fn peak(&mut self) -> Option<PeakCounter> {
        self.id.take()?.peak()
    }

    fn resize(&self, from: &ContainerSpec, to: &ContainerSpec) -> Option<Resize> {
        let arguments = argv::resize(&self.name, from, to);
        let docker = self.docker.clone();
        Some(Box::new(move || {
            docker.run(&docker.call(arguments?)).map(drop)
        }))
    }

    fn last_words(&self) -> String {
        let run = self.run.as_ref();
        run.map_or_else(String::new, |run| one_line(&run.stderr.finish()))
    }
}

/// The status of the command line, where it ends within `patience`.
fn ended(run: &Running, patience: Duration) -> Result<Option<ExitStatus>, EngineError> {
    run.handle
        // Beyond a year the sum with the clock could overflow.
        .wait_timeout(patience.min(Duration::from_secs(365 * 24 * 3600)))
        .map(|output| output.map(|output| output.status))
        .map_err(|error| EngineError::Other(format!("cannot wait for the engine: {error}")))
}

/// A time as docker takes it: seconds since 1970 with nine decimals.
fn stamp(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{}.{:09}", since.as_secs(), since.subsec_nanos())
}

/// A pipe from the container that remembers whether anything came.
struct Listening {
    from: PipeReader,
    heard: Arc<AtomicBool>,
}

impl Read for Listening {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        if count > 0 {
            self.heard.store(true, Ordering::Relaxed);
        }
        Ok(count)
    }
}

/// The end of what the command line, and the worker's own stderr behind it, say.
struct Stderr {
    tail: Arc<Mutex<Tail>>,
    closed: Receiver<()>,
}

impl Stderr {
    fn collect(mut from: PipeReader) -> Self {
        let tail = Arc::new(Mutex::new(Tail::default()));
        let (sender, closed) = channel();
        let writer = Arc::clone(&tail);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                match from.read(&mut buffer) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Ok(0) | Err(_) => break,
                    Ok(count) => lock(&writer).push(&buffer[..count]),
                }
            }
            drop(sender);
        });
        Stderr { tail, closed }
    }

    /// What came until the pipe was closed, or until now where something keeps it open.
    fn finish(&self) -> Vec<u8> {
        let _ = self.closed.recv_timeout(LAST_WORDS);
        lock(&self.tail).0.clone()
    }
}

fn lock(tail: &Mutex<Tail>) -> std::sync::MutexGuard<'_, Tail> {
    tail.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
