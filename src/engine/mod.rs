//! Layer 3: what starts containers, behind one trait that fits an engine with and without a
//! command line.
//!
//! Invariants: every call has a deadline; nothing is given to a shell; a container that was created
//! carries our labels, ends when its stdin ends, and is then removed by the engine itself.

mod build;
mod call;
mod cgroupfs;
mod dial_in;
mod docker;
mod host_image;
mod host_process;
mod image_store;
mod peak;
mod sandbox;
mod seccomp;
mod spec;

use std::io::{Read, Write};
use std::time::Duration;

use crate::model::{ContentDigest, Network};

pub use build::{BuildError, BuildRequest, Built, Recipe, build};
pub use dial_in::DialIn;
pub use docker::compose;
pub use docker::{Compose, Docker, Project};
pub use host_image::{host_binds, reference as host_reference};
pub use host_process::HostProcess;
pub use image_store::{ImageStore, ImageStoreError, StoredImage};
pub use peak::PeakCounter;
pub use sandbox::{MONITOR, Requirement, Sandbox, monitor};
pub use spec::{Bind, ContainerSpec, Hardening, Owner, SeccompProfile, Tmpfs};

/// Which engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// Docker, through its command line.
    Docker,
    /// Podman, through its command line.
    Podman,
    /// Our own containers: nothing needs to be installed.
    Sandbox,
    /// No container at all: a plain child of the launcher, for comparison and debugging.
    Host,
    /// Nothing of ours: workers that others started dial in.
    DialIn,
}

impl EngineKind {
    /// Its word on the command line and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            EngineKind::Docker => "docker",
            EngineKind::Podman => "podman",
            EngineKind::Sandbox => "sandbox",
            EngineKind::Host => "host",
            EngineKind::DialIn => "dial-in",
        }
    }
}

/// What an engine can do, apart from starting containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// It isolates at all.
    pub isolates: bool,
    /// It has images, and can build them.
    pub images: bool,
}

/// What a healthy engine says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    /// Its version, as it prints it: `20.10.24`.
    pub version: String,
    /// Version of the cgroup hierarchy that it uses: 1 or 2.
    pub cgroup_version: Option<u8>,
    /// Processors that it has.
    pub cpus: Option<u64>,
    /// Memory that it has, in bytes.
    pub memory_bytes: Option<u64>,
    /// Where it keeps images and containers, if that is on this machine.
    pub data_root: Option<std::path::PathBuf>,
    /// `apparmor`, `seccomp`, `rootless`, …
    pub security: Vec<String>,
}

/// An image that the engine has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its content's id, `sha256:…`.
    pub id: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// What [`build`] labelled it with: the digest of what it is made of. An image that is built on
    /// such a one has its label too.
    pub content: Option<ContentDigest>,
}

impl Image {
    /// Names the content of any image: its id.
    pub fn digest(&self) -> Option<ContentDigest> {
        ContentDigest::parse(&self.id)
    }

    /// Names the content of an image of ours, which every machine builds for itself and whose ids
    /// therefore differ: what it is made of, where it says so.
    pub fn digest_of_ours(&self) -> Option<ContentDigest> {
        self.content.clone().or_else(|| self.digest())
    }
}

/// An image that we made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundImage {
    /// Its content's id, `sha256:…`.
    pub id: String,
    /// Its name with its tag; absent where a newer build took it.
    pub reference: Option<String>,
}

/// A container or a network that carries our labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The engine's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whose it is; absent where its labels are not of our form.
    pub owner: Option<Owner>,
}

/// An engine cannot do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// There is none, or it does not answer.
    #[error("{message}\nhint: {hint}")]
    Unavailable {
        /// What was tried, and the answer.
        message: String,
        /// What to do.
        hint: String,
    },
    /// A call failed.
    #[error("`{command}` failed ({status}): {stderr}")]
    Failed {
        /// The command line, shortened and escaped.
        command: String,
        /// `exit status 125`.
        status: String,
        /// The engine's own words, one line, escaped.
        stderr: String,
    },
    /// A call did not end in time.
    #[error("`{command}` gave no answer in {} s\nhint: is the engine hanging? `docker-test doctor` tells", .limit.as_secs())]
    Timeout {
        /// The command line, shortened and escaped.
        command: String,
        /// Its deadline.
        limit: Duration,
    },
    /// An answer could not be understood.
    #[error("`{command}` answered something unexpected: {answer}")]
    Garbage {
        /// The command line, shortened and escaped.
        command: String,
        /// The answer's beginning, escaped.
        answer: String,
    },
    /// Anything else on our side, such as a pipe that cannot be made.
    #[error("{0}")]
    Other(String),
}

/// The two ends of a started container's stdio. The container ends soon after `stdin` is dropped.
pub struct Pipes {
    /// To the container's stdin.
    pub stdin: Box<dyn Write + Send>,
    /// From the container's stdout.
    pub stdout: Box<dyn Read + Send>,
}

/// Changes a container's limits. It may take its time, and be used in another thread. After an error
/// nobody knows which of them are in force.
pub type Resize = Box<dyn FnOnce() -> Result<(), EngineError> + Send>;

/// How a container ended.
#[derive(Debug)]
pub enum Ending {
    /// Its PID 1 exited by itself with this status (128 + n where signal n ended it).
    Exited(i32),
    /// The kernel killed its PID 1 for want of memory. An engine that is too busy to hear the
    /// kernel says `Exited(137)` instead.
    Oom,
    /// Somebody who is not us killed or removed it.
    Removed,
    /// It dialled in, and its connection ended: nothing tells why.
    HungUp,
    /// The engine itself went away.
    EngineGone(EngineError),
    /// It never started.
    NeverStarted(EngineError),
}

/// Starts containers. What an engine keeps of its own, containers and images that outlive a run, has
/// defaults for one that is on this machine and keeps nothing.
pub trait Engine: Send + Sync {
    /// Which one it is.
    fn kind(&self) -> EngineKind;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Asks it for its version and size.
    ///
    /// # Errors
    /// It is not there, may not be used, or does not answer in time.
    fn health(&self) -> Result<Health, EngineError>;

    /// Asks it for its version alone, which can be a cheaper question.
    ///
    /// # Errors
    /// As [`Engine::health`].
    fn version(&self) -> Result<String, EngineError> {
        Ok(self.health()?.version)
    }

    /// Makes the image `host` ready and returns its reference.
    ///
    /// # Errors
    /// The engine does not answer, or is on another machine, whose programs are not ours.
    fn host_image(&self) -> Result<String, EngineError> {
        Ok(host_reference())
    }

    /// Whether it runs on this machine and sees its files.
    ///
    /// # Errors
    /// Nothing tells where it is.
    fn is_local(&self) -> Result<bool, EngineError> {
        Ok(true)
    }

    /// Looks up an image by its reference; `None` where the engine does not have it.
    ///
    /// # Errors
    /// The engine does not answer.
    fn image(&self, _reference: &str) -> Result<Option<Image>, EngineError> {
        Ok(None)
    }

    /// Whether user 1001 inside is the user outside who starts it, so that what that user can read
    /// tests can read too.
    fn runs_as_us(&self) -> bool {
        false
    }

    /// Runs a container with our own stdio until it ends, and returns its exit status.
    ///
    /// # Errors
    /// The engine cannot be given such a container, or it does not start.
    fn attach(&self, spec: &ContainerSpec) -> Result<u8, EngineError> {
        let argv = self.command_line(spec)?.unwrap_or_default();
        call::attach(&argv)
    }

    /// The command line that `create` and `start` come to; `None` for an engine without one.
    ///
    /// # Errors
    /// The engine cannot be given such a container.
    fn command_line(
        &self,
        spec: &ContainerSpec,
    ) -> Result<Option<Vec<std::ffi::OsString>>, EngineError>;

    /// Makes a container, which does not run yet.
    ///
    /// # Errors
    /// The engine refuses, or does not answer in time.
    fn create(&self, spec: &ContainerSpec) -> Result<Box<dyn Container>, EngineError>;

    /// The containers of this engine that carry our labels, running or not.
    ///
    /// # Errors
    /// The engine does not answer.
    fn inspect(&self) -> Result<Vec<Found>, EngineError> {
        Ok(Vec::new())
    }

    /// Removes a container, running or not; one that is gone already is no error.
    ///
    /// # Errors
    /// The engine refuses, or does not answer in time.
    fn remove(&self, _id: &str) -> Result<(), EngineError> {
        Ok(())
    }

    /// Whether its containers can have this network; none at all is what every engine has.
    fn offers(&self, network: Network) -> bool {
        network == Network::None
    }

    /// Makes the network that this owner's containers have under
    /// [`Network::Internal`], where the engine needs one, before the first
    /// of them. Its maker removes it.
    ///
    /// # Errors
    /// The engine refuses, or does not answer in time.
    fn make_network(&self, _owner: &Owner) -> Result<(), EngineError> {
        Ok(())
    }

    /// The networks of this engine that carry our labels.
    ///
    /// # Errors
    /// The engine does not answer.
    fn networks(&self) -> Result<Vec<Found>, EngineError> {
        Ok(Vec::new())
    }

    /// Removes a network, by its id or its name; one that is gone already is no error.
    ///
    /// # Errors
    /// The engine refuses, as it does while a container has it, or does not answer in time.
    fn remove_network(&self, _id: &str) -> Result<(), EngineError> {
        Ok(())
    }

    /// The images that we made.
    ///
    /// # Errors
    /// The engine does not answer.
    fn images(&self) -> Result<Vec<FoundImage>, EngineError> {
        Ok(Vec::new())
    }

    /// Removes an image; one that is gone already is no error.
    ///
    /// # Errors
    /// The engine refuses, as it does while a container uses it, or does not answer in time.
    fn remove_image(&self, _image: &FoundImage) -> Result<(), EngineError> {
        Ok(())
    }
}

/// One container. Dropping it closes nothing and removes nothing: close its stdin, or kill it.
pub trait Container: Send {
    /// Starts it, once.
    ///
    /// # Errors
    /// It cannot be started. A start that fails later shows as an early end of `stdout` and in
    /// [`Container::wait`].
    fn start(&mut self) -> Result<Pipes, EngineError>;

    /// Kills it without grace. Returns at once or after the engine's answer.
    ///
    /// # Errors
    /// The engine refuses, or does not answer in time.
    fn kill(&self) -> Result<(), EngineError>;

    /// Waits until it has ended, and says how; kills it first where that takes longer than
    /// `patience`.
    fn wait(&mut self, patience: Duration) -> Ending;

    /// The kernel's counter of its memory peak, where we may have a hold on it: on this machine, with
    /// the right to write there. Nothing is looked for before it is used. Once, and of a container
    /// that runs.
    fn peak(&mut self) -> Option<PeakCounter> {
        None
    }

    /// A way to give it, while it runs, the limits of `to` instead of those of `from`, which differ
    /// [in size alone](ContainerSpec::differs_in_size_alone). `None` where that cannot be done.
    fn resize(&self, _from: &ContainerSpec, _to: &ContainerSpec) -> Option<Resize> {
        None
    }

    /// What was said on its stderr, once it has ended: one line, escaped; empty where nothing was,
    /// or where it went straight to ours.
    fn last_words(&self) -> String {
        String::new()
    }
}
