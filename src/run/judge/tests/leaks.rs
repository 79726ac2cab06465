//! What is left behind, and what is made of every kind.

use super::*;
use crate::model::{FailReason, Leak, Level};

fn files(outside: bool) -> Leak {
    Leak::Files {
        place: if outside { "/dev/shm" } else { "/tmp" }.into(),
        count: 2,
        bytes: 4096,
        outside,
        names: vec!["a b".into()],
    }
}

fn process(name: &str) -> Leak {
    Leak::Process { name: name.into() }
}

fn left(leaks: Vec<Leak>) -> Report {
    Report { leaks, ..report() }
}

#[test]
fn what_is_left_behind_is_named_by_kind() {
    let mut report = left(vec![
        Leak::Sockets { count: 2 },
        process("sleep"),
        files(false),
        process("a\u{1b}b"),
        process("sleep"),
        files(true),
        Leak::SysvIpc {
            what: "shm".into(),
            count: 3,
        },
        Leak::MessageQueue { name: "/q".into() },
        Leak::Attributes {
            place: "/tmp".into(),
        },
        Leak::Supervisor {
            what: "nice value".into(),
        },
    ]);
    report.unclean = Some("a mount\nwas changed".into());
    assert_eq!(
        found(&report),
        [
            r"leaked-process - 3 left behind: process sleep (2 times), process a\x1bb",
            "leaked-file - 4096 left behind: 2 files in /dev/shm (4 KiB: a b and 1 more)",
            "leaked-file - 4096 left behind: 2 files in /tmp (4 KiB: a b and 1 more)",
            "leaked-ipc - 4 left behind: 3 SysV shm, message queue /q",
            "leaked-socket - 2 left behind: 2 sockets",
            r"changed-worker - 3 changed attributes of /tmp, changed nice value of the supervisor, replaced: a mount\nwas changed",
        ]
    );
    let severities: Vec<_> = judged(&report)
        .violations
        .iter()
        .map(|v| v.severity)
        .collect();
    let own = severities
        .iter()
        .filter(|one| **one == ViolationSeverity::Info);
    assert_eq!(own.count(), 1);
}

#[test]
fn a_long_list_of_leaks_is_a_short_line() {
    let names = (0..100).map(|n| process(&format!("p{}", n / 2)));
    assert_eq!(
        judged(&left(names.collect())).violations[0].message,
        "left behind: process p0 (2 times), process p1 (2 times), process p2 (2 times), \
         process p3 (2 times), process p4 (2 times) and 90 more"
    );
}

/// One report for each kind that can turn a pass, and the reason that it gives.
fn turning() -> Vec<(Report, FailReason)> {
    let violation = FailReason::Violation;
    let mut growth = thirds(7, [1, 1, 50]);
    growth
        .iter_mut()
        .for_each(|one| one.open_files = one.threads.take());
    let one_process = samples(1, 10, |_, sample| {
        (sample.processes, sample.open_files) = (Some(1), Some(95));
    });
    let sysv = Leak::SysvIpc {
        what: "sem".into(),
        count: 1,
    };
    let supervisor = Leak::Supervisor {
        what: "affinity".into(),
    };
    vec![
        (exact_peak(120 * MIB), violation(ViolationKind::MemoryNear)),
        (exact_peak(128 * MIB), violation(ViolationKind::MemoryOver)),
        (burst(40, 0, 40, 99), violation(ViolationKind::CpuNear)),
        (
            sampled(one_process),
            violation(ViolationKind::OpenFilesNear),
        ),
        (
            used(|used| used.pids_limit_hits = Some(1)),
            FailReason::Pids,
        ),
        (left(vec![process("sleep")]), FailReason::Leak),
        (left(vec![files(true)]), FailReason::Leak),
        (left(vec![sysv]), FailReason::Leak),
        (left(vec![Leak::Sockets { count: 1 }]), FailReason::Leak),
        (left(vec![supervisor]), FailReason::Leak),
        (sampled(growth), violation(ViolationKind::OpenFileGrowth)),
        (
            sampled(thirds(7, [1, 1, 50])),
            violation(ViolationKind::ThreadGrowth),
        ),
    ]
}

#[test]
fn each_kind_is_ignored_warned_of_or_fails_as_it_is_said() {
    let mut kinds = Vec::new();
    for (report, reason) in turning() {
        let kind = judged(&report).violations[0].kind;
        let with = |response| {
            let mut responses = Responses::default();
            responses.set(kind, response);
            let Judgement {
                outcome,
                violations,
                ..
            } = judge(&report, &fast(), 0, &responses);
            let severities: Vec<_> = violations.iter().map(|v| v.severity).collect();
            (outcome, severities)
        };
        assert_eq!(with(Response::Ignore), (Outcome::Pass, vec![]), "{kind:?}");
        let warned = (Outcome::Pass, vec![ViolationSeverity::Warning]);
        assert_eq!(with(Response::Warn), warned, "{kind:?}");
        let failed = (Outcome::Fail(reason), vec![ViolationSeverity::Error]);
        assert_eq!(with(Response::Fail), failed, "{kind:?}");
        kinds.push(kind);
    }
    let mut all = ViolationKind::ALL.to_vec();
    all.retain(|kind| !kind.ends_the_test());
    assert_eq!(kinds, all);
}

#[test]
fn a_strict_level_fails_what_standard_warns_of() {
    let outcome = |report: &Report, level| judge(report, &fast(), 0, &Responses::of(level)).outcome;
    for (report, reason) in turning() {
        let promised = matches!(reason, FailReason::Leak | FailReason::Pids);
        let expected = if promised {
            Outcome::Fail(reason)
        } else {
            Outcome::Pass
        };
        assert_eq!(outcome(&report, Level::Standard), Outcome::Pass);
        assert_eq!(outcome(&report, Level::Strict), expected);
        assert_eq!(outcome(&report, Level::Paranoid), expected);
    }
    let unclean = Report {
        unclean: Some("a mount was changed".into()),
        ..report()
    };
    assert_eq!(outcome(&unclean, Level::Standard), Outcome::Pass);
    let failed = Outcome::Fail(FailReason::Leak);
    assert_eq!(outcome(&unclean, Level::Strict), failed);
}

#[test]
fn files_in_a_tests_own_folders_are_no_fault_whatever_is_said() {
    let own = left(vec![files(false)]);
    for response in [Response::Warn, Response::Fail] {
        let mut responses = Responses::default();
        responses.set(ViolationKind::LeakedFile, response);
        let judgement = judge(&own, &fast(), 0, &responses);
        assert_eq!(judgement.outcome, Outcome::Pass);
        assert_eq!(judgement.violations[0].severity, ViolationSeverity::Info);
    }
    let mut responses = Responses::default();
    responses.set(ViolationKind::LeakedFile, Response::Ignore);
    assert_eq!(judge(&own, &fast(), 0, &responses).violations, []);
}

#[test]
fn limits_that_count_against_a_worker_fail_its_tests() {
    let judgement = judge(&report(), &fast(), 2, &Responses::default());
    assert_eq!(judgement.outcome, Outcome::Fail(FailReason::Limits));
}
