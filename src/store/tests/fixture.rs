//! A database as an older version of the schema left it must open for ever, and so must today's.
//! `tests/fixtures/README.md` says how they were made.

use std::fs;

use super::*;

/// How many fixtures there are: one for each version.
const VERSIONS: usize = 3;

/// A copy of a version's fixture in the place of the results.
fn old_database(folder: &TempDir, version: usize) -> std::path::PathBuf {
    let path = folder.path().join("docker-test.db");
    let fixture = format!(
        "{}/tests/fixtures/v{version}.db",
        env!("CARGO_MANIFEST_DIR")
    );
    fs::copy(fixture, &path).unwrap();
    path
}

/// The rows that every fixture has, and every later version keeps.
fn check_rows(path: &Path) {
    let found = row(
        path,
        "SELECT group_concat(run || ' ' || coalesce(wall_us, 'killed') || ' ' || planned, '; ')
         FROM runs WHERE run < '4c1a7e0000000003'",
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
    let planned = "SELECT count(*) FROM planned WHERE run < '4c1a7e0000000003'";
    assert_eq!(count(path, planned), 6);
}

#[test]
fn there_is_a_fixture_of_every_version() {
    assert_eq!(VERSIONS, MIGRATIONS.len());
}

#[test]
fn every_version_opens_and_keeps_its_rows() {
    for version in 1..=VERSIONS {
        let folder = TempDir::new().unwrap();
        let path = old_database(&folder, version);
        check_rows(&path);
        let runs = count(&path, "SELECT count(*) FROM runs");
        let mut store = Store::open(folder.path()).unwrap();
        check_rows(&path);
        assert_eq!(count(&path, "SELECT count(*) FROM runs"), runs);
        let found = count(&path, "PRAGMA user_version");
        assert_eq!(found, MIGRATIONS.len() as i64);
        // And takes new ones, for tests that it knows and others.
        store
            .take(&[
                run_started(RUN, &[b"a/one.sh", b"new"]),
                finished(full_attempt(b"a/one.sh", 1)),
            ])
            .unwrap();
        let history = "SELECT count(*) FROM attempts JOIN tests USING (test) WHERE id = 'a/one.sh'";
        assert_eq!(count(&path, history), runs + 1, "version {version}");
        assert_eq!(count(&path, "SELECT count(*) FROM tests"), 4);
    }
}

/// Runs of a version that knew no levels have none; later ones keep theirs.
#[test]
fn levels_are_those_that_were_recorded() {
    let levels = "SELECT group_concat(
                      coalesce(level || ' ' || network || ' ' || allow_weaker, 'NULL'), '; ')
                  FROM runs";
    for (version, expected) in [
        (1, "NULL; NULL"),
        (2, "NULL; NULL; paranoid internal 1"),
        (
            3,
            "NULL; NULL; paranoid internal 1; standard none 0; standard none 0",
        ),
    ] {
        let folder = TempDir::new().unwrap();
        let path = old_database(&folder, version);
        let mut store = Store::open(folder.path()).unwrap();
        assert_eq!(row(&path, levels), [text(expected)]);
        // The name of this run is before theirs.
        store.take(&[run_started(RUN, &[b"a"])]).unwrap();
        let expected = format!("strict internal 1; {expected}");
        assert_eq!(row(&path, levels), [text(&expected)]);
    }
}

/// The first entries of the list are what the fixtures have: they are never edited.
#[test]
fn each_fixture_is_what_its_migrations_make() {
    let schema = |connection: &Connection| -> Vec<String> {
        let mut statement = connection
            .prepare("SELECT sql FROM sqlite_schema WHERE sql NOT NULL ORDER BY name")
            .unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    for version in 1..=VERSIONS {
        let folder = TempDir::new().unwrap();
        let fixture = Connection::open(old_database(&folder, version)).unwrap();
        let new = Connection::open_in_memory().unwrap();
        migrate(&new, &MIGRATIONS[..version]).unwrap();
        assert_eq!(schema(&fixture), schema(&new), "version {version}");
    }
}

#[test]
fn later_migrations_run_on_every_version() {
    let mut later = MIGRATIONS.to_vec();
    later.extend([
        "ALTER TABLE attempts ADD COLUMN later_us INTEGER",
        "UPDATE attempts SET later_us = wall_us",
    ]);
    for (version, measured) in [(1, 3), (2, 4), (3, 8)] {
        let folder = TempDir::new().unwrap();
        let path = old_database(&folder, version);
        let connection = Connection::open(&path).unwrap();
        migrate(&connection, &later).unwrap();
        check_rows(&path);
        assert_eq!(count(&path, "PRAGMA user_version"), later.len() as i64);
        let sum = "SELECT sum(later_us = wall_us) FROM attempts";
        assert_eq!(count(&path, sum), measured);
    }
}
