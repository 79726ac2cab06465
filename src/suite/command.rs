//! What is executed for a test.

use crate::config::{Piece, Placeholder, pieces};
use crate::model::{ByteText, TestId};

/// Program and arguments for a test: `template` with its placeholders filled in, in one pass, so
/// that an id which looks like a placeholder stays what it is.
///
/// An argument that begins with a path, and so with `-` only because the path does, gets `./` in
/// front: a file cannot turn into an option.
pub fn command(template: &[String], test: &TestId) -> Vec<ByteText> {
    template
        .iter()
        .map(|argument| fill(argument, test))
        .collect()
}

fn fill(argument: &str, test: &TestId) -> ByteText {
    // The config was checked; a template from elsewhere that is none stands for itself.
    let pieces = pieces(argument).unwrap_or_else(|_| vec![Piece::Literal(argument)]);
    let mut out = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Literal(text) => out.extend_from_slice(text.as_bytes()),
            Piece::Placeholder(Placeholder::Name) => {
                out.extend_from_slice(test.name().as_bytes());
            }
            Piece::Placeholder(Placeholder::Test) => push_path(&mut out, test.text().as_bytes()),
            Piece::Placeholder(Placeholder::Path) => {
                push_path(&mut out, test.path().as_os_str().as_encoded_bytes());
            }
        }
    }
    ByteText::from(out)
}

fn push_path(out: &mut Vec<u8>, path: &[u8]) {
    if out.is_empty() && path.starts_with(b"-") {
        out.extend_from_slice(b"./");
    }
    out.extend_from_slice(path);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(template: &[&str], id: &[u8]) -> Vec<Vec<u8>> {
        let template: Vec<String> = template.iter().map(|word| (*word).to_owned()).collect();
        command(&template, &TestId::new(id.to_vec()))
            .into_iter()
            .map(ByteText::into_bytes)
            .collect()
    }

    #[test]
    fn placeholders() {
        assert_eq!(
            filled(
                &["sh", "{test}", "--{path}={name}", "${x}"],
                b"a/b.py::T::c"
            ),
            [
                b"sh".to_vec(),
                b"a/b.py::T::c".to_vec(),
                b"--a/b.py=T::c".to_vec(),
                b"${x}".to_vec()
            ]
        );
    }

    #[test]
    fn every_byte_stays() {
        assert_eq!(
            filled(&["{test}"], b"a \xff\n'\"$(x){name}"),
            [b"a \xff\n'\"$(x){name}"]
        );
    }

    #[test]
    fn a_path_is_no_option() {
        assert_eq!(
            filled(
                &["{test}", "{path}", "-{path}", "x{path}", "{name}"],
                b"-rf::-n"
            ),
            [&b"./-rf::-n"[..], b"./-rf", b"--rf", b"x-rf", b"-n"]
        );
    }
}
