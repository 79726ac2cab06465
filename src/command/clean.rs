//! `docker-test clean`: removes only what carries our labels and whose run is dead.

use std::path::Path;

use super::prepare::project;
use super::{Context, Failure, text};
use crate::cli::Clean;
use crate::engine::{Docker, Engine};
use crate::host;
use crate::model::escape;
use crate::store;

/// Removes, and says what.
pub fn clean(arguments: &Clean, context: &Context) -> Result<u8, Failure> {
    let docker = Docker::new(context.docker());
    let mut lines = Vec::new();
    for found in docker.inspect()? {
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
            docker.remove(&found.id)?;
            lines.push(format!("removed container {}", found.name));
        }
    }
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

/// Removes the database's files, and the folder where nothing else is left in it.
fn remove_results(results: &Path) -> Result<bool, Failure> {
    store::remove(results).map_err(Failure::from)
}
