//! `docker-test compare`: what changed between two recorded runs.

use std::collections::BTreeMap;

use super::recorded::{last, print_json, record, run};
use super::{Context, Failure, text};
use crate::cli::{Compare, MessageFormat};
use crate::model::{ByteText, OutcomeKind};
use crate::plan::{Seen, changes, lone};
use crate::report::Comparison;
use crate::store::{Reader, StoredAttempt, StoredRun, Where};

/// Passes that a figure is held against, at most.
const PAST: usize = 20;
/// Attempts that are looked at for them: some did not pass, or ran under another profile.
const LOOKED_AT: u64 = 60;

/// Compares; with `--fail-on-regression` the exit status is 1 where a test is worse.
pub fn compare(arguments: &Compare, context: &Context) -> Result<u8, Failure> {
    let (_, reader) = record(context)?;
    let (earlier, later) = match (&arguments.first, &arguments.second) {
        (Some(earlier), Some(later)) => (run(&reader, earlier)?, run(&reader, later)?),
        (one, _) => {
            let later = match one {
                Some(one) => run(&reader, one)?,
                None => last(&reader)?,
            };
            let Some(earlier) = reader.run_before(&later)? else {
                // Nothing is worse than nothing: the first run of a new project is no error.
                context.note(&format!(
                    "run {} is the first that is recorded: there is nothing to compare it with",
                    later.run
                ));
                return Ok(0);
            };
            (earlier, later)
        }
    };
    for run in [&earlier, &later] {
        if run.wall_us.is_none() {
            context.note(&format!(
                "run {} never ended: it runs still, or its launcher was killed",
                run.run
            ));
        }
    }
    let incomparable = incomparable(&earlier, &later);
    let before = seen(&earlier, &reader)?;
    let mut now = seen(&later, &reader)?;
    let mut comparison = Comparison::new(&earlier, &later, incomparable.clone());
    for (test, before) in &before {
        let found = match now.remove(test) {
            None => vec![lone(before, false)],
            Some(now) => changes(before, &now, incomparable.is_none(), || {
                past(test, &now, &later, &reader)
            })?,
        };
        comparison.add(test, found);
    }
    for (test, now) in &now {
        comparison.add(test, vec![lone(now, true)]);
    }
    match arguments.message_format {
        MessageFormat::Human => text::print(comparison.text(context.stdout()).as_bytes())?,
        MessageFormat::Json => print_json(&comparison)?,
    };
    let is_worse = arguments.fail_on_regression && comparison.regressions() > 0;
    Ok(u8::from(is_worse))
}

/// Why figures of the two runs cannot be compared.
fn incomparable(earlier: &StoredRun, later: &StoredRun) -> Option<String> {
    match (&earlier.machine, &later.machine) {
        (Some(one), Some(other)) if one != other => {
            Some(format!("the machines differ: {one} / {other}"))
        }
        (Some(_), Some(_)) if earlier.engine != later.engine => Some(format!(
            "the engines differ: {} / {}",
            earlier.engine, later.engine
        )),
        (Some(_), Some(_)) => None,
        _ => Some("an older version recorded a run without its machine".to_owned()),
    }
}

/// Each test's last word in a run.
fn seen(run: &StoredRun, reader: &Reader) -> Result<BTreeMap<ByteText, Seen>, Failure> {
    let missing = |test| {
        let seen = Seen {
            kind: None,
            outcome: "no result".into(),
            profile: String::new(),
            image: String::new(),
            used: None,
        };
        (test, seen)
    };
    let mut all: BTreeMap<ByteText, Seen> =
        reader.planned(&run.run)?.into_iter().map(missing).collect();
    reader.each_attempt(&run.run, |attempt| {
        if !attempt.superseded {
            let (test, seen) = last_word(attempt);
            all.insert(test, seen);
        }
    })?;
    Ok(all)
}

fn last_word(attempt: StoredAttempt) -> (ByteText, Seen) {
    let kinds = OutcomeKind::ALL.into_iter();
    let kind = kinds.rev().find(|kind| kind.as_str() == attempt.outcome);
    let outcome = match &attempt.reason {
        Some(reason) => format!("{} {reason}", attempt.outcome),
        None => attempt.outcome,
    };
    let seen = Seen {
        kind,
        outcome,
        profile: attempt.profile,
        image: attempt.image,
        used: attempt.resources,
    };
    (attempt.test, seen)
}

/// What the newest passes of a test used before the later run.
fn past(
    test: &ByteText,
    now: &Seen,
    later: &StoredRun,
    reader: &Reader,
) -> Result<Vec<crate::model::Resources>, Failure> {
    let place = Where {
        machine: later.machine.as_deref().unwrap_or_default(),
        engine: &later.engine,
        before_unix_us: Some(later.started_unix_us),
    };
    let attempts = reader.past(test, place, LOOKED_AT)?.into_iter();
    let passes = attempts.filter(|attempt| {
        attempt.outcome == OutcomeKind::Pass.as_str()
            && attempt.profile == now.profile
            && attempt.image == now.image
    });
    Ok(passes.take(PAST).map(|attempt| attempt.resources).collect())
}
