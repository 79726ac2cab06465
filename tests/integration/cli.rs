//! The commands as they are typed: exact stdout, stderr and exit status, without any engine.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::harness::{Project, finish};
use crate::host_run::{HOST, NEVER, calls, endings};

#[test]
fn the_version() {
    for arguments in [&["--version"][..], &["-V"]] {
        let said = Project::new().run(arguments);
        assert_eq!(
            said.stdout,
            concat!("docker-test ", env!("CARGO_PKG_VERSION"), "\n")
        );
        assert_eq!((said.stderr.as_str(), said.status), ("", 0));
    }
}

#[test]
fn every_command_has_help_with_an_example() {
    let project = Project::new();
    let commands = [
        "build",
        "run",
        "run-full",
        "list",
        "show",
        "compare",
        "fit",
        "shell",
        "doctor",
        "clean",
        "image",
        "top",
        "history",
        "export",
        "db",
        "completions",
        "man",
        "test",
    ];
    for command in commands {
        let said = project.run([command, "--help"]);
        assert_eq!((said.stderr.as_str(), said.status), ("", 0), "{command}");
        assert!(
            said.stdout.contains("Example"),
            "{command}: {}",
            said.stdout
        );
        assert!(said.stdout.contains("docker-test"), "{command}");
        let same = project.run(["help", command]);
        assert_eq!((same.stdout, same.status), (said.stdout, 0), "{command}");
    }
}

#[test]
fn the_help_of_a_command_in_full() {
    let said = Project::new().run(["doctor", "-h"]);
    let expected = "\
Check this machine: engine, resources, images, config

Usage: docker-test doctor [OPTIONS]

Options:
      --color <WHEN>  When to use colour [default: auto] [possible values: auto, always, never]
  -h, --help          Print help (see more with '--help')

Example:
  docker-test doctor
";
    assert_eq!(said.stdout, expected);
}

#[test]
fn nothing_at_all_shows_the_help_and_is_an_error() {
    let said = Project::new().run::<[&str; 0]>([]);
    assert_eq!((said.stdout.as_str(), said.status), ("", 2));
    assert!(
        said.stderr
            .starts_with("Runs any project's test suite inside hardened containers\n")
    );
    assert!(
        said.stderr
            .contains("\nUsage: docker-test [OPTIONS] <COMMAND>\n")
    );
}

#[test]
fn completions_of_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let said = Project::new().run(["completions", shell]);
        assert_eq!((said.stderr.as_str(), said.status), ("", 0));
        assert!(said.stdout.contains("run-full"), "{shell}");
    }
}

#[test]
fn the_manual_page_has_every_visible_command() {
    let said = Project::new().run(["man"]);
    assert_eq!((said.stderr.as_str(), said.status), ("", 0));
    assert!(said.stdout.contains(".TH docker-test 1"));
    for section in [
        "RUN",
        "RUN-FULL",
        "REPORT",
        "BUILD",
        "LIST",
        "SHELL",
        "DOCTOR",
        "CLEAN",
        "IMAGE",
        "IMAGE IMPORT",
    ] {
        let heading = format!(".SH \"DOCKER-TEST {section}\"\n");
        assert!(said.stdout.contains(&heading), "{section}");
    }
    assert!(!said.stdout.contains("PROBE"));
}

#[test]
fn a_list_for_people() {
    let said = endings()
        .test("quick", "# docker-test: profile=fast")
        .run(["list"]);
    let expected = "\
test                profile   from     image
test/bad_test.sh    standard  default  isolation
test/crash_test.sh  standard  default  isolation
test/good_test.sh   standard  default  isolation
test/loud_test.sh   small     rule     isolation
test/skip_test.sh   standard  default  isolation
test/quick_test.sh  fast      marker   isolation
test/wait_test.sh   short     rule     isolation
";
    let mut lines: Vec<&str> = said.stdout.lines().collect();
    let mut wanted: Vec<&str> = expected.lines().collect();
    assert_eq!(
        (lines[0], said.stderr.as_str(), said.status),
        (wanted[0], "", 0)
    );
    lines.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(lines, wanted);
}

#[test]
fn a_list_for_programs() {
    let project = Project::new()
        .fake_docker(NEVER)
        .test("a", "# @fast")
        .test("b", "")
        .test("c", "");
    let said = project.run([
        "list",
        "--message-format",
        "json",
        "--filter",
        "a_",
        "--filter",
        "*/b_*",
    ]);
    assert_eq!(
        said.stdout,
        "{\"id\":\"test/b_test.sh\",\"profile\":\"standard\",\"origin\":\"default\",\"image\":\"isolation\"}\n\
         {\"id\":\"test/a_test.sh\",\"profile\":\"fast\",\"origin\":\"marker\",\"image\":\"isolation\"}\n"
    );
    assert_eq!((said.stderr.as_str(), said.status), ("", 0));
    assert!(calls(&project).is_empty(), "a list needs no engine");
}

/// `docker-test run | head -1`: the run goes on and its record is whole.
#[test]
fn a_reader_that_leaves_does_not_end_the_run() {
    for format in ["human", "json"] {
        let project = Project::new()
            .test("a", "")
            .test("b", "until [ -e go ]; do sleep 0.01; done");
        let more = ["--message-format", format];
        let arguments = HOST.iter().chain(&more);
        let mut child = project.start(arguments);
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        drop(stdout);
        std::fs::write(project.path().join("go"), "").unwrap();
        let said = finish(child);
        assert_eq!(said.status, 0, "{format}: {}", said.stderr);
        assert_eq!(project.verdicts().len(), 2, "{format}");
        assert_eq!(project.query("select exit_status from runs"), "0");
    }
    for arguments in [
        &["list"][..],
        &["man"],
        &["--help"],
        &["completions", "bash"],
    ] {
        let project = Project::new().test("a", "");
        let mut child = project.start(arguments);
        drop(child.stdout.take());
        let said = finish(child);
        assert_eq!(
            (said.stderr.as_str(), said.status),
            ("", 0),
            "{arguments:?}"
        );
    }
}

#[test]
fn a_full_disk_behind_stdout_is_an_error_of_results() {
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    let project = Project::new().test("a", "");
    for arguments in [
        &["list"][..],
        &["man"],
        &["--help"],
        &["--version"],
        &["completions", "zsh"],
    ] {
        let said = finish(project.command(arguments).stdout(full()).spawn().unwrap());
        assert_eq!(
            (said.stderr.as_str(), said.status),
            (
                "error: stdout cannot be written: No space left on device (os error 28)\n",
                5
            ),
            "{arguments:?}"
        );
    }
    for format in ["human", "json"] {
        let more = ["--message-format", format];
        let arguments = HOST.iter().chain(&more);
        let said = finish(project.command(arguments).stdout(full()).spawn().unwrap());
        assert_eq!(said.status, 5, "{format}: {}", said.stderr);
        assert!(
            said.stderr
                .contains("error: cannot write to stdout: No space left on device"),
            "{}",
            said.stderr
        );
        assert!(!said.stderr.contains("panicked"));
    }
    // And a stderr that cannot be written changes no status.
    let said = finish(project.command(HOST).stderr(full()).spawn().unwrap());
    assert_eq!(said.status, 0);
}

#[test]
fn the_program_needs_no_project_for_its_texts() {
    let project = Project::new().config("nonsense: [");
    for arguments in [
        &["--version"][..],
        &["man"],
        &["completions", "fish"],
        &["help"],
    ] {
        assert_eq!(project.run(arguments).status, 0, "{arguments:?}");
    }
}
