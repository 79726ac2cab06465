//! Layer 3: what a run leaves behind, in SQLite: `test-results/docker-test.db`. Tables, columns and
//! units are described in `doc/database.md`.
//!
//! # Locking
//!
//! One [`Store`] is the only writer of its run: it is a sink, and takes batches from the one thread
//! that has the events. Two launchers may share a database: each batch is one `BEGIN IMMEDIATE`
//! transaction that waits for the other's, for [`PATIENCE`] at most, and their rows differ by run.
//! Readers never wait (write-ahead log). A batch is either whole or absent, and once
//! [`Sink::take`] has returned, a killed launcher loses nothing of it. A power cut may cost the last
//! batches of an unfinished run, never the database; the end of a run is synced. Rows have natural
//! keys and are replaced: a batch that is taken twice is there once.
//!
//! A network filesystem's locks do not hold; such a folder is refused. So is everything that is not
//! ours to write, before SQLite has opened it: see `location`. The results folder itself may be a
//! symbolic link, which is followed; the database in it may not. A connection does not survive a
//! fork and never enters a container.
//!
//! # Compatibility
//!
//! The schema's version is the database's `user_version`; `migrations` brings an older one forward
//! and a newer one is refused. Those of every version, in `tests/fixtures`, must open for ever.
//!
//! # Performance
//!
//! A commit costs no sync (`synchronous=NORMAL`), a row in a batch 5 to 13 µs of CPU time, a row in a
//! batch of its own twice that; statements are prepared once.
//! Tables whose rows are short are stored in the order of their keys (`WITHOUT ROWID`), so that the
//! rows of a run lie together; a test's name is stored once, whatever the number of its attempts.
//! Display events cost nothing.

mod columns;
mod error;
mod header;
mod location;
mod merge;
mod migrations;
mod prune;
mod read;
mod remove;
mod series;
#[cfg(test)]
mod tests;
mod write;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use crate::event::{Event, Sink, SinkError};
use crate::model::{ByteText, Figure};

pub use error::StoreError;
use migrations::{APPLICATION_ID, MIGRATIONS, migrate};
pub use prune::Pruned;
pub use read::{
    Cell, PastAttempt, Reader, StoredAttempt, StoredOutput, StoredRun, StoredViolation,
    StoredWorker, TestsNamed, TopTest, Where,
};
pub use remove::remove;

/// How long another launcher's lock is waited for. Its batches take milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long SQLite itself waits before we look at the clock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How many tests a run's `peaks` have of each figure.
const PEAKS: usize = 64;

/// An attempt's figure in the words of SQL; `None` for what is not in its row.
fn figure_sql(figure: Figure) -> Option<&'static str> {
    match figure {
        Figure::Memory => Some("memory_peak_bytes"),
        Figure::Cpu => Some("cpu_us"),
        Figure::Wall => Some("wall_us"),
        Figure::Files => Some("open_files_max"),
        Figure::Threads => Some("coalesce(pids_peak, threads_max)"),
        Figure::Violations => None,
    }
}

/// The results database, open for writing.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: PathBuf,
    patience: Duration,
    /// The run whose events are being taken.
    run: Option<String>,
}

impl Store {
    /// Opens the database in the folder `results`, and makes both where they are missing. A folder
    /// that it makes tells git to ignore it.
    ///
    /// # Errors
    /// It is not a place for our database, or the database there is not ours to write; whatever is
    /// there has not been touched.
    pub fn open(results: &Path) -> Result<Store, StoreError> {
        let path = location::prepare(results)?;
        let failed = |e| StoreError::database(&path, PATIENCE.as_secs(), e);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW
            | OpenFlags::SQLITE_OPEN_EXRESCODE;
        let connection = Connection::open_with_flags(&path, flags).map_err(failed)?;
        // Until we know that it is ours, closing it must not move its log into it.
        let keep_log = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
        connection.set_db_config(keep_log, true).map_err(failed)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
        identify(&connection, &path)?;
        patiently(PATIENCE, || set_up(&connection)).map_err(failed)?;
        connection.set_db_config(keep_log, false).map_err(failed)?;
        Ok(Store {
            connection,
            path,
            patience: PATIENCE,
            run: None,
        })
    }

    /// The same of a database that is there; `None` where nothing was ever recorded.
    ///
    /// # Errors
    /// As of [`Store::open`].
    pub fn existing(results: &Path) -> Result<Option<Store>, StoreError> {
        if location::is_there(results) {
            Store::open(results).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Where the database is, without symbolic links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn record(&mut self, events: &[Event]) -> Result<(), StoreError> {
        if events.iter().any(|e| matches!(e, Event::RunFinished(_))) {
            // The last word on a run outlives a power cut too; nothing comes after it.
            self.connection
                .pragma_update(None, "synchronous", "FULL")
                .map_err(|e| self.failed(e))?;
        }
        let mut run = self.run.clone();
        let transaction = patiently(self.patience, || {
            Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)
        })
        .map_err(|e| self.failed(e))?;
        for event in events {
            if let Event::RunStarted(started) = event {
                run = Some(started.run.clone());
            }
            if !is_recorded(event) {
                continue;
            }
            let Some(run) = &run else {
                return Err(StoreError::NoRun {
                    path: ByteText::from(self.path.as_os_str()),
                });
            };
            write::event(&transaction, run, event).map_err(|e| self.failed(e))?;
        }
        transaction.commit().map_err(|e| self.failed(e))?;
        self.run = run;
        Ok(())
    }

    fn failed(&self, error: rusqlite::Error) -> StoreError {
        StoreError::database(&self.path, self.patience.as_secs(), error)
    }
}

impl Sink for Store {
    fn take(&mut self, events: &[Event]) -> Result<(), SinkError> {
        if !events.iter().any(is_recorded) {
            return Ok(());
        }
        self.record(events).map_err(|e| SinkError(e.to_string()))
    }
}

/// Whether an event leaves a row.
fn is_recorded(event: &Event) -> bool {
    !matches!(event, Event::Progress(_) | Event::Notice(_))
}

/// Refuses what the file's first bytes could not tell, because it is still in the log.
fn identify(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let failed = |e| StoreError::database(path, PATIENCE.as_secs(), e);
    let shown = || ByteText::from(path.as_os_str());
    if connection.is_readonly("main").map_err(failed)? {
        return Err(StoreError::ReadOnly {
            path: shown(),
            why: "the operating system allows reading only".into(),
        });
    }
    // In one transaction: another launcher may be making the schema at this moment.
    let (application, found, tables) = patiently(PATIENCE, || {
        let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Deferred)?;
        let number = |sql| transaction.query_row(sql, [], |row| row.get::<_, i64>(0));
        Ok((
            number("PRAGMA application_id")?,
            number("PRAGMA user_version")?,
            number("SELECT count(*) FROM sqlite_schema")?,
        ))
    })
    .map_err(failed)?;
    let is_fresh = application == 0 && tables == 0;
    if application != i64::from(APPLICATION_ID) && !is_fresh {
        return Err(StoreError::Foreign { path: shown() });
    }
    if !(0..=MIGRATIONS.len() as i64).contains(&found) {
        return Err(StoreError::Newer {
            path: shown(),
            found,
            known: MIGRATIONS.len(),
        });
    }
    Ok(())
}

fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    // Of a new database, before its first page: what `db prune` frees can be given back in small
    // steps, beside a running launcher.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // In KiB, as it is negative. The names of 100,000 tests fit; they come in any order.
    connection.pragma_update(None, "cache_size", -8192)?;
    connection.set_prepared_statement_cache_capacity(32);
    migrate(connection, MIGRATIONS)
}

/// Does `action` again for as long as somebody else's lock is in its way and `patience` lasts.
fn patiently<T>(
    patience: Duration,
    action: impl Fn() -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let started = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        let result = action();
        let is_locked = matches!(&result, Err(error) if matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
        ));
        if !is_locked || started.elapsed() + pause >= patience {
            return result;
        }
        // SQLite mostly has waited itself; where it gives up at once, it does so to let the other
        // side go on.
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}
