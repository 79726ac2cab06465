//! Which part of a path is the reason that it cannot be used.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::model::escape;

/// The reason why a path cannot be used; both texts are safe to print.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Obstacle {
    /// The first component, with all before it, that does not work.
    pub component: String,
    /// What is wrong with it.
    pub why: String,
}

impl Obstacle {
    pub fn new(component: &Path, why: impl Into<String>) -> Self {
        Obstacle {
            component: show(component),
            why: why.into(),
        }
    }
}

/// `path` as text that is safe to print.
pub(super) fn show(path: &Path) -> String {
    escape(path.as_os_str().as_encoded_bytes())
}

/// The real path, or the first component that is in the way.
pub(super) fn real(path: &Path) -> Result<PathBuf, Obstacle> {
    path.canonicalize().map_err(|error| {
        let mut so_far = PathBuf::new();
        for component in path.components() {
            so_far.push(component);
            if let Err(error) = so_far.metadata() {
                return Obstacle::new(&so_far, reason(&so_far, &error));
            }
        }
        Obstacle::new(path, reason(path, &error))
    })
}

/// What is wrong with `path`, whose use failed with `error`.
pub(super) fn reason(path: &Path, error: &io::Error) -> String {
    let target = path.read_link().ok().map(|target| show(&target));
    match (error.kind(), target) {
        (ErrorKind::NotFound, Some(target)) => format!("is a dangling symlink to '{target}'"),
        (ErrorKind::NotFound, None) => "does not exist".to_owned(),
        _ if error.raw_os_error() == Some(libc::ELOOP) => "is a symlink loop".to_owned(),
        (ErrorKind::NotADirectory, _) => "is below a file".to_owned(),
        (ErrorKind::PermissionDenied, _) => "cannot be read: permission denied".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn the_component_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::write(root.join("file"), "").unwrap();
        symlink("gone", root.join("dangling")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        for (path, component, why) in [
            ("a/b/c", "a", "does not exist"),
            ("file/b", "file/b", "is below a file"),
            ("dangling/b", "dangling", "is a dangling symlink to 'gone'"),
            ("loop", "loop", "is a symlink loop"),
            ("\u{1b}", "\\x1b", "does not exist"),
        ] {
            let obstacle = real(&root.join(path)).unwrap_err();
            assert_eq!(
                obstacle.component,
                format!("{}/{component}", root.display())
            );
            assert_eq!(obstacle.why, why);
        }
        let long = real(&root.join("x".repeat(5000))).unwrap_err();
        assert!(
            long.why.starts_with("cannot be read: File name too long"),
            "{}",
            long.why
        );
        assert_eq!(
            real(&root.join("file/..")),
            Err(Obstacle::new(&root.join("file/.."), "is below a file"))
        );
        assert_eq!(real(&root), Ok(root.clone()));
    }
}
