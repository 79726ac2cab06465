//! `compose`: what can be typed of it.

use clap::Args;

use super::{MOST_WORKERS, Run};

/// `compose`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  docker-test compose --scale 4\n  docker-test compose test/unit --junit out/junit.xml\n  docker-test compose --print > docker-compose.test.yml"
)]
pub struct Compose {
    /// So many replicas, and at least one of each size [default: as many as `run` has workers]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST_WORKERS as i64), allow_hyphen_values = true)]
    pub scale: Option<u32>,
    /// Print a compose file with which `docker compose up` does it all without this program, and run nothing
    #[arg(long)]
    pub print: bool,
    /// What is run.
    #[command(flatten)]
    pub run: Run,
}
