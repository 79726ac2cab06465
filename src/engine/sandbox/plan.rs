//! What the launcher tells the monitor of a container: everything is decided, nothing is looked up.

use serde::{Deserialize, Serialize};

use crate::model::ByteText;

/// A container, decided.
#[derive(Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The launcher's process id: the container ends with it.
    pub launcher: i32,
    /// User and group outside, for a user namespace; absent for root, who needs none.
    pub mapped: Option<(u32, u32)>,
    /// User and group inside.
    pub user: (u32, u32),
    /// The groups of cgroup files that hold it.
    pub cgroups: Vec<Cgroup>,
    /// The file that counts kills for want of memory, where there is one.
    pub oom_file: Option<ByteText>,
    /// What it has of a network.
    pub network: Link,
    /// Its host name.
    pub hostname: String,
    /// What is put into the empty root, in order.
    pub steps: Vec<Step>,
    /// Kernel parameters: file below /proc/sys and value.
    pub sysctls: Vec<(String, String)>,
    /// Resource limits, soft and hard alike: number and value.
    pub rlimits: Vec<(u32, u64)>,
    /// Seccomp programs, in the order of installation.
    pub filters: Vec<String>,
    /// Program and arguments.
    pub argv: Vec<ByteText>,
    /// `NAME=value`.
    pub environment: Vec<ByteText>,
    /// The working directory.
    pub directory: ByteText,
    /// Whether its stdin is a terminal, which becomes its controlling one.
    pub terminal: bool,
}

impl Plan {
    /// The plan as the monitor reads it: its length in bytes as a line, and then JSON.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn message(&self) -> std::io::Result<Vec<u8>> {
        let text = serde_json::to_vec(self)?;
        let mut message = format!("{}\n", text.len()).into_bytes();
        message.extend(text);
        Ok(message)
    }
}

/// A container's network, apart from loopback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Link {
    /// Nothing.
    None,
    /// An interface that leads nowhere.
    Internal,
    /// A way out, by this program.
    Out(ByteText),
}

/// One cgroup that the monitor makes, joins with the container and removes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cgroup {
    /// Its folder.
    pub folder: ByteText,
    /// What is written into it: file and value; the third says whether the file may be missing.
    pub settings: Vec<(String, String, bool)>,
    /// Where its files are seen inside, read-only.
    pub view: Option<String>,
}

/// One step in making the root filesystem. Paths are absolute inside, where nothing else is named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// A folder, unless there is one, with those above it.
    Folder {
        /// Where.
        path: ByteText,
        /// Its mode.
        mode: u32,
    },
    /// A small file.
    File {
        /// Where.
        path: ByteText,
        /// What is in it.
        text: String,
    },
    /// A symbolic link.
    Link {
        /// Where.
        path: ByteText,
        /// What it says.
        to: ByteText,
    },
    /// A file or folder of the host, read-only.
    Bind {
        /// On the host.
        source: ByteText,
        /// Inside.
        target: ByteText,
        /// It is a folder.
        folder: bool,
    },
    /// One of the host's harmless devices.
    Device {
        /// The same on the host and inside.
        path: ByteText,
    },
    /// A writable place of its own.
    Tmpfs {
        /// Where.
        path: ByteText,
        /// The kernel's options for it.
        options: String,
        /// Programs in it can be executed.
        exec: bool,
    },
    /// A filesystem of the kernel's.
    Kernel {
        /// Which.
        kind: String,
        /// Where.
        path: ByteText,
        /// The kernel's options for it.
        options: String,
    },
    /// Nothing is to be seen here, if there is something.
    Mask {
        /// Where.
        path: ByteText,
    },
}

/// What the monitor says at the end, on its stderr.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Record {
    /// The container's program never ran.
    NotStarted(Obstacle),
    /// PID 1 exited.
    Exited(i32),
    /// A signal ended PID 1.
    Signalled {
        /// Which.
        signal: i32,
        /// It was ours.
        ours: bool,
        /// The kernel killed for want of memory in this container.
        oom: bool,
    },
}

/// What stood in the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Obstacle {
    /// What was tried: `mount /proc`.
    pub step: String,
    /// The kernel's answer, an errno.
    pub errno: i32,
}

impl Obstacle {
    /// What the system said to a step.
    pub fn new(step: String, error: &std::io::Error) -> Self {
        Obstacle {
            step,
            errno: error.raw_os_error().unwrap_or(0),
        }
    }
}

/// What a record's line begins with: nothing that a supervisor says does.
pub const RECORD: &str = "\u{1e}";
