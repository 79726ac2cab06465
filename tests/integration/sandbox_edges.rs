//! What a container of the sandbox inherits from whoever starts it: nothing.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::engines::{Engine, on};
use crate::harness::{PROGRAM, Project, Said, finish};

on!([sandbox] a_shells_pipes_are_not_its_callers_files signals_that_the_caller_ignores_are_not_ignored_inside a_caller_that_ignores_its_children_does_not_matter limits_are_read_back_whatever_the_umask_is);

/// A project whose folder everybody may read, with one test.
fn project(script: &str) -> Project {
    Project::new().config("image: host\n").test("a", script)
}

fn shell(project: &Project, script: &str, stdin: impl Into<Stdio>) -> Said {
    let words = ["shell", "--engine", "sandbox", "--", "sh", "-c", script];
    let mut command = project.command(words);
    finish(command.stdin(stdin).spawn().unwrap())
}

/// Runs `words` of the program behind `before`, words of a shell that execute it.
fn behind(project: &Project, before: &str, words: &str) -> Said {
    let program = project.command([""; 0]);
    let variables = program.get_envs();
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", &format!("{before} {PROGRAM} {words}")])
        .current_dir(project.path())
        .env_clear()
        .envs(variables.filter_map(|(name, value)| Some((name, value?))))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    finish(shell.spawn().unwrap())
}

fn a_shells_pipes_are_not_its_callers_files(_: &Engine) {
    let project = project("true");
    let input = project.path().join("input");
    fs::write(&input, "before\n").unwrap();
    fs::set_permissions(&input, fs::Permissions::from_mode(0o666)).unwrap();
    let script =
        "cat; echo after > /proc/self/fd/0; echo out > /dev/stdout; echo err > /dev/stderr; exit 7";
    let said = shell(&project, script, File::open(&input).unwrap());
    assert_eq!(
        (said.stdout.as_str(), said.stderr.as_str(), said.status),
        ("before\nout\n", "err\n", 7)
    );
    assert_eq!(fs::read_to_string(&input).unwrap(), "before\n");
    // A folder would lead out of the container.
    let script = "cd /proc/self/fd/0 2>/dev/null && ls -a; true";
    let said = shell(&project, script, File::open(project.path()).unwrap());
    assert_eq!((said.stdout.as_str(), said.status), ("", 0), "{said:?}");
}

fn signals_that_the_caller_ignores_are_not_ignored_inside(_: &Engine) {
    let ignored = "grep -h SigIgn: /proc/self/status";
    let before = "trap '' HUP INT USR1 XFSZ PIPE; exec";
    let none = "SigIgn:\t0000000000000000\n";
    let project = project(ignored);
    let said = behind(
        &project,
        before,
        &format!("shell --engine sandbox -- {ignored}"),
    );
    assert_eq!((said.stdout.as_str(), said.status), (none, 0), "{said:?}");
    let said = behind(&project, before, "run --engine sandbox");
    assert_eq!(said.status, 0, "{said:?}");
    let output = "select cast(head as text) from outputs where stream = 'stdout'";
    assert_eq!(project.query(output), none);
}

fn a_caller_that_ignores_its_children_does_not_matter(_: &Engine) {
    let project = project("true");
    let before = "exec env --ignore-signal=CHLD";
    let said = behind(&project, before, "run --engine sandbox");
    assert_eq!(said.status, 0, "{said:?}");
    assert!(!said.stderr.contains("lost"), "{said:?}");
}

fn limits_are_read_back_whatever_the_umask_is(_: &Engine) {
    let limits = |before: &str| {
        let project = project("true");
        let said = behind(&project, before, "run --engine sandbox --level standard");
        assert_eq!(said.status, 0, "{said:?}");
        project.query("select limits from workers")
    };
    assert_eq!(limits("umask 077; exec"), limits("umask 022; exec"));
}
