//! `image`: what can be typed of it.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::MessageFormat;
use crate::model::ImageChoice;

/// `image`.
#[derive(Debug, Subcommand)]
pub enum ImageCommand {
    /// Keep the image that an archive has
    #[command(
        after_help = "Examples:\n  docker-test image import isolation root.tar.gz\n  docker save debian:12 | docker-test image import debian:12 -\n  docker export CONTAINER | docker-test image import mine -"
    )]
    Import(ImageImport),
    /// List the images that are kept
    #[command(after_help = "Example:\n  docker-test image list")]
    List(ImageList),
    /// Remove images that are kept
    #[command(after_help = "Example:\n  docker-test image rm debian:12")]
    Rm(ImageRemove),
}

/// `image import`.
#[derive(Debug, Args)]
pub struct ImageImport {
    /// What it is called: isolation, full, or any reference without a digest
    #[arg(value_parser = name)]
    pub name: ImageChoice,
    /// A root filesystem's tar, an OCI image layout, or what `docker save` writes; - for stdin
    pub tarball: PathBuf,
}

/// `image list`.
#[derive(Debug, Args)]
pub struct ImageList {
    /// What is printed: a table, or one JSON object a line
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub message_format: MessageFormat,
}

/// `image rm`.
#[derive(Debug, Args)]
pub struct ImageRemove {
    /// What they are called
    #[arg(required = true, value_name = "NAME", value_parser = name)]
    pub names: Vec<ImageChoice>,
}

/// A name that an image of the store can have.
fn name(text: &str) -> Result<ImageChoice, String> {
    match ImageChoice::parse(text)? {
        ImageChoice::Host => Err("host is this machine's own programs, and no image".into()),
        ImageChoice::Named(reference) if reference.contains('@') => {
            Err("write a name without a digest, such as debian:12".into())
        }
        choice => Ok(choice),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(name("isolation"), Ok(ImageChoice::Isolation));
        assert_eq!(name("a/b:1"), Ok(ImageChoice::Named("a/b:1".into())));
        let digest = format!("a@sha256:{}", "0".repeat(64));
        for bad in ["host", "", "A", "--force", &digest] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }
}
