//! Which engine: the one that was asked for, else the first that answers.

use std::sync::Arc;

use super::context::program;
use super::{Context, Failure};
use crate::cli::EngineChoice;
use crate::engine::{Docker, Engine, HostProcess, Sandbox};

/// An engine, and what belongs to it.
pub struct Chosen {
    /// What starts containers.
    pub engine: Arc<dyn Engine>,
    /// What builds images for it.
    pub builder: Option<Docker>,
    /// Why it is this one, where that was not asked for: one safe line.
    pub why: Option<String>,
}

/// The engine that was asked for; of `auto`, the first of docker, podman and sandbox that answers.
///
/// # Errors
/// None answers: why not, of each.
pub fn choose(choice: EngineChoice, context: &Context) -> Result<Chosen, Failure> {
    match choice {
        EngineChoice::Host => Ok(Chosen {
            engine: Arc::new(HostProcess),
            builder: None,
            why: None,
        }),
        EngineChoice::Sandbox => Ok(Chosen {
            engine: Arc::new(Sandbox::new(program()?, context.image_store().ok())),
            builder: None,
            why: None,
        }),
        _ => {
            let docker = Docker::new(context.docker());
            Ok(Chosen {
                engine: Arc::new(docker.clone()),
                builder: Some(docker),
                why: None,
            })
        }
    }
}
