//! `test`: what can be typed of it.

use std::path::PathBuf;

use clap::Args;

use super::{MessageFormat, PlaceOfWorker};

/// `test`, inside a container.
#[derive(Debug, Args)]
pub struct Test {
    /// Files or folders of the mounted project; everything without
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Run every test under this profile's time limits
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Only tests whose id contains this text, or matches it as a glob; may be repeated
    #[arg(long, value_name = "PATTERN")]
    pub filter: Vec<String>,
    /// What is printed: for people, or events as JSON lines
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub message_format: MessageFormat,
    /// Where it runs.
    #[command(flatten)]
    pub place: PlaceOfWorker,
}
