//! A finished attempt, as lines.

use crate::event::{Attempt, Captured};
use crate::model::{OutcomeKind, Violation, ViolationSeverity, format_bytes, format_us};

use super::{Paint, clean, excerpt};

/// How the line about a leak begins. Several of them share it.
const LEFT: &str = "left behind: ";

/// Where more of an output is, and how to keep CI commands in it from being obeyed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Around<'a> {
    /// The file that has the record.
    pub record: Option<&'a str>,
    /// The token that ends GitHub's `stop-commands`.
    pub github_token: Option<&'a str>,
}

/// `fail exit(1)`: the outcome and its reason.
pub fn outcome(attempt: &Attempt) -> String {
    words(attempt.outcome.kind().as_str(), attempt.reason.as_deref())
}

/// The same of words.
pub fn words(outcome: &str, reason: Option<&str>) -> String {
    match reason {
        Some(reason) => format!("{outcome} {}", clean::word(reason)),
        None => outcome.to_owned(),
    }
}

/// `text`, painted as what `kind` is.
pub fn painted(paint: Paint, kind: OutcomeKind, text: &str) -> String {
    match kind {
        OutcomeKind::Pass => paint.good(text),
        OutcomeKind::Skip | OutcomeKind::NotRun => paint.warning(text),
        _ => paint.bad(text),
    }
}

/// The violations that somebody should look at.
pub fn serious(attempt: &Attempt) -> impl Iterator<Item = &Violation> {
    let all = attempt.violations.iter();
    all.filter(|violation| violation.severity > ViolationSeverity::Info)
}

/// `idle: 20 ms of CPU in 10.00 s`: what it did when its time ran out.
pub fn timeout_state(attempt: &Attempt) -> Option<String> {
    Some(attempt.timeout_state?.told(attempt.resources.as_ref()?))
}

/// The attempt's line: outcome, duration, test.
pub fn line(paint: Paint, attempt: &Attempt) -> String {
    let word = format!("{:<14}", outcome(attempt));
    let word = painted(paint, attempt.outcome.kind(), &word);
    let wall = attempt
        .resources
        .as_ref()
        .map_or_else(|| "-".to_owned(), |used| format_us(used.wall_us));
    let number = match (attempt.attempt, attempt.superseded) {
        (number, true) => format!(" (attempt {number}, runs again)"),
        (1, false) => String::new(),
        (number, false) => format!(" (attempt {number})"),
    };
    let test = clean::word(&attempt.test.to_string());
    format!("{word} [{wall:>8}] {test}{number}\n")
}

/// What belongs under the line of an attempt that is not good: how it was run, what it used and
/// what it wrote.
pub fn details(attempt: &Attempt, around: Around<'_>) -> String {
    let mut out = format!("  = {}\n", facts(attempt).join(", "));
    if attempt.escalated {
        out.push_str("  = SIGTERM was not enough: killed\n");
    }
    for violation in serious(attempt) {
        let (word, message) = (violation.severity.as_str(), &violation.message);
        out.push_str(&format!("  = {word}: {}\n", clean::word(message)));
    }
    let mut output = String::new();
    for (name, captured) in [("stdout", &attempt.stdout), ("stderr", &attempt.stderr)] {
        push_stream(&mut output, name, captured, around.record);
    }
    match (output.is_empty(), around.github_token) {
        (true, _) => {}
        (false, None) => out.push_str(&output),
        (false, Some(token)) => {
            out.push_str(&format!("::stop-commands::{token}\n{output}::{token}::\n"));
        }
    }
    out
}

/// What belongs under the line of an attempt that is good all the same, in one line: `  = warning:
/// memory reached 118 MiB of 128 MiB (92 %); left behind: process sleep, 1 SysV shm`. Nothing where
/// there is nothing.
pub fn warnings<'a>(violations: impl Iterator<Item = &'a Violation>) -> String {
    let mut line = String::new();
    let mut after_left = false;
    for violation in violations {
        let message = clean::word(&violation.message);
        let left = message.strip_prefix(LEFT);
        line.push_str(match left {
            _ if line.is_empty() => "  = warning: ",
            Some(_) if after_left => ", ",
            _ => "; ",
        });
        line.push_str(left.filter(|_| after_left).unwrap_or(&message));
        after_left = left.is_some();
    }
    if !line.is_empty() {
        line.push('\n');
    }
    line
}

fn push_stream(out: &mut String, name: &str, captured: &Captured, record: Option<&str>) {
    if captured.total_bytes > 0 || !captured.head.as_bytes().is_empty() {
        out.push_str(&format!(
            "  {name}, {}:\n",
            format_bytes(captured.total_bytes)
        ));
        excerpt::push(out, captured, record);
    }
}

/// `profile fast`, `worker 2`, `CPU time 1.1 ms`: how it was run and what it used.
pub fn facts(attempt: &Attempt) -> Vec<String> {
    let mut facts = vec![
        format!("profile {}", clean::word(&attempt.profile)),
        format!("image {}", clean::word(&attempt.image)),
    ];
    if let Some(worker) = attempt.worker {
        facts.push(format!("worker {worker}"));
    }
    let Some(used) = &attempt.resources else {
        return facts;
    };
    if let Some(cpu) = used.cpu_us {
        facts.push(format!("CPU time {}", format_us(cpu)));
    }
    match (used.memory_peak_bytes, used.memory_peak_bound_bytes) {
        (Some(peak), _) => facts.push(match used.memory_peak_source {
            Some(source) => format!("peak memory {} ({})", format_bytes(peak), source.as_str()),
            None => format!("peak memory {}", format_bytes(peak)),
        }),
        (None, Some(bound)) => {
            facts.push(format!("peak memory at most {}", format_bytes(bound)));
        }
        (None, None) => {}
    }
    facts
}
