//! Text as the operating system has it: bytes that are usually UTF-8, and need not be.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes that are usually UTF-8: a path, an argument, a piece of a test's output.
///
/// In JSON it is a string where the bytes are UTF-8 and `{"base64": "…"}` where they are not, so
/// every byte survives and ordinary text stays readable. `Display` escapes, see [`escape`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteText(Vec<u8>);

impl ByteText {
    /// The bytes as they are.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as an operating-system string.
    pub fn as_os_str(&self) -> &OsStr {
        OsStr::from_bytes(&self.0)
    }

    /// The text, where the bytes are UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The bytes, taken out.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl From<Vec<u8>> for ByteText {
    fn from(bytes: Vec<u8>) -> Self {
        ByteText(bytes)
    }
}

impl From<&str> for ByteText {
    fn from(text: &str) -> Self {
        ByteText(text.as_bytes().to_vec())
    }
}

impl From<String> for ByteText {
    fn from(text: String) -> Self {
        ByteText(text.into_bytes())
    }
}

impl From<&OsStr> for ByteText {
    fn from(text: &OsStr) -> Self {
        ByteText(text.as_bytes().to_vec())
    }
}

impl From<OsString> for ByteText {
    fn from(text: OsString) -> Self {
        ByteText(text.into_vec())
    }
}

impl fmt::Display for ByteText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape(&self.0))
    }
}

impl fmt::Debug for ByteText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", escape(&self.0))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Wire<'a> {
    Text(std::borrow::Cow<'a, str>),
    Bytes { base64: std::borrow::Cow<'a, str> },
}

impl Serialize for ByteText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => Wire::Bytes {
                base64: STANDARD.encode(&self.0).into(),
            }
            .serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for ByteText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Wire::deserialize(deserializer)? {
            Wire::Text(text) => Ok(ByteText(text.into_owned().into_bytes())),
            Wire::Bytes { base64 } => STANDARD
                .decode(base64.as_bytes())
                .map(ByteText)
                .map_err(serde::de::Error::custom),
        }
    }
}

/// `bytes` as one line that is safe on a terminal: control, format and bidirectional characters
/// become `\n`, `\x1b` or `\u{202e}`, bytes that are not UTF-8 become `\xNN`, a backslash `\\`.
pub fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", c as u32)),
                c if is_hidden(c) => out.push_str(&format!("\\u{{{:x}}}", c as u32)),
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

/// Characters that show nothing themselves and change how their neighbours look.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn utf8_is_a_plain_json_string() {
        let json = serde_json::to_string(&ByteText::from("a b")).unwrap();
        assert_eq!(json, r#""a b""#);
    }

    #[test]
    fn hostile_names_show_no_control_character() {
        assert_eq!(escape(b"a\x1b[2J\n\xff"), r"a\x1b[2J\n\xff");
        assert_eq!(escape("x\u{202e}y".as_bytes()), r"x\u{202e}y");
        assert_eq!(escape("caf\u{e9}".as_bytes()), "caf\u{e9}");
    }

    proptest! {
        #[test]
        fn every_byte_survives_json(bytes: Vec<u8>) {
            let text = ByteText::from(bytes);
            let json = serde_json::to_string(&text).unwrap();
            prop_assert!(!json.contains('\n'));
            prop_assert_eq!(serde_json::from_str::<ByteText>(&json).unwrap(), text);
        }
    }
}
