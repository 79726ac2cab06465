//! Tests by their names, and runs by theirs.

use rusqlite::{OptionalExtension, params};

use super::run::{COLUMNS, run};
use super::top::limits_of;
use super::{AnyBytes, Reader, StoredAttempt, StoredRun};
use crate::model::{ByteText, Limits};
use crate::store::StoreError;
use crate::store::write::Bytes;

/// The recorded tests that a text stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TestsNamed {
    /// One: the text is its id, or a part that no other id has.
    One(ByteText),
    /// Several have it as a part of their ids: the first of them, and how many there are.
    Several(Vec<ByteText>, u64),
    /// None has.
    None,
}

impl Reader {
    /// The tests whose id is `text` or has it as a part. Of several, `at_most` are named.
    ///
    /// # Errors
    /// SQLite's own.
    pub fn tests_named(&self, text: &ByteText, at_most: usize) -> Result<TestsNamed, StoreError> {
        self.ask(|connection| {
            let exact = connection
                .prepare_cached("SELECT 1 FROM tests WHERE id = ?1")?
                .exists([Bytes(text)])?;
            if exact {
                return Ok(TestsNamed::One(text.clone()));
            }
            let mut statement = connection.prepare_cached(
                "SELECT id FROM tests WHERE instr(CAST(id AS BLOB), ?1) > 0 ORDER BY test",
            )?;
            let mut rows = statement.query([text.as_bytes()])?;
            let (mut named, mut count) = (Vec::new(), 0);
            while let Some(row) = rows.next()? {
                count += 1;
                if named.len() < at_most {
                    named.push(row.get::<_, AnyBytes>(0)?.0);
                }
            }
            Ok(match (named.pop(), count) {
                (None, _) => TestsNamed::None,
                (Some(only), 1) => TestsNamed::One(only),
                (Some(last), _) => {
                    named.push(last);
                    TestsNamed::Several(named, count)
                }
            })
        })
    }

    /// The ids of the tests that were recorded first, at most so many.
    ///
    /// # Errors
    /// SQLite's own.
    pub fn test_ids(&self, at_most: u64) -> Result<Vec<ByteText>, StoreError> {
        self.ask(|connection| {
            connection
                .prepare_cached("SELECT id FROM tests ORDER BY test LIMIT ?1")?
                .query_map([at_most.cast_signed().max(0)], |row| {
                    Ok(row.get::<_, AnyBytes>(0)?.0)
                })?
                .collect()
        })
    }

    /// The run with exactly this name.
    ///
    /// # Errors
    /// SQLite's own.
    pub fn run(&self, name: &str) -> Result<Option<StoredRun>, StoreError> {
        self.ask(|connection| {
            connection
                .prepare_cached(&format!("SELECT {COLUMNS} FROM runs WHERE run = ?1"))?
                .query_row([name], run)
                .optional()
        })
    }

    /// How many violations an attempt has that are no mere information.
    ///
    /// # Errors
    /// SQLite's own.
    pub fn violation_count(&self, attempt: &StoredAttempt) -> Result<u64, StoreError> {
        self.ask(|connection| {
            connection
                .prepare_cached(
                    "SELECT count(*) FROM violations
                     WHERE run = ?1 AND test = (SELECT test FROM tests WHERE id = ?2)
                     AND attempt = ?3 AND severity <> 'info'",
                )?
                .query_row(
                    params![attempt.run, Bytes(&attempt.test), attempt.attempt],
                    |row| row.get::<_, i64>(0).map(super::unsigned),
                )
        })
    }
}

impl StoredRun {
    /// The limits of one of its profiles; absent for a run of an older version.
    pub fn limits(&self, profile: &str) -> Option<Limits> {
        limits_of(&mut self.profiles.clone()?, profile)
    }
}
