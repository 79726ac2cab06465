//! What the first bytes of a file say about it, before SQLite may touch it.
//!
//! SQLite itself refuses less than we do, and later: opening another program's database for
//! writing already moves what is in its write-ahead log. So we read the header ourselves first.
//! Its layout: <https://www.sqlite.org/fileformat2.html#the_database_header>.

use super::migrations::{APPLICATION_ID, MIGRATIONS};

/// Length of a database's header in bytes.
pub const HEADER_BYTES: usize = 100;

const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// What a file is, as far as its header tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Header {
    /// It holds nothing: a database that is about to be made.
    Empty,
    /// Nothing speaks against it; SQLite may open it.
    Plausible,
    /// It is no database.
    NotADatabase,
    /// It is another program's database.
    Foreign,
    /// Ours, of this version, which we do not know.
    Newer(i64),
    /// A part is missing.
    Damaged(String),
}

impl Header {
    /// Judges the first [`HEADER_BYTES`] of a file of `size_bytes`. With a write-ahead log beside
    /// it, the file alone may rightly be short, or not yet say whose it is.
    pub fn judge(bytes: &[u8], size_bytes: u64, has_log: bool) -> Header {
        if bytes.is_empty() {
            return Header::Empty;
        }
        let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else {
            return if MAGIC.starts_with(bytes) || bytes.starts_with(MAGIC) {
                Header::Damaged("it ends within its header".into())
            } else {
                Header::NotADatabase
            };
        };
        if !header.starts_with(MAGIC) {
            return Header::NotADatabase;
        }
        let word = |at: usize| {
            u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let page_bytes = match u16::from_be_bytes([header[16], header[17]]) {
            1 => 65536,
            other => u64::from(other),
        };
        let pages = u64::from(word(28));
        let version = word(60) as i32;
        let application = word(68) as i32;
        let fresh = application == 0 && (has_log || pages <= 1);
        if application != APPLICATION_ID && !fresh {
            return Header::Foreign;
        }
        if version < 0 || version as usize > MIGRATIONS.len() {
            return Header::Newer(version.into());
        }
        let expected = pages * page_bytes;
        if size_bytes < expected && !has_log {
            return Header::Damaged(format!(
                "it has {size_bytes} bytes where its header says {expected}"
            ));
        }
        Header::Plausible
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(pages: u32, version: u32, application: u32) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_BYTES];
        bytes[..16].copy_from_slice(MAGIC);
        bytes[16..18].copy_from_slice(&4096u16.to_be_bytes());
        bytes[28..32].copy_from_slice(&pages.to_be_bytes());
        bytes[60..64].copy_from_slice(&version.to_be_bytes());
        bytes[68..72].copy_from_slice(&application.to_be_bytes());
        bytes
    }

    const OURS: u32 = APPLICATION_ID as u32;

    #[test]
    fn ours() {
        let bytes = header(3, 1, OURS);
        assert_eq!(Header::judge(&bytes, 3 * 4096, false), Header::Plausible);
    }

    #[test]
    fn other_files() {
        assert_eq!(Header::judge(b"", 0, false), Header::Empty);
        assert_eq!(
            Header::judge(b"#!/bin/sh\n", 10, false),
            Header::NotADatabase
        );
        assert_eq!(Header::judge(&[7; 100], 200, false), Header::NotADatabase);
    }

    #[test]
    fn other_databases() {
        let foreign = header(2, 1, 0x1234);
        assert_eq!(Header::judge(&foreign, 8192, true), Header::Foreign);
        let unmarked = header(2, 0, 0);
        assert_eq!(Header::judge(&unmarked, 8192, false), Header::Foreign);
        let newer = header(2, 99, OURS);
        assert_eq!(Header::judge(&newer, 8192, false), Header::Newer(99));
        let negative = header(2, u32::MAX, OURS);
        assert_eq!(Header::judge(&negative, 8192, false), Header::Newer(-1));
    }

    /// A launcher was killed between the file's first page and its schema.
    #[test]
    fn a_database_that_was_never_finished() {
        assert_eq!(
            Header::judge(&header(1, 0, 0), 4096, false),
            Header::Plausible
        );
        assert_eq!(
            Header::judge(&header(2, 0, 0), 8192, true),
            Header::Plausible
        );
    }

    #[test]
    fn truncated_at_every_offset() {
        let whole = header(3, 1, OURS);
        for length in 1..3 * 4096 {
            let bytes = &whole[..length.min(HEADER_BYTES)];
            let verdict = Header::judge(bytes, length as u64, false);
            assert!(
                matches!(verdict, Header::Damaged(_)),
                "{length}: {verdict:?}"
            );
        }
    }

    /// A checkpoint that was killed leaves a short file, and everything in the log.
    #[test]
    fn a_log_makes_up_for_a_short_file() {
        let bytes = header(3, 1, OURS);
        assert_eq!(Header::judge(&bytes, 4096, true), Header::Plausible);
    }
}
