//! Simulated runs: workers that die, do not start, answer late or twice. Whatever happens, every
//! test has exactly one last word, and the run ends.

use super::*;
use proptest::prelude::*;

fn policy(slots: usize) -> Policy {
    Policy {
        slots,
        fresh: false,
        fail_fast: false,
        dial_in: false,
    }
}

/// Tests of which nothing is known, and a machine with room for everything.
fn work(class_of: Vec<ClassIndex>) -> Work {
    let classes = class_of.iter().max().map_or(0, |last| last + 1);
    Work {
        class_of,
        expected: Vec::new(),
        needs: vec![Room::default(); classes],
        shapes: Vec::new(),
        room: Room::UNLIMITED,
    }
}

/// A simulated worker's view.
#[derive(Default)]
struct Sim {
    ready: bool,
    finish: bool,
    jobs: VecDeque<(u64, TestIndex)>,
    alone_jobs: usize,
}

struct World {
    dispatcher: Dispatcher,
    sims: BTreeMap<WorkerNumber, Sim>,
    finals: Vec<Vec<Outcome>>,
    executions: Vec<u32>,
    most_workers: usize,
}

impl World {
    fn new(policy: Policy, class_of: Vec<ClassIndex>) -> Self {
        let tests = class_of.len();
        World {
            dispatcher: Dispatcher::new(policy, work(class_of)),
            sims: BTreeMap::new(),
            finals: vec![Vec::new(); tests],
            executions: vec![0; tests],
            most_workers: 0,
        }
    }

    fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Start(number, _) => {
                    self.sims.insert(number, Sim::default());
                }
                Action::Send(number, test, seq) => {
                    let sim = self.sims.get_mut(&number).expect("sent to a living worker");
                    assert!(sim.ready, "sent before hello");
                    assert!(!sim.finish, "sent after finish");
                    sim.alone_jobs += 1;
                    sim.jobs.push_back((seq, test));
                }
                Action::GiveBack(number) => {
                    // The first is running and stays.
                    if let Some(sim) = self.sims.get_mut(&number) {
                        let keep = sim.jobs.len().min(1);
                        let seqs: Vec<u64> = sim.jobs.drain(keep..).map(|(seq, _)| seq).collect();
                        self.dispatcher.on_returned(number, &seqs);
                    }
                }
                Action::Finish(number) | Action::Interrupt(number) => {
                    if let Some(sim) = self.sims.get_mut(&number) {
                        sim.finish = true;
                    }
                }
                Action::Kill(number) => {
                    if self.sims.remove(&number).is_some() {
                        let actions =
                            self.dispatcher
                                .on_gone(number, Some(LostCause::Worker), true);
                        self.act(actions);
                    }
                }
                Action::Conclude(test, outcome, _) => self.finals[test].push(outcome),
                Action::Retry(..) | Action::Assign(..) => {}
                Action::Resize(..) => unreachable!("no class has a shape"),
            }
        }
        self.most_workers = self.most_workers.max(
            self.sims
                .values()
                .filter(|sim| !sim.finish || !sim.jobs.is_empty())
                .count(),
        );
    }

    fn settle(&mut self) {
        loop {
            let actions = self.dispatcher.next_actions();
            if actions.is_empty() {
                return;
            }
            self.act(actions);
        }
    }

    /// One thing happens to one worker; `dice` decides what.
    fn step(&mut self, dice: u32, faults: bool) {
        let numbers: Vec<WorkerNumber> = self.sims.keys().copied().collect();
        let number = numbers[dice as usize % numbers.len()];
        let fault = faults && dice % 97 < 9;
        let sim = self.sims.get_mut(&number).expect("just listed");
        if !sim.ready {
            if fault {
                self.sims.remove(&number);
                let actions = self
                    .dispatcher
                    .on_gone(number, Some(LostCause::Engine), false);
                self.act(actions);
            } else {
                sim.ready = true;
                self.dispatcher.on_ready(number, Duration::ZERO);
            }
        } else if fault {
            let cause = if dice.is_multiple_of(2) {
                LostCause::Worker
            } else {
                LostCause::Engine
            };
            self.sims.remove(&number);
            let actions = self.dispatcher.on_gone(number, Some(cause), true);
            self.act(actions);
        } else if let Some((seq, test)) = sim.jobs.pop_front() {
            self.executions[test] += 1;
            let took = Duration::from_millis(u64::from(dice % 40));
            assert_eq!(self.dispatcher.on_report(number, seq, took), Some(test));
            // The same report again counts for nothing.
            assert_eq!(self.dispatcher.on_report(number, seq, took), None);
            self.finals[test].push(Outcome::Pass);
        } else if sim.finish {
            self.sims.remove(&number);
            let actions = self.dispatcher.on_gone(number, None, true);
            self.act(actions);
        }
    }

    fn run(&mut self, seed: u32, faults: bool) {
        let mut state = seed | 1;
        for _ in 0..200_000 {
            self.settle();
            if self.dispatcher.is_done() {
                return;
            }
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            self.step(state >> 8, faults);
        }
        panic!("the run does not end");
    }

    fn check(&self, slots: usize) {
        for (test, finals) in self.finals.iter().enumerate() {
            assert_eq!(finals.len(), 1, "test {test}: {finals:?}");
        }
        assert!(self.most_workers <= slots, "{} workers", self.most_workers);
    }
}

proptest! {
    #[test]
    fn every_test_has_one_last_word(
        classes in proptest::collection::vec(0usize..3, 1..120),
        slots in 1usize..6,
        fresh: bool,
        faults: bool,
        seed: u32,
    ) {
        let mut world = World::new(Policy { fresh, ..policy(slots) }, classes);
        world.run(seed, faults);
        world.check(slots);
        if !faults {
            prop_assert!(world.executions.iter().all(|count| *count == 1));
            prop_assert!(world.finals.iter().all(|finals| finals[0] == Outcome::Pass));
        }
    }

    #[test]
    fn an_interrupt_ends_every_run(
        classes in proptest::collection::vec(0usize..2, 1..60),
        slots in 1usize..4,
        steps in 0usize..80,
        hard: bool,
        seed: u32,
    ) {
        let mut world = World::new(policy(slots), classes);
        let mut state = seed | 1;
        for _ in 0..steps {
            world.settle();
            if world.dispatcher.is_done() { break; }
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            world.step(state >> 8, true);
        }
        let actions = world.dispatcher.on_interrupt(hard);
        world.act(actions);
        world.run(seed, false);
        world.check(slots);
    }
}

/// Starts worker 1 of a run and says hello for it.
fn one_worker(tests: usize) -> World {
    let mut world = World::new(policy(1), vec![0; tests]);
    world.settle();
    world.sims.get_mut(&1).expect("worker 1").ready = true;
    world.dispatcher.on_ready(1, Duration::ZERO);
    world.settle();
    world
}

#[test]
fn the_first_unreported_test_is_the_suspect_and_is_blamed_the_second_time() {
    let mut world = one_worker(3);
    assert_eq!(world.dispatcher.running(1), Some((1, 0)));
    world.sims.remove(&1);
    let actions = world.dispatcher.on_gone(1, Some(LostCause::Worker), true);
    assert_eq!(actions, [Action::Retry(0, LostCause::Worker, (1, 1))]);
    // It runs alone: the worker is told to finish with it.
    assert_eq!(world.dispatcher.next_actions(), [Action::Start(2, 0)]);
    world.dispatcher.on_ready(2, Duration::ZERO);
    assert_eq!(
        world.dispatcher.next_actions()[..2],
        [Action::Send(2, 0, 1), Action::Finish(2)]
    );
    let actions = world.dispatcher.on_gone(2, Some(LostCause::Worker), true);
    assert_eq!(
        actions,
        [Action::Conclude(
            0,
            Outcome::Crash(CrashCause::Worker),
            Some((2, 1))
        )]
    );
}

#[test]
fn an_engine_that_loses_a_test_does_not_blame_it() {
    let mut world = one_worker(1);
    for number in 1..=2 {
        let actions = world
            .dispatcher
            .on_gone(number, Some(LostCause::Engine), true);
        assert_eq!(actions, [Action::Retry(0, LostCause::Engine, (number, 1))]);
        world.dispatcher.next_actions();
        world.dispatcher.on_ready(number + 1, Duration::ZERO);
        world.dispatcher.next_actions();
    }
    let actions = world.dispatcher.on_gone(3, Some(LostCause::Engine), true);
    assert_eq!(
        actions,
        [Action::Conclude(
            0,
            Outcome::Lost(LostCause::Engine),
            Some((3, 1))
        )]
    );
}

#[test]
fn a_run_gives_up_when_no_worker_starts() {
    let mut world = World::new(policy(1), vec![0; 2]);
    for number in 1..=START_TRIES.into() {
        assert_eq!(world.dispatcher.next_actions(), [Action::Start(number, 0)]);
        world
            .dispatcher
            .on_gone(number, Some(LostCause::Engine), false);
    }
    assert!(world.dispatcher.gave_up());
    let conclusions = world.dispatcher.next_actions();
    assert_eq!(
        conclusions[0],
        Action::Conclude(0, Outcome::NotRun(NotRunCause::NoWorker), None)
    );
    assert!(world.dispatcher.is_done());
}

/// Tests that wait behind a long one go to a worker that has nothing to do.
#[test]
fn an_idle_worker_gets_what_a_busy_one_has_not_started() {
    let mut world = World::new(policy(2), vec![0; 40]);
    world.settle();
    for number in [1, 2] {
        world.sims.get_mut(&number).expect("a worker").ready = true;
        world.dispatcher.on_ready(number, Duration::ZERO);
    }
    world.settle();
    // Worker 1 is quick, gets many in hand, and then hangs; worker 2 does all the rest.
    world.dispatcher.on_report(1, 1, Duration::from_micros(100));
    world.settle();
    assert!(
        world
            .dispatcher
            .workers
            .get(1)
            .expect("worker 1")
            .in_hand
            .len()
            > 2
    );
    for _ in 0..60 {
        if let Some((seq, _)) = world.dispatcher.running(2) {
            world
                .dispatcher
                .on_report(2, seq, Duration::from_micros(100));
        }
        world.settle_without_giving_back();
    }
    assert_eq!(
        world
            .dispatcher
            .workers
            .get(1)
            .expect("worker 1")
            .in_hand
            .len(),
        1,
        "only the hanging test is left"
    );
    assert_eq!(world.dispatcher.open, 1);
}

impl World {
    /// Like `settle`, for tests that report by hand.
    fn settle_without_giving_back(&mut self) {
        for action in self.dispatcher.next_actions() {
            if let Action::GiveBack(number) = action {
                let seqs: Vec<u64> = self
                    .dispatcher
                    .workers
                    .get(number)
                    .expect("a worker")
                    .in_hand
                    .iter()
                    .skip(1)
                    .map(|(seq, _)| *seq)
                    .collect();
                self.dispatcher.on_returned(number, &seqs);
            }
        }
    }
}

#[test]
fn fail_fast_leaves_the_rest_unrun() {
    let mut world = World::new(
        Policy {
            fail_fast: true,
            ..policy(1)
        },
        vec![0; 5],
    );
    world.settle();
    world.sims.get_mut(&1).expect("worker 1").ready = true;
    world.dispatcher.on_ready(1, Duration::ZERO);
    world.settle();
    world.sims.get_mut(&1).expect("worker 1").jobs.pop_front();
    world.dispatcher.on_report(1, 1, Duration::ZERO);
    world.finals[0].push(Outcome::Pass);
    world.dispatcher.on_bad_result();
    world.run(1, false);
    world.check(1);
    assert_eq!(world.finals[4], [Outcome::NotRun(NotRunCause::FailFast)]);
}

/// Also of so many that they are not concluded in one go.
#[test]
fn a_worker_that_is_refused_gets_no_test() {
    for (tests, fresh) in [(2, false), (2, true), (3 * CONCLUSIONS, false)] {
        let mut world = World::new(Policy { fresh, ..policy(1) }, vec![0; tests]);
        world.settle();
        world.sims.get_mut(&1).expect("worker 1").ready = true;
        world.dispatcher.on_refused();
        world.dispatcher.on_ready(1, Duration::ZERO);
        world.run(1, false);
        world.check(1);
        assert!(world.dispatcher.gave_up());
        assert_eq!(world.executions.iter().sum::<u32>(), 0);
        let last = world.finals.last().expect("there are tests");
        assert_eq!(last, &[Outcome::NotRun(NotRunCause::NoWorker)]);
    }
}

/// Two tests of each of two classes, whose containers differ in size alone, and one place.
fn two_sizes(fresh: bool) -> Dispatcher {
    let policy = Policy { fresh, ..policy(1) };
    let work = Work {
        shapes: vec![0, 0],
        ..work(vec![0, 0, 1, 1])
    };
    let mut dispatcher = Dispatcher::new(policy, work);
    assert_eq!(dispatcher.next_actions(), [Action::Start(1, 0)]);
    dispatcher.on_ready(1, Duration::ZERO);
    dispatcher
}

#[test]
fn an_idle_worker_is_resized_for_the_class_that_has_tests() {
    let mut dispatcher = two_sizes(false);
    for (test, seq) in [(0, 1), (1, 2)] {
        assert_eq!(dispatcher.next_actions(), [Action::Send(1, test, seq)]);
        assert!(dispatcher.on_report(1, seq, Duration::ZERO).is_some());
    }
    assert_eq!(dispatcher.next_actions(), [Action::Resize(1, 2, 1)]);
    assert_eq!(dispatcher.next_actions(), [], "it has no limits yet");
    dispatcher.on_ready(2, Duration::ZERO);
    // The numbers of its tests go on: it is the same supervisor.
    assert_eq!(dispatcher.next_actions(), [Action::Send(2, 2, 3)]);
    assert_eq!(dispatcher.on_report(1, 3, Duration::ZERO), None);
    assert_eq!(dispatcher.on_report(2, 3, Duration::ZERO), Some(2));
}

#[test]
fn a_worker_that_did_not_get_its_limits_is_replaced_and_none_is_resized_again() {
    let mut dispatcher = two_sizes(false);
    for seq in [1, 2] {
        dispatcher.next_actions();
        dispatcher.on_report(1, seq, Duration::ZERO);
    }
    assert_eq!(dispatcher.next_actions(), [Action::Resize(1, 2, 1)]);
    assert_eq!(dispatcher.on_not_resized(2), [Action::Finish(1)]);
    assert_eq!(dispatcher.on_not_resized(2), [], "it came twice");
    assert_eq!(dispatcher.next_actions(), [Action::Start(3, 1)]);
    assert_eq!(dispatcher.on_gone(1, None, true), []);
    dispatcher.on_ready(3, Duration::ZERO);
    assert_eq!(dispatcher.next_actions(), [Action::Send(3, 2, 1)]);
    dispatcher.on_report(3, 1, Duration::ZERO);
    assert!(dispatcher.again(0), "its class has a test again");
    assert_eq!(dispatcher.next_actions(), [Action::Send(3, 3, 2)]);
    dispatcher.on_report(3, 2, Duration::ZERO);
    let replaced = [Action::Finish(3), Action::Start(4, 0)];
    assert_eq!(dispatcher.next_actions(), replaced);
}

#[test]
fn a_run_with_fresh_workers_resizes_none() {
    let mut dispatcher = two_sizes(true);
    let alone = [Action::Send(1, 0, 1), Action::Finish(1)];
    assert_eq!(dispatcher.next_actions(), alone);
    dispatcher.on_report(1, 1, Duration::ZERO);
    assert_eq!(dispatcher.next_actions(), [Action::Start(2, 0)]);
}
