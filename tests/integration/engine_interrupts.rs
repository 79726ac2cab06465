//! Signals to the launcher and its death, at every moment, on the real engines: nothing is ever left
//! behind.

use std::os::unix::process::CommandExt;
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::engines::{Engine, clients_of, on_every_engine};
use crate::harness::{Project, Said, finish, wait_until};
use crate::machine::{SOON, process, signal, sleep_of, status, wait_for};

on_every_engine! {
    a_signal_ends_the_run_with_grace
    an_interrupt_of_the_whole_group_is_the_launchers_alone
    a_second_interrupt_kills
    an_early_interrupt_leaves_nothing
    a_killed_launcher_leaves_nothing
    a_launcher_that_was_stopped_goes_on
}

/// Two tests, the first of which sleeps: the second is never started.
fn interruptible(on: &Engine, sleep: &str, trap: &str) -> Project {
    on.project()
        .config("workers: 1")
        .test("1", &format!("trap '{trap}' TERM\n{sleep} & wait\nwait"))
        .test("2", "exit 0")
}

fn is_interrupted(on: &Engine, project: &Project, said: &Said, status: i32) {
    assert_eq!(said.status, status, "{}{}", said.stdout, said.stderr);
    let not_run = "not-run interrupted".to_owned();
    let expected = [
        ("test/1_test.sh".to_owned(), not_run.clone()),
        ("test/2_test.sh".to_owned(), not_run),
    ];
    assert_eq!(project.verdicts(), expected);
    let run = project.rows("select exit_status, interrupted from runs");
    assert_eq!(run, [[status.to_string(), (status - 128).to_string()]]);
    assert_eq!(on.left_by(project), Vec::<String>::new());
}

fn output_of_the_first(project: &Project) -> String {
    project.query(
        "select head from outputs join tests using (test)
         where id = 'test/1_test.sh' and stream = 'stdout'",
    )
}

fn a_signal_ends_the_run_with_grace(on: &Engine) {
    for (number, status) in [
        (Signal::SIGINT, 130),
        (Signal::SIGTERM, 143),
        (Signal::SIGHUP, 129),
    ] {
        let sleep = sleep_of(60);
        let project = interruptible(on, &sleep, "echo bye; exit 0");
        let launcher = project.start(on.run([]));
        wait_for(&sleep);
        signal(&launcher, number);
        is_interrupted(on, &project, &finish(launcher), status);
        assert_eq!(output_of_the_first(&project), "bye\n");
        let rows = project.rows(
            "select termination, stopped, escalated from attempts where termination is not null",
        );
        assert_eq!(rows, [["exit(0)", "interrupt", "0"]]);
    }
}

/// As a terminal sends it: every process of the group gets it, and the engine's command line must
/// not take it as meant for itself.
fn an_interrupt_of_the_whole_group_is_the_launchers_alone(on: &Engine) {
    let sleep = sleep_of(60);
    let project = interruptible(on, &sleep, "echo bye; exit 0");
    let launcher = project.spawn(project.command(on.run([])).process_group(0));
    wait_for(&sleep);
    killpg(Pid::from_raw(launcher.id() as i32), Signal::SIGINT).unwrap();
    is_interrupted(on, &project, &finish(launcher), 130);
    assert_eq!(output_of_the_first(&project), "bye\n");
}

fn a_second_interrupt_kills(on: &Engine) {
    let sleep = sleep_of(60);
    let project = interruptible(on, &sleep, "echo never");
    let launcher = project.start(on.run([]));
    wait_for(&sleep);
    signal(&launcher, Signal::SIGINT);
    // The first one has arrived when the test has got its TERM, which ends its child.
    wait_until("TERM in the test", SOON, || process(&sleep).is_none());
    signal(&launcher, Signal::SIGINT);
    is_interrupted(on, &project, &finish(launcher), 130);
    // It was not the end of the grace that killed it.
    assert_eq!(project.query("select sum(escalated) from attempts"), "0");
}

/// Also while the first container is being made.
fn an_early_interrupt_leaves_nothing(on: &Engine) {
    for after in [0, 60, 200] {
        let project = interruptible(on, &sleep_of(60), "exit 0");
        let launcher = project.start(on.run([]));
        // Its handlers are there when its record is.
        let record = project.path().join("test-results/docker-test.db");
        wait_until("the record", SOON, || record.exists());
        wait_until("its signal handlers", SOON, || {
            let caught = status(Pid::from_raw(launcher.id() as i32), "SigCgt:");
            u64::from_str_radix(&caught[0], 16).unwrap() & 0b10 != 0
        });
        std::thread::sleep(Duration::from_millis(after));
        signal(&launcher, Signal::SIGINT);
        is_interrupted(on, &project, &finish(launcher), 130);
    }
}

fn a_killed_launcher_leaves_nothing(on: &Engine) {
    // At different moments of a start, and in the midst of a test.
    for after in [Some(10), Some(30), Some(60), Some(120), Some(250), None] {
        let sleep = sleep_of(60);
        let project = interruptible(on, &sleep, "");
        let mut launcher = project.start(on.run([]));
        match after {
            Some(after) => std::thread::sleep(Duration::from_millis(after)),
            None => drop(wait_for(&sleep)),
        }
        launcher.kill().unwrap();
        launcher.wait().unwrap();
        // What another program is making when the launcher dies must be made before it can go.
        let patience = match after {
            Some(_) if on.is_a_program() => Duration::from_secs(10),
            _ => Duration::from_secs(2),
        };
        wait_until(
            &format!("an end of everything, {after:?} ms"),
            patience,
            || on.left_by(&project).is_empty() && process(&sleep).is_none(),
        );
    }
}

/// Who stops the launcher for longer than a worker may be silent, as Ctrl-Z does, blames nobody.
fn a_launcher_that_was_stopped_goes_on(on: &Engine) {
    let sleep = sleep_of(2);
    let project = on
        .project()
        .config("workers: 1")
        .test("a", &sleep)
        .test("b", "exit 0");
    let launcher = project.start(on.run(["--timeout", "4s"]));
    wait_for(&sleep);
    signal(&launcher, Signal::SIGSTOP);
    // So that nothing can have come in when it goes on and looks at the clock. The embedded engine
    // has nothing between the two ends.
    let clients = clients_of(launcher.id());
    assert_eq!(clients.is_empty(), !on.is_a_program());
    let to_clients = |signal| clients.iter().for_each(|pid| kill(*pid, signal).unwrap());
    to_clients(Signal::SIGSTOP);
    // The limit, the grace and the longest silence, and then some.
    std::thread::sleep(Duration::from_secs(4 + 2 + 15 + 1));
    signal(&launcher, Signal::SIGCONT);
    std::thread::sleep(Duration::from_millis(500));
    to_clients(Signal::SIGCONT);
    let said = finish(launcher);
    let rows = project.rows("select outcome, attempt, worker from attempts");
    assert_eq!(rows, [["pass", "1", "1"]; 2], "{}", said.stderr);
    assert_eq!(said.status, 0, "{}", said.stderr);
}
