//! Workers that somebody takes away, kills or pauses, on the real engines.

use std::fs;
use std::process::Child;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

use crate::engines::{Engine, on_every_engine, skip};
use crate::harness::{Project, finish, wait_until};
use crate::machine::{SOON, parent, process, sleep_of, supervisor_of, wait_for};

on_every_engine! {
    a_test_whose_container_was_taken_away_is_run_again
    a_test_that_loses_two_workers_is_blamed
    a_paused_worker_is_replaced
}

/// Each attempt's outcome, by test, with whether another one followed.
fn attempts(project: &Project) -> Vec<Vec<String>> {
    project.rows(
        "select id, attempt, outcome, coalesce(reason, ''), superseded
         from attempts join tests using (test) order by id, attempt",
    )
}

/// The container, of an engine that gives it a name, in which this command runs.
fn container_of(on: &Engine, command: &str, launcher: &Child) -> String {
    let supervisor = supervisor_of(wait_for(command)).to_string();
    let is_it = |name: &&String| {
        let output = on
            .program()
            .args(["inspect", "-f", "{{.State.Pid}}", name])
            .output();
        String::from_utf8_lossy(&output.unwrap().stdout).trim() == supervisor
    };
    let names = on.containers_by(launcher.id());
    names.iter().find(is_it).unwrap().clone()
}

/// What holds the container of the embedded engine in which this command runs.
fn monitor_of(command: &str) -> Pid {
    parent(supervisor_of(wait_for(command))).unwrap()
}

fn a_test_whose_container_was_taken_away_is_run_again(on: &Engine) {
    let [removed, killed] = [60, 60].map(sleep_of);
    // The second attempt finds a file that the first one did not.
    let once = |sleep: &str| format!("echo here; [ -e again ] || {sleep}");
    let project = on
        .project()
        .config("workers: 2")
        .test("killed", &once(&killed))
        .test("removed", &once(&removed));
    let launcher = project.start(on.run([]));
    wait_for(&removed);
    wait_for(&killed);
    fs::write(project.path().join("again"), "").unwrap();
    if on.is_a_program() {
        on.call(["rm", "-f", &container_of(on, &removed, &launcher)]);
        on.call(["kill", &container_of(on, &killed, &launcher)]);
    } else {
        kill(monitor_of(&removed), Signal::SIGKILL).unwrap();
        kill(monitor_of(&killed), Signal::SIGTERM).unwrap();
    }
    let said = finish(launcher);
    let expected = [
        ["test/killed_test.sh", "1", "lost", "engine", "1"],
        ["test/killed_test.sh", "2", "pass", "", "0"],
        [
            "test/removed_test.sh",
            "1",
            "lost",
            on.cause_of_removal(),
            "1",
        ],
        ["test/removed_test.sh", "2", "pass", "", "0"],
    ];
    assert_eq!(attempts(&project), expected, "{}", said.stderr);
    assert_eq!(said.status, 0, "{}", said.stderr);
    let lost = said.stderr.matches("was lost").count();
    assert_eq!(lost, 2, "{}", said.stderr);
    let workers = project.rows("select count(*), count(problem) from workers");
    assert_eq!(workers, [["4", "2"]], "{}", said.stderr);
    assert_eq!(on.left_by(&project), Vec::<String>::new());
}

/// The supervisor dies while the test runs, and again when that runs alone: then it is the test's.
fn a_test_that_loses_two_workers_is_blamed(on: &Engine) {
    if on.is_a_program() && !geteuid().is_root() {
        return skip("only root can kill another user's process");
    }
    let sleep = sleep_of(60);
    let project = on
        .project()
        .config("workers: 1")
        .test("a", &format!("exec {sleep}"))
        .test("b", "exit 0");
    let launcher = project.start(on.run([]));
    for _ in 0..2 {
        let supervisor = supervisor_of(wait_for(&sleep));
        kill(supervisor, Signal::SIGKILL).unwrap();
        wait_until("the end of a worker", SOON, || process(&sleep).is_none());
    }
    let said = finish(launcher);
    let expected = [
        ["test/a_test.sh", "1", "lost", "worker", "1"],
        ["test/a_test.sh", "2", "crash", "worker", "0"],
        ["test/b_test.sh", "1", "pass", "", "0"],
    ];
    assert_eq!(attempts(&project), expected, "{}", said.stderr);
    assert_eq!(said.status, 1, "{}", said.stderr);
    assert_eq!(on.left_by(&project), Vec::<String>::new());
}

fn a_paused_worker_is_replaced(on: &Engine) {
    let sleep = sleep_of(60);
    let project = on
        .project()
        .test("a", &format!("[ -e again ] || exec {sleep}"));
    let launcher = project.start(on.run(["--timeout", "4s"]));
    let running = wait_for(&sleep);
    fs::write(project.path().join("again"), "").unwrap();
    if on.is_a_program() {
        on.call(["pause", &container_of(on, &sleep, &launcher)]);
    } else {
        kill(supervisor_of(running), Signal::SIGSTOP).unwrap();
    }
    let said = finish(launcher);
    let expected = [
        ["test/a_test.sh", "1", "lost", "worker", "1"],
        ["test/a_test.sh", "2", "pass", "", "0"],
    ];
    assert_eq!(attempts(&project), expected, "{}", said.stderr);
    assert!(said.stderr.contains("does not answer"), "{}", said.stderr);
    assert_eq!(said.status, 0);
    assert_eq!(on.left_by(&project), Vec::<String>::new());
}
