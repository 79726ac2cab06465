//! Each kind, just there and just not.

mod leaks;
mod timeout;

use super::*;
use crate::model::{Clock, Resources, Sample, Source, StopReason, Termination, built_in_profiles};

const MIB: u64 = 1 << 20;

/// 1 processor, 128 MiB, 2 s, 1 s of CPU time, 100 open files, 64 processes.
fn fast() -> InForce {
    InForce {
        limits: built_in_profiles()["fast"].limits.clone(),
        memory_holds: true,
    }
}

fn report() -> Report {
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
        leaks: Vec::new(),
        reset_ns: 0,
        runnable_percent: None,
        unclean: None,
    }
}

fn used(change: impl FnOnce(&mut Resources)) -> Report {
    let mut report = report();
    change(&mut report.resources);
    report
}

fn judged(report: &Report) -> Judgement {
    judge(report, &fast(), 0, &Responses::default())
}

/// `kind threshold actual message` of each violation.
fn found(report: &Report) -> Vec<String> {
    let number = |figure: Option<f64>| figure.map_or("-".to_owned(), |figure| figure.to_string());
    let show = |violation: Violation| {
        let (threshold, actual) = (number(violation.threshold), number(violation.actual));
        let kind = violation.kind.as_str();
        format!("{kind} {threshold} {actual} {}", violation.message)
    };
    judged(report).violations.into_iter().map(show).collect()
}

fn exact_peak(bytes: u64) -> Report {
    used(|used| {
        used.memory_peak_bytes = Some(bytes);
        used.memory_peak_source = Some(Source::Cgroup);
    })
}

/// `count` samples, each this long after the one before.
fn samples(count: u64, step_us: u64, fill: impl Fn(u64, &mut Sample)) -> Vec<Sample> {
    let sample = |at| {
        let mut sample = Sample {
            time_us: at * step_us,
            ..Sample::default()
        };
        fill(at, &mut sample);
        sample
    };
    (1..=count).map(sample).collect()
}

fn sampled(series: Vec<Sample>) -> Report {
    Report { series, ..report() }
}

#[test]
fn nothing_measured_is_no_violation() {
    let judgement = judged(&report());
    assert_eq!(judgement.violations, []);
    assert_eq!(judgement.outcome, Outcome::Pass);
    assert_eq!(
        (judgement.statistics, judgement.timeout_state),
        (None, None)
    );
    let blind = sampled(samples(100, 50_000, |_, _| {}));
    assert_eq!(found(&blind), [""; 0]);
}

#[test]
fn memory_is_near_from_nine_tenths_on() {
    assert_eq!(
        found(&exact_peak(118 * MIB)),
        ["memory-near 120795955.2 123731968 memory reached 118 MiB of 128 MiB (92 %)"]
    );
    assert_eq!(found(&exact_peak(120_795_956)).len(), 1);
    assert_eq!(found(&exact_peak(120_795_955)), [""; 0]);
    let mut cached = exact_peak(118 * MIB);
    cached.resources.memory_file_bytes = Some(100 * MIB);
    assert_eq!(
        judged(&cached).violations[0].message,
        "memory reached 118 MiB of 128 MiB (92 %), 100 MiB of it page cache and tmpfs"
    );
}

#[test]
fn memory_is_over_where_not_a_page_was_left() {
    let over = "memory-over 134217728 134217728 memory reached its limit of 128 MiB";
    assert_eq!(found(&exact_peak(128 * MIB)), [over]);
    let peak = |below| found(&exact_peak(128 * MIB - below))[0].clone();
    assert!(peak(4096).starts_with("memory-over "));
    assert!(peak(4097).starts_with("memory-near "));
}

#[test]
fn a_sampled_peak_counts_and_a_bound_does_not() {
    let bound = used(|used| used.memory_peak_bound_bytes = Some(128 * MIB));
    assert_eq!(found(&bound), [""; 0]);
    let highest = used(|used| {
        used.memory_peak_bytes = Some(120 * MIB);
        used.memory_peak_source = Some(Source::Sampled);
        used.memory_peak_bound_bytes = Some(128 * MIB);
    });
    assert_eq!(
        found(&highest),
        ["memory-near 120795955.2 125829120 memory reached 120 MiB of 128 MiB (93 %)"]
    );
    let series = samples(2, 10, |at, sample| {
        sample.memory_bytes = Some(at * 60 * MIB)
    });
    assert_eq!(found(&sampled(series.clone())), found(&highest));
    // The exact one is known, so the samples are not asked.
    let both = Report {
        series,
        ..exact_peak(MIB)
    };
    assert_eq!(found(&both), [""; 0]);
}

#[test]
fn a_memory_limit_that_nothing_enforces_is_compared_and_told() {
    let none = InForce::of(&fast().limits, &Attestation::default());
    let at = |mib: u64| {
        let report = exact_peak(mib * MIB);
        let judgement = judge(&report, &none, 0, &Responses::default());
        judgement.violations[0].message.clone()
    };
    assert_eq!(
        at(120),
        "memory reached 120 MiB of 128 MiB (93 %), which is not enforced here"
    );
    assert_eq!(
        at(200),
        "memory reached 200 MiB of 128 MiB, which is not enforced here"
    );
}

#[test]
fn what_a_worker_read_back_is_what_is_compared() {
    let found = Attestation {
        memory_bytes: Some(64 * MIB),
        cpus: Some(0.5),
        pids: Some(10),
        ..Attestation::default()
    };
    let in_force = InForce::of(&fast().limits, &found);
    let limits = &in_force.limits;
    assert_eq!(
        (limits.memory_bytes, limits.cpus, limits.pids),
        (64 * MIB, 0.5, 10)
    );
    assert!(in_force.memory_holds);
}

#[test]
fn a_kill_says_how_the_test_itself_ended() {
    let mut killed = used(|used| used.oom_kills = Some(1));
    assert_eq!(
        found(&killed),
        [
            "memory-over 134217728 - memory reached its limit of 128 MiB, as a kill shows",
            "oom-kill - 1 the kernel killed 1 process for want of memory; the test itself exited with 0",
        ]
    );
    assert_eq!(judged(&killed).outcome, Outcome::Oom);
    killed.termination = Termination::Signal(9);
    killed.resources.oom_kills = Some(3);
    let message = judged(&killed).violations[1].message.clone();
    let expected =
        "the kernel killed 3 processes for want of memory; the test itself was ended by SIGKILL";
    assert_eq!(message, expected);
    // Its own limit was far: the machine had no memory left.
    let mut elsewhere = exact_peak(10 * MIB);
    elsewhere.resources.oom_kills = Some(1);
    let kinds: Vec<_> = judged(&elsewhere)
        .violations
        .iter()
        .map(|v| v.kind)
        .collect();
    assert_eq!(kinds, [ViolationKind::OomKill]);
    elsewhere.resources.oom_kills = Some(0);
    assert_eq!(found(&elsewhere), [""; 0]);
}

/// `percent` of one processor in samples from `from` to `to` (of 50 ms each), and nothing else.
fn burst(count: u64, from: u64, to: u64, percent: u64) -> Report {
    let burst = |at: u64| (at.clamp(from, to) - from) * 500 * percent;
    sampled(samples(count, 50_000, |at, sample| {
        sample.cpu_us = Some(burst(at))
    }))
}

#[test]
fn cpu_use_is_near_where_it_is_sustained() {
    assert_eq!(
        found(&burst(100, 30, 50, 96)),
        ["cpu-near 95 96 CPU use stayed at 96 % of 100 % for 1.00 s"]
    );
    assert_eq!(found(&burst(20, 0, 20, 95)).len(), 1);
    assert_eq!(found(&burst(100, 0, 100, 94)), [""; 0]);
    // 0.95 s, and too few samples for their span.
    assert_eq!(found(&burst(100, 30, 49, 99)), [""; 0]);
    assert_eq!(found(&burst(19, 0, 19, 100)), [""; 0]);
    // So the test as a whole counts, if it is long enough.
    for (wall, cpu, there) in [
        (1_000_000, Some(950_000), true),
        (1_000_000, Some(949_999), false),
        (999_999, Some(999_999), false),
        (2_000_000, None, false),
    ] {
        let mut whole = burst(5, 0, 5, 1);
        whole.resources.wall_us = wall;
        whole.resources.cpu_us = cpu;
        assert_eq!(found(&whole).len(), usize::from(there), "{wall} {cpu:?}");
    }
    // The samples know better.
    let mut both = burst(100, 0, 100, 50);
    both.resources.wall_us = 2_000_000;
    both.resources.cpu_us = Some(2_000_000);
    assert_eq!(found(&both), [""; 0]);
}

#[test]
fn two_processors_are_twice_as_many() {
    let mut in_force = fast();
    in_force.limits.cpus = 2.0;
    let near = |percent| {
        let report = burst(40, 0, 40, percent);
        judge(&report, &in_force, 0, &Responses::default()).violations
    };
    assert_eq!(near(189), []);
    assert_eq!(near(191)[0].threshold, Some(190.0));
}

#[test]
fn what_ended_a_test_is_told_with_its_limit() {
    let ended = |stopped| Report {
        stopped: Some(stopped),
        stdout_bytes: 60 << 20,
        stderr_bytes: 5 << 20,
        ..used(|used| (used.wall_us, used.cpu_us) = (2_100_000, Some(40_000)))
    };
    assert_eq!(
        found(&ended(StopReason::Timeout(Clock::Wall))),
        [
            "wall 2000000 2100000 wall-clock time reached its limit of 2.00 s (idle: 40 ms of CPU in 2.10 s)"
        ]
    );
    assert_eq!(
        found(&ended(StopReason::Timeout(Clock::Cpu))),
        ["cpu-time 1000000 40000 CPU time reached its limit of 1.00 s"]
    );
    assert_eq!(
        found(&ended(StopReason::OutputLimit)),
        ["output-limit 67108864 68157440 output went over its limit of 64 MiB"]
    );
    assert_eq!(found(&ended(StopReason::Interrupt)), [""; 0]);
    for violation in judged(&ended(StopReason::OutputLimit)).violations {
        assert_eq!(violation.severity, ViolationSeverity::Error);
    }
}

#[test]
fn open_files_are_near_where_one_process_must_have_so_many() {
    let tree = |processes, open_files| {
        sampled(samples(3, 10, |at, sample| {
            sample.processes = Some(processes).filter(|_| at == 2);
            sample.open_files = Some(open_files);
        }))
    };
    assert_eq!(
        found(&tree(1, 90)),
        ["open-files-near 90 90 it had 90 of 100 open files"]
    );
    assert_eq!(found(&tree(1, 89)), [""; 0]);
    assert_eq!(
        found(&tree(3, 290)),
        [
            "open-files-near 90 96.66666666666667 its 3 processes had 97 of 100 open files each, on average"
        ]
    );
    // Nobody knows whose they are.
    assert_eq!(found(&tree(3, 269)), [""; 0]);
    assert_eq!(found(&tree(0, 500)), [""; 0]);
}

#[test]
fn a_refused_fork_is_the_pids_limit() {
    let report = used(|used| used.pids_limit_hits = Some(12));
    let expected = ["pids-limit 64 64 the pids limit of 64 refused 12 forks"];
    assert_eq!(found(&report), expected);
    for hits in [Some(0), None] {
        assert_eq!(found(&used(|used| used.pids_limit_hits = hits)), [""; 0]);
    }
}

/// A third of the samples with each of these.
fn thirds(each: u64, values: [u64; 3]) -> Vec<Sample> {
    samples(3 * each, 1000, |at, sample| {
        sample.threads = Some(values[((at - 1) / each) as usize]);
    })
}

#[test]
fn growth_is_from_the_first_third_to_the_last() {
    assert_eq!(
        found(&sampled(thirds(7, [20, 0, 36]))),
        ["thread-growth 36 36 threads rose from 20 to 36 while it ran"]
    );
    assert_eq!(
        found(&sampled(thirds(7, [20, 500, 35]))),
        [""; 0],
        "too few more"
    );
    assert_eq!(
        found(&sampled(thirds(7, [100, 0, 150]))),
        [""; 0],
        "no more than half"
    );
    assert_eq!(found(&sampled(thirds(7, [100, 0, 151]))).len(), 1);
    assert_eq!(
        found(&sampled(thirds(6, [1, 1, 500]))),
        [""; 0],
        "18 samples"
    );
    let mut files = thirds(7, [5, 5, 50]);
    for sample in &mut files {
        sample.open_files = sample.threads.take();
    }
    assert_eq!(
        found(&sampled(files.clone())),
        ["open-file-growth 21 50 open files rose from 5 to 50 while it ran"]
    );
    // Only samples that looked count.
    for sample in files.iter_mut().step_by(10) {
        sample.open_files = None;
    }
    assert_eq!(found(&sampled(files)), [""; 0]);
}
