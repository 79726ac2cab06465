//! `compare`: what changed between two runs.

use serde::Serialize;

use super::show_run::bounded;
use super::summary::section;
use super::when::when;
use super::{Paint, clean};
use crate::model::{ByteText, format_bytes, format_us};
use crate::plan::{Change, Direction, Figure, FigureChange};
use crate::store::StoredRun;

/// What changed, as it is shown.
#[derive(Serialize)]
pub struct Comparison<'r> {
    #[serde(skip)]
    runs: [&'r StoredRun; 2],
    earlier: &'r str,
    later: &'r str,
    /// Why figures are not compared; absent where they are.
    figures_not_compared: Option<String>,
    /// Tests in either run.
    tests: u64,
    /// Tests about which nothing is told.
    unchanged: u64,
    regressions: u64,
    changes: Vec<Told>,
}

#[derive(Serialize)]
struct Told {
    test: ByteText,
    direction: Direction,
    #[serde(flatten)]
    change: Change,
}

impl<'r> Comparison<'r> {
    /// Of two runs. `incomparable` says why their figures are not compared, if they are not.
    pub fn new(earlier: &'r StoredRun, later: &'r StoredRun, incomparable: Option<String>) -> Self {
        Comparison {
            runs: [earlier, later],
            earlier: &earlier.run,
            later: &later.run,
            figures_not_compared: incomparable,
            tests: 0,
            unchanged: 0,
            regressions: 0,
            changes: Vec::new(),
        }
    }

    /// Takes a test with what changed about it.
    pub fn add(&mut self, test: &ByteText, changes: Vec<(Direction, Change)>) {
        self.tests += 1;
        self.unchanged += u64::from(changes.is_empty());
        let worse = |(direction, change): &(Direction, Change)| change.is_regression(*direction);
        self.regressions += u64::from(changes.iter().any(worse));
        self.changes
            .extend(changes.into_iter().map(|(direction, change)| Told {
                test: test.clone(),
                direction,
                change,
            }));
    }

    /// Tests that are worse now, as far as that can be known.
    pub fn regressions(&self) -> u64 {
        self.regressions
    }

    /// For people.
    pub fn text(&self, paint: Paint) -> String {
        let [earlier, later] = self.runs;
        let name = |run: &StoredRun| format!("{} ({})", run.run, when(run.started_unix_us));
        let mut out = clean::word(&format!("{} -> {}", name(earlier), name(later)));
        out.push('\n');
        if let Some(why) = &self.figures_not_compared {
            out.push_str(&(clean::word(&format!("figures are not compared: {why}")) + "\n"));
        }
        let is_lone = |told: &Told| matches!(told.change, Change::New { .. } | Change::Gone { .. });
        let is = |direction| move |told: &&Told| told.direction == direction && !is_lone(told);
        for (heading, direction) in [
            ("worse", Direction::Worse),
            ("better", Direction::Better),
            ("different", Direction::Other),
        ] {
            let told = self.changes.iter().filter(is(direction));
            section(&mut out, paint, heading, &bounded(told.map(line)));
        }
        for (heading, is_new) in [("new", true), ("gone", false)] {
            let told = self.changes.iter().filter(|told| {
                is_lone(told) && matches!(told.change, Change::New { .. }) == is_new
            });
            section(&mut out, paint, heading, &bounded(told.map(line)));
        }
        let tests = if self.tests == 1 { "test" } else { "tests" };
        out.push_str(&format!(
            "\n{} {tests}: {} without a change, {} worse\n",
            self.tests, self.unchanged, self.regressions
        ));
        out
    }
}

fn line(told: &Told) -> String {
    let what = match &told.change {
        Change::Outcome { earlier, later } | Change::Place { earlier, later } => {
            format!("{earlier} -> {later}")
        }
        Change::Figure(change) => figure(change),
        Change::New { outcome } | Change::Gone { outcome } => {
            return format!("{outcome:<14} {}", told.test);
        }
    };
    format!("{}: {what}", told.test)
}

/// `wall 1.25 s -> 2.60 s (+108 %; usually 1.20 s +- 50 ms in 12 passes)`.
fn figure(change: &FigureChange) -> String {
    let show = |value: f64| match change.figure {
        Figure::Wall | Figure::Cpu => format_us(value as u64),
        Figure::Memory => format_bytes(value as u64),
    };
    let name = match change.figure {
        Figure::Wall => "wall time",
        Figure::Cpu => "CPU time",
        Figure::Memory => "peak memory",
    };
    let share = match change.earlier > 0.0 {
        true => format!("{:+.0} %", (change.later / change.earlier - 1.0) * 100.0),
        false => "from nothing".to_owned(),
    };
    let usual = match (change.usual.median, change.usual.mad) {
        (Some(median), Some(mad)) => {
            let passes = change.usual.passes;
            format!(
                "usually {} +- {} in {passes} passes",
                show(median),
                show(mad)
            )
        }
        _ => format!("few runs: {}", change.usual.passes),
    };
    let source = change
        .source
        .map_or_else(String::new, |source| format!(", {}", source.as_str()));
    let (earlier, later) = (show(change.earlier), show(change.later));
    format!("{name} {earlier} -> {later} ({share}; {usual}{source})")
}
