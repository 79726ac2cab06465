//! Removes old runs, for `db prune`: in steps that a launcher which writes beside it hardly waits for.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{Store, StoreError, patiently};

/// Tables with rows of a run, those that refer to others first.
const OF_A_RUN: [&str; 8] = [
    "series",
    "violations",
    "outputs",
    "peaks",
    "planned",
    "elsewhere",
    "workers",
    "attempts",
];

/// Pages that are given back in one step: some milliseconds.
const STEP_PAGES: u64 = 2_000;

/// What was removed, or would be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Runs.
    pub runs: u64,
    /// Their attempts.
    pub attempts: u64,
    /// Names of tests that nothing refers to any more.
    pub tests: u64,
    /// By how much the database shrank, in bytes.
    pub bytes: u64,
    /// Runs that are as old and may still be running.
    pub running: u64,
    /// What is free in the database and stays there for later runs, in bytes.
    pub kept_bytes: u64,
}

impl Store {
    /// Removes the runs that began before `before_unix_us`, with everything that belongs to them
    /// alone, and gives their space back. A run without an end is left alone if it showed a sign of
    /// life since `alive_unix_us`. With `dry` says what it would remove, less the space.
    ///
    /// # Errors
    /// SQLite's own; each run is removed as a whole or not at all.
    pub fn prune(
        &mut self,
        before_unix_us: u64,
        alive_unix_us: u64,
        dry: bool,
    ) -> Result<Pruned, StoreError> {
        let failed = |error| self.failed(error);
        let mut pruned = Pruned::default();
        let (old, running) =
            candidates(&self.connection, before_unix_us, alive_unix_us).map_err(failed)?;
        pruned.running = running;
        for run in &old {
            pruned.runs += 1;
            pruned.attempts += if dry {
                attempts(&self.connection, run).map_err(failed)?
            } else {
                self.in_one(|connection| remove(connection, run))?
            };
        }
        if dry {
            return Ok(pruned);
        }
        let before = self.pages().map_err(failed)?;
        pruned.tests = self.remove_tests()?;
        self.give_back(alive_unix_us)?;
        let after = self.pages().map_err(failed)?;
        pruned.bytes = before.0.saturating_sub(after.0) * after.2;
        pruned.kept_bytes = after.1 * after.2;
        Ok(pruned)
    }

    /// Does something in a transaction of its own.
    pub(super) fn in_one<T>(
        &self,
        action: impl Fn(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let done = || {
            let transaction =
                Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
            let done = action(&transaction)?;
            transaction.commit()?;
            Ok(done)
        };
        patiently(self.patience, done).map_err(|error| self.failed(error))
    }

    /// Removes the tests that nothing refers to. What `planned` refers to is gathered at once under the
    /// lock, and only where a test has no attempt: to look it up for each, it would need an index.
    fn remove_tests(&self) -> Result<u64, StoreError> {
        let check = |on: bool| {
            self.connection
                .pragma_update(None, "foreign_keys", on)
                .map_err(|error| self.failed(error))
        };
        check(false)?;
        let removed = self.in_one(|connection| {
            connection.execute(
                "DELETE FROM tests
                 WHERE NOT EXISTS (SELECT 1 FROM attempts WHERE attempts.test = tests.test)
                 AND test NOT IN (SELECT test FROM planned)
                 AND test NOT IN (SELECT test FROM elsewhere)",
                [],
            )
        });
        check(true)?;
        Ok(removed? as u64)
    }

    /// Shrinks the file by what is free in it. A database of an older version can only be rewritten
    /// as a whole, which nobody waits for while a run writes to it.
    fn give_back(&self, alive_unix_us: u64) -> Result<(), StoreError> {
        let failed = |error| self.failed(error);
        let connection = &self.connection;
        let (_, mut free, _) = self.pages().map_err(failed)?;
        let mode: i64 = connection
            .pragma_query_value(None, "auto_vacuum", |row| row.get(0))
            .map_err(failed)?;
        if mode == 2 {
            while free > 0 {
                let step =
                    || connection.pragma(None, "incremental_vacuum", STEP_PAGES as i64, |_| Ok(()));
                patiently(self.patience, step).map_err(failed)?;
                let (_, left, _) = self.pages().map_err(failed)?;
                if left >= free {
                    break;
                }
                free = left;
            }
        } else if free > 0 && !is_written(connection, alive_unix_us).map_err(failed)? {
            // The mode of a new database, which was asked for at opening, takes effect too.
            patiently(self.patience, || connection.execute_batch("VACUUM")).map_err(failed)?;
        }
        // Somebody who reads keeps the log from being cut: it is then cut later.
        let _ = connection.pragma(None, "wal_checkpoint", "TRUNCATE", |_| Ok(()));
        Ok(())
    }

    /// The database's pages, those of them that are free, and a page's size in bytes.
    fn pages(&self) -> rusqlite::Result<(u64, u64, u64)> {
        let value = |name| {
            self.connection
                .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
                .map(i64::unsigned_abs)
        };
        Ok((
            value("page_count")?,
            value("freelist_count")?,
            value("page_size")?,
        ))
    }
}

/// The runs to remove, oldest first, and how many as old may still be running.
fn candidates(
    connection: &Connection,
    before_unix_us: u64,
    alive_unix_us: u64,
) -> rusqlite::Result<(Vec<String>, u64)> {
    let mut statement = connection.prepare(
        "SELECT run, wall_us IS NULL AND max(started_unix_us, coalesce(
                    (SELECT max(started_unix_us) FROM attempts WHERE attempts.run = runs.run), 0))
                >= ?2
         FROM runs WHERE started_unix_us < ?1 ORDER BY started_unix_us",
    )?;
    let mut rows = statement.query([before_unix_us.cast_signed(), alive_unix_us.cast_signed()])?;
    let (mut old, mut running) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        if row.get(1)? {
            running += 1;
        } else {
            old.push(row.get(0)?);
        }
    }
    Ok((old, running))
}

/// Whether a launcher may be writing: a run without an end shows a sign of life.
fn is_written(connection: &Connection, alive_unix_us: u64) -> rusqlite::Result<bool> {
    let now = i64::MAX.unsigned_abs();
    let running = candidates(connection, now, alive_unix_us)?.1;
    Ok(running > 0)
}

fn attempts(connection: &Connection, run: &str) -> rusqlite::Result<u64> {
    connection
        .prepare_cached("SELECT count(*) FROM attempts WHERE run = ?1")?
        .query_row([run], |row| row.get::<_, i64>(0))
        .map(i64::unsigned_abs)
}

/// Removes a run; how many attempts it had. Row by row through the foreign keys would take longer.
pub(super) fn remove(connection: &Connection, run: &str) -> rusqlite::Result<u64> {
    let mut attempts = 0;
    for table in OF_A_RUN {
        attempts = connection
            .prepare_cached(&format!("DELETE FROM {table} WHERE run = ?1"))?
            .execute([run])?;
    }
    connection
        .prepare_cached("DELETE FROM runs WHERE run = ?1")?
        .execute([run])?;
    Ok(attempts as u64)
}
