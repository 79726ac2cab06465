//! What changed between two runs, beyond noise. Pure.
//!
//! A figure of the later run is held against the passes of the same test before that run, under the
//! same profile and in the same image: it has changed where it lies further from their median than
//! their noise and further than that from the earlier run's figure too.

use crate::model::{OutcomeKind, Resources, Source, noise};

/// Where too few passes are known, a figure has changed by this factor or not at all.
const FACTOR: f64 = 2.0;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Figure {
    /// Wall-clock time, in microseconds.
    Wall,
    /// CPU time, in microseconds.
    Cpu,
    /// The memory peak, in bytes.
    Memory,
}

impl Figure {
    /// Every figure, in the order in which they are shown.
    pub const ALL: [Figure; 3] = [Figure::Wall, Figure::Cpu, Figure::Memory];

    /// `us`, `bytes`.
    pub fn unit(self) -> &'static str {
        match self {
            Figure::Wall | Figure::Cpu => "us",
            Figure::Memory => "bytes",
        }
    }

    /// A smaller difference than this is never told: 10 ms, 2 MiB.
    fn floor(self) -> f64 {
        match self {
            Figure::Wall | Figure::Cpu => 10_000.0,
            Figure::Memory => f64::from(2 << 20),
        }
    }

    /// The value and its source; absent where it was not measured.
    fn of(self, used: &Resources) -> Option<(f64, Option<Source>)> {
        let (value, source) = match self {
            Figure::Wall => (used.wall_us, None),
            Figure::Cpu => (used.cpu_us?, used.cpu_source),
            Figure::Memory => (used.memory_peak_bytes?, used.memory_peak_source),
        };
        Some((value as f64, source))
    }
}

/// A test's last word in a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The outcome; absent: it was planned and never reported.
    pub kind: Option<OutcomeKind>,
    /// `fail exit(1)`, `no result`.
    pub outcome: String,
    /// The profile.
    pub profile: String,
    /// The image.
    pub image: String,
    /// What it used; absent where nothing was measured.
    pub used: Option<Resources>,
}

impl Seen {
    fn is_good(&self) -> bool {
        self.kind.is_some_and(OutcomeKind::is_good)
    }
}

/// What a change is held against.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Usual {
    /// The passes before the later run that were looked at.
    pub passes: usize,
    /// Their median; absent with fewer than [`noise::ENOUGH`].
    pub median: Option<f64>,
    /// Their median absolute deviation from it; absent with fewer than [`noise::ENOUGH`].
    pub mad: Option<f64>,
}

/// A figure that changed.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct FigureChange {
    /// Which.
    pub figure: Figure,
    /// `us`, `bytes`: of all its values.
    pub unit: &'static str,
    /// In the earlier run.
    pub earlier: f64,
    /// In the later run.
    pub later: f64,
    /// Where both come from; absent for wall-clock time.
    pub source: Option<Source>,
    /// What it was before.
    pub usual: Usual,
}

impl FigureChange {
    /// Whether there was too little to know the noise.
    pub fn is_weak(&self) -> bool {
        self.usual.median.is_none()
    }
}

/// Whether somebody has to be glad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// It is worse now.
    Worse,
    /// It is better now.
    Better,
    /// It is different, and neither.
    Other,
}

/// A difference between two runs of one test.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Change {
    /// Another outcome, or the same for another reason.
    Outcome {
        /// In the earlier run.
        earlier: String,
        /// In the later run.
        later: String,
    },
    /// Another profile or image: its figures are not compared.
    Place {
        /// In the earlier run.
        earlier: String,
        /// In the later run.
        later: String,
    },
    /// A figure.
    Figure(FigureChange),
    /// Only the later run has the test.
    New {
        /// Its outcome there.
        outcome: String,
    },
    /// Only the earlier run has the test.
    Gone {
        /// Its outcome there.
        outcome: String,
    },
}

impl Change {
    /// Whether it is a reason to call the later run worse. What too few runs say is none.
    pub fn is_regression(&self, direction: Direction) -> bool {
        direction == Direction::Worse && !matches!(self, Change::Figure(change) if change.is_weak())
    }
}

/// A test in one run only.
pub fn lone(seen: &Seen, is_later: bool) -> (Direction, Change) {
    let outcome = seen.outcome.clone();
    match is_later {
        true if seen.is_good() => (Direction::Other, Change::New { outcome }),
        true => (Direction::Worse, Change::New { outcome }),
        false => (Direction::Other, Change::Gone { outcome }),
    }
}

/// A test in both runs. `past` gives what its passes before the later run used, newest first, and is
/// asked only where figures can be compared; `same_machine` says whether they can at all.
///
/// # Errors
/// Those of `past`.
pub fn changes<E>(
    earlier: &Seen,
    later: &Seen,
    same_machine: bool,
    past: impl FnOnce() -> Result<Vec<Resources>, E>,
) -> Result<Vec<(Direction, Change)>, E> {
    let mut found = Vec::new();
    if earlier.outcome != later.outcome {
        let direction = match (earlier.is_good(), later.is_good()) {
            (true, false) => Direction::Worse,
            (false, true) => Direction::Better,
            _ => Direction::Other,
        };
        let change = Change::Outcome {
            earlier: earlier.outcome.clone(),
            later: later.outcome.clone(),
        };
        found.push((direction, change));
    }
    let place = |seen: &Seen| format!("profile {}, image {}", seen.profile, seen.image);
    let both_ran = earlier.kind.is_some() && later.kind.is_some();
    if both_ran && place(earlier) != place(later) {
        let change = Change::Place {
            earlier: place(earlier),
            later: place(later),
        };
        found.push((Direction::Other, change));
        return Ok(found);
    }
    let passed = |seen: &Seen| seen.kind == Some(OutcomeKind::Pass);
    if let (Some(before), Some(now), true) = (
        earlier.used.as_ref(),
        later.used.as_ref(),
        same_machine && passed(earlier) && passed(later),
    ) && Figure::ALL
        .iter()
        .any(|figure| may_differ(*figure, before, now))
    {
        let past = past()?;
        found.extend(figures(before, now, &past).into_iter().map(|change| {
            let direction = if change.later > change.earlier {
                Direction::Worse
            } else {
                Direction::Better
            };
            (direction, Change::Figure(change))
        }));
    }
    Ok(found)
}

/// Whether a figure differs by more than what is never told: without that, the past need not be
/// asked.
fn may_differ(figure: Figure, earlier: &Resources, later: &Resources) -> bool {
    matches!((figure.of(earlier), figure.of(later)), (Some((before, _)), Some((now, _)))
        if (now - before).abs() > figure.floor())
}

/// The figures that changed from `earlier` to `later`, both passes, with `past` as the passes before
/// `later`. Values of different sources are not compared.
pub fn figures(earlier: &Resources, later: &Resources, past: &[Resources]) -> Vec<FigureChange> {
    let one = |figure: Figure| {
        let (before, source) = figure.of(earlier)?;
        let (now, other) = figure.of(later)?;
        if source != other {
            return None;
        }
        let known = past.iter().filter_map(|used| figure.of(used));
        let values: Vec<f64> = known
            .filter(|(_, other)| *other == source)
            .map(|(value, _)| value)
            .collect();
        let usual = usual(&values);
        has_changed(figure, before, now, usual).then_some(FigureChange {
            figure,
            unit: figure.unit(),
            earlier: before,
            later: now,
            source,
            usual,
        })
    };
    Figure::ALL.into_iter().filter_map(one).collect()
}

fn usual(values: &[f64]) -> Usual {
    let usual = noise::Usual::of(values);
    Usual {
        passes: values.len(),
        median: usual.map(|usual| usual.median),
        mad: usual.map(|usual| usual.deviation),
    }
}

fn has_changed(figure: Figure, earlier: f64, later: f64, usual: Usual) -> bool {
    let step = later - earlier;
    let (Some(median), Some(deviation)) = (usual.median, usual.mad) else {
        let (small, large) = (earlier.min(later), earlier.max(later));
        return step.abs() > figure.floor() && large >= small * FACTOR;
    };
    let allowance = noise::Usual { median, deviation }.noise(figure.floor());
    let away = later - median;
    step.abs() > allowance && away.abs() > allowance && (step > 0.0) == (away > 0.0)
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
