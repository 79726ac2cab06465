//! Engine faults without an engine: a script plays docker and runs the real worker as a plain child,
//! so the launcher, the protocol, the store and the supervisor are the real ones.
//!
//! Whatever goes wrong, every planned test has exactly one last word, none of them is a pass that
//! did not happen, the run ends, and no process is left.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Child;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{PATIENCE, PROGRAM, Project, Said, finish, wait_until};

/// A project whose docker is the script.
pub fn fake() -> Project {
    Project::new()
        .fake_docker(include_str!("fake_docker.sh"))
        .env("FAKE_PROGRAM", PROGRAM)
}

/// The calls that the script has had, in order.
pub fn calls(project: &Project) -> Vec<String> {
    let text = std::fs::read_to_string(project.path().join(".fake/calls")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Only the first words.
fn kinds(project: &Project) -> Vec<String> {
    let word = |call: &String| call.split(' ').next().unwrap().to_owned();
    calls(project).iter().map(word).collect()
}

fn worker_pids(project: &Project) -> Vec<String> {
    let folder = project.path().join(".fake/state");
    let files = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "pid"))
        .map(|path| std::fs::read_to_string(path).unwrap().trim().to_owned())
        .filter(|pid| !pid.is_empty())
        .collect()
}

/// Whether a process runs this program as a worker: pids are used again.
fn is_worker(pid: &str) -> bool {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.starts_with(PROGRAM.as_bytes())
}

fn no_worker_is_left(project: &Project) {
    wait_until("all workers end", PATIENCE, || {
        worker_pids(project).iter().all(|pid| !is_worker(pid))
    });
}

/// What holds after every run, whatever went wrong in it.
fn check(project: &Project, said: &Said, planned: &[&str], what: &str) -> BTreeMap<String, String> {
    for sign in ["panicked", "RUST_BACKTRACE", "\u{1b}"] {
        assert!(!said.stderr.contains(sign), "{what}: {}", said.stderr);
    }
    no_worker_is_left(project);
    if !project.path().join("test-results").exists() {
        assert_eq!(said.status, 3, "{what}: {said:?}");
        return BTreeMap::new();
    }
    let rows = project.rows(
        "select id, count(*), sum(superseded = 0) from attempts join tests using (test) group by test",
    );
    let mut ids: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    ids.sort_unstable();
    assert_eq!(ids, planned, "{what}: {said:?}");
    for row in &rows {
        assert_eq!(row[2], "1", "{what}: {row:?} has not one last word");
    }
    assert_eq!(
        project.query("select exit_status from runs"),
        said.status.to_string(),
        "{what}"
    );
    let verdicts: BTreeMap<_, _> = project.verdicts().into_iter().collect();
    let good = verdicts
        .values()
        .all(|verdict| verdict == "pass" || verdict == "skip");
    assert_eq!(said.status == 0, good, "{what}: {verdicts:?}");
    verdicts
}

const PLANNED: [&str; 4] = [
    "test/a_test.sh",
    "test/b_test.sh",
    "test/c_test.sh",
    "test/d_test.sh",
];

/// A test that leaves a mark when it runs, so that a pass can be believed.
fn four() -> Project {
    let pass = "echo x >> \"ran.${DOCKER_TEST_ID##*/}\"";
    fake()
        .test("a", pass)
        .test("b", pass)
        .test("c", pass)
        .test("d", &format!("{pass}; exit 7"))
}

fn run(project: &Project, more: &[&str]) -> Said {
    project.run(["run", "--workers", "1"].iter().chain(more))
}

#[test]
fn a_run_without_faults() {
    let project = four();
    let said = run(&project, &[]);
    let verdicts = check(&project, &said, &PLANNED, "no fault");
    assert_eq!(said.status, 1, "{said:?}");
    let outcomes: Vec<&str> = verdicts.values().map(String::as_str).collect();
    assert_eq!(outcomes, ["pass", "pass", "pass", "fail exit(7)"]);
    let mut kinds = kinds(&project);
    kinds.sort();
    assert_eq!(kinds, ["image", "run", "version"]);
    assert_eq!(project.query("select engine_version from runs"), "26.1.5");
}

/// The SQLite way: each call fails in turn, in each way.
#[test]
fn any_call_may_fail_in_any_way() {
    let project = four();
    run(&project, &[]);
    let count = calls(&project).len();
    for mode in ["refuse", "down", "garbage", "half", "nothing", "killed"] {
        for at in 1..=count + 1 {
            let what = format!("call {at} of {count}: {mode}");
            let project = four().env("FAKE_AT", at.to_string()).env("FAKE_MODE", mode);
            let said = run(&project, &[]);
            let verdicts = check(&project, &said, &PLANNED, &what);
            assert!([1, 3].contains(&said.status), "{what}: {said:?}");
            if said.status == 3 {
                assert!(said.stderr.contains("error: "), "{what}: {said:?}");
            }
            for (id, verdict) in verdicts {
                let mark = format!("ran.{}", id.strip_prefix("test/").unwrap());
                let ran = project.path().join(mark).exists();
                match verdict.as_str() {
                    "pass" => assert!(ran && id != PLANNED[3], "{what}: {id} did not pass"),
                    "fail exit(7)" => assert!(ran && id == PLANNED[3], "{what}: {id}"),
                    verdict => assert!(verdict.starts_with("not-run"), "{what}: {id} {verdict}"),
                }
            }
        }
    }
}

#[test]
fn a_daemon_that_is_down_is_one_clear_error() {
    for command in [
        &["run"][..],
        &["shell"],
        &["clean"],
        &["build"],
        &["run", "--image", "debian:12"],
    ] {
        let project = four().env("FAKE_AT", "all").env("FAKE_MODE", "down");
        let said = project.run(command);
        assert_eq!(said.status, 3, "{command:?}: {said:?}");
        let errors: Vec<&str> = said
            .stderr
            .lines()
            .filter(|line| line.starts_with("error: "))
            .collect();
        assert_eq!(errors.len(), 1, "{command:?}: {said:?}");
        assert!(
            errors[0].contains("unix:///run/fake.sock"),
            "{command:?}: {said:?}"
        );
        let hint = said.stderr.lines().last().unwrap();
        assert!(
            hint.starts_with("hint: ") && hint.contains("systemctl start docker"),
            "{command:?}: {said:?}"
        );
        no_worker_is_left(&project);
    }
}

#[test]
fn no_docker_at_all() {
    let project = four().env("DOCKER_TEST_DOCKER", "/nonexistent/docker");
    for command in ["run", "clean", "shell", "build"] {
        let said = project.run([command]);
        assert_eq!((said.stdout.as_str(), said.status), ("", 3), "{command}");
        assert!(
            said.stderr
                .starts_with("error: the program `/nonexistent/docker` was not found"),
            "{command}: {}",
            said.stderr
        );
        assert!(
            said.stderr.contains("\nhint: "),
            "{command}: {}",
            said.stderr
        );
    }
    assert!(!project.path().join("test-results").exists());
}

#[test]
fn an_image_that_is_not_there_is_never_pulled_and_nobody_is_blamed() {
    let project = four().env("FAKE_AT", "run").env("FAKE_MODE", "missing");
    let said = run(&project, &["--image", "debian:12"]);
    let verdicts = check(&project, &said, &PLANNED, "no image");
    assert_eq!(said.status, 3);
    assert!(
        verdicts
            .values()
            .all(|verdict| verdict.starts_with("not-run")),
        "{verdicts:?}"
    );
    assert!(said.stderr.contains("debian:12"), "{}", said.stderr);
    assert!(
        said.stderr.lines().last().unwrap().starts_with("hint: "),
        "{}",
        said.stderr
    );
    assert!(calls(&project).iter().all(|call| !call.starts_with("pull")));
    assert!(
        calls(&project)
            .iter()
            .filter(|call| call.starts_with("run "))
            .all(|call| call.contains("--pull=never"))
    );
}

#[test]
fn a_test_that_kills_its_worker_is_tried_once_more_alone_and_blamed() {
    let project = four().test("b", "echo x >> ran.b_test.sh; kill -9 $PPID");
    let said = run(&project, &[]);
    let verdicts = check(&project, &said, &PLANNED, "poison");
    assert_eq!(said.status, 1);
    assert_eq!(verdicts["test/b_test.sh"], "crash worker");
    assert_eq!(
        (
            verdicts["test/a_test.sh"].as_str(),
            verdicts["test/c_test.sh"].as_str()
        ),
        ("pass", "pass")
    );
    let attempts = "select group_concat(attempt || ' ' || outcome || ' ' || reason || ' ' || superseded)
                    from attempts join tests using (test) where id = 'test/b_test.sh' order by attempt";
    assert_eq!(project.query(attempts), "1 lost worker 1,2 crash worker 0");
    // Two attempts, each in a worker of its own after the first; nobody else ran twice.
    let ran = |name: &str| {
        std::fs::read_to_string(project.path().join(format!("ran.{name}_test.sh"))).unwrap()
    };
    assert_eq!(
        (
            ran("b").as_str(),
            ran("a").as_str(),
            ran("c").as_str(),
            ran("d").as_str()
        ),
        ("x\nx\n", "x\n", "x\n", "x\n")
    );
    let alone = "select count(*) from attempts join tests using (test) where worker =
                 (select worker from attempts join tests using (test) where id = 'test/b_test.sh' and superseded = 0)";
    assert_eq!(project.query(alone), "1");
}

#[test]
fn a_worker_that_somebody_removes_costs_no_test_its_verdict() {
    let project = four().test(
        "b",
        "echo x >> ran.b_test.sh; [ -e .fake/somebody ] || { touch .fake/somebody; kill -9 $PPID; }",
    );
    let said = run(&project, &[]);
    let verdicts = check(&project, &said, &PLANNED, "removed");
    assert_eq!(verdicts["test/b_test.sh"], "pass");
    let first =
        "select outcome || ' ' || reason || ' ' || superseded from attempts join tests using (test)
                 where id = 'test/b_test.sh' and attempt = 1";
    assert_eq!(project.query(first), "lost engine 1");
    assert!(said.stdout.contains("(attempt 2)"), "{}", said.stdout);
}

/// `docker stop`: the worker hears TERM and ends its test, in order.
#[test]
fn a_worker_that_somebody_stops_costs_no_test_its_verdict() {
    let project = four().test(
        "b",
        "[ -e b.once ] && exit 0; touch b.once; kill $PPID; sleep 1000",
    );
    let said = run(&project, &[]);
    let verdicts = check(&project, &said, &PLANNED, "stopped");
    assert_eq!(verdicts["test/b_test.sh"], "pass");
    let first =
        "select outcome || ' ' || reason || ' ' || superseded from attempts join tests using (test)
                 where id = 'test/b_test.sh' and attempt = 1";
    assert_eq!(project.query(first), "lost engine 1");
}

/// A supervisor that fails at its start is no failure of the tests.
#[test]
fn workers_that_end_before_hello_are_the_engines_failure() {
    let project = four().env("FAKE_PROGRAM", "/bin/false");
    let said = run(&project, &[]);
    let verdicts = check(&project, &said, &PLANNED, "no hello");
    assert_eq!(said.status, 3, "{said:?}");
    assert!(
        verdicts
            .values()
            .all(|verdict| verdict == "not-run no-worker")
    );
}

#[test]
fn a_test_whose_worker_is_always_removed_is_lost_and_not_a_crash() {
    let project = four().test("b", "touch .fake/somebody; kill -9 $PPID");
    let said = run(&project, &[]);
    let verdicts = check(&project, &said, &PLANNED, "always removed");
    assert_eq!(verdicts["test/b_test.sh"], "lost engine");
    assert_eq!(
        (said.status, verdicts["test/c_test.sh"].as_str()),
        (1, "pass")
    );
    let tries = "select count(*) from attempts join tests using (test) where id = 'test/b_test.sh'";
    assert_eq!(project.query(tries), "3");
    let words = "was lost: somebody killed or removed its container";
    assert_eq!(said.stderr.matches(words).count(), 3, "{}", said.stderr);
}

/// What a worker says is changed on its way, once for each line that it may say. Lines that are
/// left out are not tried here: they are waited for, as a silent worker is.
#[test]
fn garbage_between_a_worker_and_its_launcher() {
    for edit in [
        "s/.*/garbage/",
        "s/.*/{}/",
        "s/.\\{20\\}$//",
        "s/.*/\\x1b[31m\\xff/",
        "s/.*//",
        "p",
    ] {
        for line in [1, 2, 3, 4] {
            let what = format!("{line}{edit}");
            let project = four().env("FAKE_OUT", format!("{line}{edit}"));
            let said = run(&project, &[]);
            let verdicts = check(&project, &said, &PLANNED, &what);
            assert!([1, 3].contains(&said.status), "{what}: {said:?}");
            assert_ne!(verdicts[PLANNED[3]], "pass", "{what}");
            assert!(!said.stdout.contains('\u{1b}'), "{what}");
        }
    }
}

#[test]
fn a_worker_of_another_version_is_refused() {
    let project = four().env("FAKE_OUT", "1s/\"protocol\":[0-9]*/\"protocol\":999/");
    let said = run(&project, &[]);
    let verdicts = check(&project, &said, &PLANNED, "protocol 999");
    assert_eq!(said.status, 3);
    assert!(
        verdicts
            .values()
            .all(|verdict| verdict == "not-run no-worker"),
        "{verdicts:?}"
    );
    assert!(
        said.stderr.contains("speaks protocol 999"),
        "{}",
        said.stderr
    );
}

/// A run in which one test waits and another does not come to its turn.
fn waiting(test: &str, fresh: &str) -> (Project, Child) {
    let project = fake().test("a", test).test("b", "touch b.ran");
    let child = project.start([
        "run",
        "--workers",
        "1",
        "--fresh",
        fresh,
        "--timeout",
        "10m",
    ]);
    wait_until("the test runs", PATIENCE, || {
        project.path().join("a.ran").exists()
    });
    (project, child)
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id() as i32), signal).unwrap();
}

#[test]
fn the_first_signal_ends_a_run_with_grace() {
    for (name, status, fresh) in [
        (Signal::SIGINT, 130, "worker"),
        (Signal::SIGTERM, 143, "worker"),
        (Signal::SIGHUP, 129, "worker"),
        (Signal::SIGQUIT, 131, "worker"),
        // Its worker was told at once to finish.
        (Signal::SIGINT, 130, "test"),
    ] {
        let (project, child) = waiting(
            "trap 'touch a.term; exit 0' TERM; touch a.ran; sleep 1000 & wait",
            fresh,
        );
        signal(&child, name);
        let said = finish(child);
        let verdicts = check(
            &project,
            &said,
            &["test/a_test.sh", "test/b_test.sh"],
            name.as_str(),
        );
        assert_eq!(said.status, status);
        assert!(project.path().join("a.term").exists(), "no grace");
        assert!(!project.path().join("b.ran").exists());
        assert_eq!(verdicts["test/b_test.sh"], "not-run interrupted");
        assert!(!said.stderr.contains("was lost"), "{}", said.stderr);
        assert_ne!(
            verdicts["test/a_test.sh"], "pass",
            "an interrupted test has not passed"
        );
        assert_eq!(
            project.query("select interrupted from runs"),
            (name as i32).to_string()
        );
    }
}

#[test]
fn the_second_signal_ends_it_now() {
    let (project, child) = waiting(
        "trap 'touch a.term' TERM; touch a.ran; while :; do sleep 0.05; done",
        "worker",
    );
    signal(&child, Signal::SIGINT);
    wait_until("the test hears TERM", PATIENCE, || {
        project.path().join("a.term").exists()
    });
    signal(&child, Signal::SIGINT);
    let said = finish(child);
    let verdicts = check(
        &project,
        &said,
        &["test/a_test.sh", "test/b_test.sh"],
        "twice",
    );
    assert_eq!(said.status, 130);
    assert_ne!(verdicts["test/a_test.sh"], "pass");
    assert_eq!(verdicts["test/b_test.sh"], "not-run interrupted");
}

/// A worker that asks for what the launcher cannot do gets its answer, and the run goes on.
#[test]
fn a_peak_that_nobody_can_take_is_answered_all_the_same() {
    let ask = r#"s/^{"type":"report","seq":\([0-9]*\).*/{"type":"take-peak","seq":\1}\n&/"#;
    let project = four().env("FAKE_OUT", ask);
    let said = run(&project, &[]);
    let verdicts = check(&project, &said, &PLANNED, "take-peak");
    assert_eq!(verdicts["test/a_test.sh"], "pass", "{said:?}");
    let told = std::fs::read_dir(project.path().join(".fake/state")).unwrap();
    let told: String = told
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "told")
        })
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    for seq in 1..=3 {
        let answer = format!("{{\"type\":\"peak\",\"seq\":{seq},\"bytes\":null,\"from\":null}}");
        assert!(told.lines().any(|line| line == answer), "{told}");
    }
}

/// Of a launcher that is killed, what was recorded stays, and its workers end.
#[test]
fn the_workers_of_a_killed_launcher_end() {
    for fresh in ["worker", "test"] {
        let (project, mut child) = waiting("echo $$ > a.pid; touch a.ran; sleep 1000", fresh);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(worker_pids(&project).len(), 1);
        no_worker_is_left(&project);
        let test = std::fs::read_to_string(project.path().join("a.pid")).unwrap();
        let test = format!("/proc/{}", test.trim());
        wait_until("the test ends", PATIENCE, || !Path::new(&test).exists());
        assert_eq!(
            project.query("select count(*) from runs where exit_status is null"),
            "1"
        );
        // The next run is not in its way.
        let said = project.run(["run", "test/b_test.sh"]);
        assert_eq!(said.status, 0, "{said:?}");
    }
}
