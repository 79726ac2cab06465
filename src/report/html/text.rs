//! A test's output as text for a page: readable, bounded, and nothing in it acts.

use crate::model::escape;
use crate::store::StoredOutput;

/// Bytes that are shown of a stream's beginning.
const HEAD_BYTES: usize = 4 << 10;
/// Bytes that are shown of its end.
const TAIL_BYTES: usize = 12 << 10;
/// Characters of one line; what is longer is cut.
const LINE_CHARS: usize = 2_000;

/// The beginning and the end of a stream, as text, with a line of ours where something was left out.
pub fn excerpt(output: &StoredOutput) -> String {
    let mut all = output.head.as_bytes();
    let both;
    if output.dropped_bytes == 0 && !output.tail.as_bytes().is_empty() {
        both = [all, output.tail.as_bytes()].concat();
        all = &both;
    }
    let (head, tail) = if output.dropped_bytes > 0 {
        (first(all), last(output.tail.as_bytes()))
    } else if all.len() > HEAD_BYTES + TAIL_BYTES {
        (first(all), last(all))
    } else {
        (all, &[][..])
    };
    let kept = output.head.as_bytes().len() + output.tail.as_bytes().len();
    let left_out = output.dropped_bytes + (kept - head.len() - tail.len()) as u64;
    let mut text = clean(head);
    if left_out > 0 {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&format!("[{left_out} bytes are left out here]\n"));
        text.push_str(&clean(tail));
    }
    text
}

/// The first bytes, up to the end of a line where there is one.
fn first(bytes: &[u8]) -> &[u8] {
    let bytes = &bytes[..bytes.len().min(HEAD_BYTES)];
    let end = bytes.iter().rposition(|byte| *byte == b'\n');
    &bytes[..end.map_or(bytes.len(), |at| at + 1)]
}

/// The last bytes, from the beginning of a line where there is one.
fn last(bytes: &[u8]) -> &[u8] {
    let bytes = &bytes[bytes.len().saturating_sub(TAIL_BYTES)..];
    let start = bytes.iter().position(|byte| *byte == b'\n');
    &bytes[start.map_or(0, |at| at + 1)..]
}

/// `bytes` as lines of text. Colours (`ESC [ … m`) are taken out; every other control, format or
/// bidirectional character is shown escaped, as are bytes that are not UTF-8.
pub fn clean(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let (line, end) = match line.strip_suffix(b"\n") {
            Some(line) => (line.strip_suffix(b"\r").unwrap_or(line), "\n"),
            None => (line, ""),
        };
        push_line(&mut text, line);
        text.push_str(end);
    }
    text
}

fn push_line(text: &mut String, mut line: &[u8]) {
    let mut chars = 0;
    while !line.is_empty() {
        if let Some(length) = colour(line) {
            line = &line[length..];
            continue;
        }
        if chars >= LINE_CHARS {
            text.push_str(&format!(" [{} bytes more]", line.len()));
            return;
        }
        chars += 1;
        let (shown, length) = character(line);
        text.push_str(&shown);
        line = &line[length..];
    }
}

/// The length of the colour sequence that `bytes` begins with.
fn colour(bytes: &[u8]) -> Option<usize> {
    let inside = bytes.strip_prefix(b"\x1b[")?;
    let end = inside
        .iter()
        .position(|byte| !matches!(byte, b'0'..=b'9' | b';' | b':'))?;
    (inside[end] == b'm').then_some(end + 3)
}

/// The first character, as it is shown, and how many bytes it takes.
fn character(bytes: &[u8]) -> (String, usize) {
    let window = &bytes[..bytes.len().min(4)];
    let Some(chunk) = window.utf8_chunks().next() else {
        return (String::new(), 1);
    };
    match chunk.valid().chars().next() {
        Some(c @ ('\t' | '\\')) => (c.to_string(), 1),
        Some(c) => (escape(c.to_string().as_bytes()), c.len_utf8()),
        None => (format!("\\x{:02x}", bytes[0]), 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ByteText;
    use proptest::prelude::*;

    fn output(head: &[u8], dropped_bytes: u64, tail: &[u8]) -> StoredOutput {
        StoredOutput {
            stream: "stdout".into(),
            head: ByteText::from(head.to_vec()),
            dropped_bytes,
            tail: ByteText::from(tail.to_vec()),
        }
    }

    #[test]
    fn lines_stay_lines_and_nothing_acts() {
        assert_eq!(
            clean(b"a\tb\\n\r\n\x1b[1;31mred\x1b[0m\x1b[2J\x07\xff\n"),
            "a\tb\\n\nred\\x1b[2J\\x07\\xff\n"
        );
        assert_eq!(
            clean("caf\u{e9} \u{202e}x".as_bytes()),
            "caf\u{e9} \\u{202e}x"
        );
        assert_eq!(clean(b"\x1b["), "\\x1b[");
    }

    #[test]
    fn what_is_short_is_whole() {
        assert_eq!(excerpt(&output(b"one\n", 0, b"two\n")), "one\ntwo\n");
    }

    #[test]
    fn what_is_long_has_its_two_ends() {
        let long: Vec<u8> = (0..10_000)
            .flat_map(|at| format!("line {at}\n").into_bytes())
            .collect();
        let text = excerpt(&output(&long, 0, b""));
        assert!(text.starts_with("line 0\n") && text.ends_with("line 9999\n"));
        assert!(text.len() < HEAD_BYTES + TAIL_BYTES + 100, "{}", text.len());
        let left_out = long.len()
            - (text.len()
                - text
                    .lines()
                    .find(|line| line.starts_with('['))
                    .unwrap()
                    .len()
                - 1);
        assert!(
            text.contains(&format!("\n[{left_out} bytes are left out here]\nline ")),
            "{left_out}"
        );
        let text = excerpt(&output(b"first\n", 77, b"cut\nlast\n"));
        assert_eq!(text, "first\n[81 bytes are left out here]\nlast\n");
    }

    proptest! {
        #[test]
        fn it_is_bounded_and_has_no_control_character(bytes: Vec<u8>, repeat in 1usize..3000) {
            let bytes = bytes.repeat(repeat.min(40_000 / (bytes.len() + 1) + 1));
            let text = excerpt(&output(&bytes, 0, b""));
            prop_assert!(text.len() <= 12 * (HEAD_BYTES + TAIL_BYTES) + 100);
            prop_assert!(text.chars().all(|c| matches!(c, '\n' | '\t') || !c.is_control()));
        }
    }
}
