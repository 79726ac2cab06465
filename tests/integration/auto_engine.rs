//! Which engine is taken when none was named, with programs that only play one.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::engines::{Engine, on};
use crate::fake_engine::calls;
use crate::harness::{PROGRAM, Project, Said, finish};

/// What the scripts and tests here call.
const TOOLS: [&str; 11] = [
    "cat", "dirname", "grep", "ls", "mkdir", "mkfifo", "rmdir", "sed", "sh", "sleep", "wc",
];
/// What podman says of itself, as `podman info --format json` has it.
const INFO: &str = r#"{"host":{"cgroupVersion":"v2","cpus":2,"memTotal":25276502016,"serviceIsRemote":false,"security":{"apparmorEnabled":true,"rootless":false,"seccompEnabled":true}},"store":{"graphRoot":"/"},"version":{"Version":"4.3.1"}}"#;
/// A docker that is installed and whose daemon is not there.
const DOWN: &str = "#!/bin/sh
echo \"$*\" >>\"$(dirname \"$0\")/docker-calls\"
case $1 in
--version) echo 'Docker version 26.1.5, build a72d7cd' ;;
*) echo 'Cannot connect to the Docker daemon at unix:///x.sock. Is the docker daemon running?' >&2; exit 1 ;;
esac
";

/// Where the machine has it.
fn real(tool: &str) -> PathBuf {
    let places = ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(tool));
    places.into_iter().find(|path| path.exists()).unwrap()
}

/// A project on a machine that has these tools and no engine.
fn bare() -> Project {
    bare_in(Project::new())
}

fn bare_in(project: Project) -> Project {
    let project = project.test("a", ":").env("DOCKER_HOST", "unix:///x.sock");
    // Scripts write down their calls beside themselves.
    project.folder(".fake");
    let tools = project.folder(".tools");
    for tool in TOOLS {
        symlink(real(tool), tools.join(tool)).unwrap();
    }
    let mut path = project.path().join(".fake").into_os_string();
    path.push(":");
    path.push(&tools);
    project.env("PATH", path)
}

/// The same with a podman, which answers.
fn with_podman(name: &str) -> Project {
    let script = include_str!("fake_docker.sh").replace(
        "--version) echo 'Docker version 26.1.5, build a72d7cd' ;;",
        "--version) echo 'podman version 4.3.1' ;;",
    );
    bare()
        .executable(&format!(".fake/{name}"), &format!("#!/bin/sh\n{script}\n"))
        .file(".fake/info", INFO)
        .file(".fake/networks", "[]\n")
        .env("FAKE_PROGRAM", PROGRAM)
}

/// The program that a dry run would start.
fn program_of(project: &Project, arguments: &[&str]) -> String {
    let said = project.run([&["run", "--dry-run", "--image", "host"], arguments].concat());
    assert_eq!(said.status, 0, "{}", said.stderr);
    let line = said.stdout.lines().nth(1).unwrap();
    line.split(' ').next().unwrap().to_owned()
}

/// Runs the program where not even the embedded engine can work: as a root without any right.
fn without_rights(project: &Project, arguments: &[&str]) -> Said {
    let typed = project.command(arguments);
    let mut command = Command::new(real("unshare"));
    command
        .args(["--user", "--map-root-user"])
        .arg(real("setpriv"))
        .args(["--bounding-set=-all", "--inh-caps=-all"])
        .arg(typed.get_program())
        .args(typed.get_args())
        .current_dir(project.path())
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for (name, value) in typed.get_envs() {
        command.env(name, value.unwrap());
    }
    finish(project.spawn(&mut command))
}

/// A docker that is not there, and one that does not answer, with what is said of it.
fn silent_dockers(project: impl Fn() -> Project) -> [(Project, &'static str); 2] {
    [
        (project(), "docker is not installed"),
        (
            project().executable(".fake/docker", DOWN),
            "docker does not answer: docker: Cannot connect to the Docker daemon at unix:///x.sock. Is the docker daemon running?",
        ),
    ]
}

on!([sandbox_user]
    without_an_engine_each_is_named_with_its_reason
);

fn without_an_engine_each_is_named_with_its_reason(_: &Engine) {
    for (project, docker) in silent_dockers(bare) {
        let said = without_rights(&project, &["run"]);
        // What is in the sandbox's way is more or less, by the machine.
        let [error, hint] = said.stderr.lines().collect::<Vec<_>>()[..] else {
            panic!("{said:?}")
        };
        let expected = format!(
            "error: no engine answers: {docker}; podman is not installed; the sandbox cannot "
        );
        assert!(error.starts_with(&expected), "{error}");
        let expected = "hint: install docker or podman and start it; for the sandbox: ";
        assert!(hint.starts_with(expected), "{hint}");
        assert_eq!((said.stdout.as_str(), said.status), ("", 3));
        assert!(!project.path().join("test-results").exists());
    }
    let said = without_rights(&bare(), &["doctor"]);
    assert_eq!(said.status, 3, "{}", said.stdout);
    for line in [
        "! warning  engine: docker is not installed\n",
        "! warning  engine: podman is not installed\n",
        "x problem  sandbox: the sandbox cannot ",
    ] {
        assert!(said.stdout.contains(line), "{line}: {}", said.stdout);
    }
}

on!([sandbox sandbox_user]
    the_sandbox_is_taken_where_nothing_else_answers
);

fn the_sandbox_is_taken_where_nothing_else_answers(on: &Engine) {
    for (project, docker) in silent_dockers(|| bare_in(on.project())) {
        let said = project.run(["run"]);
        assert_eq!(said.status, 0, "{said:?}");
        let why = format!("warning: engine sandbox: {docker}; podman is not installed\n");
        assert!(said.stderr.contains(&why), "{}", said.stderr);
        assert_eq!(project.query("select engine from runs"), "sandbox");
        assert_eq!(
            project.verdicts(),
            [("test/a_test.sh".into(), "pass".into())]
        );
        let said = project.run(["doctor"]);
        assert_eq!(said.status, 0, "{}", said.stdout);
        assert!(
            said.stdout
                .contains("+ ok       sandbox: a container starts\n"),
            "{}",
            said.stdout
        );
        assert_eq!(on.left_by(&project), Vec::<String>::new());
    }
    let project = bare_in(on.project());
    let said = project.run(["build"]);
    assert_eq!(
        said.stderr,
        "error: the engine sandbox builds no images\nhint: --engine docker or --engine podman\n"
    );
    assert_eq!(said.status, 3);
}

#[test]
fn podman_is_taken_where_docker_is_not_and_says_why() {
    for (project, why) in silent_dockers(|| with_podman("podman")) {
        let said = project.run(["run", "--image", "host"]);
        assert_eq!(said.status, 0, "{said:?}");
        assert!(
            said.stderr
                .contains(&format!("warning: engine podman: {why}\n")),
            "{}",
            said.stderr
        );
        assert_eq!(calls(&project)[0], "info --format json");
        assert_eq!(
            project.query("select engine || ' ' || engine_version from runs"),
            "podman 26.1.5"
        );
        assert_eq!(
            project.verdicts(),
            [("test/a_test.sh".into(), "pass".into())]
        );
    }
}

#[test]
fn an_engine_that_is_named_is_taken_unasked() {
    let project = with_podman("podman").executable(".fake/docker", DOWN);
    assert_eq!(program_of(&project, &["--engine", "podman"]), "podman");
    assert_eq!(program_of(&project, &["--engine", "docker"]), "docker");
    let there = with_podman("podman").fake_docker("exit 0");
    let named = there.path().join(".fake/docker");
    assert_eq!(program_of(&there, &[]), named.to_str().unwrap());
    for project in [&project, &there] {
        assert_eq!(calls(project), Vec::<String>::new());
    }
}

#[test]
fn podman_has_another_program_where_that_is_named() {
    let project = with_podman("mine");
    let program = project.path().join(".fake/mine");
    let project = project.env("DOCKER_TEST_PODMAN", &program);
    assert_eq!(program_of(&project, &[]), program.to_str().unwrap());
}

#[test]
fn a_docker_that_answers_is_taken_and_podman_is_not_asked() {
    let script = "#!/bin/sh\ncase $1 in --version) echo 'Docker version 26.1.5, build a' ;; version) echo 26.1.5 ;; esac\n";
    let project = with_podman("podman").executable(".fake/docker", script);
    assert_eq!(program_of(&project, &[]), "docker");
    assert_eq!(calls(&project), Vec::<String>::new());
}

#[test]
fn a_docker_that_is_podman_is_used_as_podman() {
    for engine in ["auto", "docker"] {
        let project = with_podman("docker");
        let said = project.run(["run", "--image", "host", "--engine", engine]);
        assert_eq!(said.status, 0, "{said:?}");
        assert!(
            said.stderr
                .contains("warning: engine podman: the program docker is podman\n"),
            "{}",
            said.stderr
        );
        let run = calls(&project)
            .into_iter()
            .find(|call| call.starts_with("run "));
        assert!(run.unwrap().contains(" --read-only-tmpfs=false "));
    }
}

#[test]
fn doctor_and_clean_look_at_the_engine_that_is_there() {
    let project = with_podman("podman").file(".fake/ps", "[]\n");
    let said = project.run(["clean", "--images"]);
    assert_eq!(
        (said.stdout.as_str(), said.stderr.as_str(), said.status),
        ("nothing to remove\n", "", 0)
    );
    let said = project.run(["doctor"]);
    assert_eq!(said.status, 0, "{}", said.stdout);
    assert!(
        said.stdout.contains("+ ok       engine: podman 4.3.1\n")
            && said.stdout.contains("+ ok       podman image isolation: "),
        "{}",
        said.stdout
    );
    // Of an engine that is not there, there is nothing.
    for (project, _) in silent_dockers(bare) {
        let said = project.run(["clean"]);
        assert_eq!(
            (said.stdout.as_str(), said.status),
            ("nothing to remove\n", 0)
        );
    }
}
