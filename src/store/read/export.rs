//! Attempts as they are in the database, every column, one at a time.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Statement};

use super::Reader;
use crate::store::StoreError;

/// A value of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// NULL: not measured, or none.
    Nothing,
    /// INTEGER.
    Integer(i64),
    /// REAL.
    Real(f64),
    /// TEXT or BLOB.
    Bytes(&'a [u8]),
}

impl Reader {
    /// The names of the runs that began at `since_unix_us` or later, oldest first.
    ///
    /// # Errors
    /// SQLite's own.
    pub fn runs_since(&self, since_unix_us: u64) -> Result<Vec<String>, StoreError> {
        self.ask(|connection| {
            connection
                .prepare_cached(
                    "SELECT run FROM runs WHERE started_unix_us >= ?1
                     ORDER BY started_unix_us, run",
                )?
                .query_map([since_unix_us.cast_signed()], |row| row.get(0))?
                .collect()
        })
    }

    /// The names of the columns that [`Reader::export`] has: those of `attempts`, with the test's id
    /// for its number.
    ///
    /// # Errors
    /// SQLite's own.
    pub fn export_columns(&self) -> Result<Vec<String>, StoreError> {
        self.ask(|connection| {
            let statement = export(connection)?;
            Ok(statement
                .column_names()
                .into_iter()
                .map(Into::into)
                .collect())
        })
    }

    /// Hands the attempts of a run to `take`, in order of test and attempt, until it says `false`;
    /// whether it never did.
    ///
    /// # Errors
    /// SQLite's own.
    pub fn export(
        &self,
        run: &str,
        mut take: impl FnMut(&[Cell<'_>]) -> bool,
    ) -> Result<bool, StoreError> {
        self.ask(|connection| {
            let mut statement = export(connection)?;
            let columns = statement.column_count();
            let mut rows = statement.query([run])?;
            while let Some(row) = rows.next()? {
                let cells: Vec<Cell<'_>> = (0..columns)
                    .map(|at| row.get_ref(at).map(cell))
                    .collect::<rusqlite::Result<_>>()?;
                if !take(&cells) {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }
}

fn export(connection: &Connection) -> rusqlite::Result<Statement<'_>> {
    let mut statement =
        connection.prepare("SELECT name FROM pragma_table_info('attempts') ORDER BY cid")?;
    let columns = statement
        .query_map([], |row| {
            let name: String = row.get(0)?;
            Ok(match name.as_str() {
                "test" => "tests.id AS test".into(),
                _ => format!("attempts.{name} AS {name}"),
            })
        })?
        .collect::<rusqlite::Result<Vec<String>>>()?;
    connection.prepare(&format!(
        "SELECT {} FROM attempts JOIN tests USING (test) WHERE run = ?1 ORDER BY attempts.test, attempt",
        columns.join(", ")
    ))
}

fn cell(value: ValueRef<'_>) -> Cell<'_> {
    match value {
        ValueRef::Null => Cell::Nothing,
        ValueRef::Integer(value) => Cell::Integer(value),
        ValueRef::Real(value) => Cell::Real(value),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Cell::Bytes(bytes),
    }
}
