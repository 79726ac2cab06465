//! The highest figures over many runs, and names.

use proptest::prelude::*;

use super::*;
use crate::model::Figure;
use crate::store::{Reader, TestsNamed};

/// A finished attempt with these figures: memory, CPU, wall; open files and threads are derived.
fn measured(id: &[u8], attempt: u32, memory: u64, cpu: u64, wall: u64) -> Event {
    let spread = |max: u64| {
        Some(Spread {
            samples: 1,
            max: max as f64,
            avg: max as f64,
            p95: None,
            p99: None,
        })
    };
    finished(Attempt {
        profile: "fast".into(),
        started_unix_us: Some(9),
        resources: Some(Resources {
            wall_us: wall,
            cpu_us: Some(cpu),
            cpu_source: Some(Source::Cgroup),
            memory_peak_bytes: Some(memory),
            memory_peak_source: Some(Source::Sampled),
            ..Resources::default()
        }),
        statistics: Some(Statistics {
            samples: 1,
            open_files: spread(memory % 7),
            threads: spread(cpu % 5),
            ..Statistics::default()
        }),
        ..bare_attempt(id, attempt)
    })
}

/// A database of runs, each with its attempts and whether it ended.
fn database(runs: &[(Vec<Event>, bool)]) -> (TempDir, Reader) {
    let folder = TempDir::new().unwrap();
    for (at, (attempts, ended)) in runs.iter().enumerate() {
        let mut store = open(&folder);
        store
            .take(&[run_started(&format!("{at:016x}"), &[])])
            .unwrap();
        store.take(attempts).unwrap();
        if *ended {
            store.take(&[run_finished()]).unwrap();
        }
    }
    let reader = Reader::open(&folder.path().join("r")).unwrap().unwrap();
    (folder, reader)
}

fn top(reader: &Reader, figure: Figure, at_most: usize) -> Vec<(String, f64)> {
    let tests = reader.top(figure, 0, at_most).unwrap();
    let pair = |test: crate::store::TopTest| (test.attempt.test.to_string(), test.highest);
    tests.into_iter().map(pair).collect()
}

#[test]
fn a_test_has_its_highest_figure_with_its_attempt() {
    let first = vec![
        measured(b"a", 1, 700, 1, 30),
        measured(b"a", 2, 100, 9, 10),
        measured(b"b", 1, 600, 5, 20),
        finished(bare_attempt(b"never", 1)),
    ];
    let (_folder, reader) =
        database(&[(first, true), (vec![measured(b"b", 1, 800, 2, 20)], false)]);
    assert_eq!(
        top(&reader, Figure::Memory, 10),
        [("b".to_owned(), 800.0), ("a".to_owned(), 700.0)]
    );
    assert_eq!(top(&reader, Figure::Memory, 1), [("b".to_owned(), 800.0)]);
    let [a, b] = &reader.top(Figure::Cpu, 0, 10).unwrap()[..] else {
        panic!()
    };
    assert_eq!((a.highest, a.attempt.attempt), (9.0, 2));
    assert_eq!(
        a.attempt.figure(Figure::Cpu),
        Some((9.0, Some(Source::Cgroup)))
    );
    assert_eq!(a.limits.as_ref().unwrap().memory_bytes, 128 << 20);
    assert_eq!(
        (b.highest, b.attempt.run.as_str()),
        (5.0, "0000000000000000")
    );
    // Of equals, the newest run's.
    let walls = reader.top(Figure::Wall, 0, 10).unwrap();
    assert_eq!(walls[1].attempt.run, "0000000000000001");
    // All of these runs began at one time.
    assert_eq!(
        reader.top(Figure::Wall, 1_700_000_000_000_001, 10).unwrap(),
        []
    );
}

#[test]
fn violations_are_counted_over_all_runs_without_mere_information() {
    let with = |id: &[u8], attempt, severities: &[ViolationSeverity]| {
        let violation = |severity: &ViolationSeverity| Violation {
            kind: ViolationKind::LeakedFile,
            severity: *severity,
            threshold: None,
            actual: None,
            message: String::new(),
        };
        finished(Attempt {
            violations: severities.iter().map(violation).collect(),
            ..bare_attempt(id, attempt)
        })
    };
    use ViolationSeverity::{Error, Info, Warning};
    let (_folder, reader) = database(&[
        (
            vec![with(b"a", 1, &[Warning, Error]), with(b"b", 1, &[Warning])],
            true,
        ),
        (
            vec![
                with(b"a", 1, &[Warning]),
                with(b"a", 2, &[Info]),
                with(b"c", 1, &[Info]),
            ],
            true,
        ),
    ]);
    let tests = reader.top(Figure::Violations, 0, 10).unwrap();
    let [a, b] = &tests[..] else {
        panic!("{tests:?}")
    };
    assert_eq!((a.highest, b.highest), (3.0, 1.0));
    assert_eq!(
        (a.attempt.run.as_str(), a.attempt.attempt),
        ("0000000000000001", 1)
    );
    assert_eq!(reader.violation_count(&a.attempt).unwrap(), 1);
}

/// With more tests than a run's peaks have, nothing is lost that can be asked for.
#[test]
fn peaks_are_as_many_as_are_looked_at() {
    let many = |from: u64| -> Vec<Event> {
        (0..500u64)
            .map(|at| {
                measured(
                    format!("t{at}").as_bytes(),
                    1,
                    (at * 7919 + from) % 1009,
                    at,
                    1,
                )
            })
            .collect()
    };
    let (folder, reader) = database(&[(many(0), true), (many(500), true)]);
    let path = folder.path().join("r/docker-test.db");
    let count_of = "SELECT count(*) FROM peaks WHERE figure = 'memory'";
    assert_eq!(count(&path, count_of), 2 * PEAKS as i64);
    for figure in Figure::MEASURED {
        let all = top(&reader, figure, 500);
        assert_eq!(all.len(), 500);
        assert_eq!(top(&reader, figure, PEAKS), all[..PEAKS], "{figure:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn peaks_say_what_all_attempts_say(
        runs in proptest::collection::vec(
            proptest::collection::vec((0..90u8, 1..3u32, 0..40u64, 0..40u64), 0..150), 1..4),
        at_most in 1..70usize,
    ) {
        let events = |run: &Vec<(u8, u32, u64, u64)>| -> Vec<Event> {
            run.iter().map(|(id, attempt, a, b)| measured(&[b'a', *id], *attempt, *a, *b, a + b)).collect()
        };
        let ranked: Vec<_> = runs.iter().map(|run| (events(run), true)).collect();
        let (_one, with) = database(&ranked);
        let plain: Vec<_> = runs.iter().map(|run| (events(run), false)).collect();
        let (_two, without) = database(&plain);
        for figure in Figure::ALL {
            prop_assert_eq!(top(&with, figure, at_most), top(&without, figure, at_most));
        }
    }
}

#[test]
fn names() {
    let ids: [&[u8]; 4] = [b"a/login.sh", b"a/logout.sh", b"a/login.sh::x", b"z\xff\n"];
    let (_folder, reader) = {
        let folder = TempDir::new().unwrap();
        let mut store = open(&folder);
        store.take(&[run_started(RUN, &ids)]).unwrap();
        drop(store);
        let reader = Reader::open(&folder.path().join("r")).unwrap().unwrap();
        (folder, reader)
    };
    let named = |text: &[u8]| reader.tests_named(&text.to_vec().into(), 2).unwrap();
    let one = |id: &[u8]| TestsNamed::One(id.to_vec().into());
    assert_eq!(
        named(b"a/login.sh"),
        one(b"a/login.sh"),
        "a whole id beats a part"
    );
    assert_eq!(named(b"logout"), one(b"a/logout.sh"));
    assert_eq!(named(b"\xff"), one(b"z\xff\n"));
    assert_eq!(named(b"%"), TestsNamed::None);
    let several = TestsNamed::Several(vec!["a/login.sh".into(), "a/logout.sh".into()], 3);
    assert_eq!(named(b"a/"), several);
    assert_eq!(reader.test_ids(9).unwrap().len(), 4);
    assert_eq!(reader.run(RUN).unwrap().unwrap().run, RUN);
    assert_eq!(reader.run("00").unwrap(), None);
}
