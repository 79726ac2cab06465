//! Cheap questions about what is installed, for a choice that nobody made. A docker that is there
//! costs no call.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::Engine;
use super::{Docker, Flavour, health};
use crate::model::escape;

/// A docker that has no answer by then is not there.
const LIMIT: Duration = Duration::from_secs(5);
/// Podman looks at the whole machine for its answer, and at nothing that could be far away.
const PODMAN_LIMIT: Duration = Duration::from_secs(20);
/// Where docker's command line looks when nothing says otherwise.
const SOCKET: &str = "/var/run/docker.sock";

impl Docker {
    /// The engine behind a program that is called docker, which can be podman: then it is a script
    /// or a link, and is asked.
    pub fn called_docker(program: impl AsRef<OsStr>) -> Self {
        let program = program.as_ref();
        let docker = Docker::new(program);
        match find(program).filter(|path| is_stand_in(path)) {
            Some(_) => Docker::of(version_flavour(&docker), program),
            None => docker,
        }
    }

    /// Whether its program is there.
    pub fn is_installed(&self) -> bool {
        find(&self.program).is_some()
    }

    /// Whether it is installed and answers; else why not, as the end of a sentence about it.
    ///
    /// # Errors
    /// `is not installed`, or what it was asked and said, on one line.
    pub fn answers(&self) -> Result<(), String> {
        if !self.is_installed() {
            return Err("is not installed".into());
        }
        match (self.flavour(), health::default_socket()) {
            (Flavour::Docker, true) => listens(Path::new(SOCKET)),
            (Flavour::Docker, false) => said(self.clone().with_limit(LIMIT).version().map(drop)),
            (Flavour::Podman, _) => said(self.clone().with_limit(PODMAN_LIMIT).health().map(drop)),
        }
    }
}

fn said(answer: Result<(), super::EngineError>) -> Result<(), String> {
    answer.map_err(|error| {
        let text = error.to_string();
        format!("does not answer: {}", text.lines().next().unwrap_or("?"))
    })
}

fn listens(socket: &Path) -> Result<(), String> {
    UnixStream::connect(socket).map(drop).map_err(|error| {
        let socket = escape(socket.as_os_str().as_encoded_bytes());
        format!("does not answer: {socket}: {error}")
    })
}

/// Whose the version is; docker's where that is not plain.
fn version_flavour(docker: &Docker) -> Flavour {
    let answer = docker.call_within(["--version"], LIMIT).answer();
    answer
        .ok()
        .and_then(|answer| Flavour::of_version(std::str::from_utf8(&answer.stdout).ok()?))
        .unwrap_or(Flavour::Docker)
}

/// Whether the file is a script or a link: docker's own program is neither where distributions put
/// it.
fn is_stand_in(path: &Path) -> bool {
    let mut begin = [0; 2];
    path.is_symlink()
        || std::fs::File::open(path)
            .and_then(|mut file| file.read_exact(&mut begin))
            .is_ok_and(|()| &begin == b"#!")
}

/// The file that a program's name leads to, as `execvp` looks for it.
fn find(program: &OsStr) -> Option<PathBuf> {
    let executable = |path: &PathBuf| {
        path.metadata()
            .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    if program.as_encoded_bytes().contains(&b'/') {
        return Some(PathBuf::from(program)).filter(executable);
    }
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(executable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::EngineKind;
    use crate::engine::docker::fake::Fake;

    #[test]
    fn a_podman_that_is_called_docker_is_asked_who_it_is() {
        for (version, kind) in [
            ("podman version 4.3.1", EngineKind::Podman),
            (
                "Docker version 26.1.5+dfsg1, build a72d7cd",
                EngineKind::Docker,
            ),
            ("something else", EngineKind::Docker),
        ] {
            let fake = Fake::new(&format!(
                "echo 'Emulate Docker CLI using podman.' >&2; echo '{version}'"
            ));
            assert_eq!(Docker::called_docker(fake.file("docker")).kind(), kind);
            assert_eq!(fake.calls(), [["--version"]]);
        }
    }

    #[test]
    fn a_program_of_its_own_is_not_asked() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("docker");
        std::fs::copy("/bin/true", &program).unwrap();
        assert!(!is_stand_in(&program));
        std::os::unix::fs::symlink(&program, folder.path().join("link")).unwrap();
        assert!(is_stand_in(&folder.path().join("link")));
        assert!(!is_stand_in(&folder.path().join("none")));
    }

    #[test]
    fn what_is_not_installed_says_so() {
        let none = Docker::podman("/nonexistent/podman").answers();
        assert_eq!(none, Err("is not installed".into()));
        let none = Docker::new("docker-test-has-no-such-program").answers();
        assert_eq!(none, Err("is not installed".into()));
    }

    #[test]
    fn a_socket_that_nobody_listens_at_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert_eq!(listens(&socket), Ok(()));
        drop(listener);
        assert_eq!(
            listens(&socket),
            Err(format!(
                "does not answer: {}: Connection refused (os error 111)",
                socket.display()
            ))
        );
    }

    #[test]
    fn a_podman_that_fails_says_why() {
        let fake = Fake::new("echo 'Error: no subuid ranges found for user \"me\"' >&2; exit 125");
        let said = fake.podman().answers().unwrap_err();
        assert_eq!(
            said,
            "does not answer: podman: Error: no subuid ranges found for user \"me\""
        );
        assert_eq!(fake.calls(), [["info", "--format", "json"]]);
    }
}
