use super::*;

const MIB: u64 = 1 << 20;
const IDLE: u64 = 3 * MIB;

/// A kernel with its counter, a worker on it and a launcher.
struct World {
    version: u8,
    own: u64,
    launchers: Option<(u64, u64)>,
    hold: Hold,
    seq: u64,
    /// What the launcher does.
    launcher: Launcher,
    asks: Vec<u64>,
    /// An ask that is answered later.
    late: Option<u64>,
}

#[derive(Clone, Copy, PartialEq)]
enum Launcher {
    Resets,
    Refuses,
    Sleeps,
    /// Cannot reset it, and says so with each job.
    Absent,
}

impl World {
    fn new(version: u8) -> Self {
        World {
            version,
            own: 6 * MIB,
            launchers: None,
            hold: Hold::new(Some(6 * MIB)),
            seq: 0,
            launcher: Launcher::Resets,
            asks: Vec::new(),
            late: None,
        }
    }

    fn reset(&mut self, memory: u64) -> Taken {
        let bytes = self.launchers.map(|(_, peak)| peak);
        self.launchers = Some((memory, memory));
        if self.version == 1 {
            self.own = memory;
        }
        Taken {
            bytes,
            from: Some(memory),
        }
    }

    fn reach(&mut self, memory: u64) {
        self.own = self.own.max(memory);
        if let Some((_, peak)) = &mut self.launchers {
            *peak = memory.max(*peak);
        }
    }

    /// A test that goes from `start` up to `peak`, and what is said of it: the peak or its bound.
    fn test_from(&mut self, start: u64, peak: u64) -> (Option<u64>, Option<u64>) {
        self.test_with(start, peak, |_| {})
    }

    fn test_with(
        &mut self,
        start: u64,
        peak: u64,
        halfway: impl FnOnce(&mut World),
    ) -> (Option<u64>, Option<u64>) {
        self.seq += 1;
        let late = self.late;
        self.hold.begin(|seq| late != Some(seq));
        let before = self.own;
        self.reach(peak);
        halfway(self);
        let raised = self.own > before;
        let mut used = Resources {
            memory_start_bytes: Some(start),
            memory_peak_bytes: raised.then_some(self.own),
            memory_peak_source: raised.then_some(Source::Cgroup),
            memory_peak_bound_bytes: (!raised).then_some(self.own),
            ..Resources::default()
        };
        let asked = if self.launcher == Launcher::Absent || !self.hold.wants(&used) {
            Asked::No
        } else {
            self.asks.push(self.seq);
            match self.launcher {
                Launcher::Resets => Asked::Answered(self.reset(start)),
                Launcher::Refuses => Asked::Answered(Taken {
                    bytes: None,
                    from: None,
                }),
                _ => {
                    self.late = Some(self.seq);
                    Asked::Silent(self.seq)
                }
            }
        };
        self.hold.settle(&mut used, asked);
        let exact = used.memory_peak_source == Some(Source::Cgroup);
        assert_eq!(exact, used.memory_peak_bytes.is_some());
        (used.memory_peak_bytes, used.memory_peak_bound_bytes)
    }

    fn test(&mut self, peak: u64) -> (Option<u64>, Option<u64>) {
        self.test_from(IDLE, peak)
    }
}

fn exactly(bytes: u64) -> (Option<u64>, Option<u64>) {
    (Some(bytes), None)
}

#[test]
fn each_spike_after_a_larger_test_is_exact() {
    for version in [1, 2] {
        let mut world = World::new(version);
        assert_eq!(world.test(300 * MIB), exactly(300 * MIB));
        for spike in [100, 100, 20, 100, 8] {
            let said = world.test(spike * MIB);
            assert_eq!(said, exactly(spike * MIB), "version {version}");
        }
        assert_eq!(world.asks, [1, 2, 3, 4, 5, 6], "version {version}");
    }
}

#[test]
fn tiny_tests_ask_nothing() {
    for version in [1, 2] {
        let mut world = World::new(version);
        assert_eq!(world.test(4 * MIB), (None, Some(6 * MIB)));
        assert_eq!(world.test(9 * MIB), exactly(9 * MIB));
        assert_eq!(world.test(4 * MIB), (None, Some(9 * MIB)));
        assert_eq!(world.asks, [0; 0], "version {version}");
    }
}

#[test]
fn after_a_large_test_tiny_ones_ask_only_where_their_own_counter_is_not_reset() {
    let bound = (None, Some(4 * MIB));
    for (version, second, asks) in [(1, bound, 1), (2, exactly(4 * MIB), 3)] {
        let mut world = World::new(version);
        world.test(300 * MIB);
        assert_eq!(world.test(4 * MIB), exactly(4 * MIB), "version {version}");
        assert_eq!(world.test(4 * MIB), second, "version {version}");
        assert_eq!(world.asks.len(), asks, "version {version}");
    }
}

#[test]
fn what_the_counter_started_from_is_no_tests_peak() {
    let mut world = World::new(2);
    world.test(300 * MIB);
    // Memory that was still there at the reset and is gone when the next test starts.
    world.launchers = Some((50 * MIB, 50 * MIB));
    world.hold.state = State::Counting {
        from: 50 * MIB,
        alone: true,
    };
    assert_eq!(world.test(20 * MIB), (None, Some(50 * MIB)));
    assert_eq!(world.test(20 * MIB), exactly(20 * MIB));
}

/// Without a reset of the worker what a test leaves stays: its start is high, and nothing is asked.
/// The launcher's counter then covers two tests and is a bound for the second.
#[test]
fn a_reading_over_two_tests_is_a_bound() {
    let mut world = World::new(2);
    world.test(300 * MIB);
    assert_eq!(
        world.test_from(298 * MIB, 299 * MIB),
        (None, Some(300 * MIB))
    );
    assert_eq!(world.test(100 * MIB), (None, Some(299 * MIB)));
    assert_eq!(world.test(100 * MIB), exactly(100 * MIB));
    assert_eq!(world.asks, [1, 3, 4]);
}

#[test]
fn a_launcher_that_cannot_reset_it_is_asked_once() {
    let mut world = World::new(1);
    world.launcher = Launcher::Refuses;
    assert_eq!(world.test(300 * MIB), exactly(300 * MIB));
    assert_eq!(world.test(100 * MIB), (None, Some(300 * MIB)));
    assert_eq!(world.test(400 * MIB), exactly(400 * MIB));
    assert_eq!(world.asks, [1]);
}

#[test]
fn one_that_says_so_before_is_never_asked() {
    let mut world = World::new(1);
    world.launcher = Launcher::Absent;
    assert_eq!(world.test(300 * MIB), exactly(300 * MIB));
    assert_eq!(world.test(100 * MIB), (None, Some(300 * MIB)));
    assert_eq!(world.asks, [0; 0]);
}

/// A reset that fails later on leaves our own reading: exact above its record, else a bound.
#[test]
fn a_launcher_that_loses_its_hold_leaves_our_own_reading() {
    let mut world = World::new(2);
    world.test(300 * MIB);
    assert_eq!(world.test(100 * MIB), exactly(100 * MIB));
    world.launcher = Launcher::Refuses;
    assert_eq!(world.test(100 * MIB), (None, Some(300 * MIB)));
    assert_eq!(world.test(350 * MIB), exactly(350 * MIB));
    assert_eq!(world.asks, [1, 2, 3]);
}

#[test]
fn while_an_answer_is_owed_the_counter_says_nothing() {
    for version in [1, 2] {
        let mut world = World::new(version);
        world.launcher = Launcher::Sleeps;
        assert_eq!(world.test(300 * MIB), exactly(300 * MIB));
        // The reset comes while the next test runs, which may have been higher before.
        let said = world.test_with(IDLE, 400 * MIB, |world| {
            world.reset(IDLE);
            world.reach(350 * MIB);
        });
        assert_eq!(said, (None, None), "version {version}");
        world.late = None;
        // Our own counter holds again, and nobody waits for this launcher any more.
        let record = world.own;
        assert_eq!(
            world.test(20 * MIB),
            (None, Some(record)),
            "version {version}"
        );
        assert_eq!(
            world.test(500 * MIB),
            exactly(500 * MIB),
            "version {version}"
        );
        assert_eq!(world.asks, [1], "version {version}");
    }
}

#[test]
fn an_answer_between_two_tests_is_in_time_for_the_second() {
    let mut world = World::new(1);
    world.launcher = Launcher::Sleeps;
    world.test(300 * MIB);
    world.reset(IDLE);
    world.late = None;
    assert_eq!(world.test(100 * MIB), exactly(100 * MIB));
}

#[test]
fn an_answer_that_never_comes_costs_the_peaks_but_is_waited_for_once() {
    let mut world = World::new(1);
    world.launcher = Launcher::Sleeps;
    world.test(300 * MIB);
    for _ in 0..3 {
        assert_eq!(world.test(400 * MIB), (None, None));
    }
    assert_eq!(world.asks, [1]);
}

/// A peak of the samples stands whatever the counter says; only its bound moves.
#[test]
fn a_sampled_peak_gets_a_closer_bound_or_gives_way() {
    let sampled = Resources {
        memory_start_bytes: Some(IDLE),
        memory_peak_bytes: Some(40 * MIB),
        memory_peak_source: Some(Source::Sampled),
        memory_peak_bound_bytes: Some(300 * MIB),
        ..Resources::default()
    };
    let after = |state, bytes| {
        let mut hold = Hold::new(None);
        hold.state = state;
        let mut used = sampled.clone();
        assert!(hold.wants(&used));
        hold.settle(
            &mut used,
            Asked::Answered(Taken {
                bytes,
                from: Some(IDLE),
            }),
        );
        let bound = used.memory_peak_bound_bytes;
        (used.memory_peak_bytes, used.memory_peak_source, bound)
    };
    let counting = |alone| State::Counting { from: IDLE, alone };
    let exact = (Some(100 * MIB), Some(Source::Cgroup), None);
    assert_eq!(after(counting(true), Some(100 * MIB)), exact);
    let closer = (Some(40 * MIB), Some(Source::Sampled), Some(100 * MIB));
    assert_eq!(after(counting(false), Some(100 * MIB)), closer);
    let same = (Some(40 * MIB), Some(Source::Sampled), Some(300 * MIB));
    assert_eq!(after(counting(true), None), same);

    let mut hold = Hold::new(None);
    hold.state = State::Owed(1);
    hold.begin(|_| false);
    let mut used = sampled.clone();
    assert!(!hold.wants(&used));
    hold.settle(&mut used, Asked::No);
    assert_eq!(used.memory_peak_bytes, Some(40 * MIB));
    assert_eq!(used.memory_peak_bound_bytes, None);
}

#[test]
fn nothing_counted_is_nothing_asked() {
    let mut hold = Hold::new(None);
    let mut used = Resources::default();
    assert!(!hold.wants(&used));
    hold.settle(&mut used, Asked::No);
    assert_eq!(used, Resources::default());
}
