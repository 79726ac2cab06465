//! When to look again, so that looking stays cheap whatever there is to see. Pure.

use std::time::Duration;

/// One kind of look.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    due: Duration,
    /// The next look is at least so many times the last one's cost away.
    dearness: u32,
}

impl Pace {
    /// Due for the first time so long after the test's start.
    pub fn from(first: Duration, dearness: u32) -> Self {
        Pace {
            due: first,
            dearness,
        }
    }

    /// When it is due, since the test's start.
    pub fn due(&self) -> Duration {
        self.due
    }

    /// Whether it is due.
    pub fn is_due(&self, at: Duration) -> bool {
        at >= self.due
    }

    /// After a look `at` this time that cost so much CPU time: not again before `interval`, and not
    /// before it has paid off.
    pub fn looked(&mut self, at: Duration, cost: Duration, interval: Duration) {
        self.due = at + interval.max(cost * self.dearness);
    }
}

/// Between two looks at the counters.
pub fn counters_interval(at: Duration) -> Duration {
    let short = at < Duration::from_millis(200);
    Duration::from_millis(if short { 5 } else { 50 })
}

/// Between two looks at all processes.
pub fn tree_interval(at: Duration) -> Duration {
    let short = at < Duration::from_secs(3);
    Duration::from_millis(if short { 100 } else { 250 })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_cheap_look_comes_back_in_time_and_a_dear_one_when_it_has_paid_off() {
        let mut pace = Pace::from(20 * MS, 200);
        assert!(!pace.is_due(19 * MS) && pace.is_due(20 * MS));
        pace.looked(21 * MS, Duration::from_micros(100), 100 * MS);
        assert_eq!(pace.due(), 121 * MS);
        pace.looked(121 * MS, 5 * MS, 100 * MS);
        assert_eq!(pace.due(), 1121 * MS);
    }

    /// Whatever a look costs, it has no more than its share.
    #[test]
    fn looks_stay_below_their_share() {
        for cost in [1, 100, 2_000, 50_000].map(Duration::from_micros) {
            let mut pace = Pace::from(20 * MS, 200);
            let mut spent = Duration::ZERO;
            while pace.due() < Duration::from_secs(600) {
                let at = pace.due();
                spent += cost;
                pace.looked(at + cost, cost, tree_interval(at));
            }
            assert!(
                spent * 200 <= Duration::from_secs(600) + cost * 200,
                "{cost:?}: {spent:?}"
            );
        }
    }

    #[test]
    fn a_short_test_is_looked_at_more_often() {
        assert_eq!(counters_interval(199 * MS), 5 * MS);
        assert_eq!(counters_interval(200 * MS), 50 * MS);
        assert_eq!(tree_interval(2999 * MS), 100 * MS);
        assert_eq!(tree_interval(3000 * MS), 250 * MS);
    }

    /// Growth and percentiles take 20 samples: a test of 3 seconds has them, also where each look is
    /// a little late.
    #[test]
    fn a_test_of_three_seconds_is_looked_at_twenty_times() {
        let mut pace = Pace::from(20 * MS, 800);
        let mut looks = 0;
        while pace.due() < 3000 * MS {
            let at = pace.due() + 10 * MS;
            pace.looked(at, Duration::from_micros(150), tree_interval(at));
            looks += 1;
        }
        assert!(looks >= 20, "{looks}");
    }
}
