//! The highest figures over many runs.

use std::collections::HashMap;

use rusqlite::{Connection, Row, params};

use super::attempt::{COLUMNS, attempt};
use super::{Reader, StoredAttempt};
use crate::model::{Figure, Limits, Source};
use crate::store::{PEAKS, StoreError, figure_sql};

/// A test with its highest figure.
#[derive(Clone, Debug, PartialEq)]
pub struct TopTest {
    /// In the figure's unit. Of violations: how many there were in all those runs.
    pub highest: f64,
    /// The attempt that has it. Of violations: the newest run's last attempt that has any.
    pub attempt: StoredAttempt,
    /// What that attempt's profile allowed; absent for a run of an older version.
    pub limits: Option<Limits>,
}

impl StoredAttempt {
    /// One of its figures in the figure's unit, with its source; `None` where it was not measured.
    pub fn figure(&self, figure: Figure) -> Option<(f64, Option<Source>)> {
        let used = self.resources.as_ref();
        let statistics = self.statistics.as_ref();
        let sampled = |max: f64| (max, Some(Source::Sampled));
        match figure {
            Figure::Memory => {
                used.and_then(|u| Some((u.memory_peak_bytes? as f64, u.memory_peak_source)))
            }
            Figure::Cpu => used.and_then(|u| Some((u.cpu_us? as f64, u.cpu_source))),
            Figure::Wall => used.map(|u| (u.wall_us as f64, None)),
            Figure::Files => statistics.and_then(|s| Some(sampled(s.open_files?.max))),
            Figure::Threads => used
                .and_then(|u| Some((u.pids_peak? as f64, u.pids_peak_source)))
                .or_else(|| statistics.and_then(|s| Some(sampled(s.threads?.max)))),
            Figure::Violations => None,
        }
    }
}

/// A test's highest figure so far, and the run that has it.
type Found = HashMap<i64, (f64, usize)>;

impl Reader {
    /// The tests with the highest figures in the runs that began at `since_unix_us` or later, highest
    /// first, at most so many.
    ///
    /// # Errors
    /// SQLite's own.
    pub fn top(
        &self,
        figure: Figure,
        since_unix_us: u64,
        at_most: usize,
    ) -> Result<Vec<TopTest>, StoreError> {
        self.ask(|connection| {
            let runs: Vec<(String, bool)> = connection
                .prepare_cached(
                    "SELECT run, coalesce(ranked, 0) FROM runs WHERE started_unix_us >= ?1
                     ORDER BY started_unix_us, run",
                )?
                .query_map([since_unix_us.cast_signed()], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?
                .collect::<rusqlite::Result<_>>()?;
            let mut found = Found::new();
            for (at, (run, ranked)) in runs.iter().enumerate() {
                match figure_sql(figure) {
                    None => add_violations(connection, run, at, &mut found)?,
                    // Whoever is among the highest of all is among the highest of some run.
                    Some(_) if *ranked && at_most <= PEAKS => {
                        let mut statement = connection.prepare_cached(
                            "SELECT test, highest FROM peaks WHERE run = ?1 AND figure = ?2",
                        )?;
                        let rows = statement.query_map([run, figure.as_str()], pair)?;
                        add(rows, at, &mut found)?;
                    }
                    Some(sql) => {
                        let mut statement = connection.prepare_cached(&format!(
                            "SELECT test, max({sql}) AS highest FROM attempts WHERE run = ?1
                             GROUP BY test HAVING highest NOT NULL"
                        ))?;
                        add(statement.query_map([run], pair)?, at, &mut found)?;
                    }
                }
            }
            let mut all: Vec<_> = found.into_iter().collect();
            all.sort_by(|(a, (high, _)), (b, (low, _))| low.total_cmp(high).then(a.cmp(b)));
            all.truncate(at_most);
            all.into_iter()
                .map(|(test, (highest, at))| {
                    top_test(connection, figure, &runs[at].0, test, highest)
                })
                .collect()
        })
    }
}

fn pair(row: &Row<'_>) -> rusqlite::Result<(i64, f64)> {
    Ok((row.get(0)?, row.get(1)?))
}

/// Notes what is higher than before; of equals, the newest.
fn add(
    rows: impl Iterator<Item = rusqlite::Result<(i64, f64)>>,
    at: usize,
    found: &mut Found,
) -> rusqlite::Result<()> {
    for row in rows {
        let (test, highest) = row?;
        let best = found.entry(test).or_insert((highest, at));
        if highest >= best.0 {
            *best = (highest, at);
        }
    }
    Ok(())
}

/// Adds a run's violations to those of the runs before.
fn add_violations(
    connection: &Connection,
    run: &str,
    at: usize,
    found: &mut Found,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "SELECT test, CAST(count(*) AS REAL) FROM violations
         WHERE run = ?1 AND severity <> 'info' GROUP BY test",
    )?;
    for row in statement.query_map([run], pair)? {
        let (test, count) = row?;
        let sum = found.entry(test).or_insert((0.0, at));
        *sum = (sum.0 + count, at);
    }
    Ok(())
}

fn top_test(
    connection: &Connection,
    figure: Figure,
    run: &str,
    test: i64,
    highest: f64,
) -> rusqlite::Result<TopTest> {
    let order = match figure_sql(figure) {
        Some(sql) => format!("{sql} DESC"),
        None => "EXISTS (SELECT 1 FROM violations
                         WHERE (run, test, attempt)
                               = (attempts.run, attempts.test, attempts.attempt)
                         AND severity <> 'info') DESC, attempt DESC"
            .into(),
    };
    let attempt = connection
        .prepare_cached(&format!(
            "SELECT {} FROM attempts JOIN tests USING (test)
             WHERE run = ?1 AND test = ?2 ORDER BY {order} LIMIT 1",
            *COLUMNS
        ))?
        .query_row(params![run, test], attempt)?;
    let profiles: Option<serde_json::Value> = connection
        .prepare_cached("SELECT profiles FROM runs WHERE run = ?1")?
        .query_row([run], |row| row.get(0))?;
    let limits = profiles.and_then(|mut all| limits_of(&mut all, &attempt.profile));
    Ok(TopTest {
        highest,
        attempt,
        limits,
    })
}

/// The limits of a profile, from what a run recorded of its profiles.
pub(super) fn limits_of(profiles: &mut serde_json::Value, profile: &str) -> Option<Limits> {
    let limits = profiles.get_mut(profile)?.take();
    serde_json::from_value(limits).ok()
}
