//! Layer 2: the supervisor that is PID 1 in a container and runs one test at a time.
//!
//! One thread and one `poll`: the tests' pipes, the launcher's pipe, signals and deadlines. What it
//! promises: each test starts from the same clean state ([`reset`]), nothing that a test does ends
//! or fools the supervisor, and it never outlives its launcher by more than a moment.
//!
//! Invariants:
//! * As PID 1 the kernel drops every signal from inside that we do not handle, `SIGKILL` too; of
//!   those we take from a `signalfd` we obey only what came from outside.
//! * It is not dumpable, so no test of the same user can trace it or open its pipes through /proc.
//! * Until its exec a test's process may share our memory: there nothing allocates and nothing
//!   locks, and what it makes dumpable is not so any more when the test begins.

mod attest;
mod barrier;
mod capture;
mod cgroup;
mod dial;
mod figures;
mod link;
mod lock;
mod meter;
mod peak;
mod process;
mod reset;
mod sampler;
mod signals;
mod spawn;
mod stat;
mod supervise;
mod watch;

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use crate::protocol::{Attestation, FromWorker, Goodbye, Hello, PROTOCOL};
pub use dial::{Dial, dial_in};
use link::{Link, Next};
use supervise::Supervisor;

/// What a worker is told about the place that it runs in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Folders that belong to this worker alone: emptied after every test. The first is TMPDIR.
    /// Without any, a private folder is made in the machine's temporary folder.
    pub own: Vec<PathBuf>,
    /// The tests' home folder: made anew for each test. It lies below one of `own`.
    pub home: Option<PathBuf>,
    /// The IPC objects, the network and the cgroup are this worker's alone as well, so that what
    /// is found in them after a test is that test's.
    pub sealed: bool,
    /// A file that tests must not be able to read: the token by which this worker dials in.
    pub secret: Option<PathBuf>,
}

/// How a conversation with a launcher ended.
enum End {
    /// It said `finish`, or we were told to stop: goodbye was said.
    Finished,
    /// The last test left what cannot be cleaned: goodbye was said.
    Unclean,
    /// The launcher is gone, after this many tests were begun.
    Gone(u64),
}

/// Leaves the signals that the supervisor reads to it alone: for a process that has more threads,
/// before they start.
///
/// # Errors
/// The kernel refuses.
pub fn block_signals() -> Result<(), String> {
    match signals::block() {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("signals cannot be blocked: {error}")),
    }
}

/// Serves a launcher on two pipes until it says `finish`, or is gone.
///
/// # Errors
/// A line for stderr: the place is not as it was said to be, or a message is not of the protocol.
/// The launcher sees a worker without `goodbye`.
pub fn serve(input: OwnedFd, output: OwnedFd, place: &Place) -> Result<(), String> {
    let mut link = Link::new(input, output)?;
    let mut supervisor = Supervisor::new(place)?;
    let hello = hello(attest::attest(place, None), None);
    if let End::Gone(_) = converse(&mut supervisor, &mut link, place, hello)? {
        supervisor.abandon();
    }
    Ok(())
}

fn hello(attestation: Attestation, image: Option<String>) -> FromWorker {
    FromWorker::Hello(Box::new(Hello {
        protocol: PROTOCOL,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        image,
        attestation,
    }))
}

/// Says hello, and does what the launcher says until one of both has enough.
fn converse(
    supervisor: &mut Supervisor,
    link: &mut Link,
    place: &Place,
    hello: FromWorker,
) -> Result<End, String> {
    link.send(&hello);
    let mut tests = 0;
    let end = loop {
        match supervisor.next(link)? {
            Next::Job(job) => {
                tests += 1;
                let report = supervisor.execute(&job, link)?;
                let clean = report.unclean.is_none();
                link.send(&FromWorker::Report(Box::new(report)));
                if !clean {
                    break End::Unclean;
                }
                link.flush_if_due()?;
            }
            Next::Attest => {
                supervisor.forget_counts();
                link.send(&FromWorker::Attested(Box::new(attest::attest(place, None))));
            }
            Next::Finished => break End::Finished,
            Next::Gone => return Ok(End::Gone(tests)),
        }
    };
    link.send(&FromWorker::Goodbye(Goodbye { tests }));
    link.flush()?;
    Ok(end)
}
