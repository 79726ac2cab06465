//! Layer 5: one file a subcommand. Each returns the exit status, or why it could not be done.

pub mod probe;

mod again;
mod apart;
mod build;
mod choose;
mod ci;
mod clean;
mod compare;
mod compose;
mod context;
mod db;
mod doctor;
mod dry_run;
mod exit;
mod export;
mod fit;
mod history;
mod image;
mod list;
mod listen;
mod merge;
mod network;
mod plan;
mod prepare;
mod recorded;
mod replicas;
mod report;
mod reporter;
mod run;
mod schedule;
mod setup;
mod shard;
mod shell;
mod show;
mod test;
mod text;
mod top;
mod worker;

use crate::cli::{self, Command, Refused, When};
use crate::engine::{MONITOR, monitor};
use context::Context;
pub use exit::{Exit, Failure};

/// The whole program.
pub fn main() -> std::process::ExitCode {
    crate::host::expect_children();
    // These two are started for every container, and do without the command line's parser.
    let mut words = std::env::args_os().skip(1);
    let first = words.next().unwrap_or_default();
    if first == MONITOR {
        return monitor(words.next().as_deref()).into();
    }
    if first == "worker"
        && let Some(place) = worker::plain_place(words)
    {
        let served = worker::worker(&place).unwrap_or_else(|failure| {
            Context::read(When::Auto).complain(&failure.message);
            failure.exit.status()
        });
        return served.into();
    }
    let status = match cli::parse(std::env::args_os().collect()) {
        Ok(cli) => {
            let context = Context::read(cli.color);
            execute(cli.command, &context).unwrap_or_else(|failure| {
                context.complain(&failure.message);
                failure.exit.status()
            })
        }
        Err(refused) => refuse(refused),
    };
    status.into()
}

/// Nothing is done; says why.
fn refuse(refused: Refused) -> u8 {
    let context = Context::read(When::Auto);
    match refused {
        Refused::Text(help) => text::print(help.as_bytes()).unwrap_or_else(|failure| {
            context.complain(&failure.message);
            failure.exit.status()
        }),
        Refused::Nothing(help) => {
            eprint!("{help}");
            Exit::Usage.status()
        }
        Refused::Wrong(message) => {
            context.complain(&message);
            Exit::Usage.status()
        }
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
        Command::Report(arguments) => report::report(&arguments, context),
        Command::List(arguments) => list::list(&arguments, context),
        Command::Show(arguments) => show::show(&arguments, context),
        Command::Compare(arguments) => compare::compare(&arguments, context),
        Command::Fit(arguments) => fit::fit(&arguments, context),
        Command::Plan(arguments) => plan::plan(&arguments, context),
        Command::Merge(arguments) => merge::merge(&arguments, context),
        Command::Ci(arguments) => ci::ci(&arguments, context),
        Command::Shell(arguments) => shell::shell(&arguments, context),
        Command::Top(arguments) => top::top(&arguments, context),
        Command::History(arguments) => history::history(&arguments, context),
        Command::Export(arguments) => export::export(&arguments, context),
        Command::Db { command } => db::db(&command, context),
        Command::Doctor => doctor::doctor(context),
        Command::Clean(arguments) => clean::clean(&arguments, context),
        Command::Image { command } => image::image(&command, context),
        Command::Compose(arguments) => compose::compose(&arguments, context),
        Command::Completions { shell } => text::print(&cli::completions(shell)),
        Command::Man => text::man(),
        Command::Test(arguments) => test::test(&arguments, context),
        Command::Worker(arguments) => worker::any_worker(arguments),
        Command::Probe { arguments } => Ok(probe::run(&arguments)),
    }
}
