//! What can be typed of the commands that run inside a container.

use std::path::PathBuf;

use clap::Args;

use super::MessageFormat;

/// `test`, inside a container.
#[derive(Debug, Args)]
pub struct Test {
    /// Files or folders of the mounted project; everything without
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Run every test under this profile's time limits
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Only tests whose id contains this text, or matches it as a glob; may be repeated
    #[arg(long, value_name = "PATTERN")]
    pub filter: Vec<String>,
    /// What is printed: for people, or events as JSON lines
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub message_format: MessageFormat,
    /// Where it runs.
    #[command(flatten)]
    pub place: Worker,
}

/// `worker`, and where `test` runs.
#[derive(Debug, Args)]
pub struct Worker {
    /// A folder that is this container's alone, emptied after each test; may be repeated
    #[arg(long, value_name = "DIR")]
    pub own: Vec<PathBuf>,
    /// The tests' home, below one of those
    #[arg(long, value_name = "DIR", requires = "own")]
    pub home: Option<PathBuf>,
    /// This container's IPC, network and cgroup are its alone
    #[arg(long)]
    pub sealed: bool,
}
