//! Shards' databases, and what `merge` makes of them.

use std::fs;
use std::path::PathBuf;

use crate::fake_engine::fake;
use crate::harness::{Project, Said};
use crate::host_run::HOST;

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

fn project() -> Project {
    NAMES.iter().fold(Project::new(), |project, name| {
        project.test(name, "echo hello")
    })
}

fn database(project: &Project) -> PathBuf {
    project.path().join("test-results/docker-test.db")
}

/// Runs a shard as on a machine of its own; its database then is `NAME`.
fn shard(project: &Project, shard: &str, name: &str) {
    let _ = fs::remove_dir_all(project.path().join("test-results"));
    let said = project.run(HOST.iter().chain(&["--shard", shard]));
    assert_eq!(said.status, 0, "{}", said.stderr);
    fs::rename(database(project), project.path().join(name)).unwrap();
}

fn merge(project: &Project, arguments: &[&str]) -> Said {
    project.run(["merge"].iter().chain(arguments))
}

/// Everything that a database says of runs, as text.
fn content(project: &Project, name: &str) -> Vec<Vec<String>> {
    let _ = fs::create_dir(project.path().join("test-results"));
    fs::copy(project.path().join(name), database(project)).unwrap();
    let tables = [
        ("runs", "run"),
        ("workers", "run, worker"),
        ("planned", "run, position"),
        ("elsewhere", "run, test"),
        ("attempts", "run, test, attempt"),
        ("outputs", "run, test, attempt, stream"),
        ("tests", "test"),
        ("peaks", "run, figure, place"),
        ("series", "run, test, attempt"),
    ];
    let rows =
        tables.map(|(table, key)| project.rows(&format!("select * from {table} order by {key}")));
    rows.into_iter().flatten().collect()
}

#[test]
fn the_shards_of_a_suite_are_the_whole() {
    let project = project();
    for number in 1..=3 {
        shard(&project, &format!("{number}/3"), &format!("{number}.db"));
    }
    let before = ["1.db", "2.db", "3.db"].map(|name| fs::read(project.path().join(name)).unwrap());
    let all = ["3.db", "1.db", "2.db", "-o", "out/all.db"];
    let said = merge(&project, &all);
    assert_eq!(said.status, 0, "{}", said.stderr);
    for line in [
        ": 5 tests in 3 shards\n",
        "shard 3/3: ",
        "each test is there exactly once: 5 pass\nrecord: ",
    ] {
        assert!(said.stdout.contains(line), "{}", said.stdout);
    }
    let after = ["1.db", "2.db", "3.db"].map(|name| fs::read(project.path().join(name)).unwrap());
    assert!(before == after, "what is merged is only read");

    let merged = content(&project, "out/all.db");
    let finals = "select group_concat(id || ' ' || head, ',') from
                  (select id, head from attempts join tests using (test)
                   join outputs using (run, test, attempt) where stream = 'stdout' order by id)";
    let expected: Vec<String> = NAMES
        .iter()
        .map(|name| format!("test/{name}_test.sh hello\n"))
        .collect();
    assert_eq!(project.query(finals), expected.join(","));
    assert_eq!(
        project.query("select count(distinct merged) || ' ' || count(merged) from runs"),
        "1 3"
    );
    assert_eq!(project.query("pragma foreign_key_check"), "");
    assert_eq!(project.query("pragma integrity_check"), "ok");

    // Again, also what is merged already: nothing changes.
    assert_eq!(merge(&project, &all).status, 0);
    assert!(content(&project, "out/all.db") == merged);
    let again = ["out/all.db", "2.db", "-o", "twice.db"];
    assert_eq!(merge(&project, &again).status, 0);
    assert!(content(&project, "twice.db") == merged);
    let left: Vec<_> = fs::read_dir(project.path().join("out")).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    // It is a database like any other.
    fs::remove_dir_all(project.path().join("test-results")).unwrap();
    fs::create_dir(project.path().join("test-results")).unwrap();
    fs::rename(project.path().join("twice.db"), database(&project)).unwrap();
    assert_eq!(project.run(HOST).status, 0);
    assert_eq!(project.query("select count(*) from runs"), "4");
}

#[test]
fn a_test_that_is_missing_or_there_twice_is_named() {
    let project = project();
    for number in 1..=2 {
        shard(&project, &format!("{number}/2"), &format!("{number}.db"));
    }
    let of_the_second = content(&project, "2.db");
    let second: Vec<&str> = NAMES
        .into_iter()
        .filter(|name| {
            let id = format!("test/{name}_test.sh");
            let planned = "select count(*) from planned join tests using (test) where id =";
            project.query(&format!("{planned} '{id}'")) == "1"
        })
        .collect();
    assert!(!of_the_second.is_empty() && !second.is_empty());
    let said = merge(&project, &["1.db", "-o", "all.db"]);
    assert_eq!(said.status, 1, "{}", said.stderr);
    for name in &second {
        let line = format!("  test/{name}_test.sh (shard 2)\n");
        assert!(said.stdout.contains(&line), "{}", said.stdout);
    }
    assert!(said.stdout.contains("this is not the whole suite\n"));

    // A job that was run again, on another machine.
    shard(&project, "2/2", "again.db");
    let json = [
        "1.db",
        "2.db",
        "again.db",
        "-o",
        "more.db",
        "--message-format",
        "json",
    ];
    let said = merge(&project, &json);
    assert_eq!(said.status, 1);
    let found: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    let twice = found["twice"].as_array().unwrap();
    assert_eq!(twice.len(), second.len(), "{found}");
    assert_eq!(twice[0]["runs"].as_array().unwrap().len(), 2);

    // A launcher that was killed leaves a test without a last word.
    let path = project.path().join("2.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute("delete from attempts", []).unwrap();
    drop(connection);
    let said = merge(&project, &["1.db", "2.db", "-o", "killed.db"]);
    assert_eq!(said.status, 1);
    assert!(said.stdout.contains("missing: "), "{}", said.stdout);
}

#[test]
fn what_cannot_be_merged_leaves_nothing_behind() {
    let project = project();
    shard(&project, "1/2", "1.db");
    let project = project.test("f", "true");
    shard(&project, "2/2", "2.db");
    shard(&project, "1/3", "3.db");
    let project = project.file("text.db", "no database");
    for (given, status, words) in [
        (
            &["1.db", "2.db"][..],
            2,
            "1.db and 2.db cannot be merged: their suites differ\n",
        ),
        (
            &["2.db", "3.db"],
            2,
            "one is a shard of 3, the other of 2\n",
        ),
        (&["1.db", "none.db"], 2, "there is no database none.db\n"),
        (&["text.db"], 5, " is not a database"),
    ] {
        let said = merge(&project, &[given, &["-o", "all.db"]].concat());
        assert_eq!(said.status, status, "{}", said.stderr);
        assert!(said.stderr.contains(words), "{}", said.stderr);
        assert!(!project.path().join("all.db").exists());
    }
    assert_eq!(merge(&project, &["1.db", "-o", "test"]).status, 2);
    let entries = fs::read_dir(project.path()).unwrap();
    let hidden = |name: &std::ffi::OsString| name.to_string_lossy().starts_with(".docker-test");
    assert_eq!(
        entries
            .map(|entry| entry.unwrap().file_name())
            .filter(hidden)
            .count(),
        0
    );
}

/// What the fake docker says of every image.
fn image(project: &Project, id: &str, content: Option<&str>) {
    let mut labels = serde_json::json!({"dev.docker-test.image": "isolation"});
    if let Some(content) = content {
        labels["dev.docker-test.content"] = digest(content).into();
    }
    let answer = serde_json::json!([digest(id), 7, labels]).to_string();
    fs::write(project.path().join(".fake/image"), answer + "\n").unwrap();
}

fn digest(start: &str) -> String {
    format!("sha256:{start:0<64}")
}

/// Runs a shard with the fake docker as on a machine of its own.
fn docker_shard(project: &Project, shard: &str, more: &[&str], name: &str) {
    let _ = fs::remove_dir_all(project.path().join("test-results"));
    let arguments = ["run", "--workers", "1", "--shard", shard];
    let said = project.run(arguments.iter().chain(more));
    assert_eq!(said.status, 0, "{}", said.stderr);
    fs::rename(database(project), project.path().join(name)).unwrap();
}

/// What the database says of its only run.
fn of_run(project: &Project, name: &str, column: &str) -> String {
    let path = project.path().join(name);
    let connection = rusqlite::Connection::open(path).unwrap();
    let query = format!("select coalesce({column}, 'NULL') from runs");
    connection
        .query_row(&query, [], |row| row.get::<_, rusqlite::types::Value>(0))
        .map(|value| match value {
            rusqlite::types::Value::Integer(number) => number.to_string(),
            rusqlite::types::Value::Text(text) => text,
            other => panic!("{other:?}"),
        })
        .unwrap()
}

/// The certificate of both shards, with these lines of its images.
fn certificate(project: &Project, images: &str) -> String {
    let line = |shard: u32| {
        let name = format!("{shard}.db");
        let tests = of_run(project, &name, "planned");
        let run = of_run(project, &name, "run");
        format!("shard {shard}/2: {tests} tests, run {run}\n")
    };
    format!(
        "suite {}: 5 tests in 2 shards\n{}{}{images}each test is there exactly once: 5 pass\n\
         record: {}\n",
        of_run(project, "1.db", "suite"),
        line(1),
        line(2),
        project
            .path()
            .canonicalize()
            .unwrap()
            .join("all.db")
            .display(),
    )
}

fn five() -> Project {
    NAMES
        .iter()
        .fold(fake(), |project, name| project.test(name, "true"))
}

const ALL: [&str; 4] = ["1.db", "2.db", "-o", "all.db"];

/// Each machine builds our images for itself: what they are made of counts, not their ids.
#[test]
fn images_of_the_same_parts_are_the_same() {
    let project = five();
    for (shard, id) in [("1/2", "aa"), ("2/2", "bb")] {
        image(&project, id, Some("cc"));
        docker_shard(&project, shard, &[], &format!("{}.db", &shard[..1]));
    }
    let recorded = format!(r#"{{"isolation":"{}"}}"#, digest("cc"));
    assert_eq!(of_run(&project, "1.db", "image_digests"), recorded);
    let said = merge(&project, &ALL);
    let expected = certificate(&project, "image isolation: sha256:cc0000000000\n");
    assert_eq!(
        (said.stdout, said.stderr.as_str(), said.status),
        (expected, "", 0)
    );
    let said = merge(
        &project,
        &[&ALL[..], &["--message-format", "json"]].concat(),
    );
    let found: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(
        found["images"],
        serde_json::json!({"isolation": digest("cc")})
    );
}

#[test]
fn images_that_differ_are_not_merged() {
    for (more, word, first, second) in [
        // One built it by hand: it has only its id.
        (&[][..], "isolation", "cc", "bb"),
        // It is the user's: a label says whose image it is built on, and nothing of it.
        (&["--image", "debian:12"], "debian:12", "aa", "bb"),
    ] {
        let project = five();
        image(&project, "aa", Some("cc"));
        docker_shard(&project, "1/2", more, "1.db");
        image(&project, "bb", (word != "isolation").then_some("cc"));
        docker_shard(&project, "2/2", more, "2.db");
        let said = merge(&project, &ALL);
        let expected = format!(
            "error: 1.db and 2.db cannot be merged: image {word} was not the same: \
             sha256:{first}0000000000 in shard 1/2, sha256:{second}0000000000 in shard 2/2\n\
             hint: build or pull the same image on every machine; for instance one job builds it and the others load it\n"
        );
        assert_eq!(
            (said.stdout.as_str(), said.stderr, said.status),
            ("", expected, 2)
        );
        assert!(!project.path().join("all.db").exists());
    }
}

/// A launcher that was killed has not said which image it had; without a container there is none.
#[test]
fn images_that_nothing_is_known_of_are_not_compared() {
    let project = five();
    image(&project, "aa", None);
    docker_shard(&project, "1/2", &[], "1.db");
    shard(&project, "2/2", "2.db");
    assert_eq!(of_run(&project, "2.db", "image_digests"), "NULL");
    let said = merge(&project, &ALL);
    let expected = certificate(&project, "images not compared: isolation\n");
    assert_eq!(
        (said.stdout, said.stderr.as_str(), said.status),
        (expected, "", 0)
    );
    let host = five();
    for shard in ["1/2", "2/2"] {
        docker_shard(
            &host,
            shard,
            &["--image", "host"],
            &format!("{}.db", &shard[..1]),
        );
    }
    assert_eq!(of_run(&host, "1.db", "image_digests"), "NULL");
    let expected = certificate(&host, "images not compared: host\n");
    assert_eq!(merge(&host, &ALL).stdout, expected);
}
