//! `run --junit FILE`: the run as JUnit XML, see `doc/ci.md`.
//!
//! One `testsuite` is the root, which is what both Surefire's and Jenkins' schema allow. quick-junit
//! keeps a whole report in memory; here it writes one testcase at a time, which goes to a file
//! beside the report's, so that memory grows neither with the tests nor with their output.

mod case;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use quick_junit::{Report, TestCase, TestRerun, TestSuite};

use self::case::{Amount, Shown};
use super::clean;
use super::file::{FileError, WholeFile};
use crate::event::{Attempt, Event, RunFinished, RunStarted, Sink, SinkError};
use crate::model::{OutcomeKind, TestId, escape, signal_name};

/// Once the report has so many bytes, tests have neither output nor properties any more: GitLab
/// takes no report of more than 30 MB, and 100,000 bare testcases are half of that.
const LARGE: u64 = 12 << 20;
/// Bytes of attempts that wait for their test's last one; beyond them such an attempt comes without
/// output.
const WAITING: usize = 8 << 20;

/// Writes the report when the run is over, however it ended.
pub struct Junit {
    /// Absent once it is written.
    file: Option<WholeFile>,
    suite: TestSuite,
    planned: u64,
    flaky: u64,
    /// Attempts after which the test runs again.
    earlier: BTreeMap<TestId, Vec<Earlier>>,
    /// Bytes in `earlier`.
    waiting: usize,
}

/// An attempt that is not its test's last word.
struct Earlier {
    rerun: TestRerun,
    bytes: usize,
}

impl Junit {
    /// Makes sure that `path` can be written, and removes the report of an earlier run.
    ///
    /// # Errors
    /// It cannot.
    pub fn new(path: &Path) -> Result<Self, FileError> {
        let file = WholeFile::new(path)?;
        file.forget_earlier()?;
        Ok(Junit {
            file: Some(file),
            suite: TestSuite::new("docker-test"),
            planned: 0,
            flaky: 0,
            earlier: BTreeMap::new(),
            waiting: 0,
        })
    }

    fn event(&mut self, event: &Event) -> Result<(), SinkError> {
        match event {
            Event::RunStarted(started) => self.run_started(started),
            Event::AttemptFinished(attempt) if attempt.superseded => self.superseded(attempt),
            Event::AttemptFinished(attempt) => return self.finished(attempt),
            Event::RunFinished(finished) => return self.run_finished(finished),
            _ => {}
        }
        Ok(())
    }

    fn run_started(&mut self, started: &RunStarted) {
        let project = Path::new(started.project.as_os_str());
        if let Some(name) = project.file_name() {
            self.suite.name = escape(name.as_encoded_bytes()).into();
        }
        self.planned = started.tests.len() as u64;
        let began = UNIX_EPOCH + Duration::from_micros(started.started_unix_us);
        self.property("run", &started.run);
        self.property("started", &humantime::format_rfc3339_millis(began));
        self.property("docker-test", &started.version);
        self.property("engine", &started.engine);
        if !started.images.is_empty() {
            self.property("images", &started.images.join(", "));
        }
        self.property("project", &started.project);
        self.property("host", &started.host);
        self.property("machine", &started.machine);
        self.property("level", &started.level.as_str());
        self.property("network", &started.network.as_str());
        self.property("workers", &started.workers);
    }

    fn property(&mut self, name: &str, value: &dyn ToString) {
        let value = clean::word(&value.to_string());
        self.suite.add_property((name, value.as_str()));
    }

    fn superseded(&mut self, attempt: &Attempt) {
        let amount = if self.waiting < WAITING {
            Amount::Some
        } else {
            Amount::Nothing
        };
        if let Some(rerun) = case::rerun(attempt, amount) {
            let bytes = case::size(&rerun);
            self.waiting += bytes;
            let earlier = self.earlier.entry(attempt.test.clone()).or_default();
            earlier.push(Earlier { rerun, bytes });
        }
    }

    fn finished(&mut self, attempt: &Attempt) -> Result<(), SinkError> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let earlier = self.earlier.remove(&attempt.test).unwrap_or_default();
        self.waiting -= earlier.iter().map(|one| one.bytes).sum::<usize>();
        let kind = attempt.outcome.kind();
        self.flaky += u64::from(kind == OutcomeKind::Pass && attempt.attempt > 1);
        let suite = &mut self.suite;
        suite.tests += 1;
        match Shown::of(kind) {
            Shown::Success => {}
            Shown::Failure => suite.failures += 1,
            Shown::Error => suite.errors += 1,
            Shown::Skipped => suite.skipped += 1,
        }
        let amount = match file.bytes() {
            LARGE.. => Amount::Nothing,
            _ if kind.is_good() => Amount::Little,
            _ => Amount::Much,
        };
        let earlier = earlier.into_iter().map(|one| one.rerun).collect();
        let case = case::case(attempt, earlier, amount, &suite.name);
        file.write(&one(case)?).map_err(problem)
    }

    fn run_finished(&mut self, finished: &RunFinished) -> Result<(), SinkError> {
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        self.suite.set_time(Duration::from_micros(finished.wall_us));
        self.property("flaky", &self.flaky.clone());
        let missing = self.planned.saturating_sub(self.suite.tests as u64);
        if missing > 0 {
            self.property("without-a-result", &missing);
        }
        if let Some(version) = &finished.engine_version {
            self.property("engine-version", version);
        }
        if let Some(signal) = finished.interrupted {
            self.property("interrupted", &signal_name(signal));
        }
        self.property("exit-status", &finished.exit_status);
        let mut report = Report::unnamed();
        report.test_suites.push(self.suite.clone());
        let suite = suite_of(&report)?;
        // It has properties, so it has an end tag.
        let head = suite.strip_suffix(END).unwrap_or(&suite).trim_end();
        let head = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{head}\n");
        file.finish(&head, &format!("{END}\n")).map_err(problem)
    }
}

impl Sink for Junit {
    fn take(&mut self, events: &[Event]) -> Result<(), SinkError> {
        events.iter().try_for_each(|event| self.event(event))
    }
}

const END: &str = "</testsuite>";

/// The lines of one testcase.
fn one(case: TestCase) -> Result<String, SinkError> {
    let mut suite = TestSuite::new("");
    suite.test_cases.push(case);
    let mut report = Report::unnamed();
    report.test_suites.push(suite);
    let text = suite_of(&report)?;
    let begin = text.find("<testcase").unwrap_or(0);
    let text = text.strip_suffix(END).unwrap_or(&text);
    Ok(format!("        {}\n", text[begin..].trim_end()))
}

/// The element of a report's only suite. Text in it is escaped, so its tags are found by their
/// names.
fn suite_of(report: &Report) -> Result<String, SinkError> {
    let text = report
        .to_string()
        .map_err(|error| SinkError(format!("cannot write the JUnit report: {error}")))?;
    let begin = text.find("<testsuite ").unwrap_or(0);
    let end = text.rfind(END).map_or(text.len(), |at| at + END.len());
    Ok(text[begin..end].to_owned())
}

fn problem(error: FileError) -> SinkError {
    SinkError(format!("the JUnit report {error}"))
}

#[cfg(test)]
mod tests;
