//! Whatever a test is called and writes.

use super::*;

/// A test whose every text is `bytes`.
pub fn hostile(bytes: &[u8]) -> Vec<Event> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let output = |dropped_bytes| Captured {
        head: bytes.to_vec().into(),
        dropped_bytes,
        tail: bytes.to_vec().into(),
        total_bytes: 1,
    };
    let mut events = Vec::new();
    if let Event::RunStarted(mut started) = run_started(&[]) {
        started.project = bytes.to_vec().into();
        started.images = vec![text.clone()];
        started.host.clone_from(&text);
        started.tests = std::sync::Arc::new(vec![Test {
            id: TestId::new(bytes.to_vec()),
            profile: text.clone(),
            origin: ProfileOrigin::Default,
            image: crate::model::ImageChoice::Isolation,
        }]);
        events.push(Event::RunStarted(started));
    }
    for (at, (outcome, ..)) in OUTCOMES.into_iter().enumerate() {
        for superseded in [true, false] {
            events.push(finished(Attempt {
                test: TestId::new(bytes.to_vec()),
                attempt: 1 + u32::from(!superseded),
                superseded,
                profile: text.clone(),
                image: text.clone(),
                reason: outcome.reason().map(|_| text.clone()),
                violations: vec![warning(ViolationKind::LeakedProcess, &text)],
                stdout: output(at as u64 % 2),
                stderr: output(0),
                ..ended("", outcome)
            }));
        }
    }
    events
}

#[test]
fn hostile_tests_break_no_report() {
    let long = "]]>&<".repeat(13_000);
    let binary: Vec<u8> = (0..65_536_u32).map(|at| (at * 31 % 256) as u8).collect();
    let bytes: [&[u8]; 14] = [
        b"",
        b"\0\x01\x08\x0b\x0c\x0e\x1f\x7f",
        b"]]>",
        b"<![CDATA[x]]>",
        b"</system-out></testcase></testsuite><testsuite name='x'>",
        b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY y SYSTEM 'z'>]>&y;",
        b"&#0;&#x1b;&amp;&nothing;",
        b"\xff\xfe\xc3\x28\xf0\x9f\x92",
        // Surrogates, as WTF-8 has them.
        b"\xed\xa0\x80 \xed\xb0\x80",
        "\u{fffe}\u{ffff}\u{1fffe}\u{85}\u{2028}\u{feff}".as_bytes(),
        b"\x1b[31mred\x1b[0m\x1b]0;title\x07\r\n\r\r",
        b"'\"\t\n \" onload=\"x",
        long.as_bytes(),
        &binary,
    ];
    for bytes in bytes {
        let text = written(&hostile(bytes));
        validate(&text);
        let suite = parse(&text);
        assert_eq!(suite.all("testcase").count(), OUTCOMES.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_xml(bytes: Vec<u8>) {
        parse(&written(&hostile(&bytes)));
    }

    #[test]
    fn any_mix_of_markup_is_xml(
        parts in proptest::collection::vec(prop_oneof![
            Just("<"), Just(">"), Just("&"), Just(";"), Just("]]>"), Just("<![CDATA["), Just("-->"),
            Just("<!--"), Just("\""), Just("'"), Just("#"), Just("x0"), Just("testcase"), Just("/"),
            Just("</testsuite>"), Just("<testcase"), Just("<testsuite "), Just("\n"), Just("\r"),
            Just("\0"), Just("\u{1b}"), Just("\u{fffe}"), Just("\u{9f}"), Just(" "),
        ], 0..24)
    ) {
        let root = suite(&hostile(parts.concat().as_bytes()));
        prop_assert_eq!(root.name.as_str(), "testsuite");
        prop_assert_eq!(root.all("testcase").count(), OUTCOMES.len());
    }
}
