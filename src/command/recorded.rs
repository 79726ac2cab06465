//! What the commands that look at recorded runs have in common: the record, and what names a run in it.

use std::path::Path;

use super::prepare::project;
use super::{Context, Failure, text};
use crate::config::Config;
use crate::host;
use crate::model::escape;
use crate::report;
use crate::store::{Reader, StoredRun};

/// Microseconds of a day.
const DAY_US: u64 = 24 * 3600 * 1_000_000;

/// The word that names the newest run.
const LAST: &str = "last";

/// The record of the project that the working directory is in.
pub fn record(context: &Context) -> Result<(Config, Reader), Failure> {
    let config = project(context)?;
    let reader = open(&config.results_path())?;
    Ok((config, reader))
}

/// The record in a folder of results.
pub fn open(results: &Path) -> Result<Reader, Failure> {
    Reader::open(results)?.ok_or_else(|| {
        Failure::usage(format!(
            "nothing is recorded in {}\nhint: `docker-test run` records what it runs",
            escape(results.as_os_str().as_encoded_bytes())
        ))
    })
}

/// The newest run.
pub fn last(reader: &Reader) -> Result<StoredRun, Failure> {
    reader.runs(1)?.into_iter().next().ok_or_else(|| {
        Failure::usage(format!(
            "no run is recorded in {}\nhint: `docker-test run` records what it runs",
            escape(reader.path().as_os_str().as_encoded_bytes())
        ))
    })
}

/// The run that a word names: `last`, or the start of its name that no other has. `None` where no
/// run is called so.
pub fn find(reader: &Reader, word: &str) -> Result<Option<StoredRun>, Failure> {
    if word == LAST {
        return last(reader).map(Some);
    }
    if word.is_empty() {
        return Ok(None);
    }
    let mut found = reader.runs_named(word)?.into_iter();
    match (found.next(), found.next()) {
        (Some(one), Some(other)) => Err(Failure::usage(format!(
            "'{}' is the start of more than one run: {}, {}\nhint: write more of the name",
            escape(word.as_bytes()),
            one.run,
            other.run
        ))),
        (found, _) => Ok(found),
    }
}

/// The same, where it has to be a run.
pub fn run(reader: &Reader, word: &str) -> Result<StoredRun, Failure> {
    find(reader, word)?.ok_or_else(|| {
        Failure::usage(format!(
            "no run's name starts with '{}'\nhint: write `last`, or the first digits of the name that the run's last line gave",
            escape(word.as_bytes())
        ))
    })
}

/// The time so many days ago, in microseconds since 1970.
pub fn days_ago(days: u32) -> u64 {
    host::unix_us().saturating_sub(u64::from(days) * DAY_US)
}

/// Prints a value as one JSON object.
pub fn print_json(value: &impl serde::Serialize) -> Result<u8, Failure> {
    let line = report::json_line(value)?;
    text::print(line.as_bytes())
}
