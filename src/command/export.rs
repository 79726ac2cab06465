//! `docker-test export`.

use std::io::{self, BufWriter, ErrorKind};

use super::recorded::{days_ago, record};
use super::{Context, Exit, Failure, recorded};
use crate::cli;
use crate::report::Export;

/// Writes recorded attempts to stdout, one at a time. Whoever stops reading has what he wants.
pub fn export(arguments: &cli::Export, context: &Context) -> Result<u8, Failure> {
    let (_, reader) = record(context)?;
    let runs = match (&arguments.run, arguments.days) {
        (Some(start), _) => vec![recorded::run(&reader, start)?.run],
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
