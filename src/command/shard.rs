//! Which part of the suite a run is.

use std::sync::Arc;

use super::{Context, Failure};
use crate::cli::{RunSchedule, ShardChoice};
use crate::event::Division;
use crate::model::{Shard, Test};
use crate::plan::{Estimate, History, SHARDS, divide, from_ci, manifest};

/// A shard, and who says so.
pub struct Asked {
    /// The shard.
    pub shard: Shard,
    why: String,
}

/// The shard that was asked for: on the command line, else by the variables of a CI.
///
/// # Errors
/// The variables name no shard.
pub fn asked(schedule: &RunSchedule, context: &Context) -> Result<Option<Asked>, Failure> {
    if let Some(ShardChoice::One(shard)) = schedule.shard {
        let why = "--shard".to_owned();
        return Ok((shard.shards > 1).then_some(Asked { shard, why }));
    }
    let variable = |name: &str| {
        let value = context.variable(name.as_ref())?;
        Some(value.to_string_lossy().into_owned())
    };
    let total = schedule.shards_from.as_deref().unwrap_or(SHARDS);
    let found = from_ci(variable, total).map_err(Failure::usage)?;
    if found.is_none() && schedule.shard.is_some() {
        let one = [
            "CI_NODE_TOTAL",
            "CIRCLE_NODE_TOTAL",
            "BUILDKITE_PARALLEL_JOB_COUNT",
            total,
        ];
        // A CI that says that there is one shard has said it.
        if !one
            .into_iter()
            .any(|name| variable(name).as_deref() == Some("1"))
        {
            return Err(Failure::usage(format!(
                "--shard auto: no variable of a CI says which shard this is\nhint: name it, as in --shard 2/3, or set {total} where JOB_COMPLETION_INDEX is set"
            )));
        }
    }
    Ok(found.map(|(shard, why)| Asked { shard, why }))
}

/// What of the suite is run here.
pub struct Part {
    /// The tests, in their order.
    pub tests: Arc<Vec<Test>>,
    /// How long each probably takes.
    pub estimates: Vec<Estimate>,
    /// Names the whole suite.
    pub suite: String,
    /// Which part it is; absent where it is the whole.
    pub division: Option<Division>,
    /// What to say of it: one line.
    pub note: Option<String>,
}

/// The part of the suite that a shard is; all of it without one.
pub fn part(
    tests: Arc<Vec<Test>>,
    estimates: Vec<Estimate>,
    history: &History,
    asked: Option<Asked>,
) -> Part {
    let suite = manifest(&tests);
    let Some(Asked { shard, why }) = asked else {
        return Part {
            tests,
            estimates,
            suite,
            division: None,
            note: None,
        };
    };
    let shards = divide(&tests, &estimates, shard.shards);
    let all = tests.len();
    let (mut here, mut expected, mut elsewhere) = (Vec::new(), Vec::new(), Vec::new());
    for (at, test) in Arc::unwrap_or_clone(tests).into_iter().enumerate() {
        if shards[at] == shard.shard {
            here.push(test);
            expected.extend(estimates.get(at));
        } else {
            elsewhere.push((test, shards[at]));
        }
    }
    let by = match history.digest() {
        Some(digest) => format!("history {}", &digest[..12]),
        None => "a hash of their ids".to_owned(),
    };
    let empty = if here.is_empty() { "; it is empty" } else { "" };
    let note = format!(
        "shard {shard} ({why}): {} of {all} tests, divided by {by}{empty}",
        here.len()
    );
    Part {
        tests: Arc::new(here),
        estimates: expected,
        suite,
        division: Some(Division {
            shard,
            history: history.digest().map(str::to_owned),
            elsewhere: Arc::new(elsewhere),
        }),
        note: Some(note),
    }
}
