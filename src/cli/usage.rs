//! Reads the command line; what clap says of a wrong one, in our form.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser};

use super::Cli;
use crate::config::suggestion;
use crate::model::escape;

const HELP: &str =
    "hint: docker-test --help, and docker-test COMMAND --help, show what can be written";

/// A command line that asks for nothing to be done.
#[derive(Debug)]
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
pub fn parse(arguments: Vec<OsString>) -> Result<Cli, Refused> {
    Cli::try_parse_from(&arguments).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            Refused::Text(error.render().to_string())
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            Refused::Nothing(error.render().to_string())
        }
        _ => Refused::Wrong(wrong(&arguments)),
    })
}

/// What is wrong with a command line. Clap quotes arguments as they are, so it is asked once more,
/// with every argument as it is safe to print: what is wrong with the one is wrong with the other.
fn wrong(arguments: &[OsString]) -> String {
    let safe: Vec<String> = arguments
        .iter()
        .map(|argument| escape(argument.as_encoded_bytes()))
        .collect();
    match Cli::try_parse_from(&safe) {
        Err(error) => message(&error),
        Ok(_) => {
            let not_text = arguments.iter().position(|word| word.to_str().is_none());
            let word = not_text.map_or("", |at| safe[at].as_str());
            format!("invalid argument '{word}': it is not UTF-8\n{HELP}")
        }
    }
}

/// Clap's text without its headings: one line, then what to do.
fn message(error: &clap::Error) -> String {
    let mut message = String::new();
    let mut hint = String::new();
    let text = error.render().to_string();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(first) = line.strip_prefix("error: ") {
            message.push_str(first);
        } else if let Some(tip) = line.strip_prefix("tip: ") {
            // How to write a word that begins with `-` is seldom what was meant.
            if !tip.starts_with("to pass ") {
                hint = format!("hint: {tip}");
            }
        } else if line.starts_with("Usage:") || line.starts_with("For more information") {
            break;
        } else {
            message.push(' ');
            message.push_str(line);
        }
    }
    if let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) {
        let command = Cli::command();
        let known = command.get_subcommands().filter(|sub| !sub.is_hide_set());
        let known = known.map(clap::Command::get_name);
        hint = format!("hint: {}", suggestion(word, known));
    }
    if hint.is_empty() {
        hint = HELP.to_owned();
    }
    format!("{message}\n{hint}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    fn refused(arguments: &[&[u8]]) -> String {
        let words = arguments
            .iter()
            .map(|word| OsString::from_vec(word.to_vec()));
        match parse(std::iter::once("docker-test".into()).chain(words).collect()) {
            Err(Refused::Wrong(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn no_argument_can_shape_the_message() {
        assert_eq!(
            refused(&[b"run", b"--workers", b"1\n\nUsage: x\n  tip: y\x1b[31m"]),
            format!(
                "invalid value '1\\n\\nUsage: x\\n  tip: y\\x1b[31m' for '--workers <N>': write a \
                 number from 1 to 1024, or auto\n{HELP}"
            )
        );
        assert_eq!(
            refused(&[b"run", b"--filter", b"a\xff"]),
            format!("invalid argument 'a\\xff': it is not UTF-8\n{HELP}")
        );
    }

    #[test]
    fn near_misses() {
        assert_eq!(
            refused(&[b"rnu"]),
            "unrecognized subcommand 'rnu'\nhint: did you mean 'run'?"
        );
        assert_eq!(
            refused(&[b"run", b"--fitler=x"]),
            "unexpected argument '--fitler' found\nhint: a similar argument exists: '--filter'"
        );
    }
}
