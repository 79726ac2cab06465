//! `docker-test worker`: the supervisor, on stdin and stdout.

use std::os::fd::AsFd;

use super::Failure;
use crate::cli::Worker;
use crate::worker::{Place, serve};

/// Where the worker is, as the command line says it.
pub fn place(arguments: Worker) -> Place {
    Place {
        own: arguments.own,
        home: arguments.home,
        sealed: arguments.sealed,
    }
}

/// Serves the launcher until it says goodbye.
pub fn worker(arguments: Worker) -> Result<u8, Failure> {
    let duplicate = |fd: std::os::fd::BorrowedFd<'_>| {
        fd.try_clone_to_owned().map_err(|error| {
            Failure::engine(format!("the launcher's pipe cannot be used: {error}"))
        })
    };
    let input = duplicate(std::io::stdin().as_fd())?;
    let output = duplicate(std::io::stdout().as_fd())?;
    serve(input, output, &place(arguments)).map_err(Failure::engine)?;
    Ok(0)
}
