//! `docker-test report`, and `run --html`: a recorded run as one page.

use std::path::Path;

use super::{Context, Exit, Failure, recorded, text};
use crate::cli;
use crate::report::WholeFile;
use crate::report::html::{EARLIER, Report, Selection};
use crate::store::{Reader, StoredRun};

/// Writes the page of a run.
pub fn report(arguments: &cli::Report, context: &Context) -> Result<u8, Failure> {
    let target = match arguments.output.as_os_str().as_encoded_bytes() {
        b"-" => None,
        _ => Some(WholeFile::new(&arguments.output)?),
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
            put(target, &page)?;
            Ok(0)
        }
    }
}

/// Writes the page of a run that has just ended.
pub fn write(results: &Path, run: &str, target: WholeFile) -> Result<(), Failure> {
    let reader = recorded::open(results)?;
    let run = recorded::run(&reader, run)?;
    put(target, &page(&reader, &run)?)
}

fn put(mut target: WholeFile, page: &str) -> Result<(), Failure> {
    target.write(page)?;
    Ok(target.finish("", "")?)
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
