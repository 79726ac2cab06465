//! The place of the database: makes it, or refuses it before anything in it is touched.

use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use nix::sys::statfs::statfs;
use nix::unistd::{AccessFlags, eaccess, geteuid};

use super::error::StoreError;
use super::header::{HEADER_BYTES, Header};
use super::migrations::MIGRATIONS;
use crate::model::ByteText;

/// The database's name in the results folder.
pub const FILE_NAME: &str = "docker-test.db";

/// SQLite's own limit, less its longest suffix (`-journal`).
const LONGEST_PATH: usize = 500;

/// Makes sure of the results folder and of a file in it that SQLite may open; the file's path,
/// without symbolic links. What is made here as root belongs to the owner of the folder that it
/// is made in, so that people can delete what a run under `sudo` left.
///
/// # Errors
/// Something else is there, it cannot be written, or it is no place for a database. Nothing that
/// was there before has been changed then.
pub fn prepare(results: &Path) -> Result<PathBuf, StoreError> {
    let folder = std::path::absolute(results).map_err(|e| StoreError::io(results, e))?;
    match fs::metadata(&folder) {
        Ok(found) if found.is_dir() => suits(&folder)?,
        Ok(found) => return Err(not_a_folder(&folder, kind(found.file_type()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // Where another launcher makes it at this moment, it is a folder by now.
            if fs::symlink_metadata(&folder).is_ok_and(|found| found.is_symlink()) {
                return Err(not_a_folder(&folder, "a symbolic link that leads nowhere"));
            }
            make_folder(&folder)?;
        }
        Err(error) => return Err(StoreError::io(&folder, error)),
    }
    let folder = folder
        .canonicalize()
        .map_err(|e| StoreError::io(&folder, e))?;
    let path = folder.join(FILE_NAME);
    check_length(&path)?;
    match fs::symlink_metadata(&path) {
        Ok(found) if !found.is_file() => Err(StoreError::NotAFile {
            path: shown(&path),
            kind: kind(found.file_type()),
        }),
        Ok(_) => check_file(&path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // Made by us rather than by SQLite, so that nobody finds it with another owner; the
            // -wal and -shm files take over its owner and mode.
            match make_file(&path, b"", owner(&folder)?) {
                // Another launcher was faster.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => check_file(&path),
                other => other.map_err(|e| StoreError::io(&path, e)),
            }
        }
        Err(error) => Err(StoreError::io(&path, error)),
    }?;
    Ok(path)
}

/// Whether the folder has a database, or something in its place.
pub fn is_there(results: &Path) -> bool {
    fs::symlink_metadata(results.join(FILE_NAME)).is_ok()
}

fn check_length(path: &Path) -> Result<(), StoreError> {
    let length = path.as_os_str().len();
    if length > LONGEST_PATH {
        return Err(StoreError::TooLong {
            path: shown(path),
            length,
            limit: LONGEST_PATH,
        });
    }
    Ok(())
}

/// Refuses an existing file that is not ours to write.
fn check_file(path: &Path) -> Result<(), StoreError> {
    let failed = |error| StoreError::io(path, error);
    let mut file = OpenOptions::new()
        .read(true)
        // Nothing may slip in between the look at the file and here: no link, no FIFO to wait on.
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)
        .map_err(failed)?;
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    Read::by_ref(&mut file)
        .take(HEADER_BYTES as u64)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let has_log = fs::metadata(&log).is_ok_and(|log| log.len() > 0);
    // The size comes last: a checkpoint of another launcher that was under way when the header was
    // read is over if there is no log now, and the file has only grown.
    let size_bytes = file.metadata().map_err(failed)?.len();
    let path_shown = shown(path);
    match Header::judge(&bytes, size_bytes, has_log) {
        Header::Empty | Header::Plausible => writable(path),
        Header::NotADatabase => Err(StoreError::NotADatabase { path: path_shown }),
        Header::Foreign => Err(StoreError::Foreign { path: path_shown }),
        Header::Newer(found) => Err(StoreError::Newer {
            path: path_shown,
            found,
            known: MIGRATIONS.len(),
        }),
        Header::Damaged(why) => Err(StoreError::Damaged {
            path: path_shown,
            why,
        }),
    }
}

/// Makes the folder, and the ones above it that are missing. It tells git to ignore it.
fn make_folder(folder: &Path) -> Result<(), StoreError> {
    let mut missing: Vec<&Path> = folder.ancestors().take_while(|up| !up.is_dir()).collect();
    missing.reverse();
    let base = missing.first().and_then(|first| first.parent());
    let base = base.unwrap_or(Path::new("/"));
    suits(base)?;
    let real_base = base.canonicalize().map_err(|e| StoreError::io(base, e))?;
    let below = folder.strip_prefix(base).unwrap_or(folder);
    check_length(&real_base.join(below).join(FILE_NAME))?;
    let owner = owner(base)?;
    for path in missing {
        match fs::create_dir(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => continue,
            Err(error) => return Err(StoreError::io(path, error)),
        }
        let made = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_DIRECTORY)
            .open(path)
            .map_err(|e| StoreError::io(path, e))?;
        give(&made, owner);
        if path == folder {
            let ignore = path.join(".gitignore");
            match make_file(&ignore, b"*\n", owner) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(StoreError::io(&ignore, error));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Makes a file that does not exist yet.
fn make_file(path: &Path, content: &[u8], owner: Option<(u32, u32)>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    give(&file, owner);
    file.write_all(content)
}

/// Whom to give what is made in `folder`; `None` where it is right already.
fn owner(folder: &Path) -> Result<Option<(u32, u32)>, StoreError> {
    let found = fs::metadata(folder).map_err(|e| StoreError::io(folder, e))?;
    Ok((geteuid().is_root() && found.uid() != 0).then(|| (found.uid(), found.gid())))
}

/// A filesystem without owners, or an owner without a name in our user namespace, is no reason not
/// to record results.
fn give(made: &File, owner: Option<(u32, u32)>) {
    if let Some((user, group)) = owner {
        let _ = fchown(made, Some(user), Some(group));
    }
}

/// Whether `folder` can hold a database.
fn suits(folder: &Path) -> Result<(), StoreError> {
    let found = statfs(folder).map_err(|e| StoreError::io(folder, e.into()))?;
    if let Some(filesystem) = network_filesystem(found.filesystem_type().0 as u32) {
        return Err(StoreError::Network {
            path: shown(folder),
            filesystem,
        });
    }
    writable(folder)
}

/// The name of a filesystem whose files live on another machine, by its magic number: locks and
/// shared memory, which a write-ahead log needs, do not work or only seem to.
fn network_filesystem(magic: u32) -> Option<&'static str> {
    match magic {
        0x6969 => Some("NFS"),
        0x517b => Some("SMB"),
        0xff53_4d42 => Some("CIFS"),
        0xfe53_4d42 => Some("SMB2"),
        0x5346_414f => Some("AFS"),
        0x7375_7245 => Some("Coda"),
        0x00c3_6400 => Some("Ceph"),
        0x0102_1997 => Some("9P"),
        _ => None,
    }
}

fn writable(path: &Path) -> Result<(), StoreError> {
    let mut wanted = AccessFlags::R_OK | AccessFlags::W_OK;
    if path.is_dir() {
        wanted |= AccessFlags::X_OK;
    }
    eaccess(path, wanted).map_err(|e| StoreError::io(path, e.into()))
}

fn not_a_folder(path: &Path, kind: &'static str) -> StoreError {
    StoreError::NotAFolder {
        path: shown(path),
        kind,
    }
}

fn shown(path: &Path) -> ByteText {
    ByteText::from(path.as_os_str())
}

fn kind(file: FileType) -> &'static str {
    match file {
        f if f.is_dir() => "a directory",
        f if f.is_symlink() => "a symbolic link",
        f if f.is_fifo() => "a FIFO",
        f if f.is_socket() => "a socket",
        f if f.is_char_device() || f.is_block_device() => "a device",
        _ => "a regular file",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_called_one() {
        let found = fs::metadata("/dev/null").unwrap();
        assert_eq!(kind(found.file_type()), "a device");
    }

    #[test]
    fn network_filesystems_by_their_magic() {
        for (magic, name) in [
            (libc::NFS_SUPER_MAGIC as u32, "NFS"),
            (libc::SMB_SUPER_MAGIC as u32, "SMB"),
            (libc::AFS_SUPER_MAGIC as u32, "AFS"),
            (libc::CODA_SUPER_MAGIC as u32, "Coda"),
            (0xfe53_4d42, "SMB2"),
        ] {
            assert_eq!(network_filesystem(magic), Some(name));
        }
        for local in [
            libc::EXT4_SUPER_MAGIC,
            libc::TMPFS_MAGIC,
            libc::XFS_SUPER_MAGIC,
        ] {
            assert_eq!(network_filesystem(local as u32), None);
        }
    }
}
