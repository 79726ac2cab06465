//! Replicas in real containers, hardened as the engine's own workers are, that dial in to a run: by a
//! seed they are killed, paused, told to stop or started late.

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use crate::engines::{Engine, on};
use crate::harness::{Project, Said, finish, wait_until};
use crate::machine::SOON;
use crate::seeded::{Dice, Named, Suite, seeds};

on! {
    [docker]
    a_replica_is_not_blamed_for_its_connection
    whatever_happens_to_a_replica_every_test_has_its_last_word
    a_replica_that_stays_paused_is_given_up
}

/// The containers that a test has started for a project, and the folder of the socket.
struct Replicas<'a> {
    on: &'a Engine,
    folder: tempfile::TempDir,
    words: Vec<String>,
    names: RefCell<Vec<String>>,
}

impl<'a> Replicas<'a> {
    fn new(on: &'a Engine, project: &Project) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        // Of the smallest limits, so that it may run every test.
        let said = project.run(on.run(["--dry-run", "--profile", "small"]));
        let line = said
            .stdout
            .lines()
            .find(|line| line.starts_with("docker run "));
        let own = |word: &&str| {
            // A container that says which launcher it belongs to is removed with that.
            ["--interactive", "--sig-proxy", "--name", "--label"]
                .iter()
                .any(|option| word.split('=').next() == Some(option))
        };
        let words = line.unwrap_or_else(|| panic!("{said:?}")).split(' ');
        Replicas {
            on,
            words: words
                .skip(2)
                .filter(|word| !own(word))
                .map(str::to_owned)
                .collect(),
            folder,
            names: RefCell::default(),
        }
    }

    fn socket(&self) -> String {
        let path = self.folder.path().join("socket");
        path.to_str().unwrap().to_owned()
    }

    /// Starts so many, at the same time.
    fn start(&self, count: u64) {
        let mut started = Vec::new();
        for _ in 0..count {
            let number = self.names.borrow().len();
            let folder = self.folder.path().file_name().unwrap().to_str().unwrap();
            let name = format!("docker-test-replica-{}", folder.trim_start_matches('.'));
            let name = format!("{name}-{number}");
            let mount = format!(
                "--mount=type=bind,source={},target=/dial,readonly",
                self.folder.path().display()
            );
            let mut command = self.on.program();
            command.args(["run", "--detach", "--name", &name, &mount]);
            for word in &self.words {
                command.arg(word);
                if word == "worker" {
                    command.args(["--connect", "/dial/socket", "--image", "host"]);
                }
            }
            command.stdout(Stdio::null());
            started.push(command.spawn().unwrap());
            self.names.borrow_mut().push(name);
        }
        for mut command in started {
            assert!(command.wait().unwrap().success());
        }
    }

    fn name(&self, number: u64) -> String {
        self.names.borrow()[number as usize].clone()
    }

    /// A run of all tests that starts no worker.
    fn run<'w>(&self, more: impl IntoIterator<Item = &'w str>) -> Vec<String> {
        let socket = self.socket();
        let words = ["run", "--image", "host", "--listen", &socket];
        let all = words.into_iter().map(str::to_owned);
        all.chain(more.into_iter().map(str::to_owned)).collect()
    }

    /// Those that are still there.
    fn left(&self) -> Vec<String> {
        let names = self.on.call(["ps", "-a", "--format", "{{.Names}}"]);
        let is_own = |name: &&str| self.names.borrow().iter().any(|own| own == name);
        names.lines().filter(is_own).map(str::to_owned).collect()
    }

    /// Tells all to stop, and sees that nothing stays.
    fn dismiss(self) {
        // One can end by itself just now.
        let mut stop = self.on.program();
        stop.args(["kill", "--signal", "TERM"]).args(self.left());
        stop.output().unwrap();
        wait_until("the end of every replica", SOON, || self.left().is_empty());
        assert_eq!(fs::read_dir(self.folder.path()).unwrap().count(), 0);
    }
}

impl Drop for Replicas<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self
                .on
                .program()
                .args(["rm", "-f"])
                .args(self.names.borrow().iter())
                .output();
        }
    }
}

/// What happens to one of the replicas, once.
#[derive(Clone, Copy, Debug)]
enum Event {
    Death,
    /// Another one takes its place, as compose starts it.
    Replacement,
    Stop,
    /// For so many milliseconds.
    Pause(u64),
    Late,
}

impl Event {
    fn new(seed: u64, dice: &mut Dice) -> Self {
        // Each of them, whatever the dice say.
        match seed % 5 {
            0 => Event::Death,
            1 => Event::Replacement,
            2 => Event::Stop,
            3 => Event::Pause(50 + dice.roll(500)),
            _ => Event::Late,
        }
    }

    fn strike(self, replicas: &Replicas<'_>, victim: &str) {
        let call = |word| replicas.on.call([word, victim]);
        match self {
            Event::Death => drop(call("kill")),
            Event::Replacement => {
                call("kill");
                replicas.start(1);
            }
            Event::Stop => drop(call("stop")),
            Event::Pause(milliseconds) => {
                call("pause");
                sleep(Duration::from_millis(milliseconds));
                call("unpause");
            }
            Event::Late => replicas.start(1),
        }
    }
}

fn schedule(on: &Engine, seed: u64) {
    let _named = Named(seed);
    let mut dice = Dice::new(seed);
    let (suite, project) = Suite::new(&mut dice, on.project());
    let event = Event::new(seed, &mut dice);
    let replicas = Replicas::new(on, &project);
    replicas.start(suite.workers);
    let shuffle = format!("--shuffle={seed}");
    let more = suite.words();
    let more = more.iter().map(String::as_str).chain([shuffle.as_str()]);
    let launcher = project.start(replicas.run(more));
    project.wait_for("a worker", "select count(*) from workers", 1);
    sleep(Duration::from_millis(dice.roll(400)));
    event.strike(&replicas, &replicas.name(dice.roll(suite.workers)));
    let said = finish(launcher);
    let lost = suite.check(&project, &said, None, 1);
    let losable = !matches!(event, Event::Pause(_) | Event::Late);
    assert!(losable || lost == 0, "{event:?}: {}", said.stderr);
    println!("seed {seed}, {event:?}: {lost} lost");
    replicas.dismiss();
}

fn whatever_happens_to_a_replica_every_test_has_its_last_word(on: &Engine) {
    for seed in seeds(10) {
        schedule(on, seed);
    }
}

/// So many tests of one script.
fn tests(on: &Engine, count: usize, script: &str) -> Project {
    let project = on
        .project()
        .config("profiles: { small: { cpus: 1 } }\ndefault-profile: small");
    (0..count).fold(project, |project, number| {
        project.test(&format!("t{number}"), script)
    })
}

fn passes(project: &Project, said: &Said, count: usize) {
    assert_eq!(said.status, 0, "{}{}", said.stdout, said.stderr);
    let verdicts = project.verdicts();
    assert_eq!(verdicts.len(), count);
    assert!(verdicts.iter().all(|(_, verdict)| verdict == "pass"));
}

/// Its connection is two sockets in its own network namespace, and no test left them there: not in
/// the first run, and not in the next.
fn a_replica_is_not_blamed_for_its_connection(on: &Engine) {
    let project = tests(on, 4, "exit 0");
    let replicas = Replicas::new(on, &project);
    replicas.start(1);
    for _ in 0..2 {
        let said = project.run(replicas.run([]));
        passes(&project, &said, 4);
        assert_eq!(said.stderr, "");
        assert!(!said.stdout.contains("left behind"), "{}", said.stdout);
    }
    // What a test does leave is found all the same.
    let project = project.test(
        "t4",
        "sleep 60 & until read -r name </proc/$!/comm && [ \"$name\" = sleep ]; do :; done; exit 0",
    );
    let said = project.run(replicas.run([]));
    passes(&project, &said, 5);
    assert!(
        said.stdout.contains("left behind: process sleep"),
        "{}",
        said.stdout
    );
    replicas.dismiss();
}

fn a_replica_that_stays_paused_is_given_up(on: &Engine) {
    let project = tests(on, 6, "sleep 0.3");
    let replicas = Replicas::new(on, &project);
    replicas.start(2);
    let launcher = project.start(replicas.run(["--timeout", "5s"]));
    project.wait_for("both workers", "select count(*) from workers", 2);
    on.call(["pause", &replicas.name(0)]);
    let said = finish(launcher);
    passes(&project, &said, 6);
    assert!(said.stderr.contains("does not answer"), "{}", said.stderr);
    let lost = project.rows("select outcome, reason from attempts where superseded");
    assert_eq!(lost, [["lost", "worker"]], "{}", said.stderr);
    on.call(["unpause", &replicas.name(0)]);
    replicas.dismiss();
}
