//! JSON that can stand in a page: no byte of it can end the element that it is in.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

/// `value` as JSON that has no `<`, `>`, `&`, U+2028 or U+2029: `</script` and `<!--` cannot occur,
/// whatever a test is called and writes.
///
/// # Errors
/// `value` does not serialise.
pub fn to_string(value: &impl Serialize) -> io::Result<String> {
    let mut bytes = Vec::new();
    write(&mut bytes, value)?;
    String::from_utf8(bytes).map_err(io::Error::other)
}

/// How many bytes [`to_string`] would have.
///
/// # Errors
/// As there.
pub fn length(value: &impl Serialize) -> io::Result<usize> {
    let mut count = Count(0);
    write(&mut count, value)?;
    Ok(count.0)
}

fn write(out: impl Write, value: &impl Serialize) -> io::Result<()> {
    let mut serializer = Serializer::with_formatter(out, Inert);
    value.serialize(&mut serializer).map_err(io::Error::from)
}

/// Writes what has a meaning in HTML, or ends a line in old JavaScript, as `\uXXXX`.
struct Inert;

impl Formatter for Inert {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut plain = 0;
        for (at, c) in fragment.char_indices() {
            if matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}') {
                out.write_all(&fragment.as_bytes()[plain..at])?;
                write!(out, "\\u{:04x}", c as u32)?;
                plain = at + c.len_utf8();
            }
        }
        out.write_all(&fragment.as_bytes()[plain..])
    }
}

/// Counts what is written.
struct Count(usize);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_parses_back_and_cannot_end_its_element(text in any_text()) {
            let json = to_string(&text).unwrap();
            prop_assert!(!json.contains(['<', '>', '&', '\u{2028}', '\u{2029}', '\n']), "{}", json);
            prop_assert_eq!(length(&text).unwrap(), json.len());
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }

    fn any_text() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("</script>".to_owned()),
            Just("<!--<script".to_owned()),
            Just("\u{2028}\u{2029}\\\"'&lt;".to_owned()),
            any::<String>(),
        ];
        proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
    }
}
