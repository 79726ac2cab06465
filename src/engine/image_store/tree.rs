//! Writes below one folder and nowhere else: every step of every path is opened in the one before
//! it and is never a symbolic link.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{
    FchmodatFlags, Mode, SFlag, UtimensatFlags, fchmod, fchmodat, fstatat, futimens, mkdirat,
    utimensat,
};
use nix::sys::time::TimeSpec;
use nix::unistd::{UnlinkatFlags, linkat, symlinkat, unlinkat};

use super::error::{ImageStoreError, Refusal};
use super::place::Place;
use crate::model::ByteText;

/// Mode of the folders that no entry describes, and the least of the root's.
const FOLDER: u32 = 0o755;

/// What the owner can always do with a folder and with a file: read it and remove it.
const OWN_FOLDER: u32 = 0o700;
const OWN_FILE: u32 = 0o400;

/// A root filesystem that is being made.
pub struct Tree {
    root: OwnedFd,
    path: PathBuf,
}

/// How a file of the archive could not be copied.
pub enum CopyError {
    /// The archive cannot be read.
    Read(io::Error),
    /// It cannot be written.
    Write(ImageStoreError),
}

impl From<ImageStoreError> for CopyError {
    fn from(error: ImageStoreError) -> Self {
        CopyError::Write(error)
    }
}

impl Tree {
    /// Makes the folder `path`, which is not there yet.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn create(path: &Path) -> Result<Tree, ImageStoreError> {
        let failed = |error: Errno| ImageStoreError::io(path, error);
        std::fs::create_dir(path).map_err(|error| ImageStoreError::io(path, error))?;
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = open(path, flags, Mode::empty()).map_err(failed)?;
        fchmod(&root, Mode::from_bits_truncate(FOLDER)).map_err(failed)?;
        let path = path.to_owned();
        Ok(Tree { root, path })
    }

    /// A folder, with those above it. What is there and is none gives way.
    ///
    /// # Errors
    /// Something on the way is no folder, or the filesystem refuses.
    pub fn folder(&self, place: &Place, mode: u32) -> Result<(), ImageStoreError> {
        let failed = |error| self.failed(place, error);
        let Some((above, name)) = place.split() else {
            let mode = Mode::from_bits_truncate(mode | FOLDER);
            return fchmod(&self.root, mode).map_err(failed);
        };
        let above = self.open(&above, place)?;
        let name = OsStr::from_bytes(name);
        if open_in(&above, name, OFlag::O_PATH).is_err() {
            self.clear(&above, name, place)?;
            mkdirat(&above, name, Mode::S_IRWXU).map_err(failed)?;
        }
        change_mode(&above, name, mode | OWN_FOLDER).map_err(failed)
    }

    /// A file with what `from` has; how many bytes that were. What is there gives way.
    ///
    /// # Errors
    /// See [`CopyError`].
    pub fn file(
        &self,
        place: &Place,
        mode: u32,
        modified: i64,
        from: &mut dyn Read,
    ) -> Result<u64, CopyError> {
        let failed = |error| self.failed(place, error);
        let (above, name) = self.make_way(place)?;
        let flags =
            OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = openat(&above, name, flags, Mode::S_IRUSR | Mode::S_IWUSR).map_err(failed)?;
        let mut file = File::from(file);
        let mut piece = vec![0; 64 << 10];
        let mut copied = 0;
        loop {
            let count = match from.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(CopyError::Read(error)),
            };
            file.write_all(&piece[..count])
                .map_err(|error| ImageStoreError::io(&self.shown(place), error))?;
            copied += count as u64;
        }
        fchmod(&file, Mode::from_bits_truncate(mode | OWN_FILE)).map_err(failed)?;
        let time = TimeSpec::new(modified, 0);
        futimens(&file, &time, &time).map_err(failed)?;
        Ok(copied)
    }

    /// A symbolic link, wherever it leads: nothing here follows it. What is there gives way.
    ///
    /// # Errors
    /// Something on the way is no folder, or the filesystem refuses.
    pub fn symlink(
        &self,
        place: &Place,
        target: &[u8],
        modified: i64,
    ) -> Result<(), ImageStoreError> {
        let failed = |error| self.failed(place, error);
        let (above, name) = self.make_way(place)?;
        symlinkat(OsStr::from_bytes(target), &above, name).map_err(failed)?;
        let time = TimeSpec::new(modified, 0);
        utimensat(&above, name, &time, &time, UtimensatFlags::NoFollowSymlink).map_err(failed)
    }

    /// A hard link to the file or symbolic link at `target`; whether that is there. What is there
    /// gives way.
    ///
    /// # Errors
    /// Something on the way is no folder, or the filesystem refuses.
    pub fn link(&self, place: &Place, target: &Place) -> Result<bool, ImageStoreError> {
        let Some((folder, file)) = target.split() else {
            return Ok(false);
        };
        let Some(folder) = self.walk(&folder, place, false)? else {
            return Ok(false);
        };
        let file = OsStr::from_bytes(file);
        match fstatat(&folder, file, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(found) if kind(found.st_mode) != SFlag::S_IFDIR && place != target => {}
            _ => return Ok(false),
        }
        let (above, name) = self.make_way(place)?;
        match linkat(&folder, file, &above, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            // It was what had to give way.
            Err(Errno::ENOENT) => Ok(false),
            Err(error) => Err(self.failed(place, error)),
        }
    }

    /// Removes what is at `place`, except what `keep` says, and what leads to that.
    ///
    /// # Errors
    /// Something on the way is no folder, or the filesystem refuses.
    pub fn remove(
        &self,
        place: &Place,
        keep: &dyn Fn(&Place) -> bool,
    ) -> Result<(), ImageStoreError> {
        let Some((above, name)) = place.split() else {
            return self.remove_below(place, keep);
        };
        if let Some(above) = self.walk(&above, place, false)? {
            self.prune(&above, OsStr::from_bytes(name), place, keep)?;
        }
        Ok(())
    }

    /// Removes what is in the folder `place`, except what `keep` says, and what leads to that.
    ///
    /// # Errors
    /// As [`Tree::remove`].
    pub fn remove_below(
        &self,
        place: &Place,
        keep: &dyn Fn(&Place) -> bool,
    ) -> Result<(), ImageStoreError> {
        if let Some(folder) = self.walk(place, place, false)? {
            let folder = open_in(&folder, OsStr::new("."), OFlag::O_RDONLY)
                .map_err(|error| self.failed(place, error))?;
            self.prune_children(folder, place, keep)?;
        }
        Ok(())
    }

    /// The opened folder above `place`, where nothing is at that name any more.
    fn make_way<'a>(&self, place: &'a Place) -> Result<(OwnedFd, &'a OsStr), ImageStoreError> {
        let Some((above, name)) = place.split() else {
            let entry = ByteText::from("./");
            let why = "the root has to be a folder";
            return Err(Refusal::BadName { entry, why }.into());
        };
        let above = self.open(&above, place)?;
        let name = OsStr::from_bytes(name);
        self.clear(&above, name, place)?;
        Ok((above, name))
    }

    fn clear(&self, above: &OwnedFd, name: &OsStr, place: &Place) -> Result<(), ImageStoreError> {
        match unlinkat(above, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(Errno::EISDIR | Errno::EPERM) => {
                self.prune(above, name, place, &|_| false).map(|_| ())
            }
            Err(error) => Err(self.failed(place, error)),
        }
    }

    fn open(&self, folder: &Place, entry: &Place) -> Result<OwnedFd, ImageStoreError> {
        self.walk(folder, entry, true)?
            .ok_or_else(|| self.failed(entry, Errno::ENOTDIR))
    }

    /// Opens `folder`, on the way to `entry`; `None` where it is missing and not to be made.
    fn walk(
        &self,
        folder: &Place,
        entry: &Place,
        make: bool,
    ) -> Result<Option<OwnedFd>, ImageStoreError> {
        let failed = |error| self.failed(entry, error);
        let mut at = open_in(&self.root, OsStr::new("."), OFlag::O_PATH).map_err(failed)?;
        let mut way = Place::default();
        for name in folder.names() {
            way = way.join(name.as_bytes());
            at = match open_in(&at, name, OFlag::O_PATH) {
                Ok(next) => next,
                Err(Errno::ENOENT) if make => {
                    mkdirat(&at, name, Mode::S_IRWXU).map_err(failed)?;
                    change_mode(&at, name, FOLDER).map_err(failed)?;
                    open_in(&at, name, OFlag::O_PATH).map_err(failed)?
                }
                Err(Errno::ENOENT) => return Ok(None),
                Err(Errno::ENOTDIR | Errno::ELOOP) => {
                    let found = fstatat(&at, name, AtFlags::AT_SYMLINK_NOFOLLOW).map_err(failed)?;
                    return Err(Refusal::ThroughLink {
                        entry: ByteText::from(entry.as_bytes().to_vec()),
                        way: ByteText::from(way.as_bytes().to_vec()),
                        what: match kind(found.st_mode) {
                            SFlag::S_IFLNK => "a symbolic link",
                            _ => "no folder",
                        },
                    }
                    .into());
                }
                Err(error) => return Err(failed(error)),
            };
        }
        Ok(Some(at))
    }

    /// Removes `name` in `above`, which is at `place`; whether something stays.
    fn prune(
        &self,
        above: &OwnedFd,
        name: &OsStr,
        place: &Place,
        keep: &dyn Fn(&Place) -> bool,
    ) -> Result<bool, ImageStoreError> {
        let flag = match open_in(above, name, OFlag::O_RDONLY) {
            Ok(folder) => {
                if self.prune_children(folder, place, keep)? {
                    return Ok(true);
                }
                UnlinkatFlags::RemoveDir
            }
            Err(Errno::ENOTDIR | Errno::ELOOP) => UnlinkatFlags::NoRemoveDir,
            Err(Errno::ENOENT) => return Ok(false),
            Err(error) => return Err(self.failed(place, error)),
        };
        if keep(place) {
            return Ok(true);
        }
        unlinkat(above, name, flag).map_err(|error| self.failed(place, error))?;
        Ok(false)
    }

    fn prune_children(
        &self,
        folder: OwnedFd,
        place: &Place,
        keep: &dyn Fn(&Place) -> bool,
    ) -> Result<bool, ImageStoreError> {
        let failed = |error| self.failed(place, error);
        let children = open_in(&folder, OsStr::new("."), OFlag::O_RDONLY).map_err(failed)?;
        let mut names = Vec::new();
        for child in Dir::from_fd(children).map_err(failed)?.iter() {
            let name = child.map_err(failed)?.file_name().to_bytes().to_vec();
            if !matches!(name.as_slice(), b"." | b"..") {
                names.push(name);
            }
        }
        let mut stays = false;
        for name in names {
            stays |= self.prune(&folder, OsStr::from_bytes(&name), &place.join(&name), keep)?;
        }
        Ok(stays)
    }

    fn failed(&self, place: &Place, error: Errno) -> ImageStoreError {
        ImageStoreError::entry(place.as_bytes(), &self.shown(place), error)
    }

    fn shown(&self, place: &Place) -> PathBuf {
        self.path.join(OsStr::from_bytes(place.as_bytes()))
    }
}

/// Opens the folder `name` in `above`; ENOTDIR or ELOOP where it is none or a symbolic link.
fn open_in(above: impl AsFd, name: &OsStr, how: OFlag) -> Result<OwnedFd, Errno> {
    let flags = how | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(above, name, flags, Mode::empty())
}

/// Sets the mode of a folder that was found to be one.
fn change_mode(above: &OwnedFd, name: &OsStr, mode: u32) -> Result<(), Errno> {
    let mode = Mode::from_bits_truncate(mode);
    fchmodat(above, name, mode, FchmodatFlags::FollowSymlink)
}

fn kind(mode: u32) -> SFlag {
    SFlag::from_bits_truncate(mode & SFlag::S_IFMT.bits())
}
