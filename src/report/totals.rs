//! What a run comes to. Pure, and bounded: 100,000 tests leave counts and a few short lists.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::event::{Attempt, Event};
use crate::model::{OutcomeKind, Source, TestId, ViolationKind, ViolationSeverity};

use super::{attempt, clean};

/// How many tests are shown as the slowest, and as the hungriest.
const TOP: usize = 5;
/// How many tests that are not good are kept by name.
const NOT_GOOD: usize = 1_000;
/// How many flaky tests are kept by name.
const NAMED: usize = 20;
/// How many tests with warnings of one kind are kept by name.
const WARNED: usize = 3;

/// The counts of a run and what its summary names. Feed it every event, in order.
#[derive(Debug, Default)]
pub struct Totals {
    planned: u64,
    counts: [u64; OutcomeKind::ALL.len()],
    /// Tests with a verdict against them, with outcome and reason, and what more is to say of that.
    /// `not-run` is only counted.
    pub(super) not_good: Bounded<(String, TestId, Option<String>), NOT_GOOD>,
    /// Tests that passed, and on which attempt.
    pub(super) flaky: Bounded<(TestId, u32), NAMED>,
    /// Tests with warnings, and their lines, by kind.
    pub(super) warned: BTreeMap<ViolationKind, Bounded<(TestId, String), WARNED>>,
    /// The longest wall-clock times.
    pub(super) slowest: Top<Duration, ()>,
    /// The highest known memory peaks, in bytes, and where each comes from.
    pub(super) hungriest: Top<u64, Option<Source>>,
}

impl Totals {
    /// Takes an event into account.
    pub fn add(&mut self, event: &Event) {
        match event {
            Event::RunStarted(started) => self.planned += started.tests.len() as u64,
            Event::AttemptFinished(attempt) => self.add_attempt(attempt),
            _ => {}
        }
    }

    /// A superseded attempt is no test's last word: only its warnings are noted.
    fn add_attempt(&mut self, attempt: &Attempt) {
        for violation in attempt::serious(attempt) {
            // What made it fail is among those that are not good.
            if violation.severity == ViolationSeverity::Warning || attempt.outcome.kind().is_good()
            {
                let warned = self.warned.entry(violation.kind).or_default();
                warned.push(|| (attempt.test.clone(), violation.message.clone()));
            }
        }
        if attempt.superseded {
            return;
        }
        let kind = attempt.outcome.kind();
        if let Some(count) = self.counts.get_mut(kind as usize) {
            *count += 1;
        }
        if !kind.is_good() && kind != OutcomeKind::NotRun {
            self.not_good.push(|| {
                let state = attempt::timeout_state(attempt);
                (attempt::outcome(attempt), attempt.test.clone(), state)
            });
        }
        if kind == OutcomeKind::Pass && attempt.attempt > 1 {
            self.flaky.push(|| (attempt.test.clone(), attempt.attempt));
        }
        if let Some(used) = &attempt.resources {
            let wall = Duration::from_micros(used.wall_us);
            self.slowest.push(wall, (), &attempt.test);
            if let Some(peak) = used.memory_peak_bytes {
                let source = used.memory_peak_source;
                self.hungriest.push(peak, source, &attempt.test);
            }
        }
    }

    /// Tests whose last attempt had this outcome.
    pub fn count(&self, kind: OutcomeKind) -> u64 {
        self.counts.get(kind as usize).copied().unwrap_or(0)
    }

    /// Attempts with a warning of this kind.
    pub fn warnings(&self, kind: ViolationKind) -> u64 {
        self.warned.get(&kind).map_or(0, Bounded::count)
    }

    /// Tests that have their last word.
    pub fn finished(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Tests that have it, and that is neither pass nor skip.
    pub fn bad(&self) -> u64 {
        let bad = OutcomeKind::ALL.iter().filter(|kind| !kind.is_good());
        bad.map(|kind| self.count(*kind)).sum()
    }

    /// Planned tests of which nothing was heard.
    pub fn missing(&self) -> u64 {
        self.planned.saturating_sub(self.finished())
    }
}

/// The first `MAX` of something, and the number of the others.
#[derive(Debug)]
pub(super) struct Bounded<T, const MAX: usize> {
    /// Those that are kept.
    pub kept: Vec<T>,
    /// How many more there were.
    pub more: u64,
}

impl<T, const MAX: usize> Default for Bounded<T, MAX> {
    fn default() -> Self {
        Bounded {
            kept: Vec::new(),
            more: 0,
        }
    }
}

impl<T, const MAX: usize> Bounded<T, MAX> {
    /// How many there were.
    pub fn count(&self) -> u64 {
        self.kept.len() as u64 + self.more
    }

    pub(super) fn push(&mut self, make: impl FnOnce() -> T) {
        if self.kept.len() < MAX {
            self.kept.push(make());
        } else {
            self.more += 1;
        }
    }
}

/// The [`TOP`] tests of a figure, highest first; of equals, those that came first.
#[derive(Debug)]
pub(super) struct Top<K, V> {
    /// Figure, what belongs to it, test.
    pub kept: Vec<(K, V, TestId)>,
}

impl<K, V> Default for Top<K, V> {
    fn default() -> Self {
        Top { kept: Vec::new() }
    }
}

impl<K: Ord, V> Top<K, V> {
    pub(super) fn push(&mut self, figure: K, value: V, test: &TestId) {
        let at = self.kept.partition_point(|(kept, ..)| *kept >= figure);
        if at < TOP {
            self.kept.truncate(TOP - 1);
            self.kept.insert(at, (figure, value, test.clone()));
        }
    }
}

/// `kept` lines and one for the others, each behind two spaces.
pub(super) fn list<T, const MAX: usize>(
    items: &Bounded<T, MAX>,
    show: impl Fn(&T) -> String,
) -> String {
    let mut out = String::new();
    for item in &items.kept {
        out.push_str(&format!("  {}\n", clean::word(&show(item))));
    }
    if items.more > 0 {
        out.push_str(&format!("  ... and {} more\n", items.more));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Clock, FailReason, LostCause, NotRunCause, Outcome};
    use crate::report::fixtures::{attempt, finished, run_started};

    fn with(id: &str, change: impl FnOnce(&mut Attempt)) -> Event {
        let mut attempt = attempt(id);
        change(&mut attempt);
        finished(attempt)
    }

    fn totals(events: &[Event]) -> Totals {
        let mut totals = Totals::default();
        events.iter().for_each(|event| totals.add(event));
        totals
    }

    #[test]
    fn the_discriminants_are_the_places_in_all() {
        for (place, kind) in OutcomeKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place);
        }
    }

    #[test]
    fn every_outcome_but_pass_and_skip_is_bad() {
        for (outcome, bad) in [
            (Outcome::Pass, 0),
            (Outcome::Skip, 0),
            (Outcome::Fail(FailReason::Exit(1)), 1),
            (Outcome::Timeout(Clock::Wall), 1),
            (Outcome::Oom, 1),
            (Outcome::Lost(LostCause::Engine), 1),
            (Outcome::NotRun(NotRunCause::FailFast), 1),
        ] {
            let totals = totals(&[with("a", |a| a.outcome = outcome)]);
            assert_eq!(totals.bad(), bad, "{outcome}");
        }
    }

    #[test]
    fn a_superseded_attempt_does_not_count() {
        let first = with("a", |a| {
            a.superseded = true;
            a.outcome = Outcome::Lost(LostCause::Worker);
        });
        let second = with("a", |a| a.attempt = 2);
        let totals = totals(&[first, second]);
        assert_eq!((totals.bad(), totals.missing()), (0, 0));
        assert_eq!(totals.finished(), 1);
        assert_eq!(totals.flaky.kept, [(TestId::new("a"), 2)]);
    }

    #[test]
    fn a_test_without_a_result_is_not_green() {
        let totals = totals(&[run_started(&["a", "b"]), finished(attempt("a"))]);
        assert_eq!(totals.missing(), 1);
    }

    #[test]
    fn only_the_top_is_kept() {
        let events: Vec<Event> = (0..100_u64)
            .map(|n| {
                with(&format!("{n}"), |a| {
                    if let Some(used) = &mut a.resources {
                        used.wall_us = n * 37 % 100;
                        used.memory_peak_bytes = (n % 2 == 0).then_some(7);
                    }
                })
            })
            .collect();
        let totals = totals(&events);
        let slowest: Vec<u128> = totals
            .slowest
            .kept
            .iter()
            .map(|s| s.0.as_micros())
            .collect();
        assert_eq!(slowest, [99, 98, 97, 96, 95]);
        let hungriest: Vec<String> = totals
            .hungriest
            .kept
            .iter()
            .map(|h| h.2.to_string())
            .collect();
        assert_eq!(hungriest, ["0", "2", "4", "6", "8"]);
    }

    #[test]
    fn lists_are_bounded() {
        let fail = |n: u64| {
            with(&n.to_string(), |a| {
                a.outcome = Outcome::Fail(FailReason::Exit(1))
            })
        };
        let totals = totals(&(0..1_007).map(fail).collect::<Vec<_>>());
        assert_eq!(totals.not_good.kept.len(), NOT_GOOD);
        assert_eq!(totals.not_good.more, 7);
        assert!(
            list(&totals.not_good, |(_, id, _)| id.to_string())
                .ends_with("  999\n  ... and 7 more\n")
        );
    }
}
