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
