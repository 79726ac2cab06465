//! What `run`, `list`, `shell` and `test` have in common: the project, its tests and the plan.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Context, Failure};
use crate::config::{self, Config};
use crate::engine::Engine;
use crate::engine::Recipe;
use crate::model::{ImageChoice, Test};
use crate::plan::{Selection, plan};
use crate::suite::{FoundTest, check_project, discover, parse_listing};

/// The config of the project that the working directory is in.
pub fn project(context: &Context) -> Result<Config, Failure> {
    let config = config::load(&context.directory()?)?;
    check_project(&config.project, context.home().as_deref())?;
    Ok(config)
}

/// The planned tests. `listed`: what the suite's own listing command printed, where it has one.
pub fn tests(
    config: &Config,
    selection: &Selection,
    listed: Option<&[u8]>,
    engine: &dyn Engine,
    context: &Context,
) -> Result<Arc<Vec<Test>>, Failure> {
    let found = match listed {
        Some(output) => below(parse_listing(output)?, config, &selection.paths, context)?,
        None => discover(config, &context.directory()?, &selection.paths)?,
    };
    let available = |image: &ImageChoice| match image {
        ImageChoice::Full => is_built(engine, Recipe::Full, config),
        _ => true,
    };
    Ok(Arc::new(plan(found, config, selection, available)?.tests))
}

/// Whether one of our images is there.
pub fn is_built(engine: &dyn Engine, recipe: Recipe, config: &Config) -> bool {
    let runtime = runtime(config);
    let reference = recipe.reference(runtime.as_deref());
    reference.is_ok_and(|reference| matches!(engine.image(&reference), Ok(Some(_))))
}

/// The suite's runtime, as a path of this machine.
pub fn runtime(config: &Config) -> Option<PathBuf> {
    let runtime = config.suite.runtime.as_ref()?;
    Some(config.project.join(runtime))
}

/// The listed tests whose path is one of `paths` or below it; all of them without paths.
fn below(
    ids: Vec<crate::model::TestId>,
    config: &Config,
    paths: &[PathBuf],
    context: &Context,
) -> Result<Vec<FoundTest>, Failure> {
    let directory = context.directory()?;
    let mut wanted = Vec::new();
    for path in paths {
        let absolute = directory.join(path);
        let real = absolute.canonicalize().unwrap_or(absolute);
        let inside = real.strip_prefix(&config.project).map_err(|_| {
            let path = crate::model::escape(path.as_os_str().as_encoded_bytes());
            Failure::usage(format!("cannot search '{path}': it is not in the project"))
        })?;
        wanted.push(inside.to_path_buf());
    }
    let is_wanted = |id: &crate::model::TestId| {
        wanted.is_empty() || wanted.iter().any(|path| id.path().starts_with(path))
    };
    let found = ids.into_iter().filter(is_wanted);
    Ok(found.map(|id| FoundTest { id, marker: None }).collect())
}
