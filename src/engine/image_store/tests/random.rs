//! No sequence of entries writes outside the root.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;

use super::super::layer::{Budget, apply};
use super::super::tree::Tree;
use super::super::{LIMITS, place::Place};
use super::*;

/// Names that meet often, and lead everywhere.
fn name() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "a",
        "b",
        "c",
        "..",
        ".",
        "",
        ".wh.a",
        ".wh.b",
        ".wh..wh..opq",
    ]);
    prop::collection::vec(word, 1..5).prop_map(|words| words.join("/"))
}

fn target() -> impl Strategy<Value = String> {
    prop_oneof![
        name(),
        Just("OUTSIDE".to_owned()),
        Just("OUTSIDE/file".to_owned()),
        Just("../../outside".to_owned()),
        Just("../outside/file".to_owned()),
    ]
}

fn kind() -> impl Strategy<Value = EntryType> {
    prop::sample::select(vec![
        EntryType::Regular,
        EntryType::Directory,
        EntryType::Symlink,
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Link,
        EntryType::Char,
    ])
}

/// Everything outside: names, modes and contents.
fn outside(folder: &std::path::Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .filter_entry(|entry| entry.file_name() != "root")
        .map(|entry| {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode();
            let text = fs::read(entry.path()).unwrap_or_default();
            (entry.into_path(), (mode, text))
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_written_outside(
        layers in prop::collection::vec(
            prop::collection::vec((name(), kind(), target(), 0..0o10000_u32), 1..8),
            1..4,
        )
    ) {
        let folder = tempfile::tempdir().unwrap();
        let beside = folder.path().join("outside");
        fs::create_dir(&beside).unwrap();
        fs::write(beside.join("file"), "untouched").unwrap();
        let before = outside(folder.path());
        let root = folder.path().join("root");
        let tree = Tree::create(&root).unwrap();
        let mut budget = Budget::new(LIMITS);
        let spell = |to: &str| to.replace("OUTSIDE", beside.to_str().unwrap());
        for layer in layers {
            // Each entry by itself, so that one that is refused does not shield the others.
            for (name, kind, to, mode) in layer {
                let data: &[u8] = if kind == EntryType::Regular { b"evil" } else { b"" };
                let archive = Tar::new().entry(&name, kind, mode, &spell(&to), data).bytes();
                let _ = apply(&tree, archive.as_slice(), true, &mut budget);
            }
        }
        prop_assert_eq!(outside(folder.path()), before);
        for entry in walkdir::WalkDir::new(&root) {
            let entry = entry.unwrap();
            let found = entry.metadata().unwrap();
            if !entry.file_type().is_symlink() {
                prop_assert_eq!(found.permissions().mode() & 0o6000, 0);
            }
        }
    }

    #[test]
    fn a_place_is_below_its_root(name in "[./a\\x00-\\x02]{0,12}") {
        if let Ok(place) = Place::parse(name.as_bytes()) {
            let path = PathBuf::from(std::str::from_utf8(place.as_bytes()).unwrap());
            prop_assert!(path.components().all(|part| matches!(part, std::path::Component::Normal(_))));
        }
    }
}
