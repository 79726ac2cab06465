//! Containers that compose starts: a project of its own, made and removed as a whole.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::super::EngineError;
use super::super::call::Call;
use super::Docker;

/// Deadline of compose's calls, each of which waits for all containers of a project.
const LIMIT: Duration = Duration::from_secs(180);

/// Docker's compose: the plugin, else the program of its own that came before it.
#[derive(Clone, Debug)]
pub struct Compose {
    docker: Docker,
    words: Vec<OsString>,
}

/// A project of compose.
#[derive(Clone, Debug)]
pub struct Project {
    /// Its name: small letters, digits and dashes.
    pub name: String,
    /// Its compose file.
    pub file: PathBuf,
}

impl Compose {
    /// The compose that works with this docker.
    ///
    /// # Errors
    /// There is none.
    pub fn find(docker: &Docker) -> Result<Self, EngineError> {
        let plugin = vec![docker.program.clone(), "compose".into()];
        let mut reasons = Vec::new();
        for words in [plugin, vec!["docker-compose".into()]] {
            let compose = Compose {
                docker: docker.clone(),
                words,
            };
            match docker.run(&compose.call(["version".into()])) {
                Ok(_) => return Ok(compose),
                Err(error) => reasons.push(error.to_string()),
            }
        }
        let first = |reason: &String| reason.lines().next().unwrap_or_default().to_owned();
        let reasons: Vec<String> = reasons.iter().map(first).collect();
        Err(EngineError::Unavailable {
            message: format!("docker has no compose here: {}", reasons.join("; ")),
            hint: "install docker's compose plugin; `docker-test run --workers N` does the same without it".into(),
        })
    }

    fn call(&self, arguments: impl IntoIterator<Item = OsString>) -> Call {
        let [program, rest @ ..] = self.words.as_slice() else {
            unreachable!("compose has a program");
        };
        let words = rest.iter().cloned().chain(arguments);
        Call::new(program, words, LIMIT)
    }

    fn of(&self, project: &Project, words: &[OsString]) -> Call {
        let head = [
            "-p".into(),
            project.name.clone().into(),
            "-f".into(),
            project.file.clone().into_os_string(),
        ];
        self.call(head.into_iter().chain(words.iter().cloned()))
    }

    /// Starts so many containers of each of these services, from images that are there.
    ///
    /// # Errors
    /// Compose or the engine refuses, or does not answer in time.
    pub fn up(&self, project: &Project, scale: &[(String, u32)]) -> Result<(), EngineError> {
        let mut words: Vec<OsString> = vec!["up".into(), "-d".into(), "--no-build".into()];
        for (service, count) in scale {
            words.extend(["--scale".into(), format!("{service}={count}").into()]);
        }
        self.docker.run(&self.of(project, &words)).map(drop)
    }

    /// Ends and removes everything of a project.
    ///
    /// # Errors
    /// Compose or the engine refuses, or does not answer in time.
    pub fn down(&self, project: &Project) -> Result<(), EngineError> {
        let words = ["down", "-t", "2"].map(OsString::from);
        self.docker.run(&self.of(project, &words)).map(drop)
    }
}
