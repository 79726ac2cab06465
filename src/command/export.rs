//! `docker-test export`.

use std::io::{self, BufWriter, ErrorKind};

use super::results::{days_ago, results};
use super::{Context, Exit, Failure};
use crate::cli;
use crate::model::escape;
use crate::report::Export;
use crate::store::Reader;

/// Writes recorded attempts to stdout, one at a time. Whoever stops reading has what he wants.
pub fn export(arguments: &cli::Export, context: &Context) -> Result<u8, Failure> {
    let reader = results(context)?;
    let runs = match (&arguments.run, arguments.days) {
        (Some(start), _) => vec![named(&reader, start)?],
        (None, Some(days)) => reader.runs_since(days_ago(days))?,
        (None, None) => reader.runs_since(0)?,
    };
    let columns = reader.export_columns()?;
    let out = BufWriter::new(io::stdout().lock());
    let mut written = Ok(());
    let mut export = if arguments.csv {
        Export::csv(&columns, out).map_err(|error| unwritten(&error))?
    } else {
        Export::json(columns, out)
    };
    for run in runs {
        let whole = reader.export(&run, |cells| {
            written = export.row(cells);
            written.is_ok()
        })?;
        if !whole {
            break;
        }
    }
    match written.and_then(|()| export.finish()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(unwritten(&error)),
        _ => Ok(0),
    }
}

fn unwritten(error: &io::Error) -> Failure {
    Failure {
        exit: Exit::Results,
        message: format!("stdout cannot be written: {error}"),
    }
}

/// The one run whose name begins with `start`.
fn named(reader: &Reader, start: &str) -> Result<String, Failure> {
    let mut found = reader.runs_named(start)?.into_iter();
    match (found.next(), found.next()) {
        (Some(run), None) => Ok(run.run),
        (None, _) => Err(Failure::usage(format!(
            "no recorded run's name begins with '{}'",
            escape(start.as_bytes())
        ))),
        (Some(one), Some(other)) => Err(Failure::usage(format!(
            "'{}' begins more than one run's name: {}, {}\nhint: write more of it",
            escape(start.as_bytes()),
            one.run,
            other.run
        ))),
    }
}
