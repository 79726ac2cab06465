//! Bringing the worker back to its clean baseline between two tests, and proving that it is there.
//!
//! With a read-only root, no network and no capability, what a test can change is a short list:
//! processes, tmpfs content, IPC objects, sockets that outlive their process, and a few attributes
//! of the supervisor itself. Each is brought back and then looked at. A worker that cannot be
//! brought back is thrown away; the next test never sees it.

mod folder;
mod ipc;
mod sealed;
mod supervisor;
mod xattr;

use std::path::{Path, PathBuf};

use self::folder::Folder;
use self::sealed::Sealed;
use self::supervisor::Baseline;
use super::Place;
use super::process::Reach;
use crate::model::{ByteText, Leak};

/// What the reset needs to know of the place.
pub struct Reset {
    reach: Reach,
    folders: Vec<Folder>,
    home: PathBuf,
    /// Made by us because we were given none; removed at the end.
    private: Option<PathBuf>,
    sealed: Option<Sealed>,
    baseline: Baseline,
}

/// The result of a reset.
#[derive(Debug, Default)]
pub struct Cleaned {
    /// What was found and removed.
    pub leaks: Vec<Leak>,
    /// Why the worker is not at its baseline; absent where it is.
    pub unclean: Option<String>,
}

impl Reset {
    /// Takes the baseline and empties the place for the first test.
    ///
    /// # Errors
    /// A folder is missing or cannot be emptied.
    pub fn new(place: &Place, reach: Reach) -> Result<Self, String> {
        let private = place.own.is_empty().then(make_private).transpose()?;
        let (own, home) = match &private {
            Some(folder) => {
                let own: Vec<_> = ["tmp", "home"]
                    .iter()
                    .map(|name| folder.join(name))
                    .collect();
                for path in &own {
                    std::fs::create_dir(path)
                        .map_err(|error| format!("cannot make {}: {error}", path.display()))?;
                }
                (own, folder.join("home/user"))
            }
            None => {
                let home = place.home.clone();
                (
                    place.own.clone(),
                    home.unwrap_or_else(|| place.own[0].join("home")),
                )
            }
        };
        let mut folders = Vec::new();
        for (at, path) in own.into_iter().enumerate() {
            let outside = at > 0;
            let mut folder = Folder::open(path, outside)?;
            folder.empty()?;
            folders.push(folder);
        }
        Ok(Reset {
            reach,
            folders,
            home,
            private,
            sealed: place
                .sealed
                .then(|| Sealed::new(place.secret.is_some()))
                .transpose()?,
            baseline: Baseline::take(),
        })
    }

    /// The folder that is empty for each test: its TMPDIR.
    pub fn temporary(&self) -> &Path {
        self.folders[0].path()
    }

    /// The folder that is made anew for each test: its HOME.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Makes the home folder for the next test. `may_exist`: where no reset follows a test, it
    /// stays.
    ///
    /// # Errors
    /// There is no room, or it is there already and must not be.
    pub fn make_home(&self, may_exist: bool) -> Result<(), String> {
        match nix::unistd::mkdir(&self.home, nix::sys::stat::Mode::S_IRWXU) {
            Err(nix::errno::Errno::EEXIST) if may_exist => Ok(()),
            result => {
                result.map_err(|error| format!("cannot make {}: {error}", self.home.display()))
            }
        }
    }

    /// Cleans up and checks. `outlived`: names of processes that are still there and had their
    /// chance to end by themselves.
    pub fn run(&mut self, outlived: Vec<ByteText>) -> Cleaned {
        let mut cleaned = Cleaned::default();
        let processes = outlived.into_iter().map(|name| Leak::Process { name });
        cleaned.leaks.extend(processes);
        if self.reach.any_left() && !self.reach.kill_all() {
            cleaned.unclean = Some("a process cannot be killed".into());
            return cleaned;
        }
        let mut note = |result: Result<Option<Leak>, String>| match result {
            Ok(leak) => cleaned.leaks.extend(leak),
            Err(problem) => cleaned.unclean = Some(problem),
        };
        for folder in &mut self.folders {
            // First the rights on the folder itself, without which it cannot be emptied.
            note(folder.restore());
            if self.home.starts_with(folder.path()) {
                note(remove_home(&self.home));
            }
            note(folder.empty());
        }
        if let Some(sealed) = &mut self.sealed {
            sealed.reset(&mut cleaned);
        }
        self.baseline.restore(&mut cleaned);
        cleaned
    }

    /// Removes what was made for this worker outside a container.
    pub fn remove_private(&mut self) {
        if let Some(folder) = self.private.take() {
            for own in &mut self.folders {
                let _ = own.empty();
            }
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

impl Drop for Reset {
    fn drop(&mut self) {
        self.remove_private();
    }
}

/// Removes the test's own home, which is no leftover; says what was in it.
fn remove_home(home: &Path) -> Result<Option<Leak>, String> {
    use nix::{fcntl::AT_FDCWD, unistd::UnlinkatFlags, unistd::unlinkat};
    let remove = || unlinkat(AT_FDCWD, home, UnlinkatFlags::RemoveDir);
    // Mostly it is empty, or holds files.
    if remove().is_ok() {
        return Ok(None);
    }
    let Some(mut folder) = Folder::open_home(home)? else {
        return Ok(None);
    };
    let leak = folder.empty()?;
    remove().map_err(|error| format!("cannot remove {}: {error}", home.display()))?;
    Ok(leak)
}

/// A folder that nobody else can enter, in the machine's temporary folder.
fn make_private() -> Result<PathBuf, String> {
    tempfile::Builder::new()
        .prefix("docker-test-")
        .tempdir()
        .map(tempfile::TempDir::keep)
        .map_err(|error| format!("cannot make a temporary folder: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn home() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("user");
        fs::create_dir(&home).unwrap();
        (folder, home)
    }

    #[test]
    fn files_in_a_home_are_a_tests_own_whatever_it_did_to_them() {
        let (_folder, home) = home();
        fs::create_dir(home.join("a")).unwrap();
        fs::write(home.join("a/b"), "12").unwrap();
        fs::set_permissions(home.join("a"), fs::Permissions::from_mode(0o000)).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o000)).unwrap();
        let leak = Leak::Files {
            place: home.display().to_string(),
            count: 2,
            bytes: 2,
            outside: false,
            names: vec!["a/".into()],
        };
        assert_eq!(remove_home(&home), Ok(Some(leak)));
        assert!(!home.exists());
    }

    #[test]
    fn an_empty_home_goes_and_one_that_is_gone_is_no_error() {
        let (_folder, home) = home();
        for _ in 0..2 {
            assert_eq!(remove_home(&home), Ok(None));
            assert!(!home.exists());
        }
    }

    /// What took its place is not its home: it stays, for the folder that it lies in.
    #[test]
    fn a_home_that_was_replaced_is_not_followed() {
        let (folder, home) = home();
        let other = tempfile::tempdir().unwrap();
        fs::write(other.path().join("kept"), "x").unwrap();
        fs::remove_dir(&home).unwrap();
        symlink(other.path(), &home).unwrap();
        assert_eq!(remove_home(&home), Ok(None));
        assert!(other.path().join("kept").exists());
        let mut outer = Folder::open(folder.path().into(), true).unwrap();
        let found = outer.empty();
        assert!(
            matches!(
                found,
                Ok(Some(Leak::Files {
                    count: 1,
                    outside: true,
                    ..
                }))
            ),
            "{found:?}"
        );
    }
}
