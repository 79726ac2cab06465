//! Several launchers, and launchers that are killed. A launcher is a child of this test binary that
//! does nothing but write, and says on its stdout what it was promised.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use super::*;

const FOLDER: &str = "DOCKER_TEST_STORE_FOLDER";
const WRITER_RUN: &str = "DOCKER_TEST_STORE_RUN";
const BATCHES: &str = "DOCKER_TEST_STORE_BATCHES";
const ROWS_PER_BATCH: u32 = 3;

/// Only does something as a child: writes batches and acknowledges each.
#[test]
fn writer() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let run = std::env::var(WRITER_RUN).unwrap();
    let batches: u32 = std::env::var(BATCHES).unwrap().parse().unwrap();
    let mut out = std::io::stdout();
    let mut store = Store::open(Path::new(&folder)).unwrap();
    store.take(&[run_started(&run, &[b"a"])]).unwrap();
    for batch in 0..batches {
        let rows: Vec<_> = (0..ROWS_PER_BATCH)
            .map(|row| finished(full_attempt(b"a", batch * ROWS_PER_BATCH + row)))
            .collect();
        store.take(&rows).unwrap();
        writeln!(out, "acknowledged").unwrap();
    }
    store.take(&[run_finished()]).unwrap();
}

/// Starts a writer; its output lines that acknowledge a batch are the iterator's items.
fn start(folder: &Path, run: &str, batches: u32) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::tests::processes::writer", "--nocapture"])
        .env(FOLDER, folder)
        .env(WRITER_RUN, run)
        .env(BATCHES, batches.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, acknowledged(lines))
}

fn acknowledged(
    lines: std::io::Lines<BufReader<ChildStdout>>,
) -> impl Iterator<Item = String> + use<> {
    lines
        .map(Result::unwrap)
        .filter(|line| line.ends_with("acknowledged"))
}

fn rows_of(path: &Path, run: &str) -> i64 {
    count(
        path,
        &format!("SELECT count(*) FROM attempts WHERE run = '{run}'"),
    )
}

#[test]
fn a_killed_launcher_loses_nothing_that_was_acknowledged() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("docker-test.db");
    for kill_after in 1..=20 {
        let run = format!("{kill_after:016x}");
        let (mut child, mut lines) = start(folder.path(), &run, u32::MAX / ROWS_PER_BATCH);
        let mut seen = 0;
        // Spread over the first hundreds of batches, and past the first checkpoints.
        while seen < kill_after * 17 && lines.next().is_some() {
            seen += 1;
        }
        child.kill().unwrap();
        // What it said before it died was promised too.
        seen += lines.count() as i64;
        child.wait().unwrap();
        assert!(seen >= kill_after * 17, "it died by itself");
        // Opened as the next run does.
        drop(Store::open(folder.path()).unwrap());
        let rows = rows_of(&path, &run);
        let promised = seen * i64::from(ROWS_PER_BATCH);
        assert!(rows >= promised, "{rows} of {promised} rows");
        let extra = rows - promised;
        assert!(extra % i64::from(ROWS_PER_BATCH) == 0, "a batch in half");
        assert_eq!(row(&path, "PRAGMA integrity_check"), [text("ok")]);
        let foreign_keys = "SELECT count(*) FROM pragma_foreign_key_check";
        assert_eq!(count(&path, foreign_keys), 0);
        let unfinished = format!("SELECT wall_us FROM runs WHERE run = '{run}'");
        assert_eq!(row(&path, &unfinished), [Value::Null]);
    }
}

#[test]
fn launchers_share_a_database() {
    let folder = TempDir::new().unwrap();
    let results = folder.path().join("made/by/all");
    let runs: Vec<_> = (0..4).map(|number| format!("{number:016x}")).collect();
    let launchers: Vec<_> = runs.iter().map(|run| start(&results, run, 50)).collect();
    for (mut child, lines) in launchers {
        assert_eq!(lines.count(), 50);
        assert!(child.wait().unwrap().success());
    }
    let path = results.join("docker-test.db");
    for run in &runs {
        assert_eq!(rows_of(&path, run), 50 * i64::from(ROWS_PER_BATCH));
    }
    let ended = "SELECT count(*) FROM runs WHERE exit_status = 130";
    assert_eq!(count(&path, ended), 4);
    assert_eq!(count(&path, "SELECT count(*) FROM tests"), 1);
}
