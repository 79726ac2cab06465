//! Which attempts of a run a page shows, and which of them matter most.

use std::collections::{BTreeMap, HashSet};

use super::budget::{ATTEMPTS, Budget, HELD};
use super::data::{FIGURES, LABELS};
use super::json;
use crate::model::{ByteText, OutcomeKind};
use crate::store::{StoredAttempt, StoredViolation};

/// Takes every attempt of a run, and keeps those that matter.
#[derive(Debug, Default)]
pub struct Selection {
    held: Vec<Held>,
    with_violation: HashSet<(ByteText, u32)>,
    counts: Counts,
}

/// What a run comes to, left out or not.
#[derive(Debug, Default)]
pub struct Counts {
    /// Attempts.
    pub attempts: u64,
    /// Tests by the outcome of their last attempt.
    pub outcomes: BTreeMap<String, u64>,
    /// Tests that passed, and not on the first attempt.
    pub flaky: u64,
    /// CPU time of all attempts, in microseconds; absent where none has any.
    pub cpu_us: Option<u64>,
}

#[derive(Debug)]
struct Held {
    /// Its place among all.
    at: u64,
    weight: (Class, u64),
    attempt: StoredAttempt,
}

/// What an attempt is to a reader, what matters most last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Usual,
    Remarkable,
    NotGood,
}

impl Selection {
    /// `violations` are all of the run.
    pub fn new(violations: &[StoredViolation]) -> Self {
        let with_violation = violations
            .iter()
            .map(|violation| (violation.test.clone(), violation.attempt));
        Selection {
            with_violation: with_violation.collect(),
            ..Selection::default()
        }
    }

    /// Takes one attempt. Memory stays bounded.
    pub fn take(&mut self, attempt: StoredAttempt) {
        let counts = &mut self.counts;
        let at = counts.attempts;
        counts.attempts += 1;
        if let Some(cpu) = attempt.resources.as_ref().and_then(|used| used.cpu_us) {
            counts.cpu_us = Some(counts.cpu_us.unwrap_or(0).saturating_add(cpu));
        }
        if !attempt.superseded {
            *counts.outcomes.entry(attempt.outcome.clone()).or_default() += 1;
            counts.flaky += u64::from(is_flaky(&attempt));
        }
        let weight = (self.class(&attempt), size(&attempt));
        self.held.push(Held {
            at,
            weight,
            attempt,
        });
        if self.held.len() >= 2 * HELD {
            self.trim(HELD);
        }
    }

    fn class(&self, attempt: &StoredAttempt) -> Class {
        let key = (attempt.test.clone(), attempt.attempt);
        if !is_good(&attempt.outcome) && attempt.outcome != OutcomeKind::NotRun.as_str() {
            Class::NotGood
        } else if self.with_violation.contains(&key)
            || attempt.leaks.iter().any(crate::model::Leak::counts)
            || attempt.attempt > 1
        {
            Class::Remarkable
        } else {
            Class::Usual
        }
    }

    /// Keeps the `most` weightiest, weightiest first.
    fn trim(&mut self, most: usize) {
        self.held
            .sort_by(|a, b| b.weight.cmp(&a.weight).then(a.at.cmp(&b.at)));
        self.held.truncate(most);
    }

    /// The attempts that fit, in their order; their places in that, weightiest first, and of which
    /// the first so many are more than usual; and the counts of all.
    ///
    /// # Errors
    /// A name does not serialise.
    pub fn finish(mut self) -> std::io::Result<Selected> {
        self.trim(HELD);
        let mut budget = Budget::new(ATTEMPTS);
        let mut fitting = 0;
        for held in &self.held {
            let name = json::length(&held.attempt.test.to_string())?;
            let leaks: Vec<String> = held.attempt.leaks.iter().map(ToString::to_string).collect();
            let leaks = leaks.len() * 30 + json::length(&leaks)?;
            if !budget.take(row_bytes(&held.attempt) + name + leaks) {
                break;
            }
            fitting += 1;
        }
        self.held.truncate(fitting);
        let usual = |held: &Held| held.weight.0 == Class::Usual;
        let unusual = self.held.iter().filter(|held| !usual(held)).count();
        let mut order: Vec<usize> = (0..fitting).collect();
        order.sort_by_key(|place| self.held[*place].at);
        let mut by_weight = vec![0; fitting];
        for (row, place) in order.iter().enumerate() {
            by_weight[*place] = row;
        }
        self.held.sort_by_key(|held| held.at);
        Ok(Selected {
            attempts: self.held.into_iter().map(|held| held.attempt).collect(),
            by_weight,
            unusual,
            counts: self.counts,
        })
    }
}

/// What [`Selection::finish`] gives.
#[derive(Debug)]
pub struct Selected {
    /// In their order: their places are the page's rows.
    pub attempts: Vec<StoredAttempt>,
    /// The rows, weightiest first.
    pub by_weight: Vec<usize>,
    /// How many of those come first that are not good, or have a violation or a leak.
    pub unusual: usize,
    /// Of all.
    pub counts: Counts,
}

/// What the columns of an attempt take.
fn row_bytes(attempt: &StoredAttempt) -> usize {
    let digits = |value: u64| value.checked_ilog10().unwrap_or(0) as usize + 1;
    let figures = FIGURES.iter().map(|(_, figure)| figure(attempt));
    let figures = figures.map(|value| value.map_or(4, digits) + 1);
    // A word is its number; its test, and the time of its start, come on top.
    figures.sum::<usize>() + LABELS.len() * 7 + 24
}

/// Whether an outcome is no verdict against a test.
pub fn is_good(outcome: &str) -> bool {
    let mut all = OutcomeKind::ALL.into_iter();
    all.any(|kind| kind.as_str() == outcome && kind.is_good())
}

fn is_flaky(attempt: &StoredAttempt) -> bool {
    attempt.attempt > 1 && attempt.outcome == OutcomeKind::Pass.as_str()
}

/// How much an attempt took: a second weighs as much as 64 MiB.
fn size(attempt: &StoredAttempt) -> u64 {
    attempt.resources.as_ref().map_or(0, |used| {
        let memory = used.memory_peak_bytes.unwrap_or(0) / 67;
        used.wall_us.saturating_add(memory)
    })
}
