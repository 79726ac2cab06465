//! Which image a test runs in.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An image as the user names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum ImageChoice {
    /// Our minimal Alpine image.
    Isolation,
    /// Our Ubuntu image with compilers, debuggers and QEMU.
    Full,
    /// The host's own userland, mounted read-only over an empty image.
    Host,
    /// Any image, by its reference.
    Named(String),
}

impl ImageChoice {
    /// Parses `isolation`, `full`, `host`, or an image reference such as `debian:12`.
    ///
    /// # Errors
    /// A line that says what is wrong with the reference. The check is stricter than the
    /// engines' own, so that nothing which looks like an option ever reaches a command line.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "isolation" => Ok(ImageChoice::Isolation),
            "full" => Ok(ImageChoice::Full),
            "host" => Ok(ImageChoice::Host),
            _ if is_reference(text) => Ok(ImageChoice::Named(text.to_owned())),
            _ => Err(format!(
                "invalid image '{}': write isolation, full, host or a reference such as debian:12",
                super::escape(text.as_bytes())
            )),
        }
    }
}

/// `[host[:port]/]path[:tag][@algorithm:hex]`, as the distribution specification has it.
fn is_reference(text: &str) -> bool {
    let (text, digest) = text
        .split_once('@')
        .map_or((text, None), |(a, b)| (a, Some(b)));
    let digest_ok = digest.is_none_or(|digest| {
        digest.split_once(':').is_some_and(|(algorithm, hex)| {
            !algorithm.is_empty()
                && algorithm
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || c == '+' || c == '-')
                && hex.len() >= 32
                && hex.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
        })
    });
    let last = text.rsplit('/').next().unwrap_or(text);
    let (path, tag) = match last.rsplit_once(':') {
        Some((_, tag)) => (&text[..text.len() - tag.len() - 1], Some(tag)),
        None => (text, None),
    };
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let tag_ok = tag.is_none_or(|tag| {
        tag.len() <= 128
            && tag.starts_with(word)
            && tag.chars().all(|c| word(c) || c == '.' || c == '-')
    });
    let mut parts = path.split('/').enumerate();
    let many = path.contains('/');
    let path_ok = parts.all(|(index, part)| {
        let host = index == 0 && many;
        part.starts_with(|c: char| {
            c.is_ascii_lowercase() || c.is_ascii_digit() || (host && c.is_ascii_uppercase())
        }) && part.ends_with(|c: char| c.is_ascii_alphanumeric())
            && part.chars().all(|c| {
                c.is_ascii_lowercase()
                    || c.is_ascii_digit()
                    || matches!(c, '.' | '_' | '-')
                    || (host && (c == ':' || c.is_ascii_uppercase()))
            })
    });
    text.len() <= 255 && digest_ok && tag_ok && path_ok
}

impl fmt::Display for ImageChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ImageChoice::Isolation => "isolation",
            ImageChoice::Full => "full",
            ImageChoice::Host => "host",
            ImageChoice::Named(reference) => reference,
        })
    }
}

impl From<ImageChoice> for String {
    fn from(image: ImageChoice) -> String {
        image.to_string()
    }
}

impl TryFrom<String> for ImageChoice {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        ImageChoice::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        for good in [
            "debian",
            "debian:12",
            "a/b/c:1.2-x_y",
            "localhost:5000/a:1",
            "docker-test/isolation:0.1.0",
            "debian@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        ] {
            assert_eq!(
                ImageChoice::parse(good),
                Ok(ImageChoice::Named(good.into())),
                "{good}"
            );
        }
        for bad in [
            "",
            "-it",
            "--privileged",
            "Debian",
            "a b",
            "a;b",
            "$(id)",
            "a:",
            ":a",
            "a//b",
            "a/-b",
            "a@sha256:xyz",
            "a\nb",
            "a:-t",
            "./a",
            "a/",
        ] {
            assert!(ImageChoice::parse(bad).is_err(), "{bad:?}");
        }
    }
}
