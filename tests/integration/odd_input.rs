//! Names and surroundings that are only odd: they work, and nothing of them gets lost.

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::bad_input::{HELP, project};
use crate::harness::{PROGRAM, Project, Said, finish};
use crate::host_run::HOST;

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
}

#[test]
fn results_made_under_umask_777_can_be_used_again() {
    // Whoever is not root has shut himself out of what he made.
    if !nix::unistd::geteuid().is_root() {
        return;
    }
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
        // The shell removes the folder that it is in, and becomes the program.
        let own = project.command::<[&str; 0]>([]);
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", script, PROGRAM])
            .args(arguments)
            .current_dir(&gone);
        command.env_clear().envs(
            own.get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
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
    command.stderr(Stdio::null());
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
