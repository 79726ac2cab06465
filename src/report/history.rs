//! `history`: one test's figures over its runs.

use super::figure::{share, shown, sparkline};
use super::{attempt, clean, table};
use crate::model::{ByteText, Direction, Figure, Limits, OutcomeKind, Trend, format_time};
use crate::store::StoredAttempt;

/// A test's past.
pub struct History {
    /// Its id.
    pub test: ByteText,
    /// Its attempts, oldest first.
    pub attempts: Vec<PastAttempt>,
    /// What the newest attempt's profile allowed; absent for a run of an older version.
    pub limits: Option<Limits>,
}

/// One of its attempts.
pub struct PastAttempt {
    /// The attempt.
    pub attempt: StoredAttempt,
    /// Its run's machine. Figures of different machines are not compared.
    pub machine: Option<String>,
    /// Its run's engine; the same holds of them.
    pub engine: Option<String>,
    /// Violations that are no mere information.
    pub violations: u64,
}

impl History {
    /// A figure of each attempt, oldest first.
    fn figures(&self, figure: Figure) -> Vec<Option<f64>> {
        let value = |past: &PastAttempt| past.attempt.figure(figure).map(|(value, _)| value);
        self.attempts.iter().map(value).collect()
    }

    /// The newest attempt beside the earlier ones that passed on the same machine and engine, under
    /// the same profile and in the same image.
    pub(super) fn trend(&self, figure: Figure) -> Option<Trend> {
        let (newest, earlier) = self.attempts.split_last()?;
        let (last, _) = newest.attempt.figure(figure)?;
        let mut figures: Vec<f64> = earlier
            .iter()
            .filter(|past| past.can_be_compared_with(newest))
            .filter_map(|past| Some(past.attempt.figure(figure)?.0))
            .collect();
        figures.push(last);
        Trend::of(&figures, least(figure))
    }

    pub(super) fn limit(&self, figure: Figure) -> Option<f64> {
        figure.limit(self.limits.as_ref()?)
    }
}

impl PastAttempt {
    fn can_be_compared_with(&self, newest: &PastAttempt) -> bool {
        let place = |past: &PastAttempt| {
            let attempt = &past.attempt;
            (
                past.machine.clone(),
                past.engine.clone(),
                attempt.profile.clone(),
                attempt.image.clone(),
            )
        };
        self.attempt.outcome == OutcomeKind::Pass.as_str() && place(self) == place(newest)
    }
}

/// A change up to which a figure is noise, in its unit.
fn least(figure: Figure) -> f64 {
    match figure {
        Figure::Memory => (2 << 20) as f64,
        Figure::Cpu | Figure::Wall => 10_000.0,
        Figure::Files => 2.0,
        Figure::Threads | Figure::Violations => 1.0,
    }
}

/// For people: the attempts, and a line for each figure that was measured. `drawn`: sparklines of
/// blocks instead of digits.
pub fn history(history: &History, drawn: bool) -> String {
    let cell = |past: &PastAttempt, figure| {
        let value = past.attempt.figure(figure);
        value.map_or_else(|| "-".into(), |(value, _)| shown(figure, value))
    };
    let row = |past: &PastAttempt| {
        let attempt = &past.attempt;
        let mut row = vec![
            attempt
                .started_unix_us
                .map_or_else(|| "-".into(), format_time),
            attempt.run.clone(),
            attempt::words(&attempt.outcome, attempt.reason.as_deref()),
        ];
        row.extend(COLUMNS.map(|figure| cell(past, figure)));
        row.push(past.violations.to_string());
        row
    };
    let mut headers = vec!["started (UTC)", "run", "outcome"];
    headers.extend(COLUMNS.map(Figure::as_str));
    headers.push("violations");
    let rows: Vec<_> = history.attempts.iter().map(row).collect();
    let mut out = format!("{}\n\n", clean::word(&history.test.to_string()));
    out.push_str(&table(&headers, &rows));
    out.push('\n');
    let rows: Vec<_> = COLUMNS
        .into_iter()
        .filter_map(|figure| trend_row(history, figure, drawn))
        .collect();
    let headers = ["figure", "oldest to newest", "newest", "of limit", "trend"];
    if !rows.is_empty() {
        out.push_str(&table(&headers, &rows));
    }
    out
}

/// The figures in the order in which they are shown.
pub(super) const COLUMNS: [Figure; 5] = [
    Figure::Wall,
    Figure::Cpu,
    Figure::Memory,
    Figure::Threads,
    Figure::Files,
];

/// A figure's line; `None` where no attempt has it.
fn trend_row(history: &History, figure: Figure, drawn: bool) -> Option<Vec<String>> {
    let figures = history.figures(figure);
    figures.iter().flatten().next()?;
    let newest = figures.last().copied().flatten();
    let of_limit = newest
        .zip(history.limit(figure))
        .and_then(|(value, limit)| {
            Some(format!(
                "{} of {}",
                share(value, limit)?,
                shown(figure, limit)
            ))
        });
    let trend = match (newest, history.trend(figure)) {
        (None, _) => "not measured".into(),
        (_, None) => "too few alike before it".into(),
        (_, Some(trend)) => words(figure, &trend),
    };
    Some(vec![
        figure.as_str().into(),
        sparkline(&figures, drawn),
        newest.map_or_else(|| "-".into(), |value| shown(figure, value)),
        of_limit.unwrap_or_else(|| "-".into()),
        trend,
    ])
}

/// `up 66 % from 12 ms (median of 19, MAD 0.3 ms)`.
fn words(figure: Figure, trend: &Trend) -> String {
    let percent = trend
        .percent()
        .map_or_else(String::new, |percent| format!(" {:.0} %", percent.abs()));
    let change = match trend.direction {
        Direction::Up => format!("up{percent} from"),
        Direction::Down => format!("down{percent} from"),
        Direction::Steady => "steady at".into(),
    };
    format!(
        "{change} {} (median of {}, MAD {})",
        shown(figure, trend.median),
        trend.earlier,
        shown(figure, trend.deviation)
    )
}
