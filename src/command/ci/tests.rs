//! Every form of both files, held against what each of them promises.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use super::is_ours;
use super::render::{Facts, Origin, render};
use crate::cli::CiSystem;

fn facts() -> Facts {
    Facts {
        shards: 4,
        origin: Origin::Download {
            url: None,
            sha256: "0".repeat(64),
        },
        folder: None,
        results: "test-results".into(),
        build: Some("isolation"),
        runtime: None,
        full: false,
    }
}

/// Each choice in each of its forms.
fn forms() -> Vec<Facts> {
    let origins = [
        facts().origin,
        Origin::Download {
            url: Some("https://example.org/docker-test".into()),
            sha256: String::new(),
        },
        Origin::Source("third-party/docker-test".into()),
    ];
    let mut forms = Vec::new();
    for origin in origins {
        for full in [false, true] {
            for folder in [None, Some("a/b".to_owned())] {
                forms.push(Facts {
                    shards: if full { 1 } else { 200 },
                    origin: origin.clone(),
                    results: if full {
                        "out".into()
                    } else {
                        "a/results".into()
                    },
                    build: (!full).then_some("full"),
                    runtime: full.then(|| "bin/run: # {x}\\n".into()),
                    folder,
                    full,
                });
            }
        }
    }
    forms.push(facts());
    forms
}

const SYSTEMS: [CiSystem; 2] = [CiSystem::Github, CiSystem::Gitlab];

fn files() -> Vec<(CiSystem, Facts, String)> {
    let all = forms()
        .into_iter()
        .flat_map(|facts| SYSTEMS.map(|system| (system, facts.clone(), render(system, &facts))));
    all.collect()
}

/// The file's data. JSON's value has no tags, which neither file uses.
fn parsed(text: &str) -> Value {
    crate::config::yaml_value(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[test]
fn no_mark_is_left() {
    for (_, _, text) in files() {
        assert!(!text.contains("#@"), "{text}");
        let left = text.lines().find(|line| {
            let mut pieces = line.split('@').skip(1);
            pieces.any(|piece| piece.len() > 2 && piece.chars().all(|c| c.is_ascii_lowercase()))
        });
        assert_eq!(left, None);
        assert!(text.ends_with('\n') && !text.contains("\n\n\n"), "{text}");
        assert!(text.lines().all(|line| line.trim_end() == line), "{text}");
        parsed(&text);
    }
}

#[test]
fn every_action_is_pinned_with_its_version() {
    for facts in forms() {
        let text = render(CiSystem::Github, &facts);
        let mut actions = 0;
        for line in text.lines().filter(|line| line.contains("uses:")) {
            let (_, action) = line.split_once("uses: ").unwrap();
            let (name, pin) = action.split_once('@').unwrap();
            let (commit, version) = pin.split_once(" # v").unwrap();
            assert!(name.starts_with("actions/"), "{line}");
            assert!(
                commit.len() == 40 && commit.chars().all(|c| c.is_ascii_hexdigit()),
                "{line}"
            );
            assert_eq!(version.split('.').count(), 3, "{line}");
            actions += 1;
        }
        assert_eq!(actions, if facts.full { 14 } else { 11 });
        assert_eq!(
            text.matches("actions/checkout@").count(),
            text.matches("persist-credentials: false").count()
        );
    }
}

#[test]
fn a_workflow_may_read_and_nothing_else() {
    for facts in forms() {
        let workflow = parsed(&render(CiSystem::Github, &facts));
        assert_eq!(
            workflow["permissions"],
            serde_json::json!({"contents": "read"})
        );
        let jobs = workflow["jobs"].as_object().unwrap();
        assert_eq!(jobs.len(), 3 + usize::from(facts.full));
        for (name, job) in jobs {
            assert!(job["timeout-minutes"].is_u64(), "{name}");
            assert!(job.get("permissions").is_none(), "{name}");
        }
        assert_eq!(jobs["shard"]["strategy"]["fail-fast"], false);
        let shards = jobs["shard"]["strategy"]["matrix"]["shard"]
            .as_array()
            .unwrap();
        assert_eq!(shards.len(), facts.shards as usize);
        let pipeline = parsed(&render(CiSystem::Gitlab, &facts));
        assert_eq!(pipeline["shard"]["parallel"], facts.shards);
    }
}

#[test]
fn no_engine_is_handed_to_a_container_and_nothing_is_privileged() {
    for (_, _, text) in files() {
        for word in [
            "docker.sock",
            "--privileged",
            "pull_request_target",
            "secrets.",
        ] {
            assert!(!text.contains(word), "{word}");
        }
    }
}

/// The shell scripts of a file, with what they are for.
fn scripts(system: CiSystem, text: &str) -> Vec<(String, String)> {
    let file = parsed(text);
    let mut found = Vec::new();
    match system {
        CiSystem::Github => {
            for (job, content) in file["jobs"].as_object().unwrap() {
                for step in content["steps"].as_array().unwrap() {
                    if let Some(script) = step["run"].as_str() {
                        found.push((format!("{job}: {}", step["name"]), script.to_owned()));
                    }
                }
            }
        }
        CiSystem::Gitlab => {
            for (job, content) in file.as_object().unwrap() {
                if let Some(lines) = content.get("script") {
                    let lines: Vec<&str> = lines
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(|line| line.as_str().unwrap())
                        .collect();
                    found.push((job.clone(), lines.join("\n")));
                }
            }
        }
    }
    assert!(found.len() > 2, "{text}");
    found
}

/// GitHub puts expressions into a script as they are: a branch's name could be a command.
#[test]
fn the_check_to_require_is_never_skipped() {
    for (system, _, text) in files() {
        let merge = match system {
            CiSystem::Github => parsed(&text)["jobs"]["merge"]["if"].clone(),
            CiSystem::Gitlab => parsed(&text)["merge"]["when"].clone(),
        };
        assert!(merge == "${{ always() }}" || merge == "always", "{merge}");
    }
}

#[test]
fn no_expression_is_in_a_script() {
    for facts in forms() {
        for (name, script) in scripts(CiSystem::Github, &render(CiSystem::Github, &facts)) {
            assert!(!script.contains("${{"), "{name}: {script}");
        }
    }
}

#[test]
fn scripts_are_ones_that_a_shell_understands() {
    let mut different = BTreeSet::new();
    for (system, _, text) in files() {
        let shell = match system {
            CiSystem::Github => "bash",
            CiSystem::Gitlab => "sh",
        };
        let scripts = scripts(system, &text).into_iter();
        different.extend(scripts.map(|(_, script)| (shell, script)));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for (number, (shell, script)) in different.iter().enumerate() {
        let file = folder.path().join(number.to_string());
        // What both systems start their shells with.
        let text = format!("#!/usr/bin/env -S {shell} -e\n{script}\n");
        std::fs::write(&file, text).unwrap();
        let said = Command::new(shell).arg("-n").arg(&file).output().unwrap();
        assert!(said.status.success(), "{script}\n{said:?}");
        files.push(file);
    }
    match Command::new("shellcheck").args(&files).output() {
        Err(error) => eprintln!("SKIPPED: no CI file's scripts are checked: shellcheck: {error}"),
        Ok(said) => assert!(
            said.status.success(),
            "{}",
            String::from_utf8_lossy(&said.stdout)
        ),
    }
}

#[test]
fn docker_test_knows_its_own_manifest() {
    assert!(is_ours("[package]\nname = \"docker-test\"\n"));
    assert!(is_ours(
        "[lints]\n[package]\nversion=\"1\"\nname=\"docker-test\""
    ));
    for other in [
        "",
        "[package]\nname = \"docker-tests\"",
        "[dependencies]\nname = \"docker-test\"",
        "[[bin]]\nname = \"docker-test\"\n[package]\nname = \"x\"",
        "name = \"docker-test\"",
    ] {
        assert!(!is_ours(other), "{other}");
    }
}
