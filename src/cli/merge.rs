//! `merge`: what can be typed of it.

use std::path::PathBuf;

use clap::Args;

use super::MessageFormat;

/// `merge`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  docker-test merge 1/docker-test.db 2/docker-test.db 3/docker-test.db -o test-results/docker-test.db"
)]
pub struct Merge {
    /// Databases of the shards, or the folders that have them; of each the newest run counts
    #[arg(required = true, value_name = "DB")]
    pub databases: Vec<PathBuf>,
    /// Where the one database goes; what is there already stays in it
    #[arg(short, long, required = true, value_name = "DB")]
    pub output: PathBuf,
    /// What is printed: for people, or one JSON object
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub message_format: MessageFormat,
}
