//! From a worker's report to what is made of it: violations, the outcome, what a test did when its
//! time ran out. Pure. `doc/violations.md` has each kind with what is compared.

mod growth;
mod leaks;
mod reached;
#[cfg(test)]
mod tests;
mod timeout;

use crate::model::{
    Evidence, Limits, Outcome, Response, Responses, Statistics, TimeoutState, Violation,
    ViolationKind, ViolationSeverity, classify,
};
use crate::protocol::{Attestation, Report};

/// The limits that a worker's tests are measured against.
#[derive(Clone, Debug, PartialEq)]
pub struct InForce {
    /// Those that the worker read back; where it found none, the profile's as this machine can give
    /// them.
    limits: Limits,
    /// Whether the memory limit is one that was read back.
    memory_holds: bool,
}

impl InForce {
    /// What holds in a worker that found this.
    pub fn of(given: &Limits, found: &Attestation) -> Self {
        let mut limits = given.clone();
        limits.memory_bytes = found.memory_bytes.unwrap_or(limits.memory_bytes);
        limits.cpus = found.cpus.unwrap_or(limits.cpus);
        limits.pids = found.pids.unwrap_or(limits.pids);
        InForce {
            limits,
            memory_holds: found.memory_bytes.is_some(),
        }
    }
}

/// What is made of a report.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// What happened to the attempt.
    pub outcome: Outcome,
    /// Of its samples; absent where there is none.
    pub statistics: Option<Statistics>,
    /// In the order of the kinds.
    pub violations: Vec<Violation>,
    /// What it did when its wall-clock time ran out; absent where it did not, or nothing says.
    pub timeout_state: Option<TimeoutState>,
}

/// Judges a report from a worker with so many limits that count against its tests.
pub fn judge(
    report: &Report,
    in_force: &InForce,
    limit_failures: usize,
    responses: &Responses,
) -> Judgement {
    let statistics = (!report.series.is_empty()).then(|| Statistics::of(&report.series));
    let timeout_state = timeout::state(report, &in_force.limits);
    let mut findings = reached::find(report, statistics.as_ref(), in_force, timeout_state);
    findings.extend(leaks::find(report));
    findings.extend(growth::find(&report.series));
    let mut violations: Vec<Violation> = findings
        .into_iter()
        .filter_map(|finding| finding.judged(responses))
        .collect();
    violations.sort_by_key(|violation| violation.kind);
    let is_failure = |violation: &&Violation| violation.severity == ViolationSeverity::Error;
    let failures = violations.iter().filter(is_failure);
    let outcome = classify(&Evidence {
        termination: report.termination,
        stopped: report.stopped,
        oom_kills: report.resources.oom_kills,
        limit_failures,
        failures: failures.map(|violation| violation.kind).collect(),
    });
    Judgement {
        outcome,
        statistics,
        violations,
        timeout_state,
    }
}

/// Something that was found, before anybody says how much it matters.
struct Finding {
    kind: ViolationKind,
    threshold: Option<f64>,
    actual: Option<f64>,
    message: String,
    /// It is no fault: good to know, and no more.
    fact: bool,
}

impl Finding {
    fn judged(self, responses: &Responses) -> Option<Violation> {
        let severity = match responses.to(self.kind) {
            Response::Ignore => return None,
            _ if self.fact => ViolationSeverity::Info,
            Response::Warn => ViolationSeverity::Warning,
            Response::Fail => ViolationSeverity::Error,
        };
        Some(Violation {
            kind: self.kind,
            severity,
            threshold: self.threshold,
            actual: self.actual,
            message: self.message,
        })
    }
}
