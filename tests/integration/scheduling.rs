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
