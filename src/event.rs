//! Layer 1: what reporters and the store see of a run.
//!
//! `run` emits these to a [`Sink`] and knows nothing behind it. They serialise as the lines of
//! `--message-format json`; `doc/events.md` is their reference. To add one: add it here, handle it
//! in `report` and `store::write`, and describe it there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::model::{
    ByteText, ContentDigest, Leak, Level, Limits, Network, Outcome, Resources, Series, Shard,
    Statistics, StopReason, Termination, Test, TestId, TimeoutState, Violation,
};
use crate::protocol::Attestation;

/// Something that happened in a run.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The run begins.
    RunStarted(RunStarted),
    /// A worker said hello.
    WorkerStarted(WorkerStarted),
    /// A worker ended, in order or not.
    WorkerEnded(WorkerEnded),
    /// What the workers are busy with; only for display.
    Progress(Progress),
    /// An attempt is over. Nothing about it changes any more.
    AttemptFinished(Box<Attempt>),
    /// Something that the user should know and that is no test's result.
    Notice(Notice),
    /// The run is over.
    RunFinished(RunFinished),
}

/// The head of a run.
#[derive(Clone, Debug, Serialize)]
pub struct RunStarted {
    /// Names the run: 16 hexadecimal digits.
    pub run: String,
    /// Microseconds since 1970.
    pub started_unix_us: u64,
    /// Version of this program.
    pub version: String,
    /// What starts the containers: `docker`, `host`.
    pub engine: String,
    /// The images in use, one word each.
    pub images: Vec<String>,
    /// The project's root on this machine.
    pub project: ByteText,
    /// The machine's name.
    pub host: String,
    /// Names machines that figures can be compared between: processors, memory, kernel, engine.
    pub machine: String,
    /// The limits of each profile in use, as this machine can give them.
    pub profiles: BTreeMap<String, Limits>,
    /// What the run promises for each of its tests.
    pub level: Level,
    /// What of a network its tests see.
    pub network: Network,
    /// What the level promises and does not hold is told, and no error.
    pub allow_weaker: bool,
    /// Names the whole suite: SHA-256 of its tests' ids, profiles and images.
    pub suite: String,
    /// Which part of the suite this is; absent: all of it.
    pub division: Option<Division>,
    /// Of the order of chance that the tests are in; absent: they are not.
    pub seed: Option<u32>,
    /// Workers at most at once.
    pub workers: usize,
    /// The planned tests, in order.
    pub tests: Arc<Vec<Test>>,
}

/// A part of a suite.
#[derive(Clone, Debug, Serialize)]
pub struct Division {
    /// Which of how many.
    #[serde(flatten)]
    pub shard: Shard,
    /// Names what is known of how long tests take, by which the suite was divided; absent: it was
    /// divided by a hash of the ids.
    pub history: Option<String>,
    /// The tests of the other shards, each with its shard's number: for the store alone.
    #[serde(skip)]
    pub elsewhere: Arc<Vec<(Test, u32)>>,
}

/// Whether a limit that was asked for holds, as read back from inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LimitState {
    /// It holds as asked for.
    Enforced,
    /// The machine has less than was asked for; the machine's figure holds.
    Clamped,
    /// It does not hold, or nothing can say that it does.
    Unenforced,
}

/// One limit of a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LimitCheck {
    /// Which: `memory`, `swap`, `cpus`, `pids`, `open-files`, `capabilities`, `seccomp`, …
    pub limit: &'static str,
    /// Whether it holds.
    pub state: LimitState,
    /// What was found, for people: `512 MiB`, `none`.
    pub found: String,
}

/// A worker that is ready.
#[derive(Clone, Debug, Serialize)]
pub struct WorkerStarted {
    /// Its number in the run, from 1; a replacement has a number of its own.
    pub worker: u64,
    /// The profile whose limits it has.
    pub profile: String,
    /// The image that it runs.
    pub image: String,
    /// From the engine's call to hello, in microseconds.
    pub start_us: u64,
    /// What it read back.
    pub attestation: Attestation,
    /// What follows from that.
    pub limits: Vec<LimitCheck>,
}

/// A worker that is gone.
#[derive(Clone, Debug, Serialize)]
pub struct WorkerEnded {
    /// Its number.
    pub worker: u64,
    /// Attempts that it reported.
    pub tests: u64,
    /// What went wrong; absent where it said goodbye.
    pub problem: Option<String>,
}

/// What the workers are busy with.
#[derive(Clone, Debug, Serialize)]
pub struct Progress {
    /// The running tests, longest first, each with the time since it became its worker's turn.
    pub running: Vec<(TestId, Duration)>,
}

/// A finished attempt.
#[derive(Clone, Debug, Serialize)]
pub struct Attempt {
    /// The test.
    pub test: TestId,
    /// The how-many-eth attempt at it in this run, from 1.
    pub attempt: u32,
    /// Whether another attempt at the test follows, so that this is not its last word.
    pub superseded: bool,
    /// What happened.
    #[serde(serialize_with = "as_kind")]
    pub outcome: Outcome,
    /// The outcome's reason: `exit(1)`, `wall`.
    pub reason: Option<String>,
    /// How its process ended; absent where it never started or nobody knows.
    pub termination: Option<Termination>,
    /// Why our side ended it, if it did.
    pub stopped: Option<StopReason>,
    /// Whether TERM was not enough.
    pub escalated: bool,
    /// The profile that it ran under.
    pub profile: String,
    /// The image that it ran in.
    pub image: String,
    /// The worker that ran it.
    pub worker: Option<u64>,
    /// Its place in that worker, from 1.
    pub sequence: Option<u64>,
    /// When it was executed, in microseconds since 1970.
    pub started_unix_us: Option<u64>,
    /// What it used; absent where nothing was measured.
    pub resources: Option<Resources>,
    /// Of its samples; absent where there was none.
    pub statistics: Option<Statistics>,
    /// The samples themselves: for the store alone, they are long.
    #[serde(skip)]
    pub series: Series,
    /// Limits that it reached or nearly reached, and what it leaked.
    pub violations: Vec<Violation>,
    /// What it did when a limit of time ended it.
    pub timeout_state: Option<TimeoutState>,
    /// What it left behind.
    pub leaks: Vec<Leak>,
    /// How long the reset after it took, in nanoseconds.
    pub reset_ns: Option<u64>,
    /// What it wrote.
    pub stdout: Captured,
    /// What it wrote.
    pub stderr: Captured,
}

fn as_kind<S: serde::Serializer>(outcome: &Outcome, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(outcome.kind().as_str())
}

/// A captured output stream: its head and its tail.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Captured {
    /// The beginning; everything, where nothing was dropped.
    pub head: ByteText,
    /// Bytes that were dropped between head and tail.
    pub dropped_bytes: u64,
    /// The end.
    pub tail: ByteText,
    /// Bytes that the test wrote, kept or not.
    pub total_bytes: u64,
}

/// Something that the user should know.
#[derive(Clone, Debug, Serialize)]
pub struct Notice {
    /// How much it matters.
    pub severity: Severity,
    /// One line, already safe to print.
    pub message: String,
}

/// How much a notice matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Something is not as it was asked for.
    Warning,
}

/// How the run ended.
#[derive(Clone, Debug, Serialize)]
pub struct RunFinished {
    /// Wall-clock time of the run, in microseconds.
    pub wall_us: u64,
    /// Version of the engine, once it is known.
    pub engine_version: Option<String>,
    /// What names the content of each image in use, by its word; one that nothing can tell is not
    /// in it.
    pub image_digests: BTreeMap<String, ContentDigest>,
    /// The signal that interrupted it, if one did.
    pub interrupted: Option<i32>,
    /// The exit status that follows, see `doc/exit-codes.md`.
    pub exit_status: u8,
}

/// Takes events, in order and in batches. An attempt is on disk before a sink that comes later
/// hears of it.
pub trait Sink {
    /// Takes a batch.
    ///
    /// # Errors
    /// Results cannot be kept or shown any more; the run stops.
    fn take(&mut self, events: &[Event]) -> Result<(), SinkError>;
}

impl<S: Sink + ?Sized> Sink for Box<S> {
    fn take(&mut self, events: &[Event]) -> Result<(), SinkError> {
        (**self).take(events)
    }
}

/// Results cannot be kept, or shown, any more.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SinkError(pub String);
