//! From evidence to outcome. Never from an exit status alone.

use super::{CrashCause, FailReason, NotRunCause, Outcome, StopReason, Termination};

/// The exit status by which a test says that it does not apply here.
pub const SKIP_STATUS: i32 = 77;

/// What is known about an attempt that came back with a report.
#[derive(Clone, Copy, Debug)]
pub struct Evidence {
    /// How the test's own process ended.
    pub termination: Termination,
    /// Why our side ended it, if it did.
    pub stopped: Option<StopReason>,
    /// Processes that the kernel killed for want of memory; `None` where no counter says.
    pub oom_kills: Option<u64>,
    /// Forks that the pids limit refused, counted only where the policy makes that a failure.
    pub pids_failures: u64,
    /// Limits that did not hold, counted only where the policy makes that a failure.
    pub limit_failures: usize,
    /// Things left behind, counted only where the policy makes that a failure.
    pub leak_failures: usize,
}

/// The outcome of an attempt with a report. The first line that matches wins:
/// timeout, output-limit, oom, pids, crash or exit, limits, leak, pass. (`lost` has no report.)
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
    if evidence.pids_failures > 0 {
        return Outcome::Fail(FailReason::Pids);
    }
    match evidence.termination {
        Termination::Signal(signal) => Outcome::Crash(CrashCause::Signal(signal)),
        Termination::Exit(SKIP_STATUS) => Outcome::Skip,
        Termination::Exit(0) if evidence.limit_failures > 0 => Outcome::Fail(FailReason::Limits),
        Termination::Exit(0) if evidence.leak_failures > 0 => Outcome::Fail(FailReason::Leak),
        Termination::Exit(0) => Outcome::Pass,
        Termination::Exit(status) => Outcome::Fail(FailReason::Exit(status)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Clock;
    use super::*;

    const CLEAN: Evidence = Evidence {
        termination: Termination::Exit(0),
        stopped: None,
        oom_kills: Some(0),
        pids_failures: 0,
        limit_failures: 0,
        leak_failures: 0,
    };

    #[test]
    fn a_clean_exit_passes() {
        assert_eq!(classify(&CLEAN), Outcome::Pass);
    }

    #[test]
    fn exit_statuses_are_what_they_say() {
        for status in [1, 125, 126, 127, 137, 139, 143] {
            let evidence = Evidence {
                termination: Termination::Exit(status),
                ..CLEAN
            };
            assert_eq!(classify(&evidence), Outcome::Fail(FailReason::Exit(status)));
        }
        let evidence = Evidence {
            termination: Termination::Exit(77),
            ..CLEAN
        };
        assert_eq!(classify(&evidence), Outcome::Skip);
    }

    #[test]
    fn an_oom_kill_counts_although_the_test_exits_0() {
        let evidence = Evidence {
            oom_kills: Some(1),
            ..CLEAN
        };
        assert_eq!(classify(&evidence), Outcome::Oom);
    }

    #[test]
    fn sigkill_alone_is_no_oom() {
        let evidence = Evidence {
            termination: Termination::Signal(9),
            ..CLEAN
        };
        assert_eq!(classify(&evidence), Outcome::Crash(CrashCause::Signal(9)));
    }

    /// Each line of the order beats all that come after it.
    #[test]
    fn the_first_match_wins() {
        let everything = Evidence {
            termination: Termination::Signal(11),
            stopped: Some(StopReason::Timeout(Clock::Wall)),
            oom_kills: Some(2),
            pids_failures: 3,
            limit_failures: 5,
            leak_failures: 4,
        };
        assert_eq!(classify(&everything), Outcome::Timeout(Clock::Wall));
        let next = Evidence {
            stopped: Some(StopReason::OutputLimit),
            ..everything
        };
        assert_eq!(classify(&next), Outcome::Fail(FailReason::OutputLimit));
        let next = Evidence {
            stopped: None,
            ..next
        };
        assert_eq!(classify(&next), Outcome::Oom);
        let next = Evidence {
            oom_kills: None,
            ..next
        };
        assert_eq!(classify(&next), Outcome::Fail(FailReason::Pids));
        let next = Evidence {
            pids_failures: 0,
            ..next
        };
        assert_eq!(classify(&next), Outcome::Crash(CrashCause::Signal(11)));
        let next = Evidence {
            termination: Termination::Exit(0),
            ..next
        };
        assert_eq!(classify(&next), Outcome::Fail(FailReason::Limits));
        let next = Evidence {
            limit_failures: 0,
            ..next
        };
        assert_eq!(classify(&next), Outcome::Fail(FailReason::Leak));
    }

    /// A verdict of the test's own is not replaced by what failed around it.
    #[test]
    fn leaks_and_limits_turn_only_a_pass() {
        for (status, outcome) in [
            (3, Outcome::Fail(FailReason::Exit(3))),
            (SKIP_STATUS, Outcome::Skip),
        ] {
            let evidence = Evidence {
                termination: Termination::Exit(status),
                limit_failures: 1,
                leak_failures: 1,
                ..CLEAN
            };
            assert_eq!(classify(&evidence), outcome);
        }
    }
}
