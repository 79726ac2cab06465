//! A folder that belongs to the worker alone: empties it, whatever a test made in it.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, renameat};
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, fchmod, fchmodat, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::xattr;
use crate::model::{ByteText, Leak, NAMED_FILES};

/// How deep we go with a descriptor for each level; what lies deeper is moved up first.
const DEPTH: usize = 32;

/// An open folder that is emptied again and again.
pub struct Folder {
    path: PathBuf,
    /// It is neither the test's TMPDIR nor its HOME.
    outside: bool,
    dir: Dir,
    mode: u32,
    moved: u64,
}

#[derive(Default)]
struct Tally {
    count: u64,
    bytes: u64,
}

impl Folder {
    /// Opens it. `outside`: it is neither a test's TMPDIR nor its HOME.
    ///
    /// # Errors
    /// It is not there, or no folder.
    pub fn open(path: PathBuf, outside: bool) -> Result<Self, String> {
        let open = || {
            let dir = Dir::open(&path, flags(), Mode::empty())?;
            let mode = fstat(dir.as_fd())?.st_mode;
            Ok(Folder {
                path: path.clone(),
                outside,
                dir,
                mode,
                moved: 0,
            })
        };
        open().map_err(|error: Errno| format!("cannot open {}: {error}", path.display()))
    }

    /// Opens a test's HOME once no process is left that could replace it; `None` where there is no
    /// folder any more. Its owner may have closed it.
    ///
    /// # Errors
    /// It is there and cannot be opened.
    pub fn open_home(path: &Path) -> Result<Option<Self>, String> {
        let is_folder = path.symlink_metadata().is_ok_and(|found| found.is_dir());
        if !is_folder {
            return Ok(None);
        }
        fchmodat(AT_FDCWD, path, Mode::S_IRWXU, FchmodatFlags::FollowSymlink)
            .map_err(|error| format!("cannot open {}: {error}", path.display()))?;
        Folder::open(path.into(), false).map(Some)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the folder's own mode and extended attributes back: a test may own it.
    ///
    /// # Errors
    /// They cannot be put back.
    pub fn restore(&self) -> Result<Option<Leak>, String> {
        let failed = |error| format!("cannot restore {}: {error}", self.path.display());
        let changed_mode = fstat(self.dir.as_fd()).map_err(failed)?.st_mode != self.mode;
        if changed_mode {
            fchmod(self.dir.as_fd(), Mode::from_bits_truncate(self.mode)).map_err(failed)?;
        }
        let attributes = xattr::names(self.dir.as_fd());
        for name in &attributes {
            xattr::remove(self.dir.as_fd(), name).map_err(failed)?;
        }
        Ok(
            (changed_mode || !attributes.is_empty()).then(|| Leak::Attributes {
                place: self.path.display().to_string(),
            }),
        )
    }

    /// Removes everything in it and checks that nothing is left; says what there was.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub fn empty(&mut self) -> Result<Option<Leak>, String> {
        let mut tally = Tally::default();
        let mut first = None;
        // What was too deep comes up one level of DEPTH with each pass.
        loop {
            let names = names(&mut self.dir);
            if names.is_empty() {
                break;
            }
            let top = self.dir.as_fd();
            first.get_or_insert_with(|| first_few(top, &names));
            for (name, kind) in names {
                remove(top, top, &name, kind, DEPTH, &mut self.moved, &mut tally).map_err(
                    |error| {
                        let name = crate::model::escape(name.to_bytes());
                        format!("cannot remove '{name}' in {}: {error}", self.path.display())
                    },
                )?;
            }
        }
        Ok((tally.count > 0).then(|| Leak::Files {
            place: self.path.display().to_string(),
            count: tally.count,
            bytes: tally.bytes,
            outside: self.outside,
            names: first.unwrap_or_default(),
        }))
    }
}

fn flags() -> OFlag {
    OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC
}

fn names(dir: &mut Dir) -> Vec<(CString, Option<Type>)> {
    dir.iter()
        .flatten()
        .filter(|entry| !matches!(entry.file_name().to_bytes(), b"." | b".."))
        .map(|entry| (entry.file_name().to_owned(), entry.file_type()))
        .collect()
}

/// The first few by name, folders with a `/` behind them.
fn first_few(parent: BorrowedFd<'_>, all: &[(CString, Option<Type>)]) -> Vec<ByteText> {
    let mut few: Vec<&(CString, Option<Type>)> = all.iter().collect();
    if few.len() > NAMED_FILES {
        few.select_nth_unstable_by(NAMED_FILES, |a, b| a.0.cmp(&b.0));
        few.truncate(NAMED_FILES);
    }
    few.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let shown = few.into_iter().map(|(name, kind)| {
        let is_folder = match kind {
            Some(kind) => *kind == Type::Directory,
            None => fstatat(parent, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW)
                .is_ok_and(|stat| stat.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits()),
        };
        let mut bytes = name.to_bytes().to_vec();
        bytes.extend(is_folder.then_some(b'/'));
        ByteText::from(bytes)
    });
    shown.collect()
}

/// Removes `name` in `parent`, or moves it up to `top` where it lies too deep.
fn remove(
    parent: BorrowedFd<'_>,
    top: BorrowedFd<'_>,
    name: &CStr,
    kind: Option<Type>,
    depth: usize,
    moved: &mut u64,
    tally: &mut Tally,
) -> nix::Result<()> {
    let known_folder = matches!(kind, Some(Type::Directory));
    if !known_folder {
        let size =
            fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW).map_or(0, |stat| stat.st_size);
        match unlinkat(parent, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) => {
                tally.count += 1;
                tally.bytes += size as u64;
                return Ok(());
            }
            Err(Errno::EISDIR) if kind.is_none() => {}
            Err(error) => return Err(error),
        }
    }
    if unlinkat(parent, name, UnlinkatFlags::RemoveDir).is_ok() {
        tally.count += 1;
        return Ok(());
    }
    // A test may have taken its own rights away.
    fchmodat(parent, name, Mode::S_IRWXU, FchmodatFlags::FollowSymlink)?;
    if depth == 0 {
        loop {
            *moved += 1;
            let name_on_top = format!(".docker-test-moved-{moved}");
            match renameat(parent, name, top, name_on_top.as_str()) {
                // A test may have used the very name.
                Err(Errno::EEXIST | Errno::ENOTEMPTY | Errno::ENOTDIR) => {}
                result => return result,
            }
        }
    }
    let mut folder = Dir::openat(parent, name, flags(), Mode::empty())?;
    fchmod(folder.as_fd(), Mode::S_IRWXU)?;
    for (child, kind) in names(&mut folder) {
        remove(folder.as_fd(), top, &child, kind, depth - 1, moved, tally)?;
    }
    unlinkat(parent, name, UnlinkatFlags::RemoveDir)?;
    tally.count += 1;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn an_empty_folder_has_nothing_to_tell() {
        let root = tempfile::tempdir().unwrap();
        let mut folder = Folder::open(root.path().into(), false).unwrap();
        assert_eq!(folder.empty(), Ok(None));
    }

    #[test]
    fn everything_goes_and_links_are_not_followed() {
        let root = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("kept"), "x").unwrap();
        let top = root.path();
        fs::write(top.join("file"), "12345").unwrap();
        symlink(outside.path(), top.join("link")).unwrap();
        fs::create_dir_all(top.join("a/b/c")).unwrap();
        symlink(outside.path().join("kept"), top.join("a/b/c/link")).unwrap();
        fs::write(top.join("name\nwith line"), "").unwrap();
        fs::set_permissions(top.join("a/b"), fs::Permissions::from_mode(0o000)).unwrap();
        let mut folder = Folder::open(top.into(), false).unwrap();
        let Ok(Some(Leak::Files { count, names, .. })) = folder.empty() else {
            panic!("no leak")
        };
        assert_eq!(count, 7);
        let expected = ["a/", "file", "link", "name\nwith line"].map(ByteText::from);
        assert_eq!(names, expected);
        assert_eq!(fs::read_dir(top).unwrap().count(), 0);
        assert!(outside.path().join("kept").exists());
        assert_eq!(folder.empty(), Ok(None));
    }

    #[test]
    fn of_many_the_first_few_are_named() {
        let root = tempfile::tempdir().unwrap();
        for number in 0..200 {
            fs::write(root.path().join(format!("{number:03}")), "").unwrap();
        }
        let mut folder = Folder::open(root.path().into(), false).unwrap();
        let Ok(Some(Leak::Files { count, names, .. })) = folder.empty() else {
            panic!("no leak")
        };
        assert_eq!((count, names.len()), (200, NAMED_FILES));
        assert_eq!((&names[0], &names[4]), (&"000".into(), &"004".into()));
    }

    #[test]
    fn the_folders_own_mode_comes_back() {
        let root = tempfile::tempdir().unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        let folder = Folder::open(root.path().into(), false).unwrap();
        assert_eq!(folder.restore(), Ok(None));
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o000)).unwrap();
        assert!(matches!(
            folder.restore(),
            Ok(Some(Leak::Attributes { .. }))
        ));
        let mode = fs::metadata(root.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o1777);
    }

    /// Deeper than any path can be long, and than there are descriptors.
    #[test]
    fn a_tree_of_ten_thousand_levels_goes() {
        let root = tempfile::tempdir().unwrap();
        let mut dir = Dir::open(root.path(), flags(), Mode::empty()).unwrap();
        for _ in 0..10_000 {
            nix::sys::stat::mkdirat(dir.as_fd(), "d", Mode::S_IRWXU).unwrap();
            dir = Dir::openat(dir.as_fd(), "d", flags(), Mode::empty()).unwrap();
        }
        let mut folder = Folder::open(root.path().into(), false).unwrap();
        assert!(folder.empty().unwrap().is_some());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
