//! How long tests took lately.

use std::collections::HashMap;

use rusqlite::params;

use super::{AnyBytes, Reader, unsigned};
use crate::model::Past;
use crate::store::StoreError;

/// How many passes of a test count.
const PASSES: usize = 20;
/// After so many of them no older run is looked at.
const ROWS: usize = 50_000;

impl Reader {
    /// The newest passes of each test under each profile, at most 20 of one. Runs are read from the
    /// newest, each as a whole, until 50,000 passes were seen: a long past costs no more than that.
    ///
    /// # Errors
    /// SQLite's own.
    pub fn durations(&self) -> Result<Vec<Past>, StoreError> {
        self.ask(|connection| {
            let mut found: HashMap<(i64, String), Vec<u64>> = HashMap::new();
            let mut rows = 0;
            let mut runs = connection
                .prepare_cached("SELECT run FROM runs ORDER BY started_unix_us DESC, run")?;
            let mut passes = connection.prepare_cached(
                "SELECT test, profile, wall_us FROM attempts
                 WHERE run = ?1 AND outcome = 'pass' AND wall_us IS NOT NULL",
            )?;
            let mut runs = runs.query([])?;
            while let Some(run) = runs.next()?
                && rows < ROWS
            {
                let mut passes = passes.query(params![run.get::<_, String>(0)?])?;
                while let Some(pass) = passes.next()? {
                    rows += 1;
                    let times = found.entry((pass.get(0)?, pass.get(1)?)).or_default();
                    if times.len() < PASSES {
                        times.push(unsigned(pass.get(2)?));
                    }
                }
            }
            let mut name = connection.prepare_cached("SELECT id FROM tests WHERE test = ?1")?;
            let past = |((test, profile), wall_us): ((i64, String), Vec<u64>)| {
                Ok(Past {
                    test: name.query_row([test], |row| row.get::<_, AnyBytes>(0))?.0,
                    profile,
                    wall_us,
                })
            };
            found.into_iter().map(past).collect()
        })
    }
}
