//! Archives that are not taken: one clear line, and nothing stays.

use super::super::Limits;
use super::*;

fn refused(archive: Vec<u8>) -> String {
    Fixture::new().refusal(&archive)
}

#[test]
fn ways_out_of_the_image() {
    for (archive, line) in [
        (
            Tar::new().file("../a", "x"),
            "its entry ../a leads out of the image",
        ),
        (
            Tar::new().file("a/../../b", "x"),
            "its entry a/../../b leads out of the image",
        ),
        (
            Tar::new().file("/nonexistent/passwd", "x"),
            "its entry /nonexistent/passwd leads out of the image",
        ),
        (
            Tar::new().folder(".."),
            "its entry .. leads out of the image",
        ),
        (
            Tar::new()
                .symlink("a", "/nonexistent")
                .file("a/passwd", "x"),
            "its entry a/passwd goes through a, which is a symbolic link",
        ),
        (
            Tar::new().symlink("b/a", "..").folder("b/a/c/"),
            "its entry b/a/c goes through b/a, which is a symbolic link",
        ),
        (
            Tar::new()
                .symlink("a", "/nonexistent")
                .file("a/.wh.passwd", ""),
            "its entry a/passwd goes through a, which is a symbolic link",
        ),
        (
            Tar::new()
                .symlink("a", "/nonexistent")
                .file("a/.wh..wh..opq", ""),
            "its entry a goes through a, which is a symbolic link",
        ),
        (
            Tar::new()
                .symlink("a", "/nonexistent")
                .link("b", "a/passwd"),
            "its entry b goes through a, which is a symbolic link",
        ),
        (
            Tar::new().link("a", "../../nonexistent/passwd"),
            "its entry a is a hard link to ../../nonexistent/passwd, which leads out of it",
        ),
        (
            Tar::new().link("a", "/nonexistent/passwd"),
            "its entry a is a hard link to /nonexistent/passwd, which leads out of it",
        ),
        (
            Tar::new().link("a", "b"),
            "its entry a is a hard link to b, which is not in the image",
        ),
        (
            Tar::new().file("a", "x").link("a", "a"),
            "its entry a is a hard link to a, which is not in the image",
        ),
        (
            Tar::new().folder("a").link("b", "a"),
            "its entry b is a hard link to a, which is not in the image",
        ),
        (
            Tar::new().file("a", "x").file("a/b", "x"),
            "its entry a/b goes through a, which is no folder",
        ),
        (
            Tar::new().file(".wh...", ""),
            "its entry .wh... cannot be made: it hides no name",
        ),
        (
            Tar::new().symlink("./", "/"),
            "its entry ./ cannot be made: the root has to be a folder",
        ),
        (
            Tar::new().symlink("a", ""),
            "its entry a cannot be made: its link leads nowhere",
        ),
    ] {
        assert_eq!(refused(archive.bytes()), line);
    }
}

/// What an earlier layer plants is no way out for a later one.
#[test]
fn ways_out_through_a_lower_layer() {
    let lower = Tar::new().symlink("a", "/nonexistent").bytes();
    for upper in [
        Tar::new().file("a/passwd", "x"),
        Tar::new().file("a/.wh.passwd", ""),
    ] {
        let upper = upper.bytes();
        let line = "its entry a/passwd goes through a, which is a symbolic link";
        let layers = [(OCI_LAYER, lower.clone()), (OCI_LAYER, upper.clone())];
        assert_eq!(refused(layout(&layers)), line);
        assert_eq!(refused(saved(&[], &[&lower, &upper])), line);
    }
}

#[test]
fn what_is_no_file() {
    for (kind, what) in [
        (EntryType::Char, "a device"),
        (EntryType::Block, "a device"),
        (EntryType::Fifo, "a FIFO"),
        (EntryType::new(b'Z'), "of the unknown type 0x5a"),
    ] {
        let archive = Tar::new().special("srv/x", kind).bytes();
        assert_eq!(refused(archive), format!("its entry srv/x is {what}"));
    }
    let archive = Tar::new().special("dev/x", EntryType::new(b'Z')).bytes();
    assert_eq!(
        refused(archive),
        "its entry dev/x is of the unknown type 0x5a"
    );
    let mut tar = Tar::new();
    tar.0
        .append_pax_extensions([("GNU.sparse.major", &b"1"[..])])
        .unwrap();
    assert_eq!(
        refused(tar.file("s", "x").bytes()),
        "its entry s is a sparse file in the form `pax`, which is not understood"
    );
}

#[test]
fn what_is_no_archive() {
    let archive = Tar::new().file("a", &"x".repeat(2000)).bytes();
    let truncated = "it is truncated: it ends in the middle";
    for bytes in [
        vec![],
        archive[..100].to_vec(),
        archive[..600].to_vec(),
        archive[..512 + 2048].to_vec(),
        gzip(&archive)[..60].to_vec(),
        zstd(&archive)[..30].to_vec(),
        xz(&archive)[..60].to_vec(),
        gzip(&[]),
    ] {
        assert_eq!(refused(bytes), truncated);
    }
    for bytes in [
        vec![b'x'; 5000],
        gzip(&[b'x'; 5000]),
        b"\x1f\x8bxxxxxxxxx".to_vec(),
    ] {
        let line = refused(bytes);
        assert!(
            line.starts_with("it is no tar archive, or damaged: "),
            "{line}"
        );
    }
    let mut damaged = gzip(&archive);
    let last = damaged.len() - 6;
    damaged[last] ^= 1;
    let line = refused(damaged);
    assert!(
        line.starts_with("it is no tar archive, or damaged: "),
        "{line}"
    );
}

#[test]
fn what_is_too_large() {
    let mut fixture = Fixture::new();
    let limits = Limits {
        bytes: 64 << 10,
        entries: 20,
    };
    fixture.store.limits = limits;
    let too_large = "it has more than 64 KiB of data, the most that an image may have";
    let zeros = vec![0; 1 << 20];
    let fits = Tar::new().data("a", &zeros[..40 << 10]).bytes();
    // The stream itself, a file's own size, and several layers together.
    assert_eq!(fixture.refusal(&gzip(&zeros)), too_large);
    assert_eq!(
        fixture.refusal(&Tar::new().data("a", &zeros).bytes()),
        too_large
    );
    let name = format!("{OCI_LAYER}+gzip");
    let bomb = Tar::new().data("a", &zeros).bytes();
    assert_eq!(fixture.refusal(&layout(&[(&name, gzip(&bomb))])), too_large);
    let packed = gzip(&fits);
    assert_eq!(
        fixture.refusal(&layout(&[(&name, packed.clone()), (&name, packed)])),
        too_large
    );
    assert_eq!(fixture.refusal(&saved(&[], &[&gzip(&bomb)])), too_large);
    let many = (0..21).fold(Tar::new(), |tar, at| tar.file(&format!("{at}"), ""));
    assert_eq!(
        fixture.refusal(&many.bytes()),
        "it has more than 20 entries, the most that an image may have"
    );
    assert_eq!(fixture.image(&fits).size_bytes, 40 << 10);
}

#[test]
fn headers_that_would_fill_the_memory() {
    let long = "x".repeat(3 << 20);
    for kind in [
        EntryType::GNULongName,
        EntryType::GNULongLink,
        EntryType::XHeader,
    ] {
        let bomb = Tar::new()
            .entry("l", kind, 0, "", long.as_bytes())
            .file("a", "");
        let bomb = bomb.bytes();
        let line = "an entry's headers are larger than 1 MiB";
        assert_eq!(refused(gzip(&bomb)), line);
        let name = format!("{OCI_LAYER}+gzip");
        assert_eq!(refused(layout(&[(&name, gzip(&bomb))])), line);
    }
    let named = |name: String| {
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(0);
        let mut tar = Tar::new();
        tar.0.append_data(&mut header, name, &b""[..]).unwrap();
        refused(tar.bytes())
    };
    let line = named("y".repeat(300));
    assert!(
        line.ends_with(" cannot be made: its name is too long"),
        "{line}"
    );
    let line = named(format!("{}f", "d/".repeat(300)));
    assert!(
        line.ends_with(" cannot be made: it is more than 255 folders deep"),
        "{line}"
    );
}

#[test]
fn wrong_digests() {
    let layer = Tar::new().file("a", "good").bytes();
    let other = Tar::new().file("a", "evil").bytes();
    let swap = |archive: Vec<u8>| {
        let at = archive
            .windows(4)
            .position(|piece| piece == b"good")
            .unwrap();
        [&archive[..at], b"evil", &archive[at + 4..]].concat()
    };
    let (good, evil) = (digest(&layer), digest(&other));
    assert_eq!(
        refused(swap(layout(&[(OCI_LAYER, layer.clone())]))),
        format!(
            "blobs/sha256/{} has the digest {} and should have {}",
            good.hex(),
            evil.as_str(),
            good.as_str()
        )
    );
    assert_eq!(
        refused(swap(saved(&[], &[&layer]))),
        format!(
            "layer-0/layer.tar has the digest {} and should have {}",
            evil.as_str(),
            good.as_str()
        )
    );
    // A config that is another than its name says.
    let archive = saved(&[], &[&layer]);
    let at = archive
        .windows(4)
        .position(|piece| piece == b"/srv")
        .unwrap();
    let line = refused([&archive[..at], b"/tmp", &archive[at + 4..]].concat());
    assert!(line.contains(".json has the digest sha256:"), "{line}");
    let archive = layout(&[(OCI_LAYER, layer)]);
    let at = archive
        .windows(4)
        .position(|piece| piece == b"/srv")
        .unwrap();
    let line = refused([&archive[..at], b"/tmp", &archive[at + 4..]].concat());
    assert!(line.starts_with("blobs/sha256/"), "{line}");
}

#[test]
fn what_is_not_understood() {
    let layer = Tar::new().bytes();
    assert_eq!(
        refused(layout(&[("application/x-thing", layer.clone())])),
        "a layer has the media type application/x-thing, which is not understood"
    );
    assert_eq!(
        refused(layout(&[(
            "application/vnd.oci.image.layer.v1.tar+lz4",
            layer.clone()
        )])),
        "a layer has the media type application/vnd.oci.image.layer.v1.tar+lz4, which is not understood"
    );
    let mut chart = Layout::new();
    let config = chart.blob("application/vnd.cncf.helm.config.v1+json", b"{}");
    let manifest = serde_json::json!({"config": config, "layers": []}).to_string();
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let chart_manifest = chart.blob(kind, manifest.as_bytes());
    assert_eq!(
        refused(chart.with(chart_manifest).bytes()),
        "the config has the media type application/vnd.cncf.helm.config.v1+json, which is not understood"
    );
    let mut odd = Layout::new();
    let manifest = odd.blob("text/plain", b"{}");
    assert_eq!(
        refused(odd.with(manifest).bytes()),
        "the manifest has the media type text/plain, which is not understood"
    );
    let mut sha512 = Layout::new();
    let mut manifest = sha512.image(machine(), &[]);
    manifest["digest"] = "sha512:00".into();
    assert_eq!(
        refused(sha512.with(manifest).bytes()),
        "its digest sha512:00 is not of the form sha256:…"
    );
    let garbage = Tar::new()
        .file("oci-layout", "{}")
        .file("index.json", "{")
        .bytes();
    assert!(refused(garbage).starts_with("its index.json cannot be understood: "));
    assert_eq!(
        refused(Layout::new().bytes()),
        "it is incomplete: an image is missing"
    );
    let zeros = format!("sha256:{}", "0".repeat(64));
    let missing = serde_json::json!({"mediaType": kind, "digest": zeros, "size": 1});
    assert_eq!(
        refused(Layout::new().with(missing).bytes()),
        format!(
            "it is incomplete: blobs/sha256/{} is missing",
            "0".repeat(64)
        )
    );
    let mut short = Layout::new();
    let mut manifest = short.image(machine(), &[]);
    let size = manifest["size"].as_u64().unwrap();
    manifest["size"] = (size + 1).into();
    assert!(
        refused(short.with(manifest).bytes())
            .ends_with(&format!("it has {size} bytes and should have {}", size + 1))
    );
    let fewer = Tar::new()
        .data("c", &config_of(&["sha256:0"]))
        .file("manifest.json", r#"[{"Config":"c","Layers":[]}]"#);
    assert_eq!(
        refused(fewer.bytes()),
        "its manifest.json cannot be understood: it has not as many layers as the image's config"
    );
    let absent = Tar::new().file("manifest.json", r#"[{"Config":"c","Layers":[]}]"#);
    assert_eq!(refused(absent.bytes()), "it is incomplete: c is missing");
}

fn config_of(layers: &[&str]) -> Vec<u8> {
    config(machine(), layers)
}

#[test]
fn foreign_machines() {
    let line = format!(
        "it is for linux/s390x, and this machine is linux/{}",
        machine()
    );
    let mut layout = Layout::new();
    let manifest = layout.image("s390x", &[]);
    assert_eq!(refused(layout.with(manifest).bytes()), line);
    let archive = Tar::new()
        .data("c", &config("s390x", &[]))
        .file("manifest.json", r#"[{"Config":"c","Layers":[]}]"#);
    assert_eq!(refused(archive.bytes()), line);
}
