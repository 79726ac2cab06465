//! What names an image's content.

use std::fmt;

use serde::Serialize;

/// How many digits people are shown.
const DIGITS: usize = 12;

/// `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct ContentDigest(String);

impl ContentDigest {
    /// The label by which an image of ours carries the digest of what it is made of.
    pub const LABEL: &str = "dev.docker-test.content";

    /// Reads one; `None` where `text` has not exactly this form.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.strip_prefix("sha256:")?;
        let is_hex = hex
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (hex.len() == 64 && is_hex).then(|| ContentDigest(text.to_owned()))
    }

    /// That of a SHA-256.
    pub fn of_sha256(bytes: [u8; 32]) -> Self {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        ContentDigest(format!("sha256:{hex}"))
    }

    /// `sha256:` and the first twelve digits, for people.
    pub fn short(&self) -> &str {
        &self.0[.."sha256:".len() + DIGITS]
    }
}

impl fmt::Display for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_form_is_one() {
        let good = format!("sha256:{}", "0123456789abcdef".repeat(4));
        let digest = ContentDigest::parse(&good).unwrap();
        assert_eq!(digest.to_string(), good);
        assert_eq!(digest.short(), "sha256:0123456789ab");
        let bytes = [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef].repeat(4);
        assert_eq!(ContentDigest::of_sha256(bytes.try_into().unwrap()), digest);
        for bad in [
            "",
            "sha256:",
            &good[1..],
            &good[..good.len() - 1],
            &format!("{good}0"),
            &good.to_uppercase(),
            &good.replace('9', "\u{e9}"),
            &good.replace("sha256", "sha512"),
        ] {
            assert_eq!(ContentDigest::parse(bad), None, "{bad}");
        }
    }
}
