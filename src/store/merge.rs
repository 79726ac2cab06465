//! One database from several, for `merge`.

use std::fs;
use std::path::Path;

use rusqlite::{Connection, params};

use super::{Store, StoreError, location, prune};

/// The tables with rows of a run, those that others refer to first.
const OF_A_RUN: [&str; 9] = [
    "runs",
    "workers",
    "planned",
    "elsewhere",
    "attempts",
    "outputs",
    "violations",
    "series",
    "peaks",
];

impl Store {
    /// Opens a copy of the database `file` in `folder`; the file itself is only read.
    ///
    /// # Errors
    /// It cannot be copied, or is not ours.
    pub fn copy_of(file: &Path, folder: &Path) -> Result<Store, StoreError> {
        let copy = |suffix: &str| {
            let mut from = file.as_os_str().to_owned();
            from.push(suffix);
            let to = folder.join(format!("{}{suffix}", location::FILE_NAME));
            match fs::copy(&from, to) {
                // What a launcher wrote last may still be in its log, or there is none.
                Err(error) if suffix == "-wal" && error.kind() == std::io::ErrorKind::NotFound => {
                    Ok(())
                }
                result => result.map(drop),
            }
        };
        copy("")
            .and_then(|()| copy("-wal"))
            .map_err(|error| StoreError::io(file, error))?;
        Store::open(folder)
    }

    /// Takes over the runs of another database: those that are not here, and those that are here
    /// without their end. How many.
    ///
    /// # Errors
    /// SQLite's own; nothing was taken over then.
    pub fn take_over(&mut self, other: &Path) -> Result<u64, StoreError> {
        let failed = |error| self.failed(error);
        let path = other.to_string_lossy();
        self.connection
            .execute("ATTACH ?1 AS other", [path])
            .map_err(failed)?;
        let taken = self.in_one(take_over);
        self.connection
            .execute("DETACH other", [])
            .map_err(failed)?;
        taken
    }

    /// Writes that runs are together the whole of a suite.
    ///
    /// # Errors
    /// SQLite's own.
    pub fn mark_merged(&mut self, runs: &[String], name: &str) -> Result<(), StoreError> {
        self.in_one(|connection| {
            for run in runs {
                connection.execute(
                    "UPDATE runs SET merged = ?2 WHERE run = ?1",
                    params![run, name],
                )?;
            }
            Ok(())
        })
    }
}

fn take_over(connection: &Connection) -> rusqlite::Result<u64> {
    let runs: Vec<String> = connection
        .prepare(
            "SELECT theirs.run FROM other.runs AS theirs LEFT JOIN main.runs AS ours USING (run)
             WHERE ours.run IS NULL OR ours.wall_us IS NULL AND theirs.wall_us IS NOT NULL",
        )?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    connection.execute(
        "INSERT INTO main.tests (id) SELECT id FROM other.tests
         WHERE id NOT IN (SELECT id FROM main.tests) ORDER BY test",
        [],
    )?;
    connection.execute_batch(
        "CREATE TEMP TABLE same AS SELECT theirs.test AS theirs, ours.test AS ours
         FROM other.tests AS theirs JOIN main.tests AS ours USING (id);
         CREATE UNIQUE INDEX temp.same_by_theirs ON same (theirs);",
    )?;
    for run in &runs {
        prune::remove(connection, run)?;
        for table in OF_A_RUN {
            let columns = columns(connection, table)?;
            let has_test = columns.iter().any(|column| column == "test");
            let (join, test) = if has_test {
                ("JOIN temp.same ON same.theirs = theirs.test", "same.ours")
            } else {
                ("", "")
            };
            let values: Vec<String> = columns
                .iter()
                .map(|column| match column.as_str() {
                    "test" => test.to_owned(),
                    column => format!("theirs.{column}"),
                })
                .collect();
            connection
                .prepare_cached(&format!(
                    "INSERT INTO main.{table} ({}) SELECT {} FROM other.{table} AS theirs {join}
                     WHERE theirs.run = ?1",
                    columns.join(", "),
                    values.join(", "),
                ))?
                .execute([run])?;
        }
    }
    connection.execute_batch("DROP TABLE temp.same")?;
    Ok(runs.len() as u64)
}

/// A table's columns; both databases have the same.
fn columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached("SELECT name FROM pragma_table_info(?1)")?
        .query_map([table], |row| row.get(0))?
        .collect()
}
