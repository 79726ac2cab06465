//! The store as a whole: rows of every event, and what goes wrong while they are written.

mod baseline;
mod durations;
mod fixture;
mod pressure;
mod processes;
mod prune;
mod read;
mod refusals;
mod top;

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::types::Value;
use tempfile::TempDir;

use super::*;
use crate::event::{
    Attempt, Captured, Division, LimitCheck, LimitState, Notice, Progress, RunFinished, RunStarted,
    Severity, WorkerEnded, WorkerStarted,
};
use crate::model::{
    ContentDigest, FailReason, ImageChoice, Leak, Level, Network, Outcome, ProfileOrigin,
    Resources, Sample, Shard, Source, Spread, Statistics, StopReason, Termination, Test, TestId,
    TimeoutState, Violation, ViolationKind, ViolationSeverity,
};
use crate::protocol::Attestation;

const RUN: &str = "00000000000000aa";

fn run_started(run: &str, ids: &[&[u8]]) -> Event {
    let test = |id: &&[u8]| Test {
        id: TestId::new(id.to_vec()),
        profile: "fast".into(),
        origin: ProfileOrigin::Marker,
        image: ImageChoice::Isolation,
    };
    Event::RunStarted(RunStarted {
        run: run.into(),
        started_unix_us: 1_700_000_000_000_000,
        version: "0.1.0".into(),
        engine: "docker".into(),
        images: vec!["isolation".into()],
        project: b"/srv/\xff".to_vec().into(),
        host: "box".into(),
        machine: "4 processors".into(),
        profiles: crate::model::built_in_profiles()
            .into_iter()
            .map(|(name, profile)| (name, profile.limits))
            .collect(),
        level: Level::Strict,
        network: Network::Internal,
        allow_weaker: true,
        suite: "5a1b".into(),
        division: Some(Division {
            shard: Shard {
                shard: 2,
                shards: 3,
            },
            history: Some("9d2e".into()),
            elsewhere: Arc::default(),
        }),
        seed: Some(u32::MAX),
        workers: 2,
        tests: Arc::new(ids.iter().map(test).collect()),
    })
}

/// An attempt about which nothing is known but that it never ran.
fn bare_attempt(id: &[u8], attempt: u32) -> Attempt {
    Attempt {
        test: TestId::new(id.to_vec()),
        attempt,
        superseded: false,
        outcome: Outcome::NotRun(crate::model::NotRunCause::FailFast),
        reason: Some("fail-fast".into()),
        termination: None,
        stopped: None,
        escalated: false,
        profile: "fast".into(),
        image: "isolation".into(),
        worker: None,
        sequence: None,
        started_unix_us: None,
        resources: None,
        statistics: None,
        series: Vec::new(),
        violations: Vec::new(),
        timeout_state: None,
        leaks: Vec::new(),
        reset_ns: None,
        stdout: Captured::default(),
        stderr: Captured::default(),
    }
}

/// An attempt with something in every field.
fn full_attempt(id: &[u8], attempt: u32) -> Attempt {
    Attempt {
        superseded: true,
        outcome: Outcome::Fail(FailReason::OutputLimit),
        reason: Some("output-limit".into()),
        termination: Some(Termination::Signal(11)),
        stopped: Some(StopReason::OutputLimit),
        escalated: true,
        worker: Some(3),
        sequence: Some(4),
        started_unix_us: Some(5),
        resources: Some(Resources {
            wall_us: 6,
            cpu_us: Some(7),
            cpu_source: Some(Source::Cgroup),
            throttled_us: Some(8),
            memory_start_bytes: Some(9),
            memory_peak_bytes: Some(10),
            memory_peak_source: Some(Source::Rusage),
            memory_peak_bound_bytes: Some(u64::MAX),
            oom_kills: Some(12),
            pids_limit_hits: Some(13),
            cpu_user_us: Some(14),
            cpu_system_us: Some(15),
            throttled_periods: Some(16),
            memory_anon_bytes: Some(17),
            memory_file_bytes: Some(18),
            pids_peak: Some(19),
            pids_peak_source: Some(Source::Sampled),
            io_read_bytes: Some(20),
            io_write_bytes: Some(21),
            cpu_pressure_us: Some(22),
            memory_pressure_us: Some(23),
            io_pressure_us: Some(24),
            tmpfs_left_bytes: Some(25),
        }),
        statistics: Some(statistics()),
        series: vec![sample(1), sample(2)],
        violations: vec![Violation {
            kind: ViolationKind::LeakedProcess,
            severity: ViolationSeverity::Warning,
            threshold: None,
            actual: Some(1.0),
            message: "process d".into(),
        }],
        timeout_state: Some(TimeoutState::Starved),
        leaks: vec![Leak::Process {
            name: b"d\xfe".to_vec().into(),
        }],
        reset_ns: Some(14),
        stdout: Captured {
            head: b"head\0\xff".to_vec().into(),
            dropped_bytes: 90,
            tail: "tail".into(),
            total_bytes: 100,
        },
        ..bare_attempt(id, attempt)
    }
}

fn statistics() -> Statistics {
    let spread = |from: f64| Spread {
        samples: 20,
        max: from,
        avg: from + 0.25,
        p95: Some(from + 0.5),
        p99: None,
    };
    Statistics {
        samples: 21,
        cpu_percent: Some(spread(100.0)),
        memory_bytes: Some(spread(200.0)),
        open_files: None,
        threads: Some(spread(400.0)),
    }
}

fn sample(at: u64) -> Sample {
    Sample {
        time_us: at,
        cpu_us: Some(at * 2),
        pss_bytes: Some(at * 3),
        ..Sample::default()
    }
}

fn finished(attempt: Attempt) -> Event {
    Event::AttemptFinished(Box::new(attempt))
}

fn run_finished() -> Event {
    Event::RunFinished(RunFinished {
        wall_us: 77,
        engine_version: Some("20.10.24".into()),
        image_digests: [("isolation".into(), ContentDigest::of_sha256([0x15; 32]))].into(),
        interrupted: Some(2),
        exit_status: 130,
    })
}

fn open(folder: &TempDir) -> Store {
    Store::open(&folder.path().join("r")).unwrap()
}

/// The first row of a query, from a connection of its own.
fn row(path: &Path, sql: &str) -> Vec<Value> {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection.prepare(sql).unwrap();
    let columns = statement.column_count();
    statement
        .query_row([], |row| (0..columns).map(|at| row.get(at)).collect())
        .unwrap()
}

fn count(path: &Path, sql: &str) -> i64 {
    match row(path, sql)[0] {
        Value::Integer(number) => number,
        ref other => panic!("{sql}: {other:?}"),
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn integers(numbers: impl IntoIterator<Item = i64>) -> impl Iterator<Item = Value> {
    numbers.into_iter().map(Value::Integer)
}

#[test]
fn a_run_from_start_to_end() {
    let folder = TempDir::new().unwrap();
    let mut store = open(&folder);
    store.take(&[run_started(RUN, &[b"b", b"a"])]).unwrap();
    let runs = "SELECT run, started_unix_us, wall_us, version, engine, engine_version, host,
                project, images, workers, planned, exit_status, interrupted, image_digests FROM runs";
    let mut expected = vec![
        text(RUN),
        Value::Integer(1_700_000_000_000_000),
        Value::Null,
        text("0.1.0"),
        text("docker"),
        Value::Null,
        text("box"),
        Value::Blob(b"/srv/\xff".to_vec()),
        text(r#"["isolation"]"#),
        Value::Integer(2),
        Value::Integer(2),
        Value::Null,
        Value::Null,
        Value::Null,
    ];
    assert_eq!(row(store.path(), runs), expected);
    let planned = "SELECT group_concat(position || tests.id || profile || origin || image)
                   FROM planned JOIN tests USING (test)";
    let planned = row(store.path(), planned);
    assert_eq!(
        planned,
        [text("1bfastmarkerisolation,2afastmarkerisolation")]
    );

    store.take(&[run_finished()]).unwrap();
    expected[2] = Value::Integer(77);
    expected[5] = text("20.10.24");
    expected[11] = Value::Integer(130);
    expected[12] = Value::Integer(2);
    expected[13] = text(&format!(r#"{{"isolation":"sha256:{}"}}"#, "15".repeat(32)));
    assert_eq!(row(store.path(), runs), expected);
}

#[test]
fn workers() {
    let folder = TempDir::new().unwrap();
    let mut store = open(&folder);
    let ended = |worker, problem: Option<&str>| {
        Event::WorkerEnded(WorkerEnded {
            worker,
            tests: 9,
            problem: problem.map(Into::into),
        })
    };
    let started = Event::WorkerStarted(WorkerStarted {
        worker: 1,
        profile: "fast".into(),
        image: "full".into(),
        start_us: 250_000,
        attestation: Attestation {
            pid: 1,
            ..Attestation::default()
        },
        limits: vec![LimitCheck {
            limit: "memory",
            state: LimitState::Clamped,
            found: "512 MiB".into(),
        }],
    });
    let never_started = ended(2, Some("no space"));
    store
        .take(&[
            run_started(RUN, &[]),
            started,
            ended(1, None),
            never_started,
        ])
        .unwrap();
    let one = row(
        store.path(),
        "SELECT profile, image, start_us, attestation ->> 'pid', limits ->> '$[0].state', tests,
         problem FROM workers WHERE worker = 1",
    );
    let mut expected = vec![text("fast"), text("full")];
    expected.extend(integers([250_000, 1]));
    expected.extend([text("clamped"), Value::Integer(9), Value::Null]);
    assert_eq!(one, expected);
    let two = "SELECT profile, attestation, problem FROM workers WHERE worker = 2";
    let two = row(store.path(), two);
    assert_eq!(two, [Value::Null, Value::Null, text("no space")]);
}

#[test]
fn every_figure_of_an_attempt_is_in_its_column() {
    let folder = TempDir::new().unwrap();
    let mut store = open(&folder);
    store
        .take(&[run_started(RUN, &[b"a"]), finished(full_attempt(b"a", 2))])
        .unwrap();
    let figures = row(
        store.path(),
        "SELECT attempt, superseded, escalated, worker, sequence, started_unix_us, wall_us, cpu_us,
                throttled_us, memory_start_bytes, memory_peak_bytes, memory_peak_bound_bytes,
                oom_kills, pids_limit_hits, reset_ns, stdout_bytes, stderr_bytes
         FROM attempts",
    );
    // A figure that SQLite cannot hold is the largest that it can.
    let expected = [
        2,
        1,
        1,
        3,
        4,
        5,
        6,
        7,
        8,
        9,
        10,
        i64::MAX,
        12,
        13,
        14,
        100,
        0,
    ];
    assert_eq!(figures, integers(expected).collect::<Vec<_>>());
    let words = row(
        store.path(),
        "SELECT outcome, reason, termination, stopped, profile, image, cpu_source,
                memory_peak_source, leaks
         FROM attempts",
    );
    let expected = [
        "fail",
        "output-limit",
        "SIGSEGV",
        "output-limit",
        "fast",
        "isolation",
        "cgroup",
        "rusage",
        r#"[{"kind":"process","name":{"base64":"ZP4="}}]"#,
    ];
    assert_eq!(words, expected.map(text));
    let outputs = row(
        store.path(),
        "SELECT count(*), stream, head, dropped_bytes, tail FROM outputs",
    );
    let expected = [
        Value::Integer(1),
        text("stdout"),
        Value::Blob(b"head\0\xff".to_vec()),
        Value::Integer(90),
        Value::Blob(b"tail".to_vec()),
    ];
    assert_eq!(outputs, expected);
}

#[test]
fn what_was_not_measured_is_null() {
    let folder = TempDir::new().unwrap();
    let mut store = open(&folder);
    store
        .take(&[run_started(RUN, &[b"a"]), finished(bare_attempt(b"a", 1))])
        .unwrap();
    let columns = "termination, stopped, worker, sequence, started_unix_us, wall_us, cpu_us,
        cpu_source, throttled_us, memory_start_bytes, memory_peak_bytes, memory_peak_source,
        memory_peak_bound_bytes, oom_kills, pids_limit_hits, reset_ns, leaks";
    let found = row(store.path(), &format!("SELECT {columns} FROM attempts"));
    assert!(found.iter().all(|value| *value == Value::Null), "{found:?}");
    assert_eq!(count(store.path(), "SELECT count(*) FROM outputs"), 0);
}

#[test]
fn an_event_that_comes_twice_is_there_once() {
    let folder = TempDir::new().unwrap();
    let mut store = open(&folder);
    let mut batch = vec![
        run_started(RUN, &[b"a"]),
        finished(full_attempt(b"a", 1)),
        finished(bare_attempt(b"a", 2)),
        run_finished(),
    ];
    store.take(&batch).unwrap();
    for table in ["outputs", "violations", "series", "peaks"] {
        let found = count(store.path(), &format!("SELECT count(*) FROM {table}"));
        assert!(found > 0, "{table}");
    }
    batch[1] = finished(bare_attempt(b"a", 1));
    store.take(&batch).unwrap();
    let path = store.path();
    for (table, rows) in [("runs", 1), ("planned", 1), ("tests", 1), ("attempts", 2)] {
        let found = count(path, &format!("SELECT count(*) FROM {table}"));
        assert_eq!(found, rows, "{table}");
    }
    for table in ["outputs", "violations", "series", "peaks"] {
        let found = count(path, &format!("SELECT count(*) FROM {table}"));
        assert_eq!(found, 0, "{table} of the row that was replaced are gone");
    }
    assert_eq!(count(path, "SELECT sum(superseded) FROM attempts"), 0);
}

#[test]
fn ids_keep_every_byte() {
    let folder = TempDir::new().unwrap();
    let mut store = open(&folder);
    let ids: [&[u8]; 4] = [b"plain", b"\xff\xfe", b"a'b\n\0c", "caf\u{e9}".as_bytes()];
    store.take(&[run_started(RUN, &ids)]).unwrap();
    let attempts: Vec<_> = ids.map(|id| finished(bare_attempt(id, 1))).into();
    store.take(&attempts).unwrap();
    let connection = Connection::open(store.path()).unwrap();
    let mut statement = connection
        .prepare("SELECT cast(id AS BLOB) FROM attempts JOIN tests USING (test) ORDER BY test")
        .unwrap();
    let found = statement.query_map([], |row| row.get(0)).unwrap();
    let found: Vec<Vec<u8>> = found.map(Result::unwrap).collect();
    assert_eq!(found, ids);
    let kinds = "SELECT group_concat(typeof(id)) FROM tests";
    assert_eq!(row(store.path(), kinds), [text("text,blob,text,text")]);
}

#[test]
fn a_batch_that_fails_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    let mut store = open(&folder);
    store.take(&[run_started(RUN, &[b"a"])]).unwrap();
    store
        .connection
        .execute_batch(
            "CREATE TEMP TRIGGER no BEFORE INSERT ON main.attempts WHEN new.attempt = 2
             BEGIN SELECT raise(ABORT, 'no'); END",
        )
        .unwrap();
    let batch = [1, 2].map(|n| finished(bare_attempt(b"a", n)));
    store.take(&batch).unwrap_err();
    assert_eq!(count(store.path(), "SELECT count(*) FROM attempts"), 0);
    store.take(&batch[..1]).unwrap();
    assert_eq!(count(store.path(), "SELECT count(*) FROM attempts"), 1);
}

#[test]
fn a_result_needs_a_run() {
    let folder = TempDir::new().unwrap();
    let mut store = open(&folder);
    let error = store.take(&[finished(bare_attempt(b"a", 1))]).unwrap_err();
    let expected = format!("{}: a result came before its run", store.path().display());
    assert_eq!(error.to_string(), expected);
}
