//! `docker-test build`: the images that tests run in.

use super::choose::choose;
use super::context::program;
use super::prepare::{project, runtime};
use super::{Context, Failure, text};
use crate::cli::{Build, BuildTarget};
use crate::engine::Recipe;
use crate::model::{format_bytes, format_duration};
use crate::report::{one_line, table};
use crate::run::Workshop;

/// Builds, and ends with a table of image, size and time.
pub fn build(arguments: &Build, context: &Context) -> Result<u8, Failure> {
    let config = project(context)?;
    let chosen = choose(arguments.engine, context)?;
    let kind = chosen.engine.kind().as_str();
    let Some(builder) = &chosen.builder else {
        return Err(Failure::engine(format!(
            "the engine {kind} builds no images\nhint: --engine docker or --engine podman"
        )));
    };
    if let Some(why) = &chosen.why {
        eprintln!("{why}");
    }
    let mut workshop = Workshop {
        engine: chosen.engine.as_ref(),
        builder: Some(builder),
        program: program()?,
        runtime: runtime(&config),
        dry: false,
        tell: &mut |line| eprintln!("{}", one_line(line)),
    };
    let recipes: &[Recipe] = match arguments.image {
        BuildTarget::Isolation => &[Recipe::Isolation],
        BuildTarget::Full => &[Recipe::Full],
        BuildTarget::All => &[Recipe::Isolation, Recipe::Full],
    };
    let mut rows = Vec::new();
    for recipe in recipes {
        let built = workshop.build(
            builder,
            *recipe,
            arguments.base_image.clone(),
            arguments.pull,
            arguments.no_cache,
        )?;
        let time = format_duration(built.elapsed);
        let time = if built.cached {
            format!("{time} (cached)")
        } else {
            time
        };
        rows.push(vec![built.reference, format_bytes(built.size_bytes), time]);
    }
    text::print(table(&["image", "size", "time"], &rows).as_bytes())
}
