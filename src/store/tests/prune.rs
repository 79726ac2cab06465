//! What `db prune` removes, what it keeps, and beside whom.

use super::*;
use crate::store::Pruned;

/// When the runs of these tests began; see `run_started`.
const BEGAN: u64 = 1_700_000_000_000_000;

/// A run with one full attempt at each test.
fn record(store: &mut Store, run: &str, ids: &[&[u8]], ended: bool) {
    store.take(&[run_started(run, ids)]).unwrap();
    let attempts: Vec<_> = ids.iter().map(|id| finished(full_attempt(id, 1))).collect();
    store.take(&attempts).unwrap();
    if ended {
        store.take(&[run_finished()]).unwrap();
    }
}

/// Lets a run begin at another time.
fn date(path: &Path, run: &str, began: u64) {
    let connection = Connection::open(path).unwrap();
    let sql = "UPDATE runs SET started_unix_us = ?2 WHERE run = ?1";
    assert_eq!(connection.execute(sql, (run, began as i64)).unwrap(), 1);
}

/// The rows of each table.
fn rows(path: &Path) -> Vec<(&'static str, i64)> {
    let tables = [
        "runs",
        "workers",
        "planned",
        "attempts",
        "outputs",
        "violations",
        "series",
        "peaks",
        "tests",
    ];
    tables
        .map(|table| (table, count(path, &format!("SELECT count(*) FROM {table}"))))
        .into()
}

const OLD: &str = "00000000000000a1";
const NEW: &str = "00000000000000a2";

#[test]
fn an_old_run_goes_with_everything_that_hangs_on_it() {
    let folder = TempDir::new().unwrap();
    let mut store = open(&folder);
    record(&mut store, NEW, &[b"both", b"new"], true);
    let path = store.path().to_owned();
    let without = rows(&path);
    record(&mut store, OLD, &[b"both", b"old"], true);
    date(&path, OLD, BEGAN - 1);
    let with = rows(&path);
    assert!(with.iter().zip(&without).all(|(a, b)| a.1 >= b.1) && with != without);
    let expected = Pruned {
        runs: 1,
        attempts: 2,
        ..Pruned::default()
    };
    assert_eq!(store.prune(BEGAN, BEGAN, true).unwrap(), expected);
    assert_eq!(rows(&path), with, "a dry run removes nothing");
    let done = store.prune(BEGAN, BEGAN, false).unwrap();
    assert_eq!((done.runs, done.attempts, done.tests), (1, 2, 1));
    assert_eq!(rows(&path), without);
    assert_eq!(
        count(&path, "SELECT count(*) FROM pragma_foreign_key_check"),
        0
    );
    // And it still takes what comes, with its checks on.
    record(&mut store, OLD, &[b"old"], true);
    store
        .connection
        .execute("INSERT INTO planned VALUES ('none', 1, 1, '', '', '')", [])
        .unwrap_err();
}

#[test]
fn a_run_that_may_be_running_stays() {
    let folder = TempDir::new().unwrap();
    let mut store = open(&folder);
    // The attempt of it began at 5.
    record(&mut store, OLD, &[b"a"], false);
    let kept = store.prune(u64::MAX >> 1, BEGAN, false).unwrap();
    assert_eq!((kept.runs, kept.running), (0, 1));
    let path = store.path().to_owned();
    date(&path, OLD, 1);
    let kept = store.prune(BEGAN, 5, false).unwrap();
    assert_eq!(
        (kept.runs, kept.running),
        (0, 1),
        "its last sign of life counts"
    );
    let gone = store.prune(BEGAN, 6, false).unwrap();
    assert_eq!((gone.runs, gone.running), (1, 0));
    assert_eq!(rows(&path).iter().map(|row| row.1).sum::<i64>(), 0);
}

/// Much output, so that there is space to give back.
fn fill(store: &mut Store, run: &str) {
    store.take(&[run_started(run, &[b"a"])]).unwrap();
    let attempts: Vec<_> = (1..=50)
        .map(|at| {
            let mut attempt = full_attempt(b"a", at);
            attempt.stdout.head = vec![b'x'; 100_000].into();
            finished(attempt)
        })
        .collect();
    store.take(&attempts).unwrap();
    store.take(&[run_finished()]).unwrap();
}

#[test]
fn the_space_is_given_back() {
    let folder = TempDir::new().unwrap();
    let mut store = open(&folder);
    let path = store.path().to_owned();
    assert_eq!(count(&path, "PRAGMA auto_vacuum"), 2);
    fill(&mut store, OLD);
    let done = store.prune(u64::MAX >> 1, BEGAN, false).unwrap();
    assert!(done.bytes > 5_000_000, "{done:?}");
    assert_eq!(done.kept_bytes, 0);
    assert!(std::fs::metadata(&path).unwrap().len() < 300_000);
}

/// A database of an older version gives nothing back in steps; it becomes one that does.
#[test]
fn an_older_database_is_rewritten_where_nobody_writes() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("docker-test.db");
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/v2.db");
    std::fs::copy(fixture, &path).unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    fill(&mut store, NEW);
    date(&path, NEW, 2);
    record(&mut store, OLD, &[b"a"], false);
    let kept = store.prune(3, BEGAN, false).unwrap();
    assert_eq!((kept.runs, kept.bytes), (1, 0));
    assert!(kept.kept_bytes > 5_000_000, "{kept:?}");
    store
        .take(&[run_started(OLD, &[]), run_finished()])
        .unwrap();
    // The fixture has a run without an end too.
    let done = store.prune(3, 2 * BEGAN, false).unwrap();
    assert!(done.bytes > 5_000_000, "{done:?}");
    assert_eq!(count(&path, "PRAGMA auto_vacuum"), 2);
    assert_eq!(
        count(&path, "SELECT count(*) FROM attempts WHERE run < '5'"),
        7
    );
}

/// A launcher records in batches of one while old runs are removed: neither fails, nothing is lost.
#[test]
fn beside_a_running_launcher() {
    let folder = TempDir::new().unwrap();
    let mut store = open(&folder);
    let path = store.path().to_owned();
    let runs: Vec<String> = (0..20).map(|at| format!("{at:016x}")).collect();
    for run in &runs {
        fill(&mut store, run);
        date(&path, run, 1);
    }
    let mut writer = open(&folder);
    let ids: Vec<Vec<u8>> = (0..300).map(|at| format!("w{at}").into_bytes()).collect();
    let names: Vec<&[u8]> = ids.iter().map(Vec::as_slice).collect();
    writer.take(&[run_started(NEW, &names)]).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for id in &ids {
                writer.take(&[finished(full_attempt(id, 1))]).unwrap();
            }
        });
        let done = store.prune(BEGAN, BEGAN, false).unwrap();
        assert_eq!((done.runs, done.attempts), (20, 1000));
    });
    assert_eq!(count(&path, "SELECT count(*) FROM attempts"), 300);
    assert_eq!(
        count(&path, "SELECT count(*) FROM pragma_integrity_check"),
        1
    );
    assert_eq!(
        count(&path, "SELECT count(*) FROM pragma_foreign_key_check"),
        0
    );
}
