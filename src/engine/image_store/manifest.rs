//! What an archive says of the image in it: OCI's image layout, and what `docker save` writes.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::archive::Archive;
use super::error::Refusal;
use super::stream::Digest;
use crate::model::{ByteText, ContentDigest, escape};

const INDEXES: [&str; 2] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];
const MANIFESTS: [&str; 2] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];
const CONFIGS: [&str; 2] = [
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
];
const LAYERS: [&str; 4] = [
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
];
const COMPRESSIONS: [&str; 5] = ["", "+gzip", "+zstd", ".gzip", ".zstd"];
/// Annotations that carry an image's name, or its tag alone.
const NAMES: [&str; 2] = [
    "io.containerd.image.name",
    "org.opencontainers.image.ref.name",
];
/// Indexes within indexes.
const DEEPEST: usize = 4;

/// An image in an archive.
#[derive(Debug)]
pub struct Described {
    /// Its config's digest.
    pub id: Digest,
    /// From the lowest to the highest.
    pub layers: Vec<Layer>,
    /// What its config says of its processes.
    pub process: Process,
    /// What its label says that it is made of.
    pub content: Option<ContentDigest>,
}

/// A layer, as a part of the archive.
#[derive(Debug)]
pub struct Layer {
    /// The part's name.
    pub part: String,
    /// Its digest.
    pub digest: Digest,
    /// The digest is that of the part as it is; else of what it holds without compression.
    pub as_it_is: bool,
}

/// What an image's config says of its processes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
pub struct Process {
    /// Variables and their values.
    pub environment: Vec<(String, String)>,
    /// Where they start.
    pub working_directory: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
    platform: Option<Platform>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Clone, Deserialize)]
struct Platform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Config {
    #[serde(flatten)]
    platform: Platform,
    #[serde(default)]
    config: Option<Running>,
    rootfs: RootFs,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Running {
    #[serde(default)]
    env: Option<Vec<String>>,
    #[serde(default)]
    working_dir: Option<String>,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct RootFs {
    #[serde(default)]
    diff_ids: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// An image that could be the one that is asked for.
struct Candidate {
    names: Vec<String>,
    image: Described,
}

/// The image in `archive` for `machine`, this machine's architecture in Go's words; of several, the
/// one that is called `reference`. `None` where it is a root filesystem's archive.
///
/// # Errors
/// It has none for this machine, several, or cannot be understood.
pub fn read(
    archive: &Archive,
    reference: &str,
    machine: &str,
) -> Result<Option<Described>, Refusal> {
    let mut found = Found {
        archive,
        machine,
        candidates: Vec::new(),
        foreign: Vec::new(),
    };
    if archive.part("oci-layout").is_some() && archive.part("index.json").is_some() {
        let index: Index = json(archive, "index.json")?;
        found.index(index, &[], 0)?;
    } else if let Some(saved) = saved(archive)? {
        for image in saved {
            found.saved(image)?;
        }
    } else {
        return Ok(None);
    }
    found.choose(reference).map(Some)
}

/// Whether `manifest.json` is that of `docker save`: a root filesystem can have a file of that name.
fn saved(archive: &Archive) -> Result<Option<Vec<Saved>>, Refusal> {
    let text = match archive.part("manifest.json") {
        Some(_) => archive.description("manifest.json")?.unwrap_or_default(),
        None => return Ok(None),
    };
    Ok(serde_json::from_slice(&text).ok())
}

struct Found<'a> {
    archive: &'a Archive,
    machine: &'a str,
    candidates: Vec<Candidate>,
    foreign: Vec<String>,
}

impl Found<'_> {
    fn index(&mut self, index: Index, above: &[String], depth: usize) -> Result<(), Refusal> {
        for descriptor in index.manifests {
            if let Some(platform) = &descriptor.platform
                && !self.fits(platform)
            {
                continue;
            }
            let mut names = above.to_vec();
            let annotations = descriptor.annotations.iter().flatten();
            names.extend(
                annotations
                    .filter(|(key, _)| NAMES.contains(&key.as_str()))
                    .map(|(_, name)| name.clone()),
            );
            let kind = descriptor.media_type.as_str();
            if INDEXES.contains(&kind) && depth < DEEPEST {
                let inner = self.blob(&descriptor)?;
                self.index(inner, &names, depth + 1)?;
            } else if MANIFESTS.contains(&kind) {
                let manifest = self.blob(&descriptor)?;
                self.manifest(manifest, names)?;
            } else {
                return Err(media_type("the manifest", kind));
            }
        }
        Ok(())
    }

    fn manifest(&mut self, manifest: Manifest, names: Vec<String>) -> Result<(), Refusal> {
        let kind = manifest.config.media_type.as_str();
        if !CONFIGS.contains(&kind) {
            return Err(media_type("the config", kind));
        }
        let config: Config = self.blob(&manifest.config)?;
        if !self.fits(&config.platform) {
            return Ok(());
        }
        let mut layers = Vec::new();
        for layer in &manifest.layers {
            let kind = layer.media_type.as_str();
            let known = LAYERS.iter().any(|known| {
                kind.strip_prefix(known)
                    .is_some_and(|rest| COMPRESSIONS.contains(&rest))
            });
            if !known {
                return Err(media_type("a layer", kind));
            }
            let (part, digest) = self.locate(layer)?;
            layers.push(Layer {
                part,
                digest,
                as_it_is: true,
            });
        }
        self.add(
            Digest::parse(&manifest.config.digest)?,
            layers,
            config,
            names,
        );
        Ok(())
    }

    fn saved(&mut self, saved: Saved) -> Result<(), Refusal> {
        let part = self.archive.part(&saved.config);
        let part = part.ok_or_else(|| missing(&saved.config))?;
        let id = Digest::of(part).map_err(|error| super::error::unreadable(&error, false))?;
        let stem = saved.config.rsplit('/').next().unwrap_or_default();
        let stem = stem.strip_suffix(".json").unwrap_or(stem);
        if let Some(expected) = Digest::of_hex(stem) {
            expect(&saved.config, &expected, &id)?;
        }
        let config: Config = json(self.archive, &saved.config)?;
        if !self.fits(&config.platform) {
            return Ok(());
        }
        if config.rootfs.diff_ids.len() != saved.layers.len() {
            return Err(Refusal::Description {
                file: ByteText::from("manifest.json"),
                why: "it has not as many layers as the image's config".into(),
            });
        }
        let mut layers = Vec::new();
        for (part, digest) in saved.layers.into_iter().zip(&config.rootfs.diff_ids) {
            if self.archive.part(&part).is_none() {
                return Err(missing(&part));
            }
            layers.push(Layer {
                part,
                digest: Digest::parse(digest)?,
                as_it_is: false,
            });
        }
        self.add(id, layers, config, saved.repo_tags.unwrap_or_default());
        Ok(())
    }

    fn add(&mut self, id: Digest, layers: Vec<Layer>, config: Config, names: Vec<String>) {
        if let Some(known) = self
            .candidates
            .iter_mut()
            .find(|known| known.image.id == id)
        {
            known.names.extend(names);
            return;
        }
        let running = config.config.unwrap_or_default();
        let variable = |entry: &String| {
            let (name, value) = entry.split_once('=')?;
            (!name.is_empty()).then(|| (name.to_owned(), value.to_owned()))
        };
        let process = Process {
            environment: running.env.iter().flatten().filter_map(variable).collect(),
            working_directory: running.working_dir.filter(|path| !path.is_empty()),
        };
        let labels = running.labels.unwrap_or_default();
        let image = Described {
            id,
            layers,
            process,
            content: labels
                .get(ContentDigest::LABEL)
                .and_then(|text| ContentDigest::parse(text)),
        };
        self.candidates.push(Candidate { names, image });
    }

    fn choose(mut self, reference: &str) -> Result<Described, Refusal> {
        if self.candidates.len() != 1 {
            if self.candidates.is_empty() {
                return Err(self.none());
            }
            let names: Vec<&str> = self
                .candidates
                .iter()
                .flat_map(|candidate| candidate.names.iter().map(String::as_str))
                .collect();
            let several = Refusal::Several {
                count: self.candidates.len(),
                reference: reference.to_owned(),
                names: ByteText::from(names.join(", ")),
            };
            self.candidates.retain(|candidate| {
                candidate
                    .names
                    .iter()
                    .any(|name| is_called(name, reference))
            });
            if self.candidates.len() != 1 {
                return Err(several);
            }
        }
        match self.candidates.pop() {
            Some(candidate) => Ok(candidate.image),
            None => Err(self.none()),
        }
    }

    fn none(mut self) -> Refusal {
        self.foreign.sort();
        self.foreign.dedup();
        if self.foreign.is_empty() {
            return Refusal::Missing(ByteText::from("an image"));
        }
        Refusal::Platform {
            found: ByteText::from(self.foreign.join(", ")),
            machine: format!("linux/{}", self.machine),
        }
    }

    /// Whether it is this machine's. Attestations are kept as images of an unknown platform.
    fn fits(&mut self, platform: &Platform) -> bool {
        let is = |found: &str, wanted: &str| found.is_empty() || found == wanted;
        let fits = is(&platform.os, "linux") && is(&platform.architecture, self.machine);
        if !fits && platform.os != "unknown" {
            self.foreign
                .push(format!("{}/{}", platform.os, platform.architecture));
        }
        fits
    }

    /// A JSON blob, checked.
    fn blob<T: DeserializeOwned>(&self, descriptor: &Descriptor) -> Result<T, Refusal> {
        let (part, digest) = self.locate(descriptor)?;
        if let Some(text) = self.archive.description(&part)? {
            let found = Digest::of(text.as_slice());
            let found = found.map_err(|error| super::error::unreadable(&error, false))?;
            expect(&part, &digest, &found)?;
        }
        json(self.archive, &part)
    }

    /// Where a blob is; it has the size that it should.
    fn locate(&self, descriptor: &Descriptor) -> Result<(String, Digest), Refusal> {
        let digest = Digest::parse(&descriptor.digest)?;
        let name = format!("blobs/sha256/{}", digest.hex());
        let part = self.archive.part(&name).ok_or_else(|| missing(&name))?;
        if part.left() != descriptor.size {
            return Err(Refusal::Description {
                file: ByteText::from(name),
                why: format!(
                    "it has {} bytes and should have {}",
                    part.left(),
                    descriptor.size
                ),
            });
        }
        Ok((name, digest))
    }
}

/// Whether an image that is called `name` is meant by `reference`. A name can be a tag alone.
fn is_called(name: &str, reference: &str) -> bool {
    let short = |name: &str| {
        let name = name.strip_prefix("docker.io/").unwrap_or(name);
        name.strip_prefix("library/").unwrap_or(name).to_owned()
    };
    let reference = short(reference);
    let tag = reference
        .rsplit('/')
        .next()
        .and_then(|last| last.split_once(':'));
    short(name) == reference || tag.is_some_and(|(_, tag)| tag == name)
}

/// Refuses content whose digest is another.
///
/// # Errors
/// It is.
pub fn expect(what: &str, expected: &Digest, found: &Digest) -> Result<(), Refusal> {
    if expected == found {
        return Ok(());
    }
    Err(Refusal::WrongDigest {
        what: escape(what.as_bytes()),
        expected: expected.as_str().to_owned(),
        found: found.as_str().to_owned(),
    })
}

fn json<T: DeserializeOwned>(archive: &Archive, name: &str) -> Result<T, Refusal> {
    let text = archive.description(name)?.ok_or_else(|| missing(name))?;
    serde_json::from_slice(&text).map_err(|error| Refusal::Description {
        file: ByteText::from(name),
        why: escape(error.to_string().as_bytes()),
    })
}

fn missing(name: &str) -> Refusal {
    Refusal::Missing(ByteText::from(name))
}

fn media_type(what: &'static str, found: &str) -> Refusal {
    let found = ByteText::from(found);
    Refusal::MediaType { what, found }
}
