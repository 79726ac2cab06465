//! stdout or a file that grows, as a reporter needs it: it can be closed, full, or not ready.

use std::io::{ErrorKind, Write};
use std::time::Duration;

use crate::event::SinkError;

/// A stream for the report.
pub struct Out {
    inner: Box<dyn Write + Send>,
    /// What it is, in an error.
    name: String,
    gone: bool,
}

impl Out {
    /// Writes to stdout, which is `inner`.
    pub fn new(inner: Box<dyn Write + Send>) -> Self {
        Out::named("to stdout", inner)
    }

    /// Writes to `inner`; an error begins with `cannot write` and the name.
    pub fn named(name: impl Into<String>, inner: Box<dyn Write + Send>) -> Self {
        Out {
            inner,
            name: name.into(),
            gone: false,
        }
    }

    /// Writes and flushes all of `bytes`. Once the reader is gone, does nothing: it has seen what it
    /// wanted, and the run goes on.
    ///
    /// # Errors
    /// The bytes cannot be written for another reason, such as a full disk.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        if self.gone || bytes.is_empty() {
            return Ok(());
        }
        match self.push(bytes) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.gone = true;
                Ok(())
            }
            Err(error) => Err(SinkError(format!("cannot write {}: {error}", self.name))),
        }
    }

    fn push(&mut self, mut bytes: &[u8]) -> std::io::Result<()> {
        while !bytes.is_empty() {
            match retry(|| self.inner.write(bytes))? {
                0 => return Err(ErrorKind::WriteZero.into()),
                written => bytes = &bytes[written..],
            }
        }
        retry(|| self.inner.flush())
    }
}

/// Calls until it is ready. Another process that shares the terminal or pipe may have made it
/// non-blocking (node and ssh do), and then a full pipe is an error that goes away.
fn retry<T>(mut call: impl FnMut() -> std::io::Result<T>) -> std::io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(5));
            }
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures::{Answer, Scripted, Shared};

    #[test]
    fn a_reader_that_left_is_no_error() {
        let mut out = Out::new(Box::new(Scripted::new([
            Answer::Error(ErrorKind::BrokenPipe),
            Answer::Error(ErrorKind::StorageFull),
        ])));
        assert!(out.write(b"a").is_ok());
        assert!(out.write(b"b").is_ok());
    }

    #[test]
    fn a_full_disk_is_an_error() {
        let mut out = Out::new(Box::new(
            std::fs::File::options()
                .write(true)
                .open("/dev/full")
                .unwrap(),
        ));
        let error = out.write(b"a").unwrap_err();
        assert!(
            error.0.starts_with("cannot write to stdout: No space left"),
            "{error}"
        );
    }

    #[test]
    fn a_stream_that_is_not_ready_loses_nothing() {
        let shared = Shared::default();
        let mut out = Out::new(Box::new(Scripted::into(
            shared.clone(),
            [
                Answer::Error(ErrorKind::WouldBlock),
                Answer::Write(2),
                Answer::Error(ErrorKind::Interrupted),
            ],
        )));
        out.write(b"hello").unwrap();
        assert_eq!(shared.text(), "hello");
    }
}
