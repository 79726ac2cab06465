//! `docker-test history`.

use super::recorded::record;
use super::{Context, Exit, Failure, text};
use crate::cli::{self, MessageFormat};
use crate::config::near;
use crate::model::{ByteText, escape};
use crate::report::{self, History, PastAttempt};
use crate::store::{Reader, TestsNamed};

/// How many tests an error names.
const NAMED: usize = 3;
/// Characters of each.
const NAME_CHARS: usize = 200;
/// Among how many tests a similar name is looked for.
const SEARCHED: u64 = 20_000;

/// Prints a test's figures over its last runs.
pub fn history(arguments: &cli::History, context: &Context) -> Result<u8, Failure> {
    let (_, reader) = record(context)?;
    let test = find(&reader, &ByteText::from(arguments.test.as_os_str()))?;
    let history = read(&reader, test, arguments.limit.into())?;
    let out = match arguments.message_format {
        MessageFormat::Human => report::history(&history, context.environment.draws(context.color)),
        MessageFormat::Json => report::history_json(&history)?,
    };
    text::print(out.as_bytes())
}

/// The one test that is meant.
fn find(reader: &Reader, text: &ByteText) -> Result<ByteText, Failure> {
    let word = shown(text);
    match reader.tests_named(text, NAMED)? {
        TestsNamed::One(test) => Ok(test),
        TestsNamed::Several(first, count) => {
            let names = list(first.iter());
            let more = match count - first.len() as u64 {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            Err(Failure::usage(format!(
                "'{word}' is a part of {count} tests' ids: {names}{more}\nhint: write the whole id, or a part that one alone has"
            )))
        }
        TestsNamed::None => {
            let ids = reader.test_ids(SEARCHED)?.into_iter();
            let ids = ids.filter_map(|id| String::from_utf8(id.into_bytes()).ok());
            let near = near(text.as_str().unwrap_or_default(), ids, NAMED);
            let near: Vec<ByteText> = near.into_iter().map(ByteText::from).collect();
            let hint = if near.is_empty() {
                "`docker-test list` shows this project's tests".to_owned()
            } else {
                format!("did you mean {}?", list(near.iter()))
            };
            Err(Failure {
                exit: Exit::NoTests,
                message: format!("no recorded test has '{word}' in its id\nhint: {hint}"),
            })
        }
    }
}

/// `a, b, c`, each no longer than can be read.
fn list<'a>(tests: impl Iterator<Item = &'a ByteText>) -> String {
    tests.map(shown).collect::<Vec<_>>().join(", ")
}

fn shown(test: &ByteText) -> String {
    let name = escape(test.as_bytes());
    match name.char_indices().nth(NAME_CHARS) {
        Some((end, _)) => format!("{}...", &name[..end]),
        None => name,
    }
}

/// The test's last attempts with what is compared of their runs. One that never began has no figures.
fn read(reader: &Reader, test: ByteText, at_most: u64) -> Result<History, Failure> {
    let mut newest_first = reader.history(&test, at_most)?;
    newest_first.retain(|attempt| attempt.started_unix_us.is_some());
    let mut attempts = Vec::new();
    let mut limits = None;
    for attempt in newest_first {
        let run = reader.run(&attempt.run)?;
        if attempts.is_empty() {
            limits = run.as_ref().and_then(|run| run.limits(&attempt.profile));
        }
        attempts.push(PastAttempt {
            engine: run.as_ref().map(|run| run.engine.clone()),
            machine: run.and_then(|run| run.machine),
            violations: reader.violation_count(&attempt)?,
            attempt,
        });
    }
    attempts.reverse();
    Ok(History {
        test,
        attempts,
        limits,
    })
}
