//! What GitHub's runner makes of what is written.

use proptest::prelude::*;

use super::{GitHub, Place};
use crate::event::{Attempt, Captured, Event, Sink};
use crate::model::{FailReason, NotRunCause, Outcome, TestId, ViolationKind};
use crate::report::fixtures::{
    Shared, attempt, captured, ended, finished, run_finished, run_started, warning,
};

struct Written {
    out: String,
    stderr: String,
    summary: String,
}

fn written_to(place: Place, events: &[Event]) -> Written {
    let (out, stderr) = (Shared::default(), Shared::default());
    let summary = place.summary.clone();
    let mut github = GitHub::new(place, Box::new(out.clone()), Box::new(stderr.clone()));
    github.take(&[run_started(&["test/a"])]).unwrap();
    github.take(events).unwrap();
    github.take(&[run_finished(None)]).unwrap();
    Written {
        out: out.text(),
        stderr: stderr.text(),
        summary: summary
            .and_then(|path| std::fs::read_to_string(path).ok())
            .unwrap_or_default(),
    }
}

fn written(events: &[Event]) -> Written {
    let folder = tempfile::tempdir().unwrap();
    let place = Place {
        workspace: Some("/home/me".into()),
        summary: Some(folder.path().join("summary.md")),
    };
    written_to(place, events)
}

fn failed(id: &str) -> Attempt {
    Attempt {
        stdout: captured("10 % of 80 is 8\n"),
        ..ended(id, Outcome::Fail(FailReason::Exit(1)))
    }
}

#[test]
fn tests_that_are_not_good_are_errors_and_warnings_warnings() {
    let mut flaky = attempt("test/c.sh");
    flaky.attempt = 2;
    let mut leaky = attempt("test/d.sh");
    leaky.violations = vec![warning(
        ViolationKind::LeakedProcess,
        "left behind: process x",
    )];
    let mut superseded = failed("test/c.sh");
    superseded.superseded = true;
    let not_run = ended("test/e.sh", Outcome::NotRun(NotRunCause::FailFast));
    let events = [
        attempt("test/a.sh"),
        failed("test/b.sh"),
        superseded,
        flaky,
        leaky,
        not_run,
    ];
    let written = written(&events.map(finished));
    assert_eq!(
        written.out,
        "::error file=project/test/b.sh,title=fail exit(1)%3A test/b.sh::profile standard%2C image \
         isolation%2C worker 1%0Astdout:%0A10 %25 of 80 is 8\n\
         ::warning file=project/test/c.sh,title=flaky%3A passed on attempt 2%3A test/c.sh::flaky: passed on attempt 2\n\
         ::warning file=project/test/d.sh,title=left behind%3A process x%3A test/d.sh::left behind: process x\n"
            .replace("standard%2C", "standard,").replace("isolation%2C", "isolation,")
    );
    assert_eq!(
        written.summary,
        "\
### docker-test

5 tests in 1.25 s&#58; 3 pass (1 flaky), 1 fail, 1 not-run

| outcome | test | time | CPU time | peak memory | |
| --- | --- | ---: | ---: | ---: | --- |
| fail exit(1) | <code>test/b.sh</code> | 12 ms |  |  |  |

- flaky: <code>test/c.sh</code> passed on attempt 2
- leaked-process (1): <code>test/d.sh</code> left behind&#58; process x

"
    );
    assert_eq!(written.stderr, "");
}

#[test]
fn no_more_than_github_shows() {
    let mut events: Vec<Event> = (0..13)
        .map(|at| finished(failed(&format!("{at}"))))
        .collect();
    for at in 0..11 {
        let mut flaky = attempt(&format!("flaky/{at}"));
        flaky.attempt = 2;
        events.push(finished(flaky));
    }
    let out = written(&events).out;
    let count = |word: &str| out.lines().filter(|line| line.starts_with(word)).count();
    assert_eq!((count("::error "), count("::warning ")), (10, 10));
    assert!(out.ends_with(
        "::notice title=docker-test::3 more tests are not good: see the job's summary\n\
         ::notice title=docker-test::1 more tests are good with a warning: see the job's summary\n"
    ));
}

#[test]
fn the_summary_is_bounded() {
    let id = |at: usize| format!("test/{at}/{}", "x".repeat(900));
    let events: Vec<Event> = (0..3_000).map(|at| finished(failed(&id(at)))).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("summary.md");
    // What earlier runs of the step wrote counts too.
    for least in [500 << 10, 950 << 10, 960 << 10] {
        let place = Place {
            workspace: None,
            summary: Some(path.clone()),
        };
        let written = written_to(place, &events);
        let bytes = written.summary.len();
        assert!((least..1 << 20).contains(&bytes), "{bytes}");
        assert!(written.summary.contains(" more tests that are not good\n"));
    }
}

#[test]
fn a_summary_that_cannot_be_written_is_told() {
    let place = Place {
        workspace: None,
        summary: Some("/nonexistent/a\n::error::b".into()),
    };
    let written = written_to(place, &[finished(failed("a"))]);
    assert_eq!(
        written.stderr,
        "warning: the job's summary /nonexistent/a\\n::error::b cannot be written: \
         No such file or directory (os error 2)\n"
    );
}

/// A command's name, its properties and its message.
type Command = (String, Vec<(String, String)>, String);

/// A command as the runner reads it.
fn command(line: &str) -> Option<Command> {
    let (head, message) = line.trim_start().strip_prefix("::")?.split_once("::")?;
    let (name, rest) = head.split_once(' ').unwrap_or((head, ""));
    let plain = |text: &str| {
        text.replace("%0D", "\r")
            .replace("%0A", "\n")
            .replace("%3A", ":")
            .replace("%2C", ",")
            .replace("%25", "%")
    };
    let properties = rest.split(',').filter_map(|pair| pair.split_once('='));
    let properties = properties.map(|(key, value)| (key.to_owned(), plain(value)));
    Some((name.to_owned(), properties.collect(), plain(message)))
}

fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let attempt = |outcome, attempt| Attempt {
        test: TestId::new(bytes.to_vec()),
        attempt,
        profile: text.clone(),
        image: text.clone(),
        violations: vec![warning(ViolationKind::LeakedProcess, &text)],
        stdout: Captured {
            head: bytes.to_vec().into(),
            dropped_bytes: 1,
            tail: bytes.to_vec().into(),
            total_bytes: 9,
        },
        stderr: captured(&text),
        ..ended("", outcome)
    };
    let written = written(&[
        finished(attempt(Outcome::Fail(FailReason::Exit(1)), 1)),
        finished(attempt(Outcome::Oom, 2)),
        finished(attempt(Outcome::Pass, 2)),
    ]);
    // All that the runner may take for a line's end.
    let lines = written
        .out
        .split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']);
    let found: Vec<_> = lines
        .filter(|line| !line.is_empty())
        .map(|line| command(line).unwrap())
        .collect();
    let names: Vec<&str> = found.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["error", "error", "warning"], "{}", written.out);
    for (_, properties, message) in &found {
        let keys: Vec<&str> = properties.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["file", "title"], "{}", written.out);
        assert!(!message.trim().is_empty());
    }
    for marker in ["##[", "##vso[", "##teamcity["] {
        assert!(!written.out.contains(marker), "{}", written.out);
    }
    let table: Vec<&str> = written
        .summary
        .lines()
        .filter(|l| l.starts_with('|'))
        .collect();
    assert_eq!(table.len(), 4, "{}", written.summary);
    for row in table {
        assert_eq!(row.matches('|').count(), 7, "{row}");
    }
    let markup = written.summary.replace("<code>", "").replace("</code>", "");
    assert!(
        !markup.contains(['<', '>', '`', '[', '@', '*', '_', '\\']),
        "{markup}"
    );
}

#[test]
fn hostile_tests_give_no_command_and_no_markup() {
    for bytes in [
        "".as_bytes(),
        b"::error::x",
        b"%0A::error::x",
        b"a\n::add-mask::x",
        b"a,file=/etc/passwd::x",
        b"x,line=1,title=y::z",
        b"##[error]x",
        b"a|b|<script>x</script>`c`",
        b"[x](http://y) @z ![i](//j)",
        b"</code>\n\n# Title",
        b"\xff\r\n\x1b[2J",
        "\u{85}::error::x\u{2028}::error::y".as_bytes(),
    ] {
        check(bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_give_no_command(bytes: Vec<u8>) {
        check(&bytes);
    }

    #[test]
    fn any_mix_of_markers_gives_no_command(
        parts in proptest::collection::vec(prop_oneof![
            Just("#"), Just("##"), Just(":"), Just("::"), Just("["), Just("]"), Just("%0A"), Just("%"),
            Just("25"), Just(","), Just("="), Just("file"), Just("\n"), Just("\r"), Just("|"),
            Just("`"), Just("<"), Just(" "), Just("error"), Just("\u{85}"), Just("\\"),
        ], 0..24)
    ) {
        check(parts.concat().as_bytes());
    }
}
