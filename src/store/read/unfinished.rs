//! Tests of a run that are to be run again.

use std::collections::BTreeSet;

use rusqlite::params;

use super::{AnyBytes, Reader};
use crate::model::ByteText;
use crate::store::StoreError;

impl Reader {
    /// The tests of a run that are not good: neither passed nor skipped, or without a last word.
    ///
    /// # Errors
    /// SQLite's own.
    pub fn not_good(&self, run: &str) -> Result<BTreeSet<ByteText>, StoreError> {
        self.without(run, "'pass', 'skip'")
    }

    /// The tests of a run that it never came to: without a last word, or never started.
    ///
    /// # Errors
    /// SQLite's own.
    pub fn not_run(&self, run: &str) -> Result<BTreeSet<ByteText>, StoreError> {
        self.without(
            run,
            "'pass', 'skip', 'fail', 'timeout', 'oom', 'crash', 'lost'",
        )
    }

    /// The planned tests whose last word is none of these.
    fn without(&self, run: &str, outcomes: &str) -> Result<BTreeSet<ByteText>, StoreError> {
        self.ask(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT tests.id FROM planned JOIN tests USING (test)
                     LEFT JOIN attempts ON attempts.run = planned.run
                         AND attempts.test = planned.test AND NOT attempts.superseded
                     WHERE planned.run = ?1
                         AND (attempts.run IS NULL OR attempts.outcome NOT IN ({outcomes}))"
                ))?
                .query_map(params![run], |row| Ok(row.get::<_, AnyBytes>(0)?.0))?
                .collect()
        })
    }
}
