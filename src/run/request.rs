//! What a run is asked for, and what comes into it.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::digests::ImageDigests;
use super::dispatch::{ClassIndex, Policy, WorkerNumber};
use crate::engine::{Container, ContainerSpec, Ending, EngineError};
use crate::event::{RunStarted, SinkError};
use crate::model::{ByteText, Limits, Responses, Room, Test};
use crate::protocol::FromWorker;

/// How many messages may wait, and are handled before their results go to disk together. Whoever
/// sends more waits, so that a slow disk does not fill the memory.
pub const BATCH: usize = 64;

/// Tests that can share a worker: one profile, one image.
#[derive(Clone, Debug)]
pub struct Class {
    /// The profile's name.
    pub profile: String,
    /// The image's word.
    pub image: String,
    /// The limits as they were asked for.
    pub asked: Limits,
    /// The limits as this machine can give them.
    pub given: Limits,
    /// What its workers are; name and owner are the run's to fill in.
    pub spec: ContainerSpec,
}

/// Gives a test's program and arguments.
pub type Command = Box<dyn Fn(&Test) -> Vec<ByteText>>;

/// An answer that may still be on its way.
pub struct Answer<T>(Mutex<Option<JoinHandle<Option<T>>>>);

impl<T: Send + 'static> Answer<T> {
    /// Asks in a thread of its own, so that nobody waits for it before the end.
    pub fn to(question: impl FnOnce() -> Option<T> + Send + 'static) -> Self {
        Answer(Mutex::new(std::thread::Builder::new().spawn(question).ok()))
    }

    /// No question, no answer.
    pub fn none() -> Self {
        Answer(Mutex::new(None))
    }

    /// The answer; `None` where there is none, or it was taken before.
    pub fn take(&self) -> Option<T> {
        let thread = self.0.lock().ok()?.take()?;
        thread.join().ok().flatten()
    }
}

/// Everything that a run needs to know.
pub struct Request {
    /// The head, as reporters and the store get it. Its tests are the run's.
    pub head: RunStarted,
    /// What is not as it was asked for; each one safe line.
    pub warnings: Vec<String>,
    /// What is good to know; each one safe line.
    pub notes: Vec<String>,
    /// What is made of violations.
    pub responses: Responses,
    /// The engine's version, as soon as it has told it.
    pub engine_version: Answer<String>,
    /// What names the content of the images in use, as far as it can be told.
    pub image_digests: ImageDigests,
    /// The classes.
    pub classes: Vec<Class>,
    /// Each test's class.
    pub class_of: Vec<ClassIndex>,
    /// How long each test probably takes; empty where nothing is known of any.
    pub expected: Vec<Duration>,
    /// How often each test is run again when it is not good; empty: never.
    pub retries: Vec<u32>,
    /// A test that passes only then counts as one that is not good.
    pub fail_flaky: bool,
    /// What all workers together may take of the machine.
    pub room: Room,
    /// Each test's command.
    pub command: Command,
    /// The tests' environment, less what names the test.
    pub environment: Vec<(ByteText, ByteText)>,
    /// The tests' working directory inside a worker.
    pub directory: ByteText,
    /// How workers are used.
    pub policy: Policy,
    /// From TERM to KILL.
    pub grace: Duration,
    /// How much of each output stream's beginning is kept, and of its end, in bytes.
    pub keep_bytes: u64,
    /// Hold the first tests until so many are ready, and let them go together.
    pub hold: usize,
    /// Leave the reset out: to prove that it is what cleans.
    pub without_reset: bool,
}

/// What comes into a run.
pub enum Message {
    /// A signal to the launcher.
    Signal(i32),
    /// A container runs; messages follow.
    Started(WorkerNumber, Box<dyn Container>, Box<dyn Write + Send>),
    /// The engine has changed a container's limits, or could not.
    Resized(WorkerNumber, Result<(), EngineError>),
    /// A worker dialled in, and knew the token.
    Dialled(UnixStream),
    /// A worker's message.
    Said(WorkerNumber, FromWorker),
    /// Nothing more will come from a worker; with what was wrong with its last line.
    Silent(WorkerNumber, Option<String>),
    /// A container has ended, or never started; with its supervisor's last words.
    Gone(WorkerNumber, Ending, String),
}

/// The way into a run.
pub struct Inbox {
    sender: SyncSender<Message>,
    pub receiver: Receiver<Message>,
}

impl Inbox {
    /// A new one.
    pub fn new() -> Self {
        let (sender, receiver) = sync_channel(BATCH);
        Inbox { sender, receiver }
    }

    /// For those who send.
    pub fn sender(&self) -> SyncSender<Message> {
        self.sender.clone()
    }
}

/// A run cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No worker could be started.
    #[error("no worker can be started: {0}")]
    NoWorker(EngineError),
    /// What the level promises does not hold here.
    #[error(
        "level {level} cannot be kept here: {} {} not hold (profile {profile}, read back inside its worker)\n\
         hint: `docker-test doctor` tells what the engine can limit; --allow-weaker runs the tests without, \
         --level standard only warns",
        .limits.join(", "),
        if .limits.len() == 1 { "does" } else { "do" }
    )]
    Weaker {
        /// The level's word.
        level: &'static str,
        /// The limits that do not hold.
        limits: Vec<&'static str>,
        /// Whose they are.
        profile: String,
    },
    /// No worker dialled in for the tests that are left.
    #[error(
        "no worker that may run them has dialled in for {} s: {tests} tests are left\nhint: {hint}",
        .waited.as_secs()
    )]
    NobodyDialledIn {
        /// Tests without a result.
        tests: usize,
        /// How long nobody came.
        waited: Duration,
        /// What to do.
        hint: String,
    },
    /// Results cannot be kept.
    #[error(transparent)]
    Sink(#[from] SinkError),
}
