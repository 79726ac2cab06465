//! From counters before and after a test to its figures. Pure.

use crate::model::Source;

/// Less CPU time than this has no parts, in microseconds: the kernel tells them by which of the two
/// a clock tick happens to meet. Of a hundred ticks of 4 milliseconds, 5 % may be wrong.
pub const PARTS_FROM_US: u64 = 400_000;

/// A peak and what is known of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peak {
    /// The highest value.
    pub value: Option<u64>,
    /// Who says so.
    pub source: Option<Source>,
    /// Where the value was sampled: it was no higher than this.
    pub bound: Option<u64>,
}

/// The highest memory of a test, in bytes, from the kernel's counter at its start and its end and
/// the highest sample. The counter belongs to the worker: only a new record is surely this test's.
pub fn memory_peak(before: Option<u64>, after: Option<u64>, sampled: Option<u64>) -> Peak {
    match (before, after) {
        (Some(before), Some(after)) if after > before => Peak {
            value: Some(after),
            source: Some(Source::Cgroup),
            bound: None,
        },
        // The counter may be read before the last sample was.
        _ => Peak {
            value: sampled.map(|sampled| after.map_or(sampled, |after| sampled.min(after))),
            source: sampled.map(|_| Source::Sampled),
            bound: after,
        },
    }
}

/// The most processes and threads of a test at once, likewise. `own`: the supervisor's, which the
/// counter counts too. `limit`, where the kernel refused a fork: the counter has counted that one.
pub fn pids_peak(
    before: Option<u64>,
    after: Option<u64>,
    own: u64,
    limit: Option<u64>,
    sampled: Option<u64>,
) -> (Option<u64>, Option<Source>) {
    match (before, after) {
        (Some(before), Some(after)) if after > before => {
            let most = limit.map_or(after, |limit| after.min(limit));
            (Some(most.saturating_sub(own)), Some(Source::Cgroup))
        }
        _ => (sampled, sampled.map(|_| Source::Sampled)),
    }
}

/// The parts of an exact CPU time in user mode and in the kernel, in microseconds, by what the
/// kernel's ticks make of them.
pub fn cpu_parts(
    total_us: u64,
    user_us: Option<u64>,
    system_us: Option<u64>,
) -> (Option<u64>, Option<u64>) {
    let (Some(user), Some(system)) = (user_us, system_us) else {
        return (None, None);
    };
    let ticked = u128::from(user) + u128::from(system);
    if total_us < PARTS_FROM_US || ticked == 0 {
        return (None, None);
    }
    let user = (u128::from(total_us) * u128::from(user) / ticked) as u64;
    (Some(user), Some(total_us - user))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Source::{Cgroup, Sampled};

    #[test]
    fn a_record_is_this_tests_and_else_the_highest_sample_with_its_bound() {
        let peak = |value, source, bound| Peak {
            value,
            source,
            bound,
        };
        for (before, after, sampled, expected) in [
            (Some(5), Some(9), Some(7), peak(Some(9), Some(Cgroup), None)),
            (Some(5), Some(9), None, peak(Some(9), Some(Cgroup), None)),
            (
                Some(9),
                Some(9),
                Some(7),
                peak(Some(7), Some(Sampled), Some(9)),
            ),
            (
                Some(9),
                Some(9),
                Some(10),
                peak(Some(9), Some(Sampled), Some(9)),
            ),
            (Some(9), Some(9), None, peak(None, None, Some(9))),
            // Nobody knows when the record was set.
            (
                None,
                Some(9),
                Some(7),
                peak(Some(7), Some(Sampled), Some(9)),
            ),
            (None, None, Some(7), peak(Some(7), Some(Sampled), None)),
            (None, None, None, Peak::default()),
        ] {
            let found = memory_peak(before, after, sampled);
            assert_eq!(found, expected, "{before:?} {after:?} {sampled:?}");
        }
    }

    #[test]
    fn a_refused_fork_is_no_process_and_the_supervisor_not_the_tests() {
        assert_eq!(
            pids_peak(Some(7), Some(12), 1, None, Some(3)),
            (Some(11), Some(Cgroup))
        );
        assert_eq!(
            pids_peak(Some(7), Some(65), 1, Some(64), None),
            (Some(63), Some(Cgroup))
        );
        // It was not this test that had so many.
        assert_eq!(
            pids_peak(Some(65), Some(65), 1, Some(64), Some(3)),
            (Some(3), Some(Sampled))
        );
        assert_eq!(pids_peak(None, Some(65), 1, None, None), (None, None));
        assert_eq!(
            pids_peak(None, None, 1, None, Some(2)),
            (Some(2), Some(Sampled))
        );
    }

    #[test]
    fn parts_add_up_or_are_not_there() {
        assert_eq!(
            cpu_parts(1_000_000, Some(750_000), Some(240_000)),
            (Some(757_575), Some(242_425))
        );
        assert_eq!(
            cpu_parts(u64::MAX, Some(u64::MAX), Some(0)),
            (Some(u64::MAX), Some(0))
        );
        assert_eq!(cpu_parts(399_999, Some(8_000), Some(0)), (None, None));
        assert_eq!(cpu_parts(1_000_000, Some(0), Some(0)), (None, None));
        assert_eq!(cpu_parts(1_000_000, None, Some(1)), (None, None));
    }
}
