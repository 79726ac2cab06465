use super::*;
use proptest::prelude::*;

const MS: u64 = 1_000;
const MIB: u64 = 1 << 20;

fn used(wall_us: u64) -> Resources {
    Resources {
        wall_us,
        ..Resources::default()
    }
}

fn seen(outcome: &str, kind: Option<OutcomeKind>) -> Seen {
    Seen {
        kind,
        outcome: outcome.into(),
        profile: "fast".into(),
        image: "isolation".into(),
        used: Some(used(100 * MS)),
    }
}

fn walls(earlier: u64, later: u64, past: &[u64]) -> Vec<FigureChange> {
    let past: Vec<Resources> = past.iter().map(|wall| used(wall * MS)).collect();
    figures(&used(earlier * MS), &used(later * MS), &past)
}

#[test]
fn a_step_out_of_the_noise_is_told() {
    let past = [100, 104, 98, 101, 97, 103];
    let [change] = walls(100, 150, &past)[..] else {
        panic!()
    };
    assert_eq!((change.figure, change.unit), (Figure::Wall, "us"));
    assert_eq!((change.earlier, change.later), (100e3, 150e3));
    assert_eq!(change.usual.passes, 6);
    assert_eq!(change.usual.median, Some(100.5e3));
    assert!(!change.is_weak());
    assert_eq!(walls(150, 100, &[150, 151, 149, 150, 150]).len(), 1);
}

#[test]
fn noise_is_not_told() {
    // Four standard deviations of these are more than 100 ms.
    let noisy = [100, 140, 80, 120, 60, 110];
    assert_eq!(walls(100, 150, &noisy), []);
    // A tenth of the median, though they are all the same.
    assert_eq!(walls(1000, 1090, &[1000; 9]), []);
    assert_eq!(walls(1000, 1110, &[1000; 9]).len(), 1);
    // The floor.
    assert_eq!(walls(1, 11, &[1; 9]), []);
    assert_eq!(walls(1, 12, &[1; 9]).len(), 1);
}

#[test]
fn both_the_history_and_the_earlier_run_have_to_agree() {
    // It was so already in the earlier run.
    assert_eq!(walls(200, 205, &[100; 9]), []);
    // The earlier run was the odd one.
    assert_eq!(walls(200, 100, &[100; 9]), []);
    // Slower than usual, and faster than the earlier run: neither.
    assert_eq!(walls(400, 200, &[100; 9]), []);
}

#[test]
fn few_runs_tell_of_big_changes_only() {
    for past in [&[][..], &[100], &[100; 4]] {
        assert_eq!(walls(100, 190, past), []);
        let [change] = walls(100, 200, past)[..] else {
            panic!()
        };
        assert!(change.is_weak());
        assert_eq!(change.usual.passes, past.len());
        assert_eq!(walls(200, 100, past).len(), 1);
        // Ten times as long, and still nothing.
        assert_eq!(walls(1, 10, past), []);
    }
}

#[test]
fn sources_are_not_mixed() {
    let memory = |bytes, source| Resources {
        memory_peak_bytes: Some(bytes),
        memory_peak_source: Some(source),
        ..used(0)
    };
    let cgroup = |bytes| memory(bytes, Source::Cgroup);
    let past = vec![cgroup(10 * MIB); 9];
    assert_eq!(
        figures(&cgroup(10 * MIB), &cgroup(20 * MIB), &past).len(),
        1
    );
    assert_eq!(figures(&cgroup(10 * MIB), &cgroup(12 * MIB), &past), []);
    let sampled = memory(20 * MIB, Source::Sampled);
    assert_eq!(figures(&cgroup(10 * MIB), &sampled, &past), []);
    let [change] = figures(&memory(10 * MIB, Source::Sampled), &sampled, &past)[..] else {
        panic!()
    };
    assert_eq!(change.usual.passes, 0);
}

fn told(earlier: &Seen, later: &Seen, same_machine: bool) -> Vec<(Direction, Change)> {
    changes(earlier, later, same_machine, || {
        Ok::<_, ()>(vec![used(100 * MS); 9])
    })
    .unwrap()
}

#[test]
fn outcomes() {
    let pass = seen("pass", Some(OutcomeKind::Pass));
    let skip = seen("skip", Some(OutcomeKind::Skip));
    let fail = seen("fail exit(1)", Some(OutcomeKind::Fail));
    let other = seen("fail exit(2)", Some(OutcomeKind::Fail));
    let missing = seen("no result", None);
    for (earlier, later, direction) in [
        (&pass, &fail, Direction::Worse),
        (&pass, &missing, Direction::Worse),
        (&skip, &fail, Direction::Worse),
        (&fail, &pass, Direction::Better),
        (&fail, &other, Direction::Other),
        (&pass, &skip, Direction::Other),
    ] {
        let found = told(earlier, later, true);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, direction, "{found:?}");
    }
    assert_eq!(told(&pass, &pass, true), []);
    assert_eq!(lone(&pass, true).0, Direction::Other);
    assert_eq!(lone(&fail, true).0, Direction::Worse);
    assert_eq!(lone(&fail, false).0, Direction::Other);
}

#[test]
fn figures_are_compared_only_where_they_can_be() {
    let pass = seen("pass", Some(OutcomeKind::Pass));
    let mut slow = pass.clone();
    slow.used = Some(used(500 * MS));
    assert_eq!(told(&pass, &slow, true).len(), 1);
    assert_eq!(told(&pass, &slow, false), []);
    slow.profile = "slow".into();
    let [(Direction::Other, Change::Place { later, .. })] = &told(&pass, &slow, true)[..] else {
        panic!()
    };
    assert_eq!(later, "profile slow, image isolation");
    let fail = Seen {
        used: slow.used.clone(),
        ..seen("fail exit(1)", Some(OutcomeKind::Fail))
    };
    assert_eq!(told(&fail, &fail, true), []);
}

#[test]
fn the_past_is_asked_only_where_it_matters() {
    let pass = seen("pass", Some(OutcomeKind::Pass));
    assert_eq!(changes(&pass, &pass, true, || Err("asked")), Ok(Vec::new()));
}

#[test]
fn few_runs_are_no_regression() {
    let [weak] = walls(100, 300, &[])[..] else {
        panic!()
    };
    assert!(!Change::Figure(weak).is_regression(Direction::Worse));
    let [sure] = walls(100, 300, &[100; 5])[..] else {
        panic!()
    };
    assert!(Change::Figure(sure).is_regression(Direction::Worse));
    assert!(!Change::Figure(sure).is_regression(Direction::Better));
}

/// A suite of 2,000 tests that did not change, each with 5 to 20 passes and 10 % of noise.
#[test]
fn an_unchanged_suite_is_quiet() {
    let mut state = 1_u64;
    let mut random = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as f64 / f64::from(1_u32 << 31)
    };
    let mut told = 0;
    for test in 0..2_000_u32 {
        let mut wall = || {
            // The sum of twelve uniform values is nearly normal, with a deviation of 1.
            let normal: f64 = (0..12).map(|_| random()).sum::<f64>() - 6.0;
            (1e6 * (1.0 + 0.1 * normal)).max(0.0) as u64
        };
        let past: Vec<Resources> = (0..5 + test % 16).map(|_| used(wall())).collect();
        told += figures(&used(wall()), &used(wall()), &past).len();
    }
    assert!(told <= 20, "{told} of 2000 that did not change");
}

proptest! {
    #[test]
    fn what_is_told_is_beyond_the_floor_and_has_a_direction(
        earlier in 0_u64..1 << 40,
        later in 0_u64..1 << 40,
        past in proptest::collection::vec(0_u64..1 << 40, 0..12),
    ) {
        let past: Vec<Resources> = past.into_iter().map(used).collect();
        let there = figures(&used(earlier), &used(later), &past);
        for change in &there {
            prop_assert!((change.later - change.earlier).abs() > 10_000.0);
            prop_assert_eq!(change.is_weak(), past.len() < noise::ENOUGH);
        }
        prop_assert_eq!(figures(&used(earlier), &used(earlier), &past), []);
        // With few runs, the way back is as long.
        if past.len() < noise::ENOUGH {
            prop_assert_eq!(figures(&used(later), &used(earlier), &past).len(), there.len());
        }
    }
}
