//! Why results cannot be recorded: one line that names the path, and a hint what to do.

use std::io;
use std::path::Path;

use rusqlite::ErrorCode;

use crate::model::ByteText;

/// Results cannot be recorded.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Something else has the place of the results folder.
    #[error(
        "{path} is {kind}; the results folder cannot be there\nhint: move it away, or name another folder as `results`"
    )]
    NotAFolder {
        /// The folder's path.
        path: ByteText,
        /// What is there: `a regular file`.
        kind: &'static str,
    },
    /// Something else has the place of the database.
    #[error(
        "{path} is {kind}; the results database has to be a regular file\nhint: move it away, or name another folder as `results`"
    )]
    NotAFile {
        /// The database's path.
        path: ByteText,
        /// What is there: `a directory`.
        kind: &'static str,
    },
    /// A file that SQLite cannot read.
    #[error(
        "{path} is not a database; it is left as it is\nhint: move it away, or name another folder as `results`"
    )]
    NotADatabase {
        /// The database's path.
        path: ByteText,
    },
    /// Another program's database.
    #[error(
        "{path} is the database of another program; it is left as it is\nhint: move it away, or name another folder as `results`"
    )]
    Foreign {
        /// The database's path.
        path: ByteText,
    },
    /// The database has seen migrations that this program does not know.
    #[error(
        "{path} was written by a newer docker-test: its schema is version {found}, this program knows up to {known}; it is left as it is\nhint: use the newer docker-test, or name another folder as `results`"
    )]
    Newer {
        /// The database's path.
        path: ByteText,
        /// Its version.
        found: i64,
        /// The newest version that this program knows.
        known: usize,
    },
    /// A part of the database is missing or garbled.
    #[error(
        "{path} is damaged ({why})\nhint: move it away, with its -wal file; the next run makes a new one"
    )]
    Damaged {
        /// The database's path.
        path: ByteText,
        /// What was found.
        why: String,
    },
    /// The folder or the file cannot be written.
    #[error(
        "{path} cannot be written: {why}\nhint: give this user the right to write it, or name another folder as `results`"
    )]
    ReadOnly {
        /// The path that cannot be written.
        path: ByteText,
        /// Why.
        why: String,
    },
    /// A filesystem on which SQLite cannot keep its promises.
    #[error(
        "{path} is on a network filesystem ({filesystem}), where a database cannot be locked safely\nhint: name a folder on a local disk as `results`"
    )]
    Network {
        /// The folder's path.
        path: ByteText,
        /// Which filesystem.
        filesystem: &'static str,
    },
    /// SQLite takes no path of this length.
    #[error(
        "{path} is too long a path for a database: {length} bytes, at most {limit}\nhint: name a folder with a shorter path as `results`"
    )]
    TooLong {
        /// The database's path.
        path: ByteText,
        /// Its length in bytes.
        length: usize,
        /// The longest that works.
        limit: usize,
    },
    /// Somebody holds the database's lock.
    #[error(
        "{path} has been locked by another program for {waited_s} s\nhint: end the program that holds it, and run again"
    )]
    Locked {
        /// The database's path.
        path: ByteText,
        /// How long we waited, in seconds.
        waited_s: u64,
    },
    /// The disk is full, or the quota used up.
    #[error(
        "{path} cannot grow: no space is left on its disk; what was recorded before is safe\nhint: free some space, and run again"
    )]
    Full {
        /// The database's path.
        path: ByteText,
    },
    /// An attempt or a worker came without a run.
    #[error("{path}: a result came before its run")]
    NoRun {
        /// The database's path.
        path: ByteText,
    },
    /// Anything else that the operating system says.
    #[error("{path}: {source}")]
    Io {
        /// What was touched.
        path: ByteText,
        /// The operating system's words.
        source: io::Error,
    },
    /// Anything else that SQLite says.
    #[error("{path}: {source}")]
    Database {
        /// The database's path.
        path: ByteText,
        /// SQLite's words.
        source: rusqlite::Error,
    },
}

impl StoreError {
    /// An error of the operating system at `path`; what means "cannot be written" becomes
    /// [`StoreError::ReadOnly`].
    pub fn io(path: &Path, source: io::Error) -> Self {
        let path = ByteText::from(path.as_os_str());
        match source.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                StoreError::ReadOnly {
                    path,
                    why: words(&source),
                }
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full { path },
            _ => StoreError::Io { path, source },
        }
    }

    /// An error of SQLite about the database at `path`.
    pub fn database(path: &Path, waited_s: u64, source: rusqlite::Error) -> Self {
        let path = ByteText::from(path.as_os_str());
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                StoreError::Locked { path, waited_s }
            }
            Some(ErrorCode::DiskFull) => StoreError::Full { path },
            Some(ErrorCode::NotADatabase) => StoreError::NotADatabase { path },
            Some(ErrorCode::DatabaseCorrupt) => StoreError::Damaged {
                path,
                why: source.to_string(),
            },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => StoreError::ReadOnly {
                path,
                why: source.to_string(),
            },
            _ => StoreError::Database { path, source },
        }
    }
}

/// The operating system's words without Rust's `(os error 13)`.
fn words(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => nix::errno::Errno::from_raw(number).desc().to_lowercase(),
        None => error.to_string(),
    }
}
