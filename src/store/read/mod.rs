//! Reading what was recorded. Every query is bounded, by a run, a test or a number of rows.

mod attempt;
mod baseline;
mod durations;
mod export;
mod named;
mod part;
mod run;
mod top;
mod unfinished;

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};

use super::{PATIENCE, Store, StoreError};
use crate::model::ByteText;

pub use attempt::{StoredAttempt, StoredOutput, StoredViolation};
pub use baseline::{PastAttempt, Where};
pub use export::Cell;
pub use named::TestsNamed;

pub use run::{StoredRun, StoredWorker};
pub use top::TopTest;

/// The results database, open for reading. One of an older version is brought up to date first.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
    path: PathBuf,
}

impl Reader {
    /// Opens the database in the folder `results`; `None` where nothing was ever recorded there.
    ///
    /// # Errors
    /// What is there is not ours, or cannot be used.
    pub fn open(results: &Path) -> Result<Option<Reader>, StoreError> {
        let store = Store::existing(results)?;
        Ok(store.map(
            |Store {
                 connection, path, ..
             }| Reader { connection, path },
        ))
    }

    /// Where the database is, without symbolic links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs a query and says where the database is if it fails.
    fn ask<T>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        query(&self.connection)
            .map_err(|error| StoreError::database(&self.path, PATIENCE.as_secs(), error))
    }
}

/// TEXT or BLOB, as `Bytes` in `write` stores them.
struct AnyBytes(ByteText);

impl FromSql for AnyBytes {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                Ok(AnyBytes(ByteText::from(bytes.to_vec())))
            }
            _ => Err(FromSqlError::InvalidType),
        }
    }
}

/// A count or size: never negative here.
fn unsigned(value: i64) -> u64 {
    value.max(0).unsigned_abs()
}
