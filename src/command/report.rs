//! `docker-test report`, and `run --html`: a recorded run as one page.

use std::path::Path;

use super::{Context, Exit, Failure, recorded, text};
use crate::cli;
use crate::report::html::{EARLIER, Report, Selection};
use crate::report::{Target, TargetError};
use crate::store::{Reader, StoredRun};

/// Writes the page of a run.
pub fn report(arguments: &cli::Report, context: &Context) -> Result<u8, Failure> {
    let target = match arguments.output.as_os_str().as_encoded_bytes() {
        b"-" => None,
        _ => Some(Target::new(&arguments.output)?),
    };
    let (_, reader) = recorded::record(context)?;
    let run = match &arguments.run {
        Some(word) => recorded::run(&reader, word)?,
        None => recorded::last(&reader)?,
    };
    let page = page(&reader, &run)?;
    match target {
        None => text::print(page.as_bytes()),
        Some(target) => {
            target.write(page.as_bytes())?;
            Ok(0)
        }
    }
}

/// Writes the page of a run that has just ended.
pub fn write(results: &Path, run: &str, target: &Target) -> Result<(), Failure> {
    let reader = recorded::open(results)?;
    let run = recorded::run(&reader, run)?;
    target.write(page(&reader, &run)?.as_bytes())?;
    Ok(())
}

/// Gathers what a page shows, what matters most first; each query is bounded, and nothing is asked
/// for that does not fit any more.
fn page(reader: &Reader, run: &StoredRun) -> Result<String, Failure> {
    let failed = |error: std::io::Error| Failure {
        exit: Exit::Results,
        message: format!("the page cannot be made: {error}"),
    };
    let violations = reader.violations(&run.run, None)?;
    let mut selection = Selection::new(&violations);
    reader.each_attempt(&run.run, |attempt| selection.take(attempt))?;
    let mut report = Report::new(run, selection, &violations).map_err(failed)?;
    for row in report.rows() {
        if report.wants_series(row) {
            let samples = reader.series(report.attempt(row))?;
            report.put_series(row, &samples).map_err(failed)?;
        }
        if report.wants_outputs(row) {
            let outputs = reader.outputs(report.attempt(row))?;
            report.put_outputs(row, &outputs).map_err(failed)?;
        }
        if report.wants_history(row) {
            let attempts = reader.history(&report.attempt(row).test, EARLIER)?;
            report.put_history(row, &attempts).map_err(failed)?;
        }
    }
    report.render(&reader.workers(&run.run)?).map_err(failed)
}

impl From<TargetError> for Failure {
    fn from(error: TargetError) -> Self {
        Failure {
            exit: Exit::Results,
            message: error.to_string(),
        }
    }
}
