//! What can be typed of a run's schedule: `plan`, and the options of `run`.

use std::path::PathBuf;

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};

use super::{MessageFormat, workers};
use crate::config::{Flaky, MOST_RETRIES, Workers};
use crate::model::Shard;

/// In which order `run` runs what, and which part of it.
#[derive(Debug, Args)]
pub struct RunSchedule {
    /// Run the I-th of N parts of the suite; auto: the part that the CI's own variables name
    #[arg(long, value_name = "I/N", allow_hyphen_values = true, value_parser = shard)]
    pub shard: Option<ShardChoice>,
    /// The variable with the number of shards where the CI gives an index alone [default: DOCKER_TEST_SHARDS]
    #[arg(long, value_name = "VARIABLE")]
    pub shards_from: Option<String>,
    /// Run the tests in an order of chance, of SEED or a new one
    #[arg(long, value_name = "SEED", num_args = 0..=1, require_equals = true)]
    pub shuffle: Option<Option<u32>>,
    /// Run a test that is not good again, up to N times [default: the config's, or 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=i64::from(MOST_RETRIES)), allow_hyphen_values = true)]
    pub retries: Option<u32>,
    /// What is made of a test that passes only then [default: the config's, or warn]
    #[arg(long, value_enum, value_name = "WHAT")]
    pub flaky: Option<Flaky>,
    /// Only the tests that the last run was not good with
    #[arg(long, conflicts_with_all = ["resume", "shard"])]
    pub failed: bool,
    /// Only the tests that RUN never came to: last, or the start of a run's name
    #[arg(long, value_name = "RUN", conflicts_with = "shard")]
    pub resume: Option<String>,
}

impl ValueEnum for Flaky {
    fn value_variants<'a>() -> &'a [Self] {
        &Flaky::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.as_str()).help(match self {
            Flaky::Warn => "The summary names it",
            Flaky::Fail => "The run's exit status is 1, too",
        }))
    }
}

/// `--shard`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardChoice {
    /// The CI's own variables say it.
    Auto,
    /// This one.
    One(Shard),
}

fn shard(text: &str) -> Result<ShardChoice, String> {
    if text == "auto" {
        return Ok(ShardChoice::Auto);
    }
    let shard = Shard::parse(text).map(ShardChoice::One);
    shard.ok_or_else(|| "write which of how many, as in 1/3, or auto".to_owned())
}

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
