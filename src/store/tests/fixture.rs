//! A database as version 1 of the schema left it must open for ever. `tests/fixtures/README.md`
//! says how it was made.

use std::fs;

use super::*;

const V1: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/v1.db");

/// A copy of the fixture in the place of the results.
fn old_database(folder: &TempDir) -> std::path::PathBuf {
    let path = folder.path().join("docker-test.db");
    fs::copy(V1, &path).unwrap();
    path
}

fn check_rows(path: &Path) {
    let found = row(
        path,
        "SELECT group_concat(run || ' ' || coalesce(wall_us, 'killed') || ' ' || planned, '; ')
         FROM runs",
    );
    let expected = "4c1a7e0000000001 2500000 3; 4c1a7e0000000002 killed 3";
    assert_eq!(found, [text(expected)]);
    let found = row(
        path,
        "SELECT group_concat(
             hex(id) || ' ' || attempt || ' ' || outcome || ' ' || coalesce(cpu_us, 'NULL'), '; ')
         FROM attempts JOIN tests USING (test) WHERE run = '4c1a7e0000000001'",
    );
    let expected = "612F6F6E652E7368 1 pass 1200; 612F74776F2E7368 1 lost NULL; \
                    612F74776F2E7368 2 fail 2400; 62FF 1 not-run NULL";
    assert_eq!(found, [text(expected)]);
    let found = row(
        path,
        "SELECT hex(head), dropped_bytes, hex(tail) FROM outputs",
    );
    assert_eq!(found, [text("6261640A"), Value::Integer(7), text("656E64")]);
    let found = row(
        path,
        "SELECT count(*), count(problem), count(attestation) FROM workers",
    );
    assert_eq!(found, integers([3, 1, 2]).collect::<Vec<_>>());
    assert_eq!(count(path, "SELECT count(*) FROM planned"), 6);
}

#[test]
fn version_1_opens_and_keeps_its_rows() {
    let folder = TempDir::new().unwrap();
    let path = old_database(&folder);
    check_rows(&path);
    let mut store = Store::open(folder.path()).unwrap();
    check_rows(&path);
    let version = count(&path, "PRAGMA user_version");
    assert_eq!(version, MIGRATIONS.len() as i64);
    // And takes new ones, for tests that it knows and others.
    store
        .take(&[
            run_started(RUN, &[b"a/one.sh", b"new"]),
            finished(full_attempt(b"a/one.sh", 1)),
        ])
        .unwrap();
    let history = "SELECT count(*) FROM attempts JOIN tests USING (test) WHERE id = 'a/one.sh'";
    assert_eq!(count(&path, history), 3);
    assert_eq!(count(&path, "SELECT count(*) FROM tests"), 4);
}

/// The first entry of the list is what the fixture has: it is never edited.
#[test]
fn version_1_is_the_first_migration() {
    let schema = |connection: &Connection| -> Vec<String> {
        let mut statement = connection
            .prepare("SELECT sql FROM sqlite_schema WHERE sql NOT NULL ORDER BY name")
            .unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let folder = TempDir::new().unwrap();
    let fixture = Connection::open(old_database(&folder)).unwrap();
    let new = Connection::open_in_memory().unwrap();
    migrate(&new, &MIGRATIONS[..1]).unwrap();
    assert_eq!(schema(&fixture), schema(&new));
}

#[test]
fn later_migrations_run_on_version_1() {
    let folder = TempDir::new().unwrap();
    let path = old_database(&folder);
    let connection = Connection::open(&path).unwrap();
    let later = [
        MIGRATIONS[0],
        "ALTER TABLE attempts ADD COLUMN later_us INTEGER",
        "UPDATE attempts SET later_us = wall_us",
    ];
    migrate(&connection, &later).unwrap();
    check_rows(&path);
    assert_eq!(count(&path, "PRAGMA user_version"), 3);
    let sum = connection
        .query_row(
            "SELECT sum(later_us = wall_us) FROM attempts",
            params![],
            |row| row.get::<_, i64>(0),
        )
        .unwrap();
    assert_eq!(sum, 3);
}
