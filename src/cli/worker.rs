//! What can be typed of a worker: mostly by this program itself, and in a compose file.

use std::path::PathBuf;

use clap::Args;

/// `worker`.
#[derive(Debug, Args)]
pub struct Worker {
    /// Where it is.
    #[command(flatten)]
    pub place: PlaceOfWorker,
    /// Dial in at this socket of `run --listen`, again and again, instead of stdin and stdout
    #[arg(long, value_name = "SOCKET")]
    pub connect: Option<PathBuf>,
    /// The word of the image that this worker is: a run gives it the tests of that image
    #[arg(long, value_name = "IMAGE", requires = "connect")]
    pub image: Option<String>,
    /// Serve one run, and end
    #[arg(long, requires = "connect")]
    pub once: bool,
}

/// Who runs the tests of a `run`.
#[derive(Debug, Args)]
pub struct Listen {
    /// Start no worker: those that dial in at this socket run the tests (docker-test compose does it all)
    #[arg(long, value_name = "SOCKET", conflicts_with_all = ["workers", "dry_run", "fresh", "hold", "without_reset"])]
    pub listen: Option<PathBuf>,
}

/// Where a worker is.
#[derive(Clone, Debug, Args)]
pub struct PlaceOfWorker {
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
