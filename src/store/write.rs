//! From events to rows. Each function is one kind of event, inside the caller's transaction.

mod attempt;
mod peaks;

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

use crate::event::{Event, RunFinished, RunStarted, WorkerEnded, WorkerStarted};
use crate::model::{ByteText, ProfileOrigin, TestId};

/// Writes what `event` says about `run`; what is there of it already is replaced.
///
/// # Errors
/// SQLite's own: full, damaged, an input or output error.
pub fn event(connection: &Connection, run: &str, event: &Event) -> rusqlite::Result<()> {
    match event {
        Event::RunStarted(started) => run_started(connection, started),
        Event::WorkerStarted(started) => worker_started(connection, run, started),
        Event::WorkerEnded(ended) => worker_ended(connection, run, ended),
        Event::AttemptFinished(finished) => attempt::finished(connection, run, finished),
        Event::RunFinished(finished) => run_finished(connection, run, finished),
        Event::Progress(_) | Event::Notice(_) => Ok(()),
    }
}

/// A run that is there already stays: replacing its row would remove every row that refers to it.
fn run_started(connection: &Connection, started: &RunStarted) -> rusqlite::Result<()> {
    let division = started.division.as_ref();
    connection
        .prepare_cached(
            "INSERT INTO runs (run, started_unix_us, version, engine, host, project, images,
                               workers, planned, level, network, allow_weaker, machine, profiles,
                               suite, shard, shards, history, seed)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14,
                     ?15, ?16, ?17, ?18, ?19)
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            started.run,
            int(started.started_unix_us),
            started.version,
            started.engine,
            started.host,
            Bytes(&started.project),
            json(&started.images)?,
            int(started.workers as u64),
            int(started.tests.len() as u64),
            started.level.as_str(),
            started.network.as_str(),
            started.allow_weaker,
            started.machine,
            json(&started.profiles)?,
            started.suite,
            division.map(|division| division.shard.shard),
            division.map(|division| division.shard.shards),
            division.and_then(|division| division.history.as_deref()),
            started.seed,
        ])?;
    let mut planned = connection.prepare_cached(
        "INSERT OR REPLACE INTO planned (run, position, test, profile, origin, image)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for (index, test) in started.tests.iter().enumerate() {
        planned.execute(params![
            started.run,
            int(index as u64 + 1),
            test_key(connection, &test.id)?,
            test.profile,
            origin(test.origin),
            test.image.to_string(),
        ])?;
    }
    let mut others = connection.prepare_cached(
        "INSERT OR REPLACE INTO elsewhere (run, test, shard, profile, image)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for (test, shard) in division
        .map(|division| division.elsewhere.iter())
        .into_iter()
        .flatten()
    {
        others.execute(params![
            started.run,
            test_key(connection, &test.id)?,
            shard,
            test.profile,
            test.image.to_string(),
        ])?;
    }
    Ok(())
}

fn worker_started(
    connection: &Connection,
    run: &str,
    started: &WorkerStarted,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO workers (run, worker, profile, image, start_us, attestation, limits)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT DO UPDATE SET
                 profile = excluded.profile, image = excluded.image,
                 start_us = excluded.start_us, attestation = excluded.attestation,
                 limits = excluded.limits",
        )?
        .execute(params![
            run,
            int(started.worker),
            started.profile,
            started.image,
            int(started.start_us),
            json(&started.attestation)?,
            json(&started.limits)?,
        ])?;
    Ok(())
}

fn worker_ended(connection: &Connection, run: &str, ended: &WorkerEnded) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO workers (run, worker, tests, problem) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET tests = excluded.tests, problem = excluded.problem",
        )?
        .execute(params![
            run,
            int(ended.worker),
            int(ended.tests),
            ended.problem
        ])?;
    Ok(())
}

fn run_finished(
    connection: &Connection,
    run: &str,
    finished: &RunFinished,
) -> rusqlite::Result<()> {
    let digests = Some(&finished.image_digests).filter(|digests| !digests.is_empty());
    let digests = digests.map(json).transpose()?;
    connection
        .prepare_cached(
            "UPDATE runs SET wall_us = ?2, engine_version = ?3, interrupted = ?4, exit_status = ?5,
                             image_digests = ?6, ranked = 1
             WHERE run = ?1",
        )?
        .execute(params![
            run,
            int(finished.wall_us),
            finished.engine_version,
            finished.interrupted,
            finished.exit_status,
            digests,
        ])?;
    peaks::keep(connection, run)
}

/// The number that stands for a test in every other table.
fn test_key(connection: &Connection, id: &TestId) -> rusqlite::Result<i64> {
    let id = Bytes(id.text());
    let known = connection
        .prepare_cached("SELECT test FROM tests WHERE id = ?1")?
        .query_row([&id], |row| row.get(0))
        .optional()?;
    match known {
        Some(test) => Ok(test),
        None => connection
            .prepare_cached("INSERT INTO tests (id) VALUES (?1)")?
            .insert([&id]),
    }
}

/// TEXT where the bytes are UTF-8, so that people can read and compare it; else a BLOB.
pub struct Bytes<'a>(pub &'a ByteText);

impl ToSql for Bytes<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0.as_str() {
            Some(text) => ValueRef::Text(text.as_bytes()),
            None => ValueRef::Blob(self.0.as_bytes()),
        }))
    }
}

/// SQLite's integers are signed. What does not fit is "no limit" in the kernel's own words, and
/// the largest number says that as well.
fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn json(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))
}

fn origin(origin: ProfileOrigin) -> &'static str {
    match origin {
        ProfileOrigin::Default => "default",
        ProfileOrigin::Rule => "rule",
        ProfileOrigin::Marker => "marker",
        ProfileOrigin::CommandLine => "command-line",
    }
}
