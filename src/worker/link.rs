//! The worker's two pipes to its launcher.
//!
//! Both are non-blocking: a launcher that does not read must not keep a test from being ended in
//! time. Reports are gathered for a few milliseconds, because every write wakes three processes of
//! the engine on its way; a worker with nothing in hand sends at once.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::peak::Taken;
use crate::protocol::{FromWorker, Job, ToWorker, encode};

/// How long a message may wait for company.
const GATHER: Duration = Duration::from_millis(20);
/// How much may wait before it is sent at once, in bytes.
const GATHER_BYTES: usize = 64 << 10;

/// What the worker does next.
pub enum Next {
    /// Run this.
    Job(Box<Job>),
    /// Read the limits back again.
    Attest,
    /// Say goodbye.
    Finished,
    /// The launcher is gone.
    Gone,
}

/// What the launcher wants done with the running test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Halt {
    /// End it with grace.
    Interrupt,
    /// Kill it.
    Kill,
    /// Kill it; nobody waits for a report.
    Gone,
}

/// The two pipes, with what has been read and not yet done, and said and not yet sent.
pub struct Link {
    input: std::fs::File,
    output: std::fs::File,
    partial: Vec<u8>,
    jobs: VecDeque<Box<Job>>,
    released: Vec<u64>,
    taken: Option<(u64, Taken)>,
    attest: bool,
    finish: bool,
    halt: Option<Halt>,
    unsent: Vec<u8>,
    /// The first of the unsent lines is sent in part.
    begun: bool,
    oldest: Option<Instant>,
}

impl Link {
    /// Takes the pipes over.
    ///
    /// # Errors
    /// They cannot be made non-blocking.
    pub fn new(input: OwnedFd, output: OwnedFd) -> Result<Self, String> {
        for end in [&input, &output] {
            fcntl(end, FcntlArg::F_GETFL)
                .and_then(|flags| {
                    let flags = OFlag::from_bits_truncate(flags) | OFlag::O_NONBLOCK;
                    fcntl(end, FcntlArg::F_SETFL(flags))
                })
                .map_err(|error| format!("the launcher's pipe cannot be set up: {error}"))?;
        }
        Ok(Link {
            input: input.into(),
            output: output.into(),
            partial: Vec::new(),
            jobs: VecDeque::new(),
            released: Vec::new(),
            taken: None,
            attest: false,
            finish: false,
            halt: None,
            unsent: Vec::new(),
            begun: false,
            oldest: None,
        })
    }

    /// The pipe to poll for messages; none once nothing more can come. `finish` is not the last
    /// word: a test in hand can still be interrupted, or its launcher die.
    pub fn input(&self) -> Option<BorrowedFd<'_>> {
        (self.halt != Some(Halt::Gone)).then(|| self.input.as_fd())
    }

    /// The pipe to poll for room, while a message is due.
    pub fn output(&self, now: Instant) -> Option<BorrowedFd<'_>> {
        self.due()
            .is_some_and(|due| due <= now)
            .then(|| self.output.as_fd())
    }

    /// When what is unsent has waited long enough.
    pub fn due(&self) -> Option<Instant> {
        let oldest = self.oldest?;
        Some(if self.unsent.len() >= GATHER_BYTES {
            oldest
        } else {
            oldest + GATHER
        })
    }

    /// Reads what there is.
    ///
    /// # Errors
    /// A line is not a message.
    pub fn receive(&mut self) -> Result<(), String> {
        let mut buffer = [0; 64 << 10];
        loop {
            match self.input.read(&mut buffer) {
                Ok(0) => {
                    self.halt = Some(Halt::Gone);
                    return Ok(());
                }
                Ok(size) => {
                    self.partial.extend_from_slice(&buffer[..size]);
                    self.parse()?;
                    if size < buffer.len() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    self.halt = Some(Halt::Gone);
                    return Ok(());
                }
            }
        }
    }

    fn parse(&mut self) -> Result<(), String> {
        let mut start = 0;
        while let Some(length) = self.partial[start..].iter().position(|byte| *byte == b'\n') {
            let line = &self.partial[start..start + length];
            let message = serde_json::from_slice(line)
                .map_err(|error| format!("a message of the launcher is not understood: {error}"))?;
            start += length + 1;
            match message {
                ToWorker::Run(job) => self.jobs.push_back(job),
                ToWorker::Release { seq } => self.released.push(seq),
                ToWorker::Peak { seq, bytes, from } => {
                    self.taken = Some((seq, Taken { bytes, from }));
                }
                ToWorker::Attest => self.attest = true,
                ToWorker::Finish => self.finish = true,
                ToWorker::GiveBack => {
                    let seqs = self.jobs.drain(..).map(|job| job.seq).collect();
                    self.send(&FromWorker::Returned { seqs });
                    self.write();
                }
                ToWorker::Interrupt => self.stop(Halt::Interrupt),
                ToWorker::Kill => self.stop(Halt::Kill),
            }
        }
        self.partial.drain(..start);
        Ok(())
    }

    /// Ends the running test in this way, and starts no other.
    pub fn stop(&mut self, halt: Halt) {
        self.halt = self.halt.max(Some(halt));
    }

    /// What is to be done with the running test, if anything.
    pub fn halt(&self) -> Option<Halt> {
        self.halt
    }

    /// Whether the held test of this number may go.
    pub fn is_released(&self, seq: u64) -> bool {
        self.released.contains(&seq)
    }

    /// The launcher's answer to the `take-peak` of this number, once it is there.
    pub fn taken(&self, seq: u64) -> Option<Taken> {
        let (of, taken) = self.taken?;
        (of == seq).then_some(taken)
    }

    /// What is next, if that is known yet.
    pub fn next(&mut self) -> Option<Next> {
        match self.halt {
            Some(Halt::Gone) => Some(Next::Gone),
            Some(_) => Some(Next::Finished),
            None if std::mem::take(&mut self.attest) => Some(Next::Attest),
            None => match self.jobs.pop_front() {
                Some(job) => Some(Next::Job(job)),
                None => self.finish.then_some(Next::Finished),
            },
        }
    }

    /// Queues a message.
    pub fn send(&mut self, message: &FromWorker) {
        self.unsent.extend_from_slice(&encode(message));
        self.oldest.get_or_insert_with(Instant::now);
    }

    /// Sends a message before those that wait, which stay: whoever waits for its answer does not
    /// wait for what the launcher does with them.
    pub fn send_ahead(&mut self, message: &FromWorker) {
        if self.begun {
            self.send(message);
            return self.write();
        }
        let waiting = std::mem::take(&mut self.unsent);
        let since = self.oldest;
        self.send(message);
        self.write();
        self.unsent.extend(waiting);
        self.oldest = since.or(self.oldest);
    }

    /// Sends what is due, as far as there is room. With much unsent it waits for room: a launcher
    /// that does not read at all must not make this process grow without end.
    ///
    /// # Errors
    /// Never for a launcher that is gone: that shows in [`Link::halt`].
    pub fn flush_if_due(&mut self) -> Result<(), String> {
        match self.due() {
            Some(_) if self.unsent.len() > 16 * GATHER_BYTES => self.flush(),
            Some(due) if due <= Instant::now() => {
                self.write();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Sends everything, however long that takes.
    ///
    /// # Errors
    /// `poll` fails.
    pub fn flush(&mut self) -> Result<(), String> {
        self.write();
        while !self.unsent.is_empty() && self.halt != Some(Halt::Gone) {
            let mut fds = [PollFd::new(self.output.as_fd(), PollFlags::POLLOUT)];
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => self.write(),
                Err(error) => return Err(format!("poll: {error}")),
            }
        }
        Ok(())
    }

    /// Writes until the pipe is full or nothing is left.
    pub fn write(&mut self) {
        let mut sent = 0;
        while sent < self.unsent.len() {
            match self.output.write(&self.unsent[sent..]) {
                Ok(size) => sent += size,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    // Nobody reads any more.
                    self.halt = Some(Halt::Gone);
                    sent = self.unsent.len();
                }
            }
        }
        if let Some(last) = sent.checked_sub(1) {
            self.begun = self.unsent[last] != b'\n';
        }
        self.unsent.drain(..sent);
        self.oldest = (!self.unsent.is_empty()).then(Instant::now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> (Link, std::io::PipeWriter, std::io::PipeReader) {
        let (input, launcher) = std::io::pipe().unwrap();
        let (from_worker, output) = std::io::pipe().unwrap();
        let link = Link::new(input.into(), output.into()).unwrap();
        (link, launcher, from_worker)
    }

    #[test]
    fn what_somebody_waits_for_overtakes_what_waits() {
        let (mut link, _launcher, from_worker) = link();
        link.send(&FromWorker::Held { seq: 1 });
        link.send_ahead(&FromWorker::TakePeak { seq: 2 });
        assert!(link.due().is_some_and(|due| due > Instant::now()));
        link.flush().unwrap();
        drop(link);
        let lines = std::io::read_to_string(from_worker).unwrap();
        let expected = "{\"type\":\"take-peak\",\"seq\":2}\n{\"type\":\"held\",\"seq\":1}\n";
        assert_eq!(lines, expected);
    }

    #[test]
    fn no_line_is_cut_by_another() {
        let (mut link, _launcher, mut from_worker) = link();
        let seqs: Vec<u64> = (0..30_000).collect();
        // More than a pipe holds.
        link.send(&FromWorker::Returned { seqs });
        link.write();
        link.send_ahead(&FromWorker::TakePeak { seq: 1 });
        link.send_ahead(&FromWorker::TakePeak { seq: 2 });
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            from_worker.read_to_string(&mut text).map(|_| text)
        });
        link.flush().unwrap();
        drop(link);
        let text = reader.join().unwrap().unwrap();
        let kinds: Vec<FromWorker> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert!(matches!(
            kinds[..],
            [
                FromWorker::Returned { .. },
                FromWorker::TakePeak { seq: 1 },
                FromWorker::TakePeak { seq: 2 }
            ]
        ));
    }

    #[test]
    fn an_answer_is_of_the_number_that_asked() {
        use std::io::Write;
        let (mut link, mut launcher, _from_worker) = link();
        let line = "{\"type\":\"peak\",\"seq\":7,\"bytes\":null,\"from\":5}\n";
        launcher.write_all(line.as_bytes()).unwrap();
        link.receive().unwrap();
        assert_eq!(link.taken(6), None);
        let taken = Taken {
            bytes: None,
            from: Some(5),
        };
        assert_eq!(link.taken(7), Some(taken));
    }

    #[test]
    fn limits_are_read_again_once_and_before_what_follows() {
        use std::io::Write;
        let (mut link, mut launcher, _from_worker) = link();
        let lines = "{\"type\":\"attest\"}\n{\"type\":\"finish\"}\n";
        launcher.write_all(lines.as_bytes()).unwrap();
        link.receive().unwrap();
        assert!(matches!(link.next(), Some(Next::Attest)));
        assert!(matches!(link.next(), Some(Next::Finished)));
    }
}
