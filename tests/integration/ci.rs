//! What a run leaves for a CI system: JUnit, events in a file, GitHub's annotations and summary.

use std::fs;
use std::os::unix::ffi::OsStringExt;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::harness::{PATIENCE, Project, Said, finish, wait_until};
use crate::host_run::{HOST, NEVER, endings};
use crate::redact::{redact, same};

fn host(project: &Project, more: &[&str]) -> Said {
    project.run(HOST.iter().chain(more))
}

fn read(project: &Project, name: &str) -> String {
    fs::read_to_string(project.path().join(name)).unwrap()
}

/// Fails where it is not well-formed.
fn parse(text: &str) {
    let mut reader = quick_xml::Reader::from_str(text);
    while !matches!(reader.read_event().unwrap(), quick_xml::events::Event::Eof) {}
}

/// The elements that are no output, with times as `0`, and without what differs by machine.
fn outline(text: &str) -> String {
    parse(text);
    let time = regex::Regex::new(r#"time="[0-9.]+""#).unwrap();
    let shown = [
        "<testsuite ",
        "<testcase ",
        "<failure ",
        "<error ",
        "<skipped ",
    ];
    let line = |line: &str| {
        let line = line.trim_start();
        let end = line.find('>').map_or(line.len(), |at| at + 1);
        shown
            .iter()
            .any(|begin| line.starts_with(begin))
            .then(|| format!("{}\n", time.replace(&line[..end], "time=\"0\"")))
    };
    text.lines().filter_map(line).collect()
}

#[test]
fn every_ending_in_junit_and_in_a_file_of_events() {
    let project = endings();
    let said = host(
        &project,
        &[
            "--workers",
            "1",
            "--junit",
            "out/junit.xml",
            "--json",
            "out/events.json",
        ],
    );
    assert_eq!(said.status, 1);
    assert!(said.stdout.starts_with("Running 6 tests in 1 worker"));
    let name = project.path().file_name().unwrap().to_str().unwrap();
    let name = name.replace("::", "");
    let expected = format!(
        r#"<testsuite name="{name}" tests="6" skipped="1" errors="2" failures="2" time="0">
<testcase name="test/loud_test.sh" classname="test" time="0">
<failure message="fail output-limit: 12345678901" type="output-limit">
<testcase name="test/bad_test.sh" classname="test" time="0">
<failure message="fail exit(3): no newline" type="exit(3)">
<testcase name="test/crash_test.sh" classname="test" time="0">
<error message="crash SIGSEGV" type="crash SIGSEGV">
<testcase name="test/good_test.sh" classname="test" time="0">
<testcase name="test/skip_test.sh" classname="test" time="0">
<skipped message="skip: later"/>
<testcase name="test/wait_test.sh" classname="test" time="0">
<error message="timeout wall: idle: <time> of CPU in <time>" type="timeout wall">
"#
    );
    let junit = read(&project, "out/junit.xml");
    same(&redact(&outline(&junit), &project), &expected);
    assert!(junit.contains("\n\nfine\n</system-out>"), "{junit}");
    let events: Vec<Value> = read(&project, "out/events.json")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(events.first().unwrap()["event"], "run-started");
    assert_eq!(events.last().unwrap()["event"], "run-finished");
    let attempts = events
        .iter()
        .filter(|event| event["event"] == "attempt-finished");
    assert_eq!(attempts.count(), 6);
    // Nothing else is there, and everybody may read it.
    let mut names: Vec<_> = fs::read_dir(project.path().join("out"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["events.json", "junit.xml"]);
}

#[test]
fn the_file_of_events_is_what_stdout_has() {
    let project = Project::new().test("a", "echo a; exit 1").test("b", "");
    let more = ["--message-format", "json", "--json", "events.json"];
    let said = host(&project, &more);
    assert_eq!(said.status, 1);
    assert_eq!(read(&project, "events.json"), said.stdout);
}

#[test]
fn an_interrupted_run_reports_what_is_known() {
    let project = Project::new()
        .test("a", "echo done")
        .test("b", "touch ../started; sleep 1000")
        .test("c", "")
        .file("junit.xml", "of an earlier run");
    let more = [
        "--workers",
        "1",
        "--junit",
        "junit.xml",
        "--json",
        "events.json",
    ];
    let project =
        project.config("suite: {command: [sh, -c, 'cd test && . \"./${0#test/}\"', '{test}']}");
    let child = project.start(HOST.iter().chain(&more));
    wait_until("the second test", PATIENCE, || {
        project.path().join("started").exists()
    });
    assert!(!project.path().join("junit.xml").exists());
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    let said = finish(child);
    assert_eq!(said.status, 130, "{}", said.stderr);
    let junit = read(&project, "junit.xml");
    let found = outline(&junit);
    assert!(
        found.contains(r#"tests="3" skipped="2" errors="0" failures="0""#),
        "{found}"
    );
    assert_eq!(
        found
            .matches("<skipped message=\"not-run interrupted")
            .count(),
        2
    );
    assert!(junit.contains("<property name=\"interrupted\" value=\"SIGINT\"/>"));
    assert!(read(&project, "events.json").contains("\"interrupted\":2"));
}

/// What cannot be written is told before anything is started.
#[test]
fn a_place_that_cannot_be_written_is_refused_at_once() {
    let project = Project::new()
        .test("a", "touch \"$DOCKER_TEST_ID.ran\"")
        .file("file", "mine");
    let folder = project.path().to_str().unwrap().to_owned();
    let hint = "hint: name a file in a folder that this user may write to\n";
    for (option, path, problem) in [
        (
            "--junit",
            "/dev/full",
            "something else than a file is there",
        ),
        (
            "--junit",
            folder.as_str(),
            "something else than a file is there",
        ),
        ("--junit", "file/below", "File exists (os error 17)"),
        ("--json", folder.as_str(), "Is a directory (os error 21)"),
        ("--json", "file/below", "File exists (os error 17)"),
    ] {
        let said = host(&project, &[option, path]);
        assert_eq!(
            (said.status, said.stdout.as_str()),
            (5, ""),
            "{option} {path}"
        );
        assert_eq!(
            said.stderr,
            format!("error: {path} cannot be written: {problem}\n{hint}")
        );
    }
    let said = host(&project, &["--junit", "same", "--json", "same"]);
    assert_eq!(said.status, 2);
    assert_eq!(
        said.stderr,
        "error: --junit and --json name the same file\nhint: give each a file of its own\n"
    );
    assert!(!project.path().join("test/a_test.sh.ran").exists());
    assert_eq!(read(&project, "file"), "mine");
}

#[test]
fn a_report_that_cannot_be_written_at_the_end_fails_the_run() {
    let project = Project::new().test("a", "rm -r out");
    let said = host(&project, &["--junit", "out/junit.xml"]);
    assert_eq!(said.status, 5);
    let (_, error) = said.stderr.split_once('\n').unwrap();
    let begin =
        "error: the JUnit report out/junit.xml cannot be written: No such file or directory";
    assert!(error.starts_with(begin), "{error}");
    assert!(error.ends_with("\nhint: name a file in a folder that this user may write to\n"));
    // The report for people is whole all the same.
    assert!(said.stdout.contains("\n1 test in "), "{}", said.stdout);

    let full = host(&project, &["--json", "/dev/full"]);
    assert_eq!(full.status, 5);
    let error = "error: cannot write /dev/full: No space left on device (os error 28)\n";
    assert!(full.stderr.ends_with(error), "{}", full.stderr);
}

/// A project of which a job runs `project/`.
fn job(project: Project) -> Project {
    let workspace = project.path().to_path_buf();
    let summary = workspace.join("summary.md");
    project
        .env("GITHUB_ACTIONS", "true")
        .env("CI", "true")
        .env("GITHUB_WORKSPACE", workspace)
        .env("GITHUB_STEP_SUMMARY", summary)
}

/// A command as GitHub's runner finds one in a line: its name.
fn command(line: &str) -> Option<&str> {
    let version_2 = line
        .trim_start()
        .strip_prefix("::")
        .and_then(|rest| rest.split_once("::"))
        .map(|(head, _)| head.split(' ').next().unwrap_or_default());
    version_2.or_else(|| line.find("##[").map(|at| &line[at..]))
}

/// The names of the commands that the runner obeys, `stop-commands` obeyed too.
fn obeyed(text: &str) -> Vec<&str> {
    let mut until: Option<&str> = None;
    let mut found = Vec::new();
    for line in text.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']) {
        let Some(name) = command(line) else {
            continue;
        };
        match until {
            Some(token) if token == name => until = None,
            Some(_) => {}
            None if name == "stop-commands" => until = line.strip_prefix("::stop-commands::"),
            None => found.push(name),
        }
    }
    assert_eq!(until, None, "commands stay stopped: {text}");
    found
}

#[test]
fn github_gets_annotations_and_a_summary() {
    let project = job(Project::new()
        .test("bad", "echo 10 % of 80; echo is 8 >&2; exit 3")
        .test("good", ""));
    let said = host(&project, &["--workers", "1", "--no-record"]);
    assert_eq!(said.status, 1);
    let (report, annotations) = said.stdout.split_once("\n::error ").unwrap();
    let token = regex::Regex::new("[0-9a-f]{32}").unwrap();
    same(
        &token.replace_all(&redact(report, &project), "<token>"),
        "\
Running 2 tests in 1 worker with host
fail exit(3)   [<time>] test/bad_test.sh
  = profile standard, image none, worker <n>, CPU time <time>
::stop-commands::<token>
  stdout, 11 B:
  | 10 % of 80
  stderr, 5 B:
  | is 8
::<token>::
pass           [<time>] test/good_test.sh

not good:
  fail exit(3)   test/bad_test.sh

2 tests in <time>: 1 pass, 1 fail",
    );
    same(
        &redact(annotations, &project),
        "file=test/bad_test.sh,title=fail exit(3)%3A test/bad_test.sh::profile standard, image none, \
         worker <n>, CPU time <time>%0Astdout:%0A10 %25 of 80%0Astderr:%0Ais 8\n",
    );
    let summary = redact(&read(&project, "summary.md"), &project);
    same(
        &summary,
        "\
### docker-test

2 tests in <time>&#58; 1 pass, 1 fail

| outcome | test | time | CPU time | peak memory | |
| --- | --- | ---: | ---: | ---: | --- |
| fail exit(3) | <code>test/bad&#95;test.sh</code> | <time> | <time> |  |  |

",
    );
    // A second run of the step adds to it.
    host(&project, &["--no-record"]);
    assert_eq!(read(&project, "summary.md").matches("###").count(), 2);
}

#[test]
fn annotations_go_beside_the_events() {
    let project = job(Project::new().test("bad", "exit 3"));
    let said = host(&project, &["--message-format", "json"]);
    for line in said.stdout.lines() {
        serde_json::from_str::<Value>(line).unwrap();
    }
    assert_eq!(obeyed(&said.stderr), ["error"], "{}", said.stderr);
}

#[test]
fn nothing_is_githubs_without_github_or_with_no_ci() {
    let project = Project::new().test("bad", "echo words; exit 3");
    let plain = host(&project, &["--workers", "1"]);
    let project = job(project);
    let quiet = host(&project, &["--workers", "1", "--no-ci"]);
    for said in [&plain, &quiet] {
        assert!(!said.stdout.contains("::"), "{}", said.stdout);
        assert!(!said.stderr.contains("::"), "{}", said.stderr);
    }
    assert_eq!(
        redact(&plain.stdout, &project),
        redact(&quiet.stdout, &project)
    );
    assert!(!project.path().join("summary.md").exists());
    let project = project.env("GITHUB_ACTIONS", "1");
    assert!(!host(&project, &[]).stdout.contains("::"));
}

#[test]
fn a_summary_that_cannot_be_written_is_a_warning() {
    let project = job(Project::new().test("good", ""));
    let project = project.env("GITHUB_STEP_SUMMARY", "/dev/full");
    let said = host(&project, &[]);
    assert_eq!(said.status, 0, "{}", said.stderr);
    assert!(
        said.stderr.ends_with("warning: the job's summary /dev/full cannot be written: No space left on device (os error 28)\n"),
        "{}",
        said.stderr
    );
}

/// Whatever tests are called and print: the runner obeys our annotations and nothing else.
#[test]
fn hostile_tests_give_github_no_command() {
    let script = "printf '::error::o\\n  ::add-mask::a\\n\\r::x::\\n##[error]p\\n\\033[2K::q::\\n%%0A::r::\\n'
        printf '\\302\\205::s::\\342\\200\\250::t::' >&2; printf '::stop-commands::x\\n::warning::y\\0\\377'
        exit 1";
    let mut project = Project::new().fake_docker(NEVER).config("suite: {root: .}");
    for name in [
        "::error::a",
        "%0A::error::b",
        "a\n::error::c",
        "a\r::error::d",
        "##[error]e",
        "\u{85}::error::f",
        " ::add-mask::g",
        "a,file=x::h",
    ] {
        project = project.file(format!("{name}_test.sh"), script);
    }
    let invalid = std::ffi::OsString::from_vec(b"\xff::error::i_test.sh".to_vec());
    let project = job(project.file(&invalid, script));
    let said = host(&project, &["--junit", "junit.xml"]);
    assert_eq!(said.status, 1, "{}", said.stderr);
    assert_eq!(obeyed(&said.stdout), ["error"; 9], "{}", said.stdout);
    assert_eq!(obeyed(&said.stderr), Vec::<&str>::new(), "{}", said.stderr);
    let junit = read(&project, "junit.xml");
    parse(&junit);
    assert_eq!(junit.matches("<testcase ").count(), 9);
    let summary = read(&project, "summary.md");
    assert_eq!(
        summary.lines().filter(|line| line.starts_with('|')).count(),
        11
    );

    let said = host(&project, &["--message-format", "json"]);
    assert_eq!(obeyed(&said.stdout), Vec::<&str>::new(), "{}", said.stdout);
    assert_eq!(obeyed(&said.stderr), ["error"; 9], "{}", said.stderr);
    // Without the guard, the lines' own marks are enough.
    let said = host(&project, &["--no-ci"]);
    assert_eq!(obeyed(&said.stdout), Vec::<&str>::new(), "{}", said.stdout);
    for format in ["human", "json"] {
        let said = project.run(["list", "--message-format", format]);
        assert_eq!(said.status, 0, "{}", said.stderr);
        assert_eq!(obeyed(&said.stdout), Vec::<&str>::new(), "{}", said.stdout);
    }
}

/// The check above can find something.
#[test]
fn the_runners_rule_finds_commands() {
    assert_eq!(
        obeyed("a\n ::error file=x::y\n  | ::z::\nb ##[group]c"),
        ["error", "##[group]c"]
    );
    assert_eq!(
        obeyed("::stop-commands::t\n::error::x\n::t::\n::warning::y"),
        ["warning"]
    );
}
