//! The commands that look over many runs, on databases that others made.

use std::fs;
use std::process::Stdio;

use crate::harness::{Project, Said, finish, repository};
use crate::host_run::HOST;

/// Reaches back to the fixture's runs.
const EVER: [&str; 2] = ["--days", "36500"];

/// A project whose results are the fixture of the newest schema.
fn project() -> Project {
    let project = Project::new();
    let results = project.folder("test-results");
    let fixture = repository().join("tests/fixtures/v3.db");
    fs::copy(fixture, results.join("docker-test.db")).unwrap();
    project
}

/// Changes the project's database.
fn change(project: &Project, sql: &str) {
    let path = project.path().join("test-results/docker-test.db");
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.execute_batch(sql).unwrap();
}

/// Nothing but this was said, and it was fine.
fn said(said: &Said, stdout: &str) {
    assert_eq!(
        (said.stdout.as_str(), said.stderr.as_str(), said.status),
        (stdout, "", 0)
    );
}

/// Exactly this error.
fn refused(project: &Project, arguments: &[&str], status: i32, message: &str) {
    let said = project.run(arguments);
    let folder = project.path().canonicalize().unwrap();
    let stderr = said.stderr.replace(folder.to_str().unwrap(), "<project>");
    assert_eq!(
        (said.stdout.as_str(), stderr.as_str(), said.status),
        ("", format!("error: {message}\n").as_str(), status),
        "{arguments:?}"
    );
}

#[test]
fn the_highest_by_each_figure() {
    let project = project();
    let by = |figure| project.run(["top", "--by", figure].into_iter().chain(EVER));
    said(
        &by("memory"),
        "\
memory   of limit  source  when (UTC)           profile   outcome       test
486 MiB  95 %      cgroup  2023-11-14 22:18:20  standard  timeout wall  a/two.sh
21 MiB   4 %       cgroup  2023-11-14 22:20:00  standard  pass          a/one.sh
",
    );
    said(
        &by("cpu"),
        "\
cpu     of limit  source  when (UTC)           profile   outcome       test
250 ms  5 %       cgroup  2023-11-14 22:18:20  standard  pass          a/one.sh
9.0 ms  0.2 %     cgroup  2023-11-14 22:18:20  standard  timeout wall  a/two.sh
1.2 ms  <0.1 %    rusage  2023-11-14 22:18:31  standard  pass          b\\xff
",
    );
    said(
        &by("files"),
        "\
files  of limit  source   when (UTC)           profile   outcome       test
6      -         sampled  2023-11-14 22:18:20  standard  pass          a/one.sh
4      -         sampled  2023-11-14 22:18:20  standard  timeout wall  a/two.sh
",
    );
    said(
        &by("threads"),
        "\
threads  of limit  source   when (UTC)           profile   outcome       test
3        2 %       cgroup   2023-11-14 22:20:00  standard  pass          a/one.sh
2        2 %       sampled  2023-11-14 22:18:20  standard  timeout wall  a/two.sh
",
    );
    said(
        &by("violations"),
        "\
violations  of limit  source  when (UTC)           profile   outcome       test
2           -         -       2023-11-14 22:18:20  standard  timeout wall  a/two.sh
",
    );
    let wall = ["top", "--by=wall", "--limit=1", "--days=36500"];
    said(
        &project.run(wall),
        "\
wall     of limit  source  when (UTC)           profile   outcome       test
10.00 s  100 %     -       2023-11-14 22:18:20  standard  timeout wall  a/two.sh
",
    );
}

#[test]
fn top_as_json_and_of_nothing() {
    let project = project();
    let json = ["top", "--limit", "1", "--message-format", "json"];
    said(
        &project.run(json.into_iter().chain(EVER)),
        "{\"test\":\"a/two.sh\",\"figure\":\"memory\",\"unit\":\"bytes\",\"highest\":510027366.0,\
         \"source\":\"cgroup\",\"limit\":536870912.0,\"run\":\"4c1a7e0000000004\",\"attempt\":1,\
         \"started_unix_us\":1700000300600000,\"profile\":\"standard\",\"outcome\":\"timeout\",\
         \"reason\":\"wall\"}\n",
    );
    said(&project.run(json), "");
    said(
        &project.run(["top"]),
        "no such figure was recorded in the last 7 days\n",
    );
    said(
        &project.run(["top", "--by", "violations", "--days", "1"]),
        "no violations were recorded in the last day\n",
    );
}

/// Adds six runs of `a/one.sh` that are alike, and one with another wall time.
fn add_runs(project: &Project, last_wall_us: u64) {
    let mut sql = String::new();
    for at in 0..7u64 {
        let wall = if at == 6 {
            last_wall_us
        } else {
            20_000 + at * 100
        };
        let (run, began) = (format!("4c1a7e000000001{at}"), 1_700_001_000_000_000 + at);
        sql.push_str(&format!(
            "INSERT INTO runs (run, started_unix_us, wall_us, version, engine, host, project, images,
                               workers, planned, exit_status, machine)
             VALUES ('{run}', {began}, 1, '0.1.0', 'docker', 'box', '/p', '[]', 1, 1, 0, 'm');
             INSERT INTO attempts (run, test, attempt, superseded, outcome, escalated, profile,
                                   image, started_unix_us, wall_us, stdout_bytes, stderr_bytes)
             VALUES ('{run}', 1, 1, 0, 'pass', 0, 'fast', 'full', {began}, {wall}, 0, 0);"
        ));
    }
    change(project, &sql);
}

#[test]
fn a_tests_past_and_its_trend() {
    let project = project();
    add_runs(&project, 60_000);
    let arguments = ["history", "one", "--limit", "8"];
    let expected = "\
a/one.sh

started (UTC)        run               outcome  wall    cpu     memory  threads  files  violations
2023-11-14 22:20:00  4c1a7e0000000005  pass     250 ms  240 ms  21 MiB  3        -      0
2023-11-14 22:30:00  4c1a7e0000000010  pass     20 ms   -       -       -        -      0
2023-11-14 22:30:00  4c1a7e0000000011  pass     20 ms   -       -       -        -      0
2023-11-14 22:30:00  4c1a7e0000000012  pass     20 ms   -       -       -        -      0
2023-11-14 22:30:00  4c1a7e0000000013  pass     20 ms   -       -       -        -      0
2023-11-14 22:30:00  4c1a7e0000000014  pass     20 ms   -       -       -        -      0
2023-11-14 22:30:00  4c1a7e0000000015  pass     20 ms   -       -       -        -      0
2023-11-14 22:30:00  4c1a7e0000000016  pass     60 ms   -       -       -        -      0

figure   oldest to newest  newest  of limit  trend
wall     82222223          60 ms   -         up 196 % from 20 ms (median of 6, MAD 0.1 ms)
cpu      8.......          -       -         not measured
memory   8.......          -       -         not measured
threads  8.......          -       -         not measured
";
    said(&project.run(arguments), expected);
    let drawn = project.env("LANG", "C.UTF-8");
    let said_drawn = drawn.run(arguments);
    let blocks = expected
        .replace("82222223 ", "█▂▂▂▂▂▂▃ ")
        .replace("8.......", "█.......");
    said(&said_drawn, &blocks);
    let plain = ["history", "one", "--limit", "8", "--color", "never"];
    said(&drawn.run(plain), expected);
}

#[test]
fn a_tests_limits_and_a_trend_that_is_none() {
    let project = project();
    add_runs(&project, 21_000);
    let json = project.run(["history", "a/one.sh", "--message-format=json"]);
    let lines: Vec<&str> = json.stdout.lines().collect();
    assert_eq!(lines.len(), 13);
    assert_eq!(
        lines[3],
        "{\"kind\":\"attempt\",\"test\":\"a/one.sh\",\"run\":\"4c1a7e0000000004\",\"attempt\":1,\
         \"superseded\":false,\"started_unix_us\":1700000300300000,\"machine\":\"2 processors\",\
         \"engine\":\"docker\",\"profile\":\"standard\",\"image\":\"isolation\",\"outcome\":\"pass\",\
         \"reason\":null,\"violations\":0,\"wall\":{\"value\":260000.0,\"source\":null},\
         \"cpu\":{\"value\":250000.0,\"source\":\"cgroup\"},\
         \"memory\":{\"value\":20971520.0,\"source\":\"sampled\"},\
         \"threads\":{\"value\":3.0,\"source\":\"cgroup\"},\
         \"files\":{\"value\":6.0,\"source\":\"sampled\"}}"
    );
    assert_eq!(
        lines[12],
        "{\"kind\":\"trend\",\"test\":\"a/one.sh\",\"figure\":\"wall\",\"unit\":\"us\",\
         \"newest\":21000.0,\"earlier\":6,\"median\":20250.0,\"deviation\":150.0,\
         \"direction\":\"steady\",\"limit\":null}"
    );
    let two = project.run(["history", "two"]).stdout;
    let lines: Vec<&str> = two.lines().skip(2).collect();
    assert_eq!(
        lines,
        [
            "started (UTC)        run               outcome       wall     cpu     memory   threads  files  violations",
            "2023-11-14 22:13:20  4c1a7e0000000001  fail exit(1)  3.1 ms   2.4 ms  -        -        -      0",
            "2023-11-14 22:18:20  4c1a7e0000000004  timeout wall  10.00 s  9.0 ms  486 MiB  2        4      2",
            "",
            "figure   oldest to newest  newest   of limit          trend",
            "wall     18                10.00 s  100 % of 10.00 s  too few alike before it",
            "cpu      38                9.0 ms   0.2 % of 5.00 s   too few alike before it",
            "memory   .8                486 MiB  95 % of 512 MiB   too few alike before it",
            "threads  .8                2        2 % of 128        too few alike before it",
            "files    .8                4        -                 too few alike before it",
        ]
    );
}

#[test]
fn names_that_are_none_or_many() {
    let project = project();
    refused(
        &project,
        &["history", "a/"],
        2,
        "'a/' is a part of 2 tests' ids: a/one.sh, a/two.sh\n\
         hint: write the whole id, or a part that one alone has",
    );
    refused(
        &project,
        &["history", "a/oen.sh"],
        4,
        "no recorded test has 'a/oen.sh' in its id\nhint: did you mean a/one.sh?",
    );
    refused(
        &project,
        &["history", "zzzzzz\n\x1b[2J"],
        4,
        "no recorded test has 'zzzzzz\\n\\x1b[2J' in its id\n\
         hint: `docker-test list` shows this project's tests",
    );
    assert_eq!(project.run(["history", "b"]).status, 0);
}

#[test]
fn hostile_ids_are_harmless_everywhere() {
    let project = project();
    let long = format!("::error::{}", "x".repeat(4087));
    change(
        &project,
        &format!(
            "UPDATE tests SET id = '{long}' WHERE test = 1;
             UPDATE tests SET id = '=cmd' || char(27) || '[2J' || char(10) || '##[x]' WHERE test = 2"
        ),
    );
    let commands: [&[&str]; 8] = [
        &["top", "--by=wall", "--days=36500"],
        &["top", "--by=wall", "--days=36500", "--message-format=json"],
        &["history", "xxx"],
        &["history", "cmd"],
        &["history", "cmd", "--message-format=json"],
        &["history", "zz##[x]\n::error::"],
        &["history", ""],
        &["export", "--json"],
    ];
    for arguments in commands {
        let said = project.run(arguments);
        for line in said.stdout.lines().chain(said.stderr.lines()) {
            assert!(!line.contains('\x1b') && !line.contains("##["), "{line}");
            assert!(!line.trim_start().starts_with("::"), "{line}");
            let most = if line.starts_with('{') { 9000 } else { 2200 };
            assert!(line.len() < most, "{arguments:?}: {}", line.len());
        }
    }
    let csv = project.run(["export", "--csv"]).stdout;
    assert!(csv.contains(",\"'=cmd\x1b[2J\n##[x]\","), "{csv}");
    assert!(csv.contains(&long));
}

#[test]
fn nothing_recorded_yet() {
    let project = Project::new();
    let message = "nothing is recorded in <project>/test-results\n\
                   hint: `docker-test run` records what it runs";
    refused(&project, &["top"], 2, message);
    refused(&project, &["history", "x"], 2, message);
    refused(&project, &["export", "--csv"], 2, message);
    let pruned = project.run(["db", "prune", "--keep-days", "1"]);
    let folder = project.path().canonicalize().unwrap();
    let line = format!("no results in {}/test-results\n", folder.display());
    said(&pruned, &line);
    assert!(!project.path().join("test-results").exists());
}

#[test]
fn every_attempt_as_csv() {
    let project = project();
    let csv = project.run(["export", "--csv"]);
    let lines: Vec<&str> = csv.stdout.lines().collect();
    assert_eq!((lines.len(), csv.status), (11, 0));
    assert!(lines[0].starts_with("run,test,attempt,superseded,outcome,reason,termination,"));
    let columns = project.rows("SELECT name FROM pragma_table_info('attempts')");
    assert_eq!(lines[0].split(',').count(), columns.len());
    assert!(lines[3].contains(",\"[{\"\"kind\"\":\"\"process\"\",\"\"name\"\":\"\"sleep\"\"}]\","));
    assert!(
        lines[4].starts_with("4c1a7e0000000001,\"{\"\"base64\"\":\"\"Yv8=\"\"}\",1,0,not-run,")
    );
    assert_eq!(
        lines[8],
        "4c1a7e0000000004,a/two.sh,1,0,timeout,wall,SIGTERM,wall,0,standard,isolation,1,2,\
         1700000300600000,10000000,9000,cgroup,0,3145728,510027366,cgroup,,0,0,190000,0,0,\
         \"[{\"\"kind\"\":\"\"process\"\",\"\"name\"\":\"\"sleep\"\"}]\",idle,5000,4000,0,,,2,sampled,\
         0,0,0,0,0,4096,1,,,,,,1,4194304,4194304,,,1,4,4,,,1,2,2,,"
    );
    let header = format!("{}\n", lines[0]);
    said(&project.run(["export", "--csv", "--days", "7"]), &header);
    let one = project.run(["export", "--csv", "--run", "4c1a7e0000000005"]);
    said(&one, &format!("{header}{}\n", lines[10]));
}

#[test]
fn every_attempt_as_json() {
    let project = project();
    let json = project.run(["export", "--json", "--run", "4c1a7e0000000001"]);
    let objects: Vec<serde_json::Value> = json
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(objects.len(), 4);
    assert_eq!(objects[2]["leaks"][0]["name"], "sleep");
    assert_eq!(objects[2]["wall_us"], 3100);
    assert_eq!(objects[3]["test"]["base64"], "Yv8=");
    assert!(objects[3]["wall_us"].is_null());
    refused(
        &project,
        &["export", "--json", "--run", "4c1a"],
        2,
        "'4c1a' is the start of more than one run: 4c1a7e0000000005, 4c1a7e0000000004\n\
         hint: write more of the name",
    );
    refused(
        &project,
        &["export", "--json", "--run", "x\x1b"],
        2,
        "no run's name starts with 'x\\x1b'\n\
         hint: write `last`, or the first digits of the name that the run's last line gave",
    );
}

#[test]
fn a_reader_that_leaves_is_no_error_and_a_full_disk_is() {
    let project = project();
    // More than a pipe holds.
    change(
        &project,
        "UPDATE attempts SET reason = printf('%.100000c', 'x')",
    );
    for form in ["--csv", "--json"] {
        let mut child = project.start(["export", form]);
        drop(child.stdout.take());
        let left = finish(child);
        assert_eq!((left.stderr.as_str(), left.status), ("", 0), "{form}");
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = project.command(["export", form]);
        let said = finish(command.stdout(Stdio::from(full)).spawn().unwrap());
        assert!(
            said.stderr
                .starts_with("error: stdout cannot be written: No space"),
            "{said:?}"
        );
        assert_eq!(said.status, 5);
    }
}

#[test]
fn what_is_typed_wrong() {
    let project = project();
    for arguments in [
        &["top", "--by", "size"][..],
        &["top", "--days", "0"],
        &["top", "--days", "-1"],
        &["top", "--limit", "0"],
        &["history"],
        &["history", "one", "--limit", "100000"],
        &["export"],
        &["export", "--csv", "--json"],
        &["export", "--csv", "--run", "4", "--days", "1"],
        &["db"],
        &["db", "prune"],
        &["db", "prune", "--keep-days", "1.5"],
        &["db", "prune", "--keep-days", "99999999999"],
    ] {
        let said = project.run(arguments);
        assert_eq!(
            (said.stdout.as_str(), said.status),
            ("", 2),
            "{arguments:?}"
        );
    }
}

#[test]
fn old_runs_are_removed() {
    let project = project();
    let prune = |more: &[&str]| {
        let all = ["db", "prune", "--keep-days", "30"].iter().chain(more);
        project.run(all)
    };
    said(&prune(&["--dry-run"]), "would remove 5 runs, 10 attempts\n");
    assert_eq!(project.query("SELECT count(*) FROM runs"), "5");
    // One began yesterday and has no end; it is as old as nothing.
    change(
        &project,
        "UPDATE runs SET started_unix_us = (unixepoch() - 86400) * 1000000
         WHERE run = '4c1a7e0000000005'",
    );
    let done = prune(&[]);
    assert_eq!((done.stderr.as_str(), done.status), ("", 0));
    assert!(
        done.stdout
            .starts_with("removed 4 runs, 9 attempts, 2 tests and "),
        "{done:?}"
    );
    said(&prune(&[]), "no run is as old\n");
    said(
        &project.run(["db", "prune", "--keep-days", "0"]),
        "no run is as old\nkept 1 run as old: without an end, and perhaps running\n",
    );
    assert_eq!(project.query("SELECT count(*) FROM tests"), "1");
}

/// From a run to what is said of it.
#[test]
fn a_run_of_ones_own() {
    let project = Project::new().test("quick", "").test("slow", "sleep 0.3");
    assert_eq!(project.run(HOST).status, 0);
    assert_eq!(project.query("SELECT ranked FROM runs"), "1");
    let top = project
        .run(["top", "--by", "wall", "--message-format", "json"])
        .stdout;
    let lines: Vec<serde_json::Value> = top
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2, "{top}");
    assert_eq!(lines[0]["test"], "test/slow_test.sh");
    assert_eq!(lines[0]["limit"], 10e6);
    let past = project.run(["history", "slow"]).stdout;
    assert!(
        past.starts_with("test/slow_test.sh\n\nstarted (UTC) "),
        "{past}"
    );
}

/// Every field of the JSON lines is in the reference.
#[test]
fn the_reference_names_every_field() {
    let reference = fs::read_to_string(repository().join("doc/history.md")).unwrap();
    let project = project();
    add_runs(&project, 1);
    let top = ["top", "--days=36500", "--message-format=json"];
    let history = ["history", "one", "--message-format=json", "--limit=99"];
    for said in [project.run(top), project.run(history)] {
        for line in said.stdout.lines() {
            let object: serde_json::Value = serde_json::from_str(line).unwrap();
            for key in object.as_object().unwrap().keys() {
                assert!(reference.contains(&format!("`{key}`")), "{key}");
            }
        }
    }
}

/// Every table and column is in the reference, and the queries that it shows are understood.
#[test]
fn the_reference_of_the_database_is_true() {
    let reference = fs::read_to_string(repository().join("doc/database.md")).unwrap();
    let project = project();
    let columns = project.rows(
        "SELECT t.name, c.name FROM pragma_table_list AS t JOIN pragma_table_info(t.name) AS c
         WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite%'",
    );
    assert!(columns.len() > 100, "{}", columns.len());
    for row in columns {
        let section = format!("### `{}`", row[0]);
        let section = reference.split(&section).nth(1);
        let section = section.unwrap_or_else(|| panic!("{} is not described", row[0]));
        let section = section.split("\n#").next().unwrap();
        assert!(
            section.contains(&format!("`{}`", row[1])),
            "{}.{}",
            row[0],
            row[1]
        );
    }
    let mut queries = 0;
    let mut query = String::new();
    for line in reference.lines() {
        let Some(line) = line.strip_prefix("    ") else {
            continue;
        };
        if query.is_empty() && !line.starts_with("SELECT") {
            continue;
        }
        query.push_str(line);
        query.push('\n');
        if line.ends_with(';') {
            project.rows(&query);
            queries += 1;
            query.clear();
        }
    }
    assert!(queries > 6, "{queries}");
}
