//! One container: its monitor's pipes, its end, and how it is ended.

use std::ffi::OsString;
use std::io::{PipeReader, Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use duct::Handle;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::super::call::{Tail, kill_group, not_started, one_line, own_group, pipe};
use super::super::image_store::Hold;
use super::super::{Container, ContainerSpec, Ending, EngineError, PeakCounter, Pipes, Resize};
use super::cgroup::{self, Guard};
use super::plan::{Plan, RECORD, Record};
use super::{MONITOR, diagnose};

/// How long a killed container may take to be gone.
const AFTER_KILL: Duration = Duration::from_secs(10);

/// A container of ours.
pub struct SandboxContainer {
    program: PathBuf,
    plan: Plan,
    /// Keeps its image from being removed.
    _hold: Option<Hold>,
    run: Option<Running>,
}

struct Running {
    handle: Handle,
    said: Arc<Mutex<Tail>>,
    killed: AtomicBool,
    listener: Mutex<Option<JoinHandle<()>>>,
}

impl SandboxContainer {
    /// The container of `plan`; `program` is this program's file, `hold` keeps its image.
    pub fn new(program: PathBuf, plan: Plan, hold: Option<Hold>) -> Self {
        SandboxContainer {
            program,
            plan,
            _hold: hold,
            run: None,
        }
    }
}

impl Container for SandboxContainer {
    fn start(&mut self) -> Result<Pipes, EngineError> {
        if self.run.is_some() {
            return Err(EngineError::Other(
                "the container was started before".into(),
            ));
        }
        let message = self
            .plan
            .message()
            .map_err(|error| EngineError::Other(format!("a container's plan: {error}")))?;
        let (child_stdin, mut stdin) = pipe()?;
        let (stdout, child_stdout) = pipe()?;
        let (stderr, child_stderr) = pipe()?;
        let argv: Vec<OsString> = vec![self.program.clone().into(), MONITOR.into()];
        let handle = own_group(&argv)
            .stdin_file(child_stdin)
            .stdout_file(child_stdout)
            .stderr_file(child_stderr)
            .start()
            .map_err(|error| not_started(&argv, &error))?;
        let said = Arc::new(Mutex::new(Tail::default()));
        let writer = Arc::clone(&said);
        let listener = std::thread::Builder::new()
            .spawn(move || listen(stderr, &writer))
            .map_err(|error| EngineError::Other(format!("no thread can be started: {error}")))?;
        // While the monitor starts, which takes as long.
        let cgroups = Guard::make(&self.plan.cgroups).map_err(|obstacle| {
            kill_group(&handle);
            diagnose::explain(&obstacle)
        })?;
        // A monitor that cannot read it ends, and says why.
        if stdin.write_all(&message).is_ok() {
            cgroups.hand_over();
        }
        self.run = Some(Running {
            handle,
            said,
            killed: AtomicBool::new(false),
            listener: Mutex::new(Some(listener)),
        });
        Ok(Pipes {
            stdin: Box::new(stdin),
            stdout: Box::new(stdout),
        })
    }

    fn kill(&self) -> Result<(), EngineError> {
        if let Some(run) = &self.run
            && matches!(run.handle.try_wait(), Ok(None))
        {
            run.killed.store(true, Ordering::Relaxed);
            // The monitor kills the container and cleans up after it.
            for pid in run.handle.pids() {
                let pid = Pid::from_raw(pid.cast_signed());
                let _ = kill(pid, Signal::SIGTERM);
                // Somebody may have stopped it.
                let _ = kill(pid, Signal::SIGCONT);
            }
        }
        Ok(())
    }

    fn wait(&mut self, patience: Duration) -> Ending {
        let Some(run) = &self.run else {
            return Ending::NeverStarted(EngineError::Other(
                "the container was not started".into(),
            ));
        };
        let mut ended = run.handle.wait_timeout(patience);
        if matches!(ended, Ok(None)) {
            let _ = self.kill();
            ended = run.handle.wait_timeout(AFTER_KILL);
        }
        if matches!(ended, Ok(None)) {
            // PID 1 ends with its monitor, and the cgroups are swept at the next start.
            kill_group(&run.handle);
            ended = run.handle.wait_timeout(AFTER_KILL);
        }
        match ended {
            Ok(Some(_)) => {
                let record = run.record();
                if record.is_none() {
                    cgroup::remove_all(&self.plan.cgroups);
                }
                conclude(record, run.killed.load(Ordering::Relaxed))
            }
            Ok(None) => Ending::EngineGone(EngineError::Timeout {
                command: MONITOR.into(),
                limit: AFTER_KILL,
            }),
            Err(error) => Ending::EngineGone(EngineError::Other(format!(
                "cannot wait for a container's monitor: {error}"
            ))),
        }
    }

    fn peak(&mut self) -> Option<PeakCounter> {
        // The file that counts kills lies beside it.
        let oom = PathBuf::from(self.plan.oom_file.as_ref()?.as_os_str());
        Some(PeakCounter::new(move || Some(oom.parent()?.to_path_buf())))
    }

    fn resize(&self, _from: &ContainerSpec, to: &ContainerSpec) -> Option<Resize> {
        let cgroups = cgroup::resized(&self.plan.cgroups, to)?;
        Some(Box::new(move || {
            cgroup::change(&cgroups).map_err(|obstacle| diagnose::explain(&obstacle))
        }))
    }

    fn last_words(&self) -> String {
        let Some(run) = &self.run else {
            return String::new();
        };
        let said = run.all();
        one_line(split(&said).0)
    }
}

impl Running {
    /// Everything that monitor and supervisor said, once both are gone.
    fn all(&self) -> Vec<u8> {
        let listener = self
            .listener
            .lock()
            .ok()
            .and_then(|mut thread| thread.take());
        if let Some(listener) = listener {
            let _ = listener.join();
        }
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.0.clone()
    }

    fn record(&self) -> Option<Record> {
        serde_json::from_slice(split(&self.all()).1?).ok()
    }
}

/// What the supervisor said, and the monitor's record behind it.
fn split(said: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mark = RECORD.as_bytes()[0];
    match said.iter().rposition(|byte| *byte == mark) {
        Some(at) => (&said[..at], Some(&said[at + 1..])),
        None => (said, None),
    }
}

fn listen(mut from: PipeReader, to: &Mutex<Tail>) {
    let mut buffer = [0; 4096];
    loop {
        match from.read(&mut buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return,
            Ok(count) => to
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(&buffer[..count]),
        }
    }
}

/// What a record means; `killed` says that it was to be killed by us. Without a record somebody killed
/// the monitor, and the container with it.
pub fn conclude(record: Option<Record>, killed: bool) -> Ending {
    const KILLED: i32 = 128 + Signal::SIGKILL as i32;
    match record {
        Some(Record::NotStarted(obstacle)) => Ending::NeverStarted(diagnose::explain(&obstacle)),
        Some(Record::Exited(status)) => Ending::Exited(status),
        None | Some(Record::Signalled { .. }) if killed => Ending::Exited(KILLED),
        // Somebody else told the monitor to end.
        None | Some(Record::Signalled { ours: true, .. }) => Ending::Removed,
        Some(Record::Signalled { signal: 9, oom, .. }) if oom => Ending::Oom,
        Some(Record::Signalled { signal, .. }) => Ending::Exited(128 + signal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_record_counts_and_the_words_before_it_are_the_supervisors() {
        let said = b"oh\n\x1e{\"exited\":3}\n";
        let (words, record) = split(said);
        assert_eq!(words, b"oh\n");
        let record: Record = serde_json::from_slice(record.unwrap()).unwrap();
        assert_eq!(record, Record::Exited(3));
        assert_eq!(split(b"oh"), (&b"oh"[..], None));
    }

    #[test]
    fn an_end_is_told_from_its_record_and_from_who_wanted_it() {
        let signalled = |signal, ours, oom| Some(Record::Signalled { signal, ours, oom });
        let end = |record, killed| match conclude(record, killed) {
            Ending::Exited(status) => format!("exited {status}"),
            Ending::Oom => "oom".into(),
            Ending::Removed => "removed".into(),
            other => format!("{other:?}"),
        };
        for (record, killed, expected) in [
            (None, false, "removed"),
            (None, true, "exited 137"),
            (signalled(9, true, true), true, "exited 137"),
            (signalled(9, true, false), false, "removed"),
            (signalled(9, false, true), false, "oom"),
            // As of docker's: the engine had no part in it.
            (signalled(9, false, false), false, "exited 137"),
            (signalled(11, false, false), false, "exited 139"),
            (Some(Record::Exited(4)), true, "exited 4"),
            (Some(Record::Exited(4)), false, "exited 4"),
        ] {
            assert_eq!(end(record, killed), expected);
        }
    }
}
