//! How long simulated runs take, on the real dispatcher with a clock of its own, beside what no
//! schedule can be shorter than.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use proptest::prelude::*;

use super::*;
use crate::plan::{Capacity, Load, forecast};

/// What happens in a simulated run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Ready(WorkerNumber),
    /// The test that this worker runs is over.
    Over(WorkerNumber),
}

#[derive(Default)]
struct Sim {
    jobs: VecDeque<(u64, TestIndex)>,
    class: ClassIndex,
    running: bool,
    finish: bool,
}

/// A run whose workers do what they are told, at once, and whose tests take exactly what they are
/// expected to. Times are in microseconds.
struct Simulation {
    dispatcher: Dispatcher,
    work: Work,
    takes: Vec<u64>,
    start: u64,
    now: u64,
    events: BinaryHeap<Reverse<(u64, Event)>>,
    sims: BTreeMap<WorkerNumber, Sim>,
    ends: Vec<Option<u64>>,
    starts: usize,
}

impl Simulation {
    fn new(slots: usize, work: Work, takes: Vec<u64>, start: u64) -> Self {
        let policy = Policy {
            slots,
            fresh: false,
            fail_fast: false,
            dial_in: false,
        };
        Simulation {
            dispatcher: Dispatcher::new(policy, work.clone()),
            ends: vec![None; takes.len()],
            work,
            takes,
            start,
            now: 0,
            events: BinaryHeap::new(),
            sims: BTreeMap::new(),
            starts: 0,
        }
    }

    fn act(&mut self) {
        loop {
            let actions = self.dispatcher.next_actions();
            if actions.is_empty() {
                return;
            }
            for action in actions {
                self.perform(action);
            }
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Start(number, class) => {
                let sim = Sim {
                    class,
                    ..Sim::default()
                };
                self.sims.insert(number, sim);
                self.starts += 1;
                let at = self.now + self.start;
                self.events.push(Reverse((at, Event::Ready(number))));
                self.check_room();
            }
            Action::Send(number, test, seq) => {
                let sim = self.sims.get_mut(&number).expect("a worker");
                assert_eq!(sim.class, self.work.class_of[test], "a worker of its class");
                assert!(!sim.finish, "sent after finish");
                sim.jobs.push_back((seq, test));
                self.run_next(number);
            }
            Action::GiveBack(number) => {
                let sim = self.sims.get_mut(&number).expect("a worker");
                let kept = sim.jobs.len().min(1);
                let back: Vec<u64> = sim.jobs.drain(kept..).map(|(seq, _)| seq).collect();
                self.dispatcher.on_returned(number, &back);
            }
            Action::Finish(number) => {
                self.sims.get_mut(&number).expect("a worker").finish = true;
                self.run_next(number);
            }
            action => panic!("{action:?}"),
        }
    }

    /// Workers that have not been told to finish, or have tests, fit into the machine together.
    fn check_room(&self) {
        let held = self.sims.values();
        let held: Vec<Room> = held
            .filter(|sim| !sim.finish || !sim.jobs.is_empty())
            .map(|sim| self.work.needs[sim.class])
            .collect();
        let taken = held.iter().fold(Room::default(), |sum, need| sum + *need);
        assert!(held.len() == 1 || self.work.room.holds(taken), "{taken:?}");
    }

    fn run_next(&mut self, number: WorkerNumber) {
        let sim = self.sims.get_mut(&number).expect("a worker");
        if sim.running {
            return;
        }
        if let Some((_, test)) = sim.jobs.front() {
            sim.running = true;
            let at = self.now + self.takes[*test];
            self.events.push(Reverse((at, Event::Over(number))));
        } else if sim.finish {
            self.sims.remove(&number);
            self.dispatcher.on_gone(number, None, true);
        }
    }

    /// The whole run; when it was over.
    fn run(&mut self) -> u64 {
        self.act();
        while let Some(Reverse((at, event))) = self.events.pop() {
            self.now = at;
            match event {
                Event::Ready(number) => {
                    let took = Duration::from_micros(self.start);
                    self.dispatcher.on_ready(number, took);
                }
                Event::Over(number) => {
                    let sim = self.sims.get_mut(&number).expect("a worker");
                    sim.running = false;
                    let (seq, test) = sim.jobs.pop_front().expect("it ran");
                    let took = Duration::from_micros(self.takes[test]);
                    assert_eq!(self.dispatcher.on_report(number, seq, took), Some(test));
                    assert_eq!(self.ends[test].replace(at), None, "run once");
                    self.run_next(number);
                }
            }
            self.act();
        }
        assert!(self.dispatcher.is_done());
        assert!(self.ends.iter().all(Option::is_some));
        self.now
    }
}

/// One class of tests, in no order, on a machine with room for all.
fn one_class(takes: &[u64]) -> Work {
    Work {
        class_of: vec![0; takes.len()],
        expected: takes.iter().copied().map(Duration::from_micros).collect(),
        needs: vec![Room::default()],
        shapes: Vec::new(),
        room: Room::UNLIMITED,
    }
}

fn makespan(takes: &[u64], slots: usize) -> u64 {
    Simulation::new(slots, one_class(takes), takes.to_vec(), 0).run()
}

/// Random numbers from a seed (splitmix64), as numbers from 0 to 1.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[derive(Clone, Copy, Debug)]
enum Shape {
    Uniform,
    Exponential,
    HeavyTail,
    OneGiant,
}

const SHAPES: [Shape; 4] = [
    Shape::Uniform,
    Shape::Exponential,
    Shape::HeavyTail,
    Shape::OneGiant,
];

/// Durations around `scale` microseconds.
fn durations(shape: Shape, count: usize, scale: u64, seed: u64) -> Vec<u64> {
    let mut random = Random(seed);
    let mut takes: Vec<u64> = (0..count)
        .map(|_| {
            let x = random.next();
            let factor = match shape {
                Shape::Uniform | Shape::OneGiant => 0.1 + 1.9 * x,
                Shape::Exponential => -(1.0 - x).ln(),
                // Pareto's with exponent 1.1, up to ten thousand times the least.
                Shape::HeavyTail => 0.1 * (1.0 - x).powf(-1.0 / 1.1).min(1e4),
            };
            (scale as f64 * factor) as u64 + 1
        })
        .collect();
    if matches!(shape, Shape::OneGiant) {
        let sum: u64 = takes.iter().sum();
        // As long as a fifth of everything else.
        takes[count / 2] = sum / 5 + 1;
    }
    takes
}

/// No schedule on so many workers is shorter: everything spread evenly; the longest; and of any
/// k * workers + 1 tests, k + 1 share a worker.
fn lower_bound(takes: &[u64], slots: usize) -> f64 {
    let mut sorted = takes.to_vec();
    sorted.sort_unstable_by_key(|time| Reverse(*time));
    let even = takes.iter().sum::<u64>() as f64 / slots as f64;
    let shared = (1..)
        .take_while(|k| k * slots < sorted.len())
        .map(|k| sorted[k * slots - k..=k * slots].iter().sum::<u64>());
    let longest = sorted.first().copied().unwrap_or(0);
    let whole = shared.chain([longest]).max().unwrap_or(0);
    even.max(whole as f64)
}

/// What the end of a run is held against: everything spread evenly, or the longest test.
fn bound(takes: &[u64], slots: usize) -> f64 {
    let even = takes.iter().sum::<u64>() as f64 / slots as f64;
    even.max(takes.iter().max().copied().unwrap_or(0) as f64)
}

/// With 20 tests a worker, a run with history is within 5 % of the bound.
#[test]
fn a_run_with_history_ends_within_a_twentieth_of_the_bound() {
    for scale in [1_000, 100_000, 5_000_000] {
        for shape in SHAPES {
            for (count, slots) in [(10, 1), (80, 4), (320, 16), (1000, 50), (6_000, 256)] {
                for seed in 0..4 {
                    let takes = durations(shape, count, scale, seed);
                    let found = makespan(&takes, slots) as f64 / bound(&takes, slots);
                    assert!(
                        found <= 1.05,
                        "{found} with {count} {shape:?} of {scale} us, {slots} workers, seed {seed}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_hundred_thousand_tests_end_within_a_twentieth_of_the_bound() {
    for (shape, slots) in [(Shape::Exponential, 256), (Shape::HeavyTail, 8)] {
        let takes = durations(shape, 100_000, 20_000, 1);
        let found = makespan(&takes, slots) as f64 / bound(&takes, slots);
        assert!(found <= 1.05, "{found} with {shape:?}, {slots} workers");
    }
}

/// Longest-first has its known worst case where a worker has two or three tests: 5, 5, 4, 4, 3, 3, 3
/// on three workers take 11, and 9 would do. No order that never lets a worker wait is worse than
/// this, whatever the durations are.
#[test]
fn the_known_worst_case_is_no_worse_than_is_known() {
    let takes = [5, 5, 4, 4, 3, 3, 3].map(|second| second * 1_000_000);
    assert_eq!(makespan(&takes, 3), 11_000_000);
    assert_eq!(lower_bound(&takes, 3), 9_000_000.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Few tests: the bound itself may be out of any schedule's reach. What always holds is Graham's
    /// bound: when the last test to end began, every worker was busy.
    #[test]
    fn no_worker_is_idle_while_a_test_waits(
        shape in prop::sample::select(SHAPES.to_vec()),
        count in 1usize..300,
        slots in 1usize..40,
        scale in prop::sample::select(vec![1_000_000u64, 30_000_000]),
        seed: u64,
    ) {
        let takes = durations(shape, count, scale, seed);
        let mut simulation = Simulation::new(slots, one_class(&takes), takes.clone(), 0);
        let end = simulation.run();
        let last = (0..count).find(|test| simulation.ends[*test] == Some(end));
        let last = takes[last.expect("a test ended last")] as f64;
        let even = takes.iter().sum::<u64>() as f64 / slots as f64;
        let slots_f = slots as f64;
        prop_assert!(end as f64 <= even + last * (1.0 - 1.0 / slots_f) + 1.0);
        prop_assert!(end as f64 >= lower_bound(&takes, slots) - 1.0);
        prop_assert!(simulation.starts <= slots.min(count));
    }

    /// Classes side by side: their limits fit into the machine at every moment (the simulation looks
    /// at each start) and every test runs in a worker of its class. Workers of more than half the
    /// machine leave the rest of it empty, so the bound is that of Garey and Graham for two
    /// resources: three times what no schedule can be shorter than, and the workers' starts.
    #[test]
    fn classes_share_the_machine(
        shapes in prop::collection::vec(prop::sample::select(SHAPES.to_vec()), 1..4),
        count in 1usize..200,
        cpus in 1u64..9,
        start in prop::sample::select(vec![0u64, 5_000, 300_000]),
        seed: u64,
    ) {
        let mut random = Random(seed);
        let room = Room { millicpus: cpus * 1000, memory_bytes: 8 << 30 };
        let needs: Vec<Room> = shapes
            .iter()
            .map(|_| Room {
                millicpus: 500 + (random.next() * 3500.0) as u64,
                memory_bytes: (random.next() * (4u64 << 30) as f64) as u64,
            })
            .map(|need| Room { millicpus: need.millicpus.min(room.millicpus), ..need })
            .collect();
        let class_of: Vec<ClassIndex> = (0..count)
            .map(|_| (random.next() * shapes.len() as f64) as usize)
            .collect();
        let takes: Vec<u64> = class_of
            .iter()
            .enumerate()
            .map(|(test, class)| durations(shapes[*class], 1, 2_000_000, seed ^ test as u64)[0])
            .collect();
        let work = Work { needs: needs.clone(), class_of: class_of.clone(), room, ..one_class(&takes) };
        let mut simulation = Simulation::new(1024, work, takes.clone(), start);
        let end = simulation.run();
        let share = |used: fn(&Room) -> u64| {
            let sum: f64 = (0..count)
                .map(|test| takes[test] as f64 * used(&needs[class_of[test]]) as f64)
                .sum();
            sum / used(&room) as f64
        };
        let longest = takes.iter().max().copied().unwrap_or(0) as f64;
        let least = share(|room| room.millicpus).max(share(|room| room.memory_bytes)).max(longest);
        let starts = (simulation.starts as u64 * start) as f64;
        prop_assert!(end as f64 <= 3.0 * least + starts, "{end} {least}");
    }
}

/// The four profiles on a machine with 8 processors and 16 GiB.
#[test]
fn the_profiles_fill_a_machine() {
    let profiles = crate::model::built_in_profiles();
    let names = ["fast", "standard", "slow", "intensive"];
    let needs: Vec<Room> = names.map(|name| Room::of(&profiles[name].limits)).to_vec();
    let room = Room {
        millicpus: 8000,
        memory_bytes: 16 << 30,
    };
    for seed in 0..20 {
        let counts = [
            (0, 1000, 50_000),
            (1, 300, 500_000),
            (2, 40, 5_000_000),
            (3, 6, 20_000_000),
        ];
        let mut takes = Vec::new();
        let mut class_of = Vec::new();
        for (class, count, scale) in counts {
            takes.extend(durations(Shape::Exponential, count, scale, seed));
            class_of.extend(vec![class; count]);
        }
        let used = takes.iter().zip(&class_of);
        let used: u64 = used
            .map(|(time, class)| time * needs[*class].millicpus)
            .sum();
        let longest = takes.iter().max().copied().unwrap_or(0);
        let least = (used / room.millicpus).max(longest);
        let work = Work {
            needs: needs.clone(),
            class_of,
            room,
            ..one_class(&takes)
        };
        let capacity = Capacity { workers: 32, room };
        let load = Load {
            times: work.expected.clone(),
            class_of: work.class_of.clone(),
            needs: needs.clone(),
        };
        let forecast = forecast(&load, capacity).makespan.as_micros() as f64;
        let mut simulation = Simulation::new(32, work, takes, 300_000);
        let end = simulation.run() as f64;
        assert!(end <= 1.05 * least as f64, "{end} {least}");
        // What `plan` says of it, which leaves out the workers' starts.
        assert!((end / forecast - 1.0).abs() < 0.05, "{end} {forecast}");
    }
}

/// A long test of another class does not wait until its class's turn comes.
#[test]
fn a_worker_is_replaced_for_a_test_that_would_run_alone_at_the_end() {
    let second = 1_000_000;
    let mut takes = vec![200 * second; 2];
    takes.extend(vec![second; 100]);
    takes.push(150 * second);
    let mut class_of = vec![0; 102];
    class_of.push(1);
    let work = Work {
        class_of,
        needs: vec![Room::default(); 2],
        ..one_class(&takes)
    };
    let mut simulation = Simulation::new(2, work, takes, second / 4);
    let end = simulation.run();
    assert!(end <= 351 * second, "{end}");
    assert_eq!(simulation.starts, 3);
}
