//! What is kept, shared, held, removed, and left by those who died.

use std::fs;

use super::*;

#[test]
fn nothing_is_made_by_looking() {
    let fixture = Fixture::new();
    assert_eq!(fixture.store.list().unwrap(), []);
    assert_eq!(fixture.store.find("a").unwrap(), None);
    let error = fixture.store.remove("a").unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no image a:latest\nhint: `docker-test image list` shows those that were imported"
    );
    assert!(!fixture.root().exists());
}

#[test]
fn where_it_is() {
    let at = |data: Option<&str>, home: Option<&str>| {
        ImageStore::open(data.map(Into::into), home.map(Into::into))
            .map(|store| store.folders.content("sha256:ab"))
            .ok()
    };
    let below = |path: &str| Some(PathBuf::from(path));
    assert_eq!(
        at(Some("/x"), Some("/h")),
        below("/x/docker-test/images/contents/ab")
    );
    for data in [None, Some(""), Some("x")] {
        let home = "/h/.local/share/docker-test/images/contents/ab";
        assert_eq!(at(data, Some("/h")), below(home));
        assert_eq!(at(data, None), None);
    }
}

#[test]
fn two_names_share_a_content() {
    let fixture = Fixture::new();
    let archive = Tar::new().file("a", "x").bytes();
    let one = fixture.store.import("one", file(&archive)).unwrap().image;
    let two = fixture
        .store
        .import("b/two:2", file(&archive))
        .unwrap()
        .image;
    assert_eq!(one.root, two.root);
    let names = |images: Vec<StoredImage>| -> Vec<String> {
        images.into_iter().map(|image| image.reference).collect()
    };
    assert_eq!(
        names(fixture.store.list().unwrap()),
        ["b/two:2", "one:latest"]
    );
    fixture.store.remove("one:latest").unwrap();
    assert!(two.root.join("a").exists());
    fixture.store.remove("b/two:2").unwrap();
    assert_eq!(fixture.left(), Vec::<String>::new());
    assert!(fixture.store.remove("one").is_err());
}

#[test]
fn a_name_moves_to_a_new_content() {
    let fixture = Fixture::new();
    let old = fixture.image(&Tar::new().file("a", "1").bytes());
    let new = fixture.image(&Tar::new().file("a", "2").bytes());
    assert_ne!(old.id, new.id);
    assert!(!old.root.exists());
    assert_eq!(fs::read(new.root.join("a")).unwrap(), b"2");
    assert_eq!(fixture.store.list().unwrap(), [new]);
}

#[test]
fn an_image_in_use_stays() {
    let fixture = Fixture::new();
    let image = fixture.image(&Tar::new().file("a", "1").bytes());
    let (first, second) = (image.hold().unwrap(), image.hold().unwrap());
    let error = fixture.store.remove("test:1").unwrap_err();
    assert_eq!(
        error.to_string(),
        "test:1 cannot be removed: a run uses it\nhint: wait for the run's end"
    );
    drop(first);
    // A new image of that name takes the name, and nothing from whoever uses the old one.
    fixture.image(&Tar::new().file("a", "2").bytes());
    assert_eq!(fs::read(image.root.join("a")).unwrap(), b"1");
    drop(second);
    fixture.image(&Tar::new().file("a", "2").bytes());
    assert!(!image.root.exists());
    fixture.store.remove("test:1").unwrap();
    let error = image.hold().unwrap_err();
    assert!(error.to_string().starts_with("there is no image test:1\n"));
    assert_eq!(fixture.left(), Vec::<String>::new());
}

/// Whoever dies while he imports leaves a folder without a lock, a content without a reference, or
/// a reference's file that is not renamed yet.
#[test]
fn what_the_dead_left_is_swept() {
    let fixture = Fixture::new();
    let image = fixture.image(&Tar::new().file("a", "1").bytes());
    let root = fixture.root();
    fs::create_dir_all(root.join("temporary/dead/content/rootfs/x")).unwrap();
    fs::create_dir_all(root.join("contents/dead/rootfs")).unwrap();
    fs::write(root.join("references/dead.new"), "{").unwrap();
    assert_eq!(fixture.store.list().unwrap(), std::slice::from_ref(&image));
    let store = fixture.store.folders.lock().unwrap();
    let alive = fixture.store.folders.work(&store).unwrap();
    drop(store);
    fixture
        .store
        .import("other", file(&Tar::new().file("b", "").bytes()))
        .unwrap();
    assert!(!root.join("temporary/dead").exists());
    assert!(!root.join("contents/dead").exists());
    assert!(alive.path().exists());
    assert!(image.root.exists());
}

#[test]
fn a_content_that_somebody_damaged_is_made_anew() {
    let fixture = Fixture::new();
    let archive = Tar::new().file("a", "1").bytes();
    let image = fixture.image(&archive);
    fs::remove_file(image.root.with_file_name("image.json")).unwrap();
    assert_eq!(fixture.store.find("test:1").unwrap(), None);
    fixture.image(&archive);
    assert!(fixture.store.find("test:1").unwrap().is_some());
    let name = digest(b"test:1");
    let path = fixture.root().join("references").join(name.hex());
    fs::write(&path, "{").unwrap();
    let error = fixture.store.find("test:1").unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("{} cannot be understood: ", path.display())),
        "{error}"
    );
    assert!(
        error.ends_with("\nhint: remove it, and import the image again"),
        "{error}"
    );
}

#[test]
fn several_at_once() {
    let fixture = Fixture::new();
    std::thread::scope(|scope| {
        for at in 0..8 {
            let store = fixture.store.clone();
            scope.spawn(move || {
                let archive = Tar::new().file("a", &format!("{}", at % 3)).bytes();
                let name = format!("image-{}", at % 4);
                for _ in 0..5 {
                    store.import(&name, file(&archive)).unwrap();
                    if let Some(image) = store.find(&name).unwrap()
                        && let Ok(hold) = image.hold()
                    {
                        assert!(image.root.join("a").exists());
                        drop(hold);
                    }
                    let _ = store.remove(&format!("image-{}", (at + 1) % 4));
                }
            });
        }
    });
    for image in fixture.store.list().unwrap() {
        assert!(image.root.join("a").exists());
        fixture.store.remove(&image.reference).unwrap();
    }
    assert_eq!(fixture.left(), Vec::<String>::new());
}

#[test]
fn a_full_disk() {
    let error = ImageStoreError::io(
        std::path::Path::new("/x"),
        std::io::Error::from(std::io::ErrorKind::StorageFull),
    );
    assert_eq!(
        error.to_string(),
        "no space is left at /x\nhint: free some, or let XDG_DATA_HOME name a folder on a larger disk"
    );
}
