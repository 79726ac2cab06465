//! Runs and their workers.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;
use serde_json::Value;

use super::{AnyBytes, Reader, unsigned};
use crate::model::{ByteText, ContentDigest};
use crate::store::StoreError;

/// A run as it was recorded. What an older version did not record is absent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StoredRun {
    /// 16 hexadecimal digits.
    pub run: String,
    /// Microseconds since 1970.
    pub started_unix_us: u64,
    /// Absent: it never ended in order.
    pub wall_us: Option<u64>,
    /// Of this program.
    pub version: String,
    /// `docker`, `podman`, `sandbox`, `host`.
    pub engine: String,
    /// Its version.
    pub engine_version: Option<String>,
    /// The machine's name.
    pub host: String,
    /// What has to be the same for figures of two runs to be compared.
    pub machine: Option<String>,
    /// The project's root.
    pub project: ByteText,
    /// The images in use.
    pub images: Vec<String>,
    /// Workers at most at once.
    pub workers: u64,
    /// How many tests were planned.
    pub planned: u64,
    /// Absent: it never ended in order.
    pub exit_status: Option<i64>,
    /// The signal that interrupted it.
    pub interrupted: Option<i64>,
    /// The level.
    pub level: Option<String>,
    /// The network.
    pub network: Option<String>,
    /// What names the content of each image, by its word, where that was recorded.
    pub image_digests: BTreeMap<String, ContentDigest>,
    /// The limits of each profile, as `Limits` serialises: durations as `{secs, nanos}`.
    pub profiles: Option<Value>,
}

/// A worker as it was recorded.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StoredWorker {
    /// Its number in the run, from 1.
    pub worker: u64,
    /// Absent, with the next four: it never said hello.
    pub profile: Option<String>,
    /// Its image.
    pub image: Option<String>,
    /// From the engine's call to hello, in microseconds.
    pub start_us: Option<u64>,
    /// What it read back from inside.
    pub attestation: Option<Value>,
    /// `[{limit, state, found}]`.
    pub limits: Option<Value>,
    /// Attempts that it reported; absent: it never ended in order.
    pub tests: Option<u64>,
    /// Absent: it said goodbye.
    pub problem: Option<String>,
}

pub(super) const COLUMNS: &str =
    "run, started_unix_us, wall_us, version, engine, engine_version, host, machine,
    project, images, workers, planned, exit_status, interrupted, level, network, profiles,
    image_digests";

impl Reader {
    /// The newest runs, newest first, at most so many.
    ///
    /// # Errors
    /// SQLite's own.
    pub fn runs(&self, at_most: u64) -> Result<Vec<StoredRun>, StoreError> {
        self.ask(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM runs ORDER BY started_unix_us DESC LIMIT ?1"
                ))?
                .query_map([at_most.cast_signed().max(0)], run)?
                .collect()
        })
    }

    /// The runs whose name begins with `start`, newest first, at most two: enough to see whether it
    /// is one.
    ///
    /// # Errors
    /// SQLite's own.
    pub fn runs_named(&self, start: &str) -> Result<Vec<StoredRun>, StoreError> {
        self.ask(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM runs WHERE substr(run, 1, length(?1)) = ?1
                     ORDER BY started_unix_us DESC LIMIT 2"
                ))?
                .query_map([start], run)?
                .collect()
        })
    }

    /// The newest run before this one; `None` where it is the first.
    ///
    /// # Errors
    /// SQLite's own.
    pub fn run_before(&self, later: &StoredRun) -> Result<Option<StoredRun>, StoreError> {
        self.ask(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM runs WHERE started_unix_us < ?1
                     ORDER BY started_unix_us DESC LIMIT 1"
                ))?
                .query_row([later.started_unix_us.cast_signed()], run)
                .optional()
        })
    }

    /// The workers of a run, in order.
    ///
    /// # Errors
    /// SQLite's own.
    pub fn workers(&self, run: &str) -> Result<Vec<StoredWorker>, StoreError> {
        self.ask(|connection| {
            connection
                .prepare_cached(
                    "SELECT worker, profile, image, start_us, attestation, limits, tests, problem
                     FROM workers WHERE run = ?1 ORDER BY worker",
                )?
                .query_map(params![run], |row| {
                    Ok(StoredWorker {
                        worker: unsigned(row.get(0)?),
                        profile: row.get(1)?,
                        image: row.get(2)?,
                        start_us: row.get::<_, Option<i64>>(3)?.map(unsigned),
                        attestation: row.get(4)?,
                        limits: row.get(5)?,
                        tests: row.get::<_, Option<i64>>(6)?.map(unsigned),
                        problem: row.get(7)?,
                    })
                })?
                .collect()
        })
    }
}

/// The digests in a column; what is none is left out.
pub(super) fn image_digests(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<BTreeMap<String, ContentDigest>> {
    let text: Option<String> = row.get(column)?;
    let all: BTreeMap<String, Value> = text
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    let digest = |(word, value): (String, Value)| {
        let digest = ContentDigest::parse(value.as_str()?)?;
        Some((word, digest))
    };
    Ok(all.into_iter().filter_map(digest).collect())
}

pub(super) fn run(row: &Row<'_>) -> rusqlite::Result<StoredRun> {
    let images: String = row.get(9)?;
    Ok(StoredRun {
        run: row.get(0)?,
        started_unix_us: unsigned(row.get(1)?),
        wall_us: row.get::<_, Option<i64>>(2)?.map(unsigned),
        version: row.get(3)?,
        engine: row.get(4)?,
        engine_version: row.get(5)?,
        host: row.get(6)?,
        machine: row.get(7)?,
        project: row.get::<_, AnyBytes>(8)?.0,
        images: serde_json::from_str(&images).unwrap_or_default(),
        workers: unsigned(row.get(10)?),
        planned: unsigned(row.get(11)?),
        exit_status: row.get(12)?,
        interrupted: row.get(13)?,
        level: row.get(14)?,
        network: row.get(15)?,
        profiles: row.get(16)?,
        image_digests: image_digests(row, 17)?,
    })
}
