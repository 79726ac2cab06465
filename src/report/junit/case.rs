//! From an attempt to a testcase. Pure.

use std::path::Path;
use std::time::Duration;

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestRerun};

use crate::event::{Attempt, Captured};
use crate::model::{OutcomeKind, TestId, escape, format_duration};
use crate::report::clip::{Bounds, break_tags, clip, last_line};
use crate::report::{attempt as told, clean};

/// Characters of a test's own words in a message.
const WORDS: usize = 200;
/// What a failure's text has of the output: GitLab shows that text alone.
const END_OF_OUTPUT: Bounds = Bounds {
    head: 0,
    tail: 2 << 10,
};

/// What an outcome is in JUnit's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    Success,
    /// The test said that something is wrong.
    Failure,
    /// It did not come to saying anything.
    Error,
    Skipped,
}

impl Shown {
    pub fn of(kind: OutcomeKind) -> Self {
        match kind {
            OutcomeKind::Pass => Shown::Success,
            OutcomeKind::Fail => Shown::Failure,
            OutcomeKind::Timeout | OutcomeKind::Oom | OutcomeKind::Crash | OutcomeKind::Lost => {
                Shown::Error
            }
            OutcomeKind::Skip | OutcomeKind::NotRun => Shown::Skipped,
        }
    }

    fn problem(self) -> Option<NonSuccessKind> {
        match self {
            Shown::Failure => Some(NonSuccessKind::Failure),
            Shown::Error => Some(NonSuccessKind::Error),
            Shown::Success | Shown::Skipped => None,
        }
    }
}

/// How much of a test's output is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// For a test that is not good.
    Much,
    /// For an attempt that was followed by another.
    Some,
    /// For a test that is good.
    Little,
    /// And no properties, nor more of what happened than the outcome.
    Nothing,
}

impl Amount {
    fn bounds(self) -> Option<Bounds> {
        let (head, tail) = match self {
            Amount::Much => (16 << 10, 48 << 10),
            Amount::Some => (4 << 10, 12 << 10),
            Amount::Little => (1 << 10, 3 << 10),
            Amount::Nothing => return None,
        };
        Some(Bounds { head, tail })
    }

    fn of(self, captured: &Captured) -> Option<String> {
        let text = clip(captured, self.bounds()?);
        (!text.is_empty()).then_some(text)
    }
}

/// A test's testcase: its last attempt, after `earlier` ones. `class` is for a test in no folder.
pub fn case(attempt: &Attempt, earlier: Vec<TestRerun>, amount: Amount, class: &str) -> TestCase {
    let mut case = TestCase::new(attempt.test.to_string(), status(attempt, earlier, amount));
    case.set_classname(class_name(&attempt.test).unwrap_or_else(|| class.to_owned()));
    let wall = attempt.resources.as_ref().map_or(0, |used| used.wall_us);
    case.set_time(Duration::from_micros(wall));
    if amount != Amount::Nothing {
        let mut out = properties(attempt);
        if let Some(text) = amount.of(&attempt.stdout) {
            out.push('\n');
            out.push_str(&text);
        }
        case.set_system_out(out);
    }
    if let Some(text) = amount.of(&attempt.stderr) {
        case.set_system_err(text);
    }
    case
}

/// An attempt that was followed by another; `None` where nothing was wrong with it.
pub fn rerun(attempt: &Attempt, amount: Amount) -> Option<TestRerun> {
    let kind = Shown::of(attempt.outcome.kind()).problem()?;
    let mut rerun = TestRerun::new(kind);
    rerun
        .set_type(type_name(attempt))
        .set_message(message(attempt, amount))
        .set_stack_trace(text(attempt, amount));
    if let Some(text) = amount.of(&attempt.stdout) {
        rerun.set_system_out(text);
    }
    if let Some(text) = amount.of(&attempt.stderr) {
        rerun.set_system_err(text);
    }
    Some(rerun)
}

/// About how much memory one takes, in bytes.
pub fn size(rerun: &TestRerun) -> usize {
    let length = |text: &Option<quick_junit::XmlString>| text.as_ref().map_or(0, |text| text.len());
    let texts = [&rerun.stack_trace, &rerun.system_out, &rerun.system_err];
    texts.into_iter().map(length).sum::<usize>() + 512
}

fn status(attempt: &Attempt, mut earlier: Vec<TestRerun>, amount: Amount) -> TestCaseStatus {
    let shown = Shown::of(attempt.outcome.kind());
    let Some(kind) = shown.problem() else {
        // Surefire's order: failures before errors.
        earlier.sort_by_key(|one| one.kind == NonSuccessKind::Error);
        if shown == Shown::Success {
            return TestCaseStatus::Success {
                flaky_runs: earlier,
            };
        }
        // No schema has a place for them there.
        let before: Vec<&str> = earlier.iter().filter_map(|one| one.ty.as_deref()).collect();
        let mut status = TestCaseStatus::skipped();
        status.set_message(match before.as_slice() {
            [] => message(attempt, amount),
            before => {
                let message = message(attempt, amount);
                format!("{message} (before it: {})", before.join(", "))
            }
        });
        return status;
    };
    if kind == NonSuccessKind::Error {
        // In Surefire's order nothing but errors follows one; `type` says what it was.
        earlier.iter_mut().for_each(|one| one.kind = kind);
    } else {
        earlier.sort_by_key(|one| one.kind == NonSuccessKind::Error);
    }
    let mut status = TestCaseStatus::non_success(kind);
    status
        .set_type(type_name(attempt))
        .set_message(message(attempt, amount))
        .set_description(text(attempt, amount))
        .add_reruns(earlier);
    status
}

/// `exit(1)` for a failure; `timeout wall`, `oom`, `crash SIGSEGV`, `lost worker` for an error.
fn type_name(attempt: &Attempt) -> String {
    match &attempt.reason {
        Some(reason) if attempt.outcome.kind() == OutcomeKind::Fail => clean::word(reason),
        _ => told::outcome(attempt),
    }
}

/// One line: the outcome, and what the test said last.
fn message(attempt: &Attempt, amount: Amount) -> String {
    let outcome = told::outcome(attempt);
    if amount == Amount::Nothing {
        return outcome;
    }
    let said = told::timeout_state(attempt).or_else(|| {
        let streams = [&attempt.stderr, &attempt.stdout];
        streams.into_iter().find_map(|one| last_line(one, WORDS))
    });
    break_tags(&match said {
        Some(said) => format!("{outcome}: {said}"),
        None => outcome,
    })
}

/// Everything that a person wants to know first, as lines.
fn text(attempt: &Attempt, amount: Amount) -> String {
    let wall = attempt.resources.as_ref().map_or_else(String::new, |used| {
        let wall = Duration::from_micros(used.wall_us);
        format!(" after {}", format_duration(wall))
    });
    let mut out = format!("{}{wall}\n", told::outcome(attempt));
    if amount == Amount::Nothing {
        return out;
    }
    out.push_str(&format!("{}\n", told::facts(attempt).join(", ")));
    if attempt.escalated {
        out.push_str("SIGTERM was not enough: killed\n");
    }
    for violation in told::serious(attempt) {
        let (word, message) = (violation.severity.as_str(), &violation.message);
        out.push_str(&format!("{word}: {}\n", clean::word(message)));
    }
    for (name, captured) in [("stdout", &attempt.stdout), ("stderr", &attempt.stderr)] {
        let end = clip(captured, END_OF_OUTPUT);
        if !end.is_empty() {
            out.push_str(&format!("{name}:\n{end}"));
        }
    }
    break_tags(&out)
}

/// Lines `[[PROPERTY|name=value]]`: no schema has properties in a testcase.
fn properties(attempt: &Attempt) -> String {
    let mut out = String::new();
    let mut push = |name: &str, value: &dyn ToString| {
        let value = clean::word(&value.to_string()).replace("]]", "] ]");
        out.push_str(&format!("[[PROPERTY|{name}={}]]\n", break_tags(&value)));
    };
    push("profile", &attempt.profile);
    push("image", &attempt.image);
    push("attempt", &attempt.attempt);
    if let Some(worker) = attempt.worker {
        push("worker", &worker);
    }
    if let Some(used) = &attempt.resources {
        let figures = [
            ("wall_us", Some(used.wall_us)),
            ("cpu_us", used.cpu_us),
            ("memory_peak_bytes", used.memory_peak_bytes),
            ("memory_peak_bound_bytes", used.memory_peak_bound_bytes),
            ("pids_peak", used.pids_peak),
        ];
        for (name, figure) in figures {
            if let Some(figure) = figure {
                push(name, &figure);
            }
        }
        if let Some(source) = used.memory_peak_source {
            push("memory_peak_source", &source.as_str());
        }
    }
    for violation in &attempt.violations {
        let (kind, severity) = (violation.kind.as_str(), violation.severity.as_str());
        push(
            "violation",
            &format!("{kind} ({severity}): {}", violation.message),
        );
    }
    out
}

/// The folder, or for `path::name` the file, as Jenkins has packages: `test.unit`, `test.unit.a_py`.
/// `None` for a test in no folder.
fn class_name(test: &TestId) -> Option<String> {
    let path = test.path();
    let has_name = test.text().as_bytes() != path.as_os_str().as_encoded_bytes();
    let place = if has_name {
        Some(path)
    } else {
        path.parent().filter(|folder| *folder != Path::new(""))
    };
    let parts: Vec<String> = place?
        .components()
        .map(|part| escape(part.as_os_str().as_encoded_bytes()).replace('.', "_"))
        .collect();
    (!parts.is_empty()).then(|| parts.join("."))
}
