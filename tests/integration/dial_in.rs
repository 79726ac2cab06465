//! Workers that dial in to a run: here as plain processes, so that no engine is needed.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Project, Said, finish, wait_until};

const SOON: Duration = Duration::from_secs(30);

/// A project, and a socket in a folder of its own.
struct Place {
    project: Project,
    folder: tempfile::TempDir,
}

impl Place {
    fn new(project: Project) -> Self {
        Place {
            project,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// So many tests that take so many seconds.
    fn with_tests(count: usize, seconds: &str) -> Self {
        let mut project = Project::new();
        for number in 0..count {
            project = project.test(&format!("t{number}"), &format!("sleep {seconds}"));
        }
        Place::new(project)
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    fn launcher(&self, more: &[&str]) -> Child {
        let socket = self.socket();
        let words = [
            "run",
            "--engine",
            "host",
            "--listen",
            socket.to_str().unwrap(),
        ];
        self.project.start(words.iter().chain(more))
    }

    fn worker(&self) -> Child {
        let socket = self.socket();
        self.project
            .start(["worker", "--connect", socket.to_str().unwrap()])
    }

    fn token(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("socket.token")).unwrap_or_default()
    }

    fn wait_for_attempts(&self, count: u32) {
        self.project
            .wait_for("attempts", "select count(*) from attempts", count);
    }

    /// Each test has one last word, and that is a pass.
    fn all_passed(&self, count: usize) {
        let rows = self.project.rows(
            "select test, count(*), min(outcome) from attempts where superseded = 0 group by test",
        );
        assert_eq!(rows.len(), count);
        for row in rows {
            assert_eq!(row[1..], ["1", "pass"], "test {}", row[0]);
        }
    }
}

/// A worker that is none: it knows the token, and says what it likes.
struct Impostor(UnixStream);

impl Impostor {
    fn new(place: &Place) -> Self {
        wait_until("the run", SOON, || !place.token().is_empty());
        let mut stream = UnixStream::connect(place.socket()).unwrap();
        stream.write_all(place.token().as_bytes()).unwrap();
        Impostor(stream)
    }

    fn say(&mut self, line: &str) {
        self.0.write_all(line.as_bytes()).unwrap();
        self.0.write_all(b"\n").unwrap();
    }

    /// The hello that the architecture's document shows.
    fn say_hello(&mut self) {
        self.say(sample("hello"));
    }

    /// Waits until the launcher says this, and returns that line.
    fn wait_for(&self, kind: &str) -> String {
        self.0.set_read_timeout(Some(SOON)).unwrap();
        let mut lines = BufReader::new(&self.0).lines();
        let start = format!("{{\"type\":\"{kind}\"");
        lines
            .find_map(|line| Some(line.unwrap()).filter(|line| line.starts_with(&start)))
            .unwrap()
    }
}

/// A message as the architecture's document shows it.
fn sample(kind: &str) -> &'static str {
    let start = format!("{{\"type\":\"{kind}\"");
    let mut lines = include_str!("../../doc/architecture.md").lines();
    lines.find(|line| line.starts_with(&start)).unwrap()
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id() as i32)
}

/// Tells a worker to stop, and sees that it does so in order.
fn dismiss(worker: Child) -> Said {
    kill(pid(&worker), Signal::SIGTERM).unwrap();
    let said = finish(worker);
    assert_eq!((said.status, said.stderr.as_str()), (0, ""));
    said
}

#[test]
fn two_workers_divide_a_suite_and_serve_the_next_run_too() {
    let place = Place::with_tests(12, "0.05");
    // Before there is a socket, and after.
    let early = place.worker();
    for run in 1..=2 {
        let launcher = place.launcher(&[]);
        let late = (run == 1).then(|| place.worker());
        let said = finish(launcher);
        assert_eq!(said.status, 0, "{}", said.stderr);
        assert!(
            said.stdout
                .starts_with("Running 12 tests in workers that dial in\n")
        );
        assert!(!place.socket().exists() && place.token().is_empty());
        late.map(dismiss);
    }
    dismiss(early);
    let shares = place.project.rows(
        "select run, count(distinct worker), count(*) from attempts group by run order by run",
    );
    assert_eq!(shares.len(), 2);
    for share in &shares {
        assert_eq!(share[2], "12");
    }
    assert!(shares.iter().any(|share| share[1] == "2"), "{shares:?}");
}

#[test]
fn one_that_comes_late_takes_its_share() {
    let place = Place::with_tests(30, "0.1");
    let first = place.worker();
    let launcher = place.launcher(&[]);
    place.wait_for_attempts(2);
    let second = place.worker();
    let said = finish(launcher);
    assert_eq!(said.status, 0, "{}", said.stderr);
    place.all_passed(30);
    let seconds = place
        .project
        .query("select count(*) from attempts where worker = 2");
    assert!(seconds.parse::<u32>().unwrap() >= 5, "{seconds}");
    dismiss(first);
    dismiss(second);
}

/// Compose tells everybody to stop as soon as one replica ends.
#[test]
fn a_killed_worker_and_what_compose_makes_of_it_cost_no_test() {
    let place = Place::with_tests(40, "0.1");
    let mut workers = [(); 3].map(|()| place.worker());
    let launcher = place.launcher(&[]);
    place
        .project
        .wait_for("workers", "select count(*) from workers", 3);
    place.wait_for_attempts(6);
    workers[1].kill().unwrap();
    workers[1].wait().unwrap();
    place.project.wait_for(
        "its end",
        "select count(*) from workers where problem is not null",
        1,
    );
    kill(pid(&launcher), Signal::SIGTERM).unwrap();
    let said = finish(launcher);
    assert_eq!(said.status, 0, "{}\n{}", said.stdout, said.stderr);
    assert!(
        said.stderr.contains("was lost: its connection ended"),
        "{}",
        said.stderr
    );
    assert!(
        said.stderr.contains("the run goes on with the others"),
        "{}",
        said.stderr
    );
    place.all_passed(40);
    let [first, _, third] = workers;
    dismiss(first);
    dismiss(third);
}

#[test]
fn a_stop_is_a_stop_where_nobody_was_lost() {
    let place = Place::with_tests(20, "0.2");
    let worker = place.worker();
    let launcher = place.launcher(&[]);
    place.wait_for_attempts(1);
    kill(pid(&launcher), Signal::SIGTERM).unwrap();
    let said = finish(launcher);
    assert_eq!(said.status, 143, "{}", said.stderr);
    dismiss(worker);
}

#[test]
fn a_worker_that_is_told_to_stop_gives_its_test_back() {
    let place = Place::with_tests(10, "0.3");
    let [first, second] = [(); 2].map(|()| place.worker());
    let launcher = place.launcher(&[]);
    place
        .project
        .wait_for("workers", "select count(*) from workers", 2);
    place.wait_for_attempts(2);
    dismiss(first);
    let said = finish(launcher);
    assert_eq!(said.status, 0, "{}", said.stderr);
    place.all_passed(10);
    dismiss(second);
}

#[test]
fn a_worker_that_stands_still_is_given_up_and_its_test_runs_elsewhere() {
    let place = Place::with_tests(6, "0.2");
    let [first, second] = [(); 2].map(|()| place.worker());
    let launcher = place.launcher(&["--timeout", "1s"]);
    place
        .project
        .wait_for("workers", "select count(*) from workers", 2);
    kill(pid(&first), Signal::SIGSTOP).unwrap();
    let said = finish(launcher);
    assert_eq!(said.status, 0, "{}", said.stderr);
    place.all_passed(6);
    kill(pid(&first), Signal::SIGCONT).unwrap();
    dismiss(second);
    // In the middle of a test its run went: another has to take its place. With nothing in hand it
    // dials again.
    wait_until("its end, or its wait", SOON, || {
        kill(pid(&first), Signal::SIGTERM).is_err() || {
            std::thread::sleep(Duration::from_millis(50));
            true
        }
    });
    let said = finish(first);
    assert!(said.status <= 3, "{}", said.stderr);
}

/// A test is the supervisor's own user. It reaches the socket, and cannot read the token.
#[test]
fn a_test_cannot_dial_in() {
    let project = Project::new()
        .test("reads", "cat \"$FOLDER/socket.token\" && exit 1; exit 0")
        .test("copies", "cp \"$FOLDER/socket.token\" \"$TMPDIR/t\" && exit 1; exit 0")
        .test("links", "ln \"$FOLDER/socket.token\" \"$TMPDIR/t\" && cat \"$TMPDIR/t\" && exit 1; exit 0")
        .test("works", "echo x > \"$TMPDIR/a\" && mkdir \"$TMPDIR/b\" && mv \"$TMPDIR/a\" \"$TMPDIR/b/\" && cat \"$TMPDIR/b/a\" && ls / > /dev/null");
    let place = Place::new(project);
    let folder = format!("FOLDER={}", place.folder.path().display());
    let worker = place.worker();
    let launcher = place.launcher(&["--env", &folder]);
    let said = finish(launcher);
    let attested = place
        .project
        .query("select attestation ->> 'token_closed' from workers");
    dismiss(worker);
    if attested == "0" {
        eprintln!("skipped: this kernel has no Landlock");
        assert!(std::env::var_os("CI").is_none(), "not in CI");
        return;
    }
    assert_eq!(said.status, 0, "{}", said.stdout);
    place.all_passed(4);
}

#[test]
fn a_stranger_is_turned_away() {
    let place = Place::with_tests(1, "0");
    let launcher = place.launcher(&[]);
    wait_until("the socket", SOON, || place.socket().exists());
    for words in ["", "\n", "0123\n", "{\"type\":\"hello\"}\n"] {
        let mut stranger = UnixStream::connect(place.socket()).unwrap();
        stranger.set_read_timeout(Some(SOON)).unwrap();
        let _ = stranger.write_all(words.as_bytes());
        if words.ends_with('\n') {
            assert_eq!(stranger.read(&mut [0; 8]).unwrap_or(0), 0, "{words}");
        }
    }
    let worker = place.worker();
    let said = finish(launcher);
    assert_eq!(said.status, 0, "{}", said.stderr);
    assert_eq!(place.project.query("select count(*) from workers"), "1");
    dismiss(worker);
}

/// A run that ends hangs up on whoever has just dialled in, at whatever word.
#[test]
fn a_worker_that_is_hung_up_on_dials_again() {
    let place = Place::with_tests(1, "0");
    let listener = UnixListener::bind(place.socket()).unwrap();
    let token = "0123456789abcdef\n";
    std::fs::write(place.folder.path().join("socket.token"), token).unwrap();
    let worker = place.worker();
    listener.set_nonblocking(true).unwrap();
    for _ in 0..10 {
        let mut dialled = None;
        wait_until("somebody who dials in", SOON, || {
            dialled = listener.accept().ok();
            dialled.is_some()
        });
        let (mut stream, _) = dialled.unwrap();
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.read_exact(&mut vec![0; token.len()]).unwrap();
    }
    drop(listener);
    let said = finish(place.launcher(&[]));
    assert_eq!(said.status, 0, "{}", said.stderr);
    dismiss(worker);
}

#[test]
fn more_than_can_be_heard_at_the_end_of_a_run_do_not_hold_it_up() {
    let place = Place::with_tests(1, "1");
    let worker = place.worker();
    let launcher = place.launcher(&[]);
    place
        .project
        .wait_for("the worker", "select count(*) from workers", 1);
    // None of them says hello.
    let others: Vec<Impostor> = (0..200).map(|_| Impostor::new(&place)).collect();
    let mut babbler = Impostor::new(&place);
    let babble = std::thread::spawn(move || {
        while babbler
            .0
            .write_all(b"{\"type\":\"held\",\"seq\":1}\n")
            .is_ok()
        {}
    });
    let said = finish(launcher);
    assert_eq!(said.status, 0, "{}", said.stderr);
    place.all_passed(1);
    babble.join().unwrap();
    drop(others);
    dismiss(worker);
}

#[test]
fn a_second_hello_is_not_the_protocol() {
    let place = Place::with_tests(3, "0.1");
    let launcher = place.launcher(&[]);
    let mut impostor = Impostor::new(&place);
    impostor.say_hello();
    impostor.wait_for("run");
    impostor.say_hello();
    let worker = place.worker();
    let said = finish(launcher);
    assert_eq!(said.status, 0, "{}", said.stderr);
    let expected = "warning: worker 1 was lost: it said hello twice\n";
    assert!(said.stderr.contains(expected), "{}", said.stderr);
    place.all_passed(3);
    dismiss(worker);
}

#[test]
fn one_that_was_told_to_stop_and_says_no_goodbye_does_not_hold_the_run_up() {
    let place = Place::with_tests(1, "0");
    let launcher = place.launcher(&[]);
    let mut impostor = Impostor::new(&place);
    impostor.say_hello();
    impostor.wait_for("run");
    impostor.say(&sample("report").replace("\"stopped\":null", "\"stopped\":\"interrupt\""));
    let worker = place.worker();
    let said = finish(launcher);
    assert_eq!(said.status, 0, "{}", said.stderr);
    place.all_passed(1);
    dismiss(worker);
}

#[test]
fn a_run_that_nobody_comes_to_ends_and_says_so() {
    let place = Place::with_tests(2, "0");
    let said = finish(place.launcher(&[]));
    assert_eq!(said.status, 3);
    let expected = "error: no worker that may run them has dialled in for 60 s: 2 tests are left\n\
                    hint: docker compose … up --scale test-parallel=N starts such workers\n";
    assert!(said.stderr.ends_with(expected), "{}", said.stderr);
    let outcomes = place.project.rows("select outcome, reason from attempts");
    assert_eq!(
        outcomes,
        [["not-run", "no-worker"], ["not-run", "no-worker"]]
    );
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_started() {
    let place = Place::with_tests(1, "0");
    let socket = place.socket();
    let refuse = |more: &[&str], message: &str| {
        let words = ["run", "--listen", socket.to_str().unwrap()];
        let said = place.project.run(words.iter().chain(more));
        assert_eq!(said.status, 2, "{}", said.stderr);
        assert_eq!(said.stderr, message);
        assert!(!socket.exists() && !place.project.path().join("test-results").exists());
    };
    refuse(
        &["--engine", "docker"],
        "error: --listen starts no worker, so there is nothing for --engine to start\n\
         hint: leave one of both out\n",
    );
    refuse(
        &["--level", "paranoid"],
        "error: a container for every test cannot be had of workers that dial in\n\
         hint: use --level strict, or `docker-test run`\n",
    );
    let other = place.folder.path().join("file");
    std::fs::write(&other, "mine").unwrap();
    let said = place.project.run([
        "run",
        "--engine",
        "host",
        "--listen",
        other.to_str().unwrap(),
    ]);
    let name = other.display();
    let expected = format!(
        "error: workers cannot dial in at {name}: something else is there\n\
         hint: name a file that is not there yet\n"
    );
    assert_eq!((said.status, said.stderr.as_str()), (2, expected.as_str()));
    assert_eq!(std::fs::read_to_string(&other).unwrap(), "mine");
    assert!(!place.project.path().join("test-results").exists());
}
