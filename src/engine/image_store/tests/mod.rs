//! The store, with archives that the tests build themselves.

mod keeping;
mod layers;
mod random;
mod refused;
mod roots;

use std::fs::{self, File};
use std::io::{Seek, Write};
use std::path::PathBuf;

use serde_json::json;
use tar::{EntryType, Header};
use tempfile::TempDir;

use super::stream::Digest;
use super::{ImageStore, ImageStoreError, Imported, StoredImage, machine};
use crate::model::ContentDigest;

/// A store in a folder of its own.
pub struct Fixture {
    pub store: ImageStore,
    pub folder: TempDir,
}

impl Fixture {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = ImageStore::open(Some(folder.path().into()), None).unwrap();
        Fixture { store, folder }
    }

    pub fn import(&self, archive: &[u8]) -> Result<Imported, ImageStoreError> {
        self.store.import("test:1", file(archive))
    }

    /// Imports what is fine.
    pub fn image(&self, archive: &[u8]) -> StoredImage {
        self.import(archive).unwrap().image
    }

    /// The first line of why an archive is refused. Nothing of it stays.
    pub fn refusal(&self, archive: &[u8]) -> String {
        let error = self.import(archive).unwrap_err();
        assert!(matches!(error, ImageStoreError::Refused(_)), "{error}");
        assert_eq!(self.left(), Vec::<String>::new());
        assert_eq!(self.store.list().unwrap(), []);
        error.to_string().lines().next().unwrap().to_owned()
    }

    pub fn root(&self) -> PathBuf {
        self.folder.path().join("docker-test/images")
    }

    /// What is in the folders of contents and temporary files.
    pub fn left(&self) -> Vec<String> {
        let mut names = Vec::new();
        for folder in ["contents", "temporary"] {
            for entry in fs::read_dir(self.root().join(folder)).unwrap() {
                names.push(entry.unwrap().file_name().into_string().unwrap());
            }
        }
        names
    }
}

/// A file with this content, read from its start.
pub fn file(content: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    file.rewind().unwrap();
    file
}

/// A tar archive, entry by entry. Names are written as they are.
pub struct Tar(tar::Builder<Vec<u8>>);

impl Tar {
    pub fn new() -> Self {
        Tar(tar::Builder::new(Vec::new()))
    }

    pub fn entry(mut self, name: &str, kind: EntryType, mode: u32, to: &str, data: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        let fields = header.as_gnu_mut().unwrap();
        fields.name[..name.len()].copy_from_slice(name.as_bytes());
        fields.linkname[..to.len()].copy_from_slice(to.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_mtime(1_000_000);
        header.set_size(data.len() as u64);
        header.set_cksum();
        self.0.append(&header, data).unwrap();
        self
    }

    pub fn file(self, name: &str, text: &str) -> Self {
        self.entry(name, EntryType::Regular, 0o644, "", text.as_bytes())
    }

    pub fn data(self, name: &str, data: &[u8]) -> Self {
        self.entry(name, EntryType::Regular, 0o644, "", data)
    }

    pub fn folder(self, name: &str) -> Self {
        self.entry(name, EntryType::Directory, 0o755, "", b"")
    }

    pub fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(name, EntryType::Symlink, 0o777, target, b"")
    }

    pub fn link(self, name: &str, target: &str) -> Self {
        self.entry(name, EntryType::Link, 0o644, target, b"")
    }

    pub fn special(self, name: &str, kind: EntryType) -> Self {
        self.entry(name, kind, 0o600, "", b"")
    }

    pub fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

pub fn digest(bytes: &[u8]) -> Digest {
    Digest::of(bytes).unwrap()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

pub fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder =
        lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::default()).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// An OCI image layout that is being made.
pub struct Layout {
    tar: Tar,
    manifests: Vec<serde_json::Value>,
}

impl Layout {
    pub fn new() -> Self {
        Layout {
            tar: Tar::new().file("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#),
            manifests: Vec::new(),
        }
    }

    fn add(&mut self, bytes: &[u8]) -> serde_json::Value {
        let digest = digest(bytes);
        let tar = std::mem::replace(&mut self.tar, Tar::new());
        self.tar = tar.data(&format!("blobs/sha256/{}", digest.hex()), bytes);
        json!({"digest": digest.as_str(), "size": bytes.len()})
    }

    pub fn blob(&mut self, media_type: &str, bytes: &[u8]) -> serde_json::Value {
        let mut descriptor = self.add(bytes);
        descriptor["mediaType"] = media_type.into();
        descriptor
    }

    /// An image of these layers, each with its media type; its manifest's descriptor.
    pub fn image(&mut self, architecture: &str, layers: &[(&str, Vec<u8>)]) -> serde_json::Value {
        let layers: Vec<_> = layers
            .iter()
            .map(|(media_type, bytes)| self.blob(media_type, bytes))
            .collect();
        let config = config(architecture, &[]);
        let config = self.blob("application/vnd.oci.image.config.v1+json", &config);
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers});
        self.blob(
            "application/vnd.oci.image.manifest.v1+json",
            manifest.to_string().as_bytes(),
        )
    }

    pub fn with(mut self, manifest: serde_json::Value) -> Self {
        self.manifests.push(manifest);
        self
    }

    pub fn bytes(self) -> Vec<u8> {
        let index = json!({"schemaVersion": 2, "manifests": self.manifests});
        self.tar.file("index.json", &index.to_string()).bytes()
    }
}

/// What the label of each says that it is made of.
pub const CONTENT: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// An image's config.
pub fn config(architecture: &str, diff_ids: &[&str]) -> Vec<u8> {
    let config = json!({
        "os": "linux",
        "architecture": architecture,
        "config": {"Env": ["PATH=/bin:/opt/bin", "odd"], "WorkingDir": "/srv",
                   "Labels": {"a": "b", ContentDigest::LABEL: CONTENT}},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    config.to_string().into_bytes()
}

/// An OCI layout with one image for this machine.
pub fn layout(layers: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut layout = Layout::new();
    let manifest = layout.image(machine(), layers);
    layout.with(manifest).bytes()
}

/// What `docker save` wrote before version 25.
pub fn saved(names: &[&str], layers: &[&[u8]]) -> Vec<u8> {
    let ids: Vec<_> = layers.iter().map(|layer| digest(layer)).collect();
    let ids: Vec<&str> = ids.iter().map(Digest::as_str).collect();
    let config = config(machine(), &ids);
    let config_name = format!("{}.json", digest(&config).hex());
    let mut tar = Tar::new();
    let mut parts = Vec::new();
    for (at, layer) in layers.iter().enumerate() {
        let part = format!("layer-{at}/layer.tar");
        tar = tar.data(&part, layer);
        parts.push(part);
    }
    let manifest = json!([{"Config": config_name, "RepoTags": names, "Layers": parts}]);
    tar.data(&config_name, &config)
        .file("manifest.json", &manifest.to_string())
        .bytes()
}
