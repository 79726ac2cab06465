//! A worker that nobody's launcher started: it dials in at a run's socket, serves it, and waits for the
//! next run.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::link::Link;
use super::supervise::Supervisor;
use super::{End, Place, attest, converse, hello};
use crate::protocol::dial::{LONGEST_TOKEN, token_file};

/// How long after an attempt it is dialled again.
const AGAIN: Duration = Duration::from_millis(100);

/// How long after a run turned us away.
const UNWANTED: Duration = Duration::from_secs(1);
/// How long a worker for one run dials before it gives up.
const ONCE: Duration = Duration::from_secs(10);

/// Where a worker dials in, and as what.
#[derive(Clone, Debug)]
pub struct Dial {
    /// The run's socket.
    pub socket: PathBuf,
    /// The word of the image that this worker is, for the run to know.
    pub image: Option<String>,
    /// For one run alone.
    pub once: bool,
}

/// Dials in at a socket, again and again, and serves each run that is there until this process is told
/// to stop.
///
/// # Errors
/// A line for stderr: what [`super::serve`] has, and where this worker cannot be brought back to a
/// clean state. A new container has to take its place.
pub fn dial_in(dial: &Dial, place: &Place) -> Result<(), String> {
    let token = token_file(&dial.socket);
    let place = Place {
        secret: Some(token.clone()),
        ..place.clone()
    };
    let mut supervisor = Supervisor::new(&place)?;
    let started = Instant::now();
    while !supervisor.stopped {
        let Some((input, output)) = connect(&dial.socket, &token) else {
            if dial.once && started.elapsed() > ONCE {
                break;
            }
            supervisor.pause(AGAIN)?;
            continue;
        };
        let closed = supervisor.keeps_secret(&token);
        let hello = hello(attest::attest(&place, Some(closed)), dial.image.clone());
        let mut link = Link::new(input, output)?;
        match converse(&mut supervisor, &mut link, &place, hello)? {
            End::Finished if dial.once => break,
            End::Finished => {}
            End::Gone(0) if dial.once => break,
            // The run did not want us: it has its last test, or is of another version.
            End::Gone(0) => supervisor.pause(UNWANTED)?,
            End::Gone(_) => {
                supervisor.abandon();
                return Err("its run is gone: a new worker has to take this one's place".into());
            }
            End::Unclean => {
                return Err("it cannot be brought back to a clean state: a new worker has to take its place".into());
            }
        }
    }
    Ok(())
}

/// A connection on which the token was said; `None` where there is no run yet, or none any more.
fn connect(socket: &Path, token: &Path) -> Option<(OwnedFd, OwnedFd)> {
    let token = fs::read(token)
        .ok()
        .filter(|text| text.len() <= LONGEST_TOKEN)?;
    let mut stream = UnixStream::connect(socket).ok()?;
    match stream.write_all(&token) {
        Err(error) if error.kind() != ErrorKind::WouldBlock => return None,
        _ => {}
    }
    let output = stream.try_clone().ok()?;
    Some((stream.into(), output.into()))
}
