//! The layer table of doc/architecture.md, held against the imports.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::repository;

/// Lower layers first. A module imports only from layers below its own, and from itself.
const LAYERS: [&[&str]; 6] = [
    &["model"],
    &["protocol", "event"],
    &["config", "suite", "plan", "worker"],
    &["engine", "store", "host"],
    &["run", "report"],
    &["command", "cli"],
];

/// Within a layer these lean on each other, in this direction.
const ALLOWED_IN_LAYER: [(&str, &str); 6] = [
    ("event", "protocol"),
    ("suite", "config"),
    ("plan", "config"),
    ("plan", "suite"),
    ("engine", "host"),
    ("command", "cli"),
];

/// One home per library.
const HOMES: [(&str, &[&str]); 18] = [
    ("askama", &["report"]),
    ("csv", &["report"]),
    ("duct", &["engine"]),
    ("flate2", &["engine"]),
    ("lzma_rust2", &["engine"]),
    ("zstd", &["engine"]),
    ("rusqlite", &["store"]),
    ("serde_yaml", &["config"]),
    ("sysinfo", &["host", "worker"]),
    ("owo_colors", &["report"]),
    ("indicatif", &["report"]),
    ("similar", &["report"]),
    ("terminal_size", &["command"]),
    ("quick_junit", &["report"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("landlock", &["worker"]),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every source file with the module that it belongs to and its text without comments.
fn modules() -> Vec<(String, PathBuf, String)> {
    let src = repository().join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    files
        .into_iter()
        .filter(|path| *path != src.join("main.rs"))
        .map(|path| {
            let inside = path.strip_prefix(&src).unwrap();
            let first = inside
                .components()
                .next()
                .unwrap()
                .as_os_str()
                .to_str()
                .unwrap();
            let module = first.trim_end_matches(".rs").to_owned();
            let text = fs::read_to_string(&path).unwrap();
            let code: Vec<&str> = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .collect();
            (module, path.clone(), code.join("\n"))
        })
        .collect()
}

#[test]
fn imports_go_downward() {
    let layer: BTreeMap<&str, usize> = LAYERS
        .iter()
        .enumerate()
        .flat_map(|(at, names)| names.iter().map(move |name| (*name, at)))
        .collect();
    for (module, path, code) in modules() {
        let own = *layer
            .get(module.as_str())
            .unwrap_or_else(|| panic!("{module} is in no layer"));
        for (at, _) in code.match_indices("crate::") {
            let name: String = code[at + 7..]
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                .collect();
            let Some(other) = layer.get(name.as_str()) else {
                continue;
            };
            let fine = name == module
                || *other < own
                || ALLOWED_IN_LAYER.contains(&(module.as_str(), name.as_str()));
            assert!(
                fine,
                "{}: {module} (layer {own}) imports {name} (layer {other})",
                path.display()
            );
        }
    }
}

#[test]
fn every_library_has_one_home() {
    for (module, path, code) in modules() {
        for (library, homes) in HOMES {
            let used = code.contains(&format!("{library}::"));
            assert!(
                !used || homes.contains(&module.as_str()),
                "{}: {library} lives in {homes:?}",
                path.display()
            );
        }
    }
}

#[test]
fn no_file_is_long() {
    for (_, path, _) in modules() {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 500, "{} has {lines} lines", path.display());
    }
}
