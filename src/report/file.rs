//! Files that a report goes to: one that grows with the run, and one that is there whole or not at
//! all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use crate::model::escape;

/// A report's file cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be written: {problem}\nhint: name a file in a folder that this user may write to",
    escape(.path.as_os_str().as_encoded_bytes()))]
pub struct FileError {
    path: PathBuf,
    problem: String,
}

impl FileError {
    fn new(path: &Path, problem: impl ToString) -> Self {
        FileError {
            path: path.to_path_buf(),
            problem: problem.to_string(),
        }
    }
}

/// Makes or empties a file that grows with the run; with its name, safe to print. A pipe or a
/// device does as well.
///
/// # Errors
/// It cannot be written.
pub fn growing(path: &Path) -> Result<(String, File), FileError> {
    let failed = |error: io::Error| FileError::new(path, error);
    make_folder(path)?;
    let file = File::create(path).map_err(failed)?;
    Ok((escape(path.as_os_str().as_encoded_bytes()), file))
}

/// A file that appears whole, at the end. Until then what is written waits in a file without a name
/// in the same folder, so that memory does not grow with it and nothing is left by a program that is
/// killed.
pub struct WholeFile {
    /// As it was asked for.
    asked: PathBuf,
    /// Where it will be, without symbolic links.
    path: PathBuf,
    folder: PathBuf,
    body: BufWriter<File>,
    bytes: u64,
}

impl WholeFile {
    /// Makes sure that the file can be written.
    ///
    /// # Errors
    /// It cannot be written, or something else than a file is there.
    pub fn new(asked: &Path) -> Result<Self, FileError> {
        let failed = |error: io::Error| FileError::new(asked, error);
        make_folder(asked)?;
        let path = match fs::canonicalize(asked) {
            Ok(path) => path,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                std::path::absolute(asked).map_err(failed)?
            }
            Err(error) => return Err(failed(error)),
        };
        let found = fs::metadata(&path).ok();
        let names_a_folder = asked.as_os_str().as_encoded_bytes().ends_with(b"/");
        if path.file_name().is_none() || names_a_folder {
            return Err(FileError::new(asked, "it does not name a file"));
        }
        if found.is_some_and(|found| !found.is_file()) {
            return Err(FileError::new(asked, "something else than a file is there"));
        }
        let folder = path.parent().unwrap_or(Path::new("/")).to_path_buf();
        let body = tempfile::tempfile_in(&folder).map_err(failed)?;
        Ok(WholeFile {
            asked: asked.to_path_buf(),
            path,
            folder,
            body: BufWriter::new(body),
            bytes: 0,
        })
    }

    /// Removes the file of an earlier run: nobody shall take it for this run's if this one does not
    /// get to its end.
    ///
    /// # Errors
    /// It is there and cannot be removed.
    pub fn forget_earlier(&self) -> Result<(), FileError> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(FileError::new(&self.asked, error))
            }
            _ => Ok(()),
        }
    }

    /// Bytes that were written.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds to the body.
    ///
    /// # Errors
    /// The disk is full, say.
    pub fn write(&mut self, text: &str) -> Result<(), FileError> {
        self.bytes += text.len() as u64;
        let written = self.body.write_all(text.as_bytes());
        written.map_err(|error| FileError::new(&self.asked, error))
    }

    /// Puts the file in its place: `head`, the body, `tail`. What root makes belongs to the owner of
    /// the folder, as the results do.
    ///
    /// # Errors
    /// The disk is full, or the folder is gone. What was there before still is.
    pub fn finish(self, head: &str, tail: &str) -> Result<(), FileError> {
        let asked = self.asked.clone();
        self.put(head, tail)
            .map_err(|error| FileError::new(&asked, error))
    }

    fn put(self, head: &str, tail: &str) -> io::Result<()> {
        let mut body = self
            .body
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        body.rewind()?;
        let owner = fs::metadata(&self.folder)?;
        let mut whole = tempfile::Builder::new()
            .prefix(".docker-test-")
            // Less what the user's umask takes away.
            .permissions(fs::Permissions::from_mode(0o666))
            .tempfile_in(&self.folder)?;
        whole.write_all(head.as_bytes())?;
        io::copy(&mut body, whole.as_file_mut())?;
        whole.write_all(tail.as_bytes())?;
        if geteuid().is_root() && owner.uid() != 0 {
            // A filesystem without owners is no reason to write nothing.
            let _ = fchown(whole.as_file(), Some(owner.uid()), Some(owner.gid()));
        }
        whole.as_file().sync_all()?;
        whole.persist(&self.path)?;
        Ok(())
    }
}

/// Makes the folder of a file.
fn make_folder(path: &Path) -> Result<(), FileError> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    match folder {
        Some(folder) => fs::create_dir_all(folder).map_err(|error| FileError::new(path, error)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_appears_whole_and_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.xml");
        let mut file = WholeFile::new(&path).unwrap();
        file.write("body").unwrap();
        assert_eq!((path.exists(), file.bytes()), (false, 4));
        file.finish("<", ">").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "<body>");
        let all = fs::read_dir(path.parent().unwrap()).unwrap();
        assert_eq!(all.count(), 1);
    }

    #[test]
    fn an_earlier_one_is_gone_when_that_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("b.xml");
        fs::write(&path, "old").unwrap();
        let file = WholeFile::new(&path).unwrap();
        assert!(path.exists());
        file.forget_earlier().unwrap();
        file.forget_earlier().unwrap();
        assert!(!path.exists());
        drop(file);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_link_leads_to_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let (link, file) = (folder.path().join("link"), folder.path().join("file"));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        WholeFile::new(&link).unwrap().finish("new", "").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
    }

    #[test]
    fn what_cannot_be_written_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let there = folder.path().join("file");
        fs::write(&there, "mine").unwrap();
        for wrong in [folder.path().to_path_buf(), there.join("below")] {
            let error = WholeFile::new(&wrong).err().unwrap().to_string();
            let begin = format!("{} cannot be written: ", wrong.display());
            assert!(error.starts_with(&begin), "{error}");
            assert!(growing(&wrong).is_err());
        }
        assert_eq!(fs::read_to_string(&there).unwrap(), "mine");
        let lost = folder.path().join("lost");
        let file = WholeFile::new(&lost.join("b.xml")).unwrap();
        fs::remove_dir_all(&lost).unwrap();
        assert!(file.finish("", "").is_err());
    }
}
