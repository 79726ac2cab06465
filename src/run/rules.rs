//! What a level makes of what was found: a warning, a failure of the test, or the end of the run.
//! Pure.

use crate::event::{LimitCheck, LimitState, RunStarted};
use crate::model::{Evidence, Level};
use crate::protocol::Report;

/// How strictly a run judges.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    level: Level,
    allow_weaker: bool,
}

/// What follows for a worker from the limits that do not hold for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fitness {
    /// It takes tests.
    Fit,
    /// It takes tests, and these limits count against each of them.
    Weaker(Vec<&'static str>),
    /// It takes none, and the run ends: this machine does not keep the level's promise.
    Unfit(Vec<&'static str>),
}

impl Rules {
    /// Those of a run with this head.
    pub fn of(head: &RunStarted) -> Self {
        Rules {
            level: head.level,
            allow_weaker: head.allow_weaker,
        }
    }

    /// Judges a worker by its limits. `held_before`: they did hold for another worker of its class,
    /// so it is this one's container that is wrong, not the machine.
    pub fn fitness(self, limits: &[LimitCheck], held_before: bool) -> Fitness {
        let missing = unenforced(limits);
        if missing.is_empty() || !self.level.is_strict() || self.allow_weaker {
            Fitness::Fit
        } else if held_before {
            Fitness::Weaker(missing)
        } else {
            Fitness::Unfit(missing)
        }
    }

    /// What is to be judged of a report from a worker with so many limits against it.
    pub fn evidence(self, report: &Report, limit_failures: usize) -> Evidence {
        let strict = self.level.is_strict();
        let leaks = report.leaks.iter().filter(|leak| leak.counts()).count();
        // A worker that cannot be brought back was changed in a way that has no name.
        let unclean = usize::from(report.unclean.is_some());
        Evidence {
            termination: report.termination,
            stopped: report.stopped,
            oom_kills: report.resources.oom_kills,
            pids_failures: if strict {
                report.resources.pids_limit_hits.unwrap_or(0)
            } else {
                0
            },
            limit_failures,
            leak_failures: if strict { leaks + unclean } else { 0 },
        }
    }
}

/// The limits that do not hold.
fn unenforced(limits: &[LimitCheck]) -> Vec<&'static str> {
    let missing = limits
        .iter()
        .filter(|check| check.state == LimitState::Unenforced);
    missing.map(|check| check.limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FailReason, Leak, Outcome, Resources, Termination, classify};

    fn rules(level: Level, allow_weaker: bool) -> Rules {
        Rules {
            level,
            allow_weaker,
        }
    }

    fn report(leaks: Vec<Leak>) -> Report {
        Report {
            seq: 1,
            termination: Termination::Exit(0),
            stopped: None,
            escalated: false,
            started_unix_us: 0,
            resources: Resources::default(),
            series: Vec::new(),
            stdout_bytes: 0,
            stderr_bytes: 0,
            leaks,
            reset_ns: 0,
            unclean: None,
        }
    }

    fn files(outside: bool) -> Leak {
        Leak::Files {
            place: "/x".into(),
            count: 1,
            bytes: 1,
            outside,
        }
    }

    fn outcome(level: Level, report: &Report) -> Outcome {
        classify(&rules(level, false).evidence(report, 0))
    }

    #[test]
    fn a_leak_fails_a_test_from_strict_on() {
        let process = || Leak::Process {
            name: "sleep".into(),
        };
        for leak in [
            process(),
            files(true),
            Leak::Attributes {
                place: "/tmp".into(),
            },
            Leak::SysvIpc {
                what: "msg".into(),
                count: 1,
            },
            Leak::MessageQueue { name: "q".into() },
            Leak::Sockets { count: 1 },
            Leak::Supervisor {
                what: "nice value".into(),
            },
        ] {
            let report = report(vec![files(false), leak]);
            assert_eq!(outcome(Level::Standard, &report), Outcome::Pass);
            for level in [Level::Strict, Level::Paranoid] {
                let failed = Outcome::Fail(FailReason::Leak);
                assert_eq!(outcome(level, &report), failed, "{:?}", report.leaks);
            }
        }
    }

    #[test]
    fn files_in_a_tests_own_folders_are_no_leak() {
        for level in Level::ALL {
            let report = report(vec![files(false)]);
            assert_eq!(outcome(level, &report), Outcome::Pass);
        }
    }

    #[test]
    fn a_worker_that_cannot_be_brought_back_fails_a_test_from_strict_on() {
        let report = Report {
            unclean: Some("a mount was changed".into()),
            ..report(Vec::new())
        };
        assert_eq!(outcome(Level::Standard, &report), Outcome::Pass);
        let failed = Outcome::Fail(FailReason::Leak);
        assert_eq!(outcome(Level::Strict, &report), failed);
    }

    #[test]
    fn the_pids_limit_fails_a_test_from_strict_on() {
        let mut report = report(Vec::new());
        report.resources.pids_limit_hits = Some(2);
        assert_eq!(outcome(Level::Standard, &report), Outcome::Pass);
        let failed = Outcome::Fail(FailReason::Pids);
        assert_eq!(outcome(Level::Strict, &report), failed);
        report.resources.pids_limit_hits = None;
        assert_eq!(outcome(Level::Strict, &report), Outcome::Pass);
    }

    #[test]
    fn limits_that_do_not_hold_are_an_error_only_where_they_are_promised() {
        let check = |limit, state| LimitCheck {
            limit,
            state,
            found: String::new(),
        };
        let limits = [
            check("memory", LimitState::Enforced),
            check("cpus", LimitState::Clamped),
            check("pids", LimitState::Unenforced),
            check("swap", LimitState::Unenforced),
        ];
        let missing = vec!["pids", "swap"];
        for (level, allow_weaker, held_before, fitness) in [
            (Level::Standard, false, false, Fitness::Fit),
            (Level::Strict, true, false, Fitness::Fit),
            (Level::Strict, true, true, Fitness::Fit),
            (Level::Strict, false, false, Fitness::Unfit(missing.clone())),
            (Level::Strict, false, true, Fitness::Weaker(missing.clone())),
            (Level::Paranoid, false, false, Fitness::Unfit(missing)),
        ] {
            let rules = rules(level, allow_weaker);
            assert_eq!(rules.fitness(&limits, held_before), fitness);
            assert_eq!(rules.fitness(&limits[..2], held_before), Fitness::Fit);
        }
        let evidence = rules(Level::Strict, false).evidence(&report(Vec::new()), 2);
        assert_eq!(classify(&evidence), Outcome::Fail(FailReason::Limits));
    }
}
