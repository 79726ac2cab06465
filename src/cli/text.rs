//! Texts made from the command line's own description: completion scripts and the manual page.

use std::io::{self, Write};

use clap::CommandFactory;

use super::Cli;

/// A completion script.
pub fn completions(shell: clap_complete::Shell) -> Vec<u8> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "docker-test", &mut text);
    text
}

/// The manual page, one section a subcommand, those of `image` included.
///
/// # Errors
/// It cannot be rendered.
pub fn man() -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let command = Cli::command();
    clap_mangen::Man::new(command.clone()).render(&mut text)?;
    sections(&command, "docker-test", &mut text)?;
    Ok(text)
}

/// The sections of a command's subcommands, and of theirs.
fn sections(command: &clap::Command, above: &str, text: &mut Vec<u8>) -> io::Result<()> {
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        let name = format!("{above} {}", sub.get_name());
        let page = clap_mangen::Man::new(sub.clone().bin_name(name.clone()));
        writeln!(text, ".SH \"{}\"", name.to_uppercase())?;
        page.render_synopsis_section(text)?;
        page.render_description_section(text)?;
        page.render_options_section(text)?;
        page.render_extra_section(text)?;
        sections(sub, &name, text)?;
    }
    Ok(())
}
