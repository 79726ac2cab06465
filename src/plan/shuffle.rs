//! The order of chance, the same for the same seed.

use crate::model::Test;

/// Puts the tests in the order that a seed gives, whatever order they are in.
pub fn shuffle(tests: &mut [Test], seed: u32) {
    tests.sort_by(|one, other| one.id.cmp(&other.id));
    let mut random = Random(u64::from(seed));
    for last in (1..tests.len()).rev() {
        tests.swap(last, random.below(last as u64 + 1) as usize);
    }
}

/// Random numbers from a seed (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below `bound`: the high half of a product, which is even enough for any list.
    fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::{ImageChoice, ProfileOrigin, TestId};

    fn shuffled(count: usize, seed: u32, turned: bool) -> Vec<String> {
        let mut tests: Vec<Test> = (0..count)
            .map(|n| Test {
                id: TestId::new(format!("{n:03}")),
                profile: "fast".into(),
                origin: ProfileOrigin::Default,
                image: ImageChoice::Isolation,
            })
            .collect();
        if turned {
            tests.reverse();
        }
        shuffle(&mut tests, seed);
        tests.iter().map(|test| test.id.to_string()).collect()
    }

    #[test]
    fn a_seed_gives_one_order_whatever_came_before() {
        assert_eq!(shuffled(50, 7, false), shuffled(50, 7, true));
        assert_ne!(shuffled(50, 7, false), shuffled(50, 8, false));
        // For ever: a seed that was printed has to give the same order again.
        assert_eq!(shuffled(5, 42, false), ["001", "002", "004", "000", "003"]);
    }

    #[test]
    fn every_order_of_three_occurs_and_no_test_is_lost() {
        let orders: BTreeSet<_> = (0..200).map(|seed| shuffled(3, seed, false)).collect();
        assert_eq!(orders.len(), 6);
        assert_eq!(shuffled(0, 1, false).len() + shuffled(1, 1, false).len(), 1);
    }
}
