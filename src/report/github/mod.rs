//! What GitHub Actions shows of a run: annotations, which are commands in the log, and the job's
//! summary, a file of Markdown. See `doc/ci.md`.

mod command;
mod summary;

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use self::command::{Annotation, Kind};
use self::summary::Summary;
use super::clip::{Bounds, clip};
use super::out::Out;
use super::{attempt as told, clean};
use crate::event::{Attempt, Event, RunFinished, RunStarted, Sink, SinkError};
use crate::model::{OutcomeKind, escape};

/// Annotations of a kind that GitHub shows of one step.
const SHOWN: usize = 10;
/// What an annotation has of a test's output.
const OUTPUT: Bounds = Bounds {
    head: 0,
    tail: 1 << 10,
};

/// Where a job has its things.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// `GITHUB_WORKSPACE`: the folder that paths in annotations start from.
    pub workspace: Option<PathBuf>,
    /// `GITHUB_STEP_SUMMARY`: the file that the summary is appended to.
    pub summary: Option<PathBuf>,
}

/// Writes annotations and the summary when the run is over.
pub struct GitHub {
    place: Place,
    out: Out,
    stderr: Box<dyn Write + Send>,
    /// From the workspace to the project: `` or `some/folder/`.
    folder: String,
    errors: Annotations,
    warnings: Annotations,
    summary: Summary,
}

#[derive(Default)]
struct Annotations {
    kept: Vec<Annotation>,
    more: u64,
}

impl Annotations {
    fn push(&mut self, make: impl FnOnce() -> Annotation) {
        if self.kept.len() < SHOWN {
            self.kept.push(make());
        } else {
            self.more += 1;
        }
    }
}

impl GitHub {
    /// Annotations go to `out`, and the word that the summary cannot be written to `stderr`.
    pub fn new(place: Place, out: Box<dyn Write + Send>, stderr: Box<dyn Write + Send>) -> Self {
        GitHub {
            place,
            out: Out::named("GitHub's annotations", out),
            stderr,
            folder: String::new(),
            errors: Annotations::default(),
            warnings: Annotations::default(),
            summary: Summary::default(),
        }
    }

    fn run_started(&mut self, started: &RunStarted) {
        let project = std::path::Path::new(started.project.as_os_str());
        let workspace = self.place.workspace.as_ref();
        // The project's path has no symbolic links, the workspace's may.
        let below = workspace.and_then(|workspace| {
            let real = fs::canonicalize(workspace).ok();
            let below = |base: &PathBuf| project.strip_prefix(base).ok();
            below(workspace).or_else(|| below(real.as_ref()?))
        });
        if let Some(below) = below.filter(|below| below.components().next().is_some()) {
            self.folder = format!("{}/", escape(below.as_os_str().as_encoded_bytes()));
        }
    }

    fn attempt_finished(&mut self, attempt: &Attempt) {
        if attempt.superseded {
            return;
        }
        let kind = attempt.outcome.kind();
        let folder = &self.folder;
        if kind.is_good() {
            if let Some(note) = note(attempt) {
                let make = || annotation(Kind::Warning, folder, attempt, &note, String::new());
                self.warnings.push(make);
            }
        } else if kind != OutcomeKind::NotRun {
            self.errors.push(|| {
                let title = told::outcome(attempt);
                annotation(Kind::Error, folder, attempt, &title, details(attempt))
            });
        }
    }

    fn run_finished(&mut self, finished: &RunFinished) -> Result<(), SinkError> {
        let mut lines = String::new();
        for annotations in [&self.errors, &self.warnings] {
            for annotation in &annotations.kept {
                lines.push_str(&annotation.to_string());
            }
        }
        let more = [
            (self.errors.more, "not good"),
            (self.warnings.more, "good with a warning"),
        ];
        for (count, what) in more.into_iter().filter(|(count, _)| *count > 0) {
            let annotation = Annotation {
                kind: Kind::Notice,
                file: None,
                title: "docker-test".into(),
                message: format!("{count} more tests are {what}: see the job's summary"),
            };
            lines.push_str(&annotation.to_string());
        }
        self.out.write(lines.as_bytes())?;
        if let Some(path) = &self.place.summary
            && let Err(error) = self.summary.append(path, finished)
        {
            // Nobody asked for it, so it does not fail the run.
            let path = clean::word(&escape(path.as_os_str().as_encoded_bytes()));
            let line = format!("warning: the job's summary {path} cannot be written: {error}\n");
            let _ = self.stderr.write_all(line.as_bytes());
        }
        Ok(())
    }
}

impl Sink for GitHub {
    fn take(&mut self, events: &[Event]) -> Result<(), SinkError> {
        for event in events {
            self.summary.add(event);
            match event {
                Event::RunStarted(started) => self.run_started(started),
                Event::AttemptFinished(attempt) => self.attempt_finished(attempt),
                Event::RunFinished(finished) => self.run_finished(finished)?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// What is to say of a test that is good: that it is flaky, and its warnings.
fn note(attempt: &Attempt) -> Option<String> {
    let mut parts = Vec::new();
    if attempt.outcome.kind() == OutcomeKind::Pass && attempt.attempt > 1 {
        parts.push(format!("flaky: passed on attempt {}", attempt.attempt));
    }
    parts.extend(told::serious(attempt).map(|violation| clean::word(&violation.message)));
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn annotation(
    kind: Kind,
    folder: &str,
    attempt: &Attempt,
    what: &str,
    message: String,
) -> Annotation {
    let file = clean::word(&escape(attempt.test.path().as_os_str().as_encoded_bytes()));
    let message = match message.as_str() {
        // A message that is blank is none to GitHub.
        "" => what.to_owned(),
        _ => message,
    };
    Annotation {
        kind,
        file: Some(format!("{folder}{file}")),
        title: clean::word(&format!("{what}: {}", attempt.test)),
        message,
    }
}

/// Under the title: how it was run, what it used, and the end of what it wrote.
fn details(attempt: &Attempt) -> String {
    let mut out = format!("{}\n", told::facts(attempt).join(", "));
    for violation in told::serious(attempt) {
        out.push_str(&format!("{}\n", clean::word(&violation.message)));
    }
    for (name, captured) in [("stdout", &attempt.stdout), ("stderr", &attempt.stderr)] {
        let end = clip(captured, OUTPUT);
        if !end.is_empty() {
            out.push_str(&format!("{name}:\n{end}"));
        }
    }
    out
}

#[cfg(test)]
mod tests;
