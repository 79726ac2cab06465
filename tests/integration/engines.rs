//! The engines that a test of containers runs on, what each promises, and what it may leave behind.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use nix::unistd::geteuid;

use crate::harness::{PROGRAM, Project, Said, repository};
use crate::machine::{cgroups_of, command_line, inside, monitors_of, processes};

/// An ordinary user and group for tests that run as root. No account needs to exist.
const ORDINARY: u32 = 61234;

/// What starts the containers of a test, and who types the command.
#[derive(Debug)]
pub struct Engine {
    /// Its word on the command line.
    pub word: &'static str,
    /// Whom the program runs as, where that is not who runs the tests.
    pub user: Option<u32>,
}

/// Docker.
pub const fn docker() -> Engine {
    Engine {
        word: "docker",
        user: None,
    }
}

/// Podman.
pub const fn podman() -> Engine {
    Engine {
        word: "podman",
        user: None,
    }
}

/// The embedded engine, as root.
pub const fn sandbox() -> Engine {
    Engine {
        word: "sandbox",
        user: None,
    }
}

/// The embedded engine as an ordinary user: root chooses one, anybody else is one.
pub fn sandbox_user() -> Engine {
    Engine {
        word: "sandbox",
        user: geteuid().is_root().then_some(ORDINARY),
    }
}

/// Registers each test for the engines that are named, as `test::docker` and so on.
macro_rules! on {
    ($engines:tt $($test:ident)+) => {
        $($crate::engines::on!(@one $test $engines);)+
    };
    (@one $test:ident [$($engine:ident)+]) => {
        mod $test {
            $(
                #[test]
                fn $engine() {
                    $crate::engines::$engine().try_on(stringify!($engine), super::$test);
                }
            )+
        }
    };
}

/// Registers each test for every engine.
macro_rules! on_every_engine {
    ($($test:ident)+) => {
        $crate::engines::on!([docker podman sandbox sandbox_user] $($test)+);
    };
}

pub(crate) use {on, on_every_engine};

/// Says that the test which calls this is skipped, and why.
pub fn skip(why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or_default();
    // Not `eprintln!`, of which nothing is seen where a test passes.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
}

/// Why an engine cannot be tested here.
enum Missing {
    /// The machine lacks it. In CI, where `CI` is set, that is a failure.
    Engine(String),
    /// It is not everybody's, so CI can do without.
    Extra(String),
}

impl Engine {
    /// Runs a test, or skips it loudly.
    pub fn try_on(&self, name: &str, test: fn(&Engine)) {
        let why = match self.missing(name) {
            None => return test(self),
            Some(Missing::Engine(why)) => {
                assert!(std::env::var_os("CI").is_none(), "{why}, and CI is set");
                why
            }
            Some(Missing::Extra(why)) => why,
        };
        skip(&why);
    }

    fn missing(&self, name: &str) -> Option<Missing> {
        static DOCKER: OnceLock<Option<String>> = OnceLock::new();
        static SANDBOX: OnceLock<Option<String>> = OnceLock::new();
        static USER: OnceLock<Option<String>> = OnceLock::new();
        match name {
            "docker" => {
                let ask = || problem(Command::new("docker").arg("version"), "docker");
                DOCKER.get_or_init(ask).clone().map(Missing::Engine)
            }
            "podman" => podman_settings().clone().err().map(Missing::Extra),
            "sandbox" if !geteuid().is_root() => {
                Some(Missing::Extra("only root can run as root".into()))
            }
            "sandbox" => {
                let ask = || problem(&mut self.namespaces(&[]), "the kernel");
                SANDBOX.get_or_init(ask).clone().map(Missing::Engine)
            }
            _ => {
                let ask = || problem(&mut self.namespaces(&["--user"]), "the kernel");
                USER.get_or_init(ask).clone().map(Missing::Engine)
            }
        }
    }

    /// Makes namespaces, with another program than ours.
    fn namespaces(&self, more: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--ipc", "--uts", "--net", "--fork"]);
        command.args(more).arg("true").current_dir("/");
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
    }

    /// An empty project of the user that types the command.
    pub fn project(&self) -> Project {
        let project = match self.user {
            Some(user) => Project::of_user(user),
            None => Project::new(),
        };
        match self.settings() {
            Some(file) => project.env("CONTAINERS_CONF", file),
            None => project,
        }
    }

    /// `run` in the image that every machine has, with these words behind.
    pub fn run<'a>(&self, more: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
        self.words("run", more)
    }

    /// A command of the program in the image that every machine has.
    pub fn words<'a>(
        &self,
        command: &'a str,
        more: impl IntoIterator<Item = &'a str>,
    ) -> Vec<&'a str> {
        let mut words = vec![command, "--image", "host", "--engine", self.word];
        words.extend(more);
        words
    }

    /// A run at a level, which is refused where not all of it can be kept, and run again without.
    pub fn run_at_level(&self, level: &str, project: &Project) -> Said {
        let said = project.run(self.run(["--level", level]));
        if said.status != 3 {
            return said;
        }
        let weak = Promises { counted: false }.text("what is warned of");
        let refused = format!("level {level} cannot be kept here: {weak} do not hold");
        assert!(said.stderr.contains(&refused), "{}", said.stderr);
        assert!(self.may_not_count());
        project.run(self.run(["--level", level, "--allow-weaker"]))
    }

    /// Only who has no cgroup of his own may do without.
    fn may_not_count(&self) -> bool {
        self.user.is_some() || !geteuid().is_root()
    }

    /// Whether it is another program, with containers of its own.
    pub fn is_a_program(&self) -> bool {
        self.word != "sandbox"
    }

    /// Whether it limits how many files a temporary folder can have. Podman cannot be asked to: there
    /// the limit of memory bounds them.
    pub fn limits_files(&self) -> bool {
        self.word != "podman"
    }

    /// Why a test is lost whose container somebody removed. Podman does not say that it was killed.
    pub fn cause_of_removal(&self) -> &'static str {
        match self.word {
            "podman" => "worker",
            _ => "engine",
        }
    }

    /// Its own program, of an engine that is one.
    pub fn program(&self) -> Command {
        assert!(self.is_a_program());
        let mut command = Command::new(self.word);
        command.envs(self.settings().map(|file| ("CONTAINERS_CONF", file)));
        command
    }

    fn settings(&self) -> Option<&'static OsString> {
        match self.word {
            "podman" => podman_settings().as_ref().ok()?.as_ref(),
            _ => None,
        }
    }

    /// What its own program prints.
    pub fn call<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> String {
        let output = self.program().args(arguments).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// The names of the containers that a launcher has made, running or not.
    pub fn containers_by(&self, launcher: u32) -> Vec<String> {
        let filter = format!("label=dev.docker-test.pid={launcher}");
        let names = self.call(["ps", "-a", "--filter", &filter, "--format", "{{.Names}}"]);
        names.lines().map(str::to_owned).collect()
    }

    /// Everything that this project's runs have left on the machine: containers, processes that
    /// hold one, cgroups.
    pub fn left_by(&self, project: &Project) -> Vec<String> {
        let launchers = project.launchers();
        let shown = |what: &str, pid| format!("{what} {pid}: {}", command_line(pid).join(" "));
        let mut left = Vec::new();
        if self.is_a_program() {
            for launcher in &launchers {
                let clients = clients_of(*launcher).into_iter();
                left.extend(clients.map(|pid| shown("client", pid)));
                left.extend(self.containers_by(*launcher));
            }
        } else {
            left.extend(
                monitors_of(project)
                    .into_iter()
                    .map(|pid| shown("monitor", pid)),
            );
            left.extend(inside(project).into_iter().map(|pid| shown("inside", pid)));
            let cgroups = cgroups_of(&launchers).into_iter();
            left.extend(cgroups.map(|path| path.display().to_string()));
        }
        left
    }

    /// What it promised to this project's workers.
    pub fn promises(&self, project: &Project) -> Promises {
        let states = project.rows(
            "select json_extract(value, '$.limit'), json_extract(value, '$.state')
             from workers, json_each(limits)",
        );
        let mut unenforced: Vec<String> = states
            .iter()
            .filter(|row| row[1] == "unenforced")
            .map(|row| row[0].clone())
            .collect();
        unenforced.sort();
        unenforced.dedup();
        let enforced = |limit: &str| !unenforced.iter().any(|other| other == limit);
        let promises = Promises {
            counted: enforced("memory"),
        };
        assert!(!states.is_empty(), "no worker said what holds");
        assert_eq!(unenforced.join(" "), promises.text("unenforced limits"));
        assert!(promises.counted || self.may_not_count());
        promises
    }
}

/// What holds in a container, by what its worker read back from inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promises {
    /// A cgroup limits and counts the container as a whole. Where none does, each process has the
    /// container's limit of memory, and figures are those of processes.
    pub counted: bool,
}

/// The whole difference: what, where a cgroup counts, where none does.
const DIFFERENCES: [(&str, &str, &str); 10] = [
    ("unenforced limits", "", "cpus memory swap"),
    ("what is warned of", "", "memory, swap, cpus"),
    ("source of CPU time", "cgroup", "rusage"),
    ("kills of a test that uses no memory", "0", "NULL"),
    // The process itself is told that there is no more, and perl exits with this.
    ("takes all memory", "oom", "fail exit(1)"),
    ("its child takes all memory", "oom", "pass"),
    // Not of any process.
    ("takes all shared memory", "oom", "pass"),
    ("end of what takes all memory", "SIGKILL", "exit(1)"),
    ("counts refused processes", "yes", "no"),
    ("needs more processes, strict", "fail pids", "pass"),
];

impl Promises {
    /// What is promised, by the first column of the table.
    pub fn text(self, what: &str) -> &'static str {
        let row = DIFFERENCES.iter().find(|row| row.0 == what);
        let (_, counted, uncounted) = row.unwrap_or_else(|| panic!("no such difference: {what}"));
        if self.counted { counted } else { uncounted }
    }

    /// A verdict, where it is one that differs.
    pub fn verdict(self, verdict: &'static str) -> &'static str {
        match DIFFERENCES.iter().any(|row| row.0 == verdict) {
            true => self.text(verdict),
            false => verdict,
        }
    }
}

/// The engine's command lines that a launcher has started.
pub fn clients_of(launcher: u32) -> Vec<nix::unistd::Pid> {
    let label = format!("--label=dev.docker-test.pid={launcher}");
    processes()
        .filter(|pid| command_line(*pid).contains(&label))
        .collect()
}

/// What is wrong where a command does not succeed: one line.
fn problem(command: &mut Command, who: &str) -> Option<String> {
    match command.output() {
        Err(error) => Some(format!("{who} cannot be asked: {error}")),
        Ok(output) if output.status.success() => None,
        Ok(output) => {
            let words = String::from_utf8_lossy(&output.stderr);
            let words = words.lines().last().unwrap_or_default().to_owned();
            Some(format!("{who} answers: {words}"))
        }
    }
}

/// The settings with which podman can start a container here: the machine's own, or else the
/// repository's, which ask for less. An error says why it cannot.
fn podman_settings() -> &'static Result<Option<OsString>, String> {
    static SETTINGS: OnceLock<Result<Option<OsString>, String>> = OnceLock::new();
    SETTINGS.get_or_init(|| {
        let version_2 = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
        if !geteuid().is_root() && !version_2 {
            return Err("podman without root limits nothing on cgroup version 1".into());
        }
        let own = repository().join("tests/integration/containers.conf");
        let mut why = String::new();
        for settings in [None, Some(own.into_os_string())] {
            // A root of one static program, so that it needs no image.
            let root = tempfile::tempdir().unwrap();
            fs::copy(PROGRAM, root.path().join("program")).unwrap();
            let mut command = Command::new("podman");
            command.args(["run", "--rm", "--network=none", "--rootfs"]);
            command.arg(root.path()).args(["/program", "--version"]);
            command.envs(settings.iter().map(|file| ("CONTAINERS_CONF", file)));
            match problem(&mut command, "podman") {
                None => return Ok(settings),
                Some(said) => why = said,
            }
        }
        Err(why)
    })
}
