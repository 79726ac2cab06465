//! The command of a test: arguments with placeholders.

use super::nearest::suggestion;

/// What a placeholder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// `{test}`: the test's id.
    Test,
    /// `{path}`: the id's path.
    Path,
    /// `{name}`: the id's name.
    Name,
}

/// A piece of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Itself.
    Literal(&'a str),
    /// What the test has there.
    Placeholder(Placeholder),
}

const PLACEHOLDERS: [(&str, Placeholder); 3] = [
    ("test", Placeholder::Test),
    ("path", Placeholder::Path),
    ("name", Placeholder::Name),
];

/// Takes an argument apart. A placeholder is `{word}` of lower-case letters, digits, `-` and `_`;
/// other braces are themselves, and so is the shell's `${word}`.
///
/// # Errors
/// A line that names an unknown placeholder and the known ones.
pub fn pieces(argument: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut pieces = Vec::new();
    let mut literal = 0;
    let mut at = 0;
    while let Some(open) = argument[at..].find('{').map(|found| at + found) {
        at = open + 1;
        let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
        let rest = &argument[at..];
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let word = &rest[..end];
        if word.is_empty() || !rest[end..].starts_with('}') || argument[..open].ends_with('$') {
            continue;
        }
        let Some((_, placeholder)) = PLACEHOLDERS.iter().find(|(known, _)| *known == word) else {
            let known = PLACEHOLDERS.map(|(known, _)| known);
            return Err(format!(
                "unknown placeholder '{{{word}}}': {}",
                suggestion(word, known)
            ));
        };
        if literal < open {
            pieces.push(Piece::Literal(&argument[literal..open]));
        }
        pieces.push(Piece::Placeholder(*placeholder));
        at += word.len() + 1;
        literal = at;
    }
    if literal < argument.len() {
        pieces.push(Piece::Literal(&argument[literal..]));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Piece::Literal;
    use proptest::prelude::*;

    #[test]
    fn placeholders_and_other_braces() {
        assert_eq!(
            pieces("--{path}::{name}"),
            Ok(vec![
                Literal("--"),
                Piece::Placeholder(Placeholder::Path),
                Literal("::"),
                Piece::Placeholder(Placeholder::Name),
            ])
        );
        for plain in [
            "", "${x}", "{}", "{ a }", "{A}", "a}", "{", "{é}", "$x{", "{a b}",
        ] {
            let all: String = pieces(plain)
                .unwrap()
                .iter()
                .map(|piece| match piece {
                    Literal(text) => *text,
                    Piece::Placeholder(_) => "?",
                })
                .collect();
            assert_eq!(all, plain);
        }
        assert_eq!(pieces("{{test}}").unwrap().len(), 3);
    }

    #[test]
    fn an_unknown_placeholder_is_refused() {
        assert_eq!(
            pieces("a {tset}").unwrap_err(),
            "unknown placeholder '{tset}': did you mean 'test'?"
        );
        assert_eq!(
            pieces("{file}").unwrap_err(),
            "unknown placeholder '{file}': known are test, path, name"
        );
    }

    proptest! {
        #[test]
        fn no_argument_panics(argument in "[{}$a-c\u{e9}t]{0,20}|.*") {
            let _ = pieces(&argument);
        }
    }
}
