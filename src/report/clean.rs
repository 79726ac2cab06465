//! Bytes that a test chose, as text that can do nothing.
//!
//! Output and names are hostile: an escape sequence can overwrite a verdict or write to the
//! clipboard, and a line such as `::add-mask::…` or `##vso[…]` is a command to the CI system that
//! reads the log. So control and format characters are shown escaped, as are bytes that are not
//! UTF-8, and the markers of CI commands get a visible space in their middle: `# #vso[`. The marker
//! that counts only at the start of a line (`::`) is harmless in output, whose every line starts with
//! a mark of ours, and is broken at the start of a name.
//!
//! Unlike `model::escape`, backslashes and tabs stay as they are: output is there to be read, and
//! its exact bytes are in the database.

use crate::model::escape;

/// Characters of one line that are shown.
pub const LINE_CHARS: usize = 2_000;

/// `bytes` as one harmless line of at most about [`LINE_CHARS`] characters, and how many bytes at
/// its end were left out for that.
pub fn cut_line(bytes: &[u8]) -> (String, usize) {
    let mut line = String::with_capacity(bytes.len().min(LINE_CHARS));
    let mut chars = 0;
    let mut used = 0;
    let mut push = |shown: &str, length: usize| {
        chars += shown.chars().count();
        let fits = chars <= LINE_CHARS;
        if fits {
            line.push_str(shown);
            used += length;
        }
        fits
    };
    'cut: for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            let mut buffer = [0; 4];
            let plain = c.encode_utf8(&mut buffer);
            let fits = match c {
                '\t' | '\\' | ' '..='~' => push(plain, 1),
                _ => push(&escape(plain.as_bytes()), c.len_utf8()),
            };
            if !fits {
                break 'cut;
            }
        }
        for byte in chunk.invalid() {
            if !push(&format!("\\x{byte:02x}"), 1) {
                break 'cut;
            }
        }
    }
    (break_markers(&line), bytes.len() - used)
}

/// `text`, already escaped or our own, as one harmless line or a part of one; what is too long ends
/// in `...`. A `::` at its start, where a CI system may look for a command, becomes `: :`.
pub fn word(text: &str) -> String {
    let (mut line, left_out) = cut_line(text.as_bytes());
    let blank = line.len() - line.trim_start().len();
    if line[blank..].starts_with("::") {
        line.insert(blank + 1, ' ');
    }
    if left_out > 0 {
        line.push_str("...");
    }
    line
}

/// Puts a space into `##[`, `##vso[`, `##teamcity[` and the like, which count anywhere in a line,
/// and into `section_start:` and `section_end:`.
fn break_markers(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let (head, tail) = rest.split_at(c.len_utf8());
        out.push_str(head);
        if is_hash_command(rest) {
            out.push(' ');
        }
        rest = tail;
        if (rest.starts_with("_start:") || rest.starts_with("_end:")) && out.ends_with("section") {
            out.push(' ');
        }
    }
    out
}

/// Whether `text` starts with `##`, letters or none, and `[`.
fn is_hash_command(text: &str) -> bool {
    text.strip_prefix("##").is_some_and(|rest| {
        rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric())
            .starts_with('[')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(text: &str) -> String {
        cut_line(text.as_bytes()).0
    }

    #[test]
    fn ordinary_text_is_not_touched() {
        for text in [
            "a\tb \\n # ## [x] ::",
            "caf\u{e9} \u{1f980}",
            "## Title [x]",
        ] {
            assert_eq!(cut_line(text.as_bytes()), (text.to_owned(), 0));
        }
    }

    #[test]
    fn controls_are_shown() {
        assert_eq!(
            clean("\x1b[2J\x07\x08\r\0\x7f"),
            r"\x1b[2J\x07\x08\r\x00\x7f"
        );
        assert_eq!(
            clean("\u{9b}31m \u{85} \u{2028}"),
            r"\u{9b}31m \u{85} \u{2028}"
        );
        assert_eq!(clean("\u{202e}\u{2066}\u{61c}"), r"\u{202e}\u{2066}\u{61c}");
        assert_eq!(cut_line(b"a\xff\xc3").0, r"a\xff\xc3");
    }

    #[test]
    fn markers_get_a_space() {
        assert_eq!(clean("x ##[error]y"), "x # #[error]y");
        assert_eq!(clean("####[add-path]"), "### #[add-path]");
        assert_eq!(clean("##vso[a]##teamcity[b]"), "# #vso[a]# #teamcity[b]");
        assert_eq!(clean("section_start:1:a"), "section _start:1:a");
        assert_eq!(clean("section_end:1:a"), "section _end:1:a");
    }

    #[test]
    fn a_name_does_not_start_a_command() {
        assert_eq!(word("::error::x"), ": :error::x");
        assert_eq!(word(" \u{a0}::error::x"), " \u{a0}: :error::x");
        assert_eq!(word("a::b"), "a::b");
    }

    #[test]
    fn long_lines_are_cut() {
        assert_eq!(cut_line(&[b'a'; LINE_CHARS]).1, 0);
        let (line, left_out) = cut_line(&[b'a'; LINE_CHARS + 5]);
        assert_eq!((line.len(), left_out), (LINE_CHARS, 5));
        let (line, left_out) = cut_line(&[0xff; LINE_CHARS]);
        assert_eq!((line.len(), left_out), (LINE_CHARS, LINE_CHARS / 4 * 3));
    }
}
