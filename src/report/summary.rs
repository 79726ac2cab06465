//! The end of the report. Its last lines are ours, whatever the tests wrote.

use std::time::Duration;

use crate::event::RunFinished;
use crate::model::{OutcomeKind, counted, format_bytes, format_duration, format_us, signal_name};

use super::totals::list;
use super::{Paint, Totals, attempt, clean};

/// With no more tests than this, the slowest are all of them, and each has its line already.
const FEW: u64 = 5;

/// The summary. `record` is where the record is kept and `run` its name there.
pub fn summary(
    paint: Paint,
    totals: &Totals,
    finished: &RunFinished,
    record: Option<&str>,
    run: &str,
) -> String {
    let mut out = String::new();
    section(&mut out, paint, "slowest", &slowest(totals));
    section(
        &mut out,
        paint,
        "hungriest (peak memory)",
        &hungriest(totals),
    );
    let flaky = list(&totals.flaky, |(test, number)| {
        format!("{test} (attempt {number})")
    });
    section(&mut out, paint, "flaky (passed on a later attempt)", &flaky);
    section(&mut out, paint, "warnings", &warnings(totals));
    let not_good = list(&totals.not_good, |(outcome, test, more)| match more {
        Some(more) => format!("{outcome:<14} {test} ({more})"),
        None => format!("{outcome:<14} {test}"),
    });
    section(&mut out, paint, "not good", &not_good);

    out.push('\n');
    if let Some(signal) = finished.interrupted {
        let word = paint.bad("interrupted");
        out.push_str(&format!("{word} by {}\n", signal_name(signal)));
    }
    out.push_str(&counts(paint, totals, finished));
    if let Some(record) = record {
        out.push_str(&format!("record: {record}, run {}\n", clean::word(run)));
    }
    out
}

/// A heading and its lines; nothing without lines.
pub fn section(out: &mut String, paint: Paint, heading: &str, lines: &str) {
    if !lines.is_empty() {
        let heading = paint.strong(&format!("{heading}:"));
        out.push_str(&format!("\n{heading}\n{lines}"));
    }
}

/// `memory-near in 4000 tests:`, and the first of them with their lines.
fn warnings(totals: &Totals) -> String {
    let mut out = String::new();
    for (kind, warned) in &totals.warned {
        let tests = counted(warned.count(), "test");
        out.push_str(&format!("  {} in {tests}:\n", kind.as_str()));
        for line in list(warned, |(test, message)| format!("{test}: {message}")).lines() {
            out.push_str(&format!("  {line}\n"));
        }
    }
    out
}

fn slowest(totals: &Totals) -> String {
    if totals.finished() <= FEW {
        return String::new();
    }
    let show = |(wall, (), test): &(Duration, (), _)| {
        let test = clean::word(&format!("{test}"));
        format!("  {:>9} {test}\n", format_duration(*wall))
    };
    totals.slowest.kept.iter().map(show).collect()
}

fn hungriest(totals: &Totals) -> String {
    if totals.finished() <= FEW {
        return String::new();
    }
    let top = totals.hungriest.kept.iter();
    top.map(|(peak, source, test)| {
        let source = source.map_or_else(String::new, |source| format!(" ({})", source.as_str()));
        let test = clean::word(&test.to_string());
        format!("  {:>9}{source} {test}\n", format_bytes(*peak))
    })
    .collect()
}

/// `12 tests in 1.25 s: 9 pass (1 flaky), 3 fail`: only what occurs.
pub fn counts(paint: Paint, totals: &Totals, finished: &RunFinished) -> String {
    let mut parts = Vec::new();
    for kind in OutcomeKind::ALL {
        let count = totals.count(kind);
        if count == 0 {
            continue;
        }
        let text = format!("{count} {}", kind.as_str());
        let mut part = attempt::painted(paint, kind, &text);
        let flaky = totals.flaky.count();
        if kind == OutcomeKind::Pass && flaky > 0 {
            part.push_str(&format!(" ({flaky} flaky)"));
        }
        parts.push(part);
    }
    if totals.missing() > 0 {
        let text = format!("{} without a result", totals.missing());
        parts.push(paint.bad(&text));
    }
    let all = totals.finished() + totals.missing();
    let tests = if all == 1 { "test" } else { "tests" };
    let wall = format_us(finished.wall_us);
    let colon = if parts.is_empty() { "" } else { ": " };
    format!("{all} {tests} in {wall}{colon}{}\n", parts.join(", "))
}
