//! Readers: a part of a file, what was compressed, what is counted, and digests.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek};
use std::os::unix::fs::FileExt;
use std::rc::Rc;

use sha2::{Digest as _, Sha256};

use super::error::Refusal;
use crate::model::ByteText;

/// The most memory that unpacking xz may take, in KiB; the highest preset asks for 65 MiB.
const XZ_MEMORY_KIB: u32 = 256 << 10;

/// A part of a file. Reading moves no position that others see.
#[derive(Clone)]
pub struct Section<'a> {
    file: &'a File,
    at: u64,
    left: u64,
}

impl<'a> Section<'a> {
    /// `length` bytes of `file` from `start` on.
    pub fn new(file: &'a File, start: u64, length: u64) -> Self {
        Section {
            file,
            at: start,
            left: length,
        }
    }

    /// How many bytes there are still.
    pub fn left(&self) -> u64 {
        self.left
    }
}

impl Read for Section<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = into
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let count = self.file.read_at(&mut into[..most], self.at)?;
        self.at += count as u64;
        self.left -= count as u64;
        if count == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(count)
    }
}

/// What the first bytes of a stream say of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A gzip stream.
    Gzip,
    /// A zstd stream.
    Zstd,
    /// An xz stream.
    Xz,
    /// Anything else.
    Plain,
}

impl Form {
    /// The form of what begins like this; six bytes are enough.
    pub fn of(beginning: &[u8]) -> Form {
        match beginning {
            [0x1f, 0x8b, ..] => Form::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Form::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Form::Xz,
            _ => Form::Plain,
        }
    }
}

/// `from` without its compression, if it has one; its form.
///
/// # Errors
/// It cannot be read, or a decoder refuses its beginning.
pub fn decode<'a>(mut from: impl Read + 'a) -> io::Result<(Box<dyn Read + 'a>, Form)> {
    let mut beginning = Vec::with_capacity(6);
    from.by_ref().take(6).read_to_end(&mut beginning)?;
    let form = Form::of(&beginning);
    let whole = Cursor::new(beginning).chain(from);
    let decoded: Box<dyn Read + 'a> = match form {
        Form::Gzip => Box::new(flate2::read::MultiGzDecoder::new(whole)),
        Form::Zstd => Box::new(zstd::stream::read::Decoder::new(whole)?),
        Form::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(
            io::BufReader::new(whole),
            true,
            XZ_MEMORY_KIB,
        )),
        Form::Plain => Box::new(io::BufReader::with_capacity(64 << 10, whole)),
    };
    Ok((decoded, form))
}

/// How much of a stream may still be read, and whether its end was seen.
#[derive(Debug, Default)]
pub struct Meter {
    left: Cell<u64>,
    headers: Cell<Option<(u64, u64)>>,
    ended: Cell<bool>,
}

impl Meter {
    /// For a stream of at most `left` bytes.
    pub fn new(left: u64) -> Rc<Meter> {
        let meter = Meter::default();
        meter.left.set(left);
        Rc::new(meter)
    }

    /// Until [`Meter::content`], only headers are read: at most `most` bytes.
    pub fn headers(&self, most: u64) {
        self.headers.set(Some((most, most)));
    }

    /// What is read from now on is content.
    pub fn content(&self) {
        self.headers.set(None);
    }

    /// How many bytes may still be read.
    pub fn left(&self) -> u64 {
        self.left.get()
    }

    /// Whether a reader was told that there is no more.
    pub fn ended(&self) -> bool {
        self.ended.get()
    }
}

/// A stream that a [`Meter`] watches. Past a bound it fails with a [`Refusal`].
pub struct Metered<R> {
    inner: R,
    meter: Rc<Meter>,
    limit: u64,
}

impl<R: Read> Metered<R> {
    /// Watches `inner`. `limit` is what an error names.
    pub fn new(inner: R, meter: Rc<Meter>, limit: u64) -> Self {
        Metered {
            inner,
            meter,
            limit,
        }
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(into)?;
        let meter = &self.meter;
        if count == 0 && !into.is_empty() {
            meter.ended.set(true);
        }
        let bytes = count as u64;
        let Some(left) = meter.left.get().checked_sub(bytes) else {
            let limit = self.limit;
            return Err(io::Error::other(Refusal::TooLarge { limit }));
        };
        meter.left.set(left);
        if let Some((left, limit)) = meter.headers.get() {
            let Some(left) = left.checked_sub(bytes) else {
                return Err(io::Error::other(Refusal::LongHeaders { limit }));
            };
            meter.headers.set(Some((left, limit)));
        }
        Ok(count)
    }
}

impl<R: Seek> Seek for Metered<R> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

/// A SHA-256, as `sha256:` and 64 digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest(String);

impl Digest {
    /// Reads one as it is written in an archive.
    ///
    /// # Errors
    /// It is of another form or algorithm.
    pub fn parse(text: &str) -> Result<Digest, Refusal> {
        let refused = || Refusal::DigestForm(ByteText::from(text));
        let hex = text.strip_prefix("sha256:").ok_or_else(refused)?;
        Digest::of_hex(hex).ok_or_else(refused)
    }

    /// Of its 64 digits.
    pub fn of_hex(hex: &str) -> Option<Digest> {
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        (hex.len() == 64 && hex.bytes().all(digit)).then(|| Digest(format!("sha256:{hex}")))
    }

    /// Of all that `from` has.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of(mut from: impl Read) -> io::Result<Digest> {
        let mut digest = Sha256::new();
        let mut piece = vec![0; 64 << 10];
        loop {
            match from.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => digest.update(&piece[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let hex: String = digest
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Ok(Digest(format!("sha256:{hex}")))
    }

    /// `sha256:…`
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its digits.
    pub fn hex(&self) -> &str {
        &self.0["sha256:".len()..]
    }
}
