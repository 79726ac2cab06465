//! `completions` and `man`: texts made from the command line's own description.

use std::io::Write;

use clap::CommandFactory;

use super::{Exit, Failure};
use crate::cli::Cli;

/// Prints a completion script.
pub fn completions(shell: clap_complete::Shell) -> Result<u8, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "docker-test", &mut text);
    print(&text)
}

/// Prints the manual page, one section a subcommand.
pub fn man() -> Result<u8, Failure> {
    let mut text = Vec::new();
    let command = Cli::command();
    let mut render = || -> std::io::Result<()> {
        clap_mangen::Man::new(command.clone()).render(&mut text)?;
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
            let name = format!("docker-test {}", sub.get_name());
            let page = clap_mangen::Man::new(sub.clone().bin_name(name.clone()));
            writeln!(text, ".SH \"{}\"", name.to_uppercase())?;
            page.render_synopsis_section(&mut text)?;
            page.render_description_section(&mut text)?;
            page.render_options_section(&mut text)?;
            page.render_extra_section(&mut text)?;
        }
        Ok(())
    };
    render().map_err(|error| Failure::usage(format!("the manual page cannot be made: {error}")))?;
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
