//! Wrong arguments, configs and paths: one clear line, the right exit status, nothing created and
//! nothing started.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::harness::{Project, finish};

pub const HELP: &str =
    "hint: docker-test --help, and docker-test COMMAND --help, show what can be written";

/// A project with a test, and a docker that leaves a mark when it is called.
pub fn project() -> Project {
    Project::new()
        .fake_docker("touch \"$(dirname \"$0\")/called\"; exit 1")
        .test("a", "")
}

/// Every path below a folder.
fn everything(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path.clone());
            }
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The program refuses these arguments with exactly this message, and leaves everything as it was.
pub fn refused<I>(project: &Project, arguments: I, status: i32, message: &str)
where
    I: IntoIterator<Item: AsRef<OsStr>> + std::fmt::Debug + Clone,
{
    let before = everything(project.path());
    let said = project.run(arguments.clone());
    let folder = project.path().canonicalize().unwrap();
    let stderr = said.stderr.replace(folder.to_str().unwrap(), "<project>");
    assert_eq!(stderr, format!("error: {message}\n"), "{arguments:?}");
    assert_eq!(
        (said.stdout.as_str(), said.status),
        ("", status),
        "{arguments:?}"
    );
    assert!(
        stderr
            .lines()
            .skip(1)
            .all(|line| line.starts_with("hint: ")),
        "{arguments:?}"
    );
    assert_eq!(
        everything(project.path()),
        before,
        "{arguments:?} made or removed something"
    );
}

#[test]
fn unknown_words() {
    let project = project();
    for (arguments, message) in [
        (&["rnu"][..], "unrecognized subcommand 'rnu'\nhint: did you mean 'run'?".into()),
        (
            &["frobnicate"],
            "unrecognized subcommand 'frobnicate'\nhint: known are build, run, run-full, report, \
             list, show, compare, fit, plan, merge, ci, shell, top, history, export, db, doctor, clean, image, compose, completions, man, test"
                .into(),
        ),
        (&["--memroy"], format!("unexpected argument '--memroy' found\n{HELP}")),
        (
            &["run", "--worker", "2"],
            "unexpected argument '--worker' found\nhint: a similar argument exists: '--workers'".into(),
        ),
        (&["run", "-x"], format!("unexpected argument '-x' found\n{HELP}")),
        (&["clean", "more"], format!("unexpected argument 'more' found\n{HELP}")),
        (
            &["run", "--engine", "podmann"],
            "invalid value 'podmann' for '--engine <ENGINE>' [possible values: auto, docker, podman, sandbox, host]\nhint: a similar value exists: 'podman'".into(),
        ),
        (
            &["run", "--message-format", "xml"],
            format!("invalid value 'xml' for '--message-format <FORMAT>' [possible values: human, json]\n{HELP}"),
        ),
        (
            &["run", "--level", "strikt"],
            "invalid value 'strikt' for '--level <LEVEL>' [possible values: standard, strict, paranoid]\nhint: a similar value exists: 'strict'".into(),
        ),
        (
            &["run", "--network", "host"],
            format!("invalid value 'host' for '--network <NETWORK>' [possible values: none, internal, bridge]\n{HELP}"),
        ),
        (
            &["run", "--network=bridge", "--level=strict"],
            "--network bridge cannot be used: --level strict has no network\nhint: leave one of the two out, or add --allow-weaker".into(),
        ),
        (
            &["run", "--fresh", "worker", "--level", "paranoid"],
            "--fresh worker cannot be used: --level paranoid has a container for each test\nhint: leave one of the two out, or add --allow-weaker".into(),
        ),
        (
            &["build", "ful"],
            "invalid value 'ful' for '[IMAGE]' [possible values: isolation, full, all]\nhint: a similar value exists: 'full'".into(),
        ),
        (
            &["run", "--filter"],
            format!("a value is required for '--filter <PATTERN>' but none was supplied\n{HELP}"),
        ),
        (
            &["run", "--fail-fast", "--fail-fast"],
            format!("the argument '--fail-fast' cannot be used multiple times\n{HELP}"),
        ),
    ] {
        refused(&project, arguments, 2, &message);
    }
}

#[test]
fn numbers_and_durations_out_of_range() {
    let project = project();
    for value in ["0", "-1", "99999999999999999999", "1025", "1.5", "two", ""] {
        let message = format!(
            "invalid value '{value}' for '--workers <N>': write a number from 1 to 1024, or auto\n{HELP}"
        );
        refused(
            &project,
            ["run".to_owned(), format!("--workers={value}")],
            2,
            &message,
        );
    }
    for (value, why) in [
        ("0", "it has no unit"),
        ("10", "it has no unit"),
        ("0s", "it is less than 1ms"),
        ("1y", "it is more than 7 days"),
        ("-5s", "it is not a duration"),
        ("NaN", "it is not a duration"),
        ("99999999999999999999s", "it is not a duration"),
    ] {
        let message = format!(
            "invalid value '{value}' for '--timeout <DURATION>': invalid duration '{value}': {why}; \
             write a number with a unit, as in 2s or 500ms\n{HELP}"
        );
        refused(&project, ["run", "--timeout", value], 2, &message);
    }
}

#[test]
fn names_that_are_not_there() {
    let project = project();
    refused(
        &project,
        ["run", "--profile", "fsat"],
        2,
        "unknown profile 'fsat': did you mean 'fast'?",
    );
    refused(
        &project,
        ["run", "--profile", "nothing like it"],
        2,
        "unknown profile 'nothing like it': known are fast, intensive, slow, standard",
    );
    refused(
        &project,
        ["run", "--filter", "zzz"],
        4,
        "no tests: none of the 1 tests found matches --filter 'zzz'",
    );
    refused(
        &project,
        ["run", "--filter", "a["],
        2,
        "--filter: invalid pattern 'a[': unclosed character class; missing ']'; write a path pattern, as in test/**/*_test.sh",
    );
    refused(
        &project,
        ["run", "--filter", ""],
        2,
        "--filter: it is empty: write a part of an id, or a pattern such as 'test/unit/*'",
    );
    let empty = project_without_tests();
    refused(
        &empty,
        ["run"],
        4,
        "no tests: no file in 'test' matches suite.include '**/*_test.sh'",
    );
    refused(
        &Project::new(),
        ["list"],
        2,
        "cannot search 'test': '<project>/test' does not exist\n\
         hint: name tests on the command line, or set suite.root in docker-test.yaml",
    );
}

fn project_without_tests() -> Project {
    project().config("suite: {exclude: [test/a_test.sh]}")
}

#[test]
fn paths_that_lead_nowhere_name_the_component() {
    let project = project().file("notes.txt", "");
    let path = project.path();
    symlink("gone", path.join("test/dangling")).unwrap();
    symlink("loop", path.join("test/loop")).unwrap();
    for (argument, message) in [
        (
            "missing/below",
            "cannot search 'missing/below': '<project>/missing' does not exist",
        ),
        (
            "notes.txt/x",
            "cannot search 'notes.txt/x': '<project>/notes.txt/x' is below a file",
        ),
        (
            "test/dangling",
            "cannot search 'test/dangling': '<project>/test/dangling' is a dangling symlink to 'gone'",
        ),
        (
            "test/loop",
            "cannot search 'test/loop': '<project>/test/loop' is a symlink loop",
        ),
        (
            "/etc",
            "cannot search '/etc': '/etc' is not in the project '<project>'",
        ),
        (
            "\u{202e}\u{1b}[31m\n",
            "cannot search '\\u{202e}\\x1b[31m\\n': '<project>/\\u{202e}\\x1b[31m\\n' does not exist",
        ),
    ] {
        refused(&project, ["run", argument], 2, message);
    }
    let not_text = OsString::from_vec(b"\xff".to_vec());
    refused(
        &project,
        [OsString::from("run"), not_text.clone()],
        2,
        "cannot search '\\xff': '<project>/\\xff' does not exist",
    );
    refused(
        &project,
        [OsString::from("run"), "--profile".into(), not_text],
        2,
        &format!("invalid argument '\\xff': it is not UTF-8\n{HELP}"),
    );
    for length in [256, 4096, 100_000] {
        let said = project.run(["run", &"x".repeat(length)]);
        assert_eq!(
            (said.stderr.lines().count(), said.status),
            (1, 2),
            "{length}"
        );
        assert!(said.stderr.len() < 5000, "{length}: {}", said.stderr.len());
    }
}

#[test]
fn no_project_is_made_of_a_system_folder() {
    for folder in ["/", "/etc", "/proc", "/proc/self/fd", "/usr", "/var"] {
        let project = project();
        let said = finish(
            project
                .command(["run"])
                .current_dir(folder)
                .spawn()
                .unwrap(),
        );
        assert_eq!((said.stdout.as_str(), said.status), ("", 2), "{folder}");
        assert!(
            said.stderr.starts_with("error: cannot use '/"),
            "{folder}: {}",
            said.stderr
        );
        assert!(
            said.stderr
                .ends_with("\nhint: name the directory of one project, or change to it\n")
        );
        assert!(!project.path().join(".fake/called").exists());
    }
    let home = project();
    let path = home.path().to_owned();
    let home = home.env("HOME", path);
    let message = "cannot use '<project>' as a project: it is your home directory\n\
                   hint: name the directory of one project, or change to it";
    refused(&home, ["run"], 2, message);
    let closed = project();
    std::fs::set_permissions(closed.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let message = "cannot use '<project>' as a project: tests run as user 1001, which may not enter \
                   it\nhint: chmod o+rx '<project>'";
    // An ordinary user's own folder is for the engine to refuse.
    if nix::unistd::getuid().is_root() {
        refused(&closed, ["run"], 2, message);
    }
}

#[test]
fn images_and_variables_that_are_none() {
    let project = project();
    for image in [
        "-it",
        "--privileged",
        "Debian",
        "a b",
        "$(id)",
        "a;b",
        "`id`",
        "a\n--privileged",
        "",
        "debian:",
        "-v=/:/h",
        "\u{1b}[31m",
    ] {
        let shown = image.replace('\n', "\\n").replace('\u{1b}', "\\x1b");
        let twice = shown.replace('\\', "\\\\");
        let message = format!(
            "invalid value '{shown}' for '--image <IMAGE>': invalid image '{twice}': write isolation, \
             full, host or a reference such as debian:12\n{HELP}"
        );
        refused(&project, ["run", "--image", image], 2, &message);
    }
    for (entry, shown) in [
        ("=x", "=x"),
        ("1A=x", "1A=x"),
        ("A B=x", "A B=x"),
        ("A\n=x", "A\\n=x"),
        ("\u{1b}=", "\\x1b="),
    ] {
        let message = format!(
            "invalid value '{shown}' for '--env': write NAME=VALUE, with a NAME of letters, digits and _"
        );
        refused(&project, ["run", "--env", entry], 2, &message);
    }
}

#[test]
fn configs_that_are_wrong() {
    for (yaml, message) in [
        (
            &b"worker: 1"[..],
            "docker-test.yaml:1: unknown key 'worker': did you mean 'workers'?",
        ),
        (
            b"\n\nworkers: 0",
            "docker-test.yaml:3: 'workers' is '0': write auto or a number from 1 to 1024",
        ),
        (
            b"image: [",
            "docker-test.yaml:2: not valid YAML: did not find expected node content",
        ),
        (
            b"image: full\nimage: full",
            "docker-test.yaml:2: 'image' occurs twice: write it once",
        ),
        (
            b"image: \xff",
            "docker-test.yaml:1: not UTF-8: save the file in UTF-8",
        ),
        (
            b"- a",
            "docker-test.yaml:1: the file is a list: write a mapping, as in 'key: value' lines",
        ),
        (
            b"image: -it",
            "docker-test.yaml:1: 'image': invalid image '-it': write isolation, full, host or a reference such as debian:12",
        ),
        (
            b"image: \"a\\x1b[31m\"",
            "docker-test.yaml:1: 'image': invalid image 'a\\x1b[31m': write isolation, full, host or a reference such as debian:12",
        ),
        (
            b"engine-args: [--privileged]",
            "docker-test.yaml:1: unknown key 'engine-args': known are suite, image, profiles, default-profile, rules, order, retries, flaky, workers, level, network, violations, results",
        ),
        (
            b"profiles: {fast: {network: host}}",
            "docker-test.yaml:1: unknown key 'profiles.fast.network': known are cpus, memory, timeout, cpu-time, open-files, pids, tmpfs, tmpfs-exec, nice, output, image",
        ),
        (
            b"default-profile: fsat",
            "docker-test.yaml:1: 'default-profile': unknown profile 'fsat': did you mean 'fast'?",
        ),
        (
            b"violations: {leaked-proces: fail}",
            "docker-test.yaml:1: unknown key 'violations.leaked-proces': did you mean 'leaked-process'?",
        ),
        (
            b"workers: 1\nviolations:\n  leaked-process: error",
            "docker-test.yaml:3: 'violations.leaked-process' is 'error': known are ignore, warn, fail",
        ),
        (
            b"violations: {wall: warn}",
            "docker-test.yaml:1: 'violations.wall' is 'warn': it ends the test, so write fail, or a higher limit in profiles",
        ),
        (
            b"suite: {root: ../..}",
            "docker-test.yaml:1: 'suite.root' is '../..': write a path inside the project, without '..', as in test",
        ),
        (
            b"results: test",
            "docker-test.yaml:1: 'results' contains the suite's root: write a directory of its own, as in test-results",
        ),
    ] {
        let project = project().file("docker-test.yaml", yaml);
        for command in ["run", "list", "shell", "build"] {
            refused(&project, [command], 2, message);
        }
    }
    for size in [0, 100] {
        let project = project().file("docker-test.yaml", vec![b' '; size << 20]);
        let said = project.run(["list"]);
        assert_eq!(
            said.status,
            if size == 0 { 0 } else { 2 },
            "{}",
            said.stderr
        );
    }
    // Nesting that would end a careless parser.
    let project = project().file("docker-test.yaml", "[".repeat(100_000));
    assert_eq!(project.run(["run"]).status, 2);
}

#[test]
fn configs_that_are_only_odd() {
    for yaml in [
        "",
        "\u{feff}workers: 1\n",
        "workers: 1\r\nimage: isolation\r\n",
        "# nothing\n",
        "---\n",
        "{}",
    ] {
        let said = project().config(yaml).run(["list"]);
        assert_eq!((said.stderr.as_str(), said.status), ("", 0), "{yaml:?}");
    }
    let directory = project();
    std::fs::create_dir(directory.path().join("docker-test.yaml")).unwrap();
    refused(&directory, ["run"], 2, "docker-test.yaml: is not a file");
}

#[test]
fn markers_and_rules_that_name_no_profile() {
    let project = project().test("b", "#\n# docker-test: profile=fsat");
    refused(
        &project,
        ["run"],
        2,
        "test/b_test.sh:2: unknown profile 'fsat': did you mean 'fast'?",
    );
    let project = project.config("rules: [{path: 'test/**', profile: mine}]");
    let message = "docker-test.yaml:1: 'rules[0].profile': unknown profile 'mine': known are fast, \
                   intensive, slow, standard";
    refused(&project, ["run"], 2, message);
}

#[test]
fn a_runtime_that_is_missing() {
    let project = project().config("suite: {runtime: bin/interpreter}");
    let message = "suite.runtime <project>/bin/interpreter: there is no such file\n\
                   hint: build it first, or correct suite.runtime in docker-test.yaml";
    refused(&project, ["run"], 2, message);
}

/// The status is 5 and says what is in the way; nothing is started.
#[test]
fn places_where_results_cannot_be() {
    let host = ["run", "--engine", "host"];
    let refused = |project: &Project, part: &str| {
        let before = everything(project.path());
        let said = project.run(host);
        assert_eq!(
            (said.stdout.as_str(), said.status),
            ("", 5),
            "{part}: {}",
            said.stderr
        );
        assert!(
            said.stderr.starts_with("error: ") && said.stderr.contains(part),
            "{part}: {}",
            said.stderr
        );
        assert_eq!(everything(project.path()), before, "{part}");
    };
    let mark = || Project::new().test("a", "touch started");
    refused(&mark().file("test-results", ""), "test-results");
    refused(
        &mark().file("test-results/docker-test.db", "no database at all"),
        "docker-test.db",
    );
    refused(
        &mark().file("test-results/docker-test.db/x", ""),
        "is a directory",
    );
    let fifo = mark().file("test-results/x", "");
    let path = fifo.path().join("test-results/docker-test.db");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    refused(&fifo, "docker-test.db");
    let link = mark().file("test-results/x", "");
    symlink("/dev/null", link.path().join("test-results/docker-test.db")).unwrap();
    refused(&link, "docker-test.db");
    let dangling = mark();
    symlink("gone", dangling.path().join("test-results")).unwrap();
    refused(&dangling, "leads nowhere");
}
