//! Layer 5: one file a subcommand. Each returns the exit status, or why it could not be done.

pub mod probe;

mod build;
mod clean;
mod context;
mod doctor;
mod exit;
mod list;
mod prepare;
mod run;
mod shell;
mod test;
mod text;
mod worker;

use clap::Parser;
use clap::error::ErrorKind;

use crate::cli::{Cli, Command};
use context::Context;
pub use exit::{Exit, Failure};

/// The whole program.
pub fn main() -> std::process::ExitCode {
    match Cli::try_parse() {
        Ok(cli) => {
            let context = Context::read(cli.color);
            let status = execute(cli.command, &context).unwrap_or_else(|failure| {
                context.complain(&failure.message);
                failure.exit.status()
            });
            status.into()
        }
        Err(error) => usage(&error).into(),
    }
}

fn execute(command: Command, context: &Context) -> Result<u8, Failure> {
    match command {
        Command::Build(arguments) => build::build(&arguments, context),
        Command::Run(arguments) => run::run(&arguments, context),
        Command::RunFull(mut arguments) => {
            arguments
                .image
                .get_or_insert(crate::model::ImageChoice::Full);
            run::run(&arguments, context)
        }
        Command::List(arguments) => list::list(&arguments, context),
        Command::Shell(arguments) => shell::shell(&arguments, context),
        Command::Doctor => doctor::doctor(context),
        Command::Clean(arguments) => clean::clean(&arguments, context),
        Command::Completions { shell } => text::completions(shell),
        Command::Man => text::man(),
        Command::Test(arguments) => test::test(&arguments, context),
        Command::Worker(arguments) => worker::worker(arguments),
        Command::Probe { arguments } => Ok(probe::run(&arguments)),
    }
}

/// What clap says, in our form: one line, then what to do. Help and version go to stdout.
fn usage(error: &clap::Error) -> u8 {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        let _ = error.print();
        return 0;
    }
    let text = error.render().to_string();
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        eprint!("{text}");
        return Exit::Usage.status();
    }
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
    Context::read(crate::cli::When::Auto).complain(&message);
    Exit::Usage.status()
}
