//! How long tests took, as the schedule asks for it.

use super::*;
use crate::store::Reader;

fn pass(id: &[u8], wall_us: u64) -> Event {
    let mut attempt = full_attempt(id, 1);
    attempt.outcome = Outcome::Pass;
    if let Some(resources) = &mut attempt.resources {
        resources.wall_us = wall_us;
    }
    finished(attempt)
}

fn later(number: u64, events: Vec<Event>) -> Vec<Event> {
    let mut started = run_started(&format!("{number:016x}"), &[b"a"]);
    if let Event::RunStarted(head) = &mut started {
        head.started_unix_us += number;
    }
    std::iter::once(started).chain(events).collect()
}

#[test]
fn the_newest_passes_count_and_nothing_else() {
    let folder = TempDir::new().unwrap();
    let mut store = open(&folder);
    for number in 0..25 {
        let fail = finished(full_attempt(b"fails", 1));
        let bare = finished(bare_attempt(b"never ran", 1));
        let events = vec![pass(b"a", 100 + number), pass(b"\xff", 7), fail, bare];
        store.take(&later(number, events)).unwrap();
    }
    drop(store);
    let reader = Reader::open(&folder.path().join("r")).unwrap().unwrap();
    let mut found = reader.durations().unwrap();
    found.sort_by(|one, other| one.test.cmp(&other.test));
    let [a, other] = &found[..] else {
        panic!("{found:?}")
    };
    let newest: Vec<u64> = (105..125).rev().collect();
    assert_eq!((&a.wall_us, a.profile.as_str()), (&newest, "fast"));
    assert_eq!(other.test, ByteText::from(b"\xff".to_vec()));
    assert_eq!(other.wall_us, [7; 20]);
}
