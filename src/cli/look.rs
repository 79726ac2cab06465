//! `show`, `compare` and `fit`: what can be typed of looking at recorded runs.

use std::ffi::OsString;

use clap::Args;
use clap::builder::ValueParser;

use super::MessageFormat;

/// `show`.
#[derive(Debug, Args)]
pub struct Show {
    /// A run: last, or the start of its name; what names no run is a TEST of the last one
    #[arg(value_name = "RUN", value_parser = ValueParser::os_string())]
    pub run: Option<OsString>,
    /// A test: its id, or a part that only this one has
    #[arg(value_name = "TEST", value_parser = ValueParser::os_string())]
    pub test: Option<OsString>,
    /// What is printed: for people, or one JSON object
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub message_format: MessageFormat,
}

/// `compare`.
#[derive(Debug, Args)]
pub struct Compare {
    /// The run to compare [default: last]; of two, the one to compare with
    #[arg(value_name = "RUN")]
    pub first: Option<String>,
    /// The run to compare; without it the first is held against the run before it
    #[arg(value_name = "LATER")]
    pub second: Option<String>,
    /// Exit with status 1 where a test is worse now
    #[arg(long)]
    pub fail_on_regression: bool,
    /// What is printed: for people, or one JSON object
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub message_format: MessageFormat,
}

/// `fit`.
#[derive(Debug, Args)]
pub struct Fit {
    /// Print no diff, and exit with status 1 where a profile is too large or too small
    #[arg(long)]
    pub check: bool,
    /// Ignore limits of processes and open files where a test was too short to be sampled
    #[arg(long)]
    pub ignore_unsampled: bool,
    /// What is printed: for people, or one JSON object
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub message_format: MessageFormat,
}
