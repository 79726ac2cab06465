//! `report`: what can be typed of it.

use std::path::PathBuf;

use clap::Args;

/// `report`.
#[derive(Debug, Args)]
pub struct Report {
    /// The run's name, or how it begins; the newest without
    #[arg(value_name = "RUN")]
    pub run: Option<String>,
    /// The file that is written; - for stdout
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
}
