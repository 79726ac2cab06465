//! A run as one page that needs nothing else: no network, no other file.
//!
//! What a page holds is chosen here and bounded: [`budget`](self::budget) says how much there is of
//! each part, and the page says what it leaves out.
//!
//! Invariants: what a test chose (its name, its output) is data. It stands in the page as JSON that
//! has no `<` ([`json`]), and reaches the reader as text; the page's policy lets no script act but
//! ours, and nothing be loaded or sent.

mod budget;
mod data;
mod facts;
mod json;
mod page;
mod select;
#[cfg(test)]
mod tests;
mod text;
mod thin;
mod workers;

use std::collections::HashMap;
use std::io;

use askama::Template;

use crate::model::{ByteText, Sample};
use crate::store::{StoredAttempt, StoredOutput, StoredRun, StoredViolation, StoredWorker};
pub use budget::EARLIER;
use budget::{Budget, FEW_POINTS, HISTORY, MANY_POINTS, OUTPUTS, SERIES, VIOLATIONS};
use data::{Data, FIGURES, LABELS, Leaked, Past, Violated, Written};
use facts::{facts, problems, totals, verdict};
use page::Page;
pub use select::Selection;
use select::{Counts, Selected, is_good};

/// A page in the making. What it shows of each attempt is put in one by one, weightiest first.
#[derive(Debug)]
pub struct Report<'a> {
    run: &'a StoredRun,
    attempts: Vec<StoredAttempt>,
    by_weight: Vec<usize>,
    /// Of each row, whether it is more than a pass.
    unusual: Vec<bool>,
    counts: Counts,
    data: Data,
    words: HashMap<String, u32>,
    series: Budget,
    outputs: Budget,
    history: Budget,
    left_out_violations: usize,
}

impl<'a> Report<'a> {
    /// A page of `run` that shows what was selected.
    ///
    /// # Errors
    /// A text does not serialise.
    pub fn new(
        run: &'a StoredRun,
        selection: Selection,
        violations: &[StoredViolation],
    ) -> io::Result<Self> {
        let Selected {
            attempts,
            by_weight,
            unusual,
            counts,
        } = selection.finish()?;
        let mut matters = vec![false; attempts.len()];
        for row in &by_weight[..unusual] {
            matters[*row] = true;
        }
        let mut report = Report {
            run,
            attempts,
            by_weight,
            unusual: matters,
            counts,
            data: Data {
                run: run.run.clone(),
                started_unix_us: run.started_unix_us,
                ..Data::default()
            },
            words: HashMap::new(),
            series: Budget::new(SERIES),
            outputs: Budget::new(OUTPUTS),
            history: Budget::new(HISTORY),
            left_out_violations: 0,
        };
        let profiles = run.profiles.as_ref().and_then(|all| all.as_object());
        for (name, limits) in profiles.into_iter().flatten() {
            report.data.profiles.push((name.clone(), limits.clone()));
        }
        report.put_attempts();
        report.put_violations(violations)?;
        Ok(report)
    }

    /// The rows, weightiest first.
    pub fn rows(&self) -> Vec<usize> {
        self.by_weight.clone()
    }

    /// The attempt of a row.
    pub fn attempt(&self, row: usize) -> &StoredAttempt {
        &self.attempts[row]
    }

    /// Whether the samples of a row's attempt still fit, if it has any.
    pub fn wants_series(&self, row: usize) -> bool {
        self.attempts[row].statistics.is_some() && !self.series.is_spent()
    }

    /// Puts in the samples of a row's attempt, thinned.
    ///
    /// # Errors
    /// They do not serialise.
    pub fn put_series(&mut self, row: usize, samples: &[Sample]) -> io::Result<()> {
        let most = if self.unusual[row] {
            MANY_POINTS
        } else {
            FEW_POINTS
        };
        let plot = thin::plot(samples, most);
        if !samples.is_empty() && self.series.take(json::length(&plot)? + 12) {
            self.data.series.insert(row as u32, plot);
        }
        Ok(())
    }

    /// Whether what a row's attempt wrote is shown, and still fits.
    pub fn wants_outputs(&self, row: usize) -> bool {
        !is_good(&self.attempts[row].outcome)
            && has_output(&self.attempts[row])
            && !self.outputs.is_spent()
    }

    /// Puts in what a row's attempt wrote, bounded.
    ///
    /// # Errors
    /// It does not serialise.
    pub fn put_outputs(&mut self, row: usize, outputs: &[StoredOutput]) -> io::Result<()> {
        let written = outputs.iter().map(|output| Written {
            stream: output.stream.clone(),
            text: text::excerpt(output),
        });
        let written: Vec<Written> = written.filter(|one| !one.text.is_empty()).collect();
        if !written.is_empty() && self.outputs.take(json::length(&written)? + 12) {
            self.data.outputs.insert(row as u32, written);
        }
        Ok(())
    }

    /// Whether the earlier attempts at a row's test are not there yet, and still fit.
    pub fn wants_history(&self, row: usize) -> bool {
        !self.history.is_spent() && !self.data.history.contains_key(&self.data.test[row])
    }

    /// Puts in the newest attempts at a row's test, newest first.
    ///
    /// # Errors
    /// They do not serialise.
    pub fn put_history(&mut self, row: usize, attempts: &[StoredAttempt]) -> io::Result<()> {
        let mut past = Past::default();
        for attempt in attempts.iter().rev() {
            let used = attempt.resources.as_ref();
            past.here.push(u8::from(attempt.run == self.run.run));
            let word = self.word(&attempt.outcome);
            past.outcome.push(word);
            past.wall_us.push(used.map(|used| used.wall_us));
            let memory = used.and_then(|used| used.memory_peak_bytes);
            past.memory_kib.push(memory.map(|bytes| bytes >> 10));
        }
        if self.history.take(json::length(&past)? + 12) {
            self.data.history.insert(self.data.test[row], past);
        }
        Ok(())
    }

    /// The page.
    ///
    /// # Errors
    /// Something does not serialise.
    pub fn render(mut self, workers: &[StoredWorker]) -> io::Result<String> {
        let notes = self.notes();
        self.data.words = vec![String::new(); self.words.len()];
        for (word, at) in std::mem::take(&mut self.words) {
            self.data.words[at as usize] = word;
        }
        let data = json::to_string(&self.data)?;
        let (kinds, more_workers) = workers::kinds(workers);
        let page = Page {
            run: &self.run.run,
            verdict: verdict(self.run),
            facts: facts(self.run, &self.counts),
            totals: totals(self.run, &self.counts),
            notes,
            workers: kinds,
            more_workers,
            problems: problems(workers),
            data: &data,
        };
        page.render()
            .map(|text| text + "\n")
            .map_err(io::Error::other)
    }

    fn put_attempts(&mut self) {
        let attempts = std::mem::take(&mut self.attempts);
        let mut tests: HashMap<&ByteText, u32> = HashMap::new();
        for attempt in &attempts {
            let next = tests.len() as u32;
            let test = *tests.entry(&attempt.test).or_insert_with(|| {
                self.data.tests.push(attempt.test.to_string());
                next
            });
            self.data.test.push(test);
        }
        for (name, label) in LABELS {
            let column = attempts
                .iter()
                .map(|one| label(one).map(|word| self.word(word)));
            let column: Vec<_> = column.collect();
            if column.iter().any(Option::is_some) {
                self.data.labels.insert(name, column);
            }
        }
        let start = self.run.started_unix_us;
        let since_start =
            |attempt: &StoredAttempt| Some(attempt.started_unix_us?.saturating_sub(start));
        let starts = ("start_us", attempts.iter().map(since_start).collect());
        let figures = FIGURES.map(|(name, figure)| (name, attempts.iter().map(figure).collect()));
        for (name, column) in figures.into_iter().chain([starts]) {
            let column: Vec<Option<u64>> = column;
            if column.iter().any(Option::is_some) {
                self.data.figures.insert(name, column);
            }
        }
        for (row, attempt) in attempts.iter().enumerate() {
            let leaks = attempt.leaks.iter().map(|leak| Leaked {
                what: leak.to_string(),
                counts: leak.counts(),
            });
            let leaks: Vec<Leaked> = leaks.collect();
            if !leaks.is_empty() {
                self.data.leaks.push((row as u32, leaks));
            }
        }
        self.attempts = attempts;
    }

    fn put_violations(&mut self, violations: &[StoredViolation]) -> io::Result<()> {
        let rows = self.attempts.iter().enumerate();
        let rows: HashMap<(&ByteText, u32), usize> = rows
            .map(|(row, attempt)| ((&attempt.test, attempt.attempt), row))
            .collect();
        let mut budget = Budget::new(VIOLATIONS);
        let mut by_severity: Vec<&StoredViolation> = violations.iter().collect();
        by_severity.sort_by_key(|violation| std::cmp::Reverse(violation.severity));
        for violation in by_severity {
            let Some(row) = rows.get(&(&violation.test, violation.attempt)) else {
                self.left_out_violations += 1;
                continue;
            };
            let shown = Violated {
                attempt: *row as u32,
                kind: violation
                    .kind
                    .map_or("unknown", |kind| kind.as_str())
                    .to_owned(),
                severity: violation.severity.as_str(),
                message: violation.message.clone(),
            };
            if budget.take(json::length(&shown)? + 1) {
                self.data.violations.push(shown);
            } else {
                self.left_out_violations += 1;
            }
        }
        Ok(())
    }

    /// The number of a word.
    fn word(&mut self, word: &str) -> u32 {
        if let Some(at) = self.words.get(word) {
            return *at;
        }
        let at = self.words.len() as u32;
        self.words.insert(word.to_owned(), at);
        at
    }

    /// What is left out, for people.
    fn notes(&self) -> Vec<String> {
        let sampled = self.attempts.iter().filter(|one| one.statistics.is_some());
        let silent = |one: &&StoredAttempt| !is_good(&one.outcome) && has_output(one);
        let silent = self.attempts.iter().filter(silent).count();
        let attempts = self.attempts.len();
        let all = usize::try_from(self.counts.attempts).unwrap_or(usize::MAX);
        let mut notes = Vec::new();
        let mut note = |count: usize, text: &str| {
            if count > 0 {
                notes.push(format!("{count} {text}"));
            }
        };
        note(
            all - attempts,
            "attempts are not listed: of those that passed the ones that took least; the totals count them",
        );
        note(
            if self.series.is_spent() {
                sampled.count() - self.data.series.len()
            } else {
                0
            },
            "attempts have samples that are not plotted here: of those that passed the ones that took least",
        );
        note(
            if self.outputs.is_spent() {
                silent - self.data.outputs.len()
            } else {
                0
            },
            "attempts that are not good wrote something that is not shown here",
        );
        note(
            if self.history.is_spent() {
                self.data.tests.len() - self.data.history.len()
            } else {
                0
            },
            "tests have a history that is not shown here",
        );
        note(
            self.left_out_violations,
            "violations are not listed, the mildest",
        );
        notes
    }
}

fn has_output(attempt: &StoredAttempt) -> bool {
    attempt.stdout_bytes > 0 || attempt.stderr_bytes > 0
}
