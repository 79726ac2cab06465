//! A root filesystem's own archive.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::*;

fn mode(image: &StoredImage, name: &str) -> u32 {
    let found = fs::symlink_metadata(image.root.join(name)).unwrap();
    found.permissions().mode() & 0o7777
}

#[test]
fn files_folders_and_links_come_with_their_modes() {
    let fixture = Fixture::new();
    let archive = Tar::new()
        .entry("./", EntryType::Directory, 0o700, "", b"")
        .entry("./bin/", EntryType::Directory, 0o555, "", b"")
        .entry("./bin/su", EntryType::Regular, 0o4755, "", b"12345")
        .entry("./secret", EntryType::Regular, 0o000, "", b"x")
        .entry("./tmp", EntryType::Directory, 0o1777, "", b"")
        .entry("./group", EntryType::Directory, 0o2775, "", b"")
        .symlink("./sh", "/bin/su")
        .link("./bin/other", "./bin/su")
        .file("deep/er/file", "y")
        .bytes();
    let image = fixture.image(&archive);
    assert_eq!(image.id, digest(&archive).as_str());
    assert_eq!(image.reference, "test:1");
    assert_eq!((image.files, image.size_bytes), (5, 7));
    assert_eq!(
        (image.environment, image.working_directory.clone()),
        (vec![], None)
    );
    let image = fixture.store.find("test:1").unwrap().unwrap();
    for (name, wanted) in [
        ("", 0o755),
        ("bin", 0o755),
        ("bin/su", 0o755),
        ("secret", 0o400),
        ("tmp", 0o1777),
        ("group", 0o775),
        ("deep/er", 0o755),
    ] {
        assert_eq!(mode(&image, name), wanted, "{name}");
    }
    assert_eq!(
        fs::read_link(image.root.join("sh")).unwrap(),
        PathBuf::from("/bin/su")
    );
    let found = fs::metadata(image.root.join("bin/other")).unwrap();
    assert_eq!((found.nlink(), found.mtime()), (2, 1_000_000));
}

#[test]
fn compressions() {
    let archive = Tar::new().file("a", "text").bytes();
    let mut parts = gzip(&archive[..700]);
    parts.extend(gzip(&archive[700..]));
    for packed in [gzip(&archive), zstd(&archive), xz(&archive), parts] {
        let fixture = Fixture::new();
        let image = fixture.image(&packed);
        assert_eq!(image.id, digest(&archive).as_str());
        assert_eq!(fs::read(image.root.join("a")).unwrap(), b"text");
    }
}

#[test]
fn what_cannot_be_read_twice() {
    let archive = Tar::new().data("a", &[7; 100_000]).bytes();
    let (read, mut write) = std::io::pipe().unwrap();
    let fixture = Fixture::new();
    let bytes = archive.clone();
    let writer = std::thread::spawn(move || write.write_all(&bytes).unwrap());
    let read = File::from(std::os::fd::OwnedFd::from(read));
    let image = fixture.store.import("test", read).unwrap().image;
    writer.join().unwrap();
    assert_eq!(
        (image.reference.as_str(), image.id.as_str()),
        ("test:latest", digest(&archive).as_str())
    );
}

#[test]
fn later_entries_win() {
    let archive = Tar::new()
        .file("a", "1")
        .file("a", "22")
        .file("b/c", "3")
        .file("b", "4")
        .file("d", "5")
        .folder("d")
        .file("d/e", "6")
        .symlink("f", "/etc")
        .folder("f")
        .file("f/g", "7")
        .bytes();
    let image = Fixture::new();
    let image = (image.image(&archive), image);
    let text = |name: &str| fs::read_to_string(image.0.root.join(name)).unwrap();
    assert_eq!(
        (text("a"), text("b"), text("d/e"), text("f/g")),
        ("22".into(), "4".into(), "6".into(), "7".into())
    );
}

#[test]
fn a_new_file_does_not_write_through_a_hard_link() {
    let fixture = Fixture::new();
    let image = fixture.image(
        &Tar::new()
            .file("a", "1")
            .link("b", "a")
            .file("b", "22")
            .bytes(),
    );
    assert_eq!(fs::read(image.root.join("a")).unwrap(), b"1");
    assert_eq!(fs::read(image.root.join("b")).unwrap(), b"22");
}

#[test]
fn devices_of_dev_are_left_out() {
    let fixture = Fixture::new();
    let archive = Tar::new()
        .folder("dev")
        .special("dev/console", EntryType::Char)
        .special("./dev/sda", EntryType::Block)
        .special("dev/initctl", EntryType::Fifo)
        .link("dev/tty", "dev/console")
        .symlink("dev/fd", "/proc/self/fd")
        .bytes();
    let imported = fixture.import(&archive).unwrap();
    assert_eq!((imported.left_out, imported.image.files), (4, 1));
}

#[test]
fn sparse_files_get_their_holes() {
    let fixture = Fixture::new();
    let mut header = Header::new_gnu();
    header.set_path("s").unwrap();
    header.set_entry_type(EntryType::GNUSparse);
    header.set_mode(0o644);
    header.set_size(512);
    let fields = header.as_gnu_mut().unwrap();
    fields.sparse[0].offset.copy_from_slice(b"00000002000\0");
    fields.sparse[0].numbytes.copy_from_slice(b"00000001000\0");
    fields.realsize.copy_from_slice(b"00000003000\0");
    header.set_cksum();
    let mut tar = Tar::new();
    tar.0.append(&header, &[b'x'; 512][..]).unwrap();
    let image = fixture.image(&tar.bytes());
    let wanted = [vec![0; 1024], vec![b'x'; 512]].concat();
    assert_eq!(fs::read(image.root.join("s")).unwrap(), wanted);
}

#[test]
fn a_root_may_have_a_manifest_of_its_own() {
    let fixture = Fixture::new();
    let archive = Tar::new()
        .file("manifest.json", r#"{"a": 1}"#)
        .file("index.json", "[]")
        .bytes();
    assert_eq!(fixture.image(&archive).files, 2);
}
