//! Layer 2: `docker-test.yaml`.
//!
//! What is read is checked in full before anything else happens: every problem is one line that
//! names the file, the line, what is wrong and the accepted form. `doc/configuration.md` is the
//! reference of the keys; to add one, add it to `read` or `profile` and there.

mod edit;
mod nearest;
mod pattern;
mod profile;
mod read;
mod template;
#[cfg(test)]
mod tests;
mod violations;
mod yaml;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

pub use edit::{Edit, add_rules};
pub use nearest::{near, suggestion};
pub use pattern::{Patterns, literal};
pub use template::{Piece, Placeholder, pieces};
#[cfg(test)]
pub use yaml::value as yaml_value;

use crate::model::{
    DEFAULT_PROFILE, ImageChoice, Level, Network, Profile, Response, ViolationKind,
    built_in_profiles, escape,
};

/// The file's name.
pub const FILE_NAME: &str = "docker-test.yaml";

/// The largest file that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;
/// The longest message about a file, in characters: values in it can be long.
const MAX_MESSAGE: usize = 400;
/// The most times that a test is run again.
pub const MOST_RETRIES: u32 = 100;

/// A project's configuration, with defaults where the file says nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The project's root: the real path of the file's directory, or of where the search began.
    pub project: PathBuf,
    /// The file that was read; absent where there is none.
    pub file: Option<PathBuf>,
    /// What the tests are and how one is executed.
    pub suite: Suite,
    /// The image for tests whose profile has none; absent where the file does not say.
    pub image: Option<ImageChoice>,
    /// Every profile by its name, the built-in ones included.
    pub profiles: BTreeMap<String, Profile>,
    /// The profile of a test that nothing else gives one; a key of `profiles`.
    pub default_profile: String,
    /// Profiles by path; the last rule that matches counts.
    pub rules: Vec<Rule>,
    /// In which order tests run.
    pub order: Order,
    /// How often a test is run again when it is not good.
    pub retries: u32,
    /// The same by path; the last rule that matches counts.
    pub retry_rules: Vec<RetryRule>,
    /// What is made of a test that passed only when it was run again.
    pub flaky: Flaky,
    /// How many workers.
    pub workers: Workers,
    /// How much a test is kept apart.
    pub level: Level,
    /// What of a network tests see; a strict level sees none.
    pub network: Network,
    /// What is made of violations, as far as the file says; a strict level's promises are stronger.
    pub violations: BTreeMap<ViolationKind, Response>,
    /// Where results go: relative to the project, or absolute.
    pub results: PathBuf,
}

/// What the tests are and how one is executed.
#[derive(Clone, Debug, PartialEq)]
pub struct Suite {
    /// Where tests are looked for, relative to the project; without `..`.
    pub root: PathBuf,
    /// Patterns of the files that are tests, see [`Patterns`].
    pub include: Vec<String>,
    /// Patterns of files and directories that are left out.
    pub exclude: Vec<String>,
    /// Program and arguments for one test, with placeholders, see [`pieces`].
    pub command: Vec<String>,
    /// A command that prints the tests' ids, one a line, instead of a search for files.
    pub list: Option<Vec<String>>,
    /// A program to copy into the image: relative to the project, or absolute.
    pub runtime: Option<PathBuf>,
    /// Environment of every test.
    pub env: BTreeMap<String, String>,
}

/// Gives tests a profile by their path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// A pattern for the test's path from the project's root.
    pub path: String,
    /// The profile's name.
    pub profile: String,
}

/// In which order tests run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The longest first, as far as that is known.
    #[default]
    Longest,
    /// As planned, whatever is known: heavier profiles first, and those of one by their ids.
    Plan,
}

impl Order {
    /// Both.
    pub const ALL: [Order; 2] = [Order::Longest, Order::Plan];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Order::Longest => "longest",
            Order::Plan => "plan",
        }
    }
}

/// Gives tests more attempts by their path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryRule {
    /// A pattern for the test's path from the project's root.
    pub path: String,
    /// How many.
    pub retries: u32,
}

/// What is made of a test that passed only when it was run again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flaky {
    /// The summary names it.
    #[default]
    Warn,
    /// The run's exit status is 1, too.
    Fail,
}

impl Flaky {
    /// Both.
    pub const ALL: [Flaky; 2] = [Flaky::Warn, Flaky::Fail];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Flaky::Warn => "warn",
            Flaky::Fail => "fail",
        }
    }
}

/// How many workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workers {
    /// As many as the machine is good for.
    Auto,
    /// This many, at least 1.
    Count(usize),
}

/// The configuration cannot be used. Always the user's to mend (exit status 2).
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A line of the file is wrong.
    #[error("{file}:{line}: {message}")]
    Invalid {
        /// The file, safe to print.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong and the accepted form, safe to print.
        message: String,
    },
    /// The file, or the directory where the search begins, cannot be read.
    #[error("{file}: {message}")]
    Unreadable {
        /// The file or directory, safe to print.
        file: String,
        /// Why.
        message: String,
    },
}

impl Config {
    /// The defaults for a project without a file.
    pub fn defaults(project: PathBuf) -> Self {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Config {
            project,
            file: None,
            suite: Suite {
                root: PathBuf::from("test"),
                include: words(&["**/*_test.sh"]),
                exclude: Vec::new(),
                command: words(&["sh", "{test}"]),
                list: None,
                runtime: None,
                env: BTreeMap::new(),
            },
            image: None,
            profiles: built_in_profiles(),
            default_profile: DEFAULT_PROFILE.to_owned(),
            rules: Vec::new(),
            order: Order::default(),
            retries: 0,
            retry_rules: Vec::new(),
            flaky: Flaky::default(),
            workers: Workers::Auto,
            level: Level::default(),
            network: Network::default(),
            violations: BTreeMap::new(),
            results: PathBuf::from("test-results"),
        }
    }

    /// The results directory's path on this machine.
    pub fn results_path(&self) -> PathBuf {
        self.project.join(&self.results)
    }
}

/// Finds the file in `start` or the nearest directory above it, and reads it. Without a file, the
/// defaults, with `start` as the project.
///
/// # Errors
/// `start` or the file cannot be read, or the file is not of the accepted form.
pub fn load(start: &Path) -> Result<Config, ConfigError> {
    let start = start
        .canonicalize()
        .map_err(|error| unreadable(start, &error.to_string()))?;
    for directory in start.ancestors() {
        let file = directory.join(FILE_NAME);
        // A file that is there and cannot be read must not be passed over: reading it says why.
        match file.symlink_metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            _ => {
                let shown = file.strip_prefix(&start).unwrap_or(&file);
                return read_file(&file, directory.to_owned(), shown);
            }
        }
    }
    Ok(Config::defaults(start))
}

fn read_file(path: &Path, project: PathBuf, shown: &Path) -> Result<Config, ConfigError> {
    let bytes = read_bytes(path).map_err(|message| unreadable(shown, &message))?;
    let mut config = Config::defaults(project);
    config.file = Some(path.to_owned());
    parse(&bytes, config).map_err(|problem| ConfigError::Invalid {
        file: show(shown),
        line: problem.line,
        message: shorten(problem.message),
    })
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, String> {
    let text = |error: std::io::Error| error.to_string();
    // Asked before it is opened: opening a pipe would wait for its writer.
    if !path.metadata().map_err(text)?.is_file() {
        return Err("is not a file".to_owned());
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(text)?;
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(text)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err("is larger than 1 MiB".to_owned());
    }
    Ok(bytes)
}

/// Something is wrong with a line.
#[derive(Debug)]
struct Problem {
    line: usize,
    message: String,
}

/// The file's bytes, over `defaults`.
fn parse(bytes: &[u8], defaults: Config) -> Result<Config, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        Problem {
            line: 1 + before.iter().filter(|byte| **byte == b'\n').count(),
            message: "not UTF-8: save the file in UTF-8".to_owned(),
        }
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let document = yaml::Document::parse(text).map_err(|error| Problem {
        line: error.line,
        message: format!("not valid YAML: {}", escape(error.message.as_bytes())),
    })?;
    read::config(&document.root, defaults).map_err(|fault| Problem {
        line: document.line(fault.at),
        message: fault.message,
    })
}

fn unreadable(path: &Path, message: &str) -> ConfigError {
    ConfigError::Unreadable {
        file: show(path),
        message: message.to_owned(),
    }
}

fn show(path: &Path) -> String {
    escape(path.as_os_str().as_encoded_bytes())
}

fn shorten(message: String) -> String {
    match message.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message,
    }
}
