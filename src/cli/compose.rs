//! `compose`: what can be typed of it.

use clap::Args;

/// `compose`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  docker-test compose --print > docker-compose.test.yml")]
pub struct Compose {
    /// Print the compose file
    #[arg(long, required = true)]
    pub print: bool,
}
