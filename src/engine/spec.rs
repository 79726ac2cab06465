//! What a container is to be: one data structure, which every engine renders in its own way.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::model::Network;

/// The label prefix of everything that we make.
pub const LABEL: &str = "dev.docker-test";

/// A container that is to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct ContainerSpec {
    /// Its name, made of characters that every engine accepts; no other container, past ones
    /// included, has it.
    pub name: String,
    /// Whose it is.
    pub owner: Owner,
    /// The image's reference, as the engine knows it.
    pub image: String,
    /// Program and arguments; the program replaces the image's entry point.
    pub argv: Vec<OsString>,
    /// Environment; nothing else of ours reaches the container.
    pub environment: Vec<(OsString, OsString)>,
    /// Working directory inside.
    pub directory: String,
    /// What is kept from it, the same for every container.
    pub hardening: Hardening,
    /// Processors, as a share of time.
    pub cpus: f64,
    /// Memory in bytes; there is no swap on top.
    pub memory_bytes: u64,
    /// Processes and threads.
    pub pids: u64,
    /// Hard and soft limit of open files of one process.
    pub open_files: u64,
    /// Size of /dev/shm in bytes.
    pub shm_bytes: u64,
    /// What of the host is visible inside, read-only.
    pub binds: Vec<Bind>,
    /// The writable places.
    pub tmpfs: Vec<Tmpfs>,
    /// Whether it has a terminal: only `shell` does.
    pub terminal: bool,
}

impl ContainerSpec {
    /// Whether a running container of this spec can be given the limits of another: they differ in
    /// memory, processors and processes alone. Nothing else can be changed from outside.
    pub fn differs_in_size_alone(&self, other: &ContainerSpec) -> bool {
        let resized = ContainerSpec {
            cpus: self.cpus,
            memory_bytes: self.memory_bytes,
            pids: self.pids,
            ..other.clone()
        };
        *self == resized
    }
}

/// What is kept from a container. Every field is a promise that `hello` attests from inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hardening {
    /// User and group id inside.
    pub user: (u32, u32),
    /// The system calls that are allowed.
    pub seccomp: SeccompProfile,
    /// What there is beside loopback. For [`Network::Internal`] an engine that needs one uses the
    /// network of its [`Owner`]'s run.
    pub network: Network,
    /// The root filesystem cannot be written.
    pub read_only_root: bool,
    /// No capability, in no set.
    pub drop_capabilities: bool,
    /// A setuid file gives nothing.
    pub no_new_privileges: bool,
    /// IPC objects are its own.
    pub private_ipc: bool,
    /// It sees its own cgroup as the root.
    pub private_cgroup: bool,
    /// No core file.
    pub no_core_files: bool,
    /// The engine keeps no log of its output: a hardened container can fill the host's disk so.
    pub no_log: bool,
    /// Kernel parameters of its own namespaces.
    pub sysctls: BTreeMap<String, String>,
}

impl Hardening {
    /// The full set, with nothing opened.
    pub fn full(seccomp: SeccompProfile) -> Self {
        Hardening {
            user: (1001, 1001),
            seccomp,
            network: Network::None,
            read_only_root: true,
            drop_capabilities: true,
            no_new_privileges: true,
            private_ipc: true,
            private_cgroup: true,
            no_core_files: true,
            no_log: true,
            // A closed connection's TIME_WAIT outlives its process: the next test would find
            // the port taken.
            sysctls: BTreeMap::from([("net.ipv4.tcp_max_tw_buckets".into(), "0".into())]),
        }
    }
}

/// One of the two pinned lists of system calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeccompProfile {
    /// `docker/seccomp/isolation.json`.
    Isolation,
    /// `docker/seccomp/full.json`: debuggers work too.
    Full,
}

/// A file or folder of the host, visible inside and read-only there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// Absolute path on the host; any bytes.
    pub source: PathBuf,
    /// Absolute path inside.
    pub target: PathBuf,
}

/// A writable place that is gone with the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tmpfs {
    /// Absolute path inside.
    pub target: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// How many files fit.
    pub inodes: u64,
    /// Whether programs in it can be executed.
    pub exec: bool,
}

/// Who made a container, as its labels say it: enough to know whether that launcher still lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The run, or `shell`.
    pub run: String,
    /// The boot id of the machine that the launcher runs on.
    pub boot: String,
    /// The launcher's process id.
    pub pid: u32,
    /// The launcher's start time, in clock ticks since boot.
    pub pid_start: u64,
}

impl Owner {
    /// The labels that say it.
    pub fn labels(&self) -> Vec<(String, String)> {
        vec![
            (format!("{LABEL}.run"), self.run.clone()),
            (format!("{LABEL}.boot"), self.boot.clone()),
            (format!("{LABEL}.pid"), self.pid.to_string()),
            (format!("{LABEL}.pid-start"), self.pid_start.to_string()),
        ]
    }

    /// The name of the network that this run's containers have under [`Network::Internal`].
    pub fn network_name(&self) -> String {
        format!("docker-test-{}", self.run)
    }

    /// Reads them back; `None` where one is missing or not of its form.
    pub fn from_labels(labels: &BTreeMap<String, String>) -> Option<Self> {
        let get = |key: &str| labels.get(&format!("{LABEL}.{key}"));
        Some(Owner {
            run: get("run")?.clone(),
            boot: get("boot")?.clone(),
            pid: get("pid")?.parse().ok()?,
            pid_start: get("pid-start")?.parse().ok()?,
        })
    }
}
