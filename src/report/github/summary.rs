//! The job's summary: a table of the tests that are not good, as Markdown of bounded size.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use crate::event::{Attempt, Event, RunFinished};
use crate::model::{OutcomeKind, format_bytes, format_us, signal_name};
use crate::report::summary::counts;
use crate::report::{Paint, Totals, attempt as told};

/// Bytes of a step's summary that GitHub takes; with more it takes none of it.
const WHOLE: u64 = 1 << 20;
/// What is left of that to what else the step writes, and to headings.
const SPARE: u64 = 64 << 10;
/// Bytes of our tables.
const ROWS: usize = 512 << 10;

/// Collects what the summary says.
#[derive(Default)]
pub struct Summary {
    totals: Totals,
    rows: Vec<String>,
    bytes: usize,
    /// Tests that are not good and have no row.
    more: u64,
}

impl Summary {
    /// Takes an event into account.
    pub fn add(&mut self, event: &Event) {
        self.totals.add(event);
        let Event::AttemptFinished(attempt) = event else {
            return;
        };
        let kind = attempt.outcome.kind();
        if attempt.superseded || kind.is_good() || kind == OutcomeKind::NotRun {
            return;
        }
        let row = row(attempt);
        if self.bytes + row.len() > ROWS {
            self.more += 1;
        } else {
            self.bytes += row.len();
            self.rows.push(row);
        }
    }

    /// Appends the summary to a file, as far as there is room in it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn append(&self, path: &Path, finished: &RunFinished) -> io::Result<()> {
        let mut file = File::options().append(true).create(true).open(path)?;
        let there = file.metadata()?.len();
        let room = WHOLE.saturating_sub(SPARE).saturating_sub(there);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        if room > 0 {
            file.write_all(self.markdown(finished, room).as_bytes())?;
        }
        Ok(())
    }

    /// The Markdown, with rows of `room` bytes at most.
    pub fn markdown(&self, finished: &RunFinished, mut room: usize) -> String {
        let counted = counts(Paint::default(), &self.totals, finished);
        let mut out = format!("### docker-test\n\n{}\n", text(counted.trim_end()));
        if let Some(signal) = finished.interrupted {
            out.push_str(&format!("\n**interrupted** by {}\n", signal_name(signal)));
        }
        if !self.rows.is_empty() {
            out.push_str("\n| outcome | test | time | CPU time | peak memory | |\n");
            out.push_str("| --- | --- | ---: | ---: | ---: | --- |\n");
        }
        let mut more = self.more;
        for row in &self.rows {
            if row.len() > room {
                more += 1;
                continue;
            }
            room -= row.len();
            out.push_str(row);
        }
        if more > 0 {
            out.push_str(&format!("\n… and {more} more tests that are not good\n"));
        }
        let mut list = String::new();
        for (test, number) in &self.totals.flaky.kept {
            let test = text(&test.to_string());
            list.push_str(&format!(
                "- flaky: <code>{test}</code> passed on attempt {number}\n"
            ));
        }
        for (kind, warned) in &self.totals.warned {
            let (kind, count) = (kind.as_str(), warned.count());
            for (test, message) in &warned.kept {
                let (test, message) = (text(&test.to_string()), text(message));
                list.push_str(&format!(
                    "- {kind} ({count}): <code>{test}</code> {message}\n"
                ));
            }
        }
        if !list.is_empty() && list.len() <= room {
            out.push_str(&format!("\n{list}"));
        }
        out.push('\n');
        out
    }
}

fn row(attempt: &Attempt) -> String {
    let used = attempt.resources.as_ref();
    let time = |us: Option<u64>| us.map_or_else(String::new, format_us);
    let peak = used.and_then(|used| match used.memory_peak_bytes {
        Some(peak) => Some(format_bytes(peak)),
        None => Some(format!("≤ {}", format_bytes(used.memory_peak_bound_bytes?))),
    });
    let mut notes = Vec::new();
    if attempt.attempt > 1 {
        notes.push(format!("attempt {}", attempt.attempt));
    }
    notes.extend(told::serious(attempt).map(|violation| text(&violation.message)));
    format!(
        "| {} | <code>{}</code> | {} | {} | {} | {} |\n",
        text(&told::outcome(attempt)),
        text(&attempt.test.to_string()),
        time(used.map(|used| used.wall_us)),
        time(used.and_then(|used| used.cpu_us)),
        peak.unwrap_or_default(),
        notes.join("; "),
    )
}

/// Text of others as Markdown that shows it and does nothing: what could be markup, a link, a mention
/// or the end of a cell is a character reference.
fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in super::clean::word(text).chars() {
        match c {
            // `www.` alone makes a link.
            '.' if out.ends_with(['w', 'W']) => out.push_str("&#46;"),
            'a'..='z' | 'A'..='Z' | '0'..='9' | ' ' | '.' | ',' | '/' | '(' | ')' | '-' | '%' => {
                out.push(c);
            }
            c if c.is_ascii() => out.push_str(&format!("&#{};", c as u32)),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_is_no_markup() {
        assert_eq!(text("test/a-b(1).sh"), "test/a-b(1).sh");
        assert_eq!(
            text("a|b`<x>[y](z) @me www.x"),
            "a&#124;b&#96;&#60;x&#62;&#91;y&#93;(z) &#64;me www&#46;x"
        );
        assert_eq!(text("*_#\\:\t"), "&#42;&#95;&#35;&#92;&#58;&#9;");
    }
}
