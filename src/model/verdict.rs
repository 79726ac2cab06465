//! From evidence to outcome. Never from an exit status alone.

use super::{CrashCause, FailReason, NotRunCause, Outcome, StopReason, Termination, ViolationKind};

/// The exit status by which a test says that it does not apply here.
pub const SKIP_STATUS: i32 = 77;

/// What is known about an attempt that came back with a report.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// How the test's own process ended.
    pub termination: Termination,
    /// Why our side ended it, if it did.
    pub stopped: Option<StopReason>,
    /// Processes that the kernel killed for want of memory; `None` where no counter says.
    pub oom_kills: Option<u64>,
    /// Limits that did not hold, counted only where the policy makes that a failure.
    pub limit_failures: usize,
    /// The kinds of its violations that are failures of it.
    pub failures: Vec<ViolationKind>,
}

/// The outcome of an attempt with a report. The first line that matches wins:
/// timeout, output-limit, oom, pids, crash or exit, limits, leak, another violation, pass. (`lost`
/// has no report.)
pub fn classify(evidence: &Evidence) -> Outcome {
    match evidence.stopped {
        Some(StopReason::Timeout(clock)) => return Outcome::Timeout(clock),
        Some(StopReason::OutputLimit) => return Outcome::Fail(FailReason::OutputLimit),
        Some(StopReason::Interrupt) => return Outcome::NotRun(NotRunCause::Interrupted),
        None => {}
    }
    if evidence.oom_kills.is_some_and(|kills| kills > 0) {
        return Outcome::Oom;
    }
    if evidence.failures.contains(&ViolationKind::PidsLimit) {
        return Outcome::Fail(FailReason::Pids);
    }
    match evidence.termination {
        Termination::Signal(signal) => Outcome::Crash(CrashCause::Signal(signal)),
        Termination::Exit(SKIP_STATUS) => Outcome::Skip,
        Termination::Exit(0) if evidence.limit_failures > 0 => Outcome::Fail(FailReason::Limits),
        Termination::Exit(0) => match evidence.failures.iter().min_by_key(|kind| !kind.is_leak()) {
            Some(kind) if kind.is_leak() => Outcome::Fail(FailReason::Leak),
            Some(kind) => Outcome::Fail(FailReason::Violation(*kind)),
            None => Outcome::Pass,
        },
        Termination::Exit(status) => Outcome::Fail(FailReason::Exit(status)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Clock;
    use super::*;

    fn clean() -> Evidence {
        Evidence {
            termination: Termination::Exit(0),
            stopped: None,
            oom_kills: Some(0),
            limit_failures: 0,
            failures: Vec::new(),
        }
    }

    #[test]
    fn a_clean_exit_passes() {
        assert_eq!(classify(&clean()), Outcome::Pass);
    }

    #[test]
    fn exit_statuses_are_what_they_say() {
        for status in [1, 125, 126, 127, 137, 139, 143] {
            let evidence = Evidence {
                termination: Termination::Exit(status),
                ..clean()
            };
            assert_eq!(classify(&evidence), Outcome::Fail(FailReason::Exit(status)));
        }
        let evidence = Evidence {
            termination: Termination::Exit(77),
            ..clean()
        };
        assert_eq!(classify(&evidence), Outcome::Skip);
    }

    #[test]
    fn an_oom_kill_counts_although_the_test_exits_0() {
        let evidence = Evidence {
            oom_kills: Some(1),
            ..clean()
        };
        assert_eq!(classify(&evidence), Outcome::Oom);
    }

    #[test]
    fn sigkill_alone_is_no_oom() {
        let evidence = Evidence {
            termination: Termination::Signal(9),
            ..clean()
        };
        assert_eq!(classify(&evidence), Outcome::Crash(CrashCause::Signal(9)));
    }

    /// Each line of the order beats all that come after it.
    #[test]
    fn the_first_match_wins() {
        let mut evidence = Evidence {
            termination: Termination::Signal(11),
            stopped: Some(StopReason::Timeout(Clock::Wall)),
            oom_kills: Some(2),
            limit_failures: 5,
            failures: vec![
                ViolationKind::MemoryNear,
                ViolationKind::PidsLimit,
                ViolationKind::LeakedFile,
                ViolationKind::ThreadGrowth,
            ],
        };
        assert_eq!(classify(&evidence), Outcome::Timeout(Clock::Wall));
        evidence.stopped = Some(StopReason::OutputLimit);
        assert_eq!(classify(&evidence), Outcome::Fail(FailReason::OutputLimit));
        evidence.stopped = None;
        assert_eq!(classify(&evidence), Outcome::Oom);
        evidence.oom_kills = None;
        assert_eq!(classify(&evidence), Outcome::Fail(FailReason::Pids));
        evidence.failures.remove(1);
        assert_eq!(classify(&evidence), Outcome::Crash(CrashCause::Signal(11)));
        evidence.termination = Termination::Exit(0);
        assert_eq!(classify(&evidence), Outcome::Fail(FailReason::Limits));
        evidence.limit_failures = 0;
        assert_eq!(classify(&evidence), Outcome::Fail(FailReason::Leak));
        evidence.failures.remove(1);
        let first = FailReason::Violation(ViolationKind::MemoryNear);
        assert_eq!(classify(&evidence), Outcome::Fail(first));
        evidence.failures.remove(0);
        let next = FailReason::Violation(ViolationKind::ThreadGrowth);
        assert_eq!(classify(&evidence), Outcome::Fail(next));
        evidence.failures.clear();
        assert_eq!(classify(&evidence), Outcome::Pass);
    }

    /// A verdict of the test's own is not replaced by what failed around it.
    #[test]
    fn violations_and_limits_turn_only_a_pass() {
        for (status, outcome) in [
            (3, Outcome::Fail(FailReason::Exit(3))),
            (SKIP_STATUS, Outcome::Skip),
        ] {
            let evidence = Evidence {
                termination: Termination::Exit(status),
                limit_failures: 1,
                failures: vec![ViolationKind::LeakedProcess, ViolationKind::CpuNear],
                ..clean()
            };
            assert_eq!(classify(&evidence), outcome);
        }
    }
}
