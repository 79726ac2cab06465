//! For tests: a docker that does what a test says, and a spec to start from.

use std::path::PathBuf;
use std::time::Duration;

use super::{Docker, Flavour};
use crate::engine::{ContainerSpec, Hardening, Owner, SeccompProfile};

/// A program that records its calls and plays a shell script as its answer.
pub struct Fake {
    folder: tempfile::TempDir,
}

impl Fake {
    /// One whose every call runs `script`, with docker's arguments as `$1`, `$2`, …
    pub fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // A link to a file that nobody writes: a program that was just written can be busy.
        let program = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/engine/docker/fake.sh");
        std::os::unix::fs::symlink(program, folder.path().join("docker")).unwrap();
        std::fs::write(folder.path().join("plan"), script).unwrap();
        Fake { folder }
    }

    /// An engine that calls it, with time enough for a slow machine.
    pub fn docker(&self) -> Docker {
        self.docker_within(Duration::from_secs(60))
    }

    /// The same, with podman's ways.
    pub fn podman(&self) -> Docker {
        Docker {
            flavour: Flavour::Podman,
            ..self.docker()
        }
    }

    /// An engine that calls it, with this deadline.
    pub fn docker_within(&self, limit: Duration) -> Docker {
        Docker::new(self.folder.path().join("docker"))
            .with_limit(limit)
            .with_cache_folder(self.folder.path())
    }

    /// The arguments of each call so far.
    pub fn calls(&self) -> Vec<Vec<String>> {
        let text = std::fs::read_to_string(self.folder.path().join("calls")).unwrap_or_default();
        text.split_terminator("\n\0")
            .map(|call| call.split_terminator('\0').map(str::to_string).collect())
            .collect()
    }

    /// A file beside it, for its script as `$here/NAME`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// A small container.
pub fn spec(name: &str, argv: &[&str]) -> ContainerSpec {
    ContainerSpec {
        name: name.into(),
        owner: Owner {
            run: "0123456789abcdef".into(),
            boot: "boot".into(),
            pid: 1,
            pid_start: 2,
        },
        image: "image:1".into(),
        argv: argv.iter().map(Into::into).collect(),
        environment: Vec::new(),
        directory: "/".into(),
        hardening: Hardening::full(SeccompProfile::Isolation),
        cpus: 0.5,
        memory_bytes: 128 << 20,
        pids: 64,
        open_files: 100,
        shm_bytes: 16 << 20,
        binds: Vec::new(),
        tmpfs: Vec::new(),
        terminal: false,
    }
}
