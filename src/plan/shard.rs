//! Which shard runs which test: the same everywhere, from the tests and what is known of them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use sha2::{Digest, Sha256};

use super::{Entry, Estimate};
use crate::model::{Shard, Test, escape};

/// SHA-256 of what a suite is, in hexadecimal digits: every test's id, profile and image, whatever
/// their order.
pub fn manifest(tests: &[Test]) -> String {
    let entry = |test: &Test| {
        let id = test.id.text().clone();
        (id, test.profile.clone(), test.image.to_string())
    };
    manifest_of(tests.iter().map(entry).collect())
}

/// The same of ids, profiles and images.
pub fn manifest_of(mut entries: Vec<Entry>) -> String {
    entries.sort_unstable();
    let mut hash = Sha256::new();
    for (id, profile, image) in entries {
        for part in [id.as_bytes(), profile.as_bytes(), image.as_bytes()] {
            // With its length before it, no two lists are written alike.
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    super::hexadecimal(&hash.finalize())
}

/// Each test's shard, from 1. With `estimates` the longest test first to the shard that has the
/// least to do; without, by a hash of the id, which no other test's coming or going changes.
pub fn divide(tests: &[Test], estimates: &[Estimate], shards: u32) -> Vec<u32> {
    if estimates.len() != tests.len() {
        return tests.iter().map(|test| by_hash(test, shards)).collect();
    }
    let mut order: Vec<usize> = (0..tests.len()).collect();
    order.sort_by_key(|at| (Reverse(estimates[*at].time), &tests[*at].id));
    // Time, tests, number: of equals the first.
    let mut least: BinaryHeap<_> = (1..=shards)
        .map(|shard| Reverse((std::time::Duration::ZERO, 0, shard)))
        .collect();
    let mut division = vec![1; tests.len()];
    for at in order {
        if let Some(mut shard) = least.peek_mut() {
            let Reverse((time, count, number)) = &mut *shard;
            division[at] = *number;
            *time += estimates[at].time;
            *count += 1;
        }
    }
    division
}

fn by_hash(test: &Test, shards: u32) -> u32 {
    let hash = Sha256::digest(test.id.text().as_bytes());
    let number = hash
        .iter()
        .take(8)
        .fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
    // Below `shards`, so it fits.
    (number % u64::from(shards.max(1))) as u32 + 1
}

/// A CI's own word on shards: the variables of the index and the total, and the first index.
const CI: [(&str, &str, u32); 3] = [
    ("CI_NODE_INDEX", "CI_NODE_TOTAL", 1),
    ("CIRCLE_NODE_INDEX", "CIRCLE_NODE_TOTAL", 0),
    ("BUILDKITE_PARALLEL_JOB", "BUILDKITE_PARALLEL_JOB_COUNT", 0),
];
/// Kubernetes gives a job's pods their index, from 0, and not how many there are.
const KUBERNETES: &str = "JOB_COMPLETION_INDEX";
/// The variable that says how many shards there are, where nobody names another.
pub const SHARDS: &str = "DOCKER_TEST_SHARDS";

/// The shard that a CI's variables name, and which those are; `None` where they name none, or one
/// of one. `total`: the variable that says how many there are, for a CI that gives an index alone.
///
/// # Errors
/// One line: they are there, and are no shard.
pub fn from_ci(
    variable: impl Fn(&str) -> Option<String>,
    total: &str,
) -> Result<Option<(Shard, String)>, String> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let known = CI.into_iter().chain([(KUBERNETES, total, 0)]);
    for (index, total, first) in known {
        let (Some(shard), Some(shards)) = (set(index), set(total)) else {
            continue;
        };
        let wrong = || {
            format!(
                "{index}={} and {total}={} name no shard\nhint: name it with --shard I/N, or run everything with --shard 1/1",
                escape(shard.as_bytes()),
                escape(shards.as_bytes())
            )
        };
        let number = shard
            .parse::<u32>()
            .ok()
            .and_then(|n| n.checked_add(1 - first));
        let found = number.zip(shards.parse().ok());
        let found = found.and_then(|(shard, shards)| Shard::new(shard, shards));
        let found = found.ok_or_else(wrong)?;
        return Ok((found.shards > 1).then(|| (found, format!("{index}, {total}"))));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::model::{ImageChoice, ProfileOrigin, TestId};

    fn test(id: &str) -> Test {
        Test {
            id: TestId::new(id),
            profile: "fast".into(),
            origin: ProfileOrigin::Default,
            image: ImageChoice::Isolation,
        }
    }

    fn tests(count: usize) -> Vec<Test> {
        (0..count).map(|n| test(&format!("test/{n}"))).collect()
    }

    fn ci(set: &[(&str, &str)], total: &str) -> Result<Option<(u32, u32)>, String> {
        let set: BTreeMap<_, _> = set.iter().copied().collect();
        let found = from_ci(|name| set.get(name).map(|value| (*value).to_owned()), total)?;
        Ok(found.map(|(shard, _)| (shard.shard, shard.shards)))
    }

    #[test]
    fn every_ci_counts_in_its_own_way() {
        let gitlab = |index, total| {
            ci(
                &[("CI_NODE_INDEX", index), ("CI_NODE_TOTAL", total)],
                SHARDS,
            )
        };
        assert_eq!(gitlab("1", "3"), Ok(Some((1, 3))));
        assert_eq!(gitlab("3", "3"), Ok(Some((3, 3))));
        assert_eq!(gitlab("", "3"), Ok(None), "not parallel");
        assert_eq!(gitlab("1", "1"), Ok(None));
        let circle = |index| {
            ci(
                &[("CIRCLE_NODE_INDEX", index), ("CIRCLE_NODE_TOTAL", "4")],
                SHARDS,
            )
        };
        assert_eq!(circle("0"), Ok(Some((1, 4))));
        assert_eq!(circle("3"), Ok(Some((4, 4))));
        let buildkite = [
            ("BUILDKITE_PARALLEL_JOB", "1"),
            ("BUILDKITE_PARALLEL_JOB_COUNT", "2"),
        ];
        assert_eq!(ci(&buildkite, SHARDS), Ok(Some((2, 2))));
        let kubernetes = [
            ("JOB_COMPLETION_INDEX", "0"),
            ("DOCKER_TEST_SHARDS", "5"),
            ("N", "6"),
        ];
        assert_eq!(ci(&kubernetes, SHARDS), Ok(Some((1, 5))));
        assert_eq!(ci(&kubernetes, "N"), Ok(Some((1, 6))));
        assert_eq!(ci(&kubernetes[..1], SHARDS), Ok(None), "no total");
        assert_eq!(ci(&[], SHARDS), Ok(None));
        for (index, total) in [
            ("0", "3"),
            ("4", "3"),
            ("x", "3"),
            ("1", "-3"),
            ("4294967295", "2"),
        ] {
            let error = gitlab(index, total).unwrap_err();
            let start = format!("CI_NODE_INDEX={index} and CI_NODE_TOTAL={total} name no shard\n");
            assert!(error.starts_with(&start), "{error}");
        }
        assert!(circle("4294967295").is_err());
    }

    #[test]
    fn a_manifest_is_its_tests_in_any_order() {
        let suite = tests(3);
        let mut turned = suite.clone();
        turned.reverse();
        assert_eq!(manifest(&suite), manifest(&turned));
        assert_eq!(manifest(&suite).len(), 64);
        assert_ne!(manifest(&suite), manifest(&suite[1..]));
        turned[0].profile = "slow".into();
        assert_ne!(manifest(&suite), manifest(&turned));
        turned[0].profile = "fast".into();
        turned[0].image = ImageChoice::Host;
        assert_ne!(manifest(&suite), manifest(&turned));
    }

    /// Other machines, other versions: this never changes, or shards would miss tests.
    #[test]
    fn the_hash_is_for_ever() {
        assert_eq!(
            divide(&tests(12), &[], 4),
            [1, 4, 3, 3, 1, 4, 1, 4, 2, 3, 1, 1]
        );
    }

    proptest! {
        /// Each test has one shard, so shards are disjoint and complete; all of them are numbers
        /// from 1 to N; another order of the same tests is the same division.
        #[test]
        fn every_test_is_in_one_shard_wherever_it_is_asked(
            times in prop::collection::vec(0u64..5000, 0..120),
            shards in 1u32..40,
            known: bool,
        ) {
            let suite = tests(times.len());
            let estimate = |time: &u64| Estimate { time: Duration::from_millis(*time), known: true };
            let estimates: Vec<_> = if known { times.iter().map(estimate).collect() } else { Vec::new() };
            let division = divide(&suite, &estimates, shards);
            prop_assert_eq!(division.len(), suite.len());
            prop_assert!(division.iter().all(|shard| (1..=shards).contains(shard)));
            let (mut suite, mut estimates) = (suite, estimates);
            suite.reverse();
            estimates.reverse();
            let mut turned = divide(&suite, &estimates, shards);
            turned.reverse();
            prop_assert_eq!(&turned, &division);
            if known {
                let mut loads = vec![0; shards as usize];
                for (shard, time) in division.iter().zip(&times) {
                    loads[*shard as usize - 1] += time;
                }
                let even = times.iter().sum::<u64>() / u64::from(shards);
                let longest = times.iter().max().copied().unwrap_or(0);
                let most = loads.iter().max().copied().unwrap_or(0);
                prop_assert!(most <= even + longest + 1, "{:?}", loads);
            }
        }
    }
}
