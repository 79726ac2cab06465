//! Where in an image an entry of an archive belongs. Pure.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::error::Refusal;
use crate::model::ByteText;

/// The deepest that an entry can be: what removes a tree holds one descriptor for each level.
const DEEPEST: usize = 255;

/// A path below an image's root: names without `.`, `..` and empty ones, joined by `/`. The root
/// itself is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place(Vec<u8>);

impl Place {
    /// Takes the name of an entry apart.
    ///
    /// # Errors
    /// It is absolute, has `..` or a NUL in it, or is too deep.
    pub fn parse(entry: &[u8]) -> Result<Place, Refusal> {
        let shown = || ByteText::from(entry.to_vec());
        if entry.starts_with(b"/") {
            return Err(Refusal::Outside { entry: shown() });
        }
        if entry.contains(&0) {
            let why = "its name has a NUL";
            return Err(Refusal::BadName {
                entry: shown(),
                why,
            });
        }
        let mut place = Place::default();
        let names = entry.split(|byte| *byte == b'/');
        for (depth, name) in names
            .filter(|name| !matches!(*name, b"" | b"."))
            .enumerate()
        {
            if name == b".." {
                return Err(Refusal::Outside { entry: shown() });
            }
            if depth >= DEEPEST {
                let why = "it is more than 255 folders deep";
                return Err(Refusal::BadName {
                    entry: shown(),
                    why,
                });
            }
            place = place.join(name);
        }
        Ok(place)
    }

    /// The place `name` in this folder.
    pub fn join(&self, name: &[u8]) -> Place {
        let mut path = self.0.clone();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        Place(path)
    }

    /// The folder that it is in, and its name there; `None` for the root.
    pub fn split(&self) -> Option<(Place, &[u8])> {
        match self.0.iter().rposition(|byte| *byte == b'/') {
            Some(at) => Some((Place(self.0[..at].to_vec()), &self.0[at + 1..])),
            None if self.0.is_empty() => None,
            None => Some((Place::default(), &self.0)),
        }
    }

    /// The names on the way to it.
    pub fn names(&self) -> impl Iterator<Item = &OsStr> {
        self.0
            .split(|byte| *byte == b'/')
            .filter(|name| !name.is_empty())
            .map(OsStr::from_bytes)
    }

    /// The path, without a `/` at its start.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it is below the folder of this name in the root.
    pub fn is_in(&self, folder: &[u8]) -> bool {
        self.0
            .strip_prefix(folder)
            .is_some_and(|rest| rest.starts_with(b"/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_plain() {
        for (entry, path) in [
            ("./a//b/./c/", "a/b/c"),
            (".", ""),
            ("./", ""),
            ("a", "a"),
            ("..a/b..", "..a/b.."),
        ] {
            let place = Place::parse(entry.as_bytes()).unwrap();
            assert_eq!(place.as_bytes(), path.as_bytes(), "{entry}");
        }
    }

    #[test]
    fn what_leads_out_is_refused() {
        for entry in ["/", "/etc/passwd", "..", "a/../b", "../a", "a/.."] {
            let refusal = Place::parse(entry.as_bytes()).unwrap_err();
            assert_eq!(
                refusal,
                Refusal::Outside {
                    entry: entry.into()
                }
            );
        }
        assert!(Place::parse(b"a\0b").is_err());
        assert!(Place::parse("a/".repeat(255).as_bytes()).is_ok());
        assert!(Place::parse("a/".repeat(256).as_bytes()).is_err());
    }

    #[test]
    fn parts() {
        let place = Place::parse(b"a/b/c").unwrap();
        let (folder, name) = place.split().unwrap();
        assert_eq!((folder.as_bytes(), name), (&b"a/b"[..], &b"c"[..]));
        assert_eq!(Place::default().split(), None);
        assert!(Place::parse(b"dev/a/b").unwrap().is_in(b"dev"));
        assert!(!Place::parse(b"device").unwrap().is_in(b"dev"));
        assert!(!Place::parse(b"dev").unwrap().is_in(b"dev"));
    }
}
