//! Which engine: the one that was asked for, else the first that answers.

use std::sync::Arc;

use super::context::program;
use super::{Context, Failure};
use crate::cli::EngineChoice;
use crate::engine::{DialIn, Docker, Engine, EngineError, EngineKind, HostProcess, Sandbox};

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

    fn alone(engine: impl Engine + 'static, why: Option<String>) -> Self {
        Chosen {
            engine: Arc::new(engine),
            builder: None,
            why,
        }
    }
}

/// The engine that was asked for; of `auto`, the first of docker, podman and sandbox that answers.
///
/// # Errors
/// None answers: why not, of each.
pub fn choose(choice: EngineChoice, context: &Context) -> Result<Chosen, Failure> {
    match choice {
        EngineChoice::Host => Ok(Chosen::alone(HostProcess, None)),
        EngineChoice::DialIn => Ok(Chosen::alone(DialIn, None)),
        EngineChoice::Docker => {
            let docker = docker(context);
            let why = why(&docker, &[]);
            Ok(Chosen::command_line(docker, why))
        }
        EngineChoice::Podman => Ok(Chosen::command_line(Docker::podman(context.podman()), None)),
        EngineChoice::Sandbox => Ok(Chosen::alone(sandbox(context)?, None)),
        EngineChoice::Auto => auto(context),
    }
}

/// The engines with a command line, asked.
pub struct Asked {
    /// Those that answer; one that was named is not asked.
    pub answering: Vec<Docker>,
    /// Of the others, why not: `docker is not installed`.
    pub silent: Vec<String>,
}

/// Asks every engine that has a command line.
pub fn ask(context: &Context) -> Asked {
    let mut asked = Asked {
        answering: Vec::new(),
        silent: Vec::new(),
    };
    for engine in candidates(context) {
        match answers(&engine, context) {
            Ok(()) => asked.answering.push(engine),
            Err(why) => asked.silent.push(why),
        }
    }
    asked
}

/// The embedded engine.
///
/// # Errors
/// This program's own file is not there any more.
pub fn sandbox(context: &Context) -> Result<Sandbox, Failure> {
    Ok(Sandbox::new(program()?, context.image_store().ok()))
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
    let sandbox = sandbox(context)?;
    match sandbox.health() {
        Ok(_) => {
            let why = format!("engine sandbox: {}", silent.join("; "));
            Ok(Chosen::alone(sandbox, Some(why)))
        }
        Err(error) => Err(none_answers(&silent, &error)),
    }
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

fn none_answers(silent: &[String], error: &EngineError) -> Failure {
    let error = error.to_string();
    let (obstacle, way) = error.split_once("\nhint: ").unwrap_or((&error, ""));
    let way = way.trim_end_matches(", or use another engine: `--engine docker`, `--engine podman`");
    let way = match way {
        "" => String::new(),
        way => format!("; for the sandbox: {way}"),
    };
    Failure::engine(format!(
        "no engine answers: {}; {obstacle}\nhint: install docker or podman and start it{way}",
        silent.join("; ")
    ))
}
