//! `docker-test image`: root filesystems that no engine keeps, for the sandbox engine.

use std::fs::File;
use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;

use super::prepare::{project, runtime};
use super::{Context, Failure, text};
use crate::cli::{ImageCommand, ImageImport, ImageList, ImageRemove, MessageFormat};
use crate::engine::{ImageStoreError, Recipe, StoredImage};
use crate::model::{ByteText, ImageChoice, counted, escape, format_bytes};
use crate::report::table;

/// Digits of an id that people see.
const DIGITS: usize = 12;

/// Imports, lists or removes.
pub fn image(command: &ImageCommand, context: &Context) -> Result<u8, Failure> {
    match command {
        ImageCommand::Import(arguments) => import(arguments, context),
        ImageCommand::List(arguments) => list(arguments, context),
        ImageCommand::Rm(arguments) => remove(arguments, context),
    }
}

fn import(arguments: &ImageImport, context: &Context) -> Result<u8, Failure> {
    let reference = reference(&arguments.name, context)?;
    let shown = escape(arguments.tarball.as_os_str().as_encoded_bytes());
    let input = open(&arguments.tarball)
        .map_err(|why| Failure::usage(format!("{shown} cannot be read: {why}")))?;
    let imported =
        context
            .image_store()?
            .import(&reference, input)
            .map_err(|error| match error {
                ImageStoreError::Refused(refusal) => {
                    Failure::engine(format!("{shown} cannot be imported: {refusal}"))
                }
                other => other.into(),
            })?;
    let image = imported.image;
    let mut line = format!(
        "imported {}: {}, {}, {}",
        image.reference,
        counted(image.files, "file"),
        format_bytes(image.size_bytes),
        short(&image.id)
    );
    if imported.left_out > 0 {
        line.push_str(&format!(
            "; left out {} of dev/",
            counted(imported.left_out, "device")
        ));
    }
    text::print(format!("{line}\n").as_bytes())
}

fn open(path: &Path) -> Result<File, String> {
    let words = |error: std::io::Error| error.to_string();
    if path.as_os_str() == "-" {
        let stdin = std::io::stdin();
        if stdin.is_terminal() {
            return Err("it stands for stdin, which is a terminal".into());
        }
        return Ok(stdin.as_fd().try_clone_to_owned().map_err(words)?.into());
    }
    let file = File::open(path).map_err(words)?;
    match file.metadata().map_err(words)?.is_dir() {
        true => Err("it is a folder".into()),
        false => Ok(file),
    }
}

/// An image, as programs read it.
#[derive(Serialize)]
struct Row<'a> {
    reference: &'a str,
    id: &'a str,
    size_bytes: u64,
    files: u64,
    imported_unix_us: u64,
    root: ByteText,
    environment: &'a [(String, String)],
    working_directory: Option<&'a str>,
}

fn list(arguments: &ImageList, context: &Context) -> Result<u8, Failure> {
    let images = context.image_store()?.list()?;
    let out = match arguments.message_format {
        MessageFormat::Human => {
            let row = |image: &StoredImage| {
                let time = UNIX_EPOCH + Duration::from_micros(image.imported_unix_us);
                vec![
                    image.reference.clone(),
                    short(&image.id),
                    format_bytes(image.size_bytes),
                    humantime::format_rfc3339_seconds(time).to_string(),
                ]
            };
            let rows: Vec<_> = images.iter().map(row).collect();
            table(&["reference", "id", "size", "imported"], &rows)
        }
        MessageFormat::Json => {
            let mut out = String::new();
            for image in &images {
                let row = Row {
                    reference: &image.reference,
                    id: &image.id,
                    size_bytes: image.size_bytes,
                    files: image.files,
                    imported_unix_us: image.imported_unix_us,
                    root: ByteText::from(image.root.as_os_str()),
                    environment: &image.environment,
                    working_directory: image.working_directory.as_deref(),
                };
                let line = serde_json::to_string(&row).map_err(|error| {
                    Failure::engine(format!("an image cannot be shown: {error}"))
                })?;
                out.push_str(&line);
                out.push('\n');
            }
            out
        }
    };
    text::print(out.as_bytes())
}

fn remove(arguments: &ImageRemove, context: &Context) -> Result<u8, Failure> {
    let store = context.image_store()?;
    for name in &arguments.names {
        let reference = reference(name, context)?;
        store.remove(&reference)?;
        text::print(format!("removed {reference}\n").as_bytes())?;
    }
    Ok(0)
}

/// Removes all images but those that runs use; says which.
pub fn remove_all(context: &Context) -> Result<Vec<String>, Failure> {
    let Ok(store) = context.image_store() else {
        return Ok(Vec::new());
    };
    let mut lines = Vec::new();
    for image in store.list()? {
        lines.push(match store.remove(&image.reference) {
            Ok(()) => format!("removed imported image {}", image.reference),
            Err(ImageStoreError::InUse { .. }) => {
                format!("kept imported image {}: a run uses it", image.reference)
            }
            // Somebody else was faster.
            Err(ImageStoreError::Unknown { .. }) => continue,
            Err(error) => return Err(error.into()),
        });
    }
    Ok(lines)
}

/// The reference that a name stands for. Our own images' are those that `build` gives them.
fn reference(name: &ImageChoice, context: &Context) -> Result<String, Failure> {
    let recipe = match name {
        ImageChoice::Isolation => Recipe::Isolation,
        ImageChoice::Full => Recipe::Full,
        other => return Ok(other.to_string()),
    };
    let config = project(context)?;
    Ok(recipe.reference(runtime(&config).as_deref())?)
}

fn short(id: &str) -> String {
    id.chars().take("sha256:".len() + DIGITS).collect()
}
