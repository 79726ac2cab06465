//! Levels and networks without an engine: a script plays docker, and the attestation of its workers
//! is what a test makes of it.

use crate::fake_engine::{calls, fake};
use crate::harness::{Project, Said};

/// Changes a worker's first line so that everything holds that the profile `standard` asks for.
const ALL_HOLDS: &str = r#"1s/"attestation":{.*}}/"attestation":{"pid":1,"uid":1001,"gid":1001,"cgroup_version":2,"memory_bytes":536870912,"swap_bytes":0,"cpus":1.0,"pids":128,"open_files":500,"capabilities":0,"bounding_set":0,"no_new_privileges":true,"seccomp":2,"read_only_root":true,"writable_mounts":[],"interfaces":[]}}/"#;

/// The same, but for two limits.
fn two_missing() -> String {
    ALL_HOLDS
        .replace("536870912", "null")
        .replace("\"swap_bytes\":0", "\"swap_bytes\":4096")
}

/// Three tests that leave a mark when they run.
fn three() -> Project {
    let mark = "echo x >> \"ran.${DOCKER_TEST_ID##*/}\"";
    fake()
        .test("a", mark)
        .test("b", mark)
        .test("c", &format!("{mark}; exit 77"))
}

fn run(project: &Project, more: &[&str]) -> Said {
    project.run(["run", "--workers", "1"].iter().chain(more))
}

fn verdicts(project: &Project) -> Vec<String> {
    let verdicts = project.verdicts().into_iter();
    verdicts.map(|(_, verdict)| verdict).collect()
}

fn ran(project: &Project) -> usize {
    let entries = std::fs::read_dir(project.path()).unwrap();
    entries
        .filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().starts_with("ran.")
        })
        .count()
}

#[test]
fn limits_that_do_not_hold_end_a_strict_run_before_its_first_test() {
    for level in ["strict", "paranoid"] {
        let project = three().env("FAKE_OUT", two_missing());
        let said = run(&project, &["--level", level]);
        assert_eq!(
            said.stderr,
            format!(
                "error: level {level} cannot be kept here: memory, swap do not hold (profile standard, read back inside its worker)\n\
                 hint: `docker-test doctor` tells what the engine can limit; --allow-weaker runs the tests without, --level standard only warns\n"
            )
        );
        assert_eq!(said.status, 3);
        assert_eq!(verdicts(&project), ["not-run no-worker"; 3]);
        assert_eq!(ran(&project), 0, "{said:?}");
        assert_eq!(project.query("select exit_status from runs"), "3");
    }
}

#[test]
fn allow_weaker_goes_on_and_says_what_is_missing() {
    let project = three().env("FAKE_OUT", two_missing());
    let said = run(&project, &["--level", "strict", "--allow-weaker"]);
    assert_eq!(
        said.stderr,
        "warning: level strict is weaker here, without: memory, swap (profile standard)\n"
    );
    let head = said.stdout.lines().next().unwrap();
    assert_eq!(
        head,
        "Running 3 tests in 1 worker with docker (isolation), level strict"
    );
    assert_eq!(said.status, 0);
    assert_eq!(verdicts(&project), ["pass", "pass", "skip"]);
    let record = "select level || ' ' || network || ' ' || allow_weaker from runs";
    assert_eq!(project.query(record), "strict none 1");
}

#[test]
fn the_standard_level_only_warns() {
    let project = three().env("FAKE_OUT", two_missing());
    let said = run(&project, &[]);
    assert_eq!(
        said.stderr,
        "warning: limits that do not hold here: memory, swap (profile standard)\n"
    );
    assert_eq!(said.status, 0);
    let record = "select level || ' ' || network || ' ' || allow_weaker from runs";
    assert_eq!(project.query(record), "standard none 0");
}

#[test]
fn a_strict_run_whose_limits_hold_says_nothing_of_them() {
    let project = three()
        .config("level: strict\nnetwork: bridge")
        .env("FAKE_OUT", ALL_HOLDS);
    let said = run(&project, &[]);
    assert_eq!(
        said.stderr,
        "warning: network bridge of docker-test.yaml stays closed: level strict of docker-test.yaml has no network\n"
    );
    assert_eq!(said.status, 0, "{said:?}");
    assert_eq!(verdicts(&project), ["pass", "pass", "skip"]);
    for call in calls(&project) {
        assert!(!call.starts_with("network "), "{call}");
        if call.starts_with("run ") {
            assert!(call.contains(" --network=none "), "{call}");
        }
    }
}

/// Of tests that have run, the verdicts stay; those of the profile that the machine cannot keep, and
/// all that come after, are not run.
#[test]
fn a_profile_whose_limits_do_not_hold_ends_a_strict_run_where_it_comes_up() {
    // What holds for one profile is too much for the other.
    let project = three().test("d", "# @fast").env("FAKE_OUT", ALL_HOLDS);
    let said = run(&project, &["--level", "strict"]);
    assert_eq!(
        said.stderr.lines().next().unwrap(),
        "error: level strict cannot be kept here: memory, pids, open-files do not hold (profile fast, read back inside its worker)"
    );
    assert_eq!(said.status, 3);
    let expected = ["pass", "pass", "skip", "not-run no-worker"];
    assert_eq!(verdicts(&project), expected);
}

/// The machine keeps the promise, as the first worker shows: a later one is what is wrong.
#[test]
fn a_replaced_worker_without_its_limits_fails_its_tests() {
    let project = three()
        .env("FAKE_OUT", ALL_HOLDS)
        .env("FAKE_OUT_LATER", two_missing());
    let said = run(&project, &["--level", "paranoid"]);
    assert_eq!(
        said.stderr,
        "warning: worker 2 lacks limits that others had: memory, swap; its tests fail\n\
         warning: worker 3 lacks limits that others had: memory, swap; its tests fail\n"
    );
    // A verdict of its own stays.
    assert_eq!(verdicts(&project), ["pass", "fail limits", "skip"]);
    assert_eq!((said.status, ran(&project)), (1, 3));
}

#[test]
fn what_is_left_behind_fails_a_test_from_strict_on() {
    for (level, expected) in [("standard", "pass"), ("strict", "fail leak")] {
        let project = fake()
            .test("a", "setsid sleep 1000 & exit 0")
            .env("FAKE_OUT", ALL_HOLDS);
        let said = run(&project, &["--level", level]);
        assert_eq!(verdicts(&project), [expected], "{said:?}");
        assert_eq!(said.status, i32::from(level == "strict"));
        assert!(
            said.stdout.contains("left behind: process "),
            "{}",
            said.stdout
        );
    }
}

#[test]
fn paranoid_gives_every_test_a_container() {
    let project = three().env("FAKE_OUT", ALL_HOLDS);
    let said = run(&project, &["--level", "paranoid"]);
    assert_eq!(said.status, 0, "{said:?}");
    let workers = "select count(distinct worker) from attempts";
    assert_eq!(project.query(workers), "3");
}

/// The call that makes the network, and the one that removes it.
#[test]
fn an_internal_network_lives_as_long_as_its_run() {
    let project = three();
    let said = run(&project, &["--network", "internal"]);
    assert_eq!(said.status, 0, "{said:?}");
    let run = project.query("select run from runs");
    let name = format!("docker-test-{run}");
    let calls: Vec<String> = calls(&project)
        .into_iter()
        .filter(|call| !call.starts_with("version") && !call.starts_with("image "))
        .collect();
    let [list, create, worker, remove] = calls.as_slice() else {
        panic!("{calls:?}")
    };
    assert!(list.starts_with("network ls "), "{list}");
    assert!(create.starts_with("network create --internal "), "{create}");
    let label = format!(" --label=dev.docker-test.run={run} ");
    assert!(
        create.contains(&label) && create.ends_with(&name),
        "{create}"
    );
    assert!(worker.contains(&format!(" --network={name} ")), "{worker}");
    assert_eq!(remove, &format!("network rm -- {name}"));
    assert_eq!(project.query("select network from runs"), "internal");
    assert!(
        said.stdout
            .starts_with("Running 3 tests in 1 worker with docker (isolation), network internal\n"),
        "{}",
        said.stdout
    );
}

/// Nothing is recorded of a run that could not begin.
#[test]
fn a_network_that_cannot_be_made_is_the_engines_error() {
    for call in ["network ls", "network create"] {
        let project = three().env("FAKE_AT", call).env("FAKE_MODE", "refuse");
        let said = run(&project, &["--network", "internal"]);
        assert_eq!(said.status, 3, "{call}");
        assert!(
            said.stderr.starts_with("error: ") && said.stderr.contains("no, not now."),
            "{call}: {}",
            said.stderr
        );
        assert!(!project.path().join("test-results").exists(), "{call}");
        assert_eq!(ran(&project), 0, "{call}");
        // It may be there although the engine did not say so.
        let removed = calls(&project)
            .iter()
            .any(|call| call.starts_with("network rm "));
        assert_eq!(removed, call == "network create");
    }
}

#[test]
fn a_network_that_cannot_be_removed_costs_no_verdict() {
    let project = three()
        .env("FAKE_AT", "network rm")
        .env("FAKE_MODE", "refuse");
    let said = run(&project, &["--network", "internal"]);
    assert_eq!(said.status, 0, "{said:?}");
    let name = format!("docker-test-{}", project.query("select run from runs"));
    let words = format!("warning: the network {name} is left to `docker-test clean`: ");
    assert!(said.stderr.contains(&words), "{}", said.stderr);
    assert!(said.stderr.contains("no, not now."), "{}", said.stderr);
}

/// Only what is known to be a dead launcher's goes; that it does not is no matter.
#[test]
fn a_run_with_a_network_sweeps_those_of_the_dead() {
    let id = |digit: &str| digit.repeat(64);
    let row = |digit: &str, pid: &str| {
        let id = id(digit);
        format!("[\"{id}\",\"docker-test-{digit}\",\"{digit}\",\"another\",\"{pid}\",\"1\"]\n")
    };
    let networks = row("a", "1") + &row("b", "whose") + &row("c", "1");
    for refused in ["", "network rm"] {
        let project = three()
            .file(".fake/networks", &networks)
            .env("FAKE_AT", refused)
            .env("FAKE_MODE", "refuse");
        let said = run(&project, &["--network", "internal"]);
        assert_eq!(said.status, 0, "{said:?}");
        let removed: Vec<String> = calls(&project)
            .into_iter()
            .filter(|call| call.starts_with("network rm "))
            .collect();
        let own = project.query("select run from runs");
        let expected = [id("a"), id("c"), format!("docker-test-{own}")];
        assert_eq!(removed, expected.map(|id| format!("network rm -- {id}")));
    }
}

#[test]
fn an_engine_without_that_network_says_so_at_once() {
    // Where slirp4netns is installed it has one.
    let project = three()
        .config("network: bridge")
        .env("PATH", "/nonexistent");
    let said = project.run(["run", "--engine", "sandbox"]);
    assert_eq!(
        (said.stdout.as_str(), said.stderr.as_str(), said.status),
        (
            "",
            "error: the engine sandbox has no network bridge here\n\
             hint: use --network none, or --engine docker, or give the sandbox slirp4netns and /dev/net/tun\n",
            3
        )
    );
    assert_eq!(ran(&project), 0);
}

#[test]
fn the_engine_host_keeps_no_level() {
    let project = three();
    let said = project.run(["run", "--engine", "host", "--level", "strict"]);
    assert_eq!(
        (said.stdout.as_str(), said.stderr.as_str(), said.status),
        (
            "",
            "error: level strict cannot be kept by --engine host: it has no container, so nothing that the level promises holds\n\
             hint: use another engine, or add --allow-weaker\n",
            3
        )
    );
    assert_eq!(ran(&project), 0);
    let more = ["--engine", "host", "--level", "strict", "--allow-weaker"];
    let said = run(&project, &more);
    assert_eq!(said.status, 0, "{said:?}");
}
