//! The highest figures of a run that has ended: what `top` looks at instead of every attempt.

use rusqlite::{Connection, params};

use super::int;
use crate::model::Figure;
use crate::store::{PEAKS, figure_sql};

/// Writes the run's highest figures; what is there of them already is replaced.
pub fn keep(connection: &Connection, run: &str) -> rusqlite::Result<()> {
    let maxima: Vec<String> = Figure::MEASURED
        .iter()
        .filter_map(|figure| Some(format!("max({})", figure_sql(*figure)?)))
        .collect();
    let mut highest: Vec<Highest> = Figure::MEASURED.map(|_| Highest::default()).into();
    {
        // In the order of the key, so that nothing is sorted.
        let mut statement = connection.prepare(&format!(
            "SELECT test, {} FROM attempts WHERE run = ?1 GROUP BY test",
            maxima.join(", ")
        ))?;
        let mut rows = statement.query([run])?;
        while let Some(row) = rows.next()? {
            let test = row.get(0)?;
            for (at, highest) in highest.iter_mut().enumerate() {
                if let Some(value) = row.get::<_, Option<f64>>(at + 1)? {
                    highest.add(value, test);
                }
            }
        }
    }
    connection.execute("DELETE FROM peaks WHERE run = ?1", [run])?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO peaks (run, figure, place, test, highest) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for (figure, highest) in Figure::MEASURED.iter().zip(highest) {
        for (at, (value, test)) in highest.done().into_iter().enumerate() {
            insert.execute(params![
                run,
                figure.as_str(),
                int(at as u64 + 1),
                test,
                value
            ])?;
        }
    }
    Ok(())
}

/// The highest [`PEAKS`] of any number of values; of equals, those of the tests that were known first.
#[derive(Default)]
struct Highest(Vec<(f64, i64)>);

impl Highest {
    fn add(&mut self, value: f64, test: i64) {
        self.0.push((value, test));
        if self.0.len() >= 4 * PEAKS {
            self.cut();
        }
    }

    fn cut(&mut self) {
        self.0
            .sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        self.0.truncate(PEAKS);
    }

    fn done(mut self) -> Vec<(f64, i64)> {
        self.cut();
        self.0
    }
}
