//! Why an image cannot be imported, found or removed.

use std::io;
use std::path::Path;

use nix::errno::Errno;

use crate::model::{ByteText, escape, format_bytes};

/// Why an archive is not taken. One line, and where there is something to do, a hint. Safe to print.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is something else.
    #[error(
        "it is no tar archive, or damaged: {why}\nhint: give a root filesystem's tar, an OCI image layout or what `docker save` writes; gzip, zstd and xz are understood"
    )]
    NotAnArchive {
        /// What the reader of archives says, escaped.
        why: String,
    },
    /// It ends too early.
    #[error("it is truncated: it ends in the middle\nhint: get or make the archive again")]
    Truncated,
    /// An entry's name is absolute, or has `..` in it.
    #[error(
        "its entry {entry} leads out of the image\nhint: make the archive with `tar -C ROOT -cf FILE .`"
    )]
    Outside {
        /// The entry's name.
        entry: ByteText,
    },
    /// An entry's name cannot be that of a file.
    #[error("its entry {entry} cannot be made: {why}")]
    BadName {
        /// The entry's name.
        entry: ByteText,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The way to an entry leads through a symbolic link or a file.
    #[error("its entry {entry} goes through {way}, which is {what}")]
    ThroughLink {
        /// The entry's name.
        entry: ByteText,
        /// What is in the way.
        way: ByteText,
        /// `a symbolic link` or `no folder`
        what: &'static str,
    },
    /// A hard link to something that is not in the image.
    #[error("its entry {entry} is a hard link to {target}, which {why}")]
    BadLink {
        /// The entry's name.
        entry: ByteText,
        /// What it links to.
        target: ByteText,
        /// `is not in the image` or `leads out of it`
        why: &'static str,
    },
    /// A device or FIFO outside dev/, or a type that nobody knows.
    #[error(
        "its entry {entry} is {what}\nhint: an image has folders, files and links; devices and FIFOs are left out below dev/ and refused elsewhere"
    )]
    Special {
        /// The entry's name.
        entry: ByteText,
        /// `a device`, …
        what: String,
    },
    /// It would be larger than an image may be.
    #[error("it has more than {} of data, the most that an image may have", format_bytes(*.limit))]
    TooLarge {
        /// Bytes.
        limit: u64,
    },
    /// It would have more files than an image may have.
    #[error("it has more than {limit} entries, the most that an image may have")]
    TooMany {
        /// Entries of all layers.
        limit: u64,
    },
    /// The headers before an entry are larger than any real ones.
    #[error("an entry's headers are larger than {}", format_bytes(*.limit))]
    LongHeaders {
        /// Bytes.
        limit: u64,
    },
    /// Content is not what its digest says.
    #[error(
        "{what} has the digest {found} and should have {expected}\nhint: the archive was changed or damaged: get or make it again"
    )]
    WrongDigest {
        /// `blobs/sha256/…`, `the layer …`
        what: String,
        /// What the archive says.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A digest that is not `sha256:` and 64 digits.
    #[error("its digest {0} is not of the form sha256:…")]
    DigestForm(ByteText),
    /// A media type that is no image's.
    #[error("{what} has the media type {found}, which is not understood")]
    MediaType {
        /// `the config`, `a layer`, …
        what: &'static str,
        /// The type.
        found: ByteText,
    },
    /// It is for other machines.
    #[error("it is for {found}, and this machine is {machine}")]
    Platform {
        /// `linux/arm64, linux/s390x`
        found: ByteText,
        /// `linux/amd64`
        machine: String,
    },
    /// It has more than one image, and none of that name, or several.
    #[error(
        "it has {count} images, and not exactly one of them is named {reference}\nhint: its names are: {names}"
    )]
    Several {
        /// How many.
        count: usize,
        /// The name that was asked for.
        reference: String,
        /// What they are called.
        names: ByteText,
    },
    /// A part that another names is not there.
    #[error("it is incomplete: {0} is missing\nhint: get or make the archive again")]
    Missing(ByteText),
    /// One of its JSON files is not what it should be.
    #[error("its {file} cannot be understood: {why}")]
    Description {
        /// `index.json`, …
        file: ByteText,
        /// What is wrong, escaped.
        why: String,
    },
}

/// The store cannot do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum ImageStoreError {
    /// The archive is not taken. Nothing of it stays.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The disk is full, or the quota used up.
    #[error(
        "no space is left at {path}\nhint: free some, or let XDG_DATA_HOME name a folder on a larger disk"
    )]
    Full {
        /// What was written.
        path: ByteText,
    },
    /// Anything else that the operating system says.
    #[error("{path}: {source}")]
    Io {
        /// What was touched.
        path: ByteText,
        /// The operating system's words.
        source: io::Error,
    },
    /// A file of the store is not ours.
    #[error("{path} cannot be understood: {why}\nhint: remove it, and import the image again")]
    Damaged {
        /// The file.
        path: ByteText,
        /// What is wrong, escaped.
        why: String,
    },
    /// There is no such image.
    #[error(
        "there is no image {reference}\nhint: `docker-test image list` shows those that were imported"
    )]
    Unknown {
        /// Its reference.
        reference: String,
    },
    /// A run uses the image.
    #[error("{reference} cannot be removed: a run uses it\nhint: wait for the run's end")]
    InUse {
        /// Its reference.
        reference: String,
    },
    /// Neither variable names a folder.
    #[error(
        "images cannot be kept: neither XDG_DATA_HOME nor HOME is an absolute path\nhint: set XDG_DATA_HOME"
    )]
    NoPlace,
}

impl ImageStoreError {
    /// An error of the operating system at `path`.
    pub fn io(path: &Path, source: impl Into<io::Error>) -> Self {
        let source = source.into();
        let path = ByteText::from(path.as_os_str());
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                ImageStoreError::Full { path }
            }
            _ => ImageStoreError::Io { path, source },
        }
    }

    /// The same, where an entry of the archive was to be made there: a name that no filesystem
    /// takes is the archive's fault.
    pub fn entry(entry: &[u8], path: &Path, error: Errno) -> Self {
        let why = match error {
            Errno::ENAMETOOLONG => "its name is too long",
            Errno::EINVAL => "its name is not valid",
            Errno::ENOENT => "its link leads nowhere",
            _ => return ImageStoreError::io(path, error),
        };
        let entry = ByteText::from(entry.to_vec());
        Refusal::BadName { entry, why }.into()
    }
}

/// What an error means that came while an archive was read. `ended`: there was nothing more to read.
pub fn unreadable(error: &io::Error, ended: bool) -> Refusal {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(refusal) => Refusal::clone(refusal),
        None if ended || error.kind() == io::ErrorKind::UnexpectedEof => Refusal::Truncated,
        None => Refusal::NotAnArchive {
            why: escape(error.to_string().as_bytes()),
        },
    }
}
