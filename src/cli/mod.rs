//! Layer 5: what can be typed, as clap types, and the texts that follow from them. Parsing touches
//! nothing outside.

mod ci;
mod compose;
mod db;
mod image;
mod look;
mod merge;
mod report;
mod reports;
mod schedule;
mod test;
mod text;
mod top;
mod usage;
mod worker;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValue;
use clap::builder::styling::Styles;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::Workers;
use crate::model::{ByteText, ImageChoice, Level, Network, parse_duration};

pub use ci::{Ci, CiSystem};
pub use compose::Compose;
pub use db::{DbCommand, DbPrune, Export};
pub use image::{ImageCommand, ImageImport, ImageList, ImageRemove};
pub use look::{Compare, Fit, Show};
pub use merge::Merge;
pub use report::Report;
pub use reports::Reports;
pub use schedule::{Plan, RunSchedule, ShardChoice};
pub use test::Test;
pub use text::{completions, man};
pub use top::{History, Top};
pub use usage::{Refused, parse};
pub use worker::{Listen, PlaceOfWorker, Worker};

/// Runs any project's test suite inside hardened containers.
#[derive(Debug, Parser)]
#[command(
    name = "docker-test",
    version,
    max_term_width = 100,
    styles = Styles::plain(),
    disable_help_subcommand = false,
    after_help = "Example:\n  docker-test run              every test of this project, in containers\n\
                  \nExit status: 0 all passed, 1 a test did not, 2 usage or config, 3 engine or image,\n\
                  4 no test matched, 5 results cannot be written, 130/143 interrupted."
)]
pub struct Cli {
    /// When to use colour.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: When,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build the images that tests run in
    #[command(
        after_help = "Examples:\n  docker-test build\n  docker-test build isolation --base-image my/alpine:3.22 --engine podman"
    )]
    Build(Build),
    /// Run tests, each under its profile, in hardened containers
    #[command(
        after_help = "Examples:\n  docker-test run\n  docker-test run test/unit --workers 4 --fail-fast\n  docker-test run --filter login --profile slow\n  docker-test run --junit out/junit.xml --html report.html"
    )]
    Run(Run),
    /// Run tests in the full image, with compilers, debuggers and QEMU
    #[command(after_help = "Example:\n  docker-test run-full test/emulated")]
    RunFull(Run),
    /// Write a recorded run as one page for a browser
    #[command(
        after_help = "Examples:\n  docker-test report -o report.html\n  docker-test report 3f9c -o - > report.html"
    )]
    Report(Report),
    /// List the tests with their profiles and images
    #[command(after_help = "Example:\n  docker-test list test/unit")]
    List(List),
    /// Show a recorded run, or a test of it
    #[command(
        after_help = "Examples:\n  docker-test show\n  docker-test show login_test\n  docker-test show 9dd4 test/login_test.sh"
    )]
    Show(Show),
    /// Say what changed between two recorded runs, beyond noise
    #[command(
        after_help = "Examples:\n  docker-test compare\n  docker-test compare 9dd4 last --fail-on-regression"
    )]
    Compare(Compare),
    /// Print a diff of the config that gives each test the smallest safe profile
    #[command(
        after_help = "Examples:\n  docker-test fit\n  docker-test fit | patch -p0\n  docker-test fit --check"
    )]
    Fit(Fit),
    /// Show the order of the tests and how long a run will probably take
    Plan(Plan),
    /// Make one database of those of a suite's shards, and say whether they are the whole
    Merge(Merge),
    /// Write a CI system's file that runs this project's tests in shards
    Ci(Ci),
    /// Open a shell with a test's own mounts, limits and system calls
    #[command(
        after_help = "Examples:\n  docker-test shell\n  docker-test shell --test test/login_test.sh\n  docker-test shell -- ls -l /work"
    )]
    Shell(Shell),
    /// Show the tests with the highest figures of the last days
    Top(Top),
    /// Show a test's figures over its last runs
    History(History),
    /// Write out what was recorded of attempts, as CSV or JSON
    Export(Export),
    /// Look after the results database
    #[command(after_help = "Example:\n  docker-test db prune --keep-days 60")]
    Db {
        /// What to do.
        #[command(subcommand)]
        command: DbCommand,
    },
    /// Check this machine: engine, resources, images, config
    #[command(after_help = "Example:\n  docker-test doctor")]
    Doctor,
    /// Remove containers of dead runs
    #[command(
        after_help = "Examples:\n  docker-test clean\n  docker-test clean --images --results"
    )]
    Clean(Clean),
    /// Keep images of our own, unpacked from archives, for the sandbox engine
    #[command(
        after_help = "Examples:\n  docker save debian:12 | docker-test image import debian:12 -\n  docker-test image list"
    )]
    Image {
        /// What to do.
        #[command(subcommand)]
        command: ImageCommand,
    },
    /// Run tests in replicas of a compose service
    Compose(Compose),
    /// Print a shell's completion script
    #[command(
        after_help = "Example:\n  docker-test completions bash > /etc/bash_completion.d/docker-test"
    )]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    #[command(after_help = "Example:\n  docker-test man | man -l -")]
    Man,
    /// Inside a container: run a mounted project's tests here, one after another
    #[command(
        after_help = "Example:\n  docker run --rm -v \"$PWD:/work:ro\" docker-test/isolation:VERSION test test/unit"
    )]
    Test(Test),
    /// Inside a container: be the supervisor that serves a launcher on stdin and stdout
    #[command(hide = true)]
    Worker(Worker),
    /// Try what a test can do here; for the isolation proof
    #[command(hide = true)]
    Probe {
        /// The probe and its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

/// `build`.
#[derive(Debug, Args)]
pub struct Build {
    /// Which image.
    #[arg(value_enum, default_value_t = BuildTarget::All)]
    pub image: BuildTarget,
    /// Build on this image instead of the Dockerfile's own base
    #[arg(long, value_name = "IMAGE", allow_hyphen_values = true, value_parser = base_image)]
    pub base_image: Option<String>,
    /// Look for a newer base first
    #[arg(long)]
    pub pull: bool,
    /// Build every layer anew
    #[arg(long)]
    pub no_cache: bool,
    /// The engine that builds, and has them then
    #[arg(long, value_enum, default_value_t, value_name = "ENGINE")]
    pub engine: EngineChoice,
}

/// What `build` builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BuildTarget {
    /// The minimal Alpine image.
    Isolation,
    /// The Ubuntu image with compilers, debuggers and QEMU.
    Full,
    /// Both.
    All,
}

/// `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// Files or folders of the project; everything without
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Run every test under this profile
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Run in this image: isolation, full, host, or any reference
    #[arg(long, value_name = "IMAGE", allow_hyphen_values = true, value_parser = ImageChoice::parse)]
    pub image: Option<ImageChoice>,
    /// What starts the containers
    #[arg(long, value_enum, default_value_t, value_name = "ENGINE")]
    pub engine: EngineChoice,
    /// Workers at once: a number or auto [default: the config's, or auto]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = workers)]
    pub workers: Option<Workers>,
    /// Who else runs them.
    #[command(flatten)]
    pub listen: Listen,
    /// Only tests whose id contains this text, or matches it as a glob; may be repeated
    #[arg(long, value_name = "PATTERN")]
    pub filter: Vec<String>,
    /// In which order, and which part.
    #[command(flatten)]
    pub schedule: RunSchedule,
    /// Start no further test after the first that is not good
    #[arg(long)]
    pub fail_fast: bool,
    /// Wall-clock limit of every test, as in 30s
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true, value_parser = parse_duration)]
    pub timeout: Option<Duration>,
    /// Set a variable for every test; NAME alone takes this shell's value
    #[arg(long, value_name = "NAME=VALUE", value_parser = clap::builder::ValueParser::os_string())]
    pub env: Vec<OsString>,
    /// How much a test is kept apart [default: the config's, or standard]
    #[arg(long, value_enum, value_name = "LEVEL")]
    pub level: Option<Level>,
    /// What of a network tests see [default: the config's, or none]
    #[arg(long, value_enum, value_name = "NETWORK")]
    pub network: Option<Network>,
    /// Go on where this machine, or the command line, keeps less than the level promises
    #[arg(long)]
    pub allow_weaker: bool,
    /// How clean a test starts [default: the level's: test for paranoid, else worker]
    #[arg(long, value_enum, value_name = "WHAT")]
    pub fresh: Option<Fresh>,
    /// What is printed: for people, or events as JSON lines
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub message_format: MessageFormat,
    /// What else is written.
    #[command(flatten)]
    pub reports: Reports,
    /// Print the engine's command lines and start nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Keep no record of this run
    #[arg(long)]
    pub no_record: bool,
    /// For this program's own tests: hold the first N tests and let them go together
    #[arg(long, hide = true, default_value_t = 0, value_name = "N")]
    pub hold: usize,
    /// For this program's own tests: leave out everything that cleans up between two tests
    #[arg(long, hide = true)]
    pub without_reset: bool,
}

/// `list`.
#[derive(Debug, Args)]
pub struct List {
    /// Files or folders of the project; everything without
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Only tests whose id contains this text, or matches it as a glob; may be repeated
    #[arg(long, value_name = "PATTERN")]
    pub filter: Vec<String>,
    /// What is printed: a table, or one JSON object a line
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub message_format: MessageFormat,
}

/// `shell`.
#[derive(Debug, Args)]
pub struct Shell {
    /// The image [default: full where it is built, else isolation]
    #[arg(long, value_name = "IMAGE", allow_hyphen_values = true, value_parser = ImageChoice::parse)]
    pub image: Option<ImageChoice>,
    /// What starts the container
    #[arg(long, value_enum, default_value_t, value_name = "ENGINE")]
    pub engine: EngineChoice,
    /// Start in this test's environment and print its command
    #[arg(long, value_name = "ID", value_parser = clap::builder::ValueParser::os_string())]
    pub test: Option<OsString>,
    /// A command instead of an interactive shell
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// `clean`.
#[derive(Debug, Args)]
pub struct Clean {
    /// Remove our images too, and those that were imported
    #[arg(long)]
    pub images: bool,
    /// Remove this project's results too
    #[arg(long)]
    pub results: bool,
}

/// Which engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum EngineChoice {
    /// The first of docker, podman and sandbox that answers.
    #[default]
    Auto,
    /// Docker.
    Docker,
    /// Podman, as root or not.
    Podman,
    /// Containers of this program's own: nothing else is needed.
    Sandbox,
    /// No container: for comparison and debugging only.
    Host,
    /// Whoever dials in: what `run --listen` comes to.
    #[value(skip)]
    DialIn,
}

impl ValueEnum for Level {
    fn value_variants<'a>() -> &'a [Self] {
        &Level::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.as_str()).help(match self {
            Level::Standard => {
                "A worker that was reset and checked; what a test leaves is a warning"
            }
            Level::Strict => "What it leaves fails it, limits must hold, and there is no network",
            Level::Paranoid => "Strict, and a new container for every test",
        }))
    }
}

impl ValueEnum for Network {
    fn value_variants<'a>() -> &'a [Self] {
        &Network::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.as_str()).help(match self {
            Network::None => "Loopback alone",
            Network::Internal => "An interface with an address, and nobody to reach",
            Network::Bridge => "Whatever this machine reaches",
        }))
    }
}

/// How clean a test starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fresh {
    /// In a worker that was reset and checked.
    Worker,
    /// In a container of its own.
    Test,
}

/// What is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum MessageFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The most workers that can be asked for.
const MOST_WORKERS: usize = 1024;

fn workers(text: &str) -> Result<Workers, String> {
    match text.parse::<usize>() {
        Ok(count @ 1..=MOST_WORKERS) => Ok(Workers::Count(count)),
        _ if text == "auto" => Ok(Workers::Auto),
        _ => Err(format!("write a number from 1 to {MOST_WORKERS}, or auto")),
    }
}

fn base_image(text: &str) -> Result<String, String> {
    match ImageChoice::parse(text)? {
        ImageChoice::Named(reference) => Ok(reference),
        _ => Err("a base is an image's reference, such as alpine:3.22".into()),
    }
}

/// Splits `NAME=VALUE`; `None` as the value for `NAME` alone.
///
/// # Errors
/// A line that says what is wrong with the name.
pub fn parse_env(entry: &OsString) -> Result<(ByteText, Option<ByteText>), String> {
    let entry = ByteText::from(entry.as_os_str());
    let bytes = entry.as_bytes();
    let (name, value) = match bytes.iter().position(|byte| *byte == b'=') {
        Some(at) => (&bytes[..at], Some(ByteText::from(bytes[at + 1..].to_vec()))),
        None => (bytes, None),
    };
    let good = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    if name.is_empty() || name[0].is_ascii_digit() || !name.iter().all(good) {
        return Err(format!(
            "invalid value '{entry}' for '--env': write NAME=VALUE, with a NAME of letters, digits and _"
        ));
    }
    Ok((ByteText::from(name.to_vec()), value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_visible_command_shows_an_example() {
        for command in Cli::command()
            .get_subcommands()
            .filter(|command| !command.is_hide_set())
        {
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(
                help.contains("docker"),
                "{} has no example",
                command.get_name()
            );
        }
    }

    #[test]
    fn worker_counts() {
        assert_eq!(workers("3"), Ok(Workers::Count(3)));
        assert_eq!(workers("auto"), Ok(Workers::Auto));
        for bad in ["0", "-1", "99999999999999999999", "two", ""] {
            assert!(workers(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn environment_entries() {
        assert_eq!(
            parse_env(&"A=b=c".into()),
            Ok(("A".into(), Some("b=c".into())))
        );
        assert_eq!(parse_env(&"A".into()), Ok(("A".into(), None)));
        for bad in ["", "=x", "1A=x", "A B=x", "A\n=x"] {
            assert!(parse_env(&bad.into()).is_err(), "{bad:?}");
        }
    }
}
