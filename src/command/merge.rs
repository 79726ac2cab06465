//! `docker-test merge`: one database from those of a suite's shards, and whether they are the whole.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Context, Failure, text};
use crate::cli::{Merge, MessageFormat};
use crate::model::escape;
use crate::plan::{Certificate, Part, certify};
use crate::report::certificate;
use crate::store::{Reader, Store};

/// The database's name in a folder of results.
const FILE_NAME: &str = "docker-test.db";

/// Merges, and prints the certificate; 1 where a test is missing or there twice.
pub fn merge(arguments: &Merge, context: &Context) -> Result<u8, Failure> {
    let here = context.directory()?;
    let output = here.join(&arguments.output);
    let folder = output.parent().unwrap_or(&here);
    let failed = |error: std::io::Error| {
        Failure::usage(format!(
            "nothing can be written beside {}: {error}\nhint: name another place with -o",
            shown(&output)
        ))
    };
    if output.is_dir() {
        return Err(Failure::usage(format!(
            "{} is a directory\nhint: name a file, as in -o {}",
            shown(&output),
            shown(&arguments.output.join(FILE_NAME))
        )));
    }
    fs::create_dir_all(folder).map_err(failed)?;
    // Everything happens beside the output, on copies: nobody ever sees half of it.
    let work = tempfile::Builder::new()
        .prefix(".docker-test-merge-")
        .tempdir_in(folder)
        .map_err(failed)?;
    let place = |name: String| -> Result<PathBuf, Failure> {
        let place = work.path().join(name);
        fs::create_dir(&place).map_err(failed)?;
        Ok(place)
    };
    let (mut parts, mut copies) = (Vec::new(), Vec::new());
    for (at, given) in arguments.databases.iter().enumerate() {
        let database = database(&here, given)?;
        let copy = Store::copy_of(&database, &place(at.to_string())?)?;
        copies.push(copy.path().to_path_buf());
        parts.extend(parts_of(copy, given)?);
    }
    let certificate = certify(parts).map_err(Failure::usage)?;

    let made = place("all".into())?;
    let mut all = if output.exists() {
        idle(&output)?;
        Store::copy_of(&output, &made)?
    } else {
        Store::open(&made)?
    };
    for copy in &copies {
        all.take_over(copy)?;
    }
    if certificate.is_whole() {
        let runs: Vec<String> = certificate
            .parts
            .iter()
            .map(|(_, run, _)| run.clone())
            .collect();
        // Named by its first part: the same runs merged again have the same name.
        all.mark_merged(&runs, &runs[0])?;
    }
    let path = all.path().to_path_buf();
    drop(all);
    fs::rename(path, &output).map_err(failed)?;
    print(&certificate, arguments, &output)
}

fn print(certificate: &Certificate, arguments: &Merge, output: &Path) -> Result<u8, Failure> {
    let out = match arguments.message_format {
        MessageFormat::Human => certificate::human(certificate, &shown(output)),
        MessageFormat::Json => certificate::json(certificate)?,
    };
    text::print(out.as_bytes())?;
    Ok(u8::from(!certificate.is_whole()))
}

/// The database that a path names: itself, or the one in that folder.
fn database(here: &Path, given: &Path) -> Result<PathBuf, Failure> {
    let path = here.join(given);
    let path = if path.is_dir() {
        path.join(FILE_NAME)
    } else {
        path
    };
    if path.is_file() {
        return Ok(path);
    }
    Err(Failure::usage(format!(
        "there is no database {}\nhint: name the file that a shard's run has left, {FILE_NAME}",
        shown(given)
    )))
}

/// Nobody writes there: its log is empty.
fn idle(output: &Path) -> Result<(), Failure> {
    let mut log = output.as_os_str().to_owned();
    log.push("-wal");
    if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        return Err(Failure::usage(format!(
            "{} is in use: it has a write-ahead log\nhint: wait for the run to end, or name another file with -o",
            shown(output)
        )));
    }
    Ok(())
}

fn parts_of(copy: Store, given: &Path) -> Result<Vec<Part>, Failure> {
    let from = shown(given);
    let found = Reader::from(copy).newest_parts()?;
    if found.is_empty() {
        return Err(Failure::usage(format!(
            "{from} has no run\nhint: leave it out"
        )));
    }
    found
        .into_iter()
        .map(|part| {
            let (Some(suite), Some(shard)) = (part.suite, part.shard) else {
                return Err(Failure::usage(format!(
                    "{from}: its newest run, {}, does not say which suite it is of\nhint: run the shard again with this docker-test",
                    part.run
                )));
            };
            Ok(Part {
                from: from.clone(),
                run: part.run,
                suite,
                shard,
                profiles: part.profiles.unwrap_or_default(),
                image_digests: part.image_digests,
                planned: part.planned,
                elsewhere: part.elsewhere,
                finals: part.finals,
            })
        })
        .collect()
}

fn shown(path: &Path) -> String {
    escape(path.as_os_str().as_encoded_bytes())
}
