//! What is said of a call that went wrong. Pure.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use super::super::EngineError;
use crate::model::escape;

/// The error of a program that cannot be started.
pub(in crate::engine) fn not_started(argv: &[OsString], error: &io::Error) -> EngineError {
    let program = escape(argv[0].as_bytes());
    match error.kind() {
        io::ErrorKind::NotFound => EngineError::Unavailable {
            message: format!("the program `{program}` was not found in PATH"),
            hint: "install it (Docker Engine 20.10, podman 3.0, or newer), or put its program into PATH".into(),
        },
        _ => EngineError::Unavailable {
            message: format!("the program `{program}` cannot be started: {error}"),
            hint: "`docker-test doctor` checks the engine".into(),
        },
    }
}

/// The error of a program that ended with another status than 0.
pub(in crate::engine) fn failed(
    argv: &[OsString],
    status: ExitStatus,
    stderr: &[u8],
) -> EngineError {
    let status = match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("killed by {}", crate::model::signal_name(signal)),
        (None, None) => "no exit status".into(),
    };
    EngineError::Failed {
        command: shorten(argv),
        status,
        stderr: one_line(stderr),
    }
}

/// A command line for people: escaped, words with blanks in quotes, the long rest left out.
pub(in crate::engine) fn shorten(argv: &[OsString]) -> String {
    const SHOWN: usize = 120;
    let mut text = String::new();
    for (index, word) in argv.iter().enumerate() {
        let word = escape(word.as_bytes());
        if index > 0 && text.len() + word.len() > SHOWN {
            text.push_str(" …");
            break;
        }
        if index > 0 {
            text.push(' ');
        }
        if word.is_empty() || word.contains(' ') {
            text.push_str(&format!("'{word}'"));
        } else {
            text.push_str(&word);
        }
    }
    text
}

/// What an engine said on stderr, as one line that is safe to print, without its own name and its
/// pointers to help.
pub(in crate::engine) fn one_line(stderr: &[u8]) -> String {
    const SHOWN: usize = 1000;
    let mut lines: Vec<String> = Vec::new();
    for line in stderr.split(|&byte| byte == b'\n') {
        let line = line.trim_ascii();
        let line = line.strip_prefix(b"docker: ").unwrap_or(line);
        let help = [
            &b"See 'docker"[..],
            b"Run 'docker",
            b"See 'podman",
            b"Try 'podman",
            b"Usage:",
        ];
        let help = help.iter().any(|words| line.starts_with(words));
        if !line.is_empty() && !help {
            lines.push(escape(line));
        }
    }
    let mut text = lines.join("; ");
    if text.is_empty() {
        return "it gave no reason".into();
    }
    if let Some((cut, _)) = text.char_indices().nth(SHOWN) {
        text.truncate(cut);
        text.push('…');
    }
    text
}

/// The last `count` lines that are not empty.
pub(super) fn last_lines(text: &[u8], count: usize) -> &[u8] {
    let text = text.trim_ascii_end();
    let start = text
        .iter()
        .enumerate()
        .rev()
        .filter(|&(_, &byte)| byte == b'\n')
        .nth(count - 1)
        .map_or(0, |(index, _)| index + 1);
    &text[start..]
}
