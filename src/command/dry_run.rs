//! `--dry-run`: what would be started.

use super::setup::Setup;
use super::{Failure, text};
use crate::model::ByteText;
use crate::run::Class;

/// Prints the engine's command line for a worker of each class.
pub fn dry_run(setup: &Setup, classes: &[Class]) -> Result<u8, Failure> {
    let mut lines = String::new();
    for class in classes {
        let mut spec = class.spec.clone();
        spec.name = format!("docker-test-{}-1", setup.run);
        lines.push_str(&format!(
            "# profile {}, image {}\n",
            class.profile, class.image
        ));
        if let Some(argv) = setup.engine.command_line(&spec)? {
            let words: Vec<String> = argv
                .iter()
                .map(|word| quote(&ByteText::from(word.as_os_str())))
                .collect();
            lines.push_str(&words.join(" "));
            lines.push('\n');
        } else {
            let engine = setup.engine.kind().as_str();
            lines.push_str(&format!("# no command line: {engine} starts it itself\n"));
        }
    }
    text::print(lines.as_bytes())
}

/// A word as a POSIX shell reads it back. A word that would not survive a terminal is written byte
/// by byte in bash's `$'…'` form, which every locale reads alike.
fn quote(word: &ByteText) -> String {
    let escaped = word.to_string();
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"-_=/.,:@%+".contains(&c);
    if word.as_str() != Some(&escaped) {
        let byte = |byte: &u8| match *byte {
            byte if plain(byte) => char::from(byte).to_string(),
            byte => format!("\\x{byte:02x}"),
        };
        let bytes: String = word.as_bytes().iter().map(byte).collect();
        format!("$'{bytes}'")
    } else if !escaped.is_empty() && escaped.bytes().all(plain) {
        escaped
    } else {
        format!("'{}'", escaped.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(quote(&"--a=b/c".into()), "--a=b/c");
        assert_eq!(quote(&"a b".into()), "'a b'");
        assert_eq!(quote(&"it's".into()), r"'it'\''s'");
        assert_eq!(quote(&"".into()), "''");
        assert_eq!(quote(&"a\n'\u{202e}".into()), r"$'a\x0a\x27\xe2\x80\xae'");
        assert_eq!(quote(&b"\xff\\".to_vec().into()), r"$'\xff\x5c'");
    }
}
