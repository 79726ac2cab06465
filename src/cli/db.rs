//! `db` and `export`: what can be typed of them.

use clap::{ArgGroup, Args, Subcommand};

use super::top::MOST_DAYS;

/// `db`.
#[derive(Debug, Subcommand)]
pub enum DbCommand {
    /// Remove runs that began long ago, with everything that was recorded of them
    #[command(
        after_help = "Examples:\n  docker-test db prune --keep-days 60 --dry-run\n  docker-test db prune --keep-days 60"
    )]
    Prune(DbPrune),
}

/// `db prune`.
#[derive(Debug, Args)]
pub struct DbPrune {
    /// Keep the runs that began in the last N days
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=MOST_DAYS), allow_hyphen_values = true)]
    pub keep_days: u32,
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `export`.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("form").required(true),
    after_help = "Examples:\n  docker-test export --csv > attempts.csv\n  docker-test export --json --days 7\n  docker-test export --csv --run 4c1a7e"
)]
pub struct Export {
    /// Comma-separated values, with a header
    #[arg(long, group = "form")]
    pub csv: bool,
    /// One JSON object a line
    #[arg(long, group = "form")]
    pub json: bool,
    /// Only this run, by its name or the start of it
    #[arg(long, value_name = "RUN", conflicts_with = "days")]
    pub run: Option<String>,
    /// Only runs that began in the last N days
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST_DAYS), allow_hyphen_values = true)]
    pub days: Option<u32>,
}
