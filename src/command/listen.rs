//! `run --listen`: a run whose workers somebody else starts, compose say.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

use super::{Context, Failure};
use crate::cli::EngineChoice;
use crate::config::Config;
use crate::engine::{Engine, EngineKind};
use crate::plan::Apart;
use crate::run::{Inbox, Listener};

/// What stands for the engine: with `--engine host` workers without any container dial in, for
/// comparison and debugging.
///
/// # Errors
/// An engine is named, which would start nothing.
pub fn engine(named: EngineChoice) -> Result<EngineChoice, Failure> {
    match named {
        EngineChoice::Host => Ok(EngineChoice::Host),
        EngineChoice::Auto => Ok(EngineChoice::DialIn),
        _ => Err(Failure::usage(
            "--listen starts no worker, so there is nothing for --engine to start\n\
             hint: leave one of both out",
        )),
    }
}

/// Whether such a run can be what the config and the level ask for.
///
/// # Errors
/// It cannot: what, and what to do.
pub fn possible(apart: &Apart, engine: &dyn Engine, config: &Config) -> Result<(), Failure> {
    if apart.fresh {
        return Err(Failure::usage(
            "a container for every test cannot be had of workers that dial in\n\
             hint: use --level strict, or `docker-test run`",
        ));
    }
    if config.suite.list.is_some() && engine.kind() == EngineKind::DialIn {
        return Err(Failure::usage(
            "suite.list is a program of the project, and with --listen there is no worker to run it in before the run\n\
             hint: use `docker-test compose`, or suite.include in docker-test.yaml",
        ));
    }
    Ok(())
}

/// Begins to listen. The results folder of a compose file, which the engine makes, is made the
/// project's owner's.
///
/// # Errors
/// Nobody can dial in at that socket.
pub fn start(
    socket: &Path,
    inbox: &Inbox,
    config: &Config,
    context: &Context,
) -> Result<Listener, Failure> {
    adopt(&config.results_path(), &config.project);
    let socket = context.directory()?.join(socket);
    Listener::start(&socket, inbox.sender()).map_err(|error| Failure::usage(error.to_string()))
}

/// Gives an empty folder of root's to the owner of the project: nobody chose that it is root's. Where
/// that cannot be done, it stays as it is.
fn adopt(results: &Path, project: &Path) {
    let (Ok(found), Ok(wanted)) = (results.metadata(), project.metadata()) else {
        return;
    };
    let is_empty = fs::read_dir(results).is_ok_and(|mut entries| entries.next().is_none());
    let is_wanted = found.is_dir() && found.uid() == 0 && wanted.uid() != 0 && is_empty;
    if is_wanted && is_in(results, project) {
        let (user, group) = (Some(wanted.uid()), Some(wanted.gid()));
        let ignore = results.join(".gitignore");
        if chown(results, user, group).is_ok() && fs::write(&ignore, "*\n").is_ok() {
            let _ = chown(&ignore, user, group);
        }
    }
}

/// Whether a folder is one of the project's own, and not one that a link in the project led the engine
/// to: that can be any of the machine's.
fn is_in(folder: &Path, project: &Path) -> bool {
    let Ok(folder) = folder.metadata() else {
        return false;
    };
    let entries = fs::read_dir(project).into_iter().flatten().flatten();
    let mut found = entries.filter_map(|entry| fs::symlink_metadata(entry.path()).ok());
    found.any(|entry| (entry.dev(), entry.ino()) == (folder.dev(), folder.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_makes_nothing_the_projects() {
        let [project, elsewhere] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let results = project.path().join("test-results");
        std::os::unix::fs::symlink(elsewhere.path(), &results).unwrap();
        assert!(!is_in(elsewhere.path(), project.path()), "as it is mounted");
        assert!(!is_in(&results, project.path()));
        fs::remove_file(&results).unwrap();
        fs::create_dir(&results).unwrap();
        assert!(is_in(&results, project.path()));
    }
}
