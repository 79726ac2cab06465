//! `docker-test clean`: removes only what carries our labels and whose run is dead, from every engine
//! that answers.

use std::path::Path;

use super::choose::{ask, sandbox};
use super::network::is_alive;
use super::prepare::project;
use super::{Context, Failure, text};
use crate::cli::Clean;
use crate::engine::{Engine, EngineError, Found};
use crate::model::escape;
use crate::store;

/// Removes, and says what. An engine that is not there is no error: there is nothing of it.
pub fn clean(arguments: &Clean, context: &Context) -> Result<u8, Failure> {
    let mut lines = Vec::new();
    for engine in ask(context).answering {
        of_engine(&engine, arguments.images, &mut lines)?;
    }
    // A docker that is named is meant alone.
    if context.named_docker().is_none() {
        of_engine(&sandbox(context)?, false, &mut lines)?;
    }
    if arguments.images {
        lines.extend(super::image::remove_all(context)?);
    }
    if arguments.results {
        let results = project(context)?.results_path();
        let shown = escape(results.as_os_str().as_encoded_bytes());
        lines.push(if remove_results(&results)? {
            format!("removed the results in {shown}")
        } else {
            format!("no results in {shown}")
        });
    }
    if lines.is_empty() {
        lines.push("nothing to remove".into());
    }
    text::print(format!("{}\n", lines.join("\n")).as_bytes())
}

/// Removes the containers and networks of dead runs, and with `images` our images.
fn of_engine(engine: &dyn Engine, images: bool, lines: &mut Vec<String>) -> Result<(), Failure> {
    sweep(lines, "container", &engine.inspect()?, |id| {
        engine.remove(id)
    })?;
    // After the containers that had them.
    sweep(lines, "network", &engine.networks()?, |id| {
        engine.remove_network(id)
    })?;
    for image in if images { engine.images()? } else { Vec::new() } {
        engine.remove_image(&image)?;
        lines.push(format!(
            "removed image {}",
            image.reference.as_deref().unwrap_or(&image.id)
        ));
    }
    Ok(())
}

/// Removes what is known to be a dead launcher's, and adds a line for everything.
fn sweep(
    lines: &mut Vec<String>,
    what: &str,
    all: &[Found],
    remove: impl Fn(&str) -> Result<(), EngineError>,
) -> Result<(), Failure> {
    for Found { id, name, owner } in all {
        lines.push(match owner {
            None => format!("kept {what} {name}: its labels do not say whose it is"),
            Some(owner) if is_alive(owner) => {
                format!("kept {what} {name}: its run {} is alive", owner.run)
            }
            Some(_) => {
                remove(id)?;
                format!("removed {what} {name}")
            }
        });
    }
    Ok(())
}

/// Removes the database's files, and the folder where nothing else is left in it.
fn remove_results(results: &Path) -> Result<bool, Failure> {
    store::remove(results).map_err(Failure::from)
}
