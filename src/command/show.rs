//! `docker-test show`: a recorded run, or a test of it.

use std::collections::HashSet;

use super::recorded::{find, last, print_json, record, run};
use super::{Context, Exit, Failure, text};
use crate::cli::{MessageFormat, Show};
use crate::model::{ByteText, escape};
use crate::plan::{Named, named};
use crate::report::{ShownAttempt, ShownRun, ShownTest};
use crate::store::{Reader, StoredRun};

/// Shows it.
pub fn show(arguments: &Show, context: &Context) -> Result<u8, Failure> {
    let (_, reader) = record(context)?;
    let word = |word: &std::ffi::OsStr| word.to_str().unwrap_or_default().to_owned();
    let (of, test) = match (&arguments.run, &arguments.test) {
        (None, _) => (last(&reader)?, None),
        (Some(of), Some(test)) => (run(&reader, &word(of))?, Some(test)),
        (Some(one), None) => match find(&reader, &word(one)) {
            Ok(Some(of)) => (of, None),
            Ok(None) => (last(&reader)?, Some(one)),
            // Digits that begin more than one run may still be a part of a test's id.
            Err(failure) => {
                let of = last(&reader)?;
                match named(&reader.planned(&of.run)?, one.as_encoded_bytes()) {
                    Named::One(_) => (of, Some(one)),
                    _ => return Err(failure),
                }
            }
        },
    };
    match test {
        None => whole(&of, &reader, arguments, context),
        Some(test) => {
            let test = find_test(&of, test.as_encoded_bytes(), &reader)?;
            one(&of, &test, &reader, arguments, context)
        }
    }
}

/// The test of a run that a word names.
fn find_test(of: &StoredRun, word: &[u8], reader: &Reader) -> Result<ByteText, Failure> {
    let shown = escape(word);
    match named(&reader.planned(&of.run)?, word) {
        Named::One(test) => Ok(test),
        Named::None => Err(Failure {
            exit: Exit::NoTests,
            message: format!(
                "no test of run {} is called '{shown}' or has that in its id\nhint: `docker-test list` prints the ids; `docker-test show RUN TEST` looks at another run",
                of.run
            ),
        }),
        Named::Many { first, count } => {
            let first: Vec<String> = first.iter().map(ToString::to_string).collect();
            let more = if count > first.len() { ", ..." } else { "" };
            Err(Failure::usage(format!(
                "'{shown}' is a part of {count} tests' ids: {}{more}\nhint: write more of the id, or all of it",
                first.join(", ")
            )))
        }
    }
}

fn whole(
    of: &StoredRun,
    reader: &Reader,
    arguments: &Show,
    context: &Context,
) -> Result<u8, Failure> {
    let workers = reader.workers(&of.run)?;
    let violations = reader.violations(&of.run, None)?;
    let mut shown = ShownRun::new(of, &workers, &violations);
    let mut reported = HashSet::new();
    reader.each_attempt(&of.run, |attempt| {
        reported.insert(attempt.test.as_bytes().to_vec());
        shown.add(attempt);
    })?;
    let mut missing = reader.planned(&of.run)?;
    missing.retain(|test| !reported.contains(test.as_bytes()));
    shown.missing(missing);
    match arguments.message_format {
        MessageFormat::Human => text::print(shown.text(context.stdout()).as_bytes()),
        MessageFormat::Json => print_json(&shown),
    }
}

fn one(
    of: &StoredRun,
    test: &ByteText,
    reader: &Reader,
    arguments: &Show,
    context: &Context,
) -> Result<u8, Failure> {
    let violations = reader.violations(&of.run, Some(test))?;
    let attempts = reader.attempts_of(&of.run, test)?.into_iter().map(|row| {
        let mut own = violations.clone();
        own.retain(|violation| violation.attempt == row.attempt);
        Ok(ShownAttempt {
            violations: own,
            series: reader.series(&row)?,
            outputs: reader.outputs(&row)?,
            row,
        })
    });
    let shown = ShownTest {
        run: &of.run,
        test,
        attempts: attempts.collect::<Result<_, Failure>>()?,
    };
    match arguments.message_format {
        MessageFormat::Human => {
            let record = escape(reader.path().as_os_str().as_encoded_bytes());
            text::print(shown.text(context.canvas(), &record).as_bytes())
        }
        MessageFormat::Json => print_json(&shown),
    }
}
