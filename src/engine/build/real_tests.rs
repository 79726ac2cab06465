//! Builds with a real engine, where there is one, on a base of busybox.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::*;
use crate::engine::Image;
use crate::engine::docker::real_tests::Real;

const BUSYBOX: &str = "/bin/busybox";
/// What the Dockerfile's steps call.
const APPLETS: [&str; 6] = ["sh", "grep", "mkdir", "chown", "chmod", "find"];

/// What one test builds; it is removed at the end.
struct Builds<'r> {
    real: &'r Real,
    request: BuildRequest,
    images: Vec<String>,
}

impl<'r> Builds<'r> {
    fn new(real: &'r Real) -> Self {
        let runtime = real.folder.path().join("runtime");
        let mut builds = Builds {
            real,
            request: BuildRequest {
                recipe: Recipe::Isolation,
                base_image: Some(format!("{}-base", real.name)),
                pull: false,
                no_cache: false,
                runtime: Some(runtime.clone()),
                binary: real.folder.path().join("program"),
            },
            images: Vec::new(),
        };
        // A reference of this test's own: the runtime is part of it.
        builds.executable(runtime, &format!("# {}", real.name));
        builds.program("");
        builds.base("one");
        builds
    }

    fn executable(&self, path: PathBuf, script: &str) {
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn program(&self, script: &str) {
        self.executable(self.request.binary.clone(), script);
    }

    /// Makes the base anew.
    fn base(&mut self, text: &str) {
        let mut tar = tar::Builder::new(Vec::new());
        tar.append_path_with_name(BUSYBOX, "bin/busybox").unwrap();
        for applet in APPLETS {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            let path = format!("bin/{applet}");
            tar.append_link(&mut header, path, BUSYBOX).unwrap();
        }
        for (path, text) in [("etc/passwd", ""), ("etc/group", ""), ("etc/motd", text)] {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            header.set_size(text.len() as u64);
            tar.append_data(&mut header, path, text.as_bytes()).unwrap();
        }
        let name = self.request.base_image.clone().unwrap();
        let call = self.real.docker.call(["import", "-", &name]);
        call.stdin(tar.into_inner().unwrap()).run().unwrap();
        self.note(&name);
    }

    fn note(&mut self, reference: &str) -> Image {
        let image = self.real.docker.image(reference).unwrap().unwrap();
        self.images.push(image.id.clone());
        image
    }

    fn build(&mut self) -> Image {
        let built = build(&self.real.docker, &self.request, &mut |_| {}).unwrap();
        let image = self.note(&built.reference);
        assert!(image.content.is_some());
        assert_eq!(built.digest, image.content);
        image
    }
}

impl Drop for Builds<'_> {
    fn drop(&mut self) {
        // What is built on another goes first.
        for id in self.images.iter().rev() {
            let _ = self.real.docker.call(["image", "rm", "--force", id]).run();
        }
    }
}

fn builds_of_the_same_parts_have_the_same_content(real: &Real) {
    let mut builds = Builds::new(real);
    let first = builds.build();
    builds.request.no_cache = true;
    let again = builds.build();
    assert_eq!(again.content, first.content);
    assert_ne!(again.id, first.id);
    builds.request.no_cache = false;

    builds.program("# another");
    let program = builds.build();
    builds.base("two");
    let base = builds.build();
    assert_ne!(program.content, first.content);
    assert_ne!(base.content, program.content);
    builds.program("");
    let back = builds.build();
    assert_ne!(back.content, first.content);
}

#[test]
fn docker_builds_of_the_same_parts_have_the_same_content() {
    if let Some(real) = Real::new(Docker::new("docker")) {
        builds_of_the_same_parts_have_the_same_content(&real);
    }
}

#[test]
fn podman_builds_of_the_same_parts_have_the_same_content() {
    if let Some(real) = Real::new(Docker::podman("podman")) {
        builds_of_the_same_parts_have_the_same_content(&real);
    }
}
