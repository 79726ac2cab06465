//! Parts of a suite, for `merge`.

use std::collections::BTreeMap;

use rusqlite::{Row, params};
use serde_json::Value;

use super::run::image_digests;
use super::{AnyBytes, Reader};
use crate::model::{ByteText, ContentDigest, Shard};
use crate::store::{Store, StoreError};

/// A run as a part of a suite.
#[derive(Clone, Debug)]
pub struct StoredPart {
    /// The run.
    pub run: String,
    /// Names the whole suite; absent: a run of a version before 4.
    pub suite: Option<String>,
    /// Which part; 1 of 1 for a whole suite.
    pub shard: Option<Shard>,
    /// The limits of each profile.
    pub profiles: Option<Value>,
    /// What names the content of each image in use, by its word, where that is known.
    pub image_digests: BTreeMap<String, ContentDigest>,
    /// The tests that it planned: id, profile, image.
    pub planned: Vec<(ByteText, String, String)>,
    /// The tests of the others, with their shards' numbers.
    pub elsewhere: Vec<((ByteText, String, String), u32)>,
    /// The tests with a last word, and the outcome's word.
    pub finals: Vec<(ByteText, String)>,
}

impl From<Store> for Reader {
    fn from(store: Store) -> Self {
        let Store {
            connection, path, ..
        } = store;
        Reader { connection, path }
    }
}

impl Reader {
    /// The newest run, or, where that is one of several that were merged, all of those.
    ///
    /// # Errors
    /// SQLite's own.
    pub fn newest_parts(&self) -> Result<Vec<StoredPart>, StoreError> {
        self.ask(|connection| {
            let mut parts: Vec<StoredPart> = connection
                .prepare_cached(
                    "WITH newest AS (SELECT run, merged FROM runs
                                     ORDER BY started_unix_us DESC, run LIMIT 1)
                     SELECT run, suite, shard, shards, profiles, image_digests FROM runs
                     WHERE run = (SELECT run FROM newest) OR merged = (SELECT merged FROM newest)
                     ORDER BY shard, run",
                )?
                .query_map([], |row| {
                    let (shard, shards): (Option<u32>, Option<u32>) = (row.get(2)?, row.get(3)?);
                    Ok(StoredPart {
                        run: row.get(0)?,
                        suite: row.get(1)?,
                        shard: Shard::new(shard.unwrap_or(1), shards.unwrap_or(1)),
                        profiles: row.get(4)?,
                        image_digests: image_digests(row, 5)?,
                        planned: Vec::new(),
                        elsewhere: Vec::new(),
                        finals: Vec::new(),
                    })
                })?
                .collect::<rusqlite::Result<_>>()?;
            for part in &mut parts {
                part.planned = connection
                    .prepare_cached(
                        "SELECT id, profile, image FROM planned JOIN tests USING (test)
                         WHERE run = ?1",
                    )?
                    .query_map(params![part.run], entry)?
                    .collect::<rusqlite::Result<_>>()?;
                part.elsewhere = connection
                    .prepare_cached(
                        "SELECT id, profile, image, shard FROM elsewhere JOIN tests USING (test)
                         WHERE run = ?1",
                    )?
                    .query_map(params![part.run], |row| Ok((entry(row)?, row.get(3)?)))?
                    .collect::<rusqlite::Result<_>>()?;
                part.finals = connection
                    .prepare_cached(
                        "SELECT id, outcome FROM attempts JOIN tests USING (test)
                         WHERE run = ?1 AND superseded = 0",
                    )?
                    .query_map(params![part.run], |row| {
                        Ok((row.get::<_, AnyBytes>(0)?.0, row.get(1)?))
                    })?
                    .collect::<rusqlite::Result<_>>()?;
            }
            Ok(parts)
        })
    }
}

fn entry(row: &Row<'_>) -> rusqlite::Result<(ByteText, String, String)> {
    Ok((row.get::<_, AnyBytes>(0)?.0, row.get(1)?, row.get(2)?))
}
