//! A test and its id.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{ByteText, ImageChoice};

/// What names a test: its path from the project's root, or `path::name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TestId(ByteText);

impl TestId {
    /// An id from its bytes, as a listing command printed them or a walk found them.
    pub fn new(text: impl Into<ByteText>) -> Self {
        TestId(text.into())
    }

    /// The id's text.
    pub fn text(&self) -> &ByteText {
        &self.0
    }

    /// The part before the first `::`, relative to the project's root.
    pub fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(self.split().0))
    }

    /// The part behind the first `::`; without one, the file's name.
    pub fn name(&self) -> ByteText {
        match self.split() {
            (_, Some(name)) => ByteText::from(name.to_vec()),
            (path, None) => {
                let path = Path::new(OsStr::from_bytes(path));
                ByteText::from(path.file_name().unwrap_or(path.as_os_str()))
            }
        }
    }

    fn split(&self) -> (&[u8], Option<&[u8]>) {
        let bytes = self.0.as_bytes();
        match bytes.windows(2).position(|pair| pair == b"::") {
            Some(at) => (&bytes[..at], Some(&bytes[at + 2..])),
            None => (bytes, None),
        }
    }
}

impl fmt::Display for TestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a test's profile comes from, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProfileOrigin {
    /// The config's default.
    Default,
    /// A path rule of the config.
    Rule,
    /// A comment in the test's first lines.
    Marker,
    /// `--profile`.
    CommandLine,
}

/// A test with everything that decides how it is run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Test {
    /// What names it.
    pub id: TestId,
    /// Its profile's name.
    pub profile: String,
    /// Who chose the profile.
    pub origin: ProfileOrigin,
    /// The image that it runs in.
    pub image: ImageChoice,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_alone() {
        let id = TestId::new("test/a_test.sh");
        assert_eq!(id.path(), Path::new("test/a_test.sh"));
        assert_eq!(id.name(), ByteText::from("a_test.sh"));
    }

    #[test]
    fn a_path_with_a_name() {
        let id = TestId::new("src/x.py::T::case");
        assert_eq!(id.path(), Path::new("src/x.py"));
        assert_eq!(id.name(), ByteText::from("T::case"));
    }
}
