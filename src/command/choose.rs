//! Which engine: the one that was asked for, else the first that answers.

use std::sync::Arc;

use super::context::program;
use super::{Context, Failure};
use crate::cli::EngineChoice;
use crate::engine::{Docker, Engine, EngineKind, HostProcess, Sandbox};

/// An engine, and what belongs to it.
pub struct Chosen {
    /// What starts containers.
    pub engine: Arc<dyn Engine>,
    /// What builds images for it.
    pub builder: Option<Docker>,
    /// Why it is this one, where that was not asked for: one safe line.
    pub why: Option<String>,
}

impl Chosen {
    fn command_line(docker: Docker, why: Option<String>) -> Self {
        Chosen {
            engine: Arc::new(docker.clone()),
            builder: Some(docker),
            why,
        }
    }
}

/// The engine that was asked for; of `auto`, the first of docker and podman that answers.
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
        EngineChoice::Docker => {
            let docker = docker(context);
            let why = why(&docker, &[]);
            Ok(Chosen::command_line(docker, why))
        }
        EngineChoice::Podman => Ok(Chosen::command_line(Docker::podman(context.podman()), None)),
        EngineChoice::Auto => auto(context),
    }
}

/// Every engine with a command line that answers; one that was named is not asked.
///
/// # Errors
/// None answers: why not, of each.
pub fn answering(context: &Context) -> Result<Vec<Docker>, Failure> {
    let mut answering = Vec::new();
    let mut silent = Vec::new();
    for engine in candidates(context) {
        match answers(&engine, context) {
            Ok(()) => answering.push(engine),
            Err(why) => silent.push(why),
        }
    }
    if answering.is_empty() {
        Err(none_answers(&silent))
    } else {
        Ok(answering)
    }
}

/// Whether the program of any of them is there.
pub fn installed(context: &Context) -> bool {
    candidates(context).iter().any(Docker::is_installed)
}

fn auto(context: &Context) -> Result<Chosen, Failure> {
    let mut silent = Vec::new();
    for engine in candidates(context) {
        match answers(&engine, context) {
            Ok(()) => {
                let why = why(&engine, &silent);
                return Ok(Chosen::command_line(engine, why));
            }
            Err(why) => silent.push(why),
        }
    }
    // The embedded engine's place, which is asked last.
    Err(none_answers(&silent))
}

/// The engines with a command line, in the order in which they are asked. A docker that is named by
/// the environment is alone, unless podman is named there too.
fn candidates(context: &Context) -> Vec<Docker> {
    let docker = docker(context);
    let both = docker.kind() == EngineKind::Docker
        && (context.named_docker().is_none() || context.named_podman().is_some());
    let podman = both.then(|| Docker::podman(context.podman()));
    [Some(docker), podman].into_iter().flatten().collect()
}

fn docker(context: &Context) -> Docker {
    match context.named_docker() {
        Some(program) => Docker::new(program),
        None => Docker::called_docker("docker"),
    }
}

/// Nothing where it answers, or was named; else why not: `docker is not installed`.
fn answers(engine: &Docker, context: &Context) -> Result<(), String> {
    if engine.kind() == EngineKind::Docker && context.named_docker().is_some() {
        return Ok(());
    }
    let silent = |why| format!("{} {why}", engine.kind().as_str());
    engine.answers().map_err(silent)
}

/// Docker needs no reason. Podman that is asked first is what the program docker turned out to be.
fn why(engine: &Docker, silent: &[String]) -> Option<String> {
    match engine.kind() {
        EngineKind::Docker => None,
        _ if silent.is_empty() => Some("engine podman: the program docker is podman".to_owned()),
        kind => Some(format!("engine {}: {}", kind.as_str(), silent.join("; "))),
    }
}

fn none_answers(silent: &[String]) -> Failure {
    Failure::engine(format!(
        "no engine answers: {}\nhint: install docker or podman and start it, or take one that needs neither: --engine sandbox",
        silent.join("; ")
    ))
}
