//! The folder that a build is made from: a Dockerfile, the program, and the project's runtime.

use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::{BuildError, Recipe};
use crate::model::{ByteText, ContentDigest};

/// The folder in the context whose files go to /usr/local/bin.
pub const BINARIES: &str = "bin/";
/// The program's name there.
const PROGRAM: &str = "docker-test";

/// Makes the context in a folder that is removed with its handle.
///
/// # Errors
/// The runtime is no executable file or has the program's name; a file cannot be copied.
pub fn make(recipe: Recipe, binary: &Path, runtime: Option<&Path>) -> Result<TempDir, BuildError> {
    if let Some(path) = runtime {
        check_runtime(path)?;
    }
    let folder = tempfile::Builder::new()
        .prefix("docker-test-build-")
        .tempdir()
        .map_err(at(&std::env::temp_dir()))?;
    let binaries = folder.path().join(BINARIES);
    fs::create_dir(&binaries).map_err(at(&binaries))?;
    let dockerfile = folder.path().join("Dockerfile");
    fs::write(&dockerfile, recipe.dockerfile()).map_err(at(&dockerfile))?;
    place(binary, &binaries.join(PROGRAM))?;
    if let Some((path, name)) = runtime.and_then(|path| Some((path, path.file_name()?))) {
        place(path, &binaries.join(name))?;
    }
    Ok(folder)
}

/// What an image of this context on the base with this id is made of: a SHA-256 over those of the
/// Dockerfile and the binaries, over their names and the id. What else a Dockerfile gets, packages
/// say, is not in it.
///
/// # Errors
/// A file cannot be read.
pub fn content(context: &Path, base_id: &str) -> Result<ContentDigest, BuildError> {
    let of = |path: &Path| sha256(path).map_err(at(path));
    let binaries = context.join(BINARIES);
    let mut names: Vec<_> = fs::read_dir(&binaries)
        .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect())
        .map_err(at(&binaries))?;
    names.sort();
    let mut digest = Sha256::new();
    // With its length, so that no two sets of parts look the same.
    let mut add = |part: &[u8]| {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    };
    add(&of(&context.join("Dockerfile"))?);
    add(base_id.as_bytes());
    for name in names {
        add(name.as_encoded_bytes());
        add(&of(&binaries.join(name))?);
    }
    Ok(ContentDigest::of_sha256(digest.finalize().into()))
}

/// The first twelve hexadecimal digits of the runtime file's SHA-256.
///
/// # Errors
/// It is no executable file, or cannot be read.
pub fn runtime_digest(path: &Path) -> Result<String, BuildError> {
    check_runtime(path)?;
    let digest = sha256(path).map_err(|error| refused(path, error.to_string()))?;
    Ok(digest[..6]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// In pieces: a runtime can be 100 MB.
fn sha256(path: &Path) -> io::Result<[u8; 32]> {
    let mut file = File::open(path)?;
    let mut digest = Sha256::new();
    let mut piece = vec![0; 64 << 10];
    loop {
        match file.read(&mut piece)? {
            0 => break,
            count => digest.update(&piece[..count]),
        }
    }
    Ok(digest.finalize().into())
}

fn check_runtime(path: &Path) -> Result<(), BuildError> {
    let metadata = fs::metadata(path).map_err(|error| refused(path, error.to_string()))?;
    if !metadata.is_file() {
        return Err(refused(path, "it is not a file".into()));
    }
    if metadata.permissions().mode() & 0o111 == 0 {
        return Err(refused(path, "it is not executable".into()));
    }
    if path.file_name().is_none_or(|name| name == PROGRAM) {
        return Err(refused(
            path,
            format!("the name {PROGRAM} is taken in the image"),
        ));
    }
    Ok(())
}

fn refused(path: &Path, why: String) -> BuildError {
    BuildError::Prerequisite {
        what: "suite.runtime",
        path: ByteText::from(path.as_os_str()),
        why,
        hint: "name an interpreter's binary, built for Linux and best linked statically",
    }
}

/// Copies an executable so that everybody in the image may start it, whatever its own mode is.
fn place(from: &Path, to: &Path) -> Result<(), BuildError> {
    fs::copy(from, to).map_err(at(from))?;
    fs::set_permissions(to, Permissions::from_mode(0o755)).map_err(at(to))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> BuildError {
    let path = ByteText::from(path.as_os_str());
    move |error| BuildError::Context { path, error }
}
