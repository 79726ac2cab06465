//! How long tests probably take, from how long they took.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::model::{ByteText, Past, Test, median};

/// How long a test probably takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// Wall-clock time.
    pub time: Duration,
    /// It comes from this very test under this very profile, not from others.
    pub known: bool,
}

/// What is known of a project's tests.
#[derive(Debug, Default)]
pub struct History {
    known: HashMap<(ByteText, String), u64>,
    /// The medians, in microseconds.
    of_profile: BTreeMap<String, u64>,
    of_all: Option<u64>,
    digest: Option<String>,
}

impl History {
    /// From recent passes; one entry for each test and profile.
    pub fn new(past: Vec<Past>) -> Self {
        let mut history = History::default();
        let mut by_profile: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for past in past {
            let Some(time) = ninth_tenth(&past.wall_us) else {
                continue;
            };
            let times = by_profile.entry(past.profile.clone()).or_default();
            times.push(time as f64);
            history.known.insert((past.test, past.profile), time);
        }
        let all = by_profile.values().flatten().copied().collect();
        history.of_all = median(all).map(|time| time as u64);
        history.of_profile = by_profile
            .into_iter()
            .filter_map(|(profile, times)| Some((profile, median(times)? as u64)))
            .collect();
        history.digest = history.of_all.map(|_| digest(&history.known));
        history
    }

    /// SHA-256 of what is known, in hexadecimal digits; `None` where nothing is. Two histories with
    /// the same digest estimate alike.
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// How long each test probably takes: what 9 of 10 of its own recent passes did not exceed, else
    /// the median of the profile's known tests, else of all. Empty where nothing is known.
    pub fn estimate(&self, tests: &[Test]) -> Vec<Estimate> {
        let Some(of_all) = self.of_all else {
            return Vec::new();
        };
        let estimate = |test: &Test| {
            let key = (test.id.text().clone(), test.profile.clone());
            let known = self.known.get(&key);
            let other = || self.of_profile.get(&test.profile).unwrap_or(&of_all);
            Estimate {
                time: Duration::from_micros(*known.unwrap_or_else(other)),
                known: known.is_some(),
            }
        };
        tests.iter().map(estimate).collect()
    }
}

/// Puts the longest tests first, and their estimates with them; those that take as long as each
/// other, and all of them where nothing is known, stay in their order.
pub fn longest_first(tests: &mut Vec<Test>, estimates: &mut Vec<Estimate>) {
    if estimates.len() != tests.len() {
        return;
    }
    let mut both: Vec<(Test, Estimate)> = tests.drain(..).zip(estimates.drain(..)).collect();
    both.sort_by_key(|(_, estimate)| std::cmp::Reverse(estimate.time));
    (*tests, *estimates) = both.into_iter().unzip();
}

/// What 9 of 10 values do not exceed: one of them, by the nearest rank.
fn ninth_tenth(values: &[u64]) -> Option<u64> {
    let mut values = values.to_vec();
    values.sort_unstable();
    let rank = (values.len() * 9).div_ceil(10);
    values.get(rank.checked_sub(1)?).copied()
}

fn digest(known: &HashMap<(ByteText, String), u64>) -> String {
    let mut entries: Vec<_> = known.iter().collect();
    entries.sort_unstable();
    let mut hash = Sha256::new();
    for ((test, profile), time) in entries {
        for part in [test.as_bytes(), profile.as_bytes()] {
            // With its length before it, no two lists are written alike.
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.update(time.to_le_bytes());
    }
    super::hexadecimal(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ImageChoice, ProfileOrigin, TestId};

    fn test(id: &str, profile: &str) -> Test {
        Test {
            id: TestId::new(id),
            profile: profile.into(),
            origin: ProfileOrigin::Default,
            image: ImageChoice::Isolation,
        }
    }

    fn past(id: &str, profile: &str, wall_us: &[u64]) -> Past {
        Past {
            test: id.into(),
            profile: profile.into(),
            wall_us: wall_us.to_vec(),
        }
    }

    #[test]
    fn nine_of_ten_are_no_longer() {
        assert_eq!(ninth_tenth(&[]), None);
        assert_eq!(ninth_tenth(&[7]), Some(7));
        let twenty: Vec<u64> = (1..=20).rev().collect();
        assert_eq!(ninth_tenth(&twenty), Some(18));
        assert_eq!(ninth_tenth(&[1, 1, 1, 1, 1, 1, 1, 1, 1, 900]), Some(1));
    }

    #[test]
    fn an_unknown_test_is_taken_for_a_middling_one_of_its_profile() {
        let history = History::new(vec![
            past("a", "fast", &[10, 12]),
            past("b", "fast", &[20]),
            past("c", "fast", &[1000]),
            past("a", "slow", &[9000]),
        ]);
        let tests = [
            test("a", "fast"),
            test("a", "slow"),
            test("new", "fast"),
            test("c", "slow"),
            test("c", "other"),
        ];
        let estimates = history.estimate(&tests);
        let times: Vec<u128> = estimates.iter().map(|e| e.time.as_micros()).collect();
        assert_eq!(times, [12, 9000, 20, 9000, 510]);
        let known: Vec<bool> = estimates.iter().map(|e| e.known).collect();
        assert_eq!(known, [true, true, false, false, false]);
    }

    #[test]
    fn without_history_nothing_is_estimated_and_the_order_stays() {
        let history = History::new(vec![past("a", "fast", &[])]);
        assert_eq!(history.digest(), None);
        let mut tests = vec![test("b", "fast"), test("a", "fast")];
        let mut estimates = history.estimate(&tests);
        assert_eq!(estimates, []);
        longest_first(&mut tests, &mut estimates);
        assert_eq!(tests, [test("b", "fast"), test("a", "fast")]);
    }

    #[test]
    fn the_longest_come_first_and_equals_keep_their_order() {
        let history = History::new(vec![
            past("a", "fast", &[5]),
            past("b", "fast", &[9]),
            past("c", "fast", &[5]),
        ]);
        let mut tests = ["a", "b", "c"].map(|id| test(id, "fast")).to_vec();
        let mut estimates = history.estimate(&tests);
        longest_first(&mut tests, &mut estimates);
        let ids: Vec<String> = tests.iter().map(|test| test.id.to_string()).collect();
        assert_eq!(ids, ["b", "a", "c"]);
        assert_eq!(estimates[0].time, Duration::from_micros(9));
    }

    #[test]
    fn the_digest_says_whether_two_histories_estimate_alike() {
        let one = [past("a", "x", &[1, 2]), past("b", "x", &[3])];
        let digest = |past: &[Past]| History::new(past.to_vec()).digest().map(str::to_owned);
        let first = digest(&one);
        assert_eq!(first.as_ref().map(String::len), Some(64));
        assert_eq!(first, digest(&[one[1].clone(), one[0].clone()]));
        assert_eq!(first, digest(&[past("a", "x", &[2, 1]), one[1].clone()]));
        assert_ne!(first, digest(&[past("a", "x", &[4]), one[1].clone()]));
        assert_ne!(first, digest(&[past("ax", "", &[1, 2]), one[1].clone()]));
    }
}
