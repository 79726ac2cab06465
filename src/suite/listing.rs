//! The output of `suite.list`.

use std::collections::HashMap;

use crate::model::{TestId, escape};

use super::SuiteError;

/// The tests that a listing command printed: one id a line, in its order. A CR before the line
/// feed and empty lines are dropped.
///
/// # Errors
/// An id that occurs twice, or contains a NUL byte.
pub fn parse_listing(output: &[u8]) -> Result<Vec<TestId>, SuiteError> {
    let mut seen = HashMap::new();
    let mut tests = Vec::new();
    for (index, line) in output.split(|byte| *byte == b'\n').enumerate() {
        let id = line.strip_suffix(b"\r").unwrap_or(line);
        let line = index + 1;
        if id.is_empty() {
            continue;
        }
        if id.contains(&0) {
            return Err(SuiteError::NotAnId { line });
        }
        if let Some(first) = seen.insert(id, line) {
            return Err(SuiteError::Duplicate {
                id: escape(id),
                first,
                second: line,
            });
        }
        tests.push(TestId::new(id.to_vec()));
    }
    Ok(tests)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_id_a_line() {
        let ids = parse_listing(b"b::x\r\n\n\r\na b\n\xff").unwrap();
        let ids: Vec<_> = ids.iter().map(|id| id.text().as_bytes()).collect();
        assert_eq!(ids, [&b"b::x"[..], b"a b", b"\xff"]);
        assert_eq!(parse_listing(b""), Ok(Vec::new()));
    }

    #[test]
    fn what_is_refused() {
        let text = |output: &[u8]| parse_listing(output).unwrap_err().to_string();
        assert_eq!(
            text(b"a\n\nb\x1b\na\nb\x1b\r\n"),
            "suite.list: lines 1 and 4 are the same test 'a': print each id once"
        );
        assert_eq!(
            text(b"b\x1b\nb\x1b\r\n"),
            "suite.list: lines 1 and 2 are the same test 'b\\x1b': print each id once"
        );
        assert_eq!(
            text(b"a\nb\0c"),
            "suite.list: line 2 contains a NUL byte: print one id a line"
        );
    }

    proptest! {
        #[test]
        fn ids_are_the_lines(lines in prop::collection::hash_set("[^\r\n\0]{1,8}", 0..20)) {
            let output: String = lines.iter().map(|line| format!("{line}\n")).collect();
            let ids = parse_listing(output.as_bytes()).unwrap();
            prop_assert_eq!(ids.len(), lines.len());
            prop_assert!(ids.iter().all(|id| lines.contains(id.text().as_str().unwrap())));
        }

        #[test]
        fn no_output_panics(output: Vec<u8>) {
            let _ = parse_listing(&output);
        }
    }
}
