//! The engine `host`: no container at all. The same worker runs as a plain child, for comparison and
//! debugging; nothing of a spec holds but its command, its environment and its folder.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use duct::Handle;

use super::call::{kill_group, own_group, pipe};
use super::{
    Bind, Capabilities, Container, ContainerSpec, Ending, Engine, EngineError, EngineKind, Health,
    Pipes,
};
use crate::model::ByteText;

/// How long a killed process may take to be gone.
const AFTER_KILL: Duration = Duration::from_secs(10);

/// Plain children instead of containers.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostProcess;

impl Engine for HostProcess {
    fn kind(&self) -> EngineKind {
        EngineKind::Host
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            isolates: false,
            images: false,
        }
    }

    fn health(&self) -> Result<Health, EngineError> {
        Ok(Health {
            version: env!("CARGO_PKG_VERSION").into(),
            cgroup_version: None,
            cpus: None,
            memory_bytes: None,
            data_root: None,
            security: Vec::new(),
        })
    }

    fn command_line(&self, spec: &ContainerSpec) -> Result<Option<Vec<OsString>>, EngineError> {
        Ok(Some(spec.argv.clone()))
    }

    fn create(&self, spec: &ContainerSpec) -> Result<Box<dyn Container>, EngineError> {
        if spec.argv.is_empty() {
            return Err(EngineError::Other("the worker's command is empty".into()));
        }
        Ok(Box::new(Process {
            argv: spec.argv.clone(),
            environment: spec.environment.iter().cloned().collect(),
            directory: outside(Path::new(&spec.directory), &spec.binds),
            handle: None,
        }))
    }
}

/// Where a folder inside lies on the host: below the source of the innermost bind that covers it,
/// else at its own path.
fn outside(inside: &Path, binds: &[Bind]) -> PathBuf {
    binds
        .iter()
        .filter_map(|bind| Some((bind, inside.strip_prefix(&bind.target).ok()?)))
        .max_by_key(|(bind, _)| bind.target.components().count())
        .map_or_else(|| inside.into(), |(bind, rest)| bind.source.join(rest))
}

struct Process {
    argv: Vec<OsString>,
    environment: HashMap<OsString, OsString>,
    directory: PathBuf,
    handle: Option<Handle>,
}

impl Container for Process {
    fn start(&mut self) -> Result<Pipes, EngineError> {
        if self.handle.is_some() {
            return Err(EngineError::Other("the worker was started before".into()));
        }
        let (child_stdin, stdin) = pipe()?;
        let (stdout, child_stdout) = pipe()?;
        let handle = own_group(&self.argv)
            .dir(&self.directory)
            .full_env(&self.environment)
            .stdin_file(child_stdin)
            .stdout_file(child_stdout)
            .start()
            .map_err(|error| {
                EngineError::Other(format!(
                    "cannot start the worker `{}` in the folder `{}`: {error}",
                    ByteText::from(self.argv[0].as_os_str()),
                    ByteText::from(self.directory.as_os_str()),
                ))
            })?;
        self.handle = Some(handle);
        Ok(Pipes {
            stdin: Box::new(stdin),
            stdout: Box::new(stdout),
        })
    }

    fn kill(&self) -> Result<(), EngineError> {
        if let Some(handle) = &self.handle {
            kill_group(handle);
        }
        Ok(())
    }

    fn wait(&mut self, patience: Duration) -> Ending {
        let Some(handle) = &self.handle else {
            return Ending::NeverStarted(EngineError::Other("the worker was not started".into()));
        };
        let mut ended = handle.wait_timeout(patience);
        if matches!(ended, Ok(None)) {
            kill_group(handle);
            ended = handle.wait_timeout(AFTER_KILL);
        }
        match ended {
            Ok(Some(output)) => {
                let status = output.status;
                Ending::Exited(status.code().unwrap_or(128 + status.signal().unwrap_or(0)))
            }
            Ok(None) => Ending::EngineGone(EngineError::Timeout {
                command: "kill".into(),
                limit: AFTER_KILL,
            }),
            Err(error) => Ending::EngineGone(EngineError::Other(format!(
                "cannot wait for the worker: {error}"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;
    use crate::engine::docker::fake::spec;

    const LONG: Duration = Duration::from_secs(60);

    fn sh(script: &str, change: impl FnOnce(&mut ContainerSpec)) -> Box<dyn Container> {
        let mut spec = spec("dt-1", &["/bin/sh", "-c", script]);
        change(&mut spec);
        HostProcess.create(&spec).unwrap()
    }

    #[test]
    fn it_has_the_folder_and_the_environment_of_the_spec_and_nothing_else() {
        let project = tempfile::tempdir().unwrap();
        std::fs::create_dir(project.path().join("sub")).unwrap();
        let mut process = sh("pwd; env", |spec| {
            spec.directory = "/work/sub".into();
            spec.binds = vec![
                Bind {
                    source: "/".into(),
                    target: "/".into(),
                },
                Bind {
                    source: project.path().into(),
                    target: "/work".into(),
                },
            ];
            spec.environment = vec![("A".into(), "1".into())];
        });
        let mut text = String::new();
        process
            .start()
            .unwrap()
            .stdout
            .read_to_string(&mut text)
            .unwrap();
        let mut lines: Vec<&str> = text.lines().collect();
        let folder = project.path().canonicalize().unwrap().join("sub");
        assert_eq!(lines.remove(0), folder.to_str().unwrap());
        // A shell sets these two itself.
        lines.retain(|line| !line.starts_with("PWD=") && !line.starts_with("_="));
        assert_eq!(lines, ["A=1"]);
        assert!(matches!(process.wait(LONG), Ending::Exited(0)));
    }

    #[test]
    fn its_stdin_ends_with_the_launchers_end() {
        let mut process = sh("cat; exit 7", |_| {});
        let mut pipes = process.start().unwrap();
        pipes.stdin.write_all(b"a").unwrap();
        drop(pipes.stdin);
        let mut text = String::new();
        pipes.stdout.read_to_string(&mut text).unwrap();
        assert_eq!(text, "a");
        assert!(matches!(process.wait(LONG), Ending::Exited(7)));
    }

    #[test]
    fn it_is_killed_on_demand_and_for_want_of_patience() {
        let mut process = sh("sleep 1000", |_| {});
        let _pipes = process.start().unwrap();
        process.kill().unwrap();
        assert!(matches!(process.wait(LONG), Ending::Exited(137)));
        let mut process = sh("sleep 1000", |_| {});
        let _pipes = process.start().unwrap();
        assert!(matches!(process.wait(Duration::ZERO), Ending::Exited(137)));
    }

    #[test]
    fn a_program_that_is_missing_is_an_error() {
        let missing = spec("dt-1", &["/nonexistent/worker"]);
        assert!(HostProcess.create(&missing).unwrap().start().is_err());
        assert!(HostProcess.create(&spec("dt-1", &[])).is_err());
    }
}
