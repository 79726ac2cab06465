//! A file that is written whole or not at all.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, eaccess, geteuid};

use crate::model::escape;

/// A place that a file can be written to.
#[derive(Debug)]
pub struct Target {
    path: PathBuf,
    folder: PathBuf,
}

/// Why it cannot.
#[derive(Debug, thiserror::Error)]
#[error("{path} cannot be written: {why}\nhint: {hint}")]
pub struct TargetError {
    path: String,
    why: String,
    hint: &'static str,
}

const HINT: &str = "name a file in a folder that is there and that you may write to";

impl Target {
    /// A place where there is nothing yet, or an ordinary file, which is replaced. Nothing is made.
    ///
    /// # Errors
    /// Something else is there, a symbolic link too: it is not followed; or the folder cannot be
    /// written.
    pub fn new(path: &Path) -> Result<Self, TargetError> {
        let refuse = |why: &str| Err(error(path, why.to_owned()));
        if path.file_name().is_none() || path.as_os_str().as_encoded_bytes().ends_with(b"/") {
            return refuse("it does not name a file");
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        match fs::symlink_metadata(path) {
            Ok(found) if found.is_file() => {}
            Ok(found) => return refuse(&format!("it is {}", kind(found.file_type()))),
            Err(failed) if failed.kind() == io::ErrorKind::NotFound => {}
            Err(failed) => return Err(error(path, failed.to_string())),
        }
        let may = fs::metadata(folder)
            .and_then(|_| Ok(eaccess(folder, AccessFlags::W_OK | AccessFlags::X_OK)?));
        if let Err(failed) = may {
            let folder = escape(folder.as_os_str().as_encoded_bytes());
            return refuse(&format!("folder {folder}: {failed}"));
        }
        Ok(Target {
            path: path.to_path_buf(),
            folder: folder.to_path_buf(),
        })
    }

    /// Writes the file: it is there as a whole, or what was there before is. What root makes belongs
    /// to the owner of the folder, as the results do.
    ///
    /// # Errors
    /// It cannot be written; nothing is left behind.
    pub fn write(&self, bytes: &[u8]) -> Result<(), TargetError> {
        // It may have become something else while the tests ran.
        let again = Target::new(&self.path)?;
        again
            .replace(bytes)
            .map_err(|failed| error(&self.path, failed.to_string()))
    }

    fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        let everybody = fs::Permissions::from_mode(0o666);
        let mut file = tempfile::Builder::new()
            .prefix(".docker-test-")
            .permissions(everybody)
            .tempfile_in(&self.folder)?;
        let owner = fs::metadata(&self.folder)?;
        if geteuid().is_root() && owner.uid() != 0 {
            // A filesystem without owners is no reason to write nothing.
            let _ = fchown(file.as_file(), Some(owner.uid()), Some(owner.gid()));
        }
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(&self.path).map_err(|failed| failed.error)?;
        Ok(())
    }
}

fn error(path: &Path, why: String) -> TargetError {
    TargetError {
        path: escape(path.as_os_str().as_encoded_bytes()),
        why,
        hint: HINT,
    }
}

fn kind(found: fs::FileType) -> &'static str {
    if found.is_dir() {
        "a folder"
    } else if found.is_symlink() {
        "a symbolic link, which is not followed"
    } else if found.is_char_device() || found.is_block_device() {
        "a device"
    } else {
        "no ordinary file"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use tempfile::tempdir;

    #[test]
    fn it_is_written_whole_and_replaces() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("page.html");
        let target = Target::new(&path).unwrap();
        assert!(!path.exists());
        target.write(b"one").unwrap();
        target.write(b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_ne!(fs::metadata(&path).unwrap().mode() & 0o400, 0);
    }

    #[test]
    fn what_is_no_ordinary_file_stays() {
        let folder = tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "kept").unwrap();
        let link = folder.path().join("link");
        symlink(&file, &link).unwrap();
        for (path, why) in [
            (link.clone(), "it is a symbolic link, which is not followed"),
            (folder.path().to_path_buf(), "it is a folder"),
            (folder.path().join("x/"), "it does not name a file"),
            (folder.path().join(".."), "it does not name a file"),
            (file.join("below"), "Not a directory (os error 20)"),
            (
                folder.path().join("no/x"),
                "No such file or directory (os error 2)",
            ),
        ] {
            let said = Target::new(&path).unwrap_err().to_string();
            assert!(said.contains(why) && said.ends_with(HINT), "{said}");
        }
        let target = Target::new(&folder.path().join("late")).unwrap();
        symlink(&file, folder.path().join("late")).unwrap();
        assert!(target.write(b"x").is_err());
        assert_eq!(fs::read(&file).unwrap(), b"kept");
    }
}
