//! Which reporters a run has.

use std::io::{stderr, stdout};
use std::path::{Path, PathBuf};

use super::{Context, Failure};
use crate::cli::{MessageFormat, Reports};
use crate::event::Sink;
use crate::report::{Environment, GitHub, Human, Json, Junit, Options, Place, Several};

/// Opens them: files first, then stdout, then what GitHub reads. `record` is the database.
///
/// # Errors
/// A file cannot be written, or two reports are to go to the same one.
pub fn reporter(
    format: MessageFormat,
    reports: &Reports,
    record: Option<&Path>,
    context: &Context,
) -> Result<Several, Failure> {
    let files = [
        ("--junit", &reports.junit),
        ("--json", &reports.json),
        ("--html", &reports.html),
    ];
    for (at, (one, path)) in files.iter().enumerate() {
        let same = |(_, other): &&(&str, &Option<_>)| path.is_some() && path == other;
        if let Some((other, _)) = files[at + 1..].iter().find(same) {
            return Err(Failure::usage(format!(
                "{one} and {other} name the same file\nhint: give each a file of its own"
            )));
        }
    }
    let mut sinks: Vec<Box<dyn Sink + Send>> = Vec::new();
    if let Some(path) = &reports.junit {
        sinks.push(Box::new(Junit::new(path)?));
    }
    if let Some(path) = &reports.json {
        sinks.push(Box::new(Json::file(path)?));
    }
    let github = context.environment.github_actions && !reports.no_ci;
    sinks.push(match format {
        MessageFormat::Json => Box::new(Json::new(Box::new(stdout()))),
        MessageFormat::Human => {
            let environment = Environment {
                github_actions: github,
                ..context.environment
            };
            let (color, terminals) = (context.color, context.terminals);
            let options = Options::new(color, &environment, terminals, false, record);
            Box::new(Human::new(options, Box::new(stdout()), Box::new(stderr())))
        }
    });
    if github {
        let path = |name: &str| {
            let value = context.variable(name.as_ref());
            value.filter(|value| !value.is_empty()).map(PathBuf::from)
        };
        let place = Place {
            workspace: path("GITHUB_WORKSPACE"),
            summary: path("GITHUB_STEP_SUMMARY"),
        };
        sinks.push(Box::new(match format {
            // Nothing but events is on stdout then, and the runner reads both streams.
            MessageFormat::Json => GitHub::new(place, Box::new(stderr()), Box::new(stderr())),
            MessageFormat::Human => GitHub::new(place, Box::new(stdout()), Box::new(stderr())),
        }));
    }
    Ok(Several(sinks))
}
