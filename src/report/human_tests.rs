//! The whole report of hand-made runs.

use super::*;
use crate::event::Notice;
use crate::model::{
    Clock, CrashCause, FailReason, LostCause, NotRunCause, Outcome, Source, ViolationKind,
    ViolationSeverity,
};
use crate::report::fixtures::{
    Answer, Scripted, Shared, attempt as pass, captured, ended, finished, full_attempt, limit,
    notice, run_finished, run_started, violation, warning, worker_started,
};

const RECORD: &str = "test-results/docker-test.db";

/// A look for a log: a line for every test.
pub(super) fn log() -> Options {
    Options {
        every_test: true,
        record: Some(RECORD.into()),
        ..Options::default()
    }
}

/// stdout and stderr of the events.
pub(super) fn report(options: Options, events: &[Event]) -> (String, String) {
    let (stdout, stderr) = (Shared::default(), Shared::default());
    let mut human = Human::new(options, Box::new(stdout.clone()), Box::new(stderr.clone()));
    human.take(events).unwrap();
    (stdout.text(), stderr.text())
}

fn failure(id: &str) -> Attempt {
    Attempt {
        stdout: captured("one\n"),
        stderr: captured("two\nthree"),
        ..ended(id, Outcome::Fail(FailReason::Exit(1)))
    }
}

#[test]
fn a_small_green_run() {
    let events = [
        run_started(&["a", "b"]),
        finished(pass("a")),
        finished(ended("b", Outcome::Skip)),
        run_finished(None),
    ];
    let (stdout, stderr) = report(log(), &events);
    assert_eq!(
        stdout,
        "\
Running 2 tests in 2 workers with docker (isolation)
pass           [   12 ms] a
skip           [   12 ms] b

2 tests in 1.25 s: 1 pass, 1 skip
record: test-results/docker-test.db, run 0123456789abcdef
"
    );
    assert_eq!(stderr, "");
}

#[test]
fn every_kind_of_end() {
    let mut lost = ended("test/lost", Outcome::Lost(LostCause::Engine));
    lost.superseded = true;
    lost.resources = None;
    let mut again = pass("test/lost");
    again.attempt = 2;
    again.violations = vec![
        warning(
            ViolationKind::MemoryNear,
            "memory reached 118 MiB of 128 MiB (92 %)",
        ),
        warning(ViolationKind::LeakedIpc, "left behind: 1 SysV shm"),
        warning(ViolationKind::LeakedSocket, "left behind: 2 sockets"),
        warning(ViolationKind::ChangedWorker, "changed attributes of /tmp"),
    ];
    let mut hungry = ended("test/oom", Outcome::Oom);
    if let Some(used) = &mut hungry.resources {
        used.memory_peak_bytes = Some(128 << 20);
        used.memory_peak_source = Some(Source::Cgroup);
    }
    let mut crash = ended("test/crash", Outcome::Crash(CrashCause::Signal(11)));
    if let Some(used) = &mut crash.resources {
        used.memory_peak_bound_bytes = Some(40 << 20);
    }
    let tests = [
        "test/a",
        "test/b",
        "test/lost",
        "test/oom",
        "test/crash",
        "test/b_test.sh",
        "x",
    ];
    let events = [
        run_started(&tests),
        finished(pass("test/a")),
        finished(failure("test/b")),
        finished(lost),
        finished(hungry),
        finished(crash),
        finished(full_attempt()),
        finished(again),
        finished(ended("x", Outcome::NotRun(NotRunCause::Interrupted))),
        run_finished(Some(2)),
    ];
    let (stdout, _) = report(log(), &events);
    assert_eq!(
        stdout,
        r"Running 7 tests in 2 workers with docker (isolation)
pass           [   12 ms] test/a
fail exit(1)   [   12 ms] test/b
  = profile standard, image isolation, worker 1
  stdout, 4 B:
  | one
  stderr, 9 B:
  | two
  | three
lost engine    [       -] test/lost (attempt 1, runs again)
  = profile standard, image isolation, worker 1
oom            [   12 ms] test/oom
  = profile standard, image isolation, worker 1, peak memory 128 MiB (cgroup)
crash SIGSEGV  [   12 ms] test/crash
  = profile standard, image isolation, worker 1, peak memory at most 40 MiB
timeout wall   [ 10.00 s] test/b_test.sh (attempt 2)
  = profile standard, image isolation, worker 2, CPU time 420 ms, peak memory 24 MiB (cgroup)
  = SIGTERM was not enough: killed
  = error: wall-clock time reached its limit of 10.00 s (idle: 420 ms of CPU in 10.00 s)
  = warning: left behind: process sleep
  stdout, 8 B:
  | waiting
  stderr, 1 MiB:
  | \xff
  ... 1 MiB left out, see test-results/docker-test.db ...
  | end
pass           [   12 ms] test/lost (attempt 2)
  = warning: memory reached 118 MiB of 128 MiB (92 %); left behind: 1 SysV shm, 2 sockets; changed attributes of /tmp

slowest:
    10.00 s test/b_test.sh
      12 ms test/a
      12 ms test/b
      12 ms test/oom
      12 ms test/crash

hungriest (peak memory):
    128 MiB (cgroup) test/oom
     24 MiB (cgroup) test/b_test.sh

flaky (passed on a later attempt):
  test/lost (attempt 2)

warnings:
  memory-near in 1 test:
    test/lost: memory reached 118 MiB of 128 MiB (92 %)
  leaked-process in 1 test:
    test/b_test.sh: left behind: process sleep
  leaked-ipc in 1 test:
    test/lost: left behind: 1 SysV shm
  leaked-socket in 1 test:
    test/lost: left behind: 2 sockets
  changed-worker in 1 test:
    test/lost: changed attributes of /tmp

not good:
  fail exit(1)   test/b
  oom            test/oom
  crash SIGSEGV  test/crash
  timeout wall   test/b_test.sh (idle: 420 ms of CPU in 10.00 s)

interrupted by SIGINT
7 tests in 1.25 s: 2 pass (1 flaky), 1 fail, 1 timeout, 1 oom, 1 crash, 1 not-run
record: test-results/docker-test.db, run 0123456789abcdef
"
    );
}

#[test]
fn a_terminal_shows_only_what_is_not_good() {
    let options = Options {
        every_test: false,
        record: None,
        ..log()
    };
    let events = [
        run_started(&["a", "b", "c"]),
        finished(pass("a")),
        finished(ended("b", Outcome::Timeout(Clock::Cpu))),
        run_finished(None),
    ];
    let (stdout, _) = report(options, &events);
    assert_eq!(
        stdout,
        "\
Running 3 tests in 2 workers with docker (isolation)
timeout cpu    [   12 ms] b
  = profile standard, image isolation, worker 1

not good:
  timeout cpu    b

3 tests in 1.25 s: 1 pass, 1 timeout, 1 without a result
"
    );
}

#[test]
fn colour_marks_words_and_ends_in_its_line() {
    let paint = Paint::new(true);
    let options = Options {
        stdout: paint,
        stderr: paint,
        ..log()
    };
    let events = [
        run_started(&["a", "b"]),
        notice("x"),
        finished(pass("a")),
        finished(failure("b")),
        run_finished(None),
    ];
    let (stdout, stderr) = report(options, &events);
    assert_eq!(stderr, "\x1b[33mwarning:\x1b[0m x\n");
    assert_eq!(
        stdout,
        "\
Running 2 tests in 2 workers with docker (isolation)
\x1b[32mpass          \x1b[0m [   12 ms] a
\x1b[31;1mfail exit(1)  \x1b[0m [   12 ms] b
  = profile standard, image isolation, worker 1
  stdout, 4 B:
  | one
  stderr, 9 B:
  | two
  | three

\x1b[1mnot good:\x1b[0m
  fail exit(1)   b

2 tests in 1.25 s: \x1b[32m1 pass\x1b[0m, \x1b[31;1m1 fail\x1b[0m
record: test-results/docker-test.db, run 0123456789abcdef
"
    );
}

#[test]
fn notices_go_to_stderr_and_limits_are_said_once() {
    let limits = || {
        worker_started(vec![
            limit("memory", LimitState::Enforced, "512 MiB"),
            limit("cpus", LimitState::Clamped, "2"),
            limit("pids", LimitState::Unenforced, "none"),
        ])
    };
    let info = Event::Notice(Notice {
        severity: Severity::Info,
        message: "good\nto know".into(),
    });
    let (stdout, stderr) = report(log(), &[limits(), limits(), info]);
    assert_eq!(stdout, "");
    assert_eq!(
        stderr,
        "\
note: profile standard: cpus is clamped to what the machine has (found: 2)
warning: limits that do not hold here: pids (profile standard)
note: good\\nto know
"
    );
}

/// A run whose head has this level, and a worker without a pids limit, twice.
fn unlimited(level: Level, allow_weaker: bool) -> String {
    let mut head = run_started(&["a"]);
    if let Event::RunStarted(head) = &mut head {
        (head.level, head.allow_weaker) = (level, allow_weaker);
    }
    let limits = || {
        worker_started(vec![
            limit("memory", LimitState::Unenforced, "none"),
            limit("swap", LimitState::Enforced, "0"),
            limit("pids", LimitState::Unenforced, "none"),
        ])
    };
    report(log(), &[head, limits(), limits()]).1
}

#[test]
fn limits_that_do_not_hold_are_told_once_as_the_level_takes_them() {
    assert_eq!(
        unlimited(Level::Standard, false),
        "warning: limits that do not hold here: memory, pids (profile standard)\n"
    );
    assert_eq!(
        unlimited(Level::Strict, true),
        "warning: level strict is weaker here, without: memory, pids (profile standard)\n"
    );
    // It ends the run, with an error of its own.
    assert_eq!(unlimited(Level::Strict, false), "");
}

#[test]
fn the_head_names_what_is_not_as_by_default() {
    let mut head = run_started(&["a"]);
    if let Event::RunStarted(head) = &mut head {
        (head.level, head.network) = (Level::Paranoid, Network::Internal);
    }
    assert_eq!(
        report(log(), &[head]).0,
        "Running 1 test in 2 workers with docker (isolation), level paranoid, network internal\n"
    );
}

/// As many tests with a line each, and one with an error that turned nothing.
#[test]
fn a_flood_of_warnings_is_grouped() {
    let warned = |n: u64| {
        let mut attempt = pass(&format!("t{n}"));
        attempt.violations = vec![warning(ViolationKind::CpuNear, "CPU use stayed up")];
        finished(attempt)
    };
    let mut events = vec![run_started(&[])];
    events.extend((0..4000).map(warned));
    let mut skipped = ended("skipped", Outcome::Skip);
    let message = "left behind: process a";
    let leak = ViolationKind::LeakedProcess;
    skipped.violations = vec![
        violation(leak, ViolationSeverity::Error, None, 1.0, message),
        violation(leak, ViolationSeverity::Info, None, 1.0, "nobody sees this"),
    ];
    events.push(finished(skipped));
    let (stdout, _) = report(log(), &events);
    assert_eq!(
        stdout.matches("  = warning: CPU use stayed up\n").count(),
        20
    );
    assert!(
        stdout
            .ends_with("skip           [   12 ms] skipped\n  = warning: left behind: process a\n")
    );
    let (stdout, _) = report(log(), &[events, vec![run_finished(None)]].concat());
    let summary = stdout.split("warnings:\n").nth(1).unwrap();
    let summary = summary.split("\n\n").next().unwrap();
    assert_eq!(
        summary,
        "  cpu-near in 4000 tests:
    t0: CPU use stayed up
    t1: CPU use stayed up
    t2: CPU use stayed up
    ... and 3997 more
  leaked-process in 1 test:
    skipped: left behind: process a"
    );
    assert!(!stdout.contains("nobody sees this"));
}

#[test]
fn no_test_at_all() {
    let (stdout, _) = report(log(), &[run_started(&[]), run_finished(None)]);
    assert!(stdout.ends_with(
        "\n0 tests in 1.25 s\nrecord: test-results/docker-test.db, run 0123456789abcdef\n"
    ));
}

#[test]
fn a_reader_that_left_does_not_stop_the_run() {
    let broken = Scripted::new([Answer::Error(std::io::ErrorKind::BrokenPipe)]);
    let stderr = Shared::default();
    let mut human = Human::new(log(), Box::new(broken), Box::new(stderr.clone()));
    human
        .take(&[run_started(&["a"]), finished(pass("a"))])
        .unwrap();
    human
        .take(&[notice("still here"), run_finished(None)])
        .unwrap();
    assert_eq!(stderr.text(), "warning: still here\n");
}

#[test]
fn a_full_disk_stops_the_run_and_a_full_stderr_does_not() {
    let full = || {
        Box::new(
            std::fs::File::options()
                .write(true)
                .open("/dev/full")
                .unwrap(),
        )
    };
    let mut human = Human::new(log(), full(), Box::new(Shared::default()));
    assert!(human.take(&[run_started(&["a"])]).is_err());
    let mut human = Human::new(log(), Box::new(Shared::default()), full());
    assert!(human.take(&[notice("a")]).is_ok());
}

#[test]
fn the_usual_looks() {
    let environment = Environment::default();
    let path = Path::new("a\x1b");
    let look = |environment: &Environment, stdout, stderr, verbose| {
        let terminals = Terminals { stdout, stderr };
        Options::new(
            ColorChoice::Auto,
            environment,
            terminals,
            verbose,
            Some(path),
        )
    };
    let terminal = look(&environment, true, true, false);
    assert!(terminal.progress && !terminal.every_test);
    assert_eq!(terminal.stdout, Paint::new(true));
    assert_eq!(terminal.record.as_deref(), Some(r"a\x1b"));
    assert_eq!(terminal.github_token, None);
    assert!(look(&environment, true, true, true).every_test);
    let piped = look(&environment, false, true, false);
    assert!(piped.progress && piped.every_test);
    assert_eq!(
        (piped.stdout, piped.stderr),
        (Paint::new(false), Paint::new(true))
    );
    let quiet_stderr = look(&environment, true, false, false);
    assert!(!quiet_stderr.progress && quiet_stderr.every_test);
    let github = Environment {
        github_actions: true,
        ..environment
    };
    let token = || look(&github, false, false, false).github_token.unwrap();
    assert_eq!(token().len(), 32);
    assert_ne!(token(), token());
}

#[test]
fn github_obeys_nothing_between_the_marks() {
    let options = Options {
        github_token: Some("t0ken".into()),
        ..log()
    };
    let (stdout, _) = report(
        options,
        &[finished(failure("a")), finished(ended("b", Outcome::Oom))],
    );
    assert_eq!(
        stdout,
        "\
fail exit(1)   [   12 ms] a
  = profile standard, image isolation, worker 1
::stop-commands::t0ken
  stdout, 4 B:
  | one
  stderr, 9 B:
  | two
  | three
::t0ken::
oom            [   12 ms] b
  = profile standard, image isolation, worker 1
"
    );
}

/// 100,000 failures that write a lot: what is kept stays small.
#[test]
fn memory_is_bounded() {
    let options = Options {
        record: None,
        ..log()
    };
    let mut human = Human::new(
        options,
        Box::new(std::io::sink()),
        Box::new(std::io::sink()),
    );
    let event = finished(failure("a"));
    for _ in 0..100_000 {
        human.take(std::slice::from_ref(&event)).unwrap();
    }
    assert_eq!(human.totals.bad(), 100_000);
    assert_eq!(human.totals.not_good.kept.len(), 1_000);
    assert!(human.pending.capacity() < 2 * CHUNK);
}
