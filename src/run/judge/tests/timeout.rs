//! What a test did when its time ran out.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// A test that a wall-clock limit of 10 s ended, with this CPU time in all.
fn timed_out(cpu_us: Option<u64>, series: Vec<Sample>) -> Report {
    Report {
        stopped: Some(StopReason::Timeout(Clock::Wall)),
        termination: Termination::Signal(15),
        series,
        ..used(|used| (used.wall_us, used.cpu_us) = (10_000_000, cpu_us))
    }
}

fn state(report: &Report) -> Option<TimeoutState> {
    let mut in_force = fast();
    in_force.limits.wall = Duration::from_secs(10);
    judge(report, &in_force, 0, &Responses::default()).timeout_state
}

#[test]
fn a_timeout_says_whether_the_test_computed() {
    let state_at = |cpu_us| state(&timed_out(Some(cpu_us), Vec::new()));
    assert_eq!(state_at(9_900_000), Some(TimeoutState::Busy));
    assert_eq!(state_at(2_500_000), Some(TimeoutState::Busy));
    assert_eq!(state_at(2_499_999), Some(TimeoutState::Idle));
    assert_eq!(state_at(0), Some(TimeoutState::Idle));
    assert_eq!(state(&timed_out(None, Vec::new())), None);
    let mut by_cpu_time = timed_out(Some(9_900_000), Vec::new());
    by_cpu_time.stopped = Some(StopReason::Timeout(Clock::Cpu));
    assert_eq!(state(&by_cpu_time), None);
    by_cpu_time.stopped = None;
    assert_eq!(state(&by_cpu_time), None);
}

/// On cgroup version 1, among more workers than processors.
#[test]
fn who_could_run_and_did_not_was_starved_where_no_kernel_says_so() {
    let mut report = timed_out(Some(1_200_000), Vec::new());
    for (percent, expected) in [
        (None, TimeoutState::Idle),
        (Some(49), TimeoutState::Idle),
        (Some(50), TimeoutState::Starved),
    ] {
        report.runnable_percent = percent;
        assert_eq!(state(&report), Some(expected));
    }
    report.resources.cpu_pressure_us = Some(0);
    assert_eq!(state(&report), Some(TimeoutState::Idle));
    report.resources.cpu_us = Some(9_000_000);
    assert_eq!(state(&report), Some(TimeoutState::Busy));
}

#[test]
fn the_last_third_counts_where_it_was_sampled() {
    // It computed for 6 s and then waited, and the other way round.
    let then_waits = samples(100, 100_000, |at, sample| {
        sample.cpu_us = Some(at.min(60) * 100_000);
    });
    let report = timed_out(Some(6_000_000), then_waits.clone());
    assert_eq!(state(&report), Some(TimeoutState::Idle));
    let then_computes = samples(100, 100_000, |at, sample| {
        sample.cpu_us = Some(at.saturating_sub(70) * 80_000);
    });
    let report = timed_out(Some(2_400_000), then_computes);
    assert_eq!(state(&report), Some(TimeoutState::Busy));
    // What it does after SIGTERM is not asked, nor is what ends long before.
    let dies_loudly = samples(120, 100_000, |at, sample| {
        sample.cpu_us = Some(at.saturating_sub(100) * 100_000);
    });
    let report = timed_out(Some(2_000_000), dies_loudly);
    assert_eq!(state(&report), Some(TimeoutState::Idle));
    let short = timed_out(Some(6_000_000), then_waits[..40].to_vec());
    assert_eq!(state(&short), Some(TimeoutState::Busy));
}

#[test]
fn a_test_that_was_held_back_is_starved_and_one_that_waited_is_not() {
    for field in [
        |used: &mut Resources, us| used.throttled_us = Some(us),
        |used: &mut Resources, us| used.cpu_pressure_us = Some(us),
    ] {
        let state_at = |cpu_us, held_us| {
            let mut report = timed_out(Some(cpu_us), Vec::new());
            field(&mut report.resources, held_us);
            state(&report)
        };
        assert_eq!(state_at(9_000_000, 2_000_000), Some(TimeoutState::Starved));
        assert_eq!(state_at(200_000, 9_000_000), Some(TimeoutState::Starved));
        assert_eq!(state_at(9_000_000, 1_999_999), Some(TimeoutState::Busy));
        assert_eq!(state_at(199_999, 9_000_000), Some(TimeoutState::Idle));
    }
}

/// Half of half a processor is as much as half of one.
#[test]
fn the_share_is_of_what_it_may_use() {
    let mut in_force = fast();
    in_force.limits.cpus = 0.1;
    let report = timed_out(Some(300_000), Vec::new());
    let judgement = judge(&report, &in_force, 0, &Responses::default());
    assert_eq!(judgement.timeout_state, Some(TimeoutState::Busy));
}

proptest! {
    /// Figures come from outside: however odd they are, there is a judgement.
    #[test]
    fn no_figures_panic(
        rows in prop::collection::vec((any::<u64>(), any::<u64>(), any::<Option<u64>>()), 0..90),
        figures: [u64; 6],
        stopped in 0..4_usize,
    ) {
        let sample = |(time_us, value, processes): (u64, u64, Option<u64>)| Sample {
            time_us,
            cpu_us: Some(value),
            memory_bytes: Some(value),
            processes,
            threads: Some(value),
            open_files: Some(value),
            pss_bytes: None,
        };
        let mut report = timed_out(Some(figures[0]), rows.into_iter().map(sample).collect());
        report.stopped = [
            None,
            Some(StopReason::Timeout(Clock::Wall)),
            Some(StopReason::Timeout(Clock::Cpu)),
            Some(StopReason::OutputLimit),
        ][stopped];
        let used = &mut report.resources;
        used.wall_us = figures[1];
        used.memory_peak_bytes = Some(figures[2]);
        used.memory_file_bytes = Some(figures[3]);
        used.throttled_us = Some(figures[4]);
        used.oom_kills = Some(figures[5]);
        (report.stdout_bytes, report.stderr_bytes) = (figures[2], figures[3]);
        for violation in judged(&report).violations {
            prop_assert!(!violation.message.contains(char::is_control));
        }
    }
}
