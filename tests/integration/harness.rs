//! A throw-away project, the program run in it, and everything that it said.

use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_docker-test");
/// How long anything here may take before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The variables that the program gets from who runs the tests.
const TAKEN: [&str; 6] = [
    "PATH",
    "HOME",
    "DOCKER_HOST",
    "DOCKER_CONFIG",
    "CONTAINERS_CONF",
    "TMPDIR",
];

/// A project in a folder of its own, which is removed at the end.
pub struct Project {
    folder: tempfile::TempDir,
    data: tempfile::TempDir,
    environment: Vec<(OsString, OsString)>,
    user: Option<User>,
    launchers: RefCell<Vec<u32>>,
}

/// Another user than who runs the tests.
struct User {
    /// User and group.
    id: u32,
    home: tempfile::TempDir,
}

/// What a run of the program said.
#[derive(Debug)]
pub struct Said {
    pub stdout: String,
    pub stderr: String,
    /// The exit status; 128 + n for signal n.
    pub status: i32,
}

impl Project {
    /// An empty one, which user 1001 may enter.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Project {
            folder,
            data: tempfile::tempdir().unwrap(),
            environment: Vec::new(),
            user: None,
            launchers: RefCell::default(),
        }
    }

    /// An empty one of this user, who runs the program there. Only root can make it.
    pub fn of_user(user: u32) -> Self {
        let mut project = Project::new();
        let home = tempfile::tempdir().unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
        project.user = Some(User { id: user, home });
        for path in [project.path(), project.data(), project.home().unwrap()] {
            project.own(path);
        }
        project
    }

    fn home(&self) -> Option<&Path> {
        Some(self.user.as_ref()?.home.path())
    }

    /// Gives a file or folder to the project's user.
    fn own(&self, path: &Path) {
        if let Some(user) = &self.user {
            chown(path, Some(user.id), Some(user.id)).unwrap();
        }
    }

    /// Makes a folder that the project's user can write to.
    pub fn folder(&self, name: impl AsRef<Path>) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        self.own(&path);
        path
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where the program keeps what is not of one project. Podman without root keeps its own there.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// Writes a file, readable by everybody, with the folders above it.
    pub fn file(self, name: impl AsRef<OsStr>, text: impl AsRef<[u8]>) -> Self {
        let path = self.path().join(Path::new(name.as_ref()));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        self
    }

    /// Writes an executable file.
    pub fn executable(self, name: &str, text: &str) -> Self {
        let project = self.file(name, text);
        fs::set_permissions(project.path().join(name), fs::Permissions::from_mode(0o755)).unwrap();
        project
    }

    /// Writes the test `test/NAME_test.sh`.
    pub fn test(self, name: &str, script: &str) -> Self {
        self.file(format!("test/{name}_test.sh"), script)
    }

    pub fn config(self, yaml: &str) -> Self {
        self.file("docker-test.yaml", yaml)
    }

    /// Sets a variable for every call of the program.
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Lets the program find this shell script as its docker.
    pub fn fake_docker(self, script: &str) -> Self {
        let project = self.executable(".fake/docker", &format!("#!/bin/sh\n{script}\n"));
        let path = project.path().join(".fake/docker");
        project.env("DOCKER_TEST_DOCKER", path)
    }

    /// The program with these arguments, in the project, with an environment of its own.
    pub fn command<I: IntoIterator<Item: AsRef<OsStr>>>(&self, arguments: I) -> Command {
        let mut command = Command::new(self.program());
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .stdin(Stdio::null());
        for name in TAKEN {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        if let Some(user) = &self.user {
            command.uid(user.id).gid(user.id);
            command.env("HOME", user.home.path());
        }
        // Nobody's own images are seen or removed.
        command.env("XDG_DATA_HOME", self.data());
        command.envs(self.environment.iter().cloned());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The program's file, where the project's user can execute it.
    fn program(&self) -> PathBuf {
        let everybody = |path: &Path, bits| {
            let mode = fs::metadata(path).unwrap().permissions().mode();
            mode & bits == bits
        };
        let program = Path::new(PROGRAM);
        let mut above = program.ancestors().skip(1);
        let Some(home) = self.home() else {
            return program.to_path_buf();
        };
        if everybody(program, 0o5) && above.all(|path| everybody(path, 0o1)) {
            return program.to_path_buf();
        }
        let copy = home.join("docker-test");
        if !copy.exists() {
            fs::copy(program, &copy).unwrap();
            fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
        }
        copy
    }

    /// Runs the program and waits for it.
    pub fn run<I: IntoIterator<Item: AsRef<OsStr>>>(&self, arguments: I) -> Said {
        finish(self.start(arguments))
    }

    /// Starts the program and does not wait.
    pub fn start<I: IntoIterator<Item: AsRef<OsStr>>>(&self, arguments: I) -> Child {
        self.spawn(&mut self.command(arguments))
    }

    /// Starts a command of [`Project::command`] that something was changed in.
    pub fn spawn(&self, command: &mut Command) -> Child {
        let child = command.spawn().unwrap();
        self.launchers.borrow_mut().push(child.id());
        child
    }

    /// The process ids that the program has had here.
    pub fn launchers(&self) -> Vec<u32> {
        self.launchers.borrow().clone()
    }

    /// The first column of the first row of a query of the results database, as text.
    pub fn query(&self, sql: &str) -> String {
        self.rows(sql)
            .first()
            .map(|row| row[0].clone())
            .unwrap_or_default()
    }

    /// All rows of a query of the results database, as text; `NULL` for nothing.
    pub fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        let path = self.path().join("test-results/docker-test.db");
        let connection = rusqlite::Connection::open(path).unwrap();
        let mut statement = connection.prepare(sql).unwrap();
        let columns = statement.column_count();
        let text = |row: &rusqlite::Row<'_>, at: usize| -> String {
            use rusqlite::types::ValueRef;
            match row.get_ref(at).unwrap() {
                ValueRef::Null => "NULL".into(),
                ValueRef::Integer(value) => value.to_string(),
                ValueRef::Real(value) => value.to_string(),
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                    String::from_utf8_lossy(bytes).into_owned()
                }
            }
        };
        let rows =
            statement.query_map([], |row| Ok((0..columns).map(|at| text(row, at)).collect()));
        rows.unwrap().map(Result::unwrap).collect()
    }

    /// Waits until a count in the results database, which may not be there yet, is this high.
    pub fn wait_for(&self, what: &str, sql: &str, at_least: u32) {
        let path = self.path().join("test-results/docker-test.db");
        wait_until(what, Duration::from_secs(30), || {
            let connection = rusqlite::Connection::open(&path).ok();
            let count = connection.and_then(|db| db.query_row(sql, [], |row| row.get(0)).ok());
            count.is_some_and(|count: u32| count >= at_least)
        });
    }

    /// `outcome reason` of each test's last attempt in the last run, by the test's id.
    pub fn verdicts(&self) -> Vec<(String, String)> {
        self.rows(
            "select id, outcome, coalesce(reason, '') from attempts join tests using (test)
             where superseded = 0 and run = (select run from runs order by started_unix_us desc limit 1)
             order by id",
        )
        .into_iter()
        .map(|row| (row[0].clone(), format!("{} {}", row[1], row[2]).trim().to_owned()))
        .collect()
    }
}

/// Waits for a started program; one that takes too long is killed and fails the test.
pub fn finish(mut child: Child) -> Said {
    let read = |stream: Option<Box<dyn std::io::Read + Send>>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(mut stream) = stream {
                let _ = stream.read_to_end(&mut bytes);
            }
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let stdout = read(child.stdout.take().map(|stream| Box::new(stream) as _));
    let stderr = read(child.stderr.take().map(|stream| Box::new(stream) as _));
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > PATIENCE {
            let _ = child.kill();
            panic!(
                "the program does not end; it said: {}",
                stderr.join().unwrap()
            );
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    use std::os::unix::process::ExitStatusExt;
    Said {
        stdout: stdout.join().unwrap(),
        stderr: stderr.join().unwrap(),
        status: status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
    }
}

/// Waits until `condition` holds, or fails the test with what was waited for.
pub fn wait_until(what: &str, patience: Duration, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(
            start.elapsed() < patience,
            "waited {patience:?} for: {what}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// This repository's root.
pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
