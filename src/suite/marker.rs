//! The profile that a test names in its first lines.

/// How many lines are looked at.
const LINES: usize = 10;
/// How many bytes are looked at: ten lines of a minified file can be megabytes.
pub(super) const BYTES: usize = 8192;

/// The marker in full.
const MARKER: &[u8] = b"docker-test:";
const KEY: &[u8] = b"profile=";
/// Words that mark a test by themselves, with the profile that they mean; the first counts.
const WORDS: [(&[u8], &str); 3] = [
    (b"slow_it", "slow"),
    (b"@intensive", "intensive"),
    (b"@fast", "fast"),
];

/// A marker.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Marker {
    /// The profile that it names.
    pub profile: String,
    /// Its line, from 1.
    pub line: usize,
}

/// Finds the marker in a file's first bytes: `docker-test: profile=NAME`, or else one of the older
/// words, which stand alone: `@fast` is none in `@faster` or `me@fast`.
pub(super) fn find(head: &[u8]) -> Option<Marker> {
    let head = &head[..head.len().min(BYTES)];
    let lines = || head.split(|byte| *byte == b'\n').take(LINES).zip(1..);
    if let Some(marker) = lines().find_map(|(text, line)| {
        let profile = named(text)?;
        Some(Marker { profile, line })
    }) {
        return Some(marker);
    }
    WORDS.iter().find_map(|(word, profile)| {
        let (_, line) = lines().find(|(text, _)| has_word(text, word))?;
        let profile = (*profile).to_owned();
        Some(Marker { profile, line })
    })
}

fn named(text: &[u8]) -> Option<String> {
    let rest = &text[position(text, MARKER)? + MARKER.len()..];
    let rest = rest.trim_ascii_start().strip_prefix(KEY)?;
    let end = rest.iter().position(|byte| !is_word(*byte));
    let name = &rest[..end.unwrap_or(rest.len())];
    Some(String::from_utf8_lossy(name).into_owned())
}

fn has_word(text: &[u8], word: &[u8]) -> bool {
    let mut from = 0;
    while let Some(at) = position(&text[from..], word).map(|at| from + at) {
        let end = at + word.len();
        let before = at.checked_sub(1).map(|before| text[before]);
        if !before.is_some_and(is_word) && !text.get(end).copied().is_some_and(is_word) {
            return true;
        }
        from = end;
    }
    false
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

fn position(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).position(|window| window == word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(head: &str) -> Option<(String, usize)> {
        find(head.as_bytes()).map(|marker| (marker.profile, marker.line))
    }

    #[test]
    fn markers() {
        for (head, profile, line) in [
            ("#!/bin/sh\n# docker-test: profile=slow\n", "slow", 2),
            ("// docker-test:profile=my-own_1 */", "my-own_1", 1),
            ("docker-test: profile=", "", 1),
            ("# docker-test: profile=fast\r\n", "fast", 1),
            ("#\n# @fast\n", "fast", 2),
            ("/* @intensive */", "intensive", 1),
            ("slow_it('x', () => {})", "slow", 1),
            ("@fast\n@intensive\nslow_it", "slow", 3),
            ("@fast\n@intensive", "intensive", 2),
            ("@faster @fast", "fast", 1),
            ("slow_it\n\ndocker-test: profile=fast", "fast", 3),
            ("docker-test: profile=a\ndocker-test: profile=b", "a", 1),
            ("\n\n\n\n\n\n\n\n\n@fast", "fast", 10),
        ] {
            assert_eq!(found(head), Some((profile.to_owned(), line)), "{head:?}");
        }
    }

    #[test]
    fn what_is_no_marker() {
        for head in [
            "",
            "docker-test",
            "docker-test: verbose",
            "profile=fast",
            "@faster",
            "me@fast",
            "not_slow_it",
            "slow_items",
            "\n\n\n\n\n\n\n\n\n\n@fast",
            &format!("{} @fast", " ".repeat(BYTES)),
        ] {
            assert_eq!(found(head), None, "{head:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(head: Vec<u8>, text in "[@a-z_:= \n-]{0,80}") {
            find(&head);
            find(text.as_bytes());
        }
    }
}
