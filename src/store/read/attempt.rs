//! Attempts, with what belongs to them.

use std::sync::LazyLock;

use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;

use super::{AnyBytes, Reader, unsigned};
use crate::model::{
    ByteText, Leak, Resources, Series, Source, Spread, Statistics, ViolationKind, ViolationSeverity,
};
use crate::store::columns::ATTEMPT;
use crate::store::{StoreError, series};

/// An attempt as it was recorded. What an older version did not record is absent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StoredAttempt {
    /// The run.
    pub run: String,
    /// The test's id.
    pub test: ByteText,
    /// The how-many-eth attempt in its run, from 1.
    pub attempt: u32,
    /// Whether another followed in the same run.
    pub superseded: bool,
    /// The outcome's word.
    pub outcome: String,
    /// Its reason.
    pub reason: Option<String>,
    /// `exit(1)`, `SIGSEGV`.
    pub termination: Option<String>,
    /// `wall`, `cpu`, `output-limit`, `interrupt`.
    pub stopped: Option<String>,
    /// Whether TERM was not enough.
    pub escalated: bool,
    /// `busy`, `starved`, `idle`.
    pub timeout_state: Option<String>,
    /// The profile.
    pub profile: String,
    /// The image.
    pub image: String,
    /// The worker, and its place in that.
    pub worker: Option<u64>,
    /// From 1.
    pub sequence: Option<u64>,
    /// Microseconds since 1970.
    pub started_unix_us: Option<u64>,
    /// How long the reset after it took, in nanoseconds.
    pub reset_ns: Option<u64>,
    /// Written, kept or not.
    pub stdout_bytes: u64,
    /// Written, kept or not.
    pub stderr_bytes: u64,
    /// What it left behind.
    pub leaks: Vec<Leak>,
    /// Absent where nothing was measured.
    pub resources: Option<Resources>,
    /// Of its samples.
    pub statistics: Option<Statistics>,
}

/// What an attempt wrote to one stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoredOutput {
    /// `stdout`, `stderr`.
    pub stream: String,
    /// The beginning.
    pub head: ByteText,
    /// Bytes that were dropped behind it.
    pub dropped_bytes: u64,
    /// The end.
    pub tail: ByteText,
}

/// A violation as it was recorded.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StoredViolation {
    /// The test's id.
    pub test: ByteText,
    /// The attempt.
    pub attempt: u32,
    /// What kind; absent where a newer version wrote a kind that is not known here.
    pub kind: Option<ViolationKind>,
    /// How much it matters.
    pub severity: ViolationSeverity,
    /// In the kind's unit.
    pub threshold: Option<f64>,
    /// In the kind's unit.
    pub actual: Option<f64>,
    /// For people.
    pub message: String,
}

/// The columns that [`attempt`] reads, in its order: those that are written, with the test's id for
/// its number.
pub(super) static COLUMNS: LazyLock<String> = LazyLock::new(|| {
    let mut columns = ATTEMPT;
    (columns[0], columns[1]) = ("attempts.run", "tests.id");
    columns.join(", ")
});

impl Reader {
    /// Hands every attempt of a run to `take`, in order of test and attempt, one at a time: a run
    /// may have a hundred thousand.
    ///
    /// # Errors
    /// SQLite's own.
    pub fn each_attempt(
        &self,
        run: &str,
        mut take: impl FnMut(StoredAttempt),
    ) -> Result<(), StoreError> {
        self.ask(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {} FROM attempts JOIN tests USING (test) WHERE run = ?1
                 ORDER BY test, attempt",
                *COLUMNS
            ))?;
            let rows = statement.query_map([run], attempt)?;
            for row in rows {
                take(row?);
            }
            Ok(())
        })
    }

    /// The attempts at a test in a run, in order.
    ///
    /// # Errors
    /// SQLite's own.
    pub fn attempts_of(
        &self,
        run: &str,
        test: &ByteText,
    ) -> Result<Vec<StoredAttempt>, StoreError> {
        let Some(key) = self.test_key(test)? else {
            return Ok(Vec::new());
        };
        self.ask(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {} FROM attempts JOIN tests USING (test)
                     WHERE run = ?1 AND test = ?2 ORDER BY attempt",
                    *COLUMNS
                ))?
                .query_map(params![run, key], attempt)?
                .collect()
        })
    }

    /// The newest attempts at a test over all runs, newest first, at most so many.
    ///
    /// # Errors
    /// SQLite's own.
    pub fn history(&self, test: &ByteText, at_most: u64) -> Result<Vec<StoredAttempt>, StoreError> {
        let Some(key) = self.test_key(test)? else {
            return Ok(Vec::new());
        };
        self.ask(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {} FROM attempts JOIN tests USING (test)
                     WHERE test = ?1 ORDER BY started_unix_us DESC LIMIT ?2",
                    *COLUMNS
                ))?
                .query_map(params![key, at_most.cast_signed().max(0)], attempt)?
                .collect()
        })
    }

    /// The violations of a run, of one test or of all, in order.
    ///
    /// # Errors
    /// SQLite's own.
    pub fn violations(
        &self,
        run: &str,
        test: Option<&ByteText>,
    ) -> Result<Vec<StoredViolation>, StoreError> {
        let key = match test {
            None => None,
            Some(test) => match self.test_key(test)? {
                None => return Ok(Vec::new()),
                key => key,
            },
        };
        self.ask(|connection| {
            connection
                .prepare_cached(
                    "SELECT tests.id, attempt, kind, severity, threshold, actual, message
                     FROM violations JOIN tests USING (test)
                     WHERE run = ?1 AND (?2 IS NULL OR test = ?2)
                     ORDER BY test, attempt, position",
                )?
                .query_map(params![run, key], violation)?
                .collect()
        })
    }

    /// The samples of an attempt; none where there were none.
    ///
    /// # Errors
    /// SQLite's own.
    pub fn series(&self, attempt: &StoredAttempt) -> Result<Series, StoreError> {
        let Some(key) = self.test_key(&attempt.test)? else {
            return Ok(Series::new());
        };
        let found = self.ask(|connection| {
            connection
                .prepare_cached(
                    "SELECT samples, data FROM series WHERE run = ?1 AND test = ?2 AND attempt = ?3",
                )?
                .query_row(params![attempt.run, key, attempt.attempt], |row| {
                    Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
                })
                .optional()
        })?;
        let decoded =
            found.and_then(|(samples, data)| series::decode(usize::try_from(samples).ok()?, &data));
        Ok(decoded.unwrap_or_default())
    }

    /// What an attempt wrote.
    ///
    /// # Errors
    /// SQLite's own.
    pub fn outputs(&self, attempt: &StoredAttempt) -> Result<Vec<StoredOutput>, StoreError> {
        let Some(key) = self.test_key(&attempt.test)? else {
            return Ok(Vec::new());
        };
        self.ask(|connection| {
            connection
                .prepare_cached(
                    "SELECT stream, head, dropped_bytes, tail FROM outputs
                     WHERE run = ?1 AND test = ?2 AND attempt = ?3 ORDER BY stream DESC",
                )?
                .query_map(params![attempt.run, key, attempt.attempt], |row| {
                    Ok(StoredOutput {
                        stream: row.get(0)?,
                        head: row.get::<_, AnyBytes>(1)?.0,
                        dropped_bytes: unsigned(row.get(2)?),
                        tail: row.get::<_, AnyBytes>(3)?.0,
                    })
                })?
                .collect()
        })
    }

    /// The number that stands for a test; `None` for one that was never planned.
    fn test_key(&self, test: &ByteText) -> Result<Option<i64>, StoreError> {
        self.ask(|connection| {
            connection
                .prepare_cached("SELECT test FROM tests WHERE id = ?1")?
                .query_row([crate::store::write::Bytes(test)], |row| row.get(0))
                .optional()
        })
    }
}

fn violation(row: &Row<'_>) -> rusqlite::Result<StoredViolation> {
    let (kind, severity): (String, String) = (row.get(2)?, row.get(3)?);
    let severities = ViolationSeverity::ALL.into_iter();
    Ok(StoredViolation {
        test: row.get::<_, AnyBytes>(0)?.0,
        attempt: row.get(1)?,
        kind: ViolationKind::ALL
            .into_iter()
            .find(|one| one.as_str() == kind),
        severity: severities
            .rev()
            .find(|one| one.as_str() == severity)
            .unwrap_or(ViolationSeverity::Info),
        threshold: row.get(4)?,
        actual: row.get(5)?,
        message: row.get(6)?,
    })
}

pub(super) fn attempt(row: &Row<'_>) -> rusqlite::Result<StoredAttempt> {
    let mut row = Columns { row, at: 0 };
    let leaks;
    Ok(StoredAttempt {
        run: row.next()?,
        test: row.next::<AnyBytes>()?.0,
        attempt: row.next()?,
        superseded: row.next()?,
        outcome: row.next()?,
        reason: row.next()?,
        termination: row.next()?,
        stopped: row.next()?,
        escalated: row.next()?,
        timeout_state: row.next()?,
        profile: row.next()?,
        image: row.next()?,
        worker: row.number()?,
        sequence: row.number()?,
        started_unix_us: row.number()?,
        reset_ns: row.number()?,
        stdout_bytes: row.number()?.unwrap_or(0),
        stderr_bytes: row.number()?.unwrap_or(0),
        leaks: {
            leaks = row.next::<Option<String>>()?;
            leaks
                .and_then(|text| serde_json::from_str(&text).ok())
                .unwrap_or_default()
        },
        resources: resources(&mut row)?,
        statistics: statistics(&mut row)?,
    })
}

fn resources(row: &mut Columns<'_>) -> rusqlite::Result<Option<Resources>> {
    let wall_us = row.number()?;
    let found = Resources {
        wall_us: wall_us.unwrap_or(0),
        cpu_us: row.number()?,
        cpu_user_us: row.number()?,
        cpu_system_us: row.number()?,
        cpu_source: row.source()?,
        throttled_us: row.number()?,
        throttled_periods: row.number()?,
        memory_start_bytes: row.number()?,
        memory_peak_bytes: row.number()?,
        memory_peak_source: row.source()?,
        memory_peak_bound_bytes: row.number()?,
        memory_anon_bytes: row.number()?,
        memory_file_bytes: row.number()?,
        oom_kills: row.number()?,
        pids_peak: row.number()?,
        pids_peak_source: row.source()?,
        pids_limit_hits: row.number()?,
        io_read_bytes: row.number()?,
        io_write_bytes: row.number()?,
        cpu_pressure_us: row.number()?,
        memory_pressure_us: row.number()?,
        io_pressure_us: row.number()?,
        tmpfs_left_bytes: row.number()?,
    };
    Ok(wall_us.map(|_| found))
}

fn statistics(row: &mut Columns<'_>) -> rusqlite::Result<Option<Statistics>> {
    let samples = row.number()?;
    let found = Statistics {
        samples: samples.unwrap_or(0),
        cpu_percent: row.spread()?,
        memory_bytes: row.spread()?,
        open_files: row.spread()?,
        threads: row.spread()?,
    };
    Ok(samples.map(|_| found))
}

/// Reads a row's columns one after another.
struct Columns<'r> {
    row: &'r Row<'r>,
    at: usize,
}

impl Columns<'_> {
    fn next<T: rusqlite::types::FromSql>(&mut self) -> rusqlite::Result<T> {
        self.at += 1;
        self.row.get(self.at - 1)
    }

    fn number(&mut self) -> rusqlite::Result<Option<u64>> {
        Ok(self.next::<Option<i64>>()?.map(unsigned))
    }

    fn source(&mut self) -> rusqlite::Result<Option<Source>> {
        let word = self.next::<Option<String>>()?;
        Ok(word.and_then(|word| Source::ALL.into_iter().find(|one| one.as_str() == word)))
    }

    fn spread(&mut self) -> rusqlite::Result<Option<Spread>> {
        let samples = self.number()?;
        let (max, avg): (Option<f64>, Option<f64>) = (self.next()?, self.next()?);
        let (p95, p99) = (self.next()?, self.next()?);
        Ok(match (samples, max, avg) {
            (Some(samples), Some(max), Some(avg)) => Some(Spread {
                samples,
                max,
                avg,
                p95,
                p99,
            }),
            _ => None,
        })
    }
}
