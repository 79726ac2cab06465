//! The progress line at the bottom of a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::event;
use crate::model::format_duration;

use super::clean;

/// Redraws a second at most.
const RATE: u8 = 10;

/// The line on stderr, or nothing at all. It is taken away when this is dropped.
pub struct Progress {
    bar: ProgressBar,
    bad: u64,
    longest: String,
}

impl Progress {
    /// A line that is never drawn.
    pub fn hidden() -> Self {
        Progress::draw_on(ProgressDrawTarget::hidden(), 0)
    }

    /// The line for `total` tests, on stderr.
    pub fn on_stderr(total: u64) -> Self {
        let progress = Progress::draw_on(ProgressDrawTarget::stderr_with_hz(RATE), total);
        // So that the time goes on while one long test runs.
        progress.bar.enable_steady_tick(Duration::from_millis(500));
        progress
    }

    fn draw_on(target: ProgressDrawTarget, total: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total), target);
        if let Ok(style) =
            ProgressStyle::with_template("{elapsed:>4} [{bar:20}] {pos}/{len}{wide_msg}")
        {
            bar.set_style(style.progress_chars("=> "));
        }
        Progress {
            bar,
            bad: 0,
            longest: String::new(),
        }
    }

    /// `done` tests have their last word, and `bad` of these are not good.
    pub fn count(&mut self, done: u64, bad: u64) {
        self.bar.set_position(done);
        if self.bad != bad {
            self.bad = bad;
            self.say();
        }
    }

    /// What is running now.
    pub fn running(&mut self, progress: &event::Progress) {
        self.longest = longest(progress);
        self.say();
    }

    fn say(&self) {
        self.bar.set_message(message(self.bad, &self.longest));
    }

    /// Takes the line away while `write` writes to the same terminal.
    pub fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }

    /// Takes the line away for good.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}

fn message(bad: u64, longest: &str) -> String {
    let bad = match bad {
        0 => String::new(),
        bad => format!(", {bad} not good"),
    };
    format!("{bad}{longest}")
}

/// `, 12.0 s in test/a`: the test that has been running for the longest time.
fn longest(progress: &event::Progress) -> String {
    let longest = progress.running.iter().max_by_key(|(_, time)| *time);
    longest.map_or_else(String::new, |(test, time)| {
        let test = clean::word(&test.to_string());
        format!(", {} in {test}", format_duration(*time))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TestId;

    #[test]
    fn the_longest_test_is_named() {
        let running = vec![
            (TestId::new("a"), Duration::from_secs(2)),
            (TestId::new("b\x1b##[x]"), Duration::from_secs(65)),
        ];
        let longest = longest(&event::Progress { running });
        assert_eq!(message(2, &longest), r", 2 not good, 1m05s in b\x1b# #[x]");
        assert_eq!(message(0, ""), "");
    }

    #[test]
    fn the_template_is_understood() {
        let template =
            ProgressStyle::with_template("{elapsed:>4} [{bar:20}] {pos}/{len}{wide_msg}");
        assert!(template.is_ok());
    }
}
