//! Violations in the real engines: what was found, and what the config makes of it.

use crate::engine_judge::{Judged, case, judge};
use crate::engines::{Engine, on_every_engine};
use crate::harness::{Project, Said};

on_every_engine! {
    what_a_test_leaves_is_named
    limits_that_are_reached_are_recorded
    a_timeout_says_what_the_test_did
    the_config_says_what_becomes_of_a_leak
    a_strict_level_is_stronger_than_the_config
}

/// `kind severity message` of each violation of the case of this name, in order.
fn violations(judged: &Judged, case: &str) -> Vec<String> {
    let rows = judged.project.rows(&format!(
        "select kind, severity, message from violations join tests using (test)
         where id glob 'test/[0-9][0-9]_{case}_test.sh' order by position"
    ));
    rows.into_iter().map(|row| row.join(" ")).collect()
}

/// One figure of the only violation of this kind.
fn figure(judged: &Judged, kind: &str, column: &str) -> String {
    let figures = format!("select {column} from violations where kind = '{kind}'");
    let rows = judged.project.rows(&figures);
    assert_eq!(rows.len(), 1, "{kind}");
    rows[0][0].clone()
}

fn what_a_test_leaves_is_named(on: &Engine) {
    let judged = judge(
        on,
        "",
        &[
            case("process", "pass", "setsid sleep 1000 & exit 0"),
            case(
                "segment",
                "pass",
                "perl -e 'defined shmget(77, 4096, 01666) or die $!'",
            ),
            case("queue", "pass", "\"$DOCKER_TEST\" probe mqueue make left"),
            case("beside", "pass", "printf 12345 >/dev/shm/x"),
            case("own", "pass", "printf 123 >\"$TMPDIR/x\""),
            case("mode", "pass", "chmod 700 /tmp"),
            case("nothing", "pass", "exit 0"),
        ],
    );
    for (name, expected) in [
        (
            "process",
            "leaked-process warning left behind: process sleep",
        ),
        ("segment", "leaked-ipc warning left behind: 1 SysV shm"),
        (
            "queue",
            "leaked-ipc warning left behind: message queue left",
        ),
        (
            "beside",
            "leaked-file warning left behind: 1 file in /dev/shm (5 B: x)",
        ),
        (
            "own",
            "leaked-file info left behind: 1 file in /tmp (3 B: x)",
        ),
        ("mode", "changed-worker warning changed attributes of /tmp"),
    ] {
        assert_eq!(violations(&judged, name), [expected]);
    }
    assert_eq!(violations(&judged, "nothing"), [""; 0]);
    let stdout = &judged.said.stdout;
    let lines = stdout.matches("  = warning: ").count();
    // The seven that look for a clean place leave something in /dev/shm themselves.
    assert_eq!(lines, 5 + 7, "{stdout}");
    assert!(stdout.contains("\n  leaked-ipc in 2 tests:\n"), "{stdout}");
}

fn limits_that_are_reached_are_recorded(on: &Engine) {
    let judged = judge(
        on,
        "default-profile: fast\nprofiles: { fast: { timeout: 30s, cpu-time: 20s, output: 1MiB } }",
        &[
            case("flood", "fail output-limit", "exec timeout 20 yes"),
            case(
                "forks",
                "pass",
                r#"perl -e 'for (1..200) { my $p = fork; exit 0 unless defined $p; if (!$p) { sleep 60; exit } }'; exit 0"#,
            ),
            case(
                "child_bomb",
                "its child takes all memory",
                r#"perl -e 'alarm 20; my @all; while (1) { my $x; open(Z, "<", "/dev/zero"); sysread(Z, $x, 4 << 20); push @all, $x }'; exit 0"#,
            ),
        ],
    );
    let expected = "output-limit error output went over its limit of 1 MiB";
    assert_eq!(violations(&judged, "flood"), [expected]);
    assert_eq!(figure(&judged, "output-limit", "threshold"), "1048576");
    let written: f64 = figure(&judged, "output-limit", "actual").parse().unwrap();
    assert!(written > 1_048_576.0, "{written}");
    assert_eq!(figure(&judged, "output-limit", "unit"), "bytes");

    let forks = violations(&judged, "forks");
    let refused = forks
        .iter()
        .any(|line| line.starts_with("pids-limit warning the pids limit of 64 refused "));
    let counted = judged.promises.text("counts refused processes") == "yes";
    assert_eq!(refused, counted, "{forks:?}");

    let bomb = violations(&judged, "child_bomb");
    if judged.promises.counted {
        let [over, kill] = bomb.as_slice() else {
            panic!("{bomb:?}")
        };
        assert!(
            over.starts_with("memory-over warning memory reached its limit of 128 MiB"),
            "{over}"
        );
        let line = "oom-kill error the kernel killed 1 process for want of memory; the test itself exited with 0";
        assert_eq!(kill, line);
    } else {
        assert!(
            !bomb.iter().any(|line| line.starts_with("oom-kill ")),
            "{bomb:?}"
        );
    }
}

fn a_timeout_says_what_the_test_did(on: &Engine) {
    let judged = judge(
        on,
        "default-profile: fast\nprofiles: { fast: { cpu-time: 20s } }",
        &[
            case("waits", "timeout wall", "exec sleep 30"),
            case("computes", "timeout wall", "while :; do :; done"),
            case("ends", "pass", "exit 0"),
        ],
    );
    assert_eq!(judged.of("waits", "timeout_state"), "idle");
    // A machine that is busy elsewhere may hold it back.
    let computes = judged.of("computes", "timeout_state");
    assert!(
        ["busy", "starved"].contains(&computes.as_str()),
        "{computes}"
    );
    assert_eq!(judged.of("ends", "timeout_state"), "NULL");
    let waits = violations(&judged, "waits");
    let [waits] = waits.as_slice() else {
        panic!("{waits:?}")
    };
    let expected = "wall error wall-clock time reached its limit of 2.00 s (idle: ";
    assert!(waits.starts_with(expected), "{waits}");
    let stdout = &judged.said.stdout;
    assert!(
        stdout.contains("  timeout wall   test/00_waits_test.sh (idle: "),
        "{stdout}"
    );
}

/// A test that leaves a process and one that leaves a file, under this config.
fn leaky(on: &Engine, config: &str) -> Project {
    on.project()
        .config(&format!("workers: 1\n{config}"))
        .test("process", "setsid sleep 1000 & exit 0")
        .test("shm", "echo x >/dev/shm/x")
}

fn run(on: &Engine, project: &Project) -> Said {
    project.run(on.run([]))
}

fn verdicts(project: &Project) -> Vec<String> {
    let verdicts = project.verdicts().into_iter();
    verdicts.map(|(_, verdict)| verdict).collect()
}

fn the_config_says_what_becomes_of_a_leak(on: &Engine) {
    let project = leaky(
        on,
        "violations: { leaked-process: fail, leaked-file: ignore }",
    );
    let said = run(on, &project);
    assert_eq!(
        (said.stderr.contains("violations"), said.status),
        (false, 1)
    );
    assert_eq!(verdicts(&project), ["fail leak", "pass"], "{said:?}");
    let rows = project.rows("select kind, severity from violations");
    assert_eq!(rows, [["leaked-process", "error"]]);
    assert!(
        said.stdout
            .contains("  = error: left behind: process sleep\n"),
        "{}",
        said.stdout
    );
    assert!(!said.stdout.contains("/dev/shm"), "{}", said.stdout);
    // What the reset found is a fact, whoever wants to know it.
    let leaks = project.query("select leaks from attempts where outcome = 'pass'");
    assert!(leaks.contains("/dev/shm"), "{leaks}");

    let project = leaky(
        on,
        "violations: { leaked-process: ignore, leaked-file: ignore }",
    );
    let said = run(on, &project);
    assert_eq!(said.status, 0, "{said:?}");
    assert_eq!(verdicts(&project), ["pass", "pass"]);
    assert_eq!(project.query("select count(*) from violations"), "0");
    assert!(!said.stdout.contains("warning"), "{}", said.stdout);
    assert_eq!(on.left_by(&project), Vec::<String>::new());
}

fn a_strict_level_is_stronger_than_the_config(on: &Engine) {
    let project = leaky(on, "violations: { leaked-process: ignore }");
    let strict = project.run(on.run(["--level", "strict"]));
    let note = "violations.leaked-process: ignore of docker-test.yaml stays fail: --level strict fails a test for it\n";
    // Where not all limits hold, the run ends before that matters.
    if strict.status != 3 {
        assert!(strict.stderr.contains(note), "{}", strict.stderr);
        assert_eq!(verdicts(&project), ["fail leak", "fail leak"]);
    }
    let said = project.run(on.run(["--level", "strict", "--allow-weaker"]));
    let note = "--allow-weaker: violations.leaked-process: ignore, although --level strict fails a test for it\n";
    assert!(said.stderr.contains(note), "{}", said.stderr);
    assert_eq!(verdicts(&project), ["pass", "fail leak"], "{said:?}");
}
