//! What a container of the embedded engine takes over from whoever starts it: nothing.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::engines::{Engine, on};
use crate::harness::{Project, Said, finish};

on!([sandbox sandbox_user]
    a_shells_pipes_are_not_its_callers_files
    signals_that_the_caller_ignores_are_not_ignored_inside
    a_caller_that_ignores_its_children_does_not_matter
    limits_are_read_back_whatever_the_umask_is
);

/// Executes the program with these words behind `before`, the beginning of a shell's command.
fn behind(on: &Engine, project: &Project, before: &str, words: &[&str]) -> Said {
    let like = project.command([""; 0]);
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", &format!("{before} \"$@\""), "sh"])
        .arg(like.get_program())
        .args(words)
        .current_dir(project.path())
        .env_clear()
        .envs(
            like.get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(user) = on.user {
        shell.uid(user).gid(user);
    }
    finish(shell.spawn().unwrap())
}

fn a_shells_pipes_are_not_its_callers_files(on: &Engine) {
    let project = on.project().file("input", "before\n");
    let input = project.path().join("input");
    fs::set_permissions(&input, Permissions::from_mode(0o666)).unwrap();
    let shell = |script: &str, stdin: File| {
        let mut command = project.command(on.words("shell", ["--", "sh", "-c", script]));
        finish(command.stdin(stdin).spawn().unwrap())
    };
    let script =
        "cat; echo after > /proc/self/fd/0; echo out > /dev/stdout; echo err > /dev/stderr; exit 7";
    let said = shell(script, File::open(&input).unwrap());
    assert_eq!(
        (said.stdout.as_str(), said.stderr.as_str(), said.status),
        ("before\nout\n", "err\n", 7)
    );
    assert_eq!(fs::read_to_string(&input).unwrap(), "before\n");
    // A folder would lead out of the container.
    let script = "cd /proc/self/fd/0 2>/dev/null && ls -a; true";
    let said = shell(script, File::open(project.path()).unwrap());
    assert_eq!((said.stdout.as_str(), said.status), ("", 0), "{said:?}");
}

fn signals_that_the_caller_ignores_are_not_ignored_inside(on: &Engine) {
    let project = on.project().test("a", "grep SigIgn: /proc/self/status");
    let before = "trap '' HUP INT USR1 XFSZ PIPE; exec";
    let none = "SigIgn:\t0000000000000000\n";
    let words = on.words("shell", ["--", "grep", "SigIgn:", "/proc/self/status"]);
    let said = behind(on, &project, before, &words);
    assert_eq!((said.stdout.as_str(), said.status), (none, 0), "{said:?}");
    let said = behind(on, &project, before, &on.run([]));
    assert_eq!(said.status, 0, "{said:?}");
    let output = "select cast(head as text) from outputs where stream = 'stdout'";
    assert_eq!(project.query(output), none);
}

fn a_caller_that_ignores_its_children_does_not_matter(on: &Engine) {
    let project = on.project().test("a", "true");
    let before = "exec env --ignore-signal=CHLD";
    let said = behind(on, &project, before, &on.run([]));
    assert_eq!(said.status, 0, "{said:?}");
    assert!(!said.stderr.contains("lost"), "{said:?}");
}

fn limits_are_read_back_whatever_the_umask_is(on: &Engine) {
    let limits = |umask: &str| {
        let project = on.project().test("a", "true");
        let said = behind(on, &project, &format!("umask {umask}; exec"), &on.run([]));
        assert_eq!(said.status, 0, "{said:?}");
        project.query("select limits from workers")
    };
    assert_eq!(limits("077"), limits("022"));
}
