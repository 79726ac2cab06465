//! What is written is XML, whatever tests say, and what both schemas allow.

mod hostile;

use std::path::PathBuf;
use std::process::Command;

use proptest::prelude::*;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event as Xml};

use super::Junit;
use crate::event::{Attempt, Captured, Event, Sink};
use crate::model::{
    Clock, CrashCause, FailReason, LostCause, NotRunCause, Outcome, ProfileOrigin, Test, TestId,
    ViolationKind,
};
use crate::report::fixtures::{
    attempt, captured, ended, finished, full_attempt, run_finished, run_started, sample_run,
    warning,
};

/// The report of these events, and of the run's start and end around them.
fn written(events: &[Event]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("junit.xml");
    let mut junit = Junit::new(&path).unwrap();
    junit.take(&[run_started(&["a"])]).unwrap();
    for event in events {
        junit.take(std::slice::from_ref(event)).unwrap();
    }
    junit.take(&[run_finished(None)]).unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    let strange = |c: char| !matches!(c, '\t' | '\n' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    assert!(!text.contains(strange), "no character of XML: {text:?}");
    text
}

#[derive(Debug, Default)]
struct Node {
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
    children: Vec<Node>,
}

impl Node {
    fn open(start: &BytesStart<'_>) -> Self {
        let attribute = |one: Result<quick_xml::events::attributes::Attribute<'_>, _>| {
            let one = one.unwrap();
            let value = quick_xml::escape::unescape(&one.value)
                .unwrap()
                .into_owned();
            (one.key.as_ref().to_owned(), value)
        };
        Node {
            name: start.name().as_ref().to_owned(),
            attributes: start.attributes().map(attribute).collect(),
            ..Node::default()
        }
    }

    /// The attribute of that name, or nothing.
    fn get(&self, name: &str) -> &str {
        let mut all = self.attributes.iter();
        all.find(|(key, _)| key == name)
            .map_or("", |(_, value)| value)
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Node> {
        self.children.iter().filter(move |child| child.name == name)
    }

    fn child(&self, name: &str) -> &Node {
        let mut all = self.children.iter().filter(|child| child.name == name);
        all.next().unwrap_or_else(|| panic!("no {name}: {self:?}"))
    }

    /// The names of its children that are no output.
    fn verdict(&self) -> Vec<&str> {
        let names = self.children.iter().map(|child| child.name.as_str());
        names.filter(|name| !name.starts_with("system-")).collect()
    }
}

/// The root. Fails where it is not well-formed.
fn parse(text: &str) -> Node {
    let mut reader = Reader::from_str(text);
    let mut open = vec![Node::default()];
    loop {
        let top = open.last_mut().unwrap();
        match reader.read_event().unwrap() {
            Xml::Start(start) => open.push(Node::open(&start)),
            Xml::Empty(start) => top.children.push(Node::open(&start)),
            Xml::Text(text) => top.text.push_str(&text.xml10_content()),
            Xml::GeneralRef(reference) => {
                let name = reference.xml10_content();
                let entity = quick_xml::escape::resolve_predefined_entity(&name);
                match reference.resolve_char_ref().unwrap() {
                    Some(c) => top.text.push(c),
                    None => top.text.push_str(entity.unwrap()),
                }
            }
            Xml::End(_) => {
                let node = open.pop().unwrap();
                open.last_mut().unwrap().children.push(node);
            }
            Xml::Decl(_) => {}
            Xml::Eof => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].children.len(), 1);
    open.remove(0).children.remove(0)
}

fn suite(events: &[Event]) -> Node {
    parse(&written(events))
}

fn only_case(events: &[Event]) -> Node {
    let mut suite = suite(events);
    suite.children.retain(|child| child.name == "testcase");
    assert_eq!(suite.children.len(), 1);
    suite.children.remove(0)
}

/// Holds a report against both schemas. `xmllint` does it; where it is missing that is said.
fn validate(text: &str) {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("junit.xml");
    std::fs::write(&report, text).unwrap();
    let schemas = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/junit");
    for schema in ["surefire-test-report.xsd", "junit-10.xsd"] {
        let checked = Command::new("xmllint")
            .args(["--noout", "--nonet", "--schema"])
            .args([&schemas.join(schema), &report])
            .output();
        match checked {
            Err(error) => {
                eprintln!("SKIPPED: no report is held against {schema}: xmllint: {error}");
                assert!(
                    std::env::var_os("CI").is_none(),
                    "xmllint is missing (Debian: libxml2-utils)"
                );
            }
            Ok(said) => assert!(
                said.status.success(),
                "{schema}: {}\n{text}",
                String::from_utf8_lossy(&said.stderr)
            ),
        }
    }
}

const OUTCOMES: [(Outcome, &str, &str); 12] = [
    (Outcome::Pass, "", ""),
    (Outcome::Skip, "skipped", ""),
    (Outcome::Fail(FailReason::Exit(1)), "failure", "exit(1)"),
    (Outcome::Fail(FailReason::Leak), "failure", "leak"),
    (Outcome::Timeout(Clock::Wall), "error", "timeout wall"),
    (Outcome::Timeout(Clock::Cpu), "error", "timeout cpu"),
    (Outcome::Oom, "error", "oom"),
    (
        Outcome::Crash(CrashCause::Signal(11)),
        "error",
        "crash SIGSEGV",
    ),
    (Outcome::Crash(CrashCause::Worker), "error", "crash worker"),
    (Outcome::Lost(LostCause::Engine), "error", "lost engine"),
    (Outcome::NotRun(NotRunCause::Interrupted), "skipped", ""),
    (Outcome::NotRun(NotRunCause::FailFast), "skipped", ""),
];

#[test]
fn every_outcome_has_its_element() {
    let events: Vec<Event> = OUTCOMES
        .iter()
        .enumerate()
        .map(|(at, (outcome, ..))| finished(ended(&format!("test/{at}"), *outcome)))
        .collect();
    let text = written(&events);
    validate(&text);
    let suite = parse(&text);
    let counts = ["tests", "failures", "errors", "skipped", "time", "name"];
    assert_eq!(
        counts.map(|name| suite.get(name)),
        ["12", "2", "6", "3", "1.250", "project"]
    );
    for (case, (outcome, element, kind)) in suite.all("testcase").zip(OUTCOMES) {
        let expected: Vec<&str> = Some(element)
            .filter(|e| !e.is_empty())
            .into_iter()
            .collect();
        assert_eq!(case.verdict(), expected, "{outcome}");
        assert_eq!(case.get("classname"), "test");
        if !element.is_empty() {
            let verdict = case.child(element);
            assert_eq!(verdict.get("type"), kind);
            assert_eq!(verdict.get("message"), outcome.to_string());
        }
    }
}

/// The whole text, so that a change of it is seen.
#[test]
fn a_report_looks_like_this() {
    let mut failed = ended("test/b_test.sh", Outcome::Fail(FailReason::Exit(1)));
    failed.stdout = captured("10 % of 80 is <8>\n");
    failed.violations = vec![warning(
        ViolationKind::LeakedProcess,
        "left behind: process x",
    )];
    let expected = "\
<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<testsuite name=\"project\" tests=\"2\" skipped=\"0\" errors=\"0\" failures=\"1\" time=\"1.250\">
        <properties>
            <property name=\"run\" value=\"0123456789abcdef\"/>
            <property name=\"started\" value=\"2023-11-14T22:13:20.000Z\"/>
            <property name=\"docker-test\" value=\"0.1.0\"/>
            <property name=\"engine\" value=\"docker\"/>
            <property name=\"images\" value=\"isolation\"/>
            <property name=\"project\" value=\"/home/me/project\"/>
            <property name=\"host\" value=\"box\"/>
            <property name=\"machine\" value=\"4 processors\"/>
            <property name=\"level\" value=\"standard\"/>
            <property name=\"network\" value=\"none\"/>
            <property name=\"workers\" value=\"2\"/>
            <property name=\"flaky\" value=\"0\"/>
            <property name=\"engine-version\" value=\"20.10.24\"/>
            <property name=\"exit-status\" value=\"1\"/>
        </properties>
        <testcase name=\"a_test.sh\" classname=\"project\" time=\"0.012\">
            <system-out>[[PROPERTY|profile=standard]]
[[PROPERTY|image=isolation]]
[[PROPERTY|attempt=1]]
[[PROPERTY|worker=1]]
[[PROPERTY|wall_us=12000]]
</system-out>
        </testcase>
        <testcase name=\"test/b_test.sh\" classname=\"test\" time=\"0.012\">
            <failure message=\"fail exit(1): 10 % of 80 is &lt;8&gt;\" type=\"exit(1)\">fail exit(1) after 12 ms
profile standard, image isolation, worker 1
warning: left behind: process x
stdout:
10 % of 80 is &lt;8&gt;
</failure>
            <system-out>[[PROPERTY|profile=standard]]
[[PROPERTY|image=isolation]]
[[PROPERTY|attempt=1]]
[[PROPERTY|worker=1]]
[[PROPERTY|wall_us=12000]]
[[PROPERTY|violation=leaked-process (warning): left behind: process x]]

10 % of 80 is &lt;8&gt;
</system-out>
        </testcase>
</testsuite>
";
    let text = written(&[finished(attempt("a_test.sh")), finished(failed)]);
    assert_eq!(text, expected, "written:\n{text}");
}

#[test]
fn names_are_those_of_tests_and_classes_their_folders() {
    for (id, class) in [
        ("a_test.sh", "project"),
        ("test/unit/a_test.sh", "test.unit"),
        ("test/v1.2/a.sh", "test.v1_2"),
        ("test/a.py::T::case", "test.a_py"),
        ("a.py::case", "a_py"),
        ("::case", "project"),
    ] {
        let case = only_case(&[finished(attempt(id))]);
        assert_eq!((case.get("name"), case.get("classname")), (id, class));
    }
}

/// Attempts at one test, the last of them its last word.
fn attempts(outcomes: &[Outcome]) -> Vec<Event> {
    let attempt = |(at, outcome): (usize, &Outcome)| {
        let mut attempt = ended("test/a", *outcome);
        attempt.attempt = at as u32 + 1;
        attempt.superseded = at + 1 < outcomes.len();
        attempt.stderr = captured(&format!("words of attempt {}", at + 1));
        finished(attempt)
    };
    outcomes.iter().enumerate().map(attempt).collect()
}

#[test]
fn earlier_attempts_are_flaky_or_reruns() {
    let fail = Outcome::Fail(FailReason::Exit(1));
    let lost = Outcome::Lost(LostCause::Worker);
    for (outcomes, expected) in [
        (vec![fail, Outcome::Pass], "flakyFailure"),
        // Surefire's order, not the attempts'.
        (vec![lost, fail, Outcome::Pass], "flakyFailure flakyError"),
        (vec![fail, fail], "failure rerunFailure"),
        (vec![lost, fail, fail], "failure rerunFailure rerunError"),
        (
            vec![fail, lost, Outcome::Oom],
            "error rerunError rerunError",
        ),
        (
            vec![lost, Outcome::NotRun(NotRunCause::Interrupted)],
            "skipped",
        ),
        (vec![lost, Outcome::Skip], "skipped"),
    ] {
        let text = written(&attempts(&outcomes));
        validate(&text);
        let suite = parse(&text);
        assert_eq!(suite.get("tests"), "1");
        let case = suite.child("testcase");
        assert_eq!(case.verdict().join(" "), expected);
    }
    let flaky = only_case(&attempts(&[lost, Outcome::Pass]));
    let earlier = flaky.child("flakyError");
    assert_eq!(earlier.get("type"), "lost worker");
    assert_eq!(earlier.child("system-err").text, "words of attempt 1\n");
    assert!(
        earlier
            .child("stackTrace")
            .text
            .starts_with("lost worker after 12 ms\n")
    );
    let skipped = only_case(&attempts(&[
        lost,
        Outcome::NotRun(NotRunCause::Interrupted),
    ]));
    assert_eq!(
        skipped.child("skipped").get("message"),
        "not-run interrupted: words of attempt 2 (before it: lost worker)"
    );
}

#[test]
fn an_attempt_with_everything_is_valid() {
    validate(&written(&[finished(full_attempt())]));
    // With a start, an end and a signal of its own.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("junit.xml");
    Junit::new(&path).unwrap().take(&sample_run()).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    validate(&text);
    assert!(text.contains("<property name=\"interrupted\" value=\"SIGINT\"/>"));
}

/// Jenkins and GitLab attach the files of a workspace that such a tag names.
#[test]
fn a_test_attaches_nothing_and_sets_no_property() {
    fn check(node: &Node) {
        let text = &node.text;
        assert!(!text.contains("[[ATTACHMENT|"), "{text}");
        assert!(!text.contains("[[PROPERTY|x"), "{text}");
        let own = text.matches("[[PROPERTY|profile=").count();
        assert_eq!(own, usize::from(node.name == "system-out" && own > 0));
        node.children.iter().for_each(check);
    }
    check(&suite(&hostile::hostile(
        b"[[ATTACHMENT|/etc/passwd]]\n[[PROPERTY|x=y]] ]] [[PROPERTY|profile=z]]",
    )));
}

#[test]
fn a_large_run_makes_no_large_report() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("junit.xml");
    let mut junit = Junit::new(&path).unwrap();
    let output = "words\n".repeat(12_000);
    let mut failed = ended("", Outcome::Fail(FailReason::Exit(1)));
    failed.stdout = captured(&output);
    for at in 0..600 {
        failed.test = TestId::new(format!("test/{at}"));
        failed.superseded = false;
        junit.take(&[finished(failed.clone())]).unwrap();
    }
    // Nor do attempts that wait take memory.
    failed.superseded = true;
    for at in 600..2_000 {
        failed.test = TestId::new(format!("test/{at}"));
        junit.take(&[finished(failed.clone())]).unwrap();
    }
    assert!(junit.waiting < 16 << 20, "{}", junit.waiting);
    junit.take(&[run_finished(None)]).unwrap();
    let bytes = std::fs::metadata(&path).unwrap().len();
    assert!((12 << 20..13 << 20).contains(&bytes), "{bytes}");
    let suite = parse(&std::fs::read_to_string(&path).unwrap());
    assert_eq!(suite.all("testcase").count(), 600);
}

/// `doc/ci.md` names every element's type and every property.
#[test]
fn the_document_tells_what_is_written() {
    let document = include_str!("../../../doc/ci.md");
    for (outcome, element, _) in OUTCOMES
        .iter()
        .filter(|(_, element, _)| !element.is_empty())
    {
        let kind = format!("`{}`", outcome.kind().as_str());
        let row = document
            .lines()
            .find(|line| line.starts_with('|') && line.contains(&kind));
        assert!(
            row.is_some_and(|row| row.contains(&format!("| `{element}`"))),
            "{kind}"
        );
    }
    let mut lost = full_attempt();
    lost.resources.as_mut().unwrap().memory_peak_bound_bytes = Some(1);
    let text = written(&[finished(lost)]);
    let suite = parse(&text);
    for property in suite.child("properties").all("property") {
        assert!(document.contains(&format!("`{}`", property.get("name"))));
    }
    let tags = text.split("[[PROPERTY|").skip(1);
    let names: Vec<_> = tags.filter_map(|rest| rest.split_once('=')).collect();
    assert!(names.len() > 8);
    for (name, _) in names {
        assert!(document.contains(&format!("`{name}`")), "{name}");
    }
}
