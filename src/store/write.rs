//! From events to rows. Each function is one kind of event, inside the caller's transaction.

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

use crate::event::{Attempt, Captured, Event, RunFinished, RunStarted, WorkerEnded, WorkerStarted};
use crate::model::{ByteText, Clock, ProfileOrigin, Resources, StopReason, TestId};

/// Writes what `event` says about `run`; what is there of it already is replaced.
///
/// # Errors
/// SQLite's own: full, damaged, an input or output error.
pub fn event(connection: &Connection, run: &str, event: &Event) -> rusqlite::Result<()> {
    match event {
        Event::RunStarted(started) => run_started(connection, started),
        Event::WorkerStarted(started) => worker_started(connection, run, started),
        Event::WorkerEnded(ended) => worker_ended(connection, run, ended),
        Event::AttemptFinished(attempt) => attempt_finished(connection, run, attempt),
        Event::RunFinished(finished) => run_finished(connection, run, finished),
        Event::Progress(_) | Event::Notice(_) => Ok(()),
    }
}

/// A run that is there already stays: replacing its row would remove every row that refers to it.
fn run_started(connection: &Connection, started: &RunStarted) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO runs (run, started_unix_us, version, engine, host, project, images,
                               workers, planned, level, network, allow_weaker)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
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

fn attempt_finished(connection: &Connection, run: &str, attempt: &Attempt) -> rusqlite::Result<()> {
    let test = test_key(connection, &attempt.test)?;
    let used = attempt.resources.as_ref();
    let figure = |of: fn(&Resources) -> Option<u64>| used.and_then(of).map(int);
    let leaks = match attempt.leaks.as_slice() {
        [] => None,
        leaks => Some(json(&leaks)?),
    };
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO attempts (
                 run, test, attempt, superseded, outcome, reason, termination, stopped, escalated,
                 profile, image, worker, sequence, started_unix_us, wall_us, cpu_us, cpu_source,
                 throttled_us, memory_start_bytes, memory_peak_bytes, memory_peak_source,
                 memory_peak_bound_bytes, oom_kills, pids_limit_hits, reset_ns, stdout_bytes,
                 stderr_bytes, leaks)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,
                     ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28)",
        )?
        .execute(params![
            run,
            test,
            attempt.attempt,
            attempt.superseded,
            attempt.outcome.kind().as_str(),
            attempt.reason,
            attempt.termination.map(|t| t.to_string()),
            attempt.stopped.map(stopped),
            attempt.escalated,
            attempt.profile,
            attempt.image,
            attempt.worker.map(int),
            attempt.sequence.map(int),
            attempt.started_unix_us.map(int),
            used.map(|used| int(used.wall_us)),
            figure(|used| used.cpu_us),
            used.and_then(|used| used.cpu_source).map(|s| s.as_str()),
            figure(|used| used.throttled_us),
            figure(|used| used.memory_start_bytes),
            figure(|used| used.memory_peak_bytes),
            used.and_then(|used| used.memory_peak_source)
                .map(|s| s.as_str()),
            figure(|used| used.memory_peak_bound_bytes),
            figure(|used| used.oom_kills),
            figure(|used| used.pids_limit_hits),
            attempt.reset_ns.map(int),
            int(attempt.stdout.total_bytes),
            int(attempt.stderr.total_bytes),
            leaks,
        ])?;
    output(connection, run, test, attempt, "stdout", &attempt.stdout)?;
    output(connection, run, test, attempt, "stderr", &attempt.stderr)
}

/// Writes one stream of an attempt whose row has just been written: replacing that row removed what
/// there was of its outputs.
fn output(
    connection: &Connection,
    run: &str,
    test: i64,
    attempt: &Attempt,
    stream: &str,
    captured: &Captured,
) -> rusqlite::Result<()> {
    if captured.total_bytes == 0 {
        return Ok(());
    }
    connection
        .prepare_cached(
            "INSERT INTO outputs (run, test, attempt, stream, head, dropped_bytes, tail)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            run,
            test,
            attempt.attempt,
            stream,
            captured.head.as_bytes(),
            int(captured.dropped_bytes),
            captured.tail.as_bytes(),
        ])?;
    Ok(())
}

fn run_finished(
    connection: &Connection,
    run: &str,
    finished: &RunFinished,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE runs SET wall_us = ?2, engine_version = ?3, interrupted = ?4, exit_status = ?5
             WHERE run = ?1",
        )?
        .execute(params![
            run,
            int(finished.wall_us),
            finished.engine_version,
            finished.interrupted,
            finished.exit_status,
        ])?;
    Ok(())
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
struct Bytes<'a>(&'a ByteText);

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

fn stopped(reason: StopReason) -> &'static str {
    match reason {
        StopReason::Timeout(Clock::Wall) => "wall",
        StopReason::Timeout(Clock::Cpu) => "cpu",
        StopReason::OutputLimit => "output-limit",
        StopReason::Interrupt => "interrupt",
    }
}
