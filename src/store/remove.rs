//! Removes a database of ours, for `clean --results`.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::error::StoreError;
use super::location::FILE_NAME;

/// Removes the database in the folder `results` with its companions, then the folder where nothing
/// but our own .gitignore is left in it. Says whether there was one.
///
/// # Errors
/// A file cannot be removed.
pub fn remove(results: &Path) -> Result<bool, StoreError> {
    let mut found = false;
    for suffix in ["", "-wal", "-shm"] {
        let path = results.join(format!("{FILE_NAME}{suffix}"));
        match fs::remove_file(&path) {
            Ok(()) => found = true,
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(error) => return Err(StoreError::io(&path, error)),
        }
    }
    let only_ignore = |folder: fs::ReadDir| {
        folder
            .flatten()
            .all(|entry| entry.file_name() == ".gitignore")
    };
    if found && fs::read_dir(results).is_ok_and(only_ignore) {
        let _ = fs::remove_file(results.join(".gitignore"));
        let _ = fs::remove_dir(results);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_ours_goes() {
        let root = tempfile::tempdir().unwrap();
        let results = root.path().join("results");
        assert!(!remove(&results).unwrap());
        drop(super::super::Store::open(&results).unwrap());
        fs::write(results.join("notes"), "mine").unwrap();
        assert!(remove(&results).unwrap());
        assert!(results.join("notes").exists());
        fs::remove_file(results.join("notes")).unwrap();
        drop(super::super::Store::open(&results).unwrap());
        assert!(remove(&results).unwrap());
        assert!(!results.exists());
    }
}
