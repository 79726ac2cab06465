//! One worker's thread: starts its container, reads its messages, and says how it ended.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::mpsc::SyncSender;
use std::thread::{Builder, Scope};
use std::time::Duration;

use super::request::Message;
use crate::engine::{Container, ContainerSpec, Ending, Engine, Pipes};
use crate::model::escape;
use crate::protocol::{FromWorker, ToWorker, encode};

/// The longest line that a worker may send, in bytes.
const LONGEST_LINE: u64 = 256 << 20;
/// How long a worker that is told to end may take.
pub const END_PATIENCE: Duration = Duration::from_secs(20);

/// Starts a container and a thread that reads from it until its stdout ends.
///
/// # Errors
/// No thread can be started, and so no container.
pub fn connect<'scope>(
    scope: &'scope Scope<'scope, '_>,
    engine: &'scope dyn Engine,
    spec: ContainerSpec,
    number: u64,
    inbox: SyncSender<Message>,
) -> io::Result<()> {
    let life = move || {
        let started = engine.create(&spec).and_then(|mut container| {
            let Pipes { stdin, stdout } = container.start()?;
            Ok((container, stdin, stdout))
        });
        let message = match started {
            Err(error) => Message::Gone(number, Ending::NeverStarted(error), String::new()),
            Ok((container, stdin, stdout)) => {
                let _ = inbox.send(Message::Started(number, container, stdin));
                read(number, stdout, &inbox)
            }
        };
        let _ = inbox.send(message);
    };
    Builder::new().spawn_scoped(scope, life).map(drop)
}

/// Starts a thread that reads from a worker that is there already, until it says nothing more.
///
/// # Errors
/// No thread can be started.
pub fn listen_to<'scope>(
    scope: &'scope Scope<'scope, '_>,
    stdout: Box<dyn Read + Send>,
    number: u64,
    inbox: SyncSender<Message>,
) -> io::Result<()> {
    let life = move || {
        let message = read(number, stdout, &inbox);
        let _ = inbox.send(message);
    };
    Builder::new().spawn_scoped(scope, life).map(drop)
}

fn read(number: u64, stdout: Box<dyn Read + Send>, inbox: &SyncSender<Message>) -> Message {
    let mut reader = BufReader::with_capacity(64 << 10, stdout);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut reader)
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line)
        {
            Ok(0) | Err(_) => return Message::Silent(number, None),
            Ok(_) if line.last() != Some(&b'\n') => return Message::Silent(number, None),
            Ok(_) => {}
        }
        match serde_json::from_slice::<FromWorker>(&line) {
            Ok(message) => {
                if inbox.send(Message::Said(number, message)).is_err() {
                    return Message::Silent(number, None);
                }
            }
            Err(error) => {
                let start = escape(&line[..line.len().min(80)]);
                return Message::Silent(number, Some(format!("it says '{start}': {error}")));
            }
        }
    }
}

/// Waits in a thread of its own until a container has ended.
///
/// # Errors
/// No thread can be started; the container ends all the same, with its stdin.
pub fn await_end<'scope>(
    scope: &'scope Scope<'scope, '_>,
    mut container: Box<dyn Container>,
    number: u64,
    inbox: SyncSender<Message>,
) -> io::Result<()> {
    let wait = move || {
        let ending = container.wait(END_PATIENCE);
        let words = match ending {
            Ending::Exited(status) if status != 0 => container.last_words(),
            _ => String::new(),
        };
        let _ = inbox.send(Message::Gone(number, ending, words));
    };
    Builder::new().spawn_scoped(scope, wait).map(drop)
}

/// The way to a worker. Messages wait until they are posted together: every write wakes three
/// processes of the engine on its way.
#[derive(Default)]
pub struct Mailbox {
    pipe: Option<Box<dyn Write + Send>>,
    unsent: Vec<u8>,
}

impl Mailbox {
    /// Opens it.
    pub fn open(&mut self, pipe: Box<dyn Write + Send>) {
        self.pipe = Some(pipe);
    }

    /// Takes a message. One for a worker that is not there, or is gone, is dropped.
    pub fn tell(&mut self, message: &ToWorker) {
        if self.pipe.is_some() {
            self.unsent.extend_from_slice(&encode(message));
        }
    }

    /// Sends what waits, as far as there is room. A worker that is gone shows elsewhere.
    pub fn post(&mut self) {
        let Some(pipe) = &mut self.pipe else {
            return;
        };
        let mut sent = 0;
        while sent < self.unsent.len() {
            match pipe.write(&self.unsent[sent..]) {
                Ok(size) if size > 0 => sent += size,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => sent = self.unsent.len(),
            }
        }
        self.unsent.drain(..sent);
        let _ = pipe.flush();
    }

    /// Sends what waits, and says that nothing more comes.
    pub fn close(&mut self) {
        self.post();
        self.pipe = None;
    }
}
