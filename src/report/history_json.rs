//! `history` as JSON lines.

use serde::Serialize;

use super::history::{COLUMNS, History, PastAttempt};
use super::json;
use crate::model::{ByteText, Figure, Source};

/// The attempts, oldest first, and after them a trend for each figure that has one.
///
/// # Errors
/// It cannot be written as JSON.
pub fn history_json(history: &History) -> Result<String, serde_json::Error> {
    let mut out = String::new();
    for past in &history.attempts {
        out.push_str(&json::json_line(&Line::Attempt(attempt(past)))?);
    }
    for figure in COLUMNS {
        let Some(trend) = history.trend(figure) else {
            continue;
        };
        out.push_str(&json::json_line(&Line::Trend(TrendLine {
            test: &history.test,
            figure: figure.as_str(),
            unit: figure.unit(),
            newest: trend.newest,
            earlier: trend.earlier,
            median: trend.median,
            deviation: trend.deviation,
            direction: trend.direction.as_str(),
            limit: history.limit(figure),
        }))?);
    }
    Ok(out)
}

fn attempt(past: &PastAttempt) -> AttemptLine<'_> {
    let attempt = &past.attempt;
    let value = |figure| {
        let (value, source) = attempt.figure(figure)?;
        Some(Measured { value, source })
    };
    AttemptLine {
        test: &attempt.test,
        run: &attempt.run,
        attempt: attempt.attempt,
        superseded: attempt.superseded,
        started_unix_us: attempt.started_unix_us,
        machine: past.machine.as_deref(),
        engine: past.engine.as_deref(),
        profile: &attempt.profile,
        image: &attempt.image,
        outcome: &attempt.outcome,
        reason: attempt.reason.as_deref(),
        violations: past.violations,
        wall: value(Figure::Wall),
        cpu: value(Figure::Cpu),
        memory: value(Figure::Memory),
        threads: value(Figure::Threads),
        files: value(Figure::Files),
    }
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Line<'a> {
    Attempt(AttemptLine<'a>),
    Trend(TrendLine<'a>),
}

#[derive(Serialize)]
struct AttemptLine<'a> {
    test: &'a ByteText,
    run: &'a str,
    attempt: u32,
    superseded: bool,
    started_unix_us: Option<u64>,
    machine: Option<&'a str>,
    engine: Option<&'a str>,
    profile: &'a str,
    image: &'a str,
    outcome: &'a str,
    reason: Option<&'a str>,
    violations: u64,
    wall: Option<Measured>,
    cpu: Option<Measured>,
    memory: Option<Measured>,
    threads: Option<Measured>,
    files: Option<Measured>,
}

#[derive(Serialize)]
struct Measured {
    value: f64,
    source: Option<Source>,
}

#[derive(Serialize)]
struct TrendLine<'a> {
    test: &'a ByteText,
    figure: &'a str,
    unit: &'a str,
    newest: f64,
    earlier: usize,
    median: f64,
    deviation: f64,
    direction: &'a str,
    limit: Option<f64>,
}
