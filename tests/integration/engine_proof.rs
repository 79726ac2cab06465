//! The isolation proof (`test/`), run for real, and the proof that it can fail.

use std::fs;
use std::path::Path;

use crate::engines::{Engine, on_every_engine};
use crate::harness::{Project, repository};

on_every_engine! {
    all_of_it_passes
    under_strict_exactly_the_polluter_fails
    without_the_reset_exactly_its_proof_fails
    tests_that_run_together_share_no_namespace
    a_fresh_worker_for_every_test
}

/// A project with this repository's own tests in it, and a temporary folder of its own.
pub fn proof(project: Project) -> Project {
    copy(&repository().join("test"), &project.path().join("test"));
    let config = fs::read_to_string(repository().join("docker-test.yaml")).unwrap();
    let temporary = project.folder("temporary");
    project.config(&config).env("TMPDIR", temporary)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// How many tests the proof has, by its files.
fn count(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            if entry.file_type().unwrap().is_dir() {
                count(&entry.path())
            } else {
                usize::from(entry.file_name().to_string_lossy().ends_with("_test.sh"))
            }
        })
        .sum()
}

/// The tests that did not pass, with their verdicts.
pub fn others(project: &Project) -> Vec<(String, String)> {
    let mut verdicts = project.verdicts();
    verdicts.retain(|(_, verdict)| verdict != "pass");
    verdicts
}

fn all_of_it_passes(on: &Engine) {
    let project = proof(on.project());
    let said = project.run(on.run([]));
    assert_eq!(others(&project), [], "{}", said.stdout);
    assert_eq!(said.status, 0, "{}", said.stderr);
    let tests = count(&repository().join("test"));
    assert!(tests > 30, "{tests}");
    assert_eq!(project.verdicts().len(), tests);
    assert_eq!(
        project.query("select count(*) from attempts"),
        tests.to_string(),
        "one attempt each"
    );

    // The proof that a reset cleans is none if the second test had another worker.
    let rows = project.rows(
        "select worker, sequence from attempts join tests using (test)
         where id in ('test/reset/1_pollute_test.sh', 'test/reset/2_clean_test.sh') order by id",
    );
    let [polluter, follower] = rows.as_slice() else {
        panic!("{rows:?}")
    };
    assert_eq!(polluter[0], follower[0], "the worker");
    let sequence = |row: &[String]| row[1].parse::<u64>().unwrap();
    assert_eq!(sequence(polluter) + 1, sequence(follower));
    let leaks = project.query(
        "select leaks from attempts join tests using (test) where id like '%1_pollute_test.sh'",
    );
    for kind in [
        "process",
        "files",
        "attributes",
        "sysv-ipc",
        "message-queue",
    ] {
        // The polluter leaves the attributes of its folders alone.
        let there = leaks.contains(&format!("\"kind\":\"{kind}\""));
        assert_eq!(there, kind != "attributes", "{kind}: {leaks}");
    }

    // Every limit holds, as read back from inside, but for those that the run names.
    let warnings = match on.promises(&project).text("what is warned of") {
        "" => Vec::new(),
        limits => ["fast", "slow", "standard"]
            .map(|profile| {
                format!("warning: limits that do not hold here: {limits} (profile {profile})")
            })
            .to_vec(),
    };
    let mut found: Vec<&str> = said.stderr.lines().collect();
    found.retain(|line| line.contains("not hold"));
    found.sort_unstable();
    assert_eq!(found, warnings, "{}", said.stderr);
    assert_eq!(on.left_by(&project), Vec::<String>::new());
}

fn under_strict_exactly_the_polluter_fails(on: &Engine) {
    let project = proof(on.project());
    let said = on.run_at_level("strict", &project);
    assert_eq!(said.status, 1, "{}", said.stderr);
    let expected = [("test/reset/1_pollute_test.sh".into(), "fail leak".into())];
    assert_eq!(others(&project), expected, "{}", said.stdout);
}

fn without_the_reset_exactly_its_proof_fails(on: &Engine) {
    let project = proof(on.project());
    let said = project.run(on.run(["--without-reset"]));
    assert_eq!(said.status, 1, "{}", said.stderr);
    let expected = [("test/reset/2_clean_test.sh".into(), "fail exit(1)".into())];
    assert_eq!(others(&project), expected, "{}", said.stdout);
    let found = project.query(
        "select head from outputs join tests using (test)
         where id like '%2_clean_test.sh' and stream = 'stderr'",
    );
    for trace in [
        "/tmp/left is left",
        "/home/testuser/left is left",
        "/dev/shm/left is left",
        "'sleep'",
        "sysv objects are left",
        "mqueue objects are left",
        "a port is still taken",
    ] {
        assert!(found.contains(trace), "{trace}: {found}");
    }
}

#[test]
fn without_a_container_it_fails_and_harms_nothing() {
    let project = proof(Project::new());
    let shared = || {
        ["shm", "sem", "msg"].map(|what| {
            let table = fs::read_to_string(format!("/proc/sysvipc/{what}")).unwrap_or_default();
            table.lines().count()
        })
    };
    let before = shared();
    let said = project.run(["run", "--engine", "host"]);
    assert_eq!(said.status, 1, "{}", said.stderr);
    assert!(said.stderr.contains("no isolation"), "{}", said.stderr);
    let (all, bad) = (project.verdicts().len(), others(&project).len());
    assert!(2 * bad > all, "{bad} of {all} fail:\n{}", said.stdout);
    assert_eq!(shared(), before, "System V objects of this machine");
    let left = |folder: &Path| -> Vec<_> {
        let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
        entries.map(|entry| entry.file_name()).collect()
    };
    let temporary = project
        .command(["help"])
        .get_envs()
        .find(|(name, _)| *name == "TMPDIR")
        .and_then(|(_, value)| value)
        .map(Path::new)
        .unwrap()
        .to_path_buf();
    assert_eq!(left(&temporary), Vec::<std::ffi::OsString>::new());
    assert_eq!(count(&project.path().join("test")), all);
}

fn tests_that_run_together_share_no_namespace(on: &Engine) {
    let project = proof(on.project());
    let said = project.run(on.run(["test/parallel", "--workers", "2", "--hold", "2"]));
    assert_eq!(said.status, 0, "{}{}", said.stdout, said.stderr);
    let rows = project.rows(
        "select head, worker from attempts join outputs using (run, test, attempt) where stream = 'stdout'",
    );
    let [a, b] = rows.as_slice() else {
        panic!("{rows:?}")
    };
    assert_ne!(a[1], b[1], "the worker");
    for (a, b) in a[0].lines().zip(b[0].lines()) {
        let kind = |line: &str| line.split(' ').nth(1).map(str::to_owned);
        assert_eq!(kind(a), kind(b));
        assert_ne!(a, b);
    }
    assert_eq!((a[0].lines().count(), b[0].lines().count()), (4, 4));
}

fn a_fresh_worker_for_every_test(on: &Engine) {
    let project = on.project();
    let project = project.test("a", ":").test("b", ":").test("c", ":");
    let said = project.run(on.run(["--fresh", "test", "--workers", "2"]));
    assert_eq!(said.status, 0, "{}{}", said.stdout, said.stderr);
    let rows = project.rows("select count(*), count(distinct worker), max(sequence) from attempts");
    assert_eq!(rows, [["3", "3", "1"]]);
    assert_eq!(on.left_by(&project), Vec::<String>::new());
}
