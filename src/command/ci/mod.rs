//! `docker-test ci`: a file for a CI system that runs this project's tests in shards.

mod render;
mod template;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Component, Path, PathBuf};

use sha2::{Digest, Sha256};

use self::render::{Facts, Origin, render};
use super::context::program;
use super::prepare::project;
use super::{Context, Failure, text};
use crate::cli::{Ci, CiSystem};
use crate::config::Config;
use crate::model::{ImageChoice, escape};
use crate::plan::{PlanError, Selection, plan};
use crate::report::WholeFile;
use crate::suite::discover;

/// Writes the file, or prints it.
pub fn ci(arguments: &Ci, context: &Context) -> Result<u8, Failure> {
    let config = project(context)?;
    let repository = repository(&config.project);
    let facts = facts(arguments, &config, &repository, context)?;
    let file = render(arguments.system, &facts);
    let place = match &arguments.output {
        Some(place) if place.as_os_str() == "-" => return text::print(file.as_bytes()),
        Some(place) => context.directory()?.join(place),
        None => repository.join(match arguments.system {
            CiSystem::Github => ".github/workflows/docker-test.yml",
            CiSystem::Gitlab => ".gitlab-ci.yml",
        }),
    };
    if !arguments.force && fs::symlink_metadata(&place).is_ok() {
        return Err(Failure::usage(format!(
            "{} is there already\nhint: name another file with -o, or add --force to write over it",
            shown(&place)
        )));
    }
    let mut target = WholeFile::new(&place)?;
    target.write(&file)?;
    target.finish("", "")?;
    let said = format!("wrote {}: {}\n", shown(&place), summary(&facts));
    text::print(said.as_bytes())
}

/// What was written, and what is left to do.
fn summary(facts: &Facts) -> String {
    let shards = match facts.shards {
        1 => "1 shard".to_owned(),
        more => format!("{more} shards"),
    };
    let full = if facts.full {
        ", and a job of the full image"
    } else {
        ""
    };
    let left = match &facts.origin {
        Origin::Source(_) => "; docker-test is built from its source",
        Origin::Download { sha256, .. } if sha256.is_empty() => {
            "; DOCKER_TEST_URL and DOCKER_TEST_SHA256 are to be set at its top"
        }
        Origin::Download { url: None, .. } => {
            "; DOCKER_TEST_URL is to be set, to where this very program is"
        }
        Origin::Download { .. } => "",
    };
    format!("{shards}{full}{left}")
}

/// The root of the repository that a project is in; the project where it is in none.
fn repository(project: &Path) -> PathBuf {
    let root = project.ancestors().find(|path| path.join(".git").exists());
    root.unwrap_or(project).to_path_buf()
}

fn facts(
    arguments: &Ci,
    config: &Config,
    repository: &Path,
    context: &Context,
) -> Result<Facts, Failure> {
    let folder = match config.project.strip_prefix(repository) {
        Ok(inside) if inside != Path::new("") => Some(plain(inside, "the project's folder")?),
        _ => None,
    };
    let origin = match source(arguments, config)? {
        Some(folder) => Origin::Source(folder),
        None => Origin::Download {
            url: arguments.url.clone(),
            sha256: match &arguments.sha256 {
                Some(digits) => digits.clone(),
                None => own_digest()?,
            },
        },
    };
    Ok(Facts {
        shards: arguments.shards,
        origin,
        folder,
        results: plain(&config.results, "results")?,
        build: match &config.image {
            None | Some(ImageChoice::Isolation) => Some("isolation"),
            Some(ImageChoice::Full) => Some("full"),
            Some(_) => None,
        },
        runtime: config.suite.runtime.as_deref().map(shown),
        full: arguments.full || asks_for_full(config, context)?,
    })
}

/// The folder of docker-test's own source, where jobs are to build it.
fn source(arguments: &Ci, config: &Config) -> Result<Option<String>, Failure> {
    let asked = arguments.build_from_source.as_deref();
    if arguments.url.is_some() || arguments.sha256.is_some() {
        return Ok(None);
    }
    let folder = asked.unwrap_or(Path::new("."));
    let manifest = config.project.join(folder).join("Cargo.toml");
    if fs::read_to_string(&manifest).is_ok_and(|text| is_ours(&text)) {
        return match folder == Path::new(".") {
            true => Ok(Some(".".to_owned())),
            false => plain(folder, "--build-from-source").map(Some),
        };
    }
    match asked {
        None => Ok(None),
        Some(_) => Err(Failure::usage(format!(
            "--build-from-source: {} is not docker-test's\nhint: name the folder of its source, from the project's, as in --build-from-source=third-party/docker-test",
            shown(&manifest)
        ))),
    }
}

/// Whether a Cargo.toml is this program's: the name of its package says so.
fn is_ours(manifest: &str) -> bool {
    let mut package = false;
    manifest.lines().any(|line| {
        let line = line.trim();
        if line.starts_with('[') {
            package = line == "[package]";
        }
        let name = line
            .split_once('=')
            .map(|(key, value)| (key.trim(), value.trim()));
        package && name == Some(("name", "\"docker-test\""))
    })
}

/// The SHA-256 of this program, where the CI systems' machines can run it.
fn own_digest() -> Result<String, Failure> {
    if !cfg!(target_arch = "x86_64") {
        return Ok(String::new());
    }
    let program = program()?;
    let bytes = fs::read(&program).map_err(|error| {
        Failure::engine(format!(
            "this program's own file {} cannot be read: {error}\nhint: give its SHA-256 with --sha256",
            shown(&program)
        ))
    })?;
    let digits = Sha256::digest(bytes);
    Ok(digits.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Whether any test is to run in the full image, once that is built. What a suite's own listing
/// command would say is not known here: then the rules alone count.
fn asks_for_full(config: &Config, context: &Context) -> Result<bool, Failure> {
    let full = Some(ImageChoice::Full);
    if config.suite.list.is_some() {
        let mut names = config.rules.iter().map(|rule| &rule.profile);
        let by_rule = names.any(|name| config.profiles[name].image == full);
        return Ok(by_rule || config.profiles[&config.default_profile].image == full);
    }
    let found = discover(config, &context.directory()?, &[])?;
    match plan(found, config, &Selection::default(), |_| true) {
        Ok(plan) => Ok(plan
            .tests
            .iter()
            .any(|test| test.image == ImageChoice::Full)),
        // They may come later.
        Err(PlanError::NoTests { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A path that stays within the project, as text that neither YAML nor a shell reads anything into.
fn plain(path: &Path, what: &str) -> Result<String, Failure> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._+".contains(c);
    let component = |component: Component| match component {
        Component::Normal(name) => {
            let name = name.to_str()?;
            (!name.starts_with('-') && name.chars().all(plain)).then(|| name.to_owned())
        }
        _ => None,
    };
    let names: Option<Vec<String>> = path
        .components()
        .filter(|part| *part != Component::CurDir)
        .map(component)
        .collect();
    match names {
        Some(names) if !names.is_empty() => Ok(names.join("/")),
        _ => Err(Failure::usage(format!(
            "{what}: {} cannot be used in a CI job\nhint: a path below the project, with letters, digits and -._+",
            shown(path)
        ))),
    }
}

fn shown(path: &Path) -> String {
    escape(path.as_os_str().as_encoded_bytes())
}
