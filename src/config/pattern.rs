//! Path patterns.

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

use crate::model::escape;

/// The longest pattern, in bytes: as long as a path can be.
const LONGEST: usize = 4096;

/// Patterns of which any may match.
///
/// `*` and `?` stay within one path component and `**` crosses components, as in `.gitignore`;
/// `[a-z]` and `{a,b}` work. Paths are matched as bytes.
#[derive(Clone, Debug)]
pub struct Patterns(GlobSet);

impl Patterns {
    /// Compiles patterns.
    ///
    /// # Errors
    /// A line that names the first pattern that is none, and the accepted form.
    pub fn new<T: AsRef<str>>(patterns: &[T]) -> Result<Self, String> {
        Self::build(patterns, true)
    }

    /// The same, but `*` and `?` cross path components: for ids that people filter by.
    ///
    /// # Errors
    /// As for [`Patterns::new`].
    pub fn crossing<T: AsRef<str>>(patterns: &[T]) -> Result<Self, String> {
        Self::build(patterns, false)
    }

    fn build<T: AsRef<str>>(patterns: &[T], literal_separator: bool) -> Result<Self, String> {
        let mut set = GlobSetBuilder::new();
        for pattern in patterns {
            set.add(compile(pattern.as_ref(), literal_separator)?);
        }
        let set = set
            .build()
            .map_err(|_| "the patterns are too large: write fewer or shorter ones")?;
        Ok(Patterns(set))
    }

    /// Whether one of them matches.
    pub fn matches(&self, path: &(impl AsRef<std::path::Path> + ?Sized)) -> bool {
        self.0.is_match(path)
    }

    /// The place of the last one that matches.
    pub fn last_match(&self, path: &(impl AsRef<std::path::Path> + ?Sized)) -> Option<usize> {
        self.0.matches(path).last().copied()
    }
}

/// A pattern that matches this path alone.
pub fn literal(path: &str) -> String {
    globset::escape(&path.replace('\\', "\\\\"))
}

fn compile(pattern: &str, literal_separator: bool) -> Result<Glob, String> {
    let refuse = |why: &str| {
        format!(
            "invalid pattern '{}': {why}; write a path pattern, as in test/**/*_test.sh",
            escape(pattern.as_bytes())
        )
    };
    if pattern.is_empty() {
        return Err(refuse("it is empty"));
    }
    if pattern.len() > LONGEST {
        return Err(format!(
            "invalid pattern of {} bytes: write at most {LONGEST}",
            pattern.len()
        ));
    }
    GlobBuilder::new(pattern)
        .literal_separator(literal_separator)
        .build()
        .map_err(|error| refuse(&error.kind().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    #[test]
    fn stars_stay_within_a_component() {
        let patterns = Patterns::new(&["test/*.sh", "**/{a,b}_test.py"]).unwrap();
        assert!(patterns.matches("test/x.sh"));
        assert!(!patterns.matches("test/sub/x.sh"));
        assert!(patterns.matches("b_test.py"));
        assert!(patterns.matches("x/y/b_test.py"));
        assert!(
            Patterns::crossing(&["test/*.sh"])
                .unwrap()
                .matches("test/sub/x.sh")
        );
    }

    #[test]
    fn any_byte_can_be_in_a_path() {
        let patterns = Patterns::new(&["**/*_test.sh"]).unwrap();
        assert!(patterns.matches(Path::new(OsStr::from_bytes(b"t/\xff\n -_test.sh"))));
    }

    #[test]
    fn the_last_match_is_told() {
        let patterns = Patterns::new(&["**/*.sh", "a/**", "c/**"]).unwrap();
        assert_eq!(patterns.last_match("a/x.sh"), Some(1));
        assert_eq!(patterns.last_match("b/x.sh"), Some(0));
        assert_eq!(patterns.last_match("b/x.py"), None);
    }

    #[test]
    fn what_is_no_pattern() {
        for (pattern, why) in [
            ("", "it is empty"),
            ("a[", "unclosed character class; missing ']'"),
            (
                "{a",
                "unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)",
            ),
        ] {
            assert_eq!(
                Patterns::new(&[pattern]).unwrap_err(),
                format!(
                    "invalid pattern '{pattern}': {why}; write a path pattern, as in \
                     test/**/*_test.sh"
                )
            );
        }
        assert_eq!(
            Patterns::new(&["a".repeat(4097)]).unwrap_err(),
            "invalid pattern of 4097 bytes: write at most 4096"
        );
    }

    proptest! {
        #[test]
        fn a_literal_matches_itself_alone(
            path in "[ab*?\\[\\]{},!\\\\/\u{e9}\n-]{1,20}",
            other in "[ab*?\\[\\]{},!\\\\/\u{e9}\n-]{1,20}",
        ) {
            let patterns = Patterns::new(&[literal(&path)]).unwrap();
            prop_assert!(patterns.matches(&path));
            prop_assert_eq!(patterns.matches(&other), path == other);
        }

        #[test]
        fn no_pattern_panics(pattern in "[a*?\\[\\]{},!\\\\/\u{e9}\n-]{0,40}", path: Vec<u8>) {
            if let Ok(patterns) = Patterns::new(&[pattern]) {
                patterns.matches(Path::new(OsStr::from_bytes(&path)));
            }
        }
    }
}
