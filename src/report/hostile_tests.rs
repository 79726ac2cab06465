//! Hostile tests: whatever they write, the report holds no command of theirs.

use proptest::prelude::*;

use super::tests::{log, report};
use crate::event::{Attempt, Captured, Event, LimitState};
use crate::model::{FailReason, Outcome, ViolationKind};
use crate::report::fixtures::{
    ended, finished, limit, notice, run_finished, run_started, warning, worker_started,
};

/// The lines in which a CI system would find a command. GitHub's rule, as its runner has it: a
/// line that starts with `::` behind blanks and has another `::`, or has `##[` and a `]` anywhere;
/// and the markers of Azure, TeamCity and GitLab.
fn commands(text: &str) -> Vec<&str> {
    let is_command = |line: &&str| {
        let version_2 = line
            .trim_start()
            .strip_prefix("::")
            .is_some_and(|rest| rest.contains("::"));
        let markers = [
            "##[",
            "##vso[",
            "##teamcity[",
            "section_start:",
            "section_end:",
        ];
        version_2 || markers.iter().any(|marker| line.contains(marker))
    };
    text.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'])
        .filter(is_command)
        .collect()
}

fn check_harmless(text: &str) {
    assert_eq!(commands(text), Vec::<&str>::new(), "{text:?}");
    let control = |c: char| c.is_control() && c != '\n' && c != '\t';
    assert!(!text.contains(control), "{text:?}");
    assert!(
        !text.contains(['\u{202e}', '\u{2066}', '\u{200b}', '\u{2028}']),
        "{text:?}"
    );
}

/// A run in which everything that a test or a project chooses is `bytes`.
fn hostile_run(bytes: &[u8]) -> Vec<Event> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let output = |dropped_bytes| Captured {
        head: bytes.to_vec().into(),
        dropped_bytes,
        tail: bytes.to_vec().into(),
        total_bytes: 1,
    };
    let attempt = |outcome, dropped| Attempt {
        test: crate::model::TestId::new(bytes.to_vec()),
        profile: text.clone(),
        image: text.clone(),
        violations: vec![warning(ViolationKind::LeakedProcess, &text)],
        stdout: output(dropped),
        stderr: output(0),
        ..ended("", outcome)
    };
    let mut flaky = attempt(Outcome::Pass, 0);
    flaky.attempt = 2;
    let mut events = vec![
        run_started(&[&text]),
        notice(&text),
        worker_started(vec![limit("cpus", LimitState::Clamped, &text)]),
        finished(flaky),
    ];
    for dropped in [0, 5] {
        for outcome in [
            Outcome::Fail(FailReason::Exit(1)),
            Outcome::Oom,
            Outcome::Skip,
        ] {
            events.push(finished(attempt(outcome, dropped)));
        }
    }
    events.push(run_finished(Some(2)));
    events
}

/// 264 ways to write a command, from the runners' own sources and documents.
#[test]
fn no_test_gives_a_command() {
    let bodies = [
        "::error::x",
        "::set-env name=PATH::/x",
        "::add-mask::a",
        "::stop-commands::x",
        "::x::",
        "::group::g",
        "::add-path::/x",
        "##[error]x",
        "##[command]x",
        "##[set-env name=a;]b",
        "##[add-mask]a",
        "###[group]x",
        "##vso[task.setvariable variable=a]b",
        "##vso[task.prependpath]/x",
        "##teamcity[buildStop comment='x']",
        "##teamcity[testFailed name='x']",
        "##VSO[a]",
        "####teamcity[x]",
        "section_start:1:a\r\x1b[0K",
        "section_end:1:a\r\x1b[0K",
        "section_start:1:a[collapsed=true]",
        "\x1b]0;title\x07",
        "\x1b[1A\x1b[2K::error::x",
        "::error file=a,line=1::x",
    ];
    let before = [
        "",
        " ",
        "\t",
        "\n",
        "\r",
        "\r\n",
        "a\n",
        "a\r",
        "\u{85}",
        "\u{a0}\u{2003}",
        "\x1b[0m",
    ];
    let mut variants = 0;
    for body in bodies {
        for before in before {
            let (stdout, stderr) =
                report(log(), &hostile_run(format!("{before}{body}").as_bytes()));
            check_harmless(&stdout);
            check_harmless(&stderr);
            variants += 1;
        }
    }
    assert_eq!(variants, 264);
}

/// The check above can find something.
#[test]
fn the_parser_finds_commands() {
    for text in [
        "  ::error::x",
        "a\r::x::",
        "x ##[error]y",
        "a section_start:1:b",
    ] {
        assert_eq!(commands(text).len(), 1, "{text}");
    }
    assert!(commands("  | ::error::x\n::x").is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_harmless(bytes: Vec<u8>) {
        let (stdout, stderr) = report(log(), &hostile_run(&bytes));
        check_harmless(&stdout);
        check_harmless(&stderr);
    }

    #[test]
    fn any_mix_of_markers_is_harmless(
        parts in proptest::collection::vec(prop_oneof![
            Just("#"), Just("##"), Just(":"), Just("::"), Just("["), Just("]"), Just("vso"),
            Just("teamcity"), Just("section"), Just("_start:"), Just("_end:"), Just("\n"), Just("\r"),
            Just(" "), Just("\u{1b}["), Just("\u{9b}"), Just("\u{202e}"), Just("\0"), Just("a"),
        ], 0..24)
    ) {
        let (stdout, stderr) = report(log(), &hostile_run(parts.concat().as_bytes()));
        check_harmless(&stdout);
        check_harmless(&stderr);
    }
}
