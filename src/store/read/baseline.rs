//! What a run is held against: the tests that were planned, and what they used before.

use rusqlite::{Row, params};

use super::{AnyBytes, Reader, unsigned};
use crate::model::{ByteText, Resources, Source};
use crate::store::StoreError;
use crate::store::write::Bytes;

/// Whose attempts are looked at.
#[derive(Clone, Copy, Debug)]
pub struct Where<'a> {
    /// Runs of this machine, as `runs.machine` names it.
    pub machine: &'a str,
    /// Runs with this engine.
    pub engine: &'a str,
    /// Runs that started before, in microseconds since 1970; absent: all.
    pub before_unix_us: Option<u64>,
}

/// An earlier attempt: how it ended, and what it used.
#[derive(Clone, Debug, PartialEq)]
pub struct PastAttempt {
    /// The outcome's word.
    pub outcome: String,
    /// Its reason.
    pub reason: Option<String>,
    /// The profile.
    pub profile: String,
    /// The image.
    pub image: String,
    /// Time, memory and processes; of the rest nothing is read.
    pub resources: Resources,
    /// The most open files of all its processes in a sample.
    pub open_files_max: Option<f64>,
    /// Written to both streams, kept or not.
    pub output_bytes: u64,
}

impl Reader {
    /// The ids of the tests that a run planned, in its order.
    ///
    /// # Errors
    /// SQLite's own.
    pub fn planned(&self, run: &str) -> Result<Vec<ByteText>, StoreError> {
        self.ask(|connection| {
            connection
                .prepare_cached(
                    "SELECT tests.id FROM planned JOIN tests USING (test) WHERE run = ?1
                     ORDER BY position",
                )?
                .query_map([run], |row| Ok(row.get::<_, AnyBytes>(0)?.0))?
                .collect()
        })
    }

    /// The newest attempts at a test that something was measured of, newest first, at most so many.
    ///
    /// # Errors
    /// SQLite's own.
    pub fn past(
        &self,
        test: &ByteText,
        place: Where<'_>,
        at_most: u64,
    ) -> Result<Vec<PastAttempt>, StoreError> {
        let before = place
            .before_unix_us
            .map_or(i64::MAX, |before| before.cast_signed().max(0));
        self.ask(|connection| {
            connection
                .prepare_cached(
                    "SELECT outcome, reason, profile, image, wall_us, cpu_us, cpu_source,
                            memory_start_bytes, memory_peak_bytes, memory_peak_source,
                            memory_peak_bound_bytes, pids_peak, pids_peak_source, tmpfs_left_bytes,
                            open_files_max, stdout_bytes + stderr_bytes
                     FROM attempts
                     WHERE test = (SELECT test FROM tests WHERE id = ?1) AND wall_us IS NOT NULL
                         AND EXISTS (SELECT 1 FROM runs WHERE runs.run = attempts.run
                                     AND runs.machine = ?2 AND runs.engine = ?3
                                     AND runs.started_unix_us < ?4)
                     ORDER BY started_unix_us DESC LIMIT ?5",
                )?
                .query_map(
                    params![
                        Bytes(test),
                        place.machine,
                        place.engine,
                        before,
                        at_most.cast_signed().max(0)
                    ],
                    past,
                )?
                .collect()
        })
    }
}

fn past(row: &Row<'_>) -> rusqlite::Result<PastAttempt> {
    let number =
        |at| -> rusqlite::Result<Option<u64>> { Ok(row.get::<_, Option<i64>>(at)?.map(unsigned)) };
    let source = |at| -> rusqlite::Result<Option<Source>> {
        let word: Option<String> = row.get(at)?;
        Ok(word.and_then(|word| Source::ALL.into_iter().find(|one| one.as_str() == word)))
    };
    Ok(PastAttempt {
        outcome: row.get(0)?,
        reason: row.get(1)?,
        profile: row.get(2)?,
        image: row.get(3)?,
        resources: Resources {
            wall_us: number(4)?.unwrap_or(0),
            cpu_us: number(5)?,
            cpu_source: source(6)?,
            memory_start_bytes: number(7)?,
            memory_peak_bytes: number(8)?,
            memory_peak_source: source(9)?,
            memory_peak_bound_bytes: number(10)?,
            pids_peak: number(11)?,
            pids_peak_source: source(12)?,
            tmpfs_left_bytes: number(13)?,
            ..Resources::default()
        },
        open_files_max: row.get(14)?,
        output_bytes: number(15)?.unwrap_or(0),
    })
}
