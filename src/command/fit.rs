//! `docker-test fit`: the smallest safe profile of each test, as a diff of the config. Writes nothing.

use super::recorded::{print_json, record};
use super::{Context, Failure, text};
use crate::cli::{Fit, MessageFormat};
use crate::config::{Config, add_rules};
use crate::host::Machine;
use crate::model::{OutcomeKind, Test, TestId};
use crate::plan::fit::{Fitted, Known, Pass, fit as judge, known, rules};
use crate::plan::{Selection, plan};
use crate::report::{Fitting, diff};
use crate::store::{PastAttempt, Reader, StoredRun, Where};
use crate::suite::{FoundTest, discover};

/// Attempts at a test that are looked at, the newest.
const LOOKED_AT: u64 = 200;
/// Among so many of them, the newest, none may have reached a limit.
const LATELY: usize = 20;
/// Runs among which one of this machine is looked for, the newest.
const RUNS: u64 = 100;

/// Prints the diff; with `--check` what is wrong instead, and then the exit status is 1.
pub fn fit(arguments: &Fit, context: &Context) -> Result<u8, Failure> {
    let (config, reader) = record(context)?;
    let machine = Machine::read().fingerprint();
    let runs = reader.runs(RUNS)?.into_iter();
    let newest = runs
        .filter(|run| run.machine.as_ref() == Some(&machine))
        .find(|run| run.planned > 0);
    let tests = tests(&config, newest.as_ref(), &reader, context)?;
    let paths = judge(&tests, &config, |test| {
        let Some(newest) = &newest else {
            return Ok(known(&[], None));
        };
        let place = Where {
            machine: &machine,
            engine: &newest.engine,
            before_unix_us: None,
        };
        let past = reader.past(test.id.text(), place, LOOKED_AT)?;
        let mut found = known_of(test, past);
        if let (Known::Needs(needs), true) = (&mut found, arguments.ignore_unsampled) {
            needs.ignore_unsampled();
        }
        Ok::<_, Failure>(found)
    })?;
    let rules = rules(&paths);
    let edit = match rules.as_slice() {
        [] => None,
        rules => Some(add_rules(&config, rules)?),
    };
    let diff = edit.as_ref().and_then(diff);
    let fitting = Fitting {
        machine: &machine,
        engine: newest.as_ref().map(|run| run.engine.as_str()),
        paths: &paths,
        rules: &rules,
        diff: diff.as_deref(),
    };
    match (arguments.message_format, arguments.check) {
        (MessageFormat::Json, _) => {
            print_json(&fitting)?;
        }
        (MessageFormat::Human, true) => {
            text::print(fitting.text(context.stdout()).as_bytes())?;
        }
        (MessageFormat::Human, false) => {
            // stdout has the diff alone, for patch.
            context.tell(&fitting.text(context.stderr()));
            if edit.is_some() && diff.is_none() {
                return Err(Failure::usage(
                    "the rules of docker-test.yaml are written in a way that is not edited here\nhint: write them as a list of lines that begin with '-', or take them from --message-format json",
                ));
            }
            text::print(diff.unwrap_or_default().as_bytes())?;
        }
    }
    let is_wrong = arguments.check && paths.iter().any(Fitted::is_wrong);
    Ok(u8::from(is_wrong))
}

/// The suite's tests with their profiles. A suite with a listing command would have to start a worker
/// for it: then they are those of the newest run.
fn tests(
    config: &Config,
    newest: Option<&StoredRun>,
    reader: &Reader,
    context: &Context,
) -> Result<Vec<Test>, Failure> {
    let found = match (&config.suite.list, newest) {
        (None, _) => discover(config, &context.directory()?, &[])?,
        (Some(_), None) => Vec::new(),
        (Some(_), Some(newest)) => {
            let ids = reader.planned(&newest.run)?.into_iter();
            let found = |id| FoundTest {
                id: TestId::new(id),
                marker: None,
            };
            ids.map(found).collect()
        }
    };
    // Images play no part: a profile is only ever exchanged for one of the same image.
    Ok(plan(found, config, &Selection::default(), |_| false)?.tests)
}

fn known_of(test: &Test, past: Vec<PastAttempt>) -> Known {
    let newest = past.iter().take(LATELY);
    let reached = newest
        .filter(|attempt| attempt.profile == test.profile)
        .find_map(reached_limit);
    let passes = past
        .into_iter()
        .filter(|attempt| attempt.outcome == OutcomeKind::Pass.as_str());
    let passes: Vec<Pass> = passes
        .map(|attempt| Pass {
            resources: attempt.resources,
            open_files_max: attempt.open_files_max,
            output_bytes: attempt.output_bytes,
        })
        .collect();
    known(&passes, reached.as_deref())
}

/// `timeout wall`, where an attempt ended at a limit of its profile.
fn reached_limit(attempt: &PastAttempt) -> Option<String> {
    let reason = attempt.reason.as_deref().unwrap_or_default();
    let is_limit = match attempt.outcome.as_str() {
        "timeout" | "oom" => true,
        "fail" => matches!(reason, "pids" | "output-limit"),
        _ => false,
    };
    is_limit.then(|| {
        format!("{} {reason}", attempt.outcome)
            .trim_end()
            .to_owned()
    })
}
