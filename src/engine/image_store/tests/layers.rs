//! Images of layers: OCI layouts and what `docker save` writes.

use std::fs;

use super::*;

/// Two layers with everything that layers can do to each other; what has to be there then.
fn two() -> (Vec<u8>, Vec<u8>) {
    let lower = Tar::new()
        .file("gone", "x")
        .file("tree/a/b", "x")
        .file("opaque/old", "x")
        .file("opaque/sub/old", "x")
        .file("kept/both", "lower")
        .file("linked", "x")
        .bytes();
    let upper = Tar::new()
        .file(".wh.gone", "")
        .file(".wh.tree", "")
        .file("opaque/new", "x")
        .file("opaque/sub/new", "x")
        .file("opaque/.wh..wh..opq", "")
        .file("kept/both", "upper")
        .file("kept/.wh.both", "")
        .file(".wh..wh.plnk", "")
        .link("again", "linked")
        .file(".wh.missing/", "")
        .bytes();
    (lower, upper)
}

fn check_two(image: &StoredImage) {
    let mut found: Vec<String> = walkdir::WalkDir::new(&image.root)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| !entry.file_type().is_dir())
        .map(|entry| {
            entry
                .path()
                .strip_prefix(&image.root)
                .unwrap()
                .display()
                .to_string()
        })
        .collect();
    found.sort();
    assert_eq!(
        found,
        [
            "again",
            "kept/both",
            "linked",
            "opaque/new",
            "opaque/sub/new"
        ]
    );
    assert_eq!(fs::read(image.root.join("kept/both")).unwrap(), b"upper");
    assert!(!image.root.join("tree").exists());
    let environment = vec![("PATH".to_owned(), "/bin:/opt/bin".to_owned())];
    assert_eq!(image.environment, environment);
    assert_eq!(image.content, ContentDigest::parse(CONTENT));
    assert_eq!(image.working_directory.as_deref(), Some("/srv"));
}

#[test]
fn whiteouts_hard_links_and_compressions() {
    let (lower, upper) = two();
    let gzipped = format!("{OCI_LAYER}+gzip");
    let zstandard = format!("{OCI_LAYER}+zstd");
    let fixture = Fixture::new();
    check_two(&fixture.image(&layout(&[
        (OCI_LAYER, lower.clone()),
        (OCI_LAYER, upper.clone()),
    ])));
    let fixture = Fixture::new();
    let archive = layout(&[(&gzipped, gzip(&lower)), (&zstandard, zstd(&upper))]);
    let image = fixture.image(&archive);
    check_two(&image);
    assert_eq!(image.id, digest(&config(machine(), &[])).as_str());
}

#[test]
fn docker_save() {
    let (lower, upper) = two();
    let fixture = Fixture::new();
    check_two(&fixture.image(&saved(&["a:1"], &[&lower, &upper])));
}

/// Some versions write a layer once, and links to it.
#[test]
fn docker_save_with_links() {
    let layer = Tar::new().file("a", "x").bytes();
    let id = digest(&layer);
    let config = config(machine(), &[id.as_str(), id.as_str()]);
    let manifest =
        serde_json::json!([{"Config": "c.json", "Layers": ["1/layer.tar", "2/layer.tar"]}]);
    let archive = Tar::new()
        .data("1/layer.tar", &layer)
        .symlink("2/layer.tar", "../1/layer.tar")
        .data("c.json", &config)
        .file("manifest.json", &manifest.to_string())
        .bytes();
    let image = Fixture::new();
    assert_eq!(image.image(&archive).files, 1);
}

/// Since version 25 `docker save` writes both.
#[test]
fn docker_save_that_is_a_layout_too() {
    let (lower, upper) = two();
    let layers = [(OCI_LAYER, lower), (OCI_LAYER, upper)];
    let mut layout = Layout::new();
    let manifest = layout.image(machine(), &layers);
    layout.tar = layout.tar.file(
        "manifest.json",
        r#"[{"Config":"?","RepoTags":null,"Layers":["?"]}]"#,
    );
    check_two(&Fixture::new().image(&layout.with(manifest).bytes()));
}

#[test]
fn this_machines_image_of_an_index() {
    let (lower, upper) = two();
    let mut layout = Layout::new();
    let mut foreign = layout.image("s390x", &[(OCI_LAYER, Tar::new().bytes())]);
    foreign["platform"] = serde_json::json!({"os": "linux", "architecture": "s390x"});
    let mut ours = layout.image(machine(), &[(OCI_LAYER, lower), (OCI_LAYER, upper)]);
    ours["platform"] = serde_json::json!({"os": "linux", "architecture": machine()});
    // An attestation: what it points to need not be there.
    let unknown = serde_json::json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": format!("sha256:{}", "0".repeat(64)), "size": 1,
        "platform": {"os": "unknown", "architecture": "unknown"},
    });
    let inner = serde_json::json!({"schemaVersion": 2, "manifests": [foreign, ours, unknown]});
    let index = layout.blob(
        "application/vnd.oci.image.index.v1+json",
        inner.to_string().as_bytes(),
    );
    check_two(&Fixture::new().image(&layout.with(index).bytes()));
}

#[test]
fn the_image_that_is_named_among_several() {
    let mut layout = Layout::new();
    let mut one = layout.image(
        machine(),
        &[(OCI_LAYER, Tar::new().file("one", "").bytes())],
    );
    let inner = Tar::new().file("two", "").bytes();
    let config = config(machine(), &["sha256:0"]);
    let config = layout.blob("application/vnd.oci.image.config.v1+json", &config);
    let layer = layout.blob(OCI_LAYER, &inner);
    let manifest = serde_json::json!({"config": config, "layers": [layer]}).to_string();
    let kind = "application/vnd.docker.distribution.manifest.v2+json";
    let mut two = layout.blob(kind, manifest.as_bytes());
    one["annotations"] = serde_json::json!({"org.opencontainers.image.ref.name": "test:0"});
    two["annotations"] =
        serde_json::json!({"io.containerd.image.name": "docker.io/library/test:1"});
    let archive = layout.with(one).with(two).bytes();
    let fixture = Fixture::new();
    assert!(fixture.image(&archive).root.join("two").exists());
    let error = fixture.store.import("other", file(&archive)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "it has 2 images, and not exactly one of them is named other:latest\n\
         hint: its names are: test:0, docker.io/library/test:1"
    );
}
