//! Unpacks one layer over those below it, whiteouts included.

use std::collections::HashSet;
use std::io::{self, Read};

use tar::{Archive, Entry, EntryType};

use super::error::{ImageStoreError, Refusal, unreadable};
use super::place::Place;
use super::stream::{Meter, Metered};
use super::tree::{CopyError, Tree};
use crate::model::ByteText;

/// Long names and extensions of one entry.
pub const HEADERS: u64 = 1 << 20;
/// Permission bits that are kept: no setuid, no setgid.
const MODE: u32 = 0o1777;
/// A whiteout's prefix, its marks for other tools, and the mark of a folder that hides the one below.
const WHITEOUT: &[u8] = b".wh.";
const WHITEOUT_META: &[u8] = b".wh..wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// How large an image may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of all its layers.
    pub bytes: u64,
    /// Entries of all its layers.
    pub entries: u64,
}

/// What was unpacked so far, against the limits.
#[derive(Debug)]
pub struct Budget {
    limits: Limits,
    stream: u64,
    bytes: u64,
    entries: u64,
    /// Devices and FIFOs below dev/ that were left out.
    pub left_out: u64,
}

impl Budget {
    /// Nothing yet.
    pub fn new(limits: Limits) -> Self {
        Budget {
            limits,
            stream: 0,
            bytes: 0,
            entries: 0,
            left_out: 0,
        }
    }
}

/// Unpacks the tar stream `from` into `tree`. `marked`: one whose end is not marked is truncated;
/// where a digest was checked, that is no matter.
///
/// # Errors
/// A [`Refusal`], or the disk cannot be written.
pub fn apply(
    tree: &Tree,
    from: impl Read,
    marked: bool,
    budget: &mut Budget,
) -> Result<(), ImageStoreError> {
    let limit = budget.limits.bytes;
    let meter = Meter::new(limit.saturating_sub(budget.stream));
    let before = meter.left();
    let mut archive = Archive::new(Metered::new(from, meter.clone(), limit));
    let unreadable = |error: io::Error| unreadable(&error, meter.ended());
    let mut layer = Layer {
        tree,
        budget,
        added: HashSet::new(),
    };
    let mut entries = archive.entries().map_err(unreadable)?;
    loop {
        meter.headers(HEADERS);
        let Some(entry) = entries.next() else {
            break;
        };
        let entry = entry.map_err(unreadable)?;
        meter.content();
        layer.entry(entry).map_err(|error| match error {
            CopyError::Read(error) => unreadable(error).into(),
            CopyError::Write(error) => error,
        })?;
    }
    if marked && meter.ended() {
        return Err(Refusal::Truncated.into());
    }
    budget.stream += before - meter.left();
    Ok(())
}

struct Layer<'a> {
    tree: &'a Tree,
    budget: &'a mut Budget,
    /// What this layer has: whiteouts are for those below.
    added: HashSet<Place>,
}

impl Layer<'_> {
    fn entry<R: Read>(&mut self, mut entry: Entry<'_, R>) -> Result<(), CopyError> {
        self.budget.entries += 1;
        if self.budget.entries > self.budget.limits.entries {
            let limit = self.budget.limits.entries;
            return Err(refused(Refusal::TooMany { limit }));
        }
        let header = entry.header().clone();
        if header.entry_type() == EntryType::XGlobalHeader {
            return Ok(());
        }
        let name = entry.path_bytes().into_owned();
        let place = Place::parse(&name).map_err(refused)?;
        if let Some((folder, last)) = place.split()
            && let Some(hidden) = last.strip_prefix(WHITEOUT)
        {
            return self
                .whiteout(&folder, last, hidden)
                .map_err(CopyError::from);
        }
        let mode = header.mode().map_err(CopyError::Read)? & MODE;
        let modified = i64::try_from(header.mtime().unwrap_or(0)).unwrap_or(0);
        match header.entry_type() {
            EntryType::Directory => self.tree.folder(&place, mode)?,
            // How the oldest archives write a folder.
            EntryType::Regular if name.ends_with(b"/") => self.tree.folder(&place, mode)?,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                self.check_form(&mut entry)?;
                self.take(entry.size())?;
                let size = entry.size();
                let copied = self.tree.file(&place, mode, modified, &mut entry)?;
                if copied != size {
                    return Err(refused(Refusal::Truncated));
                }
            }
            EntryType::Symlink => {
                let target = entry.link_name_bytes().unwrap_or_default();
                self.tree.symlink(&place, &target, modified)?;
            }
            EntryType::Link => {
                let target = entry.link_name_bytes().unwrap_or_default();
                self.link(&place, &target)?;
            }
            kind => return self.special(&place, kind),
        }
        self.added.insert(place);
        Ok(())
    }

    /// Counts what is about to be written: a file that is too large is not begun.
    fn take(&mut self, bytes: u64) -> Result<(), CopyError> {
        let limit = self.budget.limits.bytes;
        self.budget.bytes = self.budget.bytes.saturating_add(bytes);
        if self.budget.bytes > limit {
            return Err(refused(Refusal::TooLarge { limit }));
        }
        Ok(())
    }

    /// Refuses GNU's newer form of sparse files, whose data alone would come out as the file.
    fn check_form<R: Read>(&self, entry: &mut Entry<'_, R>) -> Result<(), CopyError> {
        let name = ByteText::from(entry.path_bytes().into_owned());
        let Some(extensions) = entry.pax_extensions().map_err(CopyError::Read)? else {
            return Ok(());
        };
        for extension in extensions {
            let extension = extension.map_err(CopyError::Read)?;
            if extension.key_bytes().starts_with(b"GNU.sparse.") {
                return Err(refused(Refusal::Special {
                    entry: name,
                    what: "a sparse file in the form `pax`, which is not understood".into(),
                }));
            }
        }
        Ok(())
    }

    fn link(&mut self, place: &Place, target: &[u8]) -> Result<(), CopyError> {
        let bad = |why| {
            refused(Refusal::BadLink {
                entry: shown(place),
                target: ByteText::from(target.to_vec()),
                why,
            })
        };
        let at = Place::parse(target).map_err(|_| bad("leads out of it"))?;
        match self.tree.link(place, &at)? {
            true => Ok(()),
            // Most likely a device that was left out.
            false if place.is_in(b"dev") && at.is_in(b"dev") => {
                self.budget.left_out += 1;
                Ok(())
            }
            false => Err(bad("is not in the image")),
        }
    }

    fn special(&mut self, place: &Place, kind: EntryType) -> Result<(), CopyError> {
        let what = match kind {
            EntryType::Char | EntryType::Block => "a device".to_owned(),
            EntryType::Fifo => "a FIFO".to_owned(),
            other => {
                let what = format!("of the unknown type 0x{:02x}", other.as_byte());
                let entry = shown(place);
                return Err(refused(Refusal::Special { entry, what }));
            }
        };
        if !place.is_in(b"dev") {
            let entry = shown(place);
            return Err(refused(Refusal::Special { entry, what }));
        }
        self.budget.left_out += 1;
        Ok(())
    }

    fn whiteout(
        &mut self,
        folder: &Place,
        name: &[u8],
        hidden: &[u8],
    ) -> Result<(), ImageStoreError> {
        let added = &self.added;
        let keep = |place: &Place| added.contains(place);
        if name == OPAQUE {
            return self.tree.remove_below(folder, &keep);
        }
        if name.starts_with(WHITEOUT_META) {
            return Ok(());
        }
        if matches!(hidden, b"" | b"." | b"..") {
            let entry = shown(&folder.join(name));
            let why = "it hides no name";
            return Err(Refusal::BadName { entry, why }.into());
        }
        self.tree.remove(&folder.join(hidden), &keep)
    }
}

fn shown(place: &Place) -> ByteText {
    ByteText::from(place.as_bytes().to_vec())
}

fn refused(refusal: Refusal) -> CopyError {
    CopyError::Write(refusal.into())
}
