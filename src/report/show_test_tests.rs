use super::*;
use crate::model::{Leak, Sample, Statistics, ViolationKind, ViolationSeverity};

/// An attempt of which nothing is known.
fn bare() -> StoredAttempt {
    StoredAttempt {
        run: "aa".into(),
        test: "t".into(),
        attempt: 1,
        superseded: false,
        outcome: "lost".into(),
        reason: None,
        termination: None,
        stopped: None,
        escalated: false,
        timeout_state: None,
        profile: "fast".into(),
        image: "isolation".into(),
        worker: None,
        sequence: None,
        started_unix_us: None,
        reset_ns: None,
        stdout_bytes: 0,
        stderr_bytes: 0,
        leaks: Vec::new(),
        resources: None,
        statistics: None,
    }
}

fn shown(row: StoredAttempt) -> ShownAttempt {
    ShownAttempt {
        row,
        violations: Vec::new(),
        series: Vec::new(),
        outputs: Vec::new(),
    }
}

fn text(attempts: Vec<ShownAttempt>, unicode: bool) -> String {
    let canvas = Canvas {
        paint: Paint::new(false),
        width: 40,
        unicode,
    };
    let test = ByteText::from(b"t\x1b\xff".to_vec());
    let shown = ShownTest {
        run: "aa",
        test: &test,
        attempts,
    };
    shown.text(canvas, "r.db")
}

#[test]
fn what_is_not_known_is_not_measured() {
    let text = text(vec![shown(bare())], true);
    assert_eq!(
        text,
        "\
t\\x1b\\xff in run aa

attempt 1 of 1: lost
  termination    unknown
  ran under      profile fast, image isolation
  started        never, or unknown
  figures        not measured
  reset          not measured
"
    );
}

#[test]
fn every_figure_has_its_unit_and_source() {
    let used = Resources {
        wall_us: 1_250_000,
        cpu_us: Some(500_000),
        cpu_source: Some(Source::Rusage),
        memory_peak_bytes: Some(100 << 20),
        memory_peak_source: Some(Source::Sampled),
        memory_peak_bound_bytes: Some(104 << 20),
        memory_start_bytes: Some(3 << 20),
        memory_anon_bytes: Some(99 << 20),
        throttled_us: Some(20_000),
        throttled_periods: Some(1),
        pids_peak: Some(3),
        pids_peak_source: Some(Source::Cgroup),
        io_write_bytes: Some(4096),
        io_pressure_us: Some(3_000),
        ..Resources::default()
    };
    let figures = figures(&used);
    for (name, expected) in [
        ("wall time", "1.25 s"),
        ("CPU time", "500 ms (rusage)"),
        ("held back", "20 ms in 1 period (cgroup)"),
        (
            "memory",
            "peak 100 MiB (sampled), at most 104 MiB (cgroup), 3 MiB at start",
        ),
        (
            "its parts",
            "99 MiB anonymous, not measured of files at the highest sample",
        ),
        ("OOM kills", "not measured"),
        ("processes", "peak 3 (cgroup)"),
        ("disk", "not measured read, 4 KiB written"),
        ("waited for", "input and output 3.0 ms"),
    ] {
        let found = figures.iter().find(|(found, _)| *found == name);
        assert_eq!(found.map(|(_, text)| text.as_str()), Some(expected));
    }
}

#[test]
fn samples_are_drawn_as_far_as_the_terminal_can() {
    let mut attempt = shown(StoredAttempt {
        statistics: Some(Statistics::default()),
        ..bare()
    });
    attempt.series = (1..=4_u64)
        .map(|at| Sample {
            time_us: at * 100_000,
            cpu_us: Some(at * 50_000),
            memory_bytes: Some(at << 20),
            ..Sample::default()
        })
        .collect();
    let drawn = text(vec![attempt], false);
    assert!(drawn.is_ascii(), "{drawn}");
    let plot = "  memory:
     4 MiB |                     #######
           |              ##############
           |       #####################
         0 |############################
            0                     400 ms
  CPU, of one processor:
      50 % |############################
";
    assert!(drawn.contains(plot), "{drawn}");
}

#[test]
fn nothing_of_a_test_reaches_the_terminal_as_it_is() {
    let evil = "\u{1b}]0;x\u{7}##[error]\u{202e}";
    let mut attempt = shown(StoredAttempt {
        outcome: evil.into(),
        reason: Some(evil.into()),
        termination: Some(evil.into()),
        profile: evil.into(),
        image: evil.into(),
        stdout_bytes: 9,
        leaks: vec![Leak::Process { name: evil.into() }],
        ..bare()
    });
    attempt.violations = vec![StoredViolation {
        test: evil.into(),
        attempt: 1,
        kind: Some(ViolationKind::LeakedProcess),
        severity: ViolationSeverity::Warning,
        threshold: None,
        actual: Some(1.0),
        message: evil.into(),
    }];
    attempt.outputs = vec![StoredOutput {
        stream: evil.into(),
        head: evil.into(),
        dropped_bytes: 5 << 20,
        tail: "end\n".into(),
    }];
    let text = text(vec![attempt], true);
    assert!(!text.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{text}");
    assert!(!text.contains("##["), "{text}");
    assert!(text.contains("  = warning leaked-process: "), "{text}");
    assert!(text.contains("  = left behind: process "), "{text}");
    assert!(
        text.contains("  ... 5 MiB left out, see r.db ...\n  | end\n"),
        "{text}"
    );
}
