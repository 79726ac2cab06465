//! Who runs a run's tests: workers that the engine starts, workers that dial in, or replicas that
//! compose starts for this run alone and that dial in.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::network::is_dead;
use super::setup::Setup;
use super::{Context, Failure};
use crate::engine::{Compose, Project};
use crate::model::counted;
use crate::run::{Inbox, Listener, Request, replicas};

/// Replicas of one run. Dropping them removes them.
pub struct Crew {
    compose: Compose,
    project: Project,
    _listener: Listener,
    _folder: tempfile::TempDir,
}

impl Crew {
    /// Starts `count` replicas for a run.
    ///
    /// # Errors
    /// Docker has no compose, or it refuses.
    pub fn start(
        setup: &Setup,
        request: &Request,
        count: usize,
        inbox: &Inbox,
        context: &Context,
    ) -> Result<Self, Failure> {
        let Some(docker) = &setup.builder else {
            return Err(Failure::usage(
                "compose starts containers of docker, and this engine is another\n                 hint: docker-test run --workers N does the same with every engine",
            ));
        };
        let compose = Compose::find(docker)?;
        // Compose removes no container that ended by itself, after its launcher was killed say.
        for found in setup
            .engine
            .inspect()?
            .iter()
            .filter(|found| is_dead(found))
        {
            setup.engine.remove(&found.id)?;
        }
        let failed = |error: std::io::Error| {
            Failure::engine(format!("no temporary folder for the compose file: {error}"))
        };
        let folder = private_folder().map_err(failed)?;
        // Replicas are another user; nobody else comes through the folder above.
        let share = folder.path().join("share");
        fs::create_dir(&share).map_err(failed)?;
        fs::set_permissions(&share, fs::Permissions::from_mode(0o755)).map_err(failed)?;
        let listener = Listener::start(&share.join("socket"), inbox.sender())
            .map_err(|error| Failure::engine(error.to_string()))?;
        let wanted = replicas(&request.classes, &work(request), count, &share, docker)?;
        let file = folder.path().join("compose.yml");
        fs::write(&file, wanted.file).map_err(failed)?;
        let crew = Crew {
            compose,
            project: Project {
                name: format!("docker-test-{}", setup.run),
                file,
            },
            _listener: listener,
            _folder: folder,
        };
        let all: u32 = wanted.scale.iter().map(|(_, count)| *count).sum();
        context.note(&format!(
            "starting {} with docker compose",
            counted(u64::from(all), "replica")
        ));
        crew.compose.up(&crew.project, &wanted.scale)?;
        Ok(crew)
    }
}

/// A folder that no other user comes through, whatever is open to everybody inside.
fn private_folder() -> std::io::Result<tempfile::TempDir> {
    tempfile::Builder::new()
        .prefix("docker-test-")
        .permissions(fs::Permissions::from_mode(0o700))
        .tempdir()
}

/// How much there is to do in each class: seconds where they are known, else tests.
fn work(request: &Request) -> Vec<f64> {
    let mut work = vec![0.0; request.classes.len()];
    for (test, class) in request.class_of.iter().enumerate() {
        work[*class] += request
            .expected
            .get(test)
            .map_or(1.0, |time| time.as_secs_f64());
    }
    work
}

impl Drop for Crew {
    fn drop(&mut self) {
        if let Err(error) = self.compose.down(&self.project) {
            let name = &self.project.name;
            eprintln!("warning: the replicas of {name} are left to `docker-test clean`: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_comes_to_the_token() {
        let folder = private_folder().unwrap();
        let mode = folder.path().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}
