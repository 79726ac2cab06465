//! A database as an older version of the schema left it must open for ever, and so must today's.
//! `tests/fixtures/README.md` says how they were made.

use std::fs;

use super::*;
use crate::store::Reader;

/// How many fixtures there are: one for each version.
const VERSIONS: usize = 5;

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
        (
            4,
            "NULL; NULL; paranoid internal 1; standard none 0; standard none 0; standard none 0",
        ),
        (
            5,
            "NULL; NULL; paranoid internal 1; standard none 0; standard none 0; standard none 0; \
             standard none 0",
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
    for (version, measured) in [(1, 3), (2, 4), (3, 8), (4, 9), (5, 10)] {
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

/// What version 3 added is read as it was written then.
#[test]
fn samples_violations_and_peaks_of_version_3() {
    let folder = TempDir::new().unwrap();
    let path = old_database(&folder, 3);
    let reader = Reader::open(folder.path()).unwrap().unwrap();
    let run = "4c1a7e0000000004";
    let one = &reader.attempts_of(run, &"a/one.sh".into()).unwrap()[0];
    let sample =
        |time_us, cpu_us, memory_bytes: u64, processes, threads, open_files, pss_bytes| Sample {
            time_us,
            cpu_us: Some(cpu_us),
            memory_bytes: Some(memory_bytes << 20),
            processes: Some(processes),
            threads: Some(threads),
            open_files: Some(open_files),
            pss_bytes,
        };
    let expected = [
        sample(50_000, 40_000, 10, 1, 1, 4, None),
        sample(100_000, 90_000, 20, 2, 3, 6, None),
        sample(250_000, 240_000, 18, 2, 3, 6, Some(9 << 20)),
    ];
    let series = reader.series(one).unwrap();
    assert_eq!(series, expected);
    assert_eq!(one.statistics, Some(Statistics::of(&series)));
    let violations = reader.violations(run, None).unwrap();
    let kinds: Vec<_> = violations.iter().map(|one| one.kind.unwrap()).collect();
    let expected = [
        ViolationKind::LeakedFile,
        ViolationKind::MemoryNear,
        ViolationKind::Wall,
    ];
    assert_eq!(kinds, expected);
    // They are what the run's end makes of its attempts today.
    let peaks = "SELECT group_concat(figure || place || test || highest) FROM peaks";
    let recorded = row(&path, peaks);
    let mut store = Store::open(folder.path()).unwrap();
    store
        .take(&[run_started(run, &[]), run_finished()])
        .unwrap();
    assert_eq!(row(&path, peaks), recorded);
}

/// What version 4 added: which part of which suite a run is, and in which order.
#[test]
fn shards_of_version_4() {
    let columns = "SELECT substr(suite, 1, 4), shard, shards, substr(history, 1, 4), seed FROM runs
                   WHERE suite NOT NULL";
    let elsewhere = "SELECT group_concat(hex(id) || ' ' || shard || ' ' || profile || ' ' || image)
                     FROM elsewhere JOIN tests USING (test)";
    let folder = TempDir::new().unwrap();
    let path = old_database(&folder, 4);
    let mut store = Store::open(folder.path()).unwrap();
    let recorded = |suite, shard, shards, history, seed| {
        let [shard, shards, seed] = [shard, shards, seed].map(Value::Integer);
        vec![text(suite), shard, shards, text(history), seed]
    };
    assert_eq!(row(&path, columns), recorded("5a1b", 1, 2, "9d2e", 42));
    assert_eq!(
        row(&path, elsewhere),
        [text("612F74776F2E7368 2 standard isolation")]
    );
    let mut started = run_started(RUN, &[b"a"]);
    if let Event::RunStarted(head) = &mut started
        && let Some(division) = &mut head.division
    {
        let mut other = head.tests[0].clone();
        other.id = TestId::new(b"\xff".to_vec());
        division.elsewhere = Arc::new(vec![(other, 3)]);
    }
    store.take(&[started]).unwrap();
    let columns = format!("{columns} AND run = '{RUN}'");
    let seed = u32::MAX.into();
    assert_eq!(row(&path, &columns), recorded("5a1b", 2, 3, "9d2e", seed));
    let elsewhere = format!("{elsewhere} WHERE run = '{RUN}'");
    assert_eq!(row(&path, &elsewhere), [text("FF 3 fast isolation")]);
}

/// What version 5 added: what names the content of a run's images. Older runs have nothing.
#[test]
fn image_digests_of_version_5() {
    let folder = TempDir::new().unwrap();
    let path = old_database(&folder, 4);
    drop(Store::open(folder.path()).unwrap());
    let known = "SELECT count(*) || ' ' || count(image_digests) FROM runs";
    assert_eq!(row(&path, known), [text("6 0")]);

    let folder = TempDir::new().unwrap();
    let path = old_database(&folder, 5);
    assert_eq!(row(&path, known), [text("7 1")]);
    let reader = Reader::open(folder.path()).unwrap().unwrap();
    let run = reader.run("4c1a7e0000000007").unwrap().unwrap();
    let shown = |(word, digest): (&String, &ContentDigest)| format!("{word} {}", digest.short());
    let digests: Vec<_> = run.image_digests.iter().map(shown).collect();
    assert_eq!(
        digests,
        [
            "debian:12 sha256:d10000000000",
            "isolation sha256:150000000000"
        ]
    );
    assert_eq!(
        reader.newest_parts().unwrap()[0].image_digests,
        run.image_digests
    );
    // A word that is none, from whoever wrote it, is no digest.
    let odd = r#"UPDATE runs SET image_digests = '{"a":"latest","b":7}'"#;
    Connection::open(&path).unwrap().execute(odd, []).unwrap();
    let run = reader.run("4c1a7e0000000007").unwrap().unwrap();
    assert_eq!(run.image_digests.len(), 0);
}
