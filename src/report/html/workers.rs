//! The workers of a run, those that differ in nothing but their number as one kind.

use std::time::Duration;

use serde_json::Value;

use super::budget::WORKERS;
use crate::model::format_duration;
use crate::store::StoredWorker;

/// Workers with the same profile, image and limits.
#[derive(Debug, PartialEq)]
pub struct Kind {
    /// `1-4, 7`.
    pub numbers: String,
    /// How many.
    pub count: usize,
    /// Their profile; empty where none said hello.
    pub profile: String,
    /// Their image; empty where none said hello.
    pub image: String,
    /// Attempts that they reported together.
    pub tests: u64,
    /// The longest start, in microseconds.
    pub start_us: Option<u64>,
    /// What they read back.
    pub limits: Vec<Limit>,
}

/// A limit, as it was read back from inside.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// Which.
    pub limit: String,
    /// `enforced`, `clamped`, `unenforced`.
    pub state: String,
    /// What was found.
    pub found: String,
}

impl Limit {
    /// A mark beside the state's word, so that colour is not all.
    pub fn mark(&self) -> &'static str {
        match self.state.as_str() {
            "enforced" => "\u{2713}",
            "clamped" => "\u{2248}",
            _ => "\u{2717}",
        }
    }
}

impl Kind {
    /// The longest start, for people.
    pub fn start(&self) -> String {
        let time = self.start_us.map(Duration::from_micros);
        time.map_or_else(|| "unknown time".into(), format_duration)
    }

    /// How many limits are in a state.
    pub fn count_of(&self, state: &str) -> usize {
        let limits = self.limits.iter();
        limits.filter(|limit| limit.state == state).count()
    }
}

/// The kinds, and how many more there are than are shown.
pub fn kinds(workers: &[StoredWorker]) -> (Vec<Kind>, usize) {
    let mut kinds: Vec<(Kind, Vec<u64>)> = Vec::new();
    let mut more = 0;
    for worker in workers {
        let new = Kind {
            numbers: String::new(),
            count: 0,
            profile: worker.profile.clone().unwrap_or_default(),
            image: worker.image.clone().unwrap_or_default(),
            tests: 0,
            start_us: None,
            limits: limits(worker.limits.as_ref()),
        };
        let same = |(kind, _): &(Kind, _)| {
            (&kind.profile, &kind.image, &kind.limits) == (&new.profile, &new.image, &new.limits)
        };
        let place = match kinds.iter().position(same) {
            Some(place) => place,
            None if kinds.len() < WORKERS => {
                kinds.push((new, Vec::new()));
                kinds.len() - 1
            }
            None => {
                more += 1;
                continue;
            }
        };
        let (kind, numbers) = &mut kinds[place];
        kind.count += 1;
        kind.tests = kind.tests.saturating_add(worker.tests.unwrap_or(0));
        kind.start_us = kind.start_us.max(worker.start_us);
        numbers.push(worker.worker);
    }
    let named = kinds.into_iter().map(|(kind, numbers)| Kind {
        numbers: ranges(&numbers),
        ..kind
    });
    (named.collect(), more)
}

fn limits(value: Option<&Value>) -> Vec<Limit> {
    let all = value.and_then(Value::as_array).into_iter().flatten();
    let text = |limit: &Value, name| limit[name].as_str().unwrap_or_default().to_owned();
    all.map(|limit| Limit {
        limit: text(limit, "limit"),
        state: text(limit, "state"),
        found: text(limit, "found"),
    })
    .collect()
}

/// Runs of numbers that are shown; the others are counted.
const RANGES: usize = 20;

/// `1-4, 7` of ascending numbers.
fn ranges(numbers: &[u64]) -> String {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(*number) => *last = *number,
            _ => runs.push((*number, *number)),
        }
    }
    let shown = runs
        .iter()
        .take(RANGES)
        .map(|(first, last)| match last - first {
            0 => first.to_string(),
            1 => format!("{first}, {last}"),
            _ => format!("{first}\u{2013}{last}"),
        });
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if runs.len() > RANGES {
        text.push_str(", \u{2026}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn worker(number: u64, found: &str) -> StoredWorker {
        StoredWorker {
            worker: number,
            profile: Some("fast".into()),
            image: Some("isolation".into()),
            start_us: Some(number),
            attestation: None,
            limits: Some(json!([{"limit": "memory", "state": "enforced", "found": found}])),
            tests: Some(2),
            problem: None,
        }
    }

    #[test]
    fn workers_alike_are_one_kind() {
        let workers = [1, 2, 3, 5].map(|number| worker(number, "128 MiB"));
        let (kinds, more) = kinds(&[&workers[..], &[worker(4, "64 MiB")]].concat());
        assert_eq!((kinds.len(), more), (2, 0));
        assert_eq!(kinds[0].numbers, "1\u{2013}3, 5");
        assert_eq!((kinds[0].count, kinds[0].tests), (4, 8));
        assert_eq!(kinds[0].start_us, Some(5));
        assert_eq!(kinds[0].count_of("enforced"), 1);
        assert_eq!(kinds[1].numbers, "4");
    }

    #[test]
    fn their_kinds_are_bounded() {
        let workers: Vec<_> = (1..=WORKERS as u64 + 7)
            .map(|number| worker(number, &number.to_string()))
            .collect();
        let (kinds, more) = kinds(&workers);
        assert_eq!((kinds.len(), more), (WORKERS, 7));
    }

    #[test]
    fn ranges_are_short() {
        assert_eq!(ranges(&[1, 2, 4]), "1, 2, 4");
        let odd: Vec<u64> = (0..100).map(|at| at * 2).collect();
        assert!(ranges(&odd).ends_with("38, \u{2026}"));
    }
}
