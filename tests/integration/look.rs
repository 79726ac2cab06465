//! `show`, `compare` and `fit`: exact output and exit statuses, on records of runs without an engine.

use std::io::Write;
use std::process::{Command, Stdio};

use regex::Regex;
use serde_json::Value;

use crate::harness::{Project, Said};
use crate::host_run::HOST;
use crate::redact::{redact, same};

/// Changes the record.
fn sql(project: &Project, batch: &str) {
    let path = project.path().join("test-results/docker-test.db");
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.execute_batch(batch).unwrap();
}

/// Two tests that pass and one that does not, recorded once as the run `a000000000000000`, whose
/// figures are all the same on every machine.
fn recorded() -> Project {
    let project = Project::new()
        .test("good", "echo fine")
        .test("bad", "printf 'a\\033[2J\\n'; exit 3")
        .test("unit/small", "")
        .config("# mine\nworkers: 1\nrules:\n  - { path: 'test/none/**', profile: slow } # why\n");
    assert_eq!(project.run(HOST).status, 1);
    sql(
        &project,
        "PRAGMA foreign_keys = OFF;
         UPDATE runs SET run = 'a000000000000000', started_unix_us = 1700000000000000, host = 'box',
             wall_us = 1500000;
         UPDATE planned SET run = 'a000000000000000';
         UPDATE workers SET run = 'a000000000000000', start_us = 4000;
         UPDATE outputs SET run = 'a000000000000000';
         DELETE FROM series;
         DELETE FROM violations;
         UPDATE attempts SET run = 'a000000000000000', started_unix_us = 1700000000100000,
             wall_us = 50000, cpu_us = 20000, cpu_user_us = 15000, cpu_system_us = 5000,
             cpu_source = 'cgroup', memory_peak_bytes = 10485760, memory_peak_source = 'cgroup',
             memory_peak_bound_bytes = NULL, memory_start_bytes = 3145728, memory_anon_bytes = NULL,
             memory_file_bytes = NULL, throttled_us = 0, throttled_periods = 0, oom_kills = 0,
             pids_peak = 3, pids_peak_source = 'sampled', pids_limit_hits = 0, reset_ns = 150000,
             io_read_bytes = NULL, io_write_bytes = NULL, cpu_pressure_us = NULL,
             memory_pressure_us = NULL, io_pressure_us = NULL, tmpfs_left_bytes = NULL,
             samples = 20, cpu_percent_samples = NULL, cpu_percent_max = NULL,
             cpu_percent_avg = NULL, memory_samples = 20, memory_max_bytes = 10485760,
             memory_avg_bytes = 5242880, memory_p95_bytes = 9437184, memory_p99_bytes = NULL,
             open_files_samples = 1, open_files_max = 8, open_files_avg = 8, threads_samples = NULL,
             threads_max = NULL, threads_avg = NULL, leaks = NULL;",
    );
    project
}

/// Records the first run once more as `name`, so many seconds after it.
fn again(project: &Project, name: &str, seconds: u32) {
    let copy = |table: &str| {
        let start = match table {
            "runs" | "attempts" => {
                format!(", started_unix_us = started_unix_us + {seconds} * 1000000")
            }
            _ => String::new(),
        };
        format!(
            "CREATE TEMP TABLE copy AS SELECT * FROM {table} WHERE run = 'a000000000000000';
             UPDATE copy SET run = '{name}'{start};
             INSERT INTO {table} SELECT * FROM copy;
             DROP TABLE copy;"
        )
    };
    sql(project, &["runs", "planned", "attempts"].map(copy).concat());
}

/// The record with six runs, `a0…` to `a5…`.
fn with_history() -> Project {
    let project = recorded();
    for at in 1..6 {
        again(&project, &format!("a{at}00000000000000"), at);
    }
    project
}

/// The machine's own words are not compared.
fn machineless(text: &str) -> String {
    let pattern = Regex::new(r"machine box: .*").unwrap();
    pattern.replace(text, "machine box: <machine>").into_owned()
}

fn fails(said: &Said, status: i32, message: &str) {
    assert_eq!(
        (said.stdout.as_str(), said.status),
        ("", status),
        "{said:?}"
    );
    assert_eq!(said.stderr, message);
}

#[test]
fn without_a_record() {
    let project = Project::new().test("a", "");
    let results = project.path().canonicalize().unwrap().join("test-results");
    let results = results.to_str().unwrap();
    for command in ["show", "compare", "fit"] {
        fails(
            &project.run([command]),
            2,
            &format!(
                "error: nothing is recorded in {results}\nhint: `docker-test run` records what it runs\n"
            ),
        );
    }
    assert!(!project.path().join("test-results").exists());
    assert_eq!(project.run(HOST).status, 0);
    sql(
        &project,
        "DELETE FROM attempts; DELETE FROM planned; DELETE FROM workers; DELETE FROM runs;",
    );
    for command in ["show", "compare"] {
        fails(
            &project.run([command]),
            2,
            &format!(
                "error: no run is recorded in {results}/docker-test.db\nhint: `docker-test run` records what it runs\n"
            ),
        );
    }
}

#[test]
fn a_run_for_people() {
    let project = recorded();
    let said = project.run(["show"]);
    assert_eq!((said.stderr.as_str(), said.status), ("", 0));
    let limits = Regex::new(r"  [0-9]+ enforced.*").unwrap();
    let text = limits.replace(&said.stdout, "  <limits>").into_owned();
    // These peaks are no chance, so they are not to be taken out.
    let text = text.replace("hungriest (peak memory):", "hungriest:");
    same(
        &machineless(&redact(&text, &project)),
        "\
run <run>: <time>, exit status 1
  started 2023-11-14T22:13:20Z by docker-test 0.1.0 with --engine host
  level standard, network none
  machine box: <machine>
  project <project>

workers:
  worker  profile   image  start <time>  tests  limits
  1       standard  none <time>  3      <limits>

not good:
  fail exit(3)   test/bad_test.sh

slowest:
 <time> test/bad_test.sh
 <time> test/good_test.sh
 <time> test/unit/small_test.sh

hungriest:
     10 MiB (cgroup) test/bad_test.sh
     10 MiB (cgroup) test/good_test.sh
     10 MiB (cgroup) test/unit/small_test.sh

3 tests: 2 pass, 1 fail
"
        .replace("start <time>  tests", "start   tests")
        .as_str(),
    );
    for word in ["last", "a", "a000000000000000"] {
        assert_eq!(project.run(["show", word]).stdout, said.stdout, "{word}");
    }
    let digest = format!("sha256:{}", "0123".repeat(16));
    sql(
        &project,
        &format!(
            r#"UPDATE runs SET image_digests = '{{"full":"{digest}","isolation":"{digest}"}}'"#
        ),
    );
    let text = project.run(["show"]).stdout;
    let line = "\n  image contents full sha256:012301230123, isolation sha256:012301230123\n";
    assert!(text.contains(line), "{text}");
}

#[test]
fn a_test_for_people() {
    let project = recorded();
    let said = project.run(["show", "bad"]);
    assert_eq!((said.stderr.as_str(), said.status), ("", 0));
    let expected = "\
test/bad_test.sh in run a000000000000000

attempt 1 of 1: fail exit(3)
  termination    exit(3)
  ran under      profile standard, image none, worker 1, test 1 there
  started        2023-11-14T22:13:20Z
  wall time      50 ms
  CPU time       20 ms (cgroup): 15 ms user, 5.0 ms system
  held back      0.0 ms in 0 periods (cgroup)
  memory         peak 10 MiB (cgroup), 3 MiB at start
  its parts      not measured
  OOM kills      0
  processes      peak 3 (sampled)
  forks refused  0
  disk           not measured
  waited for     not measured
  left in tmpfs  not measured
  reset          0.1 ms
  sampled     max           avg    p95    p99  samples
  CPU use     not measured
  memory      10 MiB        5 MiB  9 MiB  -    20
  open files  8             8      -      -    1
  threads     not measured
  stdout, 6 B:
  | a\\x1b[2J
";
    same(&said.stdout, expected);
    for arguments in [["a0", "test/bad_test.sh"], ["last", "ad_"]] {
        let same = project.run(["show"].iter().chain(&arguments));
        assert_eq!(same.stdout, said.stdout);
    }
}

#[test]
fn the_same_for_programs() {
    let project = recorded();
    let json = |arguments: &[&str]| -> Value {
        let more = ["--message-format", "json"];
        let said = project.run(arguments.iter().chain(&more));
        assert_eq!((said.stderr.as_str(), said.status), ("", 0));
        assert_eq!(said.stdout.lines().count(), 1);
        serde_json::from_str(&said.stdout).unwrap()
    };
    let run = json(&["show"]);
    assert_eq!(run["run"]["run"], "a000000000000000");
    assert_eq!(run["totals"], serde_json::json!({"fail": 1, "pass": 2}));
    assert_eq!(run["not_good"][0]["reason"], "exit(3)");
    assert_eq!(run["slowest"][0]["wall_us"], 50_000);
    assert_eq!(run["hungriest"][0]["memory_peak_source"], "cgroup");
    assert!(run["workers"][0]["limits"].is_array());
    let test = json(&["show", "bad"]);
    let attempt = &test["attempts"][0];
    assert_eq!(attempt["resources"]["memory_peak_bytes"], 10 << 20);
    assert_eq!(attempt["resources"]["io_read_bytes"], Value::Null);
    assert_eq!(attempt["statistics"]["memory_bytes"]["p95"], 9_437_184.0);
    assert_eq!(attempt["outputs"][0]["head"], "a\u{1b}[2J\n");
    again(&project, "b000000000000000", 1);
    sql(
        &project,
        "UPDATE attempts SET outcome = 'pass', reason = NULL WHERE run = 'b000000000000000';",
    );
    let comparison = json(&["compare"]);
    assert_eq!(comparison["earlier"], "a000000000000000");
    assert_eq!(
        comparison["changes"],
        serde_json::json!([{"test": "test/bad_test.sh", "direction": "better", "kind": "outcome",
            "earlier": "fail exit(3)", "later": "pass"}])
    );
    let fit = json(&["fit"]);
    assert_eq!(fit["paths"][0]["fit"], "unjudged");
    assert_eq!(
        (&fit["diff"], fit["engine"].as_str()),
        (&Value::Null, Some("host"))
    );
}

#[test]
fn names_that_lead_nowhere() {
    let project = recorded();
    again(&project, "a000000000000001", 1);
    fails(
        &project.run(["show", "f00", "good"]),
        2,
        "error: no run's name starts with 'f00'\nhint: write `last`, or the first digits of the name that the run's last line gave\n",
    );
    fails(
        &project.run(["compare", "\u{1b}x"]),
        2,
        "error: no run's name starts with '\\x1bx'\nhint: write `last`, or the first digits of the name that the run's last line gave\n",
    );
    for arguments in [
        &["show", "a00"][..],
        &["show", "a00", "good"],
        &["compare", "a00"],
    ] {
        fails(
            &project.run(arguments),
            2,
            "error: 'a00' is the start of more than one run: a000000000000001, a000000000000000\nhint: write more of the name\n",
        );
    }
    // Digits that begin two runs and are a part of one id are that test.
    let said = project.run(["show", "a"]);
    assert_eq!(said.status, 2, "{said:?}");
    let said = project.run(["show", "ba"]);
    assert!(
        said.stdout
            .starts_with("test/bad_test.sh in run a000000000000001\n")
    );
    fails(
        &project.run(["show", "nothing\u{1b}"]),
        4,
        "error: no test of run a000000000000001 is called 'nothing\\x1b' or has that in its id\nhint: `docker-test list` prints the ids; `docker-test show RUN TEST` looks at another run\n",
    );
    fails(
        &project.run(["show", "last", "_test"]),
        2,
        "error: '_test' is a part of 3 tests' ids: test/bad_test.sh, test/good_test.sh, test/unit/small_test.sh\nhint: write more of the id, or all of it\n",
    );
}

#[test]
fn a_run_that_never_ended() {
    let project = recorded();
    again(&project, "b000000000000000", 1);
    sql(
        &project,
        "UPDATE runs SET wall_us = NULL, exit_status = NULL WHERE run = 'b000000000000000';
         DELETE FROM attempts WHERE run = 'b000000000000000'
             AND test = (SELECT test FROM tests WHERE id = 'test/good_test.sh');",
    );
    let said = project.run(["show"]);
    assert_eq!(said.status, 0);
    let text = &said.stdout;
    assert!(
        text.starts_with(
            "run b000000000000000: it never ended: it runs still, or its launcher was killed\n"
        ),
        "{text}"
    );
    assert!(
        text.contains("\nno result:\n  test/good_test.sh\n"),
        "{text}"
    );
    assert!(
        text.ends_with("\n3 tests: 1 pass, 1 fail, 1 without a result\n"),
        "{text}"
    );
    let said = project.run(["show", "good"]);
    assert_eq!(
        said.stdout,
        "test/good_test.sh in run b000000000000000\n  it was planned and never reported: the run runs still, or was killed\n"
    );
    let said = project.run(["compare", "--fail-on-regression"]);
    assert_eq!(said.status, 1);
    assert_eq!(
        said.stderr,
        "note: run b000000000000000 never ended: it runs still, or its launcher was killed\n"
    );
    same(
        &said.stdout,
        "\
a000000000000000 (2023-11-14T22:13:20Z) -> b000000000000000 (2023-11-14T22:13:21Z)

worse:
  test/good_test.sh: pass -> no result

3 tests: 2 without a change, 1 worse
",
    );
}

#[test]
fn what_changed_for_people() {
    let project = with_history();
    let said = project.run(["compare"]);
    assert_eq!((said.stderr.as_str(), said.status), ("", 0));
    same(
        &said.stdout,
        "\
a400000000000000 (2023-11-14T22:13:24Z) -> a500000000000000 (2023-11-14T22:13:25Z)

3 tests: 3 without a change, 0 worse
",
    );
    sql(
        &project,
        "UPDATE attempts SET wall_us = 75000, memory_peak_bytes = 5242880
             WHERE run = 'a500000000000000' AND test =
                 (SELECT test FROM tests WHERE id = 'test/good_test.sh');
         UPDATE attempts SET outcome = 'pass', reason = NULL WHERE run = 'a500000000000000'
             AND test = (SELECT test FROM tests WHERE id = 'test/bad_test.sh');
         UPDATE tests SET id = CAST(x'746573742fff1b' AS TEXT) WHERE id = 'none';
         INSERT INTO tests (id) VALUES (x'746573742fff1b');
         UPDATE planned SET test = (SELECT max(test) FROM tests) WHERE run = 'a500000000000000'
             AND test = (SELECT test FROM tests WHERE id = 'test/unit/small_test.sh');
         UPDATE attempts SET test = (SELECT max(test) FROM tests) WHERE run = 'a500000000000000'
             AND test = (SELECT test FROM tests WHERE id = 'test/unit/small_test.sh');",
    );
    let said = project.run(["compare", "--fail-on-regression"]);
    assert_eq!((said.stderr.as_str(), said.status), ("", 1));
    same(
        &said.stdout,
        "\
a400000000000000 (2023-11-14T22:13:24Z) -> a500000000000000 (2023-11-14T22:13:25Z)

worse:
  test/good_test.sh: wall time 50 ms -> 75 ms (+50 %; usually 50 ms +- 0.0 ms in 5 passes)

better:
  test/bad_test.sh: fail exit(3) -> pass
  test/good_test.sh: peak memory 10 MiB -> 5 MiB (-50 %; usually 10 MiB +- 0 B in 5 passes, cgroup)

new:
  pass           test/\\xff\\x1b

gone:
  pass           test/unit/small_test.sh

4 tests: 0 without a change, 1 worse
",
    );
    // Without the option it is no failure.
    assert_eq!(project.run(["compare"]).status, 0);
    // Against the second run the history is the same.
    let said = project.run(["compare", "a1", "a5"]);
    assert!(
        said.stdout.contains("usually 50 ms +- 0.0 ms in 5 passes)"),
        "{said:?}"
    );
    // And the other way round there is only one pass before.
    let said = project.run(["compare", "a5", "a1", "--fail-on-regression"]);
    assert!(
        said.stdout
            .contains("5 MiB -> 10 MiB (+100 %; few runs: 1, cgroup)"),
        "{said:?}"
    );
    assert_eq!(said.status, 1, "an outcome is worse");
    let said = project.run(["compare", "a3"]);
    assert!(said.stdout.starts_with("a200000000000000 "), "{said:?}");
}

#[test]
fn what_cannot_be_compared() {
    let project = recorded();
    let said = project.run(["compare", "--fail-on-regression"]);
    assert_eq!((said.stdout.as_str(), said.status), ("", 0));
    assert_eq!(
        said.stderr,
        "note: run a000000000000000 is the first that is recorded: there is nothing to compare it with\n"
    );
    again(&project, "b000000000000000", 1);
    sql(
        &project,
        "UPDATE attempts SET wall_us = 5000000 WHERE run = 'b000000000000000';",
    );
    for (column, word, why) in [
        (
            "machine",
            "'other'",
            "figures are not compared: the machines differ: ",
        ),
        (
            "machine",
            "NULL",
            "figures are not compared: an older version recorded a run without its machine\n",
        ),
    ] {
        sql(
            &project,
            &format!("UPDATE runs SET {column} = {word} WHERE run = 'b000000000000000';"),
        );
        let said = project.run(["compare"]);
        assert_eq!(said.status, 0);
        assert!(
            said.stdout
                .lines()
                .nth(1)
                .unwrap()
                .starts_with(why.trim_end()),
            "{said:?}"
        );
        assert!(
            said.stdout
                .ends_with("3 tests: 3 without a change, 0 worse\n"),
            "{said:?}"
        );
    }
    sql(
        &project,
        "UPDATE runs SET engine = 'docker',
             machine = (SELECT machine FROM runs WHERE run = 'a000000000000000')
             WHERE run = 'b000000000000000';",
    );
    let said = project.run(["compare"]);
    assert_eq!(
        said.stdout.lines().nth(1),
        Some("figures are not compared: the engines differ: host / docker")
    );
}

/// `patch -p0` as people use it.
fn patch(project: &Project, diff: &str) {
    let mut child = Command::new("patch")
        .arg("-p0")
        .current_dir(project.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("this test needs patch");
    child
        .stdin
        .take()
        .unwrap()
        .write_all(diff.as_bytes())
        .unwrap();
    assert!(child.wait().unwrap().success(), "{diff}");
}

#[test]
fn the_smallest_profiles_as_a_diff() {
    let project = with_history();
    let config = || std::fs::read_to_string(project.path().join("docker-test.yaml")).unwrap();
    let before = config();
    let said = project.run(["fit"]);
    assert_eq!(said.status, 0, "{said:?}");
    let diff = "\
--- docker-test.yaml
+++ docker-test.yaml
@@ -2,3 +2,5 @@
 workers: 1
 rules:
   - { path: 'test/none/**', profile: slow } # why
+  - { path: \"test/good_test.sh\", profile: fast }
+  - { path: \"test/unit/small_test.sh\", profile: fast }
";
    assert_eq!(said.stdout, diff);
    let told = "\
larger than needed:
  test/good_test.sh: standard -> fast; needs memory 15 MiB, timeout 150 ms, cpu-time 40 ms, cpus 0.00, pids 13, open-files 32, output 10 B (6 passes)
  test/unit/small_test.sh: standard -> fast; needs memory 15 MiB, timeout 150 ms, cpu-time 40 ms, cpus 0.00, pids 13, open-files 32, output 0 B (6 passes)

not judged:
  test/bad_test.sh: standard; 0 of 5 passes

3 files: 0 right, 0 too small, 2 larger than needed, 1 not judged
";
    same(&said.stderr, told);
    assert_eq!(config(), before, "nothing is written");
    let check = project.run(["fit", "--check"]);
    assert_eq!(
        (check.stdout.as_str(), check.stderr.as_str(), check.status),
        (told, "", 1)
    );

    patch(&project, diff);
    let said = project.run(["fit", "--check"]);
    assert_eq!(said.status, 0, "{said:?}");
    assert!(
        said.stdout
            .ends_with("3 files: 2 right, 0 too small, 0 larger than needed, 1 not judged\n")
    );
    let said = project.run(["fit"]);
    assert_eq!((said.stdout.as_str(), said.status), ("", 0));
}

#[test]
fn a_diff_makes_the_file_where_there_is_none() {
    let project = with_history();
    std::fs::remove_file(project.path().join("docker-test.yaml")).unwrap();
    sql(
        &project,
        "UPDATE attempts SET outcome = 'pass', reason = NULL;
         UPDATE attempts SET memory_peak_bytes = 450 << 20
             WHERE test = (SELECT test FROM tests WHERE id = 'test/bad_test.sh');",
    );
    let said = project.run(["fit"]);
    let diff = "\
--- /dev/null
+++ docker-test.yaml
@@ -0,0 +1,3 @@
+rules:
+  - { path: \"test/**\", profile: fast }
+  - { path: \"test/bad_test.sh\", profile: slow }
";
    assert_eq!((said.stdout.as_str(), said.status), (diff, 0));
    assert!(
        said.stderr.starts_with(
            "too small:\n  test/bad_test.sh: standard -> slow; needs memory 675 MiB, has 512 MiB (6 passes)\n"
        ),
        "{said:?}"
    );
    patch(&project, diff);
    let said = project.run(["fit", "--check"]);
    assert_eq!(said.status, 0, "{said:?}");
    assert_eq!(
        said.stdout,
        "3 files: 3 right, 0 too small, 0 larger than needed, 0 not judged\n"
    );
}

#[test]
fn what_is_never_made_smaller() {
    let project = with_history().test("unit/marked", "# docker-test: profile=slow");
    // One reached a limit lately, of the other nobody looked at the open files.
    sql(
        &project,
        "UPDATE attempts SET outcome = 'timeout', reason = 'wall' WHERE run = 'a300000000000000'
             AND test = (SELECT test FROM tests WHERE id = 'test/good_test.sh');
         UPDATE attempts SET open_files_max = NULL
             WHERE test = (SELECT test FROM tests WHERE id = 'test/unit/small_test.sh');",
    );
    let said = project.run(["fit"]);
    assert_eq!((said.stdout.as_str(), said.status), ("", 0));
    same(
        &said.stderr,
        "\
not judged:
  test/bad_test.sh: standard; 0 of 5 passes
  test/good_test.sh: standard; it reached a limit lately: timeout wall
  test/unit/marked_test.sh: slow; 0 of 5 passes

4 files: 1 right, 0 too small, 0 larger than needed, 3 not judged
1 keeps limits of which nothing was measured: open-files
",
    );
    let said = project.run(["fit", "--ignore-unsampled"]);
    assert!(
        said.stdout
            .ends_with("+  - { path: \"test/unit/small_test.sh\", profile: fast }\n"),
        "{said:?}"
    );
}

#[test]
fn a_file_that_cannot_be_edited() {
    let project = with_history().config("{rules: [{path: x, profile: fast}]}\n");
    let said = project.run(["fit"]);
    assert_eq!((said.stdout.as_str(), said.status), ("", 2));
    assert!(
        said.stderr.ends_with(
            "error: the rules of docker-test.yaml are written in a way that is not edited here\nhint: write them as a list of lines that begin with '-', or take them from --message-format json\n"
        ),
        "{said:?}"
    );
}
