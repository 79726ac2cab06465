//! `plan`: what can be typed of it.

use std::path::PathBuf;

use clap::Args;

use super::{MessageFormat, workers};
use crate::config::Workers;

/// `plan`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  docker-test plan\n  docker-test plan test/unit --workers 8")]
pub struct Plan {
    /// Files or folders of the project; everything without
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Workers at once: a number or auto [default: the config's, or auto]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = workers)]
    pub workers: Option<Workers>,
    /// Only tests whose id contains this text, or matches it as a glob; may be repeated
    #[arg(long, value_name = "PATTERN")]
    pub filter: Vec<String>,
    /// Every test under this profile
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// What is printed: for people, or one JSON object
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub message_format: MessageFormat,
}
