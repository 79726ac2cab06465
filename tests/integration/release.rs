//! `script/release`: what it refuses. What it makes takes a release build, and is checked by itself.

use std::fs;
use std::process::Command;

use crate::harness::repository;

#[test]
fn a_wrong_tag_or_word_builds_nothing() {
    let version = env!("CARGO_PKG_VERSION");
    let wrong_tag =
        format!("release: the tag is 'v{version}-rc', and the version in Cargo.toml {version}\n");
    let tag = format!("v{version}-rc");
    for (arguments, message) in [
        (&["build", "--tag", &tag][..], wrong_tag.as_str()),
        (
            &["everything"],
            "release: what is 'everything'? see the top of this file\n",
        ),
        (
            &["sums", "more"],
            "release: what is 'more'? see the top of this file\n",
        ),
    ] {
        let said = Command::new(repository().join("script/release"))
            .args(arguments)
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&said.stderr), message);
        assert_eq!((said.status.code(), said.stdout.len()), (Some(1), 0));
    }
}

/// The release's workflow may write only where it publishes, and its actions are pinned.
#[test]
fn the_workflows_of_this_repository_keep_the_rules() {
    let pin = r"uses: actions/[a-z/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$";
    let pin = regex::Regex::new(pin).unwrap();
    for name in ["ci", "release"] {
        let path = repository().join(format!(".github/workflows/{name}.yml"));
        let text = fs::read_to_string(path).unwrap();
        let workflow: serde_json::Value = serde_yaml::from_str(&text).unwrap();
        assert_eq!(
            workflow["permissions"],
            serde_json::json!({"contents": "read"})
        );
        for line in text.lines().filter(|line| line.contains("uses:")) {
            assert!(pin.is_match(line), "{line}");
        }
        assert_eq!(
            text.matches("actions/checkout@").count(),
            text.matches("persist-credentials: false").count()
        );
        for (job, content) in workflow["jobs"].as_object().unwrap() {
            assert!(content["timeout-minutes"].is_u64(), "{job}");
            assert!(
                content["permissions"].is_null() || job == "publish",
                "{job}"
            );
            for step in content["steps"].as_array().unwrap() {
                let script = step["run"].as_str().unwrap_or_default();
                assert!(!script.contains("${{"), "{script}");
            }
        }
    }
}
