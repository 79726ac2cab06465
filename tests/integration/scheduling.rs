//! Order, shards and repetition as they are typed.

use crate::harness::{Project, Said};
use crate::host_run::HOST;

fn host(project: &Project, more: &[&str]) -> Said {
    project.run(HOST.iter().chain(more))
}

/// The tests of the last run in the order in which they were executed.
fn executed(project: &Project) -> Vec<String> {
    let rows = project.rows(
        "select id from attempts join tests using (test)
         where run = (select run from runs order by started_unix_us desc limit 1)
         order by started_unix_us",
    );
    rows.into_iter().map(|row| row[0].clone()).collect()
}

#[test]
fn the_longest_test_comes_first_once_it_is_known() {
    let project = Project::new()
        .test("a", "true")
        .test("b", "sleep 0.6")
        .test("c", "sleep 0.3");
    let names = |order: &[&str]| -> Vec<String> {
        let name = |name: &&str| format!("test/{name}_test.sh");
        order.iter().map(name).collect()
    };
    assert_eq!(host(&project, &["--workers", "1"]).status, 0);
    assert_eq!(executed(&project), names(&["a", "b", "c"]));
    assert_eq!(host(&project, &["--workers", "1"]).status, 0);
    assert_eq!(executed(&project), names(&["b", "c", "a"]));
    let project = project.config("order: plan");
    assert_eq!(host(&project, &["--workers", "1"]).status, 0);
    assert_eq!(executed(&project), names(&["a", "b", "c"]));
    std::fs::remove_file(project.path().join("docker-test.yaml")).unwrap();
    // A new test is taken for a middling one.
    let project = project.test("d", "true");
    assert_eq!(host(&project, &["--workers", "1"]).status, 0);
    assert_eq!(executed(&project), names(&["b", "c", "d", "a"]));
}

/// Without a record a damaged database is nobody's concern.
#[test]
fn a_history_that_cannot_be_read_stops_only_a_run_that_is_recorded() {
    let project = Project::new()
        .test("a", "true")
        .file("test-results/docker-test.db", "no database at all");
    assert_eq!(host(&project, &[]).status, 5);
    assert_eq!(host(&project, &["--no-record"]).status, 0);
}

#[test]
fn a_plan_says_how_long_a_run_will_take() {
    let project = Project::new()
        .fake_docker("echo 20.10.24")
        .test("a", "true")
        .test("b", "sleep 0.5");
    let plan = |more: &[&str]| project.run(["plan"].iter().chain(more));
    let said = plan(&["--workers", "2"]);
    assert_eq!(said.status, 0, "{}", said.stderr);
    assert!(
        said.stdout
            .contains("2 tests in 2 workers: nothing is known")
    );
    assert_eq!(host(&project, &[]).status, 0);
    let said = plan(&["--workers", "2"]);
    let floor = "the longest test alone, test/b_test.sh\n1 more worker: no gain\n";
    assert!(said.stdout.contains(floor), "{}", said.stdout);
    let said = plan(&["--workers", "1", "--message-format", "json", "test"]);
    let found: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!((&found["known"], &found["workers"]), (&2.into(), &1.into()));
    assert_eq!(found["tests"][0]["id"], "test/b_test.sh");
    assert_eq!(found["makespan_us"], found["total_us"]);
    assert!(found["makespan_us"].as_u64().unwrap() >= 500_000, "{found}");
    assert_eq!(plan(&["no/such/path"]).status, 2);
}

/// The tests of the last run, by their short names.
fn ran(project: &Project) -> Vec<String> {
    let short = |(id, verdict): (String, String)| {
        assert_eq!(verdict, "pass", "{id}");
        let name = id.strip_prefix("test/").unwrap();
        name.strip_suffix("_test.sh").unwrap().to_owned()
    };
    project.verdicts().into_iter().map(short).collect()
}

#[test]
fn shards_without_history_are_disjoint_and_complete() {
    let project = Project::new();
    let names = ["a", "b", "c", "d", "e", "f", "g"];
    let project = names
        .iter()
        .fold(project, |project, name| project.test(name, "true"));
    for shards in [2, 5] {
        let mut all = Vec::new();
        for shard in 1..=shards {
            // Another shard's record must not become this one's history.
            let _ = std::fs::remove_dir_all(project.path().join("test-results"));
            let said = host(&project, &["--shard", &format!("{shard}/{shards}")]);
            assert_eq!(said.status, 0, "{}", said.stderr);
            let here = ran(&project);
            let note = format!(
                "note: shard {shard}/{shards} (--shard): {} of 7 tests, divided by a hash of their ids",
                here.len()
            );
            assert!(said.stderr.contains(&note), "{}", said.stderr);
            assert_eq!(
                project.rows(
                    "select shard, shards, history, planned, length(suite),
                     (select count(*) from elsewhere) from runs"
                ),
                [[
                    shard.to_string(),
                    shards.to_string(),
                    "NULL".into(),
                    here.len().to_string(),
                    "64".into(),
                    (7 - here.len()).to_string(),
                ]]
            );
            all.extend(here);
        }
        all.sort();
        assert_eq!(all, names);
    }
}

#[test]
fn shards_with_history_have_as_much_to_do() {
    let project = Project::new()
        .test("a", "sleep 0.6")
        .test("b", "sleep 0.25")
        .test("c", "sleep 0.2")
        .test("d", "true");
    assert_eq!(host(&project, &[]).status, 0);
    let database = project.path().join("test-results/docker-test.db");
    let before = std::fs::read(&database).unwrap();
    let mut suites = Vec::new();
    for (shard, expected) in [("1/2", &["a"][..]), ("2/2", &["b", "c", "d"])] {
        // Every shard has the same history.
        std::fs::write(&database, &before).unwrap();
        let said = host(&project, &["--shard", shard]);
        assert_eq!(ran(&project), expected, "{}", said.stderr);
        let history = project.query("select history from runs where shard not null");
        let note = format!("divided by history {}\n", &history[..12]);
        assert!(said.stderr.contains(&note), "{}", said.stderr);
        suites.push(project.query("select group_concat(distinct suite) from runs"));
    }
    assert_eq!(suites[0].len(), 64, "one suite: {suites:?}");
    assert_eq!(suites[0], suites[1]);
}

#[test]
fn an_empty_shard_says_so_and_is_no_error() {
    let project = Project::new().test("a", "true");
    let said: Vec<Said> = ["1/2", "2/2"]
        .map(|shard| host(&project, &["--no-record", "--shard", shard]))
        .into();
    let empty: Vec<&Said> = said
        .iter()
        .filter(|said| said.stderr.contains("0 of 1 tests"))
        .collect();
    assert_eq!(empty.len(), 1, "{said:?}");
    assert_eq!(empty[0].status, 0);
    assert!(empty[0].stderr.contains("; it is empty\n"), "{empty:?}");
}

#[test]
fn a_ci_names_the_shard() {
    let run = |variables: &[(&str, &str)], more: &[&str]| {
        let project = Project::new().test("a", "true").test("b", "true");
        let set = |project: Project, (name, value): &(&str, &str)| project.env(name, *value);
        let project = variables.iter().fold(project, set);
        host(&project, more)
    };
    let gitlab = [("CI_NODE_INDEX", "2"), ("CI_NODE_TOTAL", "3")];
    let said = run(&gitlab, &[]);
    let note = "note: shard 2/3 (CI_NODE_INDEX, CI_NODE_TOTAL): ";
    assert!(said.stderr.contains(note), "{}", said.stderr);
    // The command line has the last word.
    let said = run(&gitlab, &["--shard", "1/1"]);
    assert!(!said.stderr.contains("shard"), "{}", said.stderr);
    let said = run(&gitlab, &["--shard", "3/4"]);
    assert!(
        said.stderr.contains("note: shard 3/4 (--shard): "),
        "{}",
        said.stderr
    );
    let pod = [("JOB_COMPLETION_INDEX", "0"), ("PODS", "2")];
    let said = run(&pod, &["--shard", "auto", "--shards-from", "PODS"]);
    let note = "note: shard 1/2 (JOB_COMPLETION_INDEX, PODS): ";
    assert!(said.stderr.contains(note), "{}", said.stderr);
    let alone = [("CIRCLE_NODE_INDEX", "0"), ("CIRCLE_NODE_TOTAL", "1")];
    assert_eq!(run(&alone, &["--shard", "auto"]).status, 0);
    for (variables, more, words) in [
        (
            &pod[..],
            &["--shard", "auto"][..],
            "no variable of a CI says which shard",
        ),
        (
            &[],
            &["--shard", "auto"],
            "no variable of a CI says which shard",
        ),
        (
            &[],
            &["--shard", "0/3"],
            "write which of how many, as in 1/3, or auto",
        ),
        (
            &[("CI_NODE_INDEX", "9"), ("CI_NODE_TOTAL", "3")],
            &[],
            "CI_NODE_INDEX=9 and CI_NODE_TOTAL=3 name no shard",
        ),
    ] {
        let said = run(variables, more);
        assert_eq!(said.status, 2, "{}", said.stderr);
        assert!(said.stderr.contains(words), "{}", said.stderr);
    }
}

#[test]
fn an_order_of_chance_can_be_had_again() {
    let names = ["a", "b", "c", "d", "e", "f"];
    let project = names
        .iter()
        .fold(Project::new(), |project, name| project.test(name, "true"));
    let said = host(&project, &["--workers", "1", "--shuffle"]);
    let order = executed(&project);
    let seed = project.query("select seed from runs");
    let note = format!("note: the order is one of chance; --shuffle={seed} gives it again\n");
    assert!(said.stderr.contains(&note), "{}", said.stderr);
    let again = format!("--shuffle={seed}");
    assert_eq!(host(&project, &["--workers", "1", &again]).status, 0);
    assert_eq!(executed(&project), order);
    assert_eq!(host(&project, &["--shuffle=x"]).status, 2);
}

/// A script that fails until it has been run so often.
fn passes_at(project: &Project, name: &str, attempt: u32) -> String {
    let count = project.path().join(name);
    format!(
        "echo x >> '{0}'; [ $(wc -l < '{0}') -ge {attempt} ]",
        count.display()
    )
}

/// `attempt superseded outcome` of each attempt at a test in the last run.
fn attempts(project: &Project, name: &str) -> Vec<String> {
    let rows = project.rows(&format!(
        "select attempt || ' ' || superseded || ' ' || outcome from attempts join tests using (test)
         where id = 'test/{name}_test.sh'
         and run = (select run from runs order by started_unix_us desc limit 1) order by attempt"
    ));
    rows.into_iter().map(|row| row[0].clone()).collect()
}

#[test]
fn a_test_that_is_not_good_is_run_again() {
    let project = Project::new();
    let (flaky, bad) = (passes_at(&project, "flaky", 3), "exit 1");
    let project = project
        .test("flaky", &flaky)
        .test("bad", bad)
        .test("good", "true");
    let said = host(&project, &["--retries", "2"]);
    assert_eq!(said.status, 1);
    assert_eq!(
        attempts(&project, "flaky"),
        ["1 1 fail", "2 1 fail", "3 0 pass"]
    );
    assert_eq!(
        attempts(&project, "bad"),
        ["1 1 fail", "2 1 fail", "3 0 fail"]
    );
    assert_eq!(attempts(&project, "good"), ["1 0 pass"]);
    assert!(
        said.stdout.contains("2 pass (1 flaky), 1 fail"),
        "{}",
        said.stdout
    );
    for (more, status) in [
        (&["--flaky", "warn"][..], 0),
        (&["--flaky", "fail"], 1),
        (&[], 0),
    ] {
        let _ = std::fs::remove_file(project.path().join("flaky"));
        let only = ["--retries", "2", "test/flaky_test.sh"];
        let said = host(&project, &[&only, more].concat());
        assert_eq!(said.status, status, "{more:?}: {}", said.stdout);
        assert!(said.stdout.contains("1 pass (1 flaky)"), "{}", said.stdout);
    }
    // A test that passes at once is not flaky; nor is one that is given up at the first failure.
    assert_eq!(
        host(&project, &["--flaky", "fail", "test/good_test.sh"]).status,
        0
    );
    let said = host(&project, &["--retries", "-1"]);
    assert_eq!(said.status, 2, "{}", said.stderr);
}

#[test]
fn rules_say_which_tests_are_run_again() {
    let project = Project::new().config(
        "retries: 1\nflaky: fail\nrules:\n\
         - {path: test/never_test.sh, retries: 0}\n\
         - {path: test/often_test.sh, profile: fast, retries: 3}\n",
    );
    let project = ["often", "once", "never"]
        .iter()
        .fold(project, |project, name| project.test(name, "exit 1"));
    assert_eq!(host(&project, &[]).status, 1);
    let counts = ["often", "once", "never"].map(|name| attempts(&project, name).len());
    assert_eq!(counts, [4, 2, 1]);
    let profile = "select distinct profile from attempts join tests using (test)
                   where id = 'test/often_test.sh'";
    assert_eq!(project.query(profile), "fast");
    assert_eq!(host(&project, &["--retries", "0"]).status, 1);
    assert_eq!(attempts(&project, "often"), ["1 0 fail"]);
}

#[test]
fn what_an_earlier_run_left_is_run() {
    let project = Project::new()
        .test("a_bad", "exit 1")
        .test("b_good", "true")
        .test("c_good", "true");
    let nothing = host(&project, &["--failed"]);
    assert_eq!(nothing.status, 2);
    assert!(
        nothing.stderr.contains("nothing is recorded"),
        "{}",
        nothing.stderr
    );
    let said = host(&project, &["--workers", "1", "--fail-fast"]);
    assert_eq!(said.status, 1);
    let run = project.query("select run from runs");
    // What was never started.
    let said = host(&project, &["--resume", &run[..8]]);
    assert_eq!(said.status, 0, "{}", said.stdout);
    assert_eq!(ran(&project), ["b_good", "c_good"]);
    let note = format!("note: 2 tests that run {run} never came to\n");
    assert!(said.stderr.contains(&note), "{}", said.stderr);
    assert_eq!(host(&project, &[]).status, 1);
    let said = host(&project, &["--failed"]);
    assert_eq!(
        (said.status, executed(&project)),
        (1, vec!["test/a_bad_test.sh".into()])
    );
    let project = project.test("a_bad", "true");
    assert_eq!(host(&project, &["--failed"]).status, 0);
    assert_eq!(ran(&project), ["a_bad"]);
    let said = host(&project, &["--failed"]);
    assert_eq!(said.status, 0, "nothing is left: {}", said.stderr);
    assert!(
        said.stderr.contains("note: 0 tests that run "),
        "{}",
        said.stderr
    );
    for wrong in [
        &["--resume", "no-such-run"][..],
        &["--failed", "--resume", "last"],
    ] {
        assert_eq!(host(&project, wrong).status, 2);
    }
}
