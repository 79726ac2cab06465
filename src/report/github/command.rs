//! A workflow command as GitHub's runner reads it: `::error file=a,title=b::message` at the start of
//! a line.

use std::fmt;

/// How much an annotation matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Error,
    Warning,
    Notice,
}

/// An annotation. `Display` is its line.
#[derive(Clone, Debug)]
pub struct Annotation {
    pub kind: Kind,
    /// From the workspace.
    pub file: Option<String>,
    pub title: String,
    /// One line or several.
    pub message: String,
}

impl fmt::Display for Annotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Error => "::error ",
            Kind::Warning => "::warning ",
            Kind::Notice => "::notice ",
        })?;
        if let Some(file) = &self.file {
            write!(f, "file={},", property(file))?;
        }
        let message = data(self.message.trim_end());
        writeln!(f, "title={}::{message}", property(&self.title))
    }
}

/// A message: what is behind the second `::`.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// A property's value, which ends at a comma or a `::`.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_ends_something_is_escaped() {
        let annotation = Annotation {
            kind: Kind::Error,
            file: Some("a::b,c%0A".into()),
            title: "x\r\ny".into(),
            message: "50 %\n::error::z\n".into(),
        };
        assert_eq!(
            annotation.to_string(),
            "::error file=a%3A%3Ab%2Cc%250A,title=x%0D%0Ay::50 %25%0A::error::z\n"
        );
    }
}
