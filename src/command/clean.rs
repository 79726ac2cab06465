//! `docker-test clean`: removes only what carries our labels and whose run is dead.

use std::path::Path;

use super::network::is_alive;
use super::prepare::project;
use super::{Context, Failure, text};
use crate::cli::Clean;
use crate::engine::{Docker, Engine, EngineError, Found};
use crate::model::escape;
use crate::store;

/// Removes, and says what.
pub fn clean(arguments: &Clean, context: &Context) -> Result<u8, Failure> {
    let docker = Docker::new(context.docker());
    let mut lines = Vec::new();
    sweep(&mut lines, "container", &docker.inspect()?, |id| {
        docker.remove(id)
    })?;
    // After the containers that had them.
    sweep(&mut lines, "network", &docker.networks()?, |id| {
        docker.remove_network(id)
    })?;
    if arguments.images {
        for image in docker.images()? {
            docker.remove_image(&image)?;
            lines.push(format!(
                "removed image {}",
                image.reference.as_deref().unwrap_or(&image.id)
            ));
        }
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
