//! Builds our two images through docker's or podman's command line.
//!
//! A user's project has no `docker/` folder: the Dockerfiles are inside the program, and the context
//! is a small folder of its own with the program itself and, where the project has one, its runtime.
//! The base is had before the build starts, so that a registry that cannot be reached is one clear
//! error, whichever builder there is.

mod context;
mod output;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::docker::Flavour;
use super::{Docker, Engine, EngineError};
use crate::model::{ByteText, ContentDigest, ImageChoice, escape};
use output::Output;

/// A base image over a slow network.
const PULL: Duration = Duration::from_secs(15 * 60);
/// The full image over a slow network.
const BUILD: Duration = Duration::from_secs(60 * 60);

/// One of our two images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipe {
    /// `docker/Dockerfile.test-isolation`
    Isolation,
    /// `docker/Dockerfile.test-full`
    Full,
}

impl Recipe {
    /// Its name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Recipe::Isolation => "isolation",
            Recipe::Full => "full",
        }
    }

    /// Its Dockerfile's text.
    pub fn dockerfile(self) -> &'static str {
        match self {
            Recipe::Isolation => include_str!("../../docker/Dockerfile.test-isolation"),
            Recipe::Full => include_str!("../../docker/Dockerfile.test-full"),
        }
    }

    /// The base that its Dockerfile names.
    pub fn base(self) -> &'static str {
        self.dockerfile()
            .lines()
            .find_map(|line| line.strip_prefix("ARG BASE_IMAGE="))
            .unwrap_or_default()
    }

    /// Its reference: `docker-test/isolation:0.1.0`, and with a runtime
    /// `docker-test/isolation:0.1.0-` and twelve digits of the runtime file's SHA-256.
    ///
    /// # Errors
    /// The runtime is not an executable file, or cannot be read.
    pub fn reference(self, runtime: Option<&Path>) -> Result<String, BuildError> {
        let plain = format!(
            "docker-test/{}:{}",
            self.as_str(),
            env!("CARGO_PKG_VERSION")
        );
        Ok(match runtime {
            None => plain,
            Some(path) => format!("{plain}-{}", context::runtime_digest(path)?),
        })
    }
}

/// What is to be built.
#[derive(Clone, Debug)]
pub struct BuildRequest {
    /// Which image.
    pub recipe: Recipe,
    /// Another base than the Dockerfile's.
    pub base_image: Option<String>,
    /// Ask the registry for the base, although the engine may have it.
    pub pull: bool,
    /// Build every step again.
    pub no_cache: bool,
    /// The project's own interpreter, an executable file of the host.
    pub runtime: Option<PathBuf>,
    /// The program that is to run inside: the launcher's own, `/proc/self/exe`.
    pub binary: PathBuf,
}

/// An image that was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// Its reference.
    pub reference: String,
    /// Its size in bytes, its base included.
    pub size_bytes: u64,
    /// How long it took, the base's pull included.
    pub elapsed: Duration,
    /// Nothing had to be done: every step was known.
    pub cached: bool,
    /// Names its content.
    pub digest: Option<ContentDigest>,
}

/// An image could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Something of the host's that the build needs is not there.
    #[error("{what} {path}: {why}\nhint: {hint}")]
    Prerequisite {
        /// `suite.runtime`
        what: &'static str,
        /// Its path.
        path: ByteText,
        /// What is wrong with it.
        why: String,
        /// What to do.
        hint: &'static str,
    },
    /// The base's name is no image reference.
    #[error("--base-image: {0}")]
    InvalidBase(String),
    /// The engine neither has the base nor can get it.
    #[error(
        "cannot get the base image {base}: {message}\nhint: build on an image that the engine has (`docker images`, then `--base-image IMAGE`), bring one in with `docker load` or `docker import`, or run without a built image: `--image host`"
    )]
    BaseUnavailable {
        /// The base.
        base: String,
        /// The engine's words, one line, escaped.
        message: String,
    },
    /// A step of the build failed.
    #[error("cannot build {reference}; the builder's last lines:{}", quoted(.lines))]
    Failed {
        /// What was to be built.
        reference: String,
        /// The end of the builder's output, escaped.
        lines: Vec<String>,
    },
    /// The engine is not there, or did not answer in time.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The context could not be made.
    #[error("cannot make the build's context, {path}: {error}\nhint: is there room in TMPDIR?")]
    Context {
        /// The file that was to be read or written.
        path: ByteText,
        /// Why it could not be.
        error: std::io::Error,
    },
}

fn quoted(lines: &[String]) -> String {
    lines.iter().map(|line| format!("\n  | {line}")).collect()
}

/// Builds an image with docker or podman. `progress` gets the builder's lines,
/// escaped, as they come.
///
/// # Errors
/// See [`BuildError`].
pub fn build(
    docker: &Docker,
    request: &BuildRequest,
    progress: &mut dyn FnMut(&str),
) -> Result<Built, BuildError> {
    let start = Instant::now();
    let base = base(request)?;
    let reference = request.recipe.reference(request.runtime.as_deref())?;
    let context = context::make(request.recipe, &request.binary, request.runtime.as_deref())?;
    let mut known = None;
    if !request.pull {
        known = docker.image(&base)?;
    }
    if known.is_none() {
        pull(docker, &base, progress)?;
        known = docker.image(&base)?;
    }
    let content = known.map(|base| context::content(context.path(), &base.id));

    let builder = builder(docker, std::env::var_os("DOCKER_BUILDKIT").as_deref())?;
    let mut output = Output::default();
    let call = docker
        .call_within(
            arguments(
                builder,
                request,
                &base,
                &reference,
                content.transpose()?.as_ref(),
                context.path(),
            ),
            BUILD,
        )
        .environment("DOCKER_BUILDKIT", builder.switch());
    let result = call.stream(|line| {
        if let Some(line) = output.take(&escape(&output::visible(line))) {
            progress(line);
        }
    });
    match result {
        Ok(()) => {}
        Err(EngineError::Failed { stderr, .. }) if !output::engine_gone(&stderr) => {
            return Err(BuildError::Failed {
                reference,
                lines: output.last_lines(),
            });
        }
        Err(error) => return Err(docker.explain(error).into()),
    }
    let image = docker.image(&reference)?.ok_or_else(|| {
        EngineError::Other(format!(
            "{reference} was built and the engine does not have it"
        ))
    })?;
    Ok(Built {
        digest: image.digest_of_ours(),
        reference,
        size_bytes: image.size_bytes,
        elapsed: start.elapsed(),
        cached: output.cached(),
    })
}

/// What makes an image of a Dockerfile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Builder {
    BuildKit,
    Classic,
    /// Podman's.
    Buildah,
}

impl Builder {
    fn switch(self) -> &'static str {
        match self {
            Builder::BuildKit => "1",
            // Buildah does not ask.
            Builder::Classic | Builder::Buildah => "0",
        }
    }
}

/// BuildKit where its command line part is there and `wish`, DOCKER_BUILDKIT, does not forbid it.
/// Without that part a newer docker refuses to build, although the engine could.
fn builder(docker: &Docker, wish: Option<&OsStr>) -> Result<Builder, EngineError> {
    if docker.flavour() == Flavour::Podman {
        return Ok(Builder::Buildah);
    }
    if wish.is_some_and(|wish| wish == "0" || wish == "false") {
        return Ok(Builder::Classic);
    }
    let answer = docker.call(["buildx", "version"]).answer()?;
    Ok(if answer.status.success() {
        Builder::BuildKit
    } else {
        Builder::Classic
    })
}

/// The base's reference, checked: it must not look like an option.
fn base(request: &BuildRequest) -> Result<String, BuildError> {
    match &request.base_image {
        None => Ok(request.recipe.base().to_owned()),
        Some(text) => match ImageChoice::parse(text) {
            Ok(ImageChoice::Named(base)) => Ok(base),
            Ok(word) => Err(BuildError::InvalidBase(format!(
                "'{word}' is a word of ours; write a reference such as alpine:3.23"
            ))),
            Err(message) => Err(BuildError::InvalidBase(message)),
        },
    }
}

fn arguments(
    builder: Builder,
    request: &BuildRequest,
    base: &str,
    reference: &str,
    content: Option<&ContentDigest>,
    context: &Path,
) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["build".into(), format!("--tag={reference}").into()];
    arguments.push(match builder {
        Builder::BuildKit => "--progress=plain".into(),
        // A failed step's container stays behind otherwise.
        Builder::Classic => "--force-rm".into(),
        // The other format has no health check.
        Builder::Buildah => "--format=docker".into(),
    });
    if request.recipe == Recipe::Isolation {
        // None of its steps needs one, and so none can bring in what nobody asked for.
        arguments.push("--network=none".into());
    }
    if request.no_cache {
        arguments.push("--no-cache".into());
    }
    for (name, value) in [
        ("BASE_IMAGE", base),
        ("BINARIES", context::BINARIES),
        ("VERSION", env!("CARGO_PKG_VERSION")),
    ] {
        arguments.push(format!("--build-arg={name}={value}").into());
    }
    // Empty where nothing tells it: the base may have a label of its own.
    let content = content.map(ContentDigest::to_string).unwrap_or_default();
    arguments.push(format!("--label={}={content}", ContentDigest::LABEL).into());
    arguments.push(context.into());
    arguments
}

/// Gets the base from its registry.
fn pull(docker: &Docker, base: &str, progress: &mut dyn FnMut(&str)) -> Result<(), BuildError> {
    progress(&format!("Pulling {base}"));
    let result = docker
        .call_within(["pull", base], PULL)
        .stream(|line| progress(&escape(&output::visible(line))));
    let message = match result {
        Ok(()) => return Ok(()),
        Err(EngineError::Failed { stderr, .. }) if output::no_base(&stderr) => {
            output::reason(&stderr).to_owned()
        }
        // A registry that swallows packets cannot be reached either.
        Err(EngineError::Timeout { limit, .. }) => format!("no end in {} s", limit.as_secs()),
        Err(error) => return Err(docker.explain(error).into()),
    };
    Err(BuildError::BaseUnavailable {
        base: base.to_owned(),
        message,
    })
}

#[cfg(test)]
mod real_tests;
#[cfg(test)]
mod tests;
