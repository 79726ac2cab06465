//! Wrong arguments, configs, paths and surroundings: one clear line, the right exit status, nothing
//! created and nothing started. What is only odd works.

use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{PROGRAM, Project, Said, finish};

const HELP: &str =
    "hint: docker-test --help, and docker-test COMMAND --help, show what can be written";

/// A project with a test, and a docker that leaves a mark when it is called.
fn project() -> Project {
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
fn refused<I>(project: &Project, arguments: I, status: i32, message: &str)
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
            "unrecognized subcommand 'frobnicate'\nhint: known are build, run, run-full, list, \
             shell, doctor, clean, completions, man, test"
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
            format!("invalid value 'podmann' for '--engine <ENGINE>' [possible values: auto, docker, host]\n{HELP}"),
        ),
        (
            &["run", "--message-format", "xml"],
            format!("invalid value 'xml' for '--message-format <FORMAT>' [possible values: human, json]\n{HELP}"),
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
    refused(&closed, ["run"], 2, message);
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
            "docker-test.yaml:1: unknown key 'engine-args': known are suite, image, profiles, default-profile, rules, workers, results",
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

/// Names that hurt careless programs: each is a test that runs, and is recorded byte for byte.
#[test]
fn hostile_names_run_and_are_recorded_as_they_are() {
    let mut names: Vec<Vec<u8>> = [
        "a b",
        "a,b",
        "a:b",
        "a\"b",
        "a'b",
        "a\nb",
        "a\tb",
        "-rf",
        "--privileged",
        "a\\b",
        "a$(touch x)b",
        "a`touch x`b",
        "a;touch x;b",
        "a|b",
        "a&b",
        "a*b",
        "a?b",
        "a[b]",
        "a{b}",
        "{test}",
        "a#b",
        "~a",
        "a%sb",
        "\u{1b}[31mred",
        "\u{202e}rlo",
        "\u{feff}bom",
        "caf\u{e9}",
        "cafe\u{301}",
        "::error::x",
        "##[group]x",
        "a\rb",
        "a\u{7f}b",
        " ",
        "a=b",
        "a@b",
        "NULL",
        "'; drop table tests; --",
    ]
    .iter()
    .map(|name| name.as_bytes().to_vec())
    .collect();
    names.push(b"\xff\xfe".to_vec());
    names.push(b"half \xc3".to_vec());
    names.push(vec![b'x'; 255 - "_test.sh".len()]);
    let project = Project::new();
    for name in &names {
        let mut path = b"test/".to_vec();
        path.extend_from_slice(name);
        path.extend_from_slice(b"_test.sh");
        let path = project.path().join(OsStr::from_bytes(&path));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        // It says by which name it was called, and passes.
        std::fs::write(path, "printf %s \"$DOCKER_TEST_ID\"").unwrap();
    }
    let said = project.run(["run", "--engine", "host"]);
    assert_eq!(said.status, 0, "{}{}", said.stdout, said.stderr);
    assert!(!project.path().join("x").exists(), "a name was executed");
    for text in [&said.stdout, &said.stderr] {
        let bad = text
            .chars()
            .find(|c| (c.is_control() && *c != '\n') || "\u{202e}\u{feff}".contains(*c));
        assert_eq!(bad, None, "{text}");
        assert!(
            !text
                .lines()
                .any(|line| line.starts_with("::") || line.starts_with("##")),
            "{text}"
        );
    }
    let connection =
        rusqlite::Connection::open(project.path().join("test-results/docker-test.db")).unwrap();
    let mut statement = connection
        .prepare("select cast(id as blob), outcome, cast(head as blob) from attempts join tests using (test) join outputs using (run, test, attempt) where stream = 'stdout'")
        .unwrap();
    let rows = statement
        .query_map([], |row| {
            Ok((
                row.get::<_, Vec<u8>>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, Vec<u8>>(2)?,
            ))
        })
        .unwrap();
    let mut recorded: Vec<Vec<u8>> = Vec::new();
    for row in rows {
        let (id, outcome, stdout) = row.unwrap();
        assert_eq!(outcome, "pass");
        assert_eq!(stdout, id, "a test was told another name than its own");
        recorded.push(id);
    }
    recorded.sort();
    let mut wanted: Vec<Vec<u8>> = names
        .iter()
        .map(|name| [b"test/", name.as_slice(), b"_test.sh"].concat())
        .collect();
    wanted.sort();
    assert_eq!(recorded, wanted);
}

/// A run that works, whatever the surroundings are.
fn works(said: &Said, what: &str) {
    assert_eq!(said.status, 0, "{what}: {}{}", said.stdout, said.stderr);
    assert!(
        said.stdout.contains("1 test in "),
        "{what}: {}",
        said.stdout
    );
    assert!(
        !said.stdout.contains('\u{1b}') && !said.stderr.contains('\u{1b}'),
        "{what}"
    );
}

const HOST: [&str; 3] = ["run", "--engine", "host"];

#[test]
fn odd_environments() {
    for (name, value) in [
        ("TERM", "dumb"),
        ("TERM", ""),
        ("NO_COLOR", "1"),
        ("COLUMNS", "0"),
        ("COLUMNS", "-1"),
        ("LINES", "x"),
        ("LC_ALL", "C"),
        ("LANG", "xx_XX.latin1"),
        ("HOME", ""),
        ("HOME", "/nonexistent"),
        ("PATH", ""),
        ("TMPDIR", "/nonexistent"),
        ("TMPDIR", ""),
        ("XDG_CACHE_HOME", "/dev/null"),
        ("RUST_BACKTRACE", "full"),
        ("DOCKER_HOST", "nonsense"),
        ("CI", "true"),
    ] {
        let project = project().env(name, value);
        works(&project.run(HOST), &format!("{name}={value}"));
    }
    let project = project();
    for name in ["HOME", "PATH", "TMPDIR"] {
        works(
            &finish(project.command(HOST).env_remove(name).spawn().unwrap()),
            name,
        );
    }
    works(
        &finish(project.command(HOST).env_clear().spawn().unwrap()),
        "no environment",
    );
}

#[test]
fn odd_processes() {
    let project = project();
    let with = |change: fn() -> std::io::Result<()>| -> Said {
        let mut command = project.command(HOST);
        // SAFETY: only async-signal-safe calls between fork and exec.
        unsafe { command.pre_exec(change) };
        finish(command.spawn().unwrap())
    };
    use nix::sys::resource::{Resource, setrlimit};
    let files = with(|| Ok(setrlimit(Resource::RLIMIT_NOFILE, 16, 16)?));
    if files.status != 0 {
        assert!([2, 3].contains(&files.status), "{files:?}");
        assert!(files.stderr.contains("Too many open files"), "{files:?}");
        assert!(!files.stderr.contains("panicked"), "{files:?}");
    }
    for fd in 0..3 {
        let mut command = project.command(HOST);
        // SAFETY: close is async-signal-safe.
        unsafe {
            command.pre_exec(move || {
                nix::libc::close(fd);
                Ok(())
            })
        };
        let said = finish(command.spawn().unwrap());
        assert_eq!(said.status, 0, "without fd {fd}: {said:?}");
        assert_eq!(
            project.query("select exit_status from runs order by started_unix_us desc"),
            "0"
        );
    }
    works(
        &with(|| Ok(setrlimit(Resource::RLIMIT_CORE, 0, 0)?)),
        "no core files",
    );
    works(
        &with(|| {
            // SAFETY: signal is async-signal-safe.
            unsafe { nix::libc::signal(nix::libc::SIGPIPE, nix::libc::SIG_DFL) };
            Ok(())
        }),
        "SIGPIPE by default",
    );
    works(
        &with(|| {
            nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o777));
            Ok(())
        }),
        "umask 777",
    );
}

#[test]
fn results_made_under_umask_777_can_be_used_again() {
    let project = project();
    for _ in 0..2 {
        let mut command = project.command(HOST);
        // SAFETY: umask is async-signal-safe.
        unsafe {
            command.pre_exec(|| {
                nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o777));
                Ok(())
            })
        };
        works(&finish(command.spawn().unwrap()), "umask 777");
    }
    assert_eq!(project.query("select count(*) from runs"), "2");
}

#[test]
fn a_working_directory_that_is_gone() {
    let project = project();
    let gone = project.path().join("gone");
    std::fs::create_dir(&gone).unwrap();
    let script = "rmdir \"$PWD\" && exec \"$0\" \"$@\"";
    for arguments in [&["run"][..], &["list"], &["build"], &["shell"]] {
        std::fs::create_dir_all(&gone).unwrap();
        let mut command = project.command(["-c", script, PROGRAM].iter().chain(arguments));
        let environment: Vec<_> = command
            .get_envs()
            .map(|(name, value)| (name.to_owned(), value.map(OsStr::to_owned)))
            .collect();
        let mut shell = Command::new("/bin/sh");
        shell
            .args(command.get_args())
            .current_dir(&gone)
            .env_clear();
        for (name, value) in environment {
            shell.env(name, value.unwrap_or_default());
        }
        shell
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        command = shell;
        let said = finish(command.spawn().unwrap());
        assert_eq!(
            (said.stderr.as_str(), said.status),
            (
                "error: the working directory cannot be used: No such file or directory (os error 2)\n",
                2
            ),
            "{arguments:?}"
        );
    }
    assert!(!project.path().join(".fake/called").exists());
}

#[test]
fn an_empty_name_of_the_program() {
    let project = project();
    let mut command = project.command(["--workers"]);
    command.arg0("");
    let said = finish(command.spawn().unwrap());
    assert_eq!(
        said.stderr,
        format!("error: unexpected argument '--workers' found\n{HELP}\n")
    );
    let mut command = project.command(HOST);
    command.arg0("");
    works(&finish(command.spawn().unwrap()), "an empty argv[0]");
    // And none at all.
    let said = without_arguments();
    assert_eq!(said, 2);
}

/// The exit status of the program with an empty argument list, which Linux turns into one empty
/// argument.
fn without_arguments() -> i32 {
    let program = CString::new(PROGRAM).unwrap();
    let argv = [std::ptr::null::<nix::libc::c_char>()];
    let mut command = Command::new("/bin/true");
    command.stderr(std::process::Stdio::null());
    let (program, argv) = (program.as_ptr() as usize, argv.as_ptr() as usize);
    // SAFETY: execve is async-signal-safe, and both pointers outlive the call of `status`.
    unsafe {
        command.pre_exec(move || {
            nix::libc::execve(program as *const _, argv as *const _, argv as *const _);
            Err(std::io::Error::last_os_error())
        })
    };
    command.status().unwrap().code().unwrap()
}
