//! Whole runs with `--engine host`: what is printed, recorded and returned, without any engine.

use serde_json::Value;

use crate::harness::{PATIENCE, PROGRAM, Project, Said, wait_until};
use crate::redact::{redact, same};

/// What every run with `--engine host` says first.
const LOUD: &str = "warning: --engine host: no container, no isolation, no limits on memory or \
                    processes; for comparison and debugging only\n";

/// A docker that must not be called.
pub const NEVER: &str = "echo \"$@\" >> \"$(dirname \"$0\")/calls\"; exit 1";

/// The calls that a docker which writes them down has had.
pub fn calls(project: &Project) -> Vec<String> {
    let path = project.path().join(".fake/calls");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// One test of each ending.
pub fn endings() -> Project {
    Project::new()
        .fake_docker(NEVER)
        .config(
            "suite: {exclude: ['test/slow/**']}\n\
             profiles: {small: {output: 10B}, short: {timeout: 1s}}\n\
             rules:\n\
             - {path: test/loud_test.sh, profile: small}\n\
             - {path: test/wait_test.sh, profile: short}\n",
        )
        .test("good", "echo fine")
        .test("bad", "echo out; printf 'no newline' >&2; exit 3")
        .test("skip", "echo later; exit 77")
        .test("crash", "kill -SEGV $$")
        .test("loud", "echo 12345678901; sleep 1000")
        .test("wait", "sleep 1000")
}

pub const HOST: [&str; 3] = ["run", "--engine", "host"];

fn host(project: &Project, more: &[&str]) -> Said {
    project.run(HOST.iter().chain(more))
}

#[test]
fn every_ending_as_a_person_sees_it() {
    let project = endings();
    let said = host(&project, &["--workers", "1"]);
    assert_eq!(said.status, 1);
    assert_eq!(said.stderr, LOUD);
    let (tests, rest) = said.stdout.split_once("\nslowest:\n").unwrap();
    let (slowest, rest) = rest.split_once("\n\n").unwrap();
    assert_eq!(slowest.lines().count(), 5);
    assert!(
        slowest
            .lines()
            .next()
            .unwrap()
            .ends_with(" test/wait_test.sh"),
        "{slowest}"
    );
    same(
        &redact(&format!("{tests}\n{rest}"), &project),
        "\
Running 6 tests in 1 worker with host
fail output-limit [<time>] test/loud_test.sh
  = profile small, image none, worker <n>, CPU time <time>
  = error: output went over its limit of 10 B
  stdout, 12 B:
  | 12345678901
fail exit(3)   [<time>] test/bad_test.sh
  = profile standard, image none, worker <n>, CPU time <time>
  stdout, 4 B:
  | out
  stderr, 10 B:
  | no newline
crash SIGSEGV  [<time>] test/crash_test.sh
  = profile standard, image none, worker <n>, CPU time <time>
pass           [<time>] test/good_test.sh
skip           [<time>] test/skip_test.sh
timeout wall   [<time>] test/wait_test.sh
  = profile short, image none, worker <n>, CPU time <time>
  = error: wall-clock time reached its limit of <time> (idle: <time> of CPU in <time>)

not good:
  fail output-limit test/loud_test.sh
  fail exit(3)   test/bad_test.sh
  crash SIGSEGV  test/crash_test.sh
  timeout wall   test/wait_test.sh (idle: <time> of CPU in <time>)

6 tests in <time>: 1 pass, 2 fail, 1 timeout, 1 crash, 1 skip
record: <project>/test-results/docker-test.db, run <run>
",
    );
    let verdicts = [
        ("bad", "fail exit(3)"),
        ("crash", "crash SIGSEGV"),
        ("good", "pass"),
        ("loud", "fail output-limit"),
        ("skip", "skip"),
        ("wait", "timeout wall"),
    ];
    let verdicts =
        verdicts.map(|(name, verdict)| (format!("test/{name}_test.sh"), verdict.to_owned()));
    assert_eq!(project.verdicts(), verdicts);
    assert!(calls(&project).is_empty(), "{:?}", calls(&project));
}

#[test]
fn exit_statuses_of_runs() {
    let project = Project::new().test("good", "").test("skip", "exit 77");
    assert_eq!(host(&project, &[]).status, 0);
    let project = project.test("bad", "exit 1");
    assert_eq!(host(&project, &[]).status, 1);
    assert_eq!(host(&project, &["--filter", "good"]).status, 0);
    assert_eq!(host(&project, &["--filter", "nothing"]).status, 4);
    assert_eq!(host(&project, &["missing"]).status, 2);
    assert_eq!(
        host(
            &project.file("test-results/docker-test.db", "no database"),
            &[]
        )
        .status,
        5
    );
    let nobody = Project::new()
        .test("good", "")
        .env("DOCKER_TEST_DOCKER", "/nonexistent/docker");
    assert_eq!(nobody.run(["run"]).status, 3);
}

#[test]
fn fail_fast_starts_nothing_further() {
    let project = Project::new()
        .test("a", "exit 1")
        .test("b", "touch \"$DOCKER_TEST_ID.ran\"")
        .test("c", "touch \"$DOCKER_TEST_ID.ran\"");
    let said = host(&project, &["--fail-fast", "--workers", "1"]);
    assert_eq!(said.status, 1);
    let verdicts: Vec<String> = project.verdicts().into_iter().map(|pair| pair.1).collect();
    assert_eq!(
        verdicts,
        ["fail exit(1)", "not-run fail-fast", "not-run fail-fast"]
    );
    assert!(!project.path().join("test/b_test.sh.ran").exists());
    assert!(said.stdout.contains("3 tests in "), "{}", said.stdout);
    assert!(
        said.stdout.contains(": 1 fail, 2 not-run\n"),
        "{}",
        said.stdout
    );
}

#[test]
fn paths_and_filters_choose() {
    let project = Project::new()
        .test("unit/a", "")
        .test("unit/b", "")
        .test("other/a", "")
        .file("scripts/odd.sh", "");
    let ran = |more: &[&str]| -> Vec<String> {
        assert_eq!(host(&project, more).status, 0, "{more:?}");
        project.verdicts().into_iter().map(|pair| pair.0).collect()
    };
    assert_eq!(
        ran(&["test/unit"]),
        ["test/unit/a_test.sh", "test/unit/b_test.sh"]
    );
    assert_eq!(
        ran(&["--filter", "/a_"]),
        ["test/other/a_test.sh", "test/unit/a_test.sh"]
    );
    assert_eq!(ran(&["--filter", "test/un*/b*"]), ["test/unit/b_test.sh"]);
    assert_eq!(
        ran(&["test/unit", "--filter", "a_"]),
        ["test/unit/a_test.sh"]
    );
    assert_eq!(ran(&["scripts/odd.sh"]), ["scripts/odd.sh"]);
    assert_eq!(
        ran(&["test/unit/a_test.sh", "./test/unit//a_test.sh"]),
        ["test/unit/a_test.sh"]
    );
}

#[test]
fn tests_have_only_the_environment_that_they_are_given() {
    let project = Project::new()
        .config("suite: {env: {FROM_CONFIG: 1, TWICE: config}}")
        .env("SECRET", "x")
        .env("TAKEN", "from here")
        .test("env", "env | sort; exit 1");
    let said = host(
        &project,
        &[
            "--env",
            "TAKEN",
            "--env",
            "TWICE=line",
            "--env",
            "A= b=c ",
            "--env",
            "NOT_SET",
            "--env=EMPTY=",
        ],
    );
    assert_eq!(said.status, 1);
    let names: Vec<&str> = said
        .stdout
        .lines()
        .filter_map(|line| line.strip_prefix("  | "))
        // A shell sets these itself; the folders have random names.
        .filter(|line| {
            !["PWD=", "OLDPWD=", "_=", "SHLVL="]
                .iter()
                .any(|own| line.starts_with(own))
        })
        .map(|line| {
            if line.starts_with("HOME=") || line.starts_with("TMPDIR=") {
                line.split('=').next().unwrap()
            } else {
                line
            }
        })
        .collect();
    assert_eq!(
        names,
        [
            "A= b=c ",
            &format!("DOCKER_TEST={PROGRAM}"),
            "DOCKER_TEST_ID=test/env_test.sh",
            "DOCKER_TEST_PROFILE=standard",
            "DOCKER_TEST_WORKER=1",
            "EMPTY=",
            "FROM_CONFIG=1",
            "HOME",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "TAKEN=from here",
            "TMPDIR",
            "TWICE=line",
        ]
    );
}

#[test]
fn a_timeout_on_the_command_line_holds_for_every_test() {
    let project = Project::new().test("wait", "sleep 1000").test(
        "stubborn",
        "# @fast\ntrap '' TERM; sleep 1000 & wait; sleep 1000",
    );
    let said = host(&project, &["--timeout", "50ms"]);
    assert_eq!(said.status, 1);
    assert!(
        project
            .verdicts()
            .iter()
            .all(|pair| pair.1 == "timeout wall"),
        "{said:?}"
    );
    assert!(
        said.stdout.contains("  = SIGTERM was not enough: killed\n"),
        "{}",
        said.stdout
    );
}

/// Of all processes together, where no cgroup counts them too.
#[test]
fn cpu_time_that_runs_out_is_a_timeout() {
    let project = Project::new()
        .fake_docker(NEVER)
        .config("profiles: {standard: {cpu-time: 1s, timeout: 60s}}")
        .test("spin", "while :; do :; done")
        .test("deaf", "trap '' XCPU; while :; do :; done")
        .test("child", "(while :; do :; done); exit 0")
        .test("shared", "(while :; do :; done) & while :; do :; done")
        .test(
            "orphan",
            "(setsid sh -c 'while :; do :; done' &); sleep 1000",
        );
    let said = host(&project, &[]);
    assert_eq!(said.status, 1, "{said:?}");
    let sql = "select group_concat(distinct outcome || ' ' || reason) from attempts";
    assert_eq!(project.query(sql), "timeout cpu");
}

#[test]
fn workers_are_as_many_as_asked_for_and_useful() {
    let project = Project::new().test("a", "").test("b", "").test("c", "");
    for (asked, head) in [
        ("1", "Running 3 tests in 1 worker with host\n"),
        ("2", "Running 3 tests in 2 workers with host\n"),
        ("1024", "Running 3 tests in 3 workers with host\n"),
    ] {
        let said = host(&project, &["--workers", asked]);
        assert!(said.stdout.starts_with(head), "{asked}: {}", said.stdout);
    }
    let project = project.config("workers: 2");
    let said = host(&project, &[]);
    assert!(
        said.stdout.starts_with("Running 3 tests in 2 workers"),
        "{}",
        said.stdout
    );
}

#[test]
fn two_tests_that_are_held_run_at_the_same_time() {
    // Each waits for the other, so they pass only together.
    let meet = "mkdir -p meet; touch \"meet/$(basename $0)\"; \
                until [ $(ls meet | wc -l) = 2 ]; do sleep 0.01; done";
    let project = Project::new().test("a", meet).test("b", meet);
    assert_eq!(host(&project, &["--workers", "2", "--hold", "2"]).status, 0);
}

#[test]
fn events_as_json_in_order() {
    let project = endings();
    let said = host(&project, &["--message-format", "json"]);
    assert_eq!((said.stderr.as_str(), said.status), ("", 1));
    let events: Vec<Value> = said
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let kind = |event: &Value| event["event"].as_str().unwrap().to_owned();
    let kinds: Vec<String> = events.iter().map(kind).collect();
    assert_eq!(kinds.first().unwrap(), "run-started");
    assert_eq!(kinds.last().unwrap(), "run-finished");
    assert_eq!(events[1]["event"], "notice");
    assert_eq!(events.last().unwrap()["exit_status"], 1);
    let planned: Vec<&Value> = events[0]["tests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|test| &test["id"])
        .collect();
    let mut finished = 0;
    for (at, event) in events
        .iter()
        .enumerate()
        .filter(|(_, event)| event["event"] == "attempt-finished")
    {
        assert!(planned.contains(&&event["test"]));
        let worker = &event["worker"];
        let of_it = |name: &str| {
            events
                .iter()
                .position(|event| event["event"] == name && &event["worker"] == worker)
                .unwrap()
        };
        assert!(of_it("worker-started") < at && at < of_it("worker-ended"));
        finished += 1;
    }
    assert_eq!(finished, 6);
    let loud = events
        .iter()
        .find(|event| event["test"] == "test/loud_test.sh")
        .unwrap();
    assert_eq!(
        (&loud["outcome"], &loud["reason"]),
        (&"fail".into(), &"output-limit".into())
    );
    // The record and the report are of one run.
    assert_eq!(
        project.query("select run from runs"),
        events[0]["run"].as_str().unwrap()
    );
    assert_eq!(project.query("select exit_status from runs"), "1");
}

#[test]
fn without_a_record_nothing_is_written() {
    let project = Project::new().test("a", "exit 1");
    let said = host(&project, &["--no-record"]);
    assert_eq!(said.status, 1);
    assert!(!said.stdout.contains("record:"));
    let left: Vec<_> = std::fs::read_dir(project.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn a_suite_that_lists_itself() {
    let project = Project::new()
        .config(
            "suite:\n  \
               list: [sh, -c, 'echo noise >&2; printf \"run.sh::one\\nrun.sh::two words\\n\"']\n  \
               command: [sh, '{path}', '{name}']\n",
        )
        .file("run.sh", "echo \"$1\"; test \"$1\" = one");
    let said = host(&project, &[]);
    assert_eq!(said.status, 1);
    assert_eq!(
        project.verdicts(),
        [
            ("run.sh::one".into(), "pass".into()),
            ("run.sh::two words".into(), "fail exit(1)".into())
        ]
    );
    assert_eq!(host(&project, &["--filter", "one"]).status, 0);
    assert_eq!(host(&project, &["--filter", "three"]).status, 4);
}

#[test]
fn a_listing_that_fails_is_no_empty_suite() {
    for (command, message) in [
        (
            "echo a; echo why >&2; exit 3",
            "`sh -c echo a; echo why >&2; exit 3` ended with fail exit(3): why\n",
        ),
        ("echo a; kill -9 $$", "ended with crash SIGKILL: "),
        (
            "printf 'a\\na\\n'",
            "suite.list: lines 1 and 2 are the same test 'a': print each id once",
        ),
    ] {
        let project = Project::new().config(&format!(
            "suite: {{list: [sh, -c, \"{}\"]}}",
            command.replace('\\', "\\\\")
        ));
        let said = host(&project, &[]);
        assert_eq!((said.stdout.as_str(), said.status), ("", 2), "{command}");
        assert!(said.stderr.contains(message), "{command}: {}", said.stderr);
        assert!(!project.path().join("test-results").exists());
    }
    let said = host(&Project::new().config("suite: {list: ['true']}"), &[]);
    assert_eq!(said.stderr, "error: no tests: suite.list printed none\n");
    assert_eq!(said.status, 4);
}

#[test]
fn a_worker_ends_with_its_launcher() {
    let project = Project::new().test("a", "echo $PPID > worker; sleep 1000");
    let mut child = project.start(HOST);
    let file = project.path().join("worker");
    let read = || std::fs::read_to_string(&file).unwrap_or_default();
    wait_until("the test runs", PATIENCE, || read().ends_with('\n'));
    child.kill().unwrap();
    child.wait().unwrap();
    let worker = format!("/proc/{}", read().trim());
    wait_until("the worker ends", PATIENCE, || {
        !std::path::Path::new(&worker).exists()
    });
}
