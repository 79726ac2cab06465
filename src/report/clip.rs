//! A test's captured output as bounded plain text, for reports in files.

use std::borrow::Cow;

use crate::event::Captured;
use crate::model::format_bytes;

use super::clean;

/// How much of a stream is shown, in bytes of the test's own.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// From its beginning.
    pub head: usize,
    /// From its end.
    pub tail: usize,
}

/// The beginning and the end of a stream, harmless, each line ended; empty where nothing was
/// written. At most four times the bounds, and a note for each line that is too long.
pub fn clip(captured: &Captured, bounds: Bounds) -> String {
    let (head, tail) = (captured.head.as_bytes(), captured.tail.as_bytes());
    let whole: Cow<'_, [u8]>;
    let (head, tail, missing) = if captured.dropped_bytes > 0 {
        let first = first(head, bounds.head);
        let last = last(tail, bounds.tail);
        let left = head.len() - first.len() + tail.len() - last.len();
        (first, last, captured.dropped_bytes + left as u64)
    } else {
        whole = match tail {
            // So it is with all but the longest.
            [] => head.into(),
            _ => [head, tail].concat().into(),
        };
        if whole.len() <= bounds.head + bounds.tail {
            (&*whole, [].as_slice(), 0)
        } else {
            let first = first(&whole, bounds.head);
            let last = last(&whole[first.len()..], bounds.tail);
            let left = whole.len() - first.len() - last.len();
            (first, last, left as u64)
        }
    };
    let mut out = String::new();
    push(&mut out, head);
    if missing > 0 {
        out.push_str(&format!("... {} left out ...\n", format_bytes(missing)));
    }
    push(&mut out, tail);
    out
}

/// The last line that is not blank, of at most so many characters.
pub fn last_line(captured: &Captured, chars: usize) -> Option<String> {
    let text = match captured.tail.as_bytes() {
        [] => captured.head.as_bytes(),
        tail => tail,
    };
    let mut lines = text.rsplit(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let (line, _) = clean::cut_line(lines.find(|line| !line.is_empty())?);
    let line = break_tags(&line);
    Some(match line.char_indices().nth(chars) {
        Some((cut, _)) => format!("{}...", &line[..cut]),
        None => line,
    })
}

/// At most `most` bytes from the beginning, where possible whole lines.
fn first(text: &[u8], most: usize) -> &[u8] {
    let cut = &text[..text.len().min(most)];
    match cut.iter().rposition(|byte| *byte == b'\n') {
        Some(at) if cut.len() < text.len() => &cut[..=at],
        _ => cut,
    }
}

/// At most `most` bytes from the end, where possible whole lines.
fn last(text: &[u8], most: usize) -> &[u8] {
    let cut = &text[text.len().saturating_sub(most)..];
    let body = cut.strip_suffix(b"\n").unwrap_or(cut);
    match body.iter().position(|byte| *byte == b'\n') {
        Some(at) if cut.len() < text.len() => &cut[at + 1..],
        _ => cut,
    }
}

fn push(out: &mut String, text: &[u8]) {
    if text.is_empty() {
        return;
    }
    let body = text.strip_suffix(b"\n").unwrap_or(text);
    for line in body.split(|byte| *byte == b'\n') {
        let (line, left_out) = clean::cut_line(line.strip_suffix(b"\r").unwrap_or(line));
        out.push_str(&break_tags(&line));
        if left_out > 0 {
            let size = format_bytes(left_out as u64);
            out.push_str(&format!(" ... {size} more in this line left out ..."));
        }
        out.push('\n');
    }
}

/// Puts a space into `[[ATTACHMENT|`, by which Jenkins and GitLab attach files of the workspace, and
/// into the like.
pub fn break_tags(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find("[[") {
        let word = rest[at + 2..].trim_start_matches(|c: char| c.is_ascii_alphanumeric());
        out.push_str(&rest[..=at]);
        if word.starts_with('|') {
            out.push(' ');
        }
        rest = &rest[at + 1..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures::captured;
    use proptest::prelude::*;

    const SMALL: Bounds = Bounds { head: 8, tail: 8 };

    #[test]
    fn short_output_is_whole_and_harmless() {
        assert_eq!(clip(&captured(""), SMALL), "");
        assert_eq!(clip(&captured("a\r\n\x1b[1mb"), SMALL), "a\n\\x1b[1mb\n");
        assert_eq!(clip(&captured("\n"), SMALL), "\n");
    }

    #[test]
    fn the_middle_is_left_out() {
        let text = captured("one\ntwo\nthree\nfour\nfive\n");
        assert_eq!(
            clip(&text, SMALL),
            "one\ntwo\n... 11 B left out ...\nfive\n"
        );
        let long = captured(&"x".repeat(20));
        assert_eq!(
            clip(&long, SMALL),
            "xxxxxxxx\n... 4 B left out ...\nxxxxxxxx\n"
        );
        let dropped = Captured {
            dropped_bytes: 1 << 20,
            tail: "a\nb\n".into(),
            ..captured("begin")
        };
        assert_eq!(
            clip(&dropped, SMALL),
            "begin\n... 1 MiB left out ...\na\nb\n"
        );
    }

    #[test]
    fn tags_get_a_space() {
        assert_eq!(break_tags("[[ATTACHMENT|x]]"), "[ [ATTACHMENT|x]]");
        assert_eq!(break_tags("a[[[PROPERTY|x"), "a[[ [PROPERTY|x");
        assert_eq!(break_tags("[[ -f a ]] | b"), "[[ -f a ]] | b");
    }

    #[test]
    fn the_last_line_is_found() {
        let found = |text: &str| last_line(&captured(text), 5);
        assert_eq!(found("a\n b \n\n \n"), Some("b".into()));
        assert_eq!(found("1234567"), Some("12345...".into()));
        assert_eq!(found(" \n"), None);
    }

    proptest! {
        #[test]
        fn it_is_bounded(
            head in proptest::collection::vec(any::<u8>(), 0..64),
            tail in proptest::collection::vec(any::<u8>(), 0..64),
            dropped_bytes in 0_u64..3,
        ) {
            let captured = Captured {
                head: head.into(), dropped_bytes, tail: tail.into(), total_bytes: 0,
            };
            prop_assert!(clip(&captured, SMALL).len() <= 4 * 16 + 16 * 2 + 32);
        }
    }
}
