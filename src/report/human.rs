//! `--message-format human`: what a person sees of a run.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use crate::event::{
    Attempt, Event, LimitState, RunFinished, RunStarted, Severity, Sink, SinkError, WorkerStarted,
};
use crate::model::{Level, Network, OutcomeKind, Violation, counted, escape};

use super::attempt::{self, Around};
use super::out::Out;
use super::progress::Progress;
use super::summary::summary;
use super::{ColorChoice, Environment, Paint, Totals, clean};

/// Bytes of report that are written at once, at most; a batch of events can be large.
const CHUNK: usize = 64 << 10;
/// After so many tests with a warning of one kind, those that passed have no line for it any more:
/// the summary has their number.
const REPEATED: u64 = 20;

/// Which of our streams are terminals.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terminals {
    /// stdout is one.
    pub stdout: bool,
    /// stderr is one.
    pub stderr: bool,
}

/// How the report looks.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The colours of stdout.
    pub stdout: Paint,
    /// The colours of stderr.
    pub stderr: Paint,
    /// Whether a progress line is drawn on stderr.
    pub progress: bool,
    /// Whether every finished test has a line, or only those that are not good.
    pub every_test: bool,
    /// Where the record is kept, as it is shown; absent where nothing is recorded.
    pub record: Option<String>,
    /// Under GitHub Actions, a word that no test can guess: its runner obeys no command until it.
    pub github_token: Option<String>,
}

impl Options {
    /// The usual look. A log, a file or a pipe gets a line for every test; a terminal with a
    /// progress line gets only what is not good above it, unless `verbose`.
    pub fn new(
        choice: ColorChoice,
        environment: &Environment,
        terminals: Terminals,
        verbose: bool,
        record: Option<&Path>,
    ) -> Self {
        let progress = environment.progress(terminals.stderr);
        Options {
            stdout: Paint::new(environment.colors(choice, terminals.stdout)),
            stderr: Paint::new(environment.colors(choice, terminals.stderr)),
            progress,
            every_test: verbose || !progress || !terminals.stdout,
            record: record.map(|path| clean::word(&escape(path.as_os_str().as_encoded_bytes()))),
            github_token: environment.github_actions.then(random_token).flatten(),
        }
    }
}

/// 128 random bits. Without a source of them there is no token: the lines' own marks remain.
fn random_token() -> Option<String> {
    use std::io::Read as _;
    let mut bytes = [0; 16];
    let mut source = std::fs::File::open("/dev/urandom").ok()?;
    source.read_exact(&mut bytes).ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Writes the report for people: the report to stdout; notices and the progress line to stderr.
pub struct Human {
    options: Options,
    out: Out,
    stderr: Box<dyn Write + Send>,
    pending: String,
    progress: Progress,
    totals: Totals,
    run: String,
    /// What the run promises, and whether less is allowed.
    promise: (Level, bool),
    /// What was told of limits that are not as they were asked for.
    told: BTreeSet<String>,
}

impl Human {
    /// Writes to these two. The progress line, where `options` want one, goes to the process's own
    /// stderr.
    pub fn new(
        options: Options,
        stdout: Box<dyn Write + Send>,
        stderr: Box<dyn Write + Send>,
    ) -> Self {
        Human {
            options,
            out: Out::new(stdout),
            stderr,
            pending: String::new(),
            progress: Progress::hidden(),
            totals: Totals::default(),
            run: String::new(),
            promise: (Level::Standard, false),
            told: BTreeSet::new(),
        }
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let text = std::mem::take(&mut self.pending);
        self.progress.aside(|| self.out.write(text.as_bytes()))
    }

    /// Writes a line to stderr, after what was said before it. A stderr that cannot be written
    /// does not stop a run: no result is lost with it.
    fn notice(&mut self, severity: Severity, text: &str) -> Result<(), SinkError> {
        self.flush()?;
        let word = match severity {
            Severity::Info => self.options.stderr.strong("note:"),
            Severity::Warning => self.options.stderr.warning("warning:"),
        };
        let line = format!("{word} {}\n", clean::word(text));
        let stderr = &mut self.stderr;
        let _ = self.progress.aside(|| {
            stderr
                .write_all(line.as_bytes())
                .and_then(|()| stderr.flush())
        });
        Ok(())
    }

    fn event(&mut self, event: &Event) -> Result<(), SinkError> {
        self.totals.add(event);
        match event {
            Event::RunStarted(started) => self.run_started(started)?,
            Event::WorkerStarted(worker) => self.worker_started(worker)?,
            // What went wrong with it is a notice of its own, where it matters.
            Event::WorkerEnded(_) => {}
            Event::Progress(progress) => self.progress.running(progress),
            Event::AttemptFinished(attempt) => self.attempt_finished(attempt),
            Event::Notice(notice) => self.notice(notice.severity, &notice.message)?,
            Event::RunFinished(finished) => self.run_finished(finished),
        }
        if self.pending.len() >= CHUNK {
            self.flush()?;
        }
        Ok(())
    }

    fn run_started(&mut self, started: &RunStarted) -> Result<(), SinkError> {
        self.run.clone_from(&started.run);
        self.promise = (started.level, started.allow_weaker);
        self.pending.push_str(&head(started));
        self.flush()?;
        if self.options.progress {
            self.progress = Progress::on_stderr(started.tests.len() as u64);
        }
        Ok(())
    }

    /// Says once for each profile what does not hold as asked for, not for each worker.
    fn worker_started(&mut self, worker: &WorkerStarted) -> Result<(), SinkError> {
        let profile = &worker.profile;
        for check in &worker.limits {
            if check.state == LimitState::Clamped {
                let (limit, found) = (check.limit, &check.found);
                self.once(
                    Severity::Info,
                    format!("profile {profile}: {limit} is clamped to what the machine has (found: {found})"),
                )?;
            }
        }
        let missing: Vec<&str> = worker
            .limits
            .iter()
            .filter(|check| check.state == LimitState::Unenforced)
            .map(|check| check.limit)
            .collect();
        let which = match self.promise {
            _ if missing.is_empty() => return Ok(()),
            (Level::Standard, _) => "limits that do not hold here".to_owned(),
            (level, true) => format!("level {} is weaker here, without", level.as_str()),
            // It ends the run, or fails the worker's tests, and that is said.
            (_, false) => return Ok(()),
        };
        let text = format!("{which}: {} (profile {profile})", missing.join(", "));
        self.once(Severity::Warning, text)
    }

    fn once(&mut self, severity: Severity, text: String) -> Result<(), SinkError> {
        if self.told.contains(&text) {
            return Ok(());
        }
        self.notice(severity, &text)?;
        self.told.insert(text);
        Ok(())
    }

    fn attempt_finished(&mut self, attempt: &Attempt) {
        self.progress
            .count(self.totals.finished(), self.totals.bad());
        let kind = attempt.outcome.kind();
        // After an interrupt there may be thousands of these: the summary has their number.
        if kind == OutcomeKind::NotRun || (kind.is_good() && !self.options.every_test) {
            return;
        }
        self.pending
            .push_str(&attempt::line(self.options.stdout, attempt));
        if !kind.is_good() {
            let around = Around {
                record: self.options.record.as_deref(),
                github_token: self.options.github_token.as_deref(),
            };
            self.pending.push_str(&attempt::details(attempt, around));
        } else {
            let rare = |violation: &&Violation| self.totals.warnings(violation.kind) <= REPEATED;
            let warnings = attempt::serious(attempt).filter(rare);
            self.pending.push_str(&attempt::warnings(warnings));
        }
    }

    fn run_finished(&mut self, finished: &RunFinished) {
        self.progress.end();
        self.pending.push_str(&summary(
            self.options.stdout,
            &self.totals,
            finished,
            self.options.record.as_deref(),
            &self.run,
        ));
    }
}

impl Sink for Human {
    fn take(&mut self, events: &[Event]) -> Result<(), SinkError> {
        for event in events {
            self.event(event)?;
        }
        self.flush()
    }
}

/// `Running 12 tests in 2 workers with docker (isolation)`, and what is not as by default:
/// `, level strict, network bridge`.
fn head(started: &RunStarted) -> String {
    let count = |number: usize, word: &str| counted(number as u64, word);
    let images = match started.images.as_slice() {
        [] => String::new(),
        images => format!(" ({})", clean::word(&images.join(", "))),
    };
    let level = match started.level {
        Level::Standard => String::new(),
        level => format!(", level {}", level.as_str()),
    };
    let network = match started.network {
        Network::None => String::new(),
        network => format!(", network {}", network.as_str()),
    };
    let workers = match started.workers {
        // As many as dial in.
        0 => "workers that dial in".to_owned(),
        workers => format!(
            "{} with {}",
            count(workers, "worker"),
            clean::word(&started.engine)
        ),
    };
    format!(
        "Running {} in {workers}{images}{level}{network}\n",
        count(started.tests.len(), "test"),
    )
}

#[cfg(test)]
#[path = "human_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "hostile_tests.rs"]
mod hostile_tests;
