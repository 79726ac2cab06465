//! `docker-test compose`: a run whose workers are compose's replicas, and the compose file for who does
//! without this program.

use super::run::{Who, run_by};
use super::{Context, Failure, text};
use crate::cli::{Compose, EngineChoice};
use crate::run::compose_file;

/// Runs the tests in replicas, or prints `docker-compose.test.yml`.
pub fn compose(arguments: &Compose, context: &Context) -> Result<u8, Failure> {
    if arguments.print {
        return text::print(compose_file()?.as_bytes());
    }
    let run = &arguments.run;
    let wrong = [
        ("--listen", run.listen.listen.is_some()),
        ("--workers", run.workers.is_some()),
        ("--fresh", run.fresh.is_some()),
        ("--dry-run", run.dry_run),
        ("--hold", run.hold > 0),
        ("--without-reset", run.without_reset),
    ];
    if let Some((option, _)) = wrong.iter().find(|(_, given)| *given) {
        return Err(Failure::usage(format!(
            "the argument '{option}' cannot be used with `docker-test compose`\n\
             hint: --scale N says how many replicas there are; `docker-test run` has the rest"
        )));
    }
    if !matches!(run.engine, EngineChoice::Auto | EngineChoice::Docker) {
        return Err(Failure::usage(
            "compose starts containers of docker, so --engine can name no other\n\
             hint: docker-test run --workers N does the same with every engine",
        ));
    }
    run_by(run, Who::Replicas(arguments.scale), context)
}
