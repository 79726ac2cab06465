//! `top` and `history`: what can be typed of them.

use std::ffi::OsString;

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};

use super::MessageFormat;
use crate::model::Figure;

/// The most days that can be asked for: a hundred years.
pub const MOST_DAYS: i64 = 36_500;

/// `top`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  docker-test top\n  docker-test top --by wall --days 30 --limit 5"
)]
pub struct Top {
    /// Which figure
    #[arg(long, value_enum, default_value = "memory", value_name = "FIGURE")]
    pub by: Figure,
    /// Only runs that began in the last N days
    #[arg(long, default_value_t = 7, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST_DAYS), allow_hyphen_values = true)]
    pub days: u32,
    /// How many tests at most
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), allow_hyphen_values = true)]
    pub limit: u32,
    /// What is printed: a table, or one JSON object a line
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub message_format: MessageFormat,
}

/// `history`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  docker-test history test/unit/login_test.sh\n  docker-test history login --limit 50"
)]
pub struct History {
    /// The test's id, or a part of it that no other test's id has
    #[arg(value_parser = clap::builder::ValueParser::os_string())]
    pub test: OsString,
    /// How many attempts at most
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000), allow_hyphen_values = true)]
    pub limit: u32,
    /// What is printed: for people, or JSON lines
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub message_format: MessageFormat,
}

impl ValueEnum for Figure {
    fn value_variants<'a>() -> &'a [Self] {
        &Figure::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.as_str()).help(match self {
            Figure::Memory => "The highest memory",
            Figure::Cpu => "CPU time of all its processes",
            Figure::Wall => "Wall-clock time",
            Figure::Files => "Open files of all its processes",
            Figure::Threads => "Processes and threads at once",
            Figure::Violations => "Warnings and errors about its limits and what it left",
        }))
    }
}
