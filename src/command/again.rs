//! `run --failed` and `run --resume`: only tests that an earlier run left.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Failure, recorded};
use crate::cli::RunSchedule;
use crate::config::Config;
use crate::model::{ByteText, Test};

/// The tests that an earlier run left, and which run that is.
pub struct Left {
    ids: BTreeSet<ByteText>,
    run: String,
    what: &'static str,
}

/// What was asked for of an earlier run; `None` where nothing was.
///
/// # Errors
/// Nothing is recorded, or not the run that was named.
pub fn left(schedule: &RunSchedule, config: &Config) -> Result<Option<Left>, Failure> {
    if !schedule.failed && schedule.resume.is_none() {
        return Ok(None);
    }
    let reader = recorded::open(&config.results_path())?;
    let left = match &schedule.resume {
        Some(word) => {
            let run = recorded::run(&reader, word)?.run;
            let ids = reader.not_run(&run)?;
            let what = "never came to";
            Left { ids, run, what }
        }
        None => {
            let run = recorded::last(&reader)?.run;
            let ids = reader.not_good(&run)?;
            let what = "was not good with";
            Left { ids, run, what }
        }
    };
    Ok(Some(left))
}

/// Those of the tests that are left, and what to say of it.
pub fn only(tests: Arc<Vec<Test>>, left: &Left) -> (Arc<Vec<Test>>, String) {
    let mut tests = Arc::unwrap_or_clone(tests);
    tests.retain(|test| left.ids.contains(test.id.text()));
    let mut note = format!("{} tests that run {} {}", tests.len(), left.run, left.what);
    let gone = left.ids.len() - tests.len();
    if gone > 0 {
        note.push_str(&format!(
            "; {gone} more are not in the suite, or not selected"
        ));
    }
    (Arc::new(tests), note)
}
