//! An attempt: its row, its outputs, its violations and its samples.

use std::sync::LazyLock;

use rusqlite::{Connection, ToSql, params};

use super::{int, json, test_key};
use crate::event::{Attempt, Captured};
use crate::model::{Clock, Resources, Spread, StopReason};
use crate::store::columns::ATTEMPT;
use crate::store::series;

static INSERT: LazyLock<String> = LazyLock::new(|| {
    let marks = vec!["?"; ATTEMPT.len()].join(", ");
    format!(
        "INSERT OR REPLACE INTO attempts ({}) VALUES ({marks})",
        ATTEMPT.join(", ")
    )
});

/// Writes an attempt; what is there of it already is replaced.
pub fn finished(connection: &Connection, run: &str, attempt: &Attempt) -> rusqlite::Result<()> {
    let test = test_key(connection, &attempt.test)?;
    let leaks = match attempt.leaks.as_slice() {
        [] => None,
        leaks => Some(json(&leaks)?),
    };
    let mut row: Vec<Box<dyn ToSql>> = vec![
        Box::new(run.to_owned()),
        Box::new(test),
        Box::new(attempt.attempt),
        Box::new(attempt.superseded),
        Box::new(attempt.outcome.kind().as_str()),
        Box::new(attempt.reason.clone()),
        Box::new(attempt.termination.map(|t| t.to_string())),
        Box::new(attempt.stopped.map(stopped)),
        Box::new(attempt.escalated),
        Box::new(attempt.timeout_state.map(|state| state.as_str())),
        Box::new(attempt.profile.clone()),
        Box::new(attempt.image.clone()),
        Box::new(attempt.worker.map(int)),
        Box::new(attempt.sequence.map(int)),
        Box::new(attempt.started_unix_us.map(int)),
        Box::new(attempt.reset_ns.map(int)),
        Box::new(int(attempt.stdout.total_bytes)),
        Box::new(int(attempt.stderr.total_bytes)),
        Box::new(leaks),
    ];
    row.extend(figures(attempt.resources.as_ref()));
    let statistics = attempt.statistics.as_ref();
    row.push(Box::new(statistics.map(|all| int(all.samples))));
    for spread in [
        statistics.and_then(|all| all.cpu_percent),
        statistics.and_then(|all| all.memory_bytes),
        statistics.and_then(|all| all.open_files),
        statistics.and_then(|all| all.threads),
    ] {
        row.extend(spread_row(spread));
    }
    connection
        .prepare_cached(&INSERT)?
        .execute(rusqlite::params_from_iter(row))?;
    output(connection, run, test, attempt, "stdout", &attempt.stdout)?;
    output(connection, run, test, attempt, "stderr", &attempt.stderr)?;
    violations(connection, run, test, attempt)?;
    samples(connection, run, test, attempt)
}

fn figures(used: Option<&Resources>) -> Vec<Box<dyn ToSql>> {
    let number = |of: fn(&Resources) -> Option<u64>| -> Box<dyn ToSql> {
        Box::new(used.and_then(of).map(int))
    };
    let word = |source: Option<crate::model::Source>| -> Box<dyn ToSql> {
        Box::new(source.map(|source| source.as_str()))
    };
    vec![
        number(|used| Some(used.wall_us)),
        number(|used| used.cpu_us),
        number(|used| used.cpu_user_us),
        number(|used| used.cpu_system_us),
        word(used.and_then(|used| used.cpu_source)),
        number(|used| used.throttled_us),
        number(|used| used.throttled_periods),
        number(|used| used.memory_start_bytes),
        number(|used| used.memory_peak_bytes),
        word(used.and_then(|used| used.memory_peak_source)),
        number(|used| used.memory_peak_bound_bytes),
        number(|used| used.memory_anon_bytes),
        number(|used| used.memory_file_bytes),
        number(|used| used.oom_kills),
        number(|used| used.pids_peak),
        word(used.and_then(|used| used.pids_peak_source)),
        number(|used| used.pids_limit_hits),
        number(|used| used.io_read_bytes),
        number(|used| used.io_write_bytes),
        number(|used| used.cpu_pressure_us),
        number(|used| used.memory_pressure_us),
        number(|used| used.io_pressure_us),
        number(|used| used.tmpfs_left_bytes),
    ]
}

fn spread_row(spread: Option<Spread>) -> [Box<dyn ToSql>; 5] {
    [
        Box::new(spread.map(|spread| int(spread.samples))),
        Box::new(spread.map(|spread| spread.max)),
        Box::new(spread.map(|spread| spread.avg)),
        Box::new(spread.and_then(|spread| spread.p95)),
        Box::new(spread.and_then(|spread| spread.p99)),
    ]
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

/// As with its outputs: replacing the row removed what there was.
fn violations(
    connection: &Connection,
    run: &str,
    test: i64,
    attempt: &Attempt,
) -> rusqlite::Result<()> {
    for (at, violation) in attempt.violations.iter().enumerate() {
        connection
            .prepare_cached(
                "INSERT INTO violations (run, test, attempt, position, kind, severity, threshold,
                                         actual, unit, message)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .execute(params![
                run,
                test,
                attempt.attempt,
                int(at as u64 + 1),
                violation.kind.as_str(),
                violation.severity.as_str(),
                violation.threshold,
                violation.actual,
                violation.kind.unit(),
                violation.message,
            ])?;
    }
    Ok(())
}

/// One sample is no series: what it says is in the row.
fn samples(
    connection: &Connection,
    run: &str,
    test: i64,
    attempt: &Attempt,
) -> rusqlite::Result<()> {
    if attempt.series.len() < 2 {
        return Ok(());
    }
    connection
        .prepare_cached(
            "INSERT INTO series (run, test, attempt, samples, data) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            run,
            test,
            attempt.attempt,
            int(attempt.series.len() as u64),
            series::encode(&attempt.series),
        ])?;
    Ok(())
}

fn stopped(reason: StopReason) -> &'static str {
    match reason {
        StopReason::Timeout(Clock::Wall) => "wall",
        StopReason::Timeout(Clock::Cpu) => "cpu",
        StopReason::OutputLimit => "output-limit",
        StopReason::Interrupt => "interrupt",
    }
}
