//! What only the embedded engine has: monitors, and cgroups that somebody has to remove.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};

use crate::engines::{Engine, on};
use crate::harness::{finish, wait_until};
use crate::machine::{
    cgroups_of, inside, monitors_of, parent, process, signal, sleep_of, wait_for,
};

on!([sandbox sandbox_user]
    launcher_and_monitors_killed_together_leave_what_the_next_run_sweeps
    a_killed_monitor_takes_its_container_along
);

const AT_ONCE: Duration = Duration::from_secs(2);

/// Nobody is left who could remove the cgroups.
fn launcher_and_monitors_killed_together_leave_what_the_next_run_sweeps(on: &Engine) {
    let sleeps = [60, 60].map(sleep_of);
    let project = on
        .project()
        .config("workers: 2")
        .test("a", &sleeps[0])
        .test("b", &sleeps[1]);
    let mut launcher = project.start(on.run([]));
    for sleep in &sleeps {
        wait_for(sleep);
    }
    // So that it cannot do anything about its monitors' end.
    signal(&launcher, Signal::SIGSTOP);
    let monitors = monitors_of(&project);
    assert_eq!(monitors.len(), 2, "{monitors:?}");
    for monitor in &monitors {
        kill(*monitor, Signal::SIGKILL).unwrap();
    }
    launcher.kill().unwrap();
    launcher.wait().unwrap();
    wait_until("an end of all processes", AT_ONCE, || {
        let all = sleeps.iter().all(|sleep| process(sleep).is_none());
        all && monitors_of(&project).is_empty() && inside(&project).is_empty()
    });
    // The next run does not have to be of the same project.
    let next = on.project().test("c", "exit 0");
    let said = next.run(on.run([]));
    assert_eq!(said.status, 0, "{}", said.stderr);
    assert_eq!(on.left_by(&project), Vec::<String>::new());
    assert_eq!(on.left_by(&next), Vec::<String>::new());
}

/// While its launcher lives, and before that has started another.
fn a_killed_monitor_takes_its_container_along(on: &Engine) {
    let sleep = sleep_of(60);
    let project = on.project().test("a", &sleep);
    let launcher = project.start(on.run([]));
    let first = wait_for(&sleep);
    let before = cgroups_of(&project.launchers());
    let counted = on.promises(&project).counted;
    assert_eq!(before.is_empty(), !counted, "{before:?}");
    for monitor in monitors_of(&project) {
        kill(monitor, Signal::SIGKILL).unwrap();
    }
    wait_until("the end of its container", AT_ONCE, || {
        before.iter().all(|folder| !folder.exists()) && parent(first).is_none()
    });
    // The test is run again.
    wait_for(&sleep);
    signal(&launcher, Signal::SIGINT);
    let said = finish(launcher);
    assert_eq!(said.status, 130, "{}", said.stderr);
    let verdict = project.query("select outcome || ' ' || reason from attempts where attempt = 1");
    assert_eq!(verdict, "lost engine", "{}", said.stderr);
    assert_eq!(on.left_by(&project), Vec::<String>::new());
}
