//! `docker-test image`, as it is typed.

use std::fs::{self, File};
use std::process::Stdio;

use regex::Regex;
use sha2::{Digest, Sha256};
use tar::{EntryType, Header};

use crate::harness::{Project, Said, finish};

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn entry(tar: &mut tar::Builder<Vec<u8>>, name: &str, kind: EntryType, text: &str) {
    let mut header = Header::new_gnu();
    header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(text.len() as u64);
    header.set_cksum();
    tar.append(&header, text.as_bytes()).unwrap();
}

/// A root filesystem's archive.
fn root() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    entry(&mut tar, "bin/sh", EntryType::Regular, "a shell");
    entry(&mut tar, "dev/null", EntryType::Char, "");
    entry(&mut tar, "etc/passwd", EntryType::Regular, "nobody\n");
    tar.into_inner().unwrap()
}

fn id(archive: &[u8]) -> String {
    let digits = Sha256::digest(archive);
    digits.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn project() -> Project {
    Project::new().file("root.tar", root())
}

fn expect(said: &Said, stdout: &str, stderr: &str, status: i32) {
    assert_eq!(
        (said.stdout.as_str(), said.stderr.as_str(), said.status),
        (stdout, stderr, status)
    );
}

#[test]
fn an_image_comes_is_listed_and_goes() {
    let project = project();
    let id = id(&root());
    let short = &id[..12];
    expect(
        &project.run(["image", "list"]),
        "reference  id  size  imported\n",
        "",
        0,
    );
    expect(
        &project.run(["image", "import", "mine", "root.tar"]),
        &format!(
            "imported mine:latest: 2 files, 14 B, sha256:{short}; left out 1 device of dev/\n"
        ),
        "",
        0,
    );
    let said = project.run(["image", "import", "isolation", "root.tar"]);
    assert!(
        said.stdout.starts_with(&format!(
            "imported docker-test/isolation:{VERSION}: 2 files, "
        )),
        "{said:?}"
    );
    let said = project.run(["image", "list"]);
    let time = Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ").unwrap();
    assert_eq!(
        time.replace_all(&said.stdout, "TIME"),
        format!(
            "reference                    id                   size  imported\n\
             docker-test/isolation:{VERSION}  sha256:{short}  14 B  TIME\n\
             mine:latest                  sha256:{short}  14 B  TIME\n"
        )
    );
    let said = project.run(["image", "list", "--message-format", "json"]);
    let line = said.stdout.lines().nth(1).unwrap();
    let mut image: serde_json::Value = serde_json::from_str(line).unwrap();
    let imported = image["imported_unix_us"].take();
    assert!(imported.as_u64().unwrap() > 1_600_000_000_000_000);
    let root = project
        .data()
        .join(format!("docker-test/images/contents/{id}/rootfs"));
    let wanted = serde_json::json!({
        "reference": "mine:latest", "id": format!("sha256:{id}"), "size_bytes": 14, "files": 2,
        "imported_unix_us": null, "root": root, "environment": [], "working_directory": null,
    });
    assert_eq!(image, wanted);
    assert_eq!(fs::read(root.join("bin/sh")).unwrap(), b"a shell");
    expect(
        &project.run(["image", "rm", "isolation", "mine:latest"]),
        &format!("removed docker-test/isolation:{VERSION}\nremoved mine:latest\n"),
        "",
        0,
    );
    assert!(!root.exists());
    expect(
        &project.run(["image", "rm", "mine"]),
        "",
        "error: there is no image mine:latest\n\
         hint: `docker-test image list` shows those that were imported\n",
        3,
    );
}

#[test]
fn an_image_from_stdin() {
    let project = project();
    let mut command = project.command(["image", "import", "mine:2", "-"]);
    command.stdin(Stdio::from(
        File::open(project.path().join("root.tar")).unwrap(),
    ));
    let said = finish(command.spawn().unwrap());
    assert_eq!((said.stderr.as_str(), said.status), ("", 0));
    assert!(
        said.stdout.starts_with("imported mine:2: 2 files, "),
        "{said:?}"
    );
    let said = project.run(["image", "import", "mine:3", "-"]);
    expect(
        &said,
        "",
        "error: - cannot be imported: it is truncated: it ends in the middle\n\
         hint: get or make the archive again\n",
        3,
    );
}

#[test]
fn a_wrong_command_line() {
    let hint =
        "hint: docker-test --help, and docker-test COMMAND --help, show what can be written\n";
    let digest = format!("a@sha256:{}", "0".repeat(64));
    for (name, why) in [
        ("host", "host is this machine's own programs, and no image"),
        (
            digest.as_str(),
            "write a name without a digest, such as debian:12",
        ),
        (
            "../x",
            "invalid image '../x': write isolation, full, host or a reference such as debian:12",
        ),
    ] {
        expect(
            &project().run(["image", "import", name, "root.tar"]),
            "",
            &format!("error: invalid value '{name}' for '<NAME>': {why}\n{hint}"),
            2,
        );
    }
    let missing = "error: no.tar cannot be read: No such file or directory (os error 2)\n";
    expect(
        &project().run(["image", "import", "a", "no.tar"]),
        "",
        missing,
        2,
    );
    let folder = "error: . cannot be read: it is a folder\n";
    expect(&project().run(["image", "import", "a", "."]), "", folder, 2);
    assert_eq!(project().run(["image"]).status, 2);
    assert_eq!(project().run(["image", "rm"]).status, 2);
}

#[test]
fn an_archive_that_leads_out() {
    let mut tar = tar::Builder::new(Vec::new());
    entry(&mut tar, "../\x1b[31mx", EntryType::Regular, "evil");
    let project = Project::new().file("evil.tar", tar.into_inner().unwrap());
    expect(
        &project.run(["image", "import", "a", "evil.tar"]),
        "",
        "error: evil.tar cannot be imported: its entry ../\\x1b[31mx leads out of the image\n\
         hint: make the archive with `tar -C ROOT -cf FILE .`\n",
        3,
    );
    let images = project.data().join("docker-test/images");
    for folder in ["contents", "references", "temporary"] {
        assert_eq!(
            fs::read_dir(images.join(folder)).unwrap().count(),
            0,
            "{folder}"
        );
    }
}

#[test]
fn no_place_for_images() {
    let project = project()
        .env("XDG_DATA_HOME", "not/absolute")
        .env("HOME", "");
    expect(
        &project.run(["image", "list"]),
        "",
        "error: images cannot be kept: neither XDG_DATA_HOME nor HOME is an absolute path\n\
         hint: set XDG_DATA_HOME\n",
        3,
    );
}

#[test]
fn an_image_in_use_stays() {
    let project = project().fake_docker("exit 0");
    assert_eq!(
        project.run(["image", "import", "used", "root.tar"]).status,
        0
    );
    let content = format!("docker-test/images/contents/{}", id(&root()));
    let lock = File::open(project.data().join(content)).unwrap();
    lock.lock_shared().unwrap();
    expect(
        &project.run(["image", "rm", "used"]),
        "",
        "error: used:latest cannot be removed: a run uses it\nhint: wait for the run's end\n",
        3,
    );
    expect(
        &project.run(["clean", "--images"]),
        "kept imported image used:latest: a run uses it\n",
        "",
        0,
    );
    drop(lock);
    expect(
        &project.run(["clean", "--images"]),
        "removed imported image used:latest\n",
        "",
        0,
    );
    expect(
        &project.run(["clean", "--images"]),
        "nothing to remove\n",
        "",
        0,
    );
}

#[test]
fn every_image_command_shows_an_example() {
    for command in ["import", "list", "rm"] {
        let said = Project::new().run(["image", command, "--help"]);
        assert_eq!((said.stderr.as_str(), said.status), ("", 0), "{command}");
        let example = format!("  docker-test image {command}");
        assert!(said.stdout.contains(&example), "{}", said.stdout);
    }
}
