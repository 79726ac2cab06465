//! Reads the command line; what clap says of a wrong one, in our form.

use std::ffi::OsString;

use clap::Parser;
use clap::error::ErrorKind;

use super::Cli;

/// A command line that asks for nothing to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// Help or the version, for stdout.
    Text(String),
    /// Nothing was asked for: the help, for stderr.
    Nothing(String),
    /// It is wrong: one line, then lines that begin with `hint: `. Safe to print.
    Wrong(String),
}

/// Reads a command line, the program's own name included.
///
/// # Errors
/// See [`Refused`].
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, Refused> {
    Cli::try_parse_from(arguments).map_err(|error| {
        let text = error.render().to_string();
        match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Refused::Text(text),
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Refused::Nothing(text),
            _ => Refused::Wrong(message(&text)),
        }
    })
}

/// Clap's text without its headings: one line, then what to do.
fn message(text: &str) -> String {
    let mut message = String::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(first) = line.strip_prefix("error: ") {
            message.push_str(first);
        } else if let Some(tip) = line.strip_prefix("tip: ") {
            message.push_str("\nhint: ");
            message.push_str(tip);
        } else if line.starts_with("Usage:") || line.starts_with("For more information") {
            break;
        } else {
            message.push(' ');
            message.push_str(line);
        }
    }
    if !message.contains("\nhint: ") {
        message.push_str(
            "\nhint: docker-test --help, and docker-test COMMAND --help, show what can be written",
        );
    }
    message
}
