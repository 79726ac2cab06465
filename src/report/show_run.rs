//! `show RUN`: a recorded run.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::summary::section;
use super::totals::{Bounded, Top, list};
use super::when::when;
use super::{Paint, attempt, clean, table};
use crate::model::{
    ByteText, OutcomeKind, Source, TestId, ViolationSeverity, format_bytes, format_duration,
    format_us, signal_name,
};
use crate::store::{StoredAttempt, StoredRun, StoredViolation, StoredWorker};

/// Tests that are named of a kind of violation.
const NAMED: usize = 3;
/// Tests that are not good and are named, and such that have no result.
const NOT_GOOD: usize = 1_000;
/// Workers that are named in a line, and what went wrong with them.
const WORKERS: usize = 10;

/// A recorded run, as it is shown. Feed it every attempt, in order.
#[derive(Serialize)]
pub struct ShownRun<'r> {
    run: &'r StoredRun,
    workers: &'r [StoredWorker],
    totals: BTreeMap<String, u64>,
    /// Tests that passed on a later attempt.
    flaky: u64,
    /// Tests that were planned and never reported.
    missing: Vec<ByteText>,
    not_good: Vec<NotGood>,
    violations: Vec<Group>,
    #[serde(serialize_with = "walls")]
    slowest: Top<Duration, ()>,
    #[serde(serialize_with = "peaks")]
    hungriest: Top<u64, Option<Source>>,
}

/// A test whose last word is neither pass nor skip.
#[derive(Serialize)]
struct NotGood {
    test: ByteText,
    outcome: String,
    reason: Option<String>,
}

/// The violations of one kind and severity.
#[derive(Serialize)]
struct Group {
    /// Absent: of a kind that a newer version knows.
    kind: Option<&'static str>,
    /// Of each of them.
    severity: ViolationSeverity,
    count: u64,
    /// Each once, in order.
    tests: Vec<ByteText>,
}

fn walls<S: serde::Serializer>(top: &Top<Duration, ()>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Row<'t> {
        test: &'t TestId,
        wall_us: u128,
    }
    serializer.collect_seq(top.kept.iter().map(|(wall, (), test)| Row {
        test,
        wall_us: wall.as_micros(),
    }))
}

fn peaks<S: serde::Serializer>(
    top: &Top<u64, Option<Source>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Row<'t> {
        test: &'t TestId,
        memory_peak_bytes: u64,
        memory_peak_source: Option<Source>,
    }
    serializer.collect_seq(top.kept.iter().map(|(bytes, source, test)| Row {
        test,
        memory_peak_bytes: *bytes,
        memory_peak_source: *source,
    }))
}

impl<'r> ShownRun<'r> {
    /// A run with its workers and its violations.
    pub fn new(
        run: &'r StoredRun,
        workers: &'r [StoredWorker],
        violations: &[StoredViolation],
    ) -> Self {
        ShownRun {
            run,
            workers,
            totals: BTreeMap::new(),
            flaky: 0,
            missing: Vec::new(),
            not_good: Vec::new(),
            violations: groups(violations),
            slowest: Top::default(),
            hungriest: Top::default(),
        }
    }

    /// Takes an attempt into account. A superseded one is no test's last word.
    pub fn add(&mut self, attempt: StoredAttempt) {
        if attempt.superseded {
            return;
        }
        *self.totals.entry(attempt.outcome.clone()).or_default() += 1;
        let test = TestId::new(attempt.test.clone());
        if let Some(used) = &attempt.resources {
            let wall = Duration::from_micros(used.wall_us);
            self.slowest.push(wall, (), &test);
            if let Some(peak) = used.memory_peak_bytes {
                self.hungriest.push(peak, used.memory_peak_source, &test);
            }
        }
        match kind(&attempt.outcome) {
            Some(OutcomeKind::Pass) if attempt.attempt > 1 => self.flaky += 1,
            Some(kind) if kind.is_good() => {}
            _ => self.not_good.push(NotGood {
                test: attempt.test,
                outcome: attempt.outcome,
                reason: attempt.reason,
            }),
        }
    }

    /// Names the tests that were planned and never reported.
    pub fn missing(&mut self, tests: Vec<ByteText>) {
        self.missing = tests;
    }

    /// For people.
    pub fn text(&self, paint: Paint) -> String {
        let mut out = head(self.run);
        out.push_str(&self.worker_lines(paint));
        section(&mut out, paint, "not good", &self.not_good_lines());
        let missing = self.missing.iter().map(ToString::to_string);
        section(&mut out, paint, "no result", &bounded(missing));
        section(&mut out, paint, "violations", &self.violation_lines());
        let slowest = self
            .slowest
            .kept
            .iter()
            .map(|(wall, (), test)| format!("{:>9} {test}", format_duration(*wall)));
        section(&mut out, paint, "slowest", &bounded(slowest));
        let hungriest = self.hungriest.kept.iter().map(|(peak, source, test)| {
            let source = source.map_or("source unknown", Source::as_str);
            format!("{:>9} ({source}) {test}", format_bytes(*peak))
        });
        section(
            &mut out,
            paint,
            "hungriest (peak memory)",
            &bounded(hungriest),
        );
        out.push('\n');
        out.push_str(&self.counts(paint));
        out
    }

    fn worker_lines(&self, paint: Paint) -> String {
        // Under a level that gives each test a container of its own there are as many as tests.
        let mut alike: BTreeMap<[String; 3], Vec<&StoredWorker>> = BTreeMap::new();
        for worker in self
            .workers
            .iter()
            .filter(|worker| worker.profile.is_some())
        {
            let word = |text: &Option<String>| text.clone().unwrap_or_default();
            let key = [word(&worker.profile), word(&worker.image), limits(worker)];
            alike.entry(key).or_default().push(worker);
        }
        let row = |([profile, image, limits], workers): ([String; 3], Vec<&StoredWorker>)| {
            let starts = workers.iter().filter_map(|worker| worker.start_us);
            let longest = starts.max().map(Duration::from_micros);
            let tests: u64 = workers.iter().filter_map(|worker| worker.tests).sum();
            vec![
                numbers(&workers),
                profile,
                image,
                longest.map_or_else(|| "-".into(), format_duration),
                tests.to_string(),
                limits,
            ]
        };
        let rows: Vec<Vec<String>> = alike.into_iter().map(row).collect();
        let mut out = String::new();
        if !rows.is_empty() {
            let headers = ["worker", "profile", "image", "start", "tests", "limits"];
            let text = table(&headers, &rows);
            let lines: String = text.lines().map(|line| format!("  {line}\n")).collect();
            section(&mut out, paint, "workers", &lines);
        }
        let problem = |worker: &StoredWorker| {
            let problem = worker.problem.as_ref()?;
            Some(format!("worker {}: {problem}", worker.worker))
        };
        let problems = self.workers.iter().filter_map(problem);
        section(&mut out, paint, "problems of workers", &bounded(problems));
        out
    }

    fn not_good_lines(&self) -> String {
        bounded(self.not_good.iter().map(|one| {
            let outcome = outcome(&one.outcome, one.reason.as_deref());
            format!("{outcome:<14} {}", one.test)
        }))
    }

    fn violation_lines(&self) -> String {
        bounded(self.violations.iter().map(|group| {
            let kind = group.kind.unwrap_or("of a newer version");
            let named: Vec<String> = group
                .tests
                .iter()
                .take(NAMED)
                .map(ByteText::to_string)
                .collect();
            let more = match group.tests.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!(
                "{kind:<16} {:<8} {:>4}  {}{more}",
                group.severity.as_str(),
                group.count,
                named.join(", ")
            )
        }))
    }

    /// `3 tests: 2 pass (1 flaky), 1 fail`.
    fn counts(&self, paint: Paint) -> String {
        let mut parts = Vec::new();
        for (word, count) in self.ordered() {
            let text = format!("{count} {}", clean::word(word));
            let mut part = match kind(word) {
                Some(kind) => attempt::painted(paint, kind, &text),
                None => text,
            };
            if word == OutcomeKind::Pass.as_str() && self.flaky > 0 {
                part.push_str(&format!(" ({} flaky)", self.flaky));
            }
            parts.push(part);
        }
        if !self.missing.is_empty() {
            parts.push(paint.bad(&format!("{} without a result", self.missing.len())));
        }
        let colon = if parts.is_empty() { "" } else { ": " };
        let all = self.run.planned;
        let tests = if all == 1 { "test" } else { "tests" };
        format!("{all} {tests}{colon}{}\n", parts.join(", "))
    }

    /// The totals in the order of a run's summary.
    fn ordered(&self) -> Vec<(&str, u64)> {
        let mut all: Vec<(&str, u64)> = self
            .totals
            .iter()
            .map(|(word, count)| (word.as_str(), *count))
            .collect();
        all.sort_by_key(|(word, _)| kind(word).map_or(usize::MAX, |kind| kind as usize));
        all
    }
}

/// The outcome that a word is.
fn kind(word: &str) -> Option<OutcomeKind> {
    OutcomeKind::ALL
        .into_iter()
        .find(|kind| kind.as_str() == word)
}

/// `fail exit(1)`.
pub fn outcome(outcome: &str, reason: Option<&str>) -> String {
    match reason {
        Some(reason) => format!("{outcome} {reason}"),
        None => outcome.to_owned(),
    }
}

fn head(run: &StoredRun) -> String {
    let ended = match (run.wall_us, run.exit_status, run.interrupted) {
        (None, ..) => "it never ended: it runs still, or its launcher was killed".to_owned(),
        (Some(wall), status, signal) => {
            let wall = format_us(wall);
            let status = status.map_or_else(|| "unknown".into(), |status| status.to_string());
            let signal = signal
                .and_then(|signal| i32::try_from(signal).ok())
                .map_or_else(String::new, |signal| {
                    format!(", interrupted by {}", signal_name(signal))
                });
            format!("{wall}, exit status {status}{signal}")
        }
    };
    let version = run
        .engine_version
        .as_deref()
        .unwrap_or("of unknown version");
    let engine = match run.engine.as_str() {
        "host" => "--engine host".to_owned(),
        engine => format!("{engine} {version}"),
    };
    let images = match run.images.as_slice() {
        [] => String::new(),
        images => format!(", images {}", images.join(", ")),
    };
    let word = |word: &Option<String>| word.clone().unwrap_or_else(|| "unknown".into());
    let digests = run.image_digests.iter();
    let digests: Vec<_> = digests
        .map(|(image, digest)| format!("{image} {}", digest.short()))
        .collect();
    let mut lines = vec![
        format!("run {}: {ended}", run.run),
        format!(
            "  started {} by docker-test {} with {engine}{images}",
            when(run.started_unix_us),
            run.version
        ),
        format!(
            "  level {}, network {}",
            word(&run.level),
            word(&run.network)
        ),
        format!("  machine {}: {}", run.host, word(&run.machine)),
        format!("  project {}", run.project),
    ];
    if !digests.is_empty() {
        lines.insert(2, format!("  image contents {}", digests.join(", ")));
    }
    lines.iter().map(|line| clean::word(line) + "\n").collect()
}

/// `14 enforced; clamped: cpus (2)`.
fn limits(worker: &StoredWorker) -> String {
    let empty = Vec::new();
    let checks = worker.limits.as_ref().and_then(|limits| limits.as_array());
    let of = |state: &str| {
        let checks = checks.unwrap_or(&empty).iter();
        checks
            .filter(|check| check["state"] == state)
            .collect::<Vec<_>>()
    };
    let mut parts = vec![format!("{} enforced", of("enforced").len())];
    for state in ["clamped", "unenforced"] {
        let named: Vec<String> = of(state)
            .iter()
            .map(|check| {
                let word = |key: &str| check[key].as_str().unwrap_or("?").to_owned();
                format!("{} ({})", word("limit"), word("found"))
            })
            .collect();
        if !named.is_empty() {
            parts.push(format!("{state}: {}", named.join(", ")));
        }
    }
    parts.join("; ")
}

/// `1, 2` or `1, 2, … and 98 more`.
fn numbers(workers: &[&StoredWorker]) -> String {
    let named = workers
        .iter()
        .take(WORKERS)
        .map(|worker| worker.worker.to_string());
    let named = named.collect::<Vec<_>>().join(", ");
    match workers.len().saturating_sub(WORKERS) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// By kind and severity: a fact is not counted among warnings.
fn groups(violations: &[StoredViolation]) -> Vec<Group> {
    let mut groups: BTreeMap<(Option<&'static str>, ViolationSeverity), Group> = BTreeMap::new();
    for violation in violations {
        let kind = violation.kind.map(|kind| kind.as_str());
        let key = (kind, violation.severity);
        let group = groups.entry(key).or_insert_with(|| Group {
            kind,
            severity: violation.severity,
            count: 0,
            tests: Vec::new(),
        });
        group.count += 1;
        if group.tests.last() != Some(&violation.test) {
            group.tests.push(violation.test.clone());
        }
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse((group.severity, group.count)));
    groups
}

/// At most [`NOT_GOOD`] lines, and one for the others, each behind two spaces.
pub fn bounded(lines: impl Iterator<Item = String>) -> String {
    let mut all: Bounded<String, NOT_GOOD> = Bounded::default();
    for line in lines {
        all.push(|| line);
    }
    list(&all, Clone::clone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ViolationKind;

    #[test]
    fn a_fact_is_not_counted_among_warnings() {
        let of = |test: &str, severity| StoredViolation {
            test: test.into(),
            attempt: 1,
            kind: Some(ViolationKind::LeakedFile),
            severity,
            threshold: None,
            actual: None,
            message: String::new(),
        };
        let all = [
            of("a", ViolationSeverity::Warning),
            of("a", ViolationSeverity::Info),
            of("b", ViolationSeverity::Info),
        ];
        let found = groups(&all);
        let found: Vec<_> = found.iter().map(|g| (g.severity, g.count)).collect();
        let expected = [
            (ViolationSeverity::Warning, 1),
            (ViolationSeverity::Info, 2),
        ];
        assert_eq!(found, expected);
    }
}
