//! What can be typed about reports beside the one on stdout.

use std::path::PathBuf;

use clap::Args;

/// Files and what a CI system reads.
#[derive(Debug, Args)]
pub struct Reports {
    /// Write a JUnit report to FILE when the run is over
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Write the events to FILE as JSON lines, beside what is printed
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the run as one page for a browser to FILE, at its end
    #[arg(long, value_name = "FILE", conflicts_with_all = ["no_record", "dry_run"])]
    pub html: Option<PathBuf>,
    /// Under GitHub Actions, write no annotations and no job summary
    #[arg(long)]
    pub no_ci: bool,
    /// Where the record goes [default: the config's results]
    #[arg(long, value_name = "FOLDER")]
    pub results: Option<PathBuf>,
}
