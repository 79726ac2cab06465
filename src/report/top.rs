//! `top`: the tests with the highest figures.

use serde::Serialize;

use super::figure::{share, shown};
use super::{attempt, json, table};
use crate::model::{ByteText, Figure, Source, format_time};
use crate::store::TopTest;

/// A table for people, or the line that says that there is nothing.
pub fn top(figure: Figure, days: u32, tests: &[TopTest]) -> String {
    if tests.is_empty() {
        return format!(
            "no {} recorded in the last {}\n",
            match figure {
                Figure::Violations => "violations were",
                _ => "such figure was",
            },
            if days == 1 {
                "day".to_owned()
            } else {
                format!("{days} days")
            }
        );
    }
    let row = |test: &TopTest| {
        let source = test.attempt.figure(figure).and_then(|(_, source)| source);
        let share = limit(figure, test).and_then(|limit| share(test.highest, limit));
        vec![
            shown(figure, test.highest),
            share.unwrap_or_else(|| "-".into()),
            source.map_or("-", |source| source.as_str()).into(),
            test.attempt
                .started_unix_us
                .map_or_else(|| "-".into(), format_time),
            test.attempt.profile.clone(),
            attempt::words(&test.attempt.outcome, test.attempt.reason.as_deref()),
            test.attempt.test.to_string(),
        ]
    };
    let rows: Vec<_> = tests.iter().map(row).collect();
    let headers = [
        figure.as_str(),
        "of limit",
        "source",
        "when (UTC)",
        "profile",
        "outcome",
        "test",
    ];
    table(&headers, &rows)
}

/// One JSON object a line.
///
/// # Errors
/// It cannot be written as JSON.
pub fn top_json(figure: Figure, tests: &[TopTest]) -> Result<String, serde_json::Error> {
    let mut out = String::new();
    for test in tests {
        let attempt = &test.attempt;
        out.push_str(&json::json_line(&Line {
            test: &attempt.test,
            figure: figure.as_str(),
            unit: figure.unit(),
            highest: test.highest,
            source: attempt.figure(figure).and_then(|(_, source)| source),
            limit: limit(figure, test),
            run: &attempt.run,
            attempt: attempt.attempt,
            started_unix_us: attempt.started_unix_us,
            profile: &attempt.profile,
            outcome: &attempt.outcome,
            reason: attempt.reason.as_deref(),
        })?);
    }
    Ok(out)
}

/// A test, as it is written.
#[derive(Serialize)]
struct Line<'a> {
    test: &'a ByteText,
    figure: &'a str,
    unit: &'a str,
    highest: f64,
    source: Option<Source>,
    limit: Option<f64>,
    run: &'a str,
    attempt: u32,
    started_unix_us: Option<u64>,
    profile: &'a str,
    outcome: &'a str,
    reason: Option<&'a str>,
}

fn limit(figure: Figure, test: &TopTest) -> Option<f64> {
    figure.limit(test.limits.as_ref()?)
}
