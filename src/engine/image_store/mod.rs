//! Images without an engine: root filesystems unpacked from archives, for the embedded engine.
//!
//! A content-addressed store in the user's data folder. Several processes may use it at once, and
//! one that dies leaves nothing that is seen: an image is unpacked aside, below a lock, and appears
//! by a rename. Archives are not trusted: they write below their root and nowhere else.

mod archive;
mod error;
mod folders;
mod layer;
mod manifest;
mod place;
mod stream;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use walkdir::WalkDir;

pub use error::ImageStoreError;

use crate::model::ContentDigest;
use archive::Archive;
use folders::{Content, Folders, Reference, lock_alone, lock_shared};
use layer::{Budget, Limits, apply};
use manifest::{Described, Process, expect};
use stream::{Digest, Meter, Metered, Section, decode};
use tree::Tree;

/// No image of tests is larger; what is, is a decompression bomb.
const LIMITS: Limits = Limits {
    bytes: 32 << 30,
    entries: 2_000_000,
};

/// The store.
#[derive(Clone, Debug)]
pub struct ImageStore {
    folders: Folders,
    limits: Limits,
}

/// An image in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredImage {
    /// Its reference, with its tag: `debian:latest`.
    pub reference: String,
    /// Its content's id, `sha256:…`: its config's digest, or its tar's.
    pub id: String,
    /// Bytes of its files.
    pub size_bytes: u64,
    /// How many files and links it has.
    pub files: u64,
    /// When it was imported, in microseconds since 1970.
    pub imported_unix_us: u64,
    /// Its root filesystem's folder. Links in it lead wherever the archive says: nothing outside
    /// may follow them.
    pub root: PathBuf,
    /// Variables that its config sets.
    pub environment: Vec<(String, String)>,
    /// The folder that its config has processes start in.
    pub working_directory: Option<String>,
    /// What its label says that it is made of.
    pub content: Option<ContentDigest>,
}

/// An image that was imported.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The image.
    pub image: StoredImage,
    /// Devices and FIFOs below dev/ that were left out.
    pub left_out: u64,
}

/// As long as it lives, its image is not removed.
#[derive(Debug)]
pub struct Hold {
    _lock: File,
}

impl ImageStore {
    /// The store below `data_home`, XDG_DATA_HOME, or `home`, HOME. Makes nothing.
    ///
    /// # Errors
    /// Neither is an absolute path.
    pub fn open(
        data_home: Option<OsString>,
        home: Option<OsString>,
    ) -> Result<ImageStore, ImageStoreError> {
        let absolute = |path: OsString| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
        let data = data_home
            .and_then(absolute)
            .or_else(|| Some(home.and_then(absolute)?.join(".local/share")))
            .ok_or(ImageStoreError::NoPlace)?;
        Ok(ImageStore {
            folders: Folders::new(data.join("docker-test/images")),
            limits: LIMITS,
        })
    }

    /// Looks up an image; `None` where there is none of that name. A reference without a tag means
    /// `latest`.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn find(&self, reference: &str) -> Result<Option<StoredImage>, ImageStoreError> {
        match self.folders.reference(&with_tag(reference))? {
            Some(found) => self.stored(found),
            None => Ok(None),
        }
    }

    /// All images, by their references.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn list(&self) -> Result<Vec<StoredImage>, ImageStoreError> {
        let mut images = Vec::new();
        for reference in self.folders.all_references()? {
            images.extend(self.stored(reference)?);
        }
        Ok(images)
    }

    /// Keeps the image that `input` is an archive of, as `reference`, which before may have meant
    /// another.
    ///
    /// # Errors
    /// The archive is refused, or the store cannot be written. Nothing has been changed then.
    pub fn import(&self, reference: &str, input: File) -> Result<Imported, ImageStoreError> {
        let reference = with_tag(reference);
        self.folders.make()?;
        let store = self.folders.lock()?;
        let left = self.folders.sweep(&store)?;
        let work = self.folders.work(&store)?;
        drop(store);
        drop(left);
        let archive = Archive::open(input, work.path(), self.limits.bytes)?;
        let made = work.path().join("content");
        std::fs::create_dir(&made).map_err(|error| ImageStoreError::io(&made, error))?;
        let (content, left_out) = self.unpack(&archive, &reference, &made)?;

        let store = self.folders.lock()?;
        let place = self.folders.content(&content.id);
        let mut left = Vec::new();
        if self.folders.describe(&content.id)?.is_none() {
            if place.exists() {
                left.push(self.folders.set_aside(&place, &store)?);
            }
            std::fs::rename(&made, &place).map_err(|error| ImageStoreError::io(&place, error))?;
        }
        let entry = Reference {
            reference,
            id: content.id,
            imported_unix_us: now(),
        };
        self.folders.write_reference(&entry, &store)?;
        left.extend(self.folders.sweep(&store)?);
        let reference = entry.reference.clone();
        let image = self
            .stored(entry)?
            .ok_or(ImageStoreError::Unknown { reference })?;
        drop(store);
        drop(left);
        Ok(Imported { image, left_out })
    }

    /// Removes a reference, and its content where no other has it.
    ///
    /// # Errors
    /// There is none, a run uses it, or the store cannot be written.
    pub fn remove(&self, reference: &str) -> Result<(), ImageStoreError> {
        let reference = with_tag(reference);
        if !self.folders.exists() {
            return Err(ImageStoreError::Unknown { reference });
        }
        let store = self.folders.lock()?;
        let Some(found) = self.folders.reference(&reference)? else {
            return Err(ImageStoreError::Unknown { reference });
        };
        let all = self.folders.all_references()?;
        let last = all.iter().filter(|other| other.id == found.id).count() == 1;
        let content = self.folders.content(&found.id);
        let lock = match last && content.exists() {
            true => lock_alone(&content)?,
            false => None,
        };
        if last && lock.is_none() && content.exists() {
            return Err(ImageStoreError::InUse { reference });
        }
        self.folders.remove_reference(&reference, &store)?;
        let gone = match lock {
            Some(_) => Some(self.folders.set_aside(&content, &store)?),
            None => None,
        };
        drop(store);
        drop(gone);
        Ok(())
    }

    fn stored(&self, entry: Reference) -> Result<Option<StoredImage>, ImageStoreError> {
        let Some(content) = self.folders.describe(&entry.id)? else {
            return Ok(None);
        };
        Ok(Some(StoredImage {
            root: self.folders.content(&entry.id).join("rootfs"),
            reference: entry.reference,
            id: entry.id,
            size_bytes: content.size_bytes,
            files: content.files,
            imported_unix_us: entry.imported_unix_us,
            environment: content.process.environment,
            working_directory: content.process.working_directory,
            content: content.content.as_deref().and_then(ContentDigest::parse),
        }))
    }

    /// Unpacks the archive's image into the folder `made`; also how many devices were left out.
    fn unpack(
        &self,
        archive: &Archive,
        reference: &str,
        made: &Path,
    ) -> Result<(Content, u64), ImageStoreError> {
        let root = made.join("rootfs");
        let tree = Tree::create(&root)?;
        let mut budget = Budget::new(self.limits);
        let (id, process, label) = match manifest::read(archive, reference, machine())? {
            Some(Described {
                id,
                layers,
                process,
                content,
            }) => {
                for layer in layers {
                    let part = archive.part(&layer.part);
                    let part =
                        part.ok_or_else(|| error::Refusal::Missing(layer.part.as_str().into()))?;
                    let found = match layer.as_it_is {
                        true => Digest::of(part.clone()).map_err(cannot_read)?,
                        false => self.digest_within(part.clone())?,
                    };
                    expect(&layer.part, &layer.digest, &found)?;
                    apply(
                        &tree,
                        decode(part).map_err(cannot_read)?.0,
                        false,
                        &mut budget,
                    )?;
                }
                (id, process, content)
            }
            None => {
                apply(
                    &tree,
                    decode(archive.whole()).map_err(cannot_read)?.0,
                    true,
                    &mut budget,
                )?;
                let id = Digest::of(archive.whole()).map_err(cannot_read)?;
                (id, Process::default(), None)
            }
        };
        let (files, size_bytes) = measure(&root)?;
        let content = Content {
            id: id.as_str().to_owned(),
            size_bytes,
            files,
            process,
            content: label.map(|label| label.to_string()),
        };
        folders::write(&made.join("image.json"), &content)?;
        // After a power failure, too, what is seen is whole.
        File::open(made)
            .and_then(|folder| Ok(nix::unistd::syncfs(&folder)?))
            .map_err(|error| ImageStoreError::io(made, error))?;
        Ok((content, budget.left_out))
    }

    /// The digest of what `part` holds without its compression.
    fn digest_within(&self, part: Section<'_>) -> Result<Digest, error::Refusal> {
        let limit = self.limits.bytes;
        let decoded = decode(part).map_err(cannot_read)?.0;
        Digest::of(Metered::new(decoded, Meter::new(limit), limit)).map_err(cannot_read)
    }
}

impl StoredImage {
    /// Keeps the image from being removed, by other processes too, until the result is dropped.
    ///
    /// # Errors
    /// It was removed, or cannot be locked.
    pub fn hold(&self) -> Result<Hold, ImageStoreError> {
        let content = self.root.parent().unwrap_or(&self.root);
        let unknown = || ImageStoreError::Unknown {
            reference: self.reference.clone(),
        };
        let lock = lock_shared(content)?.ok_or_else(unknown)?;
        Ok(Hold { _lock: lock })
    }
}

/// `reference` with the tag `latest` where it has none.
fn with_tag(reference: &str) -> String {
    let last = reference.rsplit('/').next().unwrap_or(reference);
    match last.contains([':', '@']) {
        true => reference.to_owned(),
        false => format!("{reference}:latest"),
    }
}

/// This machine's architecture, as images call it.
fn machine() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

/// How many files and links there are below `root`, and their bytes; several names of one file
/// count once.
fn measure(root: &Path) -> Result<(u64, u64), ImageStoreError> {
    let (mut files, mut bytes) = (0, 0);
    let mut seen = HashSet::new();
    for entry in WalkDir::new(root) {
        let entry = entry.map_err(|error| ImageStoreError::io(root, error))?;
        if entry.file_type().is_dir() {
            continue;
        }
        let found = entry
            .metadata()
            .map_err(|error| ImageStoreError::io(entry.path(), error))?;
        files += 1;
        if entry.file_type().is_file() && (found.nlink() == 1 || seen.insert(found.ino())) {
            bytes += found.len();
        }
    }
    Ok((files, bytes))
}

fn cannot_read(error: std::io::Error) -> error::Refusal {
    error::unreadable(&error, false)
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(0))
}
