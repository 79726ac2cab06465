//! What a run was and how it ended, for people.

use super::super::when::calendar;

use super::page::{Total, Verdict};
use super::select::Counts;
use crate::model::{OutcomeKind, escape, format_us, signal_name};
use crate::store::{StoredRun, StoredWorker};

/// How a run ended.
pub fn verdict(run: &StoredRun) -> Verdict {
    let (class, text) = match (run.interrupted, run.exit_status) {
        (Some(signal), _) => {
            let name = i32::try_from(signal).map_or_else(|_| signal.to_string(), signal_name);
            ("bad", format!("interrupted by {name}"))
        }
        (None, None) => ("unknown", "did not end in order".to_owned()),
        (None, Some(0)) => ("good", "passed".to_owned()),
        (None, Some(1)) => ("bad", "not passed".to_owned()),
        (None, Some(status)) => ("bad", format!("ended with exit status {status}")),
    };
    Verdict { class, text }
}

/// Tests by outcome, in the order of the outcomes; outcomes that no test had are left out.
pub fn totals(run: &StoredRun, counts: &Counts) -> Vec<Total> {
    let known = OutcomeKind::ALL.map(OutcomeKind::as_str);
    let count = |outcome: &str| counts.outcomes.get(outcome).copied().unwrap_or(0);
    let others = counts.outcomes.keys().map(String::as_str);
    let others = others.filter(|outcome| !known.contains(outcome));
    let total = |outcome: &str, count| Total {
        outcome: outcome.to_owned(),
        count,
    };
    let mut totals: Vec<Total> = known
        .into_iter()
        .chain(others)
        .map(|outcome| total(outcome, count(outcome)))
        .chain([total("flaky", counts.flaky)])
        .collect();
    let finished: u64 = counts.outcomes.values().sum();
    totals.push(total("unfinished", run.planned.saturating_sub(finished)));
    totals.retain(|total| total.count > 0);
    totals
}

/// What a run was. What is not known is left out.
pub fn facts(run: &StoredRun, counts: &Counts) -> Vec<(&'static str, String)> {
    let engine = match &run.engine_version {
        Some(version) => format!("{} {version}", run.engine),
        None => run.engine.clone(),
    };
    let project = escape(run.project.as_bytes());
    let facts = [
        ("Tests", Some(run.planned.to_string())),
        ("Wall time", run.wall_us.map(format_us)),
        ("CPU time", counts.cpu_us.map(format_us)),
        ("Workers at once", Some(run.workers.to_string())),
        ("Started", calendar(run.started_unix_us)),
        ("Engine", Some(engine)),
        ("Level", run.level.clone()),
        ("Network", run.network.clone()),
        ("Images", Some(run.images.join(", "))),
        ("Host", Some(run.host.clone())),
        ("Machine", run.machine.clone()),
        ("Project", Some(project)),
        ("docker-test", Some(run.version.clone())),
    ];
    let known = facts.into_iter();
    known
        .filter_map(|(name, text)| Some((name, text?)))
        .collect()
}

/// Problems that are shown; the others are counted.
const PROBLEMS: usize = 100;

/// What went wrong with workers.
pub fn problems(workers: &[StoredWorker]) -> Vec<String> {
    let all = workers.iter().filter_map(|worker| {
        let problem = escape(worker.problem.as_ref()?.as_bytes());
        Some(format!("worker {}: {problem}", worker.worker))
    });
    let mut all: Vec<String> = all.collect();
    if all.len() > PROBLEMS {
        let more = all.len() - PROBLEMS;
        all.truncate(PROBLEMS);
        all.push(format!("and {more} more"));
    }
    all
}
