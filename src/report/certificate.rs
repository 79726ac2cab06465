//! `merge`: what the parts of a suite are together.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{clean, json};
use crate::model::{ByteText, ContentDigest};
use crate::plan::Certificate;

/// How many tests are named in each list for people.
const NAMED: usize = 20;

/// For people. `place`: where the database is, safe to print.
pub fn human(certificate: &Certificate, place: &str) -> String {
    let mut out = format!(
        "suite {}: {} tests in {} shards\n",
        certificate.suite, certificate.tests, certificate.shards
    );
    for (shard, run, tests) in &certificate.parts {
        out.push_str(&format!(
            "shard {shard}/{}: {tests} tests, run {run}\n",
            certificate.shards
        ));
    }
    for (image, digest) in &certificate.images {
        if let Some(digest) = digest {
            out.push_str(&format!(
                "image {}: {}\n",
                clean::word(image),
                digest.short()
            ));
        }
    }
    let images = certificate.images.iter();
    let images = images.filter(|(_, digest)| digest.is_none());
    let images: Vec<_> = images.map(|(image, _)| clean::word(image)).collect();
    if !images.is_empty() {
        out.push_str(&format!("images not compared: {}\n", images.join(", ")));
    }
    let missing = certificate.missing.iter();
    let missing = missing.map(|(id, shard)| format!("{id} (shard {shard})"));
    list(&mut out, "missing", missing.collect());
    let twice = certificate.twice.iter();
    let twice = twice.map(|(id, runs)| format!("{id} (runs {})", runs.join(", ")));
    list(&mut out, "more than once", twice.collect());
    if certificate.is_whole() {
        out.push_str("each test is there exactly once");
        let outcomes = certificate.outcomes.iter();
        let outcomes: Vec<_> = outcomes
            .map(|(word, count)| format!("{count} {word}"))
            .collect();
        if !outcomes.is_empty() {
            out.push_str(&format!(": {}", outcomes.join(", ")));
        }
        out.push('\n');
    } else {
        out.push_str("this is not the whole suite\n");
    }
    out.push_str(&format!("record: {place}\n"));
    out
}

fn list(out: &mut String, what: &str, entries: Vec<String>) {
    if entries.is_empty() {
        return;
    }
    out.push_str(&format!("{what}: {} tests\n", entries.len()));
    for entry in entries.iter().take(NAMED) {
        out.push_str(&format!("  {}\n", clean::word(entry)));
    }
    if entries.len() > NAMED {
        out.push_str(&format!("  ... and {} more\n", entries.len() - NAMED));
    }
}

#[derive(Serialize)]
struct Json<'a> {
    suite: &'a str,
    tests: usize,
    shards: u32,
    whole: bool,
    parts: Vec<PartLine<'a>>,
    images: &'a BTreeMap<String, Option<ContentDigest>>,
    outcomes: &'a BTreeMap<String, usize>,
    missing: Vec<Missing<'a>>,
    twice: Vec<Twice<'a>>,
}

#[derive(Serialize)]
struct PartLine<'a> {
    shard: u32,
    run: &'a str,
    tests: usize,
}

#[derive(Serialize)]
struct Missing<'a> {
    test: &'a ByteText,
    shard: u32,
}

#[derive(Serialize)]
struct Twice<'a> {
    test: &'a ByteText,
    runs: &'a [String],
}

/// One JSON object; every test is named.
///
/// # Errors
/// It cannot be written as JSON.
pub fn json(certificate: &Certificate) -> serde_json::Result<String> {
    let parts = certificate.parts.iter();
    let missing = certificate.missing.iter();
    let twice = certificate.twice.iter();
    json::json_line(&Json {
        suite: &certificate.suite,
        tests: certificate.tests,
        shards: certificate.shards,
        whole: certificate.is_whole(),
        parts: parts
            .map(|(shard, run, tests)| PartLine {
                shard: *shard,
                run,
                tests: *tests,
            })
            .collect(),
        images: &certificate.images,
        outcomes: &certificate.outcomes,
        missing: missing
            .map(|(test, shard)| Missing {
                test,
                shard: *shard,
            })
            .collect(),
        twice: twice.map(|(test, runs)| Twice { test, runs }).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate() -> Certificate {
        Certificate {
            suite: "5a1b".into(),
            tests: 3,
            shards: 2,
            parts: vec![(1, "aa".into(), 2), (2, "bb".into(), 1)],
            images: [
                (
                    "debian:12".into(),
                    Some(ContentDigest::of_sha256([0xd1; 32])),
                ),
                ("host".into(), None),
                (
                    "isolation".into(),
                    Some(ContentDigest::of_sha256([0x15; 32])),
                ),
                ("odd\u{1b}".into(), None),
            ]
            .into(),
            outcomes: BTreeMap::from([("fail".into(), 1), ("pass".into(), 2)]),
            missing: Vec::new(),
            twice: Vec::new(),
        }
    }

    #[test]
    fn the_whole() {
        assert_eq!(
            human(&certificate(), "all.db"),
            "suite 5a1b: 3 tests in 2 shards\n\
             shard 1/2: 2 tests, run aa\n\
             shard 2/2: 1 tests, run bb\n\
             image debian:12: sha256:d1d1d1d1d1d1\n\
             image isolation: sha256:151515151515\n\
             images not compared: host, odd\\x1b\n\
             each test is there exactly once: 1 fail, 2 pass\n\
             record: all.db\n"
        );
    }

    #[test]
    fn what_is_wrong_is_named_and_bounded() {
        let mut certificate = certificate();
        certificate.missing = (0..25).map(|n| (format!("t{n}\u{1b}").into(), 2)).collect();
        certificate.twice = vec![("x".into(), vec!["aa".into(), "cc".into()])];
        let text = human(&certificate, "all.db");
        assert!(
            text.contains("missing: 25 tests\n  t0\\x1b (shard 2)\n"),
            "{text}"
        );
        assert!(
            text.contains(
                "  ... and 5 more\nmore than once: 1 tests\n  x (runs aa, cc)\nthis is not"
            )
        );
        let json: serde_json::Value = serde_json::from_str(&json(&certificate).unwrap()).unwrap();
        assert_eq!(json["whole"], false);
        let isolation = format!("sha256:{}", "15".repeat(32));
        assert_eq!(json["images"]["isolation"], isolation);
        assert!(json["images"]["host"].is_null());
        assert_eq!(json["missing"].as_array().map(Vec::len), Some(25));
        assert_eq!(json["twice"][0]["runs"][1], "cc");
    }
}
