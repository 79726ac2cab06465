//! What was written is read.

use super::*;
use crate::model::ByteText;
use crate::store::Reader;

fn reader(events: &[Event]) -> (TempDir, Reader) {
    let folder = TempDir::new().unwrap();
    let mut store = open(&folder);
    store.take(events).unwrap();
    drop(store);
    let reader = Reader::open(&folder.path().join("r")).unwrap().unwrap();
    (folder, reader)
}

#[test]
fn nothing_recorded_is_no_error_and_makes_nothing() {
    let folder = TempDir::new().unwrap();
    let results = folder.path().join("r");
    assert!(Reader::open(&results).unwrap().is_none());
    assert!(!results.exists());
}

#[test]
fn an_attempt_is_read_as_it_was_written() {
    let written = full_attempt(b"\xff", 2);
    let events = [
        run_started(RUN, &[b"\xff", b"b"]),
        finished(written.clone()),
        finished(bare_attempt(b"b", 1)),
        run_finished(),
    ];
    let (_folder, reader) = reader(&events);
    let mut all = Vec::new();
    reader
        .each_attempt(RUN, |attempt| all.push(attempt))
        .unwrap();
    let [read, bare] = &all[..] else {
        panic!("{all:?}")
    };
    assert_eq!(read.test, ByteText::from(b"\xff".to_vec()));
    let mut resources = written.resources.clone().unwrap();
    // The largest number that SQLite can hold.
    resources.memory_peak_bound_bytes = Some(i64::MAX.unsigned_abs());
    assert_eq!(read.resources, Some(resources));
    assert_eq!(read.statistics, written.statistics);
    assert_eq!(read.leaks, written.leaks);
    assert_eq!(read.timeout_state.as_deref(), Some("starved"));
    assert_eq!(
        (read.worker, read.sequence, read.reset_ns),
        (Some(3), Some(4), Some(14))
    );
    assert_eq!(reader.series(read).unwrap(), written.series);
    let outputs = reader.outputs(read).unwrap();
    assert_eq!((outputs.len(), &outputs[0].tail), (1, &written.stdout.tail));
    let violations = reader.violations(RUN, None).unwrap();
    assert_eq!(violations[0].kind, Some(ViolationKind::LeakedProcess));
    assert_eq!(
        reader.violations(RUN, Some(&read.test)).unwrap(),
        violations
    );
    assert_eq!(
        reader.history(&read.test, 5).unwrap(),
        std::slice::from_ref(read)
    );
    assert_eq!(
        reader.attempts_of(RUN, &bare.test).unwrap(),
        std::slice::from_ref(bare)
    );
    assert_eq!((&bare.resources, &bare.statistics), (&None, &None));
    assert_eq!(reader.series(bare).unwrap(), []);
}

#[test]
fn runs_are_found_by_the_start_of_their_name() {
    let (_folder, reader) = reader(&[run_started(RUN, &[]), run_finished()]);
    let [run] = &reader.runs(5).unwrap()[..] else {
        panic!()
    };
    assert_eq!((run.run.as_str(), run.wall_us), (RUN, Some(77)));
    assert_eq!(run.machine.as_deref(), Some("4 processors"));
    let limits = &run.profiles.as_ref().unwrap()["fast"];
    assert_eq!(limits["memory_bytes"], 128 << 20);
    assert_eq!(
        reader.runs_named("0000000000").unwrap(),
        std::slice::from_ref(run)
    );
    assert_eq!(reader.runs_named("1").unwrap(), []);
    assert_eq!(reader.run_before(run).unwrap(), None);
}
