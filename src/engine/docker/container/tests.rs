use std::io::Read;

use super::*;
use crate::engine::docker::fake::{Fake, spec};
use crate::engine::{Engine, FoundImage};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(300);

/// Starts a container of a docker that does as `script` says, and waits for its end.
fn ending(docker: &Docker, patience: Duration) -> Ending {
    let mut container = docker.create(&spec("dt-1", &["worker"])).unwrap();
    let mut pipes = container.start().unwrap();
    if patience == LONG {
        let mut output = Vec::new();
        pipes.stdout.read_to_end(&mut output).unwrap();
    }
    container.wait(patience)
}

/// A docker whose `run` waits for a line in the pipe `end`.
fn blocking(script: &str) -> Fake {
    let fake = Fake::new(&format!(
        "end() {{ echo >\"$here/end\"; echo dt-1; }}
         case $1 in
         run) echo up; read -r line <\"$here/end\"; exit 137 ;;
         {script}
         esac"
    ));
    nix::unistd::mkfifo(&fake.file("end"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    fake
}

#[test]
fn a_good_end_takes_one_call() {
    let fake = Fake::new("echo up");
    assert!(matches!(ending(&fake.docker(), LONG), Ending::Exited(0)));
    let calls = fake.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0][0], "run");
    assert_eq!(calls[0].last().unwrap(), "image:1");
}

#[test]
fn the_line_that_is_shown_is_the_line_that_is_run() {
    let fake = Fake::new("true");
    let docker = fake.docker();
    let shown = docker
        .command_line(&spec("dt-1", &["worker"]))
        .unwrap()
        .unwrap();
    ending(&docker, LONG);
    assert_eq!(shown[0], fake.file("docker"));
    let mut run: Vec<OsString> = fake.calls()[0].iter().map(Into::into).collect();
    // But for the file with its id, which is gone when anybody could type it.
    run.retain(|argument| !argument.as_encoded_bytes().starts_with(b"--cidfile="));
    assert_eq!(shown[1..], run);
}

#[test]
fn stdio_goes_through() {
    use std::io::Write;
    let fake = Fake::new("cat");
    let mut container = fake.docker().create(&spec("dt-1", &["worker"])).unwrap();
    let mut pipes = container.start().unwrap();
    pipes.stdin.write_all(b"a\n").unwrap();
    drop(pipes.stdin);
    let mut output = Vec::new();
    pipes.stdout.read_to_end(&mut output).unwrap();
    assert_eq!(output, b"a\n");
    assert!(matches!(container.wait(LONG), Ending::Exited(0)));
    assert!(container.start().is_err());
}

#[test]
fn a_missing_image_never_started_and_says_the_way_out() {
    let fake = Fake::new(
        "case $1 in run) echo 'docker: Error response from daemon: No such image: image:1
See '\"'docker run --help'.\" >&2; exit 125;; esac",
    );
    match ending(&fake.docker(), LONG) {
        Ending::NeverStarted(EngineError::Unavailable { message, hint }) => {
            assert_eq!(
                message,
                "docker: Error response from daemon: No such image: image:1"
            );
            assert!(hint.contains("docker-test build"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_engine_that_is_not_there_is_asked_once() {
    let fake = Fake::new(
        "echo 'docker: Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?' >&2; exit 125",
    );
    let ending = ending(&fake.docker(), LONG);
    assert!(
        matches!(
            ending,
            Ending::NeverStarted(EngineError::Unavailable { .. })
        ),
        "{ending:?}"
    );
    assert_eq!(fake.calls().len(), 1);
}

#[test]
fn an_engine_that_goes_away_is_told_from_a_worker_that_does() {
    let lost = "run) echo up; echo 'unexpected EOF' >&2; exit 125 ;;";
    for (script, gone) in [
        (
            "events) echo 'Cannot connect to the Docker daemon at unix:///x.' >&2; exit 1 ;;",
            "Unavailable",
        ),
        ("events) ;;", "unexpected EOF"),
        ("events) echo '{' ;;", "Garbage"),
        (
            "events) echo 'Error: no events today' >&2; exit 1 ;;",
            "Failed",
        ),
    ] {
        let fake = Fake::new(&format!("case $1 in {lost} {script} esac"));
        let ending = format!("{:?}", ending(&fake.docker(), LONG));
        assert!(
            ending.starts_with("EngineGone") && ending.contains(gone),
            "{ending}"
        );
    }
    let died = r#"{"Type":"container","Action":"die","Actor":{"Attributes":{"exitCode":"3","name":"dt-1"}}}"#;
    let fake = Fake::new(&format!(
        "case $1 in run) exit 3 ;; *) echo '{died}' ;; esac"
    ));
    let ending = ending(&fake.docker(), LONG);
    assert!(matches!(ending, Ending::Exited(3)), "{ending:?}");
}

#[test]
fn its_last_words_are_kept() {
    let died = r#"{"Type":"container","Action":"die","Actor":{"Attributes":{"exitCode":"3","name":"dt-1"}}}"#;
    let fake = Fake::new(&format!(
        "case $1 in run) printf 'error: \\033 no room\\n' >&2; exit 3 ;; *) echo '{died}' ;; esac"
    ));
    let spec = spec("dt-1", &["worker"]);
    let mut container = fake.docker().create(&spec).unwrap();
    assert_eq!(container.last_words(), "");
    let _pipes = container.start().unwrap();
    assert!(matches!(container.wait(LONG), Ending::Exited(3)));
    assert_eq!(container.last_words(), r"error: \x1b no room");
}

#[test]
fn a_record_that_never_comes_is_not_waited_for() {
    let fake = Fake::new("case $1 in run) exit 3 ;; *) sleep 1000 ;; esac");
    let ending = ending(&fake.docker_within(SHORT), LONG);
    assert!(
        matches!(ending, Ending::EngineGone(EngineError::Timeout { .. })),
        "{ending:?}"
    );
}

#[test]
fn a_command_line_that_somebody_kills_is_a_lost_engine() {
    let fake = Fake::new("kill -9 $$");
    match ending(&fake.docker(), LONG) {
        Ending::EngineGone(EngineError::Failed { status, .. }) => {
            assert_eq!(status, "killed by SIGKILL");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn our_kill_removes_the_container() {
    let fake = blocking("rm) end ;;");
    let docker = fake.docker();
    let mut container = docker.create(&spec("dt-1", &["worker"])).unwrap();
    let _pipes = container.start().unwrap();
    container.kill().unwrap();
    assert!(matches!(container.wait(LONG), Ending::Exited(137)));
    // Both run at once: their order is not ours.
    assert!(
        fake.calls()
            .contains(&["rm", "--force", "--", "dt-1"].map(String::from).to_vec())
    );
}

#[test]
fn impatience_kills() {
    let fake = blocking("rm) end ;;");
    assert!(matches!(
        ending(&fake.docker(), Duration::ZERO),
        Ending::Exited(137)
    ));
}

#[test]
fn a_container_that_is_still_being_made_is_killed_once_it_is_there() {
    let fake = blocking(
        "rm) if [ -e \"$here/asked\" ]; then end; else
               : >\"$here/asked\"; echo 'Error: No such container: dt-1' >&2; exit 1
             fi ;;",
    );
    assert!(matches!(
        ending(&fake.docker(), Duration::ZERO),
        Ending::Exited(137)
    ));
    let removals = fake.calls().iter().filter(|call| call[0] == "rm").count();
    assert_eq!(removals, 2);
}

#[test]
fn an_engine_that_hangs_at_a_kill_is_given_up() {
    let fake = blocking("rm) sleep 1000 ;;");
    let docker = fake.docker_within(SHORT);
    let mut container = docker.create(&spec("dt-1", &["worker"])).unwrap();
    let mut pipes = container.start().unwrap();
    let ending = container.wait(Duration::ZERO);
    assert!(
        matches!(ending, Ending::EngineGone(EngineError::Timeout { .. })),
        "{ending:?}"
    );
    // The command line is gone, with all that held its output.
    let mut output = Vec::new();
    pipes.stdout.read_to_end(&mut output).unwrap();
}

#[test]
fn a_container_that_is_refused_to_be_killed_is_given_up() {
    let fake = blocking("rm) echo 'Error: not today' >&2; exit 1 ;;");
    let ending = ending(&fake.docker(), Duration::ZERO);
    assert!(
        matches!(ending, Ending::EngineGone(EngineError::Failed { .. })),
        "{ending:?}"
    );
}

#[test]
fn without_a_program_nothing_starts() {
    let folder = tempfile::tempdir().unwrap();
    let docker = Docker::new("/nonexistent/docker").with_cache_folder(folder.path());
    let mut container = docker.create(&spec("dt-1", &["worker"])).unwrap();
    assert!(matches!(
        container.start(),
        Err(EngineError::Unavailable { .. })
    ));
    assert!(matches!(container.wait(LONG), Ending::NeverStarted(_)));
}

#[test]
fn whatever_a_call_answers_there_is_an_error_and_no_panic() {
    type Method = fn(&Docker) -> Result<(), EngineError>;
    let methods: [(&str, Method); 7] = [
        ("health", |docker| docker.health().map(|_| ())),
        ("version", |docker| docker.version().map(|_| ())),
        ("image", |docker| docker.image("a").map(|_| ())),
        ("images", |docker| docker.images().map(|_| ())),
        ("inspect", |docker| docker.inspect().map(|_| ())),
        ("remove", |docker| docker.remove("a")),
        ("remove_image", |docker| {
            docker.remove_image(&FoundImage {
                id: "sha256:0".into(),
                reference: None,
            })
        }),
    ];
    for (name, method) in methods {
        let removes = name.starts_with("remove");
        for (script, limit) in [
            ("echo 'Error: no' >&2; exit 1", LONG),
            ("kill -9 $$", LONG),
            ("sleep 1000", SHORT),
            ("yes", LONG),
            ("exec >&-; sleep 1000", SHORT),
            ("printf 'warning: \\033[31m\\n{\"\\n'", LONG),
            ("printf '\\377\\376\\000'", LONG),
        ] {
            let result = method(&Fake::new(script).docker_within(limit));
            // What a removal prints does not matter.
            let good = removes && (script.starts_with("printf"));
            assert_eq!(result.is_ok(), good, "{name}: {script}: {result:?}");
            if let Err(error) = result {
                assert!(!error.to_string().contains(['\x1b', '\0']), "{error}");
            }
        }
    }
}
