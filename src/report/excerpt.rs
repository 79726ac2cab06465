//! A test's captured output, as lines under its failure: the beginning and the end, bounded.

use std::borrow::Cow;

use crate::event::Captured;
use crate::model::format_bytes;

use super::clean;

/// Lines that are shown from the beginning of a stream, and as many from its end.
const LINES: usize = 50;

/// Marks a line as the test's. It is not blank, so that a `::command::` is not at the line's start.
const MARK: &str = "  |";

/// Adds the excerpt to `out`. Lines of the test start with `  | `, lines of ours with `  ...`;
/// `record` names the place where more of it is.
pub fn push(out: &mut String, captured: &Captured, record: Option<&str>) {
    let (head, tail): (Cow<[u8]>, &[u8]) = if captured.dropped_bytes > 0 {
        (captured.head.as_bytes().into(), captured.tail.as_bytes())
    } else {
        // Nothing is missing between the two: one text, which usually is all in `head`.
        let both = [captured.head.as_bytes(), captured.tail.as_bytes()];
        (both.concat().into(), &[])
    };
    let first = first_lines(&head);
    if captured.dropped_bytes > 0 {
        let last = last_lines(tail);
        push_lines(out, &head[..first]);
        let skipped = (head.len() - first + last) as u64;
        push_note(out, captured.dropped_bytes + skipped, record);
        push_lines(out, &tail[last..]);
    } else if first < last_lines(&head) {
        let last = last_lines(&head);
        push_lines(out, &head[..first]);
        push_note(out, (last - first) as u64, record);
        push_lines(out, &head[last..]);
    } else {
        push_lines(out, &head);
    }
}

fn push_note(out: &mut String, bytes: u64, record: Option<&str>) {
    let size = format_bytes(bytes);
    match record {
        Some(record) => out.push_str(&format!("  ... {size} left out, see {record} ...\n")),
        None => out.push_str(&format!("  ... {size} left out ...\n")),
    }
}

fn push_lines(out: &mut String, text: &[u8]) {
    if text.is_empty() {
        return;
    }
    for line in text
        .strip_suffix(b"\n")
        .unwrap_or(text)
        .split(|b| *b == b'\n')
    {
        let (line, left_out) = clean::cut_line(line.strip_suffix(b"\r").unwrap_or(line));
        let gap = if line.is_empty() { "" } else { " " };
        out.push_str(&format!("{MARK}{gap}{line}\n"));
        if left_out > 0 {
            let size = format_bytes(left_out as u64);
            out.push_str(&format!("  ... {size} more in this line left out ...\n"));
        }
    }
}

/// Where the first [`LINES`] lines end.
fn first_lines(text: &[u8]) -> usize {
    let mut ends = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    ends.nth(LINES - 1).map_or(text.len(), |(at, _)| at + 1)
}

/// Where the last [`LINES`] lines begin.
fn last_lines(text: &[u8]) -> usize {
    let body = text.strip_suffix(b"\n").unwrap_or(text);
    let mut ends = body.iter().enumerate().rev().filter(|(_, b)| **b == b'\n');
    ends.nth(LINES - 1).map_or(0, |(at, _)| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures::captured;

    fn excerpt(captured: &Captured) -> String {
        let mut out = String::new();
        push(&mut out, captured, Some("x.db"));
        out
    }

    #[test]
    fn short_output_is_shown_whole() {
        let text = "a\r\n\n::error::b\n\x1b[2Jc\rd";
        assert_eq!(
            excerpt(&captured(text)),
            "  | a\n  |\n  | ::error::b\n  | \\x1b[2Jc\\rd\n"
        );
        assert_eq!(excerpt(&captured("")), "");
        assert_eq!(excerpt(&captured("\n")), "  |\n");
    }

    #[test]
    fn what_was_dropped_is_said() {
        let captured = Captured {
            head: "begin\nhal".into(),
            dropped_bytes: 5 << 20,
            tail: "lf\nend\n".into(),
            total_bytes: (5 << 20) + 16,
        };
        assert_eq!(
            excerpt(&captured),
            "  | begin\n  | hal\n  ... 5 MiB left out, see x.db ...\n  | lf\n  | end\n"
        );
    }

    #[test]
    fn many_lines_are_cut_in_the_middle() {
        let numbered = |count: usize| -> String { (1..=count).map(|n| format!("{n}\n")).collect() };
        let whole = excerpt(&captured(&numbered(2 * LINES)));
        assert_eq!(whole.lines().count(), 2 * LINES);
        assert!(!whole.contains("left out"));

        let cut = excerpt(&captured(&numbered(2 * LINES + 1)));
        let lines: Vec<&str> = cut.lines().collect();
        assert_eq!(lines.len(), 2 * LINES + 1);
        assert_eq!(lines[LINES - 1], "  | 50");
        assert_eq!(lines[LINES], "  ... 3 B left out, see x.db ...");
        assert_eq!(lines[LINES + 1], "  | 52");
    }

    #[test]
    fn both_bounds_together() {
        let many: String = (1..=1000).map(|n| format!("{n:03}\n")).collect();
        let captured = Captured {
            head: many.as_str().into(),
            dropped_bytes: 1 << 20,
            tail: many.as_str().into(),
            total_bytes: 0,
        };
        let cut = excerpt(&captured);
        assert_eq!(cut.lines().count(), 2 * LINES + 1);
        assert!(
            cut.contains("  | 050\n  ... 1 MiB left out, see x.db ...\n  | 951\n"),
            "{cut}"
        );
    }

    #[test]
    fn a_long_line_is_cut() {
        let long = "x".repeat(clean::LINE_CHARS + 100);
        let expected = format!(
            "  | {}\n  ... 100 B more in this line left out ...\n  | y\n",
            &long[..clean::LINE_CHARS]
        );
        assert_eq!(excerpt(&captured(&format!("{long}\ny"))), expected);
    }
}
