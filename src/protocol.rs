//! Layer 1: the contract between the launcher and a worker. One JSON object a line.
//!
//! The launcher writes [`ToWorker`] to the worker's stdin and reads [`FromWorker`] from its stdout,
//! which the worker has to itself: test output is captured apart and travels inside messages, so a
//! test can forge nothing. Every worker says `hello` first and `goodbye` last; a stream that ends
//! without `goodbye` is a lost worker. A worker whose stdin ends before it has said that knows that its
//! launcher is gone: it kills everything and exits.
//!
//! A worker that dials in ([`dial`]) says its run's token first, on the same connection.
//!
//! Both ends are the same binary; [`PROTOCOL`] guards against an old image.

use serde::{Deserialize, Serialize};

use crate::model::{ByteText, Leak, Resources, Series, StopReason, Termination, TestId};

/// The version of this contract. It changes whenever a message does.
pub const PROTOCOL: u32 = 6;

/// From the launcher to a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ToWorker {
    /// Run this test after those already in hand.
    Run(Box<Job>),
    /// Let the held test of this number start.
    Release {
        /// The job's number.
        seq: u64,
    },
    /// The answer to `take-peak`.
    Peak {
        /// The job's number.
        seq: u64,
        /// The highest memory since the launcher's counter last started anew, in bytes; absent where
        /// it had not yet.
        bytes: Option<u64>,
        /// Where it starts anew now, in bytes: the memory at this moment. Absent where it does not,
        /// and there is no use in asking again.
        from: Option<u64>,
    },
    /// Hand back the tests that have not started.
    GiveBack,
    /// Read the limits back again: they were changed from outside. With nothing in hand.
    Attest,
    /// Start no further test and end the running one, with grace: TERM first.
    Interrupt,
    /// Start no further test and kill the running one now.
    Kill,
    /// Say goodbye once everything in hand is done.
    Finish,
}

/// One test to run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its number in this worker, rising; numbers of tests that were given back are not used again.
    pub seq: u64,
    /// The test, for its environment and for messages.
    pub id: TestId,
    /// Program and arguments; the program is searched for in the test's PATH.
    pub argv: Vec<ByteText>,
    /// The working directory inside the worker.
    pub directory: ByteText,
    /// The environment, less what the worker itself sets (HOME, TMPDIR, DOCKER_TEST).
    pub environment: Vec<(ByteText, ByteText)>,
    /// What the supervisor itself enforces.
    pub limits: JobLimits,
    /// Prepare the test and report `held`, then wait for `release` before it is executed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub hold: bool,
    /// The launcher can probably reset the kernel's counter of this worker's memory peak, so that it
    /// is worth asking it to.
    #[serde(default, skip_serializing_if = "is_false")]
    pub resets_peak: bool,
    /// Skip the reset after this test: it exists to prove that the reset is what cleans.
    #[serde(default, skip_serializing_if = "is_false")]
    pub without_reset: bool,
}

/// The limits that hold for a test and not for its whole container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobLimits {
    /// Wall-clock time, in milliseconds.
    pub wall_ms: u64,
    /// CPU time of all processes together, in milliseconds.
    pub cpu_ms: u64,
    /// Processors that the test may use at once, rounded up: how fast CPU time can pass.
    pub cpus: u32,
    /// From TERM to KILL, in milliseconds.
    pub grace_ms: u64,
    /// Bytes on stdout and stderr together.
    pub output_bytes: u64,
    /// How much of each stream's beginning is kept, in bytes, and as much of its end.
    pub keep_bytes: u64,
    /// RLIMIT_NOFILE.
    pub open_files: u64,
    /// Nice value.
    pub nice: i32,
}

/// From a worker to the launcher.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum FromWorker {
    /// The first line.
    Hello(Box<Hello>),
    /// A test that is to be held is ready to be executed.
    Held {
        /// The job's number.
        seq: u64,
    },
    /// These will not be run here: the answer to `give-back`.
    Returned {
        /// The jobs' numbers.
        seqs: Vec<u64>,
    },
    /// The limits that hold now: the answer to `attest`.
    Attested(Box<Attestation>),
    /// A piece of a test's output, in order within its stream.
    Output(Output),
    /// A test is over that raised the memory's peak: read the kernel's counter of it, and reset it.
    /// The worker waits a moment for `peak` before it reports.
    TakePeak {
        /// The job's number.
        seq: u64,
    },
    /// A test is over and the worker is reset, or could not be.
    Report(Box<Report>),
    /// The last line.
    Goodbye(Goodbye),
}

/// What a worker says of itself, read back from inside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL`] of the worker.
    pub protocol: u32,
    /// Version of the worker's program.
    pub version: String,
    /// The word of its image, from a worker that dialled in and was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The limits that hold, as the kernel has them.
    pub attestation: Attestation,
}

/// The limits that hold for a worker, as the kernel has them. What cannot be read is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Attestation {
    /// The worker's process id in its own namespace; 1 in a container.
    pub pid: u32,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Version of the cgroup hierarchy that its counters come from: 1 or 2.
    pub cgroup_version: Option<u8>,
    /// Memory limit, in bytes.
    pub memory_bytes: Option<u64>,
    /// Swap on top of the memory limit, in bytes.
    pub swap_bytes: Option<u64>,
    /// CPU quota, as a number of processors.
    pub cpus: Option<f64>,
    /// Pids limit.
    pub pids: Option<u64>,
    /// Hard limit of open files.
    pub open_files: Option<u64>,
    /// Effective capabilities, as a bit set.
    pub capabilities: Option<u64>,
    /// Capability bounding set.
    pub bounding_set: Option<u64>,
    /// Whether no-new-privileges is set.
    pub no_new_privileges: Option<bool>,
    /// Seccomp mode: 0 off, 2 filter.
    pub seccomp: Option<u32>,
    /// Whether the root filesystem is mounted read-only.
    pub read_only_root: Option<bool>,
    /// Mounts that can be written, besides the worker's own folders and the kernel's: the project
    /// among them where it is not read-only.
    pub writable_mounts: Option<Vec<String>>,
    /// Network interfaces other than loopback.
    pub interfaces: Option<Vec<String>>,
    /// Whether tests cannot read the token by which this worker dialled in; absent where it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_closed: Option<bool>,
}

/// A piece of a test's output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// The job's number.
    pub seq: u64,
    /// Which stream.
    pub stream: Stream,
    /// Bytes that were dropped between the piece before this one and this one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped_bytes: u64,
    /// The bytes.
    pub data: ByteText,
}

/// One of a test's two output streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A finished test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The job's number.
    pub seq: u64,
    /// How the test's own process ended.
    pub termination: Termination,
    /// Why the supervisor ended it, if it did.
    pub stopped: Option<StopReason>,
    /// Whether TERM was not enough.
    #[serde(default, skip_serializing_if = "is_false")]
    pub escalated: bool,
    /// When it was executed, in microseconds since 1970 by the worker's clock.
    pub started_unix_us: u64,
    /// What it used.
    pub resources: Resources,
    /// Samples of it, in order; at most one where it ended before the first was due.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub series: Series,
    /// Of the looks at its processes, those at which one could run, in percent; absent where there
    /// was no look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runnable_percent: Option<u64>,
    /// Bytes that it wrote to stdout, kept or not.
    pub stdout_bytes: u64,
    /// Bytes that it wrote to stderr, kept or not.
    pub stderr_bytes: u64,
    /// What it left behind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leaks: Vec<Leak>,
    /// How long the reset with its proof took, in nanoseconds.
    pub reset_ns: u64,
    /// Why the worker is not clean and takes no further test; absent where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unclean: Option<String>,
}

/// A worker's last line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goodbye {
    /// Tests that it reported.
    pub tests: u64,
}

/// What both ends of a dialled connection know.
pub mod dial {
    use std::ffi::OsString;
    use std::path::{Path, PathBuf};

    /// The longest first line, with its line feed, in bytes.
    pub const LONGEST_TOKEN: usize = 128;

    /// The file beside a socket that has the token of the run behind it.
    pub fn token_file(socket: &Path) -> PathBuf {
        let mut path = OsString::from(socket);
        path.push(".token");
        path.into()
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// A message as a line, with its line feed.
pub fn encode(message: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(message).expect("messages are plain data");
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The messages in the document are the real ones, and all of them.
    #[test]
    fn the_document_shows_every_message() {
        let document = include_str!("../doc/architecture.md");
        let samples: Vec<&str> = document
            .lines()
            .filter(|line| line.starts_with("{\"type\":"))
            .collect();
        let mut kinds = Vec::new();
        for sample in samples {
            let written = match serde_json::from_str::<ToWorker>(sample) {
                Ok(message) => encode(&message),
                Err(_) => encode(&serde_json::from_str::<FromWorker>(sample).unwrap()),
            };
            assert_eq!(String::from_utf8(written).unwrap().trim_end(), sample);
            let value: serde_json::Value = serde_json::from_str(sample).unwrap();
            kinds.push(value["type"].as_str().unwrap().to_owned());
        }
        let expected = [
            "run",
            "release",
            "peak",
            "give-back",
            "attest",
            "interrupt",
            "kill",
            "finish",
            "hello",
            "held",
            "returned",
            "attested",
            "output",
            "take-peak",
            "report",
            "goodbye",
        ];
        assert_eq!(kinds, expected);
    }
}
