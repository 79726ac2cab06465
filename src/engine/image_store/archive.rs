//! The archive as it was given, as a file that can be read anywhere in it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;

use tar::EntryType;

use super::error::{ImageStoreError, Refusal, unreadable};
use super::layer::HEADERS;
use super::place::Place;
use super::stream::{Form, Meter, Metered, Section, decode};
use crate::model::ByteText;

/// The largest of an archive's JSON files.
const DESCRIPTION: u64 = 4 << 20;
/// The deepest that a part of an image lies in its archive: `blobs/sha256/…`.
const DEEPEST_PART: usize = 3;
/// Symbolic links from one part to another.
const LINKS: usize = 8;

/// An archive without its outer compression.
pub struct Archive {
    file: File,
    length: u64,
    parts: HashMap<Vec<u8>, Part>,
}

enum Part {
    Data { start: u64, size: u64 },
    Link(Vec<u8>),
}

impl Archive {
    /// Takes `input` as it is where it is a file without compression that is read from its start;
    /// what else it is comes into a file without a name in the folder `temporary` first.
    ///
    /// # Errors
    /// It cannot be read, is no tar archive or larger than `limit` bytes, or the disk is full.
    pub fn open(input: File, temporary: &Path, limit: u64) -> Result<Archive, ImageStoreError> {
        let file = match in_place(&input) {
            true => input,
            false => spool(input, temporary, limit)?,
        };
        let cannot_read = |error: io::Error| unreadable(&error, false);
        let length = file.metadata().map_err(cannot_read)?.len();
        if length == 0 {
            return Err(Refusal::Truncated.into());
        }
        let parts = parts(&file, length)?;
        Ok(Archive {
            file,
            length,
            parts,
        })
    }

    /// All of it.
    pub fn whole(&self) -> Section<'_> {
        Section::new(&self.file, 0, self.length)
    }

    /// The file `name` in it.
    pub fn part(&self, name: &str) -> Option<Section<'_>> {
        let mut name = name.as_bytes().to_vec();
        for _ in 0..LINKS {
            match self.parts.get(&name)? {
                Part::Data { start, size } => {
                    return Some(Section::new(&self.file, *start, *size));
                }
                Part::Link(target) => name.clone_from(target),
            }
        }
        None
    }

    /// The text of the JSON file `name` in it; `None` where there is none.
    ///
    /// # Errors
    /// It is too large, or cannot be read.
    pub fn description(&self, name: &str) -> Result<Option<Vec<u8>>, Refusal> {
        let Some(mut part) = self.part(name) else {
            return Ok(None);
        };
        if part.left() > DESCRIPTION {
            return Err(Refusal::Description {
                file: ByteText::from(name),
                why: "it is larger than 4 MiB".into(),
            });
        }
        let mut text = Vec::new();
        part.read_to_end(&mut text)
            .map_err(|error| unreadable(&error, false))?;
        Ok(Some(text))
    }
}

fn in_place(input: &File) -> bool {
    let mut beginning = [0; 6];
    input.metadata().is_ok_and(|found| found.is_file())
        && (&*input)
            .stream_position()
            .is_ok_and(|position| position == 0)
        && Section::new(input, 0, 6).read_exact(&mut beginning).is_ok()
        && Form::of(&beginning) == Form::Plain
}

/// A copy without compression, which vanishes with its descriptor.
fn spool(input: File, temporary: &Path, limit: u64) -> Result<File, ImageStoreError> {
    let mut file =
        tempfile::tempfile_in(temporary).map_err(|error| ImageStoreError::io(temporary, error))?;
    let meter = Meter::new(limit);
    let (decoded, _) = decode(input).map_err(|error| unreadable(&error, false))?;
    let mut from = Metered::new(decoded, meter, limit);
    let mut piece = vec![0; 64 << 10];
    loop {
        match from.read(&mut piece) {
            Ok(0) => return Ok(file),
            Ok(count) => io::Write::write_all(&mut file, &piece[..count])
                .map_err(|error| ImageStoreError::io(temporary, error))?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(&error, false).into()),
        }
    }
}

/// The files and links that can be parts of an image, by their names.
fn parts(file: &File, length: u64) -> Result<HashMap<Vec<u8>, Part>, Refusal> {
    let meter = Meter::new(u64::MAX);
    let whole = io::BufReader::new(Positioned { file, at: 0 });
    let mut archive = tar::Archive::new(Metered::new(whole, meter.clone(), u64::MAX));
    let cannot_read = |error: io::Error| unreadable(&error, meter.ended());
    let mut found = HashMap::new();
    let mut entries = archive.entries_with_seek().map_err(cannot_read)?;
    loop {
        meter.headers(HEADERS);
        let Some(entry) = entries.next() else {
            return Ok(found);
        };
        let entry = entry.map_err(cannot_read)?;
        let (start, size) = (entry.raw_file_position(), entry.size());
        let kind = entry.header().entry_type();
        let sparse = kind == EntryType::GNUSparse;
        if !sparse && start.checked_add(size).is_none_or(|end| end > length) {
            return Err(Refusal::Truncated);
        }
        let Ok(place) = Place::parse(&entry.path_bytes()) else {
            // Whether it matters is decided when it is unpacked.
            continue;
        };
        if place.names().count() > DEEPEST_PART {
            continue;
        }
        let link = |target: &[u8]| Some(Part::Link(target.to_vec()));
        let target = entry.link_name_bytes().unwrap_or_default();
        let part = match kind {
            EntryType::Regular | EntryType::Continuous => Some(Part::Data { start, size }),
            EntryType::Link => Place::parse(&target).map_or(None, |target| link(target.as_bytes())),
            EntryType::Symlink => beside(&place, &target).and_then(|path| link(&path)),
            _ => None,
        };
        if let Some(part) = part {
            found.insert(place.as_bytes().to_vec(), part);
        }
    }
}

/// Where a symbolic link at `place` leads, if that is in the archive.
fn beside(place: &Place, target: &[u8]) -> Option<Vec<u8>> {
    let (folder, _) = place.split()?;
    let mut names: Vec<&[u8]> = folder.names().map(|name| name.as_encoded_bytes()).collect();
    for name in target.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => drop(names.pop()?),
            name => names.push(name),
        }
    }
    Some(names.join(&b'/'))
}

/// A file, read from a position of its own.
struct Positioned<'a> {
    file: &'a File,
    at: u64,
}

impl Read for Positioned<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = std::os::unix::fs::FileExt::read_at(self.file, into, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Positioned<'_> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        let at = match to {
            io::SeekFrom::Start(at) => Some(at),
            io::SeekFrom::Current(by) => self.at.checked_add_signed(by),
            io::SeekFrom::End(_) => None,
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
