//! `docker-test compose`: replicas that compose starts and that dial in to the launcher.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::engine_proof::{others, proof};
use crate::engines::{Engine, on, skip};
use crate::harness::{Project, finish, repository, wait_until};
use crate::host_run::{NEVER, calls};
use crate::machine::{process, sleep_of, wait_for};

on!([docker]
    the_isolation_proof_passes_in_replicas
    tests_of_several_sizes_run_in_replicas_of_their_own
    an_interrupt_ends_all_replicas
    replicas_of_a_killed_launcher_end_and_the_next_run_removes_them
);

/// Prints the memory limit of its container.
const LIMIT: &str =
    "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max";

/// Whether there is a compose for this docker; on CI there has to be one.
fn has_compose() -> bool {
    let answers = |program: &str, words: &[&str]| {
        let output = std::process::Command::new(program).args(words).output();
        output.is_ok_and(|output| output.status.success())
    };
    let has = answers("docker", &["compose", "version"]) || answers("docker-compose", &["version"]);
    if !has {
        assert!(
            std::env::var_os("CI").is_none(),
            "no compose, and CI is set"
        );
        skip("docker has no compose here");
    }
    has
}

/// With a socket to the run inside, and its token.
fn the_isolation_proof_passes_in_replicas(on: &Engine) {
    if !has_compose() {
        return;
    }
    let project = proof(on.project());
    let said = project.run(on.words("compose", ["--scale", "1"]));
    assert_eq!(others(&project), [], "{}", said.stdout);
    assert_eq!(said.status, 0, "{}", said.stderr);
    let token = "select count(*) from workers, json_each(limits)
                 where value ->> 'limit' = 'token' and value ->> 'state' = 'enforced'";
    let workers = project.query("select count(*) from workers");
    assert_eq!(project.query(token), workers);
    assert_eq!(on.left_by(&project), Vec::<String>::new());
}

fn tests_of_several_sizes_run_in_replicas_of_their_own(on: &Engine) {
    if !has_compose() {
        return;
    }
    let mut project = on
        .project()
        .config("profiles: { standard: { cpus: 1 } }\nrules: [{ path: 'test/s*', profile: fast }]");
    for number in 0..8 {
        project = project
            .test(&format!("small{number}"), &format!("{LIMIT}; sleep 0.1"))
            .test(&format!("large{number}"), &format!("{LIMIT}; sleep 0.1"));
    }
    let said = project.run(on.words("compose", ["--scale", "3"]));
    assert_eq!(said.status, 0, "{}\n{}", said.stdout, said.stderr);
    assert_eq!(
        said.stderr,
        "note: starting 3 replicas with docker compose\n"
    );
    let ran = project.rows(
        "select profile, trim(cast(head as text), char(10)), count(*) from attempts
         join outputs using (run, test, attempt) group by 1, 2",
    );
    let expected = [["fast", "134217728", "8"], ["standard", "536870912", "8"]];
    assert_eq!(ran, expected);
    let workers = project.query("select count(distinct worker) from attempts");
    assert_eq!(workers, "3");
    let unenforced = project.query(
        "select count(*) from workers, json_each(limits) where value ->> 'state' <> 'enforced'",
    );
    assert_eq!(unenforced, "0");
    assert_eq!(on.left_by(&project), Vec::<String>::new());
}

fn an_interrupt_ends_all_replicas(on: &Engine) {
    if !has_compose() {
        return;
    }
    let sleep = sleep_of(60);
    let project = on.project().test("a", &sleep).test("b", "exit 0");
    let launcher = project.start(on.words("compose", ["--scale", "2"]));
    wait_for(&sleep);
    kill(Pid::from_raw(launcher.id() as i32), Signal::SIGINT).unwrap();
    let said = finish(launcher);
    assert_eq!(said.status, 130, "{}", said.stderr);
    assert!(process(&sleep).is_none());
    assert_eq!(on.left_by(&project), Vec::<String>::new());
}

fn replicas_of_a_killed_launcher_end_and_the_next_run_removes_them(on: &Engine) {
    if !has_compose() {
        return;
    }
    let sleep = sleep_of(60);
    let project = on
        .project()
        .test("a", &format!("[ -e again ] || exec {sleep}"))
        .test("b", "exit 0");
    let mut launcher = project.start(on.words("compose", ["--scale", "2"]));
    wait_for(&sleep);
    launcher.kill().unwrap();
    launcher.wait().unwrap();
    let filter = format!("label=dev.docker-test.pid={}", launcher.id());
    wait_until("the end of its replicas", crate::harness::PATIENCE, || {
        on.call(["ps", "-q", "--filter", &filter]).is_empty() && process(&sleep).is_none()
    });
    std::fs::write(project.path().join("again"), "").unwrap();
    let said = project.run(on.words("compose", ["--scale", "1"]));
    assert_eq!(said.status, 0, "{}", said.stderr);
    assert_eq!(on.left_by(&project), Vec::<String>::new());
}

#[test]
fn what_is_no_business_of_compose_is_refused() {
    let project = Project::new().fake_docker(NEVER).test("a", "exit 0");
    let refuse = |words: &[&str], message: &str| {
        let said = project.run(["compose"].iter().chain(words));
        assert_eq!(
            (said.status, said.stderr.as_str()),
            (2, message),
            "{words:?}"
        );
        assert_eq!(calls(&project), [""; 0]);
    };
    for (option, words) in [
        ("--workers", &["--workers", "2"][..]),
        ("--dry-run", &["--dry-run"]),
        ("--fresh", &["--fresh", "test"]),
        ("--listen", &["--listen", "socket"]),
    ] {
        refuse(
            words,
            &format!(
                "error: the argument '{option}' cannot be used with `docker-test compose`\n\
                 hint: --scale N says how many replicas there are; `docker-test run` has the rest\n"
            ),
        );
    }
    refuse(
        &["--engine", "sandbox"],
        "error: compose starts containers of docker, so --engine can name no other\n\
         hint: docker-test run --workers N does the same with every engine\n",
    );
    refuse(
        &["--scale", "0"],
        "error: invalid value '0' for '--scale <N>': 0 is not in 1..=1024\n\
         hint: docker-test --help, and docker-test COMMAND --help, show what can be written\n",
    );
}

#[test]
fn the_file_that_is_printed_is_the_repositorys() {
    let project = Project::new().fake_docker(NEVER);
    let said = project.run(["compose", "--print"]);
    assert_eq!((said.status, said.stderr.as_str()), (0, ""));
    let file = repository().join("docker-compose.test.yml");
    assert!(said.stdout == std::fs::read_to_string(file).unwrap());
}
