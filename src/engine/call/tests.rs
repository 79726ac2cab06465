use super::*;

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(200);

fn sh(script: &str, limit: Duration) -> Call {
    Call::new("sh", ["-c", script], limit)
}

#[test]
fn stdout_is_the_answer() {
    assert_eq!(sh("echo a; echo b >&2", LONG).run().unwrap(), b"a\n");
}

#[test]
fn stdin_is_empty_or_as_given() {
    assert_eq!(sh("cat", LONG).run().unwrap(), b"");
    let big = vec![b'x'; 1 << 20];
    assert_eq!(sh("cat", LONG).stdin(big.clone()).run().unwrap(), big);
    assert_eq!(sh("exit 0", LONG).stdin(big).run().unwrap(), b"");
}

#[test]
fn a_failure_quotes_stderr_on_one_safe_line() {
    let script =
        "printf 'docker: no \\033[31mway.\\nSee '\"'docker run --help'\"'.\\n' >&2; exit 125";
    let error = sh(script, LONG).run().unwrap_err();
    let EngineError::Failed { status, stderr, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(status, "exit status 125");
    assert_eq!(stderr, "no \\x1b[31mway.");
}

#[test]
fn a_signal_is_named() {
    let error = sh("kill -9 $$", LONG).run().unwrap_err().to_string();
    assert!(error.contains("killed by SIGKILL"), "{error}");
}

#[test]
fn what_hangs_is_ended_with_its_helpers() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("alive");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    // Two processes hold the pipe's write end; it reads as ended once both are gone.
    let script = format!("exec 9<>{}; sleep 1000 & sleep 1000", fifo.display());
    let reader = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&fifo)
        .unwrap();
    let error = sh(&script, SHORT).run().unwrap_err();
    assert!(matches!(error, EngineError::Timeout { .. }), "{error}");
    // Opening for writing alone fails with ENXIO once nobody else has it open.
    drop(reader);
    let deadline = Instant::now() + LONG;
    loop {
        use std::os::unix::fs::OpenOptionsExt;
        let open = std::fs::OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&fifo);
        if open.is_err() {
            break;
        }
        assert!(Instant::now() < deadline, "its helpers live on");
        thread::yield_now();
    }
}

#[test]
fn a_helper_that_keeps_the_output_open_does_not_delay_the_answer() {
    let answer = sh("sleep 1000 & echo $!; exit 3", LONG).answer().unwrap();
    let helper = std::str::from_utf8(&answer.stdout).unwrap().trim();
    Call::new("kill", ["-9", helper], LONG).run().unwrap();
    assert_eq!(answer.status.code(), Some(3));
}

#[test]
fn nothing_that_was_written_before_the_end_is_lost() {
    for _ in 0..50 {
        let script = "head -c 50000 /dev/zero; echo x >&2; sleep 1000 & echo $!";
        let answer = sh(script, LONG).answer().unwrap();
        assert_eq!(answer.stderr, b"x\n");
        let helper = String::from_utf8(answer.stdout[50_000..].to_vec()).unwrap();
        Call::new("kill", ["-9", helper.trim()], LONG)
            .run()
            .unwrap();
    }
}

#[test]
fn endless_output_is_refused() {
    let error = sh("yes", LONG).run().unwrap_err();
    assert!(matches!(error, EngineError::Garbage { .. }), "{error}");
}

#[test]
fn a_missing_program_is_named() {
    let error = Call::new("no-such-engine", ["version"], LONG)
        .run()
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("the program `no-such-engine` was not found"),
        "{error}"
    );
}

#[test]
fn lines_come_in_order_from_both_streams() {
    let mut lines = Vec::new();
    sh("echo a; echo b >&2; printf 'c\\r\\nd'", LONG)
        .stream(|line| lines.push(line.to_vec()))
        .unwrap();
    assert_eq!(lines, [b"a", b"b", b"c", b"d"]);
}

#[test]
fn a_failed_stream_quotes_its_last_lines() {
    let error = sh("echo a; echo b; echo c; echo; echo d; exit 1", LONG)
        .stream(|_| {})
        .unwrap_err();
    let EngineError::Failed { stderr, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(stderr, "c; d");
}

#[test]
fn command_lines_are_short_and_safe() {
    let argv: Vec<OsString> = vec!["docker".into(), "a b".into(), "\n".into()];
    assert_eq!(shorten(&argv), "docker 'a b' \\n");
    let long: Vec<OsString> = std::iter::repeat_n("word".into(), 100).collect();
    assert!(shorten(&long).ends_with(" …") && shorten(&long).len() < 130);
}
