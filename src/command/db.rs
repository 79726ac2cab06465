//! `docker-test db`.

use super::prepare::project;
use super::recorded::days_ago;
use super::{Context, Failure, text};
use crate::cli::{DbCommand, DbPrune};
use crate::model::{counted, escape, format_bytes};
use crate::store::{Pruned, Store};

/// A run without an end may still be running if it showed a sign of life in so many days: a test may
/// take seven.
const ALIVE_DAYS: u32 = 8;

/// Looks after the results database.
pub fn db(command: &DbCommand, context: &Context) -> Result<u8, Failure> {
    match command {
        DbCommand::Prune(arguments) => prune(arguments, context),
    }
}

fn prune(arguments: &DbPrune, context: &Context) -> Result<u8, Failure> {
    let folder = project(context)?.results_path();
    let Some(mut store) = Store::existing(&folder)? else {
        let shown = escape(folder.as_os_str().as_encoded_bytes());
        return text::print(format!("no results in {shown}\n").as_bytes());
    };
    let before = days_ago(arguments.keep_days);
    let pruned = store.prune(before, days_ago(ALIVE_DAYS), arguments.dry_run)?;
    text::print(said(&pruned, arguments.dry_run).as_bytes())
}

/// What was done, in a line or two.
fn said(pruned: &Pruned, dry: bool) -> String {
    let mut out = if pruned.runs == 0 {
        "no run is as old\n".to_owned()
    } else {
        let done = if dry { "would remove" } else { "removed" };
        let (runs, attempts) = (
            counted(pruned.runs, "run"),
            counted(pruned.attempts, "attempt"),
        );
        let space = if dry {
            String::new()
        } else {
            format!(
                ", {} and {}",
                counted(pruned.tests, "test"),
                format_bytes(pruned.bytes)
            )
        };
        format!("{done} {runs}, {attempts}{space}\n")
    };
    if pruned.running > 0 {
        let runs = counted(pruned.running, "run");
        out.push_str(&format!(
            "kept {runs} as old: without an end, and perhaps running\n"
        ));
    }
    if pruned.kept_bytes > 0 {
        let bytes = format_bytes(pruned.kept_bytes);
        out.push_str(&format!("kept {bytes} of free space for later runs\n"));
    }
    out
}
