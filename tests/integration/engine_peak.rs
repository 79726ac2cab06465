//! The peak of memory after a larger test in the same worker, which the kernel's counter tells only
//! where the launcher resets it.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::engines::{Engine, on, on_every_engine};
use crate::harness::{Project, finish, wait_until};
use crate::machine::{process, signal, sleep_of, wait_for};

on_every_engine! {
    short_spikes_after_a_larger_test
}

on! { [docker podman sandbox]
    a_launcher_that_stands_still_is_not_waited_for
    a_launcher_that_dies_while_it_is_waited_for_takes_its_worker_along
}

const MIB: u64 = 1 << 20;
const SPIKES: usize = 20;

/// A test's line that takes so much memory for so long.
fn spike(mib: u64, milliseconds: u64) -> String {
    format!("\"$DOCKER_TEST\" probe touch {mib} {milliseconds}\n")
}

/// Each test's start, peak, source and bound in bytes, in the order in which they ran.
fn memory(project: &Project) -> Vec<[String; 4]> {
    let rows = project.rows(
        "select coalesce(memory_start_bytes, 0), memory_peak_bytes, memory_peak_source,
         memory_peak_bound_bytes from attempts order by worker, sequence",
    );
    let columns = |row: Vec<String>| row.try_into().unwrap();
    rows.into_iter().map(columns).collect()
}

fn number(text: &str) -> u64 {
    text.parse().unwrap()
}

/// Whether a peak is this far above its test's start: within 5 %, or 2 MiB where that is more.
fn is_exact([start, peak, source, bound]: &[String; 4], mib: u64) -> bool {
    let tolerance = (mib * MIB / 20).max(2 * MIB);
    source == "cgroup"
        && bound == "NULL"
        && (number(peak) - number(start)).abs_diff(mib * MIB) <= tolerance
}

fn short_spikes_after_a_larger_test(on: &Engine) {
    let mut project = on.project().config("workers: 1").test("00", &spike(300, 0));
    for number in 1..=SPIKES {
        project = project.test(&format!("{number:02}"), &spike(100, 5));
    }
    let said = project.run(on.run([]));
    assert_eq!(said.status, 0, "{}", said.stdout);
    let workers = project.query("select count(distinct worker) from attempts");
    assert_eq!(workers, "1", "{}", said.stderr);
    let memory = memory(&project);
    assert_eq!(memory.len(), 1 + SPIKES);
    if on.promises(&project).counted {
        assert!(is_exact(&memory[0], 300), "{memory:?}");
        let exact = memory[1..].iter().filter(|row| is_exact(row, 100)).count();
        assert_eq!(exact, SPIKES, "{memory:?}");
    } else {
        let claimed = memory.iter().find(|row| row[2] == "cgroup");
        assert_eq!(claimed, None, "nothing counts here");
    }
    assert_eq!(on.left_by(&project), Vec::<String>::new());
}

/// A large test, which then sleeps for a second, and one that follows it. The worker has both in hand:
/// there are tests enough, and the first one is short.
fn standing_still(on: &Engine, sleeps: &[String; 2]) -> Project {
    let [first, second] = sleeps;
    on.project()
        .config("workers: 1")
        .test("0", "exit 0")
        .test("1", &format!("{}{first}", spike(100, 0)))
        .test("2", &format!("{}{second}", spike(20, 0)))
        .test("3", &spike(50, 0))
        .test("4", "exit 0")
        .test("5", "exit 0")
}

fn a_launcher_that_stands_still_is_not_waited_for(on: &Engine) {
    let sleeps = [1, 2].map(sleep_of);
    let project = standing_still(on, &sleeps);
    let launcher = project.start(on.run([]));
    wait_for(&sleeps[0]);
    signal(&launcher, Signal::SIGSTOP);
    // The worker asks, waits, and goes on.
    wait_for(&sleeps[1]);
    signal(&launcher, Signal::SIGCONT);
    let said = finish(launcher);
    assert_eq!(said.status, 0, "{}", said.stdout);
    let memory = memory(&project);
    assert!(is_exact(&memory[1], 100), "{memory:?}");
    // Its counter was reset at some moment while it ran.
    assert_ne!(memory[2][2], "cgroup", "{memory:?}");
    assert_eq!(memory[2][3], "NULL", "{memory:?}");
    assert_eq!(on.left_by(&project), Vec::<String>::new());
}

fn a_launcher_that_dies_while_it_is_waited_for_takes_its_worker_along(on: &Engine) {
    let sleeps = [1, 60].map(sleep_of);
    let project = standing_still(on, &sleeps);
    let temporary = project.folder("temporary");
    let project = project.env("TMPDIR", &temporary);
    let mut launcher = project.start(on.run([]));
    wait_for(&sleeps[0]);
    signal(&launcher, Signal::SIGSTOP);
    wait_until("the end of the first test", Duration::from_secs(5), || {
        process(&sleeps[0]).is_none()
    });
    // Its worker waits now, for a second.
    let killed = Instant::now();
    launcher.kill().unwrap();
    launcher.wait().unwrap();
    wait_until("the end of its worker", Duration::from_secs(20), || {
        assert_eq!(process(&sleeps[1]), None, "the next test has started");
        on.left_by(&project).is_empty()
    });
    let files: Vec<_> = fs::read_dir(&temporary)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let ours = |file: &fs::DirEntry| {
        file.file_name()
            .as_encoded_bytes()
            .starts_with(b"docker-test-")
    };
    assert!(!files.iter().any(ours), "{files:?}");
    println!("gone {:?} after its launcher", killed.elapsed());
}
