//! Prints what a command has to say; `man` has nothing else to do.

use std::io::Write;

use super::{Exit, Failure};
use crate::cli;

/// Prints the manual page.
pub fn man() -> Result<u8, Failure> {
    let text = cli::man()
        .map_err(|error| Failure::usage(format!("the manual page cannot be made: {error}")))?;
    print(&text)
}

/// Writes to stdout. Whoever stops reading has what he wants.
pub fn print(text: &[u8]) -> Result<u8, Failure> {
    let mut stdout = std::io::stdout();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure {
            exit: Exit::Results,
            message: format!("stdout cannot be written: {error}"),
        }),
        _ => Ok(0),
    }
}
