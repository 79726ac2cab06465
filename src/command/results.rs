//! What the commands that look at recorded runs have in common.

use super::prepare::project;
use super::{Context, Failure};
use crate::host;
use crate::model::escape;
use crate::store::Reader;

/// Microseconds of a day.
const DAY_US: u64 = 24 * 3600 * 1_000_000;

/// The results of this project.
///
/// # Errors
/// Nothing was recorded yet, or it cannot be read.
pub fn results(context: &Context) -> Result<Reader, Failure> {
    let folder = project(context)?.results_path();
    Reader::open(&folder)?.ok_or_else(|| {
        Failure::usage(format!(
            "no results are recorded in {}\nhint: `docker-test run` records them",
            escape(folder.as_os_str().as_encoded_bytes())
        ))
    })
}

/// The time so many days ago, in microseconds since 1970.
pub fn days_ago(days: u32) -> u64 {
    host::unix_us().saturating_sub(u64::from(days) * DAY_US)
}
