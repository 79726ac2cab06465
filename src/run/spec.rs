//! What a worker's container is, from its image, its limits and the project.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::engine::{Bind, ContainerSpec, Hardening, Owner, SeccompProfile, Tmpfs};
use crate::model::{ContentDigest, Limits, Network};

/// Where this program is inside every worker, whatever its image has.
pub const PROGRAM: &str = "/docker-test";
/// Where the project is inside.
pub const PROJECT: &str = "/work";
/// The tests' home inside.
pub const HOME: &str = "/home/testuser";
/// The folders that belong to a worker alone; the first is the tests' TMPDIR.
pub const OWN: [&str; 3] = ["/tmp", "/home", "/dev/shm"];
/// How many files fit into one of them.
const INODES: u64 = 16 << 10;

/// An image that is ready to be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// Its word: `isolation`, `full`, `host` or the reference that the user gave.
    pub word: String,
    /// Its reference, as the engine knows it.
    pub reference: String,
    /// The system calls that its tests may use.
    pub seccomp: SeccompProfile,
    /// Programs in /tmp can be executed.
    pub exec: bool,
    /// What of the host it is made of.
    pub binds: Vec<Bind>,
    /// Names its content; absent where that is not known, or not yet.
    pub digest: Option<ContentDigest>,
}

/// The parts of this machine that every worker of a run has.
#[derive(Clone, Debug)]
pub struct Site {
    /// The project's root.
    pub project: PathBuf,
    /// This program's file.
    pub program: PathBuf,
    /// Who starts it.
    pub owner: Owner,
    /// What of a network its tests see.
    pub network: Network,
    /// Leave out the setting that keeps closed connections from lingering, which cleans too.
    pub without_reset: bool,
}

/// The arguments by which this program becomes the supervisor of a container.
pub fn worker_arguments() -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["worker".into(), "--sealed".into()];
    for folder in OWN {
        arguments.extend(["--own".into(), folder.into()]);
    }
    arguments.extend(["--home".into(), HOME.into()]);
    arguments
}

/// A worker's container; its name is filled in when it is started.
pub fn worker_spec(site: &Site, root: &Root, limits: &Limits) -> ContainerSpec {
    let bind = |source: &Path, target: &str| Bind {
        source: source.to_path_buf(),
        target: target.into(),
    };
    let mut binds = root.binds.clone();
    binds.push(bind(&site.program, PROGRAM));
    binds.push(bind(&site.project, PROJECT));
    let mut hardening = Hardening::full(root.seccomp);
    hardening.network = site.network;
    if site.without_reset {
        hardening.sysctls.clear();
    }
    let tmpfs = |target: &str| Tmpfs {
        target: target.into(),
        size_bytes: limits.tmpfs_bytes,
        inodes: INODES,
        exec: root.exec || limits.tmpfs_exec,
    };
    let mut argv = vec![PROGRAM.into()];
    argv.extend(worker_arguments());
    ContainerSpec {
        name: String::new(),
        owner: site.owner.clone(),
        image: root.reference.clone(),
        argv,
        environment: Vec::new(),
        directory: PROJECT.into(),
        hardening,
        cpus: limits.cpus,
        memory_bytes: limits.memory_bytes,
        pids: limits.pids,
        open_files: limits.open_files,
        shm_bytes: limits.tmpfs_bytes,
        binds,
        tmpfs: vec![tmpfs(OWN[0]), tmpfs(OWN[1])],
        terminal: false,
    }
}

/// A worker that is a plain child of the launcher: no container, and none of its promises.
pub fn plain_spec(site: &Site, limits: &Limits) -> ContainerSpec {
    let root = Root {
        word: "host".into(),
        reference: String::new(),
        seccomp: SeccompProfile::Isolation,
        exec: true,
        binds: Vec::new(),
        digest: None,
    };
    ContainerSpec {
        argv: vec![site.program.clone().into_os_string(), "worker".into()],
        // The engine maps the folder inside to the one that is bound there.
        tmpfs: Vec::new(),
        ..worker_spec(site, &root, limits)
    }
}
