//! What a command knows of its surroundings: the one place that reads the process's environment.

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use super::Failure;
use crate::cli::When;
use crate::engine::{ImageStore, Owner};
use crate::host;
use crate::report::{self, Canvas, ColorChoice, Environment, Paint, Terminals};

/// The width of what is no terminal, in characters.
const WIDTH: usize = 80;

/// The surroundings.
pub struct Context {
    /// `--color`.
    pub color: ColorChoice,
    /// The variables that decide about colour and progress.
    pub environment: Environment,
    /// Which streams are terminals.
    pub terminals: Terminals,
}

impl Context {
    /// Reads them.
    pub fn read(color: When) -> Self {
        Context {
            color: match color {
                When::Auto => ColorChoice::Auto,
                When::Always => ColorChoice::Always,
                When::Never => ColorChoice::Never,
            },
            environment: Environment::read(|name| std::env::var_os(name)),
            terminals: Terminals {
                stdout: std::io::stdout().is_terminal(),
                stderr: std::io::stderr().is_terminal(),
            },
        }
    }

    /// How stdout is painted.
    pub fn stdout(&self) -> Paint {
        Paint::new(self.environment.colors(self.color, self.terminals.stdout))
    }

    /// What stdout can show.
    pub fn canvas(&self) -> Canvas {
        let found = terminal_size::terminal_size_of(std::io::stdout());
        Canvas {
            paint: self.stdout(),
            width: found.map_or(WIDTH, |(width, _)| usize::from(width.0)),
            unicode: self.environment.draws(self.color),
        }
    }

    /// How stderr is painted.
    pub fn stderr(&self) -> Paint {
        Paint::new(self.environment.colors(self.color, self.terminals.stderr))
    }

    /// Writes lines to stderr, which are safe to print. One that cannot be written changes nothing.
    pub fn tell(&self, lines: &str) {
        let _ = std::io::stderr().write_all(lines.as_bytes());
    }

    /// Says something on stderr that is no error.
    pub fn note(&self, message: &str) {
        self.tell(&report::note(message));
    }

    /// Prints an error to stderr.
    pub fn complain(&self, message: &str) {
        report::error(&mut std::io::stderr(), self.stderr(), message);
    }

    /// The working directory.
    ///
    /// # Errors
    /// It was deleted, or may not be entered.
    pub fn directory(&self) -> Result<PathBuf, Failure> {
        std::env::current_dir().map_err(|error| {
            Failure::usage(format!("the working directory cannot be used: {error}"))
        })
    }

    /// The user's home.
    pub fn home(&self) -> Option<PathBuf> {
        std::env::var_os("HOME")
            .filter(|home| !home.is_empty())
            .map(PathBuf::from)
    }

    /// The images that were imported.
    ///
    /// # Errors
    /// Nothing says where they are.
    pub fn image_store(&self) -> Result<ImageStore, Failure> {
        let folder = |name| std::env::var_os(name);
        Ok(ImageStore::open(folder("XDG_DATA_HOME"), folder("HOME"))?)
    }

    /// A variable of the launcher's environment, for `--env NAME`.
    pub fn variable(&self, name: &std::ffi::OsStr) -> Option<OsString> {
        std::env::var_os(name)
    }

    /// The docker program that `DOCKER_TEST_DOCKER` names: then it is docker, and asked for.
    pub fn named_docker(&self) -> Option<OsString> {
        std::env::var_os("DOCKER_TEST_DOCKER")
    }

    /// The podman program that `DOCKER_TEST_PODMAN` names.
    pub fn named_podman(&self) -> Option<OsString> {
        std::env::var_os("DOCKER_TEST_PODMAN")
    }

    /// The podman program: that one, else `podman`.
    pub fn podman(&self) -> OsString {
        self.named_podman().unwrap_or_else(|| "podman".into())
    }
}

/// This program's own file.
///
/// # Errors
/// /proc is not mounted, or the file was deleted.
pub fn program() -> Result<PathBuf, Failure> {
    let path = std::env::current_exe().map_err(|error| {
        Failure::engine(format!("this program cannot find its own file: {error}"))
    })?;
    if path.exists() {
        Ok(path)
    } else {
        Err(Failure::engine(
            "this program's own file was replaced or deleted while it runs\nhint: start it again",
        ))
    }
}

/// This process, as the owner of what it starts.
///
/// # Errors
/// /proc is not mounted.
pub fn owner(run: &str) -> Result<Owner, Failure> {
    let pid = std::process::id();
    let failed = |what: &str| Failure::engine(format!("{what} cannot be read: is /proc mounted?"));
    Ok(Owner {
        run: run.to_owned(),
        boot: host::boot_id().map_err(|_| failed("the boot id"))?,
        pid,
        pid_start: host::process_start(pid).ok_or_else(|| failed("this process's start time"))?,
    })
}
