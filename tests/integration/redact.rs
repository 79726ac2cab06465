//! Makes a report comparable: what differs from run to run becomes a word.

use regex::Regex;

use crate::harness::Project;

/// `text` with durations as `<time>`, worker numbers as `<n>`, the run's name as `<run>` and the
/// project's folder as `<project>`.
pub fn redact(text: &str, project: &Project) -> String {
    let folder = project.path().canonicalize().unwrap();
    let mut text = text.replace(folder.to_str().unwrap(), "<project>");
    for (pattern, word) in [
        (r" *\b[0-9.]+ (µs|ms|s|min|h)\b", " <time>"),
        (r"\[ <time>\]", "[<time>]"),
        (r"\bworker [0-9]+\b", "worker <n>"),
        (r"\brun [0-9a-f]{16}\b", "run <run>"),
        (r", peak memory [a-z ]*[0-9.]+ [KMG]iB( \([a-z]+\))?", ""),
        // Where nothing counts memory, whether it was seen is chance.
        (r"hungriest \(peak memory\):\n(    .*\n)+\n", ""),
    ] {
        text = Regex::new(pattern)
            .unwrap()
            .replace_all(&text, word)
            .into_owned();
    }
    text
}

/// Compares line by line, so that a difference is easy to see.
pub fn same(found: &str, expected: &str) {
    assert_eq!(
        found.lines().collect::<Vec<_>>(),
        expected.lines().collect::<Vec<_>>(),
        "found:\n{found}"
    );
}
