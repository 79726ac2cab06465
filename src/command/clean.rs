//! `docker-test clean`: removes only what carries our labels and whose run is dead, from every engine
//! that answers.

use std::path::Path;

use super::choose::{answering, installed};
use super::prepare::project;
use super::{Context, Failure, text};
use crate::cli::Clean;
use crate::engine::Engine;
use crate::host;
use crate::model::escape;
use crate::store;

/// Removes, and says what.
pub fn clean(arguments: &Clean, context: &Context) -> Result<u8, Failure> {
    let mut lines = Vec::new();
    match answering(context) {
        Ok(engines) => {
            for engine in engines {
                of_engine(&engine, arguments.images, &mut lines)?;
            }
        }
        // It may have something that it cannot say now.
        Err(failure) if installed(context) => return Err(failure),
        Err(_) => {}
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

/// Removes the containers of dead runs, and with `images` our images.
fn of_engine(engine: &dyn Engine, images: bool, lines: &mut Vec<String>) -> Result<(), Failure> {
    for found in engine.inspect()? {
        let Some(owner) = &found.owner else {
            lines.push(format!(
                "kept container {}: its labels do not say whose it is",
                found.name
            ));
            continue;
        };
        if host::is_alive(&owner.boot, owner.pid, owner.pid_start) {
            lines.push(format!(
                "kept container {}: its run {} is alive",
                found.name, owner.run
            ));
        } else {
            engine.remove(&found.id)?;
            lines.push(format!("removed container {}", found.name));
        }
    }
    for image in if images { engine.images()? } else { Vec::new() } {
        engine.remove_image(&image)?;
        lines.push(format!(
            "removed image {}",
            image.reference.as_deref().unwrap_or(&image.id)
        ));
    }
    Ok(())
}

/// Removes the database's files, and the folder where nothing else is left in it.
fn remove_results(results: &Path) -> Result<bool, Failure> {
    store::remove(results).map_err(Failure::from)
}
