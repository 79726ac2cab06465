//! The store's folders, locks and small files.
//!
//! ```text
//! images/lock                      held while references and contents change
//! images/references/HEX            a reference's JSON; HEX is the reference's SHA-256
//! images/contents/HEX/image.json   what the image is; HEX is its id
//! images/contents/HEX/rootfs/      its files
//! images/temporary/NAME/           what is being imported or removed
//! ```
//!
//! A content is locked by who uses it (shared) or removes it (exclusive), a temporary folder by who
//! works in it; the kernel drops the locks of a process that is dead. Both come and go by `rename`.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::error::ImageStoreError;
use super::manifest::Process;
use super::stream::Digest;
use crate::model::{ByteText, escape};

/// A reference, as its file has it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Reference {
    /// The reference.
    pub reference: String,
    /// The image's id, `sha256:…`.
    pub id: String,
    /// When it was imported, in microseconds since 1970.
    pub imported_unix_us: u64,
}

/// A content, as its `image.json` has it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Content {
    /// The image's id, `sha256:…`.
    pub id: String,
    /// Bytes of its files.
    pub size_bytes: u64,
    /// How many there are, without folders.
    pub files: u64,
    /// What its config says of its processes.
    #[serde(flatten)]
    pub process: Process,
    /// What its label says that it is made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}

/// The store's root folder; nothing needs to be there.
#[derive(Clone, Debug)]
pub struct Folders {
    root: PathBuf,
}

/// Work in a folder of its own, which goes with it.
pub struct Work {
    // Declared first, so that the folder is gone before the lock.
    folder: TempDir,
    _lock: File,
}

impl Work {
    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Folders {
    /// Pure path logic.
    pub fn new(root: PathBuf) -> Self {
        Folders { root }
    }

    /// Whether there is a store.
    pub fn exists(&self) -> bool {
        self.root.is_dir()
    }

    /// Makes the store's folders.
    ///
    /// # Errors
    /// They cannot be made.
    pub fn make(&self) -> Result<(), ImageStoreError> {
        for folder in [self.references(), self.contents(), self.temporary()] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&folder)
                .map_err(at(&folder))?;
        }
        Ok(())
    }

    /// Waits until nobody else changes the store, which takes no longer than a few renames.
    ///
    /// # Errors
    /// The lock cannot be had.
    pub fn lock(&self) -> Result<File, ImageStoreError> {
        let path = self.root.join("lock");
        let file = File::options()
            .create(true)
            .write(true)
            .truncate(false)
            .open(&path)
            .map_err(at(&path))?;
        file.lock().map_err(at(&path))?;
        Ok(file)
    }

    /// A new temporary folder. The store has to be locked.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn work(&self, _store: &File) -> Result<Work, ImageStoreError> {
        let temporary = self.temporary();
        let folder = TempDir::new_in(&temporary).map_err(at(&temporary))?;
        let lock = File::open(folder.path()).map_err(at(folder.path()))?;
        lock.lock().map_err(at(folder.path()))?;
        Ok(Work {
            folder,
            _lock: lock,
        })
    }

    /// The references, in their order.
    ///
    /// # Errors
    /// One cannot be read.
    pub fn all_references(&self) -> Result<Vec<Reference>, ImageStoreError> {
        let mut found = Vec::new();
        for path in children(&self.references())? {
            if path.extension().is_some() {
                continue;
            }
            found.extend(read::<Reference>(&path)?);
        }
        found.sort_by(|a, b| a.reference.cmp(&b.reference));
        Ok(found)
    }

    /// A reference, if it is there.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn reference(&self, reference: &str) -> Result<Option<Reference>, ImageStoreError> {
        read(&self.reference_path(reference)?)
    }

    /// Writes a reference, whole or not at all. The store has to be locked.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_reference(
        &self,
        reference: &Reference,
        _store: &File,
    ) -> Result<(), ImageStoreError> {
        let path = self.reference_path(&reference.reference)?;
        let new = path.with_extension("new");
        write(&new, reference)?;
        fs::rename(&new, &path).map_err(at(&path))
    }

    /// Removes a reference. The store has to be locked.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove_reference(&self, reference: &str, _store: &File) -> Result<(), ImageStoreError> {
        let path = self.reference_path(reference)?;
        fs::remove_file(&path).map_err(at(&path))
    }

    /// The folder of the content with this id.
    pub fn content(&self, id: &str) -> PathBuf {
        let hex = id.strip_prefix("sha256:").unwrap_or(id);
        self.contents().join(hex)
    }

    /// What is said of a content, if it is there.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn describe(&self, id: &str) -> Result<Option<Content>, ImageStoreError> {
        read(&self.content(id).join("image.json"))
    }

    /// Takes away contents that no reference has and nobody uses, and what dead processes left.
    /// The store has to be locked; what has to be deleted is so when the result is dropped, which
    /// can be later.
    ///
    /// # Errors
    /// A reference cannot be read, or a folder not be moved.
    pub fn sweep(&self, store: &File) -> Result<Vec<Work>, ImageStoreError> {
        let mut gone = Vec::new();
        for path in children(&self.temporary())? {
            if let Some(lock) = lock_alone(&path)? {
                let aside = self.work(store)?;
                let target = aside.path().join("left");
                fs::rename(&path, &target).map_err(at(&path))?;
                drop(lock);
                gone.push(aside);
            }
        }
        let known = self.all_references()?;
        for path in children(&self.contents())? {
            if known.iter().any(|known| self.content(&known.id) == path) {
                continue;
            }
            if let Some(lock) = lock_alone(&path)? {
                gone.push(self.set_aside(&path, store)?);
                drop(lock);
            }
        }
        Ok(gone)
    }

    /// Moves a content into a temporary folder. The store and the content have to be locked.
    ///
    /// # Errors
    /// It cannot be moved.
    pub fn set_aside(&self, content: &Path, store: &File) -> Result<Work, ImageStoreError> {
        let aside = self.work(store)?;
        fs::rename(content, aside.path().join("content")).map_err(at(content))?;
        Ok(aside)
    }

    fn references(&self) -> PathBuf {
        self.root.join("references")
    }

    fn contents(&self) -> PathBuf {
        self.root.join("contents")
    }

    fn temporary(&self) -> PathBuf {
        self.root.join("temporary")
    }

    fn reference_path(&self, reference: &str) -> Result<PathBuf, ImageStoreError> {
        let name = Digest::of(reference.as_bytes()).map_err(at(&self.root))?;
        Ok(self.references().join(name.hex()))
    }
}

/// A folder, locked for us alone; `None` where somebody else has it, or it is gone.
///
/// # Errors
/// It cannot be opened or locked.
pub fn lock_alone(folder: &Path) -> Result<Option<File>, ImageStoreError> {
    lock_folder(folder, |file| match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    })
}

/// A folder, locked against its removal; `None` where it is gone.
///
/// # Errors
/// It cannot be opened or locked.
pub fn lock_shared(folder: &Path) -> Result<Option<File>, ImageStoreError> {
    lock_folder(folder, |file| file.lock_shared().map(|()| true))
}

fn lock_folder(
    folder: &Path,
    lock: impl Fn(&File) -> io::Result<bool>,
) -> Result<Option<File>, ImageStoreError> {
    let file = match File::open(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.map_err(at(folder))?,
    };
    if !lock(&file).map_err(at(folder))? {
        return Ok(None);
    }
    let ours = file.metadata().map_err(at(folder))?;
    // Between the two calls it may have been moved away or removed.
    let same = fs::metadata(folder)
        .is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino()));
    Ok(same.then_some(file))
}

/// Writes a JSON file and makes sure of it.
///
/// # Errors
/// It cannot be written.
pub fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), ImageStoreError> {
    let text = serde_json::to_vec(value).map_err(|error| at(path)(error.into()))?;
    let mut file = File::create(path).map_err(at(path))?;
    file.write_all(&text).map_err(at(path))?;
    file.sync_all().map_err(at(path))
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, ImageStoreError> {
    let text = match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.map_err(at(path))?,
    };
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|error| ImageStoreError::Damaged {
            path: ByteText::from(path.as_os_str()),
            why: escape(error.to_string().as_bytes()),
        })
}

fn children(folder: &Path) -> Result<Vec<PathBuf>, ImageStoreError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(at(folder))?,
    };
    entries
        .map(|entry| Ok(entry.map_err(at(folder))?.path()))
        .collect()
}

fn at(path: &Path) -> impl Fn(io::Error) -> ImageStoreError {
    move |error| ImageStoreError::io(path, error)
}
