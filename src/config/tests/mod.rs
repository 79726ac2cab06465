//! What a right file gives, where files are found, and that nothing panics.

mod wrong;

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn read(text: impl AsRef<[u8]>) -> Result<Config, String> {
    parse(text.as_ref(), Config::defaults(PathBuf::from("/p")))
        .map_err(|problem| format!("{}: {}", problem.line, problem.message))
}

fn refused(text: impl AsRef<[u8]>) -> String {
    read(text).unwrap_err()
}

#[test]
fn every_key() {
    let config = read(
        "suite:\n  root: spec\n  include: ['**/*.t', \"b/*\"]\n  exclude: [tmp]\n  \
         command: [prove, '{test}']\n  list: [prove, --list]\n  runtime: /usr/bin/perl\n  \
         env: {A: x, B: 1.10, C: true, D: '', E: 'null', LONG_1: 0x1F}\n\
         image: debian:12\n\
         profiles:\n  fast:\n    timeout: 1s\n  huge:\n    cpus: 3.5\n    memory: 2GiB\n    \
         timeout: 1m30s\n    cpu-time: 500ms\n    open-files: 64\n    pids: 32\n    \
         tmpfs: 1MiB\n    tmpfs-exec: True\n    nice: 19\n    output: 10kB\n    image: full\n\
         default-profile: huge\n\
         rules:\n  - {path: 'a/**', profile: slow}\n  - {path: b, profile: huge}\n\
         workers: 7\nlevel: strict\nnetwork: internal\n\
         violations: {leaked-process: fail, cpu-near: ignore, wall: fail, leaked-ipc: }\n\
         results: out/x\n",
    )
    .unwrap();
    let suite = &config.suite;
    assert_eq!(suite.root, Path::new("spec"));
    assert_eq!(suite.include, ["**/*.t", "b/*"]);
    assert_eq!(suite.exclude, ["tmp"]);
    assert_eq!(suite.command, ["prove", "{test}"]);
    assert_eq!(suite.list, Some(vec!["prove".into(), "--list".into()]));
    assert_eq!(suite.runtime, Some("/usr/bin/perl".into()));
    let env: Vec<_> = suite
        .env
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    assert_eq!(
        env,
        ["A=x", "B=1.10", "C=true", "D=", "E=null", "LONG_1=0x1F"]
    );
    assert_eq!(config.image, Some(ImageChoice::Named("debian:12".into())));
    let violations = BTreeMap::from([
        (ViolationKind::CpuNear, Response::Ignore),
        (ViolationKind::Wall, Response::Fail),
        (ViolationKind::LeakedProcess, Response::Fail),
    ]);
    assert_eq!(config.violations, violations);
    let built_in = built_in_profiles();
    let fast = &config.profiles["fast"];
    assert_eq!(fast.limits.wall, Duration::from_secs(1));
    assert_eq!(fast.limits.pids, built_in["fast"].limits.pids);
    let huge = &config.profiles["huge"];
    assert_eq!((huge.name.as_str(), huge.limits.cpus), ("huge", 3.5));
    assert_eq!(huge.limits.memory_bytes, 2 << 30);
    assert_eq!(huge.limits.wall, Duration::from_secs(90));
    assert_eq!(huge.limits.cpu_time, Duration::from_millis(500));
    assert_eq!((huge.limits.open_files, huge.limits.pids), (64, 32));
    assert_eq!(huge.limits.tmpfs_bytes, 1 << 20);
    assert!(huge.limits.tmpfs_exec);
    assert_eq!((huge.limits.nice, huge.limits.output_bytes), (19, 10_000));
    assert_eq!(huge.image, Some(ImageChoice::Full));
    assert_eq!(config.default_profile, "huge");
    assert_eq!(config.rules.len(), 2);
    assert_eq!(config.rules[1].profile, "huge");
    assert_eq!(config.workers, Workers::Count(7));
    assert_eq!(config.level, Level::Strict);
    assert_eq!(config.network, Network::Internal);
    assert_eq!(config.results_path(), Path::new("/p/out/x"));
}

#[test]
fn a_new_profile_starts_as_the_standard_one() {
    let config = read("profiles: {mine: {nice: 3}}").unwrap();
    let mut expected = built_in_profiles()["standard"].clone();
    expected.name = "mine".into();
    expected.limits.nice = 3;
    assert_eq!(config.profiles["mine"], expected);
    assert_eq!(config.profiles.len(), 5);
    let config = read("profiles: {mine: {nice: 3}, standard: {pids: 9}}").unwrap();
    expected.limits.pids = 9;
    assert_eq!(config.profiles["mine"], expected);
}

#[test]
fn what_is_empty_is_not_set() {
    let defaults = Config::defaults(PathBuf::from("/p"));
    for text in [
        "",
        "\n",
        "# nothing\n",
        "---\n",
        "{}",
        "\u{feff}",
        "suite:\nimage:\nprofiles:\nrules: ~\nworkers: null\n",
        "suite:\n  list: null\n  runtime: null\n  env:\nprofiles:\n  fast:\n",
        "\u{feff}workers: auto\r\nsuite:\r\n  root: test\r\n",
    ] {
        assert_eq!(read(text).as_ref(), Ok(&defaults), "{text:?}");
    }
}

#[test]
fn the_nearest_file_above_is_read() {
    let dir = TempDir::new().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let sub = root.join("a/b");
    fs::create_dir_all(&sub).unwrap();
    let config = load(&sub).unwrap();
    assert_eq!(
        (config.project.as_path(), &config.file),
        (sub.as_path(), &None)
    );
    fs::write(root.join(FILE_NAME), "workers: 3").unwrap();
    let config = load(&sub).unwrap();
    assert_eq!(config.project, root);
    assert_eq!(config.file, Some(root.join(FILE_NAME)));
    assert_eq!(config.workers, Workers::Count(3));
    fs::write(root.join("a").join(FILE_NAME), "workers: 4").unwrap();
    assert_eq!(load(&sub).unwrap().project, root.join("a"));
}

#[test]
fn messages_name_the_file() {
    let dir = TempDir::new().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let file = root.join(FILE_NAME);
    fs::write(&file, "\nworker: 1\n").unwrap();
    let text = |result: Result<Config, ConfigError>| result.unwrap_err().to_string();
    let message = "2: unknown key 'worker': did you mean 'workers'?";
    assert_eq!(text(load(&root)), format!("docker-test.yaml:{message}"));
    fs::create_dir(root.join("sub")).unwrap();
    let shown = file.display();
    assert_eq!(text(load(&root.join("sub"))), format!("{shown}:{message}"));

    fs::write(&file, format!("image: '{}'", "x\n".repeat(1000))).unwrap();
    let long = text(load(&root));
    assert!(long.chars().count() < 500 && long.ends_with('…') && !long.contains('\n'));
}

#[test]
fn files_that_cannot_be_read() {
    let dir = TempDir::new().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let file = root.join(FILE_NAME);
    let text = || load(&root).unwrap_err().to_string();
    fs::create_dir(&file).unwrap();
    assert_eq!(text(), "docker-test.yaml: is not a file");
    fs::remove_dir(&file).unwrap();
    symlink("nowhere", &file).unwrap();
    assert_eq!(
        text(),
        "docker-test.yaml: No such file or directory (os error 2)"
    );
    fs::remove_file(&file).unwrap();
    nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(text(), "docker-test.yaml: is not a file");
    fs::remove_file(&file).unwrap();
    fs::write(&file, vec![b' '; MAX_BYTES as usize + 1]).unwrap();
    assert_eq!(text(), "docker-test.yaml: is larger than 1 MiB");
    fs::write(&file, vec![b' '; MAX_BYTES as usize]).unwrap();
    assert!(load(&root).is_ok());
    let missing = load(&root.join("no\n")).unwrap_err().to_string();
    assert!(missing.contains("no\\n: No such file"), "{missing}");
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let _ = read(bytes);
    }

    #[test]
    fn no_yaml_panics(lines in prop::collection::vec((0..4usize, word(), word()), 0..12)) {
        let text: String = lines
            .iter()
            .map(|(depth, key, value)| format!("{}{key}: {value}\n", "  ".repeat(*depth)))
            .collect();
        if let Err(message) = read(&text) {
            prop_assert!(!message.contains('\n') && message.contains(": "), "{}", message);
        }
    }
}

/// What the words of a file are made of.
fn word() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "suite",
        "root",
        "include",
        "command",
        "env",
        "image",
        "profiles",
        "fast",
        "mine",
        "cpus",
        "memory",
        "timeout",
        "nice",
        "rules",
        "path",
        "workers",
        "violations",
        "cpu-near",
        "results",
        "default-profile",
        "",
        "[a]",
        "{a: b}",
        "- x",
        "~",
        "1",
        "-1",
        "1.5",
        ".nan",
        "1GiB",
        "2s",
        "'",
        "\"\\0\"",
        "&a",
        "*a",
        "!t",
        "<<",
        "|",
        "\u{feff}",
        "\u{1b}",
        "é",
        "[",
        "}",
        "true",
        "'**'",
        "['{test}']",
    ])
    .prop_map(str::to_owned)
}

#[test]
fn the_example_of_the_reference_is_accepted() {
    let reference = include_str!("../../../doc/configuration.md");
    let example = reference.split("```").nth(1).unwrap();
    let config = read(example.strip_prefix("yaml\n").unwrap()).unwrap();
    assert_eq!(config.profiles["database"].limits.memory_bytes, 2 << 30);
}
