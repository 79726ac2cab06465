//! How a process ended (termination) and what that means (outcome): two different things.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ViolationKind;

/// How the test's own process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Termination {
    /// It exited with this status, 0 to 255.
    Exit(i32),
    /// This signal ended it.
    Signal(i32),
}

impl fmt::Display for Termination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Termination::Exit(status) => write!(f, "exit({status})"),
            Termination::Signal(signal) => f.write_str(&signal_name(*signal)),
        }
    }
}

/// Why our side ended a test, recorded before the first signal is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopReason {
    /// Its wall-clock or CPU time was used up.
    Timeout(Clock),
    /// It wrote more than its output limit.
    OutputLimit,
    /// The run was interrupted.
    Interrupt,
}

/// Which of a test's two clocks ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clock {
    /// Wall-clock time.
    Wall,
    /// CPU time of the whole process tree.
    Cpu,
}

/// Why a test failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailReason {
    /// Its exit status.
    Exit(i32),
    /// It hit its pids limit, where the policy makes that a failure.
    Pids,
    /// It wrote more than its output limit.
    OutputLimit,
    /// It left something behind, where the policy makes that a failure.
    Leak,
    /// A limit did not hold while it ran, where the policy makes that a failure.
    Limits,
    /// Another violation, where the policy makes that a failure.
    Violation(ViolationKind),
}

/// Whose death it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashCause {
    /// The test's: this signal, which nobody on our side sent.
    Signal(i32),
    /// The worker's, twice, with this test running.
    Worker,
}

/// Why there is no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostCause {
    /// The engine went away, or somebody removed the container: not the test's doing.
    Engine,
    /// The worker died while the test ran.
    Worker,
}

/// Why a planned test has no verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRunCause {
    /// The run was interrupted before the test started, or while it ran.
    Interrupted,
    /// An earlier test failed, under `--fail-fast`.
    FailFast,
    /// No worker could be started for it.
    NoWorker,
}

/// What happened to an attempt. See `doc/exit-codes.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Exit status 0, and nothing against it.
    Pass,
    /// It failed.
    Fail(FailReason),
    /// It said that it does not apply here (exit status 77).
    Skip,
    /// A time limit ended it.
    Timeout(Clock),
    /// The kernel killed one of its processes for want of memory.
    Oom,
    /// A signal ended it.
    Crash(CrashCause),
    /// There is no result.
    Lost(LostCause),
    /// It was planned and has no verdict.
    NotRun(NotRunCause),
}

/// An outcome without its reason; the order is that of the summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutcomeKind {
    /// See [`Outcome::Pass`].
    Pass,
    /// See [`Outcome::Fail`].
    Fail,
    /// See [`Outcome::Timeout`].
    Timeout,
    /// See [`Outcome::Oom`].
    Oom,
    /// See [`Outcome::Crash`].
    Crash,
    /// See [`Outcome::Lost`].
    Lost,
    /// See [`Outcome::Skip`].
    Skip,
    /// See [`Outcome::NotRun`].
    NotRun,
}

impl OutcomeKind {
    /// Every kind, in the order of the summary.
    pub const ALL: [OutcomeKind; 8] = [
        OutcomeKind::Pass,
        OutcomeKind::Fail,
        OutcomeKind::Timeout,
        OutcomeKind::Oom,
        OutcomeKind::Crash,
        OutcomeKind::Lost,
        OutcomeKind::Skip,
        OutcomeKind::NotRun,
    ];

    /// Its word, as in the database and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            OutcomeKind::Pass => "pass",
            OutcomeKind::Fail => "fail",
            OutcomeKind::Timeout => "timeout",
            OutcomeKind::Oom => "oom",
            OutcomeKind::Crash => "crash",
            OutcomeKind::Lost => "lost",
            OutcomeKind::Skip => "skip",
            OutcomeKind::NotRun => "not-run",
        }
    }

    /// Whether a run with such a test in it is still green.
    pub fn is_good(self) -> bool {
        matches!(self, OutcomeKind::Pass | OutcomeKind::Skip)
    }
}

impl Outcome {
    /// The outcome without its reason.
    pub fn kind(self) -> OutcomeKind {
        match self {
            Outcome::Pass => OutcomeKind::Pass,
            Outcome::Fail(_) => OutcomeKind::Fail,
            Outcome::Skip => OutcomeKind::Skip,
            Outcome::Timeout(_) => OutcomeKind::Timeout,
            Outcome::Oom => OutcomeKind::Oom,
            Outcome::Crash(_) => OutcomeKind::Crash,
            Outcome::Lost(_) => OutcomeKind::Lost,
            Outcome::NotRun(_) => OutcomeKind::NotRun,
        }
    }

    /// The reason alone: `exit(1)`, `wall`, `SIGSEGV`, `engine`, `fail-fast`.
    pub fn reason(self) -> Option<String> {
        let word = match self {
            Outcome::Pass | Outcome::Skip | Outcome::Oom => return None,
            Outcome::Fail(FailReason::Exit(status)) => return Some(format!("exit({status})")),
            Outcome::Crash(CrashCause::Signal(signal)) => return Some(signal_name(signal)),
            Outcome::Fail(FailReason::Pids) => "pids",
            Outcome::Fail(FailReason::OutputLimit) => "output-limit",
            Outcome::Fail(FailReason::Leak) => "leak",
            Outcome::Fail(FailReason::Limits) => "limits",
            Outcome::Fail(FailReason::Violation(kind)) => kind.as_str(),
            Outcome::Timeout(Clock::Wall) => "wall",
            Outcome::Timeout(Clock::Cpu) => "cpu",
            Outcome::Crash(CrashCause::Worker) | Outcome::Lost(LostCause::Worker) => "worker",
            Outcome::Lost(LostCause::Engine) => "engine",
            Outcome::NotRun(NotRunCause::Interrupted) => "interrupted",
            Outcome::NotRun(NotRunCause::FailFast) => "fail-fast",
            Outcome::NotRun(NotRunCause::NoWorker) => "no-worker",
        };
        Some(word.to_owned())
    }
}

/// `fail exit(1)`, `timeout wall`, `pass`: the kind and the reason.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind().as_str())?;
        match self.reason() {
            Some(reason) => write!(f, " {reason}"),
            None => Ok(()),
        }
    }
}

/// A signal's name, `SIGSEGV`; `SIG` and the number for one without a name (real-time signals).
pub fn signal_name(signal: i32) -> String {
    nix::sys::signal::Signal::try_from(signal).map_or_else(
        |_| format!("SIG{signal}"),
        |signal| signal.as_str().to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `doc/exit-codes.md` has each outcome with each reason that a run can give.
    #[test]
    fn the_document_names_every_outcome_and_reason() {
        let document = include_str!("../../doc/exit-codes.md");
        let table = document.split("## The order").next().unwrap_or_default();
        for kind in OutcomeKind::ALL {
            assert!(table.contains(&format!("| `{kind}` |", kind = kind.as_str())));
        }
        for outcome in [
            Outcome::Fail(FailReason::Exit(1)),
            Outcome::Fail(FailReason::Pids),
            Outcome::Fail(FailReason::OutputLimit),
            Outcome::Fail(FailReason::Leak),
            Outcome::Fail(FailReason::Limits),
            Outcome::Timeout(Clock::Wall),
            Outcome::Timeout(Clock::Cpu),
            Outcome::Crash(CrashCause::Worker),
            Outcome::Lost(LostCause::Engine),
            Outcome::Lost(LostCause::Worker),
            Outcome::NotRun(NotRunCause::Interrupted),
            Outcome::NotRun(NotRunCause::FailFast),
            Outcome::NotRun(NotRunCause::NoWorker),
        ] {
            let reason = outcome.reason().unwrap();
            assert!(table.contains(&format!("| `{reason}`")), "{outcome}");
        }
        // Those whose reason is their own word.
        for kind in ViolationKind::ALL {
            if !kind.is_promised() && !kind.ends_the_test() {
                let reason = Outcome::Fail(FailReason::Violation(kind)).reason().unwrap();
                assert!(table.contains(&format!(" `{reason}`")), "{reason}");
            }
        }
    }
}
