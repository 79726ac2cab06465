//! What only an engine with a program of its own has: containers that outlive us, and containers
//! that somebody else starts.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use crate::engines::{Engine, on};
use crate::harness::PROGRAM;

on!([docker podman]
    clean_removes_what_is_of_a_dead_run_and_nothing_else
    tests_run_in_a_container_that_somebody_else_started
);

/// A container that is removed with the test.
struct Made<'a>(&'a Engine, String);

impl Drop for Made<'_> {
    fn drop(&mut self) {
        let _ = self.0.program().args(["rm", "-f", &self.1]).output();
    }
}

impl<'a> Made<'a> {
    /// A running container with these labels.
    fn new(on: &'a Engine, labels: &[(&str, &str)]) -> Self {
        let mut arguments: Vec<OsString> =
            ["run", "-d", "-i", "--network=none", "--log-driver=none"]
                .map(OsString::from)
                .to_vec();
        for (name, value) in labels {
            arguments.push(format!("--label={name}={value}").into());
        }
        arguments.push(format!("--volume={PROGRAM}:/docker-test:ro").into());
        arguments.push("--tmpfs=/tmp".into());
        arguments
            .extend([host_image(on), "/docker-test".into(), "worker".into()].map(OsString::from));
        Made(on, on.call(arguments))
    }

    fn is_there(&self) -> bool {
        let output = self.0.program().args(["inspect", &self.1]).output();
        output.unwrap().status.success()
    }
}

/// The empty image, which the program makes where it is missing.
fn host_image(on: &Engine) -> String {
    let said = on.project().run(on.words("shell", ["--", "true"]));
    assert_eq!(said.status, 0, "{}", said.stderr);
    format!("docker-test/host:{}", env!("CARGO_PKG_VERSION"))
}

fn clean_removes_what_is_of_a_dead_run_and_nothing_else(on: &Engine) {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let start = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(19);
    let own = std::process::id().to_string();
    let owner = |boot: &str, pid: &str, start: &str| {
        Made::new(
            on,
            &[
                ("dev.docker-test.run", "0123456789abcdef"),
                ("dev.docker-test.boot", boot),
                ("dev.docker-test.pid", pid),
                ("dev.docker-test.pid-start", start),
            ],
        )
    };
    let (boot, start) = (boot.trim(), start.unwrap());
    let living = owner(boot, &own, start);
    let reused = owner(boot, &own, "1");
    let dead = owner(boot, "4194303", start);
    let earlier = owner("00000000-0000-0000-0000-000000000000", &own, start);
    let foreign = Made::new(on, &[("com.example.run", "1")]);
    let said = on.project().run(["clean"]);
    assert_eq!(said.status, 0, "{}", said.stderr);
    for (container, stays) in [
        (&living, true),
        (&foreign, true),
        (&reused, false),
        (&dead, false),
        (&earlier, false),
    ] {
        assert_eq!(container.is_there(), stays, "{}", said.stdout);
    }
    assert!(said.stdout.contains("is alive"), "{}", said.stdout);
}

/// `docker run IMAGE test PATH`: no launcher.
fn tests_run_in_a_container_that_somebody_else_started(on: &Engine) {
    let project = on
        .project()
        .test("good", "[ $PPID -eq 1 ] && echo x >$TMPDIR/left")
        .test("then", "[ ! -e $TMPDIR/left ]")
        .test("bad", "exit 3");
    let image = host_image(on);
    let run = |paths: &[&str]| {
        let mut command = on.program();
        command.args(["run", "--rm", "--network=none", "--read-only"]);
        command.args([
            "--tmpfs=/tmp",
            "--tmpfs=/home:mode=1777",
            "--user=1001:1001",
        ]);
        for path in ["/usr", "/bin", "/lib", "/lib64"] {
            if let Ok(real) = Path::new(path).canonicalize() {
                command.arg(format!("--volume={}:{path}:ro", real.display()));
            }
        }
        command.arg(format!("--volume={PROGRAM}:/docker-test:ro"));
        command.arg(format!("--volume={}:/work:ro", project.path().display()));
        command.args([
            "--workdir=/work",
            "--entrypoint=/docker-test",
            &image,
            "test",
        ]);
        let output = command.args(paths).output().unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (status, stdout, stderr) = run(&["test/good_test.sh", "test/then_test.sh"]);
    assert_eq!(status, Some(0), "{stdout}{stderr}");
    assert!(stdout.contains("2 pass"), "{stdout}");
    let (status, stdout, stderr) = run(&[]);
    assert_eq!(status, Some(1), "{stdout}{stderr}");
    assert!(stdout.contains("fail exit(3)"), "{stdout}");
}
