//! What a CI system's file says of a project. Pure.

use super::template::{Values, fill};
use crate::cli::CiSystem;

/// What is known of the project, as it goes into the file: nothing here has a character that means
/// something to YAML or a shell, but for `/`.
#[derive(Clone, Debug)]
pub struct Facts {
    /// How many shards, at least 1.
    pub shards: u32,
    /// Where jobs get the program.
    pub origin: Origin,
    /// The project's folder in its repository; absent where it is the repository's own.
    pub folder: Option<String>,
    /// The folder of results, from the project's.
    pub results: String,
    /// The image of ours that tests need, for `docker-test build`.
    pub build: Option<&'static str>,
    /// `suite.runtime`, which has to be there before a run; for a comment.
    pub runtime: Option<String>,
    /// Whether there is a job of the full image.
    pub full: bool,
}

/// Where jobs get the program.
#[derive(Clone, Debug)]
pub enum Origin {
    /// From an address, which a variable says where it is absent; with 64 digits to check it by,
    /// or none where they are not known.
    Download { url: Option<String>, sha256: String },
    /// From its source in this folder, from the project's.
    Source(String),
}

/// The file.
pub fn render(system: CiSystem, facts: &Facts) -> String {
    let template = match system {
        CiSystem::Github => include_str!("github.yml"),
        CiSystem::Gitlab => include_str!("gitlab.yml"),
    };
    let (mut set, mut texts) = (Vec::new(), Vec::new());
    match &facts.origin {
        Origin::Download { url, sha256 } => {
            set.push("download");
            if let Some(url) = url {
                set.push("url");
                texts.push(("url", url.clone()));
            }
            texts.push(("sha256", sha256.clone()));
        }
        Origin::Source(folder) => {
            set.push("source");
            texts.push(("source", folder.clone()));
        }
    }
    let here = match &facts.folder {
        Some(folder) => {
            set.push("folder");
            texts.push(("folder", folder.clone()));
            format!("{folder}/")
        }
        None => String::new(),
    };
    texts.push(("here", here));
    if let Some(image) = facts.build {
        set.push("build");
        texts.push(("build", image.to_owned()));
    }
    if let Some(runtime) = &facts.runtime {
        set.push("runtime");
        texts.push(("runtime", runtime.clone()));
    }
    if facts.full {
        set.push("full");
    }
    let list: Vec<String> = (1..=facts.shards).map(|shard| shard.to_string()).collect();
    texts.push(("shard-list", list.join(", ")));
    texts.push(("shards", facts.shards.to_string()));
    texts.push(("results", facts.results.clone()));
    texts.push(("version", env!("CARGO_PKG_VERSION").to_owned()));
    fill(template, &Values { set, texts })
}
