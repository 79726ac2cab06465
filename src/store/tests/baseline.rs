//! What a run is held against.

use super::*;
use crate::model::ByteText;
use crate::store::{Reader, Where};

#[test]
fn the_past_of_a_test_is_that_of_one_machine_and_engine() {
    let folder = TempDir::new().unwrap();
    let mut store = open(&folder);
    for (at, machine) in ["one", "one", "other", "one"].into_iter().enumerate() {
        let run = format!("{at:016}");
        let Event::RunStarted(mut started) = run_started(&run, &[b"\xff", b"b"]) else {
            panic!()
        };
        started.started_unix_us = at as u64;
        started.machine = machine.into();
        let mut attempt = full_attempt(b"\xff", 1);
        attempt.started_unix_us = Some(at as u64 * 10);
        attempt.resources.as_mut().unwrap().wall_us = at as u64;
        store
            .take(&[
                Event::RunStarted(started),
                finished(attempt),
                finished(bare_attempt(b"b", 1)),
            ])
            .unwrap();
    }
    drop(store);
    let reader = Reader::open(&folder.path().join("r")).unwrap().unwrap();
    let test = ByteText::from(b"\xff".to_vec());
    let place = Where {
        machine: "one",
        engine: "docker",
        before_unix_us: None,
    };
    let walls = |place: Where<'_>, at_most| -> Vec<u64> {
        let past = reader.past(&test, place, at_most).unwrap();
        past.iter().map(|past| past.resources.wall_us).collect()
    };
    assert_eq!(walls(place, 9), [3, 1, 0]);
    assert_eq!(walls(place, 2), [3, 1]);
    let before_unix_us = Some(3);
    assert_eq!(
        walls(
            Where {
                before_unix_us,
                ..place
            },
            9
        ),
        [1, 0]
    );
    assert!(
        walls(
            Where {
                engine: "host",
                ..place
            },
            9
        )
        .is_empty()
    );
    assert!(
        walls(
            Where {
                machine: "two",
                ..place
            },
            9
        )
        .is_empty()
    );

    let past = &reader.past(&test, place, 1).unwrap()[0];
    assert_eq!(
        (past.outcome.as_str(), past.profile.as_str()),
        ("fail", "fast")
    );
    assert_eq!((past.output_bytes, past.open_files_max), (100, None));
    assert_eq!(past.resources.pids_peak_source, Some(Source::Sampled));
    assert_eq!(past.resources.memory_peak_bytes, Some(10));
    // Nothing was measured of it, and so it is no past.
    assert_eq!(reader.past(&"b".into(), place, 9).unwrap(), []);
    assert_eq!(reader.past(&"never".into(), place, 9).unwrap(), []);
    let planned = reader.planned(&format!("{:016}", 0)).unwrap();
    assert_eq!(planned, [test.clone(), "b".into()]);
}
