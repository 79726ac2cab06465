//! Whole pages: what is in them is what was recorded, and nothing of it can act.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::budget::ATTEMPTS;
use super::*;
use crate::model::{Leak, Resources, Statistics, ViolationKind, ViolationSeverity};

const RUN: &str = "0123456789abcdef";

/// The largest page, as doc/report.md has it: what its parts may hold, and 2 MiB for everything else.
const PAGE_BYTES: usize = ATTEMPTS + VIOLATIONS + SERIES + OUTPUTS + HISTORY + (2 << 20);

fn run() -> StoredRun {
    StoredRun {
        run: RUN.into(),
        started_unix_us: 1_700_000_000_000_000,
        wall_us: Some(5_000_000),
        version: "0.1.0".into(),
        engine: "docker".into(),
        engine_version: Some("20.10".into()),
        host: "host".into(),
        machine: None,
        project: ByteText::from("/project"),
        images: vec!["isolation".into()],
        workers: 2,
        planned: 3,
        exit_status: Some(1),
        interrupted: None,
        level: Some("standard".into()),
        network: None,
        image_digests: Default::default(),
        profiles: Some(json!({"fast": {"memory_bytes": 7}})),
    }
}

fn attempt(test: &[u8], outcome: &str) -> StoredAttempt {
    StoredAttempt {
        run: RUN.into(),
        test: ByteText::from(test.to_vec()),
        attempt: 1,
        superseded: false,
        outcome: outcome.into(),
        reason: None,
        termination: None,
        stopped: None,
        escalated: false,
        timeout_state: None,
        profile: "fast".into(),
        image: "isolation".into(),
        worker: Some(1),
        sequence: Some(1),
        started_unix_us: Some(1_700_000_000_500_000),
        reset_ns: None,
        stdout_bytes: 1,
        stderr_bytes: 0,
        leaks: Vec::new(),
        resources: Some(Resources {
            wall_us: 1000,
            ..Resources::default()
        }),
        statistics: Some(Statistics {
            samples: 1,
            ..Statistics::default()
        }),
    }
}

fn output(text: &[u8]) -> StoredOutput {
    StoredOutput {
        stream: "stdout".into(),
        head: ByteText::from(text.to_vec()),
        dropped_bytes: 0,
        tail: ByteText::default(),
    }
}

fn violation(test: &[u8], message: &str) -> StoredViolation {
    StoredViolation {
        test: ByteText::from(test.to_vec()),
        attempt: 1,
        kind: Some(ViolationKind::Wall),
        severity: ViolationSeverity::Error,
        threshold: None,
        actual: None,
        message: message.into(),
    }
}

/// The page of these attempts, each with this output and these samples.
fn page_of(attempts: &[StoredAttempt], text: &[u8], samples: &[Sample]) -> String {
    let violations: Vec<_> = attempts
        .iter()
        .take(1)
        .map(|one| violation(one.test.as_bytes(), "late </script>"))
        .collect();
    let mut selection = Selection::new(&violations);
    for attempt in attempts {
        selection.take(attempt.clone());
    }
    let run = run();
    let mut report = Report::new(&run, selection, &violations).unwrap();
    for row in report.rows() {
        if report.wants_series(row) {
            report.put_series(row, samples).unwrap();
        }
        if report.wants_outputs(row) {
            report.put_outputs(row, &[output(text)]).unwrap();
        }
        if report.wants_history(row) {
            let past = [report.attempt(row).clone()];
            report.put_history(row, &past).unwrap();
        }
    }
    report.render(&[]).unwrap()
}

/// What the page's scripts read.
fn data_of(page: &str) -> Value {
    let start = "<script type=\"application/json\" id=\"data\">";
    let (_, rest) = page.split_once(start).unwrap();
    let (data, _) = rest.split_once("</script>").unwrap();
    serde_json::from_str(data).unwrap()
}

fn count(page: &str, text: &str) -> usize {
    page.to_lowercase().matches(text).count()
}

#[test]
fn a_page_has_what_was_recorded() {
    let mut passed = attempt(b"b", "pass");
    passed.leaks = vec![Leak::Sockets { count: 2 }];
    let samples = [Sample {
        time_us: 5000,
        memory_bytes: Some(3 << 20),
        ..Sample::default()
    }];
    let page = page_of(&[attempt(b"a", "fail"), passed], b"said", &samples);
    let data = data_of(&page);
    assert_eq!(data["tests"], json!(["a", "b"]));
    assert_eq!(data["test"], json!([0, 1]));
    assert_eq!(data["figures"]["wall_us"], json!([1000, 1000]));
    assert_eq!(data["figures"]["start_us"], json!([500_000, 500_000]));
    assert_eq!(data["figures"].get("cpu_us"), None);
    let outcomes = data["labels"]["outcome"].as_array().unwrap();
    let word = |at: &Value| data["words"][at.as_u64().unwrap() as usize].clone();
    assert_eq!(
        outcomes.iter().map(word).collect::<Vec<_>>(),
        ["fail", "pass"]
    );
    assert_eq!(data["outputs"]["0"][0]["text"], "said");
    assert_eq!(data["outputs"].get("1"), None);
    assert_eq!(data["series"]["1"]["memory_kib"], json!([3072]));
    assert_eq!(data["violations"][0]["message"], "late </script>");
    assert_eq!(
        data["leaks"],
        json!([[1, [{"what": "2 sockets", "counts": true}]]])
    );
    assert_eq!(data["history"]["1"]["wall_us"], json!([1000]));
    assert_eq!(data["profiles"], json!([["fast", {"memory_bytes": 7}]]));
    for text in [
        "not passed",
        "docker 20.10",
        "2023-11-14T22:13:20Z",
        "unfinished",
    ] {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn an_odd_record_makes_a_page_too() {
    let mut run = run();
    run.started_unix_us = u64::MAX;
    run.exit_status = None;
    run.profiles = Some(json!("none"));
    let report = Report::new(&run, Selection::new(&[]), &[]).unwrap();
    let page = report.render(&[]).unwrap();
    assert!(page.contains("did not end in order"));
    assert_eq!(data_of(&page)["tests"], json!([]));
}

#[test]
fn a_page_is_bounded_and_says_so() {
    let long = vec![b'<'; 4096];
    let name = |at: u32| [format!("{at:06}").as_bytes(), &long].concat();
    let attempts: Vec<_> = (0..3000)
        .map(|at| attempt(&name(at), if at == 2999 { "fail" } else { "pass" }))
        .collect();
    let samples: Vec<Sample> = (0..3000)
        .map(|at| Sample {
            time_us: at * 50_000,
            memory_bytes: Some(at << 40),
            ..Sample::default()
        })
        .collect();
    let page = page_of(&attempts, &vec![b'\x01'; 1 << 20], &samples);
    assert!(page.len() < PAGE_BYTES, "{}", page.len());
    assert_eq!(PAGE_BYTES, 21 << 20);
    assert!(page.contains("attempts are not listed"));
    // What is not good is there, and in full.
    let data = data_of(&page);
    let last = data["tests"].as_array().unwrap().last().unwrap();
    assert_eq!(
        last.as_str().unwrap(),
        String::from_utf8(name(2999)).unwrap()
    );
    let row = data["test"].as_array().unwrap().len() - 1;
    assert_eq!(data["series"][row.to_string()]["samples"], 3000);
}

#[test]
fn ten_thousand_usual_tests_are_all_there() {
    let attempts: Vec<_> = (0..10_000)
        .map(|at| {
            attempt(
                format!("test/some/folder/case_{at}_test.sh").as_bytes(),
                "pass",
            )
        })
        .collect();
    let page = page_of(&attempts, b"", &[]);
    assert!(!page.contains("This page is bounded"));
    assert_eq!(data_of(&page)["tests"].as_array().unwrap().len(), 10_000);
}

#[test]
fn the_policy_allows_what_is_there() {
    use base64::Engine as _;
    use sha2::Digest as _;
    let page = page_of(&[], b"", &[]);
    let policy = page
        .split("Content-Security-Policy\" content=\"")
        .nth(1)
        .unwrap();
    // The template escapes the quotes.
    let policy = policy.split("\">").next().unwrap().replace("&#39;", "'");
    assert!(
        policy.starts_with("default-src 'none'; script-src 'sha256-"),
        "{policy}"
    );
    for (start, end, elements) in [("<script>", "</script>", 2), ("<style>", "</style>", 1)] {
        let all: Vec<&str> = page.split(start).skip(1).collect();
        assert_eq!(all.len(), elements);
        for text in all {
            let text = text.split(end).next().unwrap();
            let digest = sha2::Sha256::digest(text);
            let hash = base64::engine::general_purpose::STANDARD.encode(digest);
            assert!(policy.contains(&hash), "{start}");
        }
    }
}

/// Pieces that mean something to HTML, JavaScript, terminals or readers, and any bytes at all.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"</script>".to_vec()),
        Just(b"</SCRIPT ><script>alert(1)</script>".to_vec()),
        Just(b"<!--<script>".to_vec()),
        Just(b"\x1b[31m\x1b]0;x\x07\xff\xfe".to_vec()),
        Just(
            "\u{2028}\u{2029}\u{202e}\"'`&lt;{{ data }}"
                .as_bytes()
                .to_vec()
        ),
        any::<Vec<u8>>(),
    ];
    proptest::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_name_and_no_output_can_act(name in hostile(), said in hostile(), reason in hostile()) {
        let empty = page_of(&[], b"", &[]);
        let mut bad = attempt(&name, "fail");
        bad.reason = Some(String::from_utf8_lossy(&reason).into_owned());
        let page = page_of(&[bad], &said, &[]);
        for text in ["</script", "<script", "<!--", "<img"] {
            prop_assert_eq!(count(&page, text), count(&empty, text), "{}", text);
        }
        let data = data_of(&page);
        prop_assert_eq!(data["tests"][0].as_str().unwrap(), crate::model::escape(&name));
        let shown = text::excerpt(&output(&said));
        let found = data["outputs"]["0"][0]["text"].as_str().unwrap_or_default();
        prop_assert_eq!(found, shown);
        let words = data["words"].as_array().unwrap();
        prop_assert!(words.contains(&json!(String::from_utf8_lossy(&reason))));
    }
}
