//! A thousand runs in which everything goes wrong that can: workers that do not start, die, stand
//! still, answer late, twice, or after they were given up, dial in at any time, do not get their new
//! limits; tests that fail and are run again; runs
//! that are interrupted or end at the first failure. Whatever happens, every test has exactly one
//! last word, no test is in two living workers' hands, and the run ends. A seed gives one run.

use super::*;

const RUNS: u64 = 1000;
/// So many dial in at once, or one more that is needed.
const MOST_GUESTS: usize = 8;
/// No run takes more steps.
const STEPS: u32 = 50_000;

/// What a worker says. It arrives in order, and late.
#[derive(Clone, Debug)]
enum Said {
    Ready,
    NotResized,
    Report(u64, TestIndex, bool),
    Returned(Vec<u64>),
    Goodbye,
}

#[derive(Default)]
struct Sim {
    class: ClassIndex,
    ready: bool,
    /// Its number before, while it is being resized.
    was: Option<WorkerNumber>,
    finish: bool,
    jobs: VecDeque<(u64, TestIndex)>,
    /// On its way.
    said: VecDeque<Said>,
    /// Of one that dialled in: how well it fits each class.
    fits: Option<Vec<Fit>>,
    /// Steps for which it stands still.
    paused: u32,
}

impl Sim {
    /// The tests that the launcher waits for from it.
    fn has(&self, test: TestIndex) -> bool {
        let reported = |said: &Said| matches!(said, Said::Report(_, of, _) if *of == test);
        self.jobs.iter().any(|(_, of)| *of == test) || self.said.iter().any(reported)
    }
}

/// Random numbers from a seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % sides
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.roll(100) < percent
    }
}

#[derive(Default)]
struct Counts {
    lost: u32,
    late: u32,
    twice: u32,
    again: u32,
    returned: u32,
    resized: u32,
    not_resized: u32,
    joined: u32,
    moved: u32,
}

struct Chaos {
    seed: u64,
    dice: Dice,
    dispatcher: Dispatcher,
    work: Work,
    policy: Policy,
    retries: u32,
    sims: BTreeMap<WorkerNumber, Sim>,
    /// What workers said that are gone: it arrives all the same.
    ghosts: Vec<(WorkerNumber, Said)>,
    finals: Vec<Vec<Outcome>>,
    again: Vec<u32>,
    counts: Counts,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let classes = 1 + dice.roll(3) as usize;
        let tests = 1 + dice.roll(200) as usize;
        let known = dice.chance(70);
        let room = Room {
            millicpus: 1000 + dice.roll(6000),
            memory_bytes: u64::MAX,
        };
        let need = |dice: &mut Dice| Room {
            millicpus: 1 + dice.roll(room.millicpus),
            memory_bytes: 1,
        };
        let work = Work {
            class_of: (0..tests)
                .map(|_| dice.roll(classes as u64) as usize)
                .collect(),
            expected: (0..if known { tests } else { 0 })
                .map(|_| Duration::from_micros(1 << dice.roll(24)))
                .collect(),
            needs: (0..classes).map(|_| need(&mut dice)).collect(),
            shapes: (0..classes).map(|_| dice.roll(2) as usize).collect(),
            room,
        };
        let policy = Policy {
            slots: 1 + dice.roll(6) as usize,
            fresh: dice.chance(20),
            fail_fast: dice.chance(10),
            dial_in: false,
        };
        let policy = match dice.chance(40) {
            true => Policy {
                slots: usize::MAX,
                fresh: false,
                dial_in: true,
                ..policy
            },
            false => policy,
        };
        let work = match policy.dial_in {
            true => Work {
                room: Room::UNLIMITED,
                ..work
            },
            false => work,
        };
        Chaos {
            seed,
            dispatcher: Dispatcher::new(policy, work.clone()),
            policy,
            retries: dice.roll(3) as u32,
            sims: BTreeMap::new(),
            ghosts: Vec::new(),
            finals: vec![Vec::new(); tests],
            again: vec![0; tests],
            counts: Counts::default(),
            work,
            dice,
        }
    }

    fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Start(number, class) => {
                    let sim = Sim {
                        class,
                        said: VecDeque::from([Said::Ready]),
                        ..Sim::default()
                    };
                    assert!(self.sims.insert(number, sim).is_none(), "a new number");
                    self.check_room();
                }
                Action::Resize(from, number, class) => {
                    let mut sim = self.sims.remove(&from).expect("a living worker");
                    assert!(sim.ready && !sim.finish, "seed {}", self.seed);
                    assert!(sim.jobs.is_empty(), "seed {}: it is idle", self.seed);
                    let shapes = &self.work.shapes;
                    assert_eq!(shapes[sim.class], shapes[class], "seed {}", self.seed);
                    sim.said.push_back(match self.dice.chance(60) {
                        true => Said::Ready,
                        false => Said::NotResized,
                    });
                    (sim.class, sim.ready, sim.was) = (class, false, Some(from));
                    assert!(self.sims.insert(number, sim).is_none(), "a new number");
                    self.check_room();
                }
                Action::Assign(number, class) => {
                    let sim = self.sims.get_mut(&number).expect("a living worker");
                    assert!(sim.jobs.is_empty(), "seed {}", self.seed);
                    assert!(sim.fits.as_ref().is_some_and(|fits| fits[class] != Fit::No));
                    self.counts.moved += u32::from(sim.class != class);
                    sim.class = class;
                }
                Action::Send(number, test, seq) => {
                    let held = self.sims.values().filter(|sim| sim.has(test)).count();
                    assert_eq!(held, 0, "seed {}: test {test} is in two hands", self.seed);
                    let sim = self.sims.get_mut(&number).expect("a living worker");
                    assert!(sim.ready && !sim.finish, "seed {}", self.seed);
                    assert_eq!(sim.class, self.work.class_of[test], "seed {}", self.seed);
                    sim.jobs.push_back((seq, test));
                }
                Action::GiveBack(number) => {
                    if let Some(sim) = self.sims.get_mut(&number) {
                        let kept = sim.jobs.len().min(1);
                        let back: Vec<u64> = sim.jobs.drain(kept..).map(|(seq, _)| seq).collect();
                        self.counts.returned += back.len() as u32;
                        sim.said.push_back(Said::Returned(back));
                    }
                }
                Action::Finish(number) | Action::Interrupt(number) => {
                    if let Some(sim) = self.sims.get_mut(&number) {
                        sim.finish = true;
                    }
                }
                Action::Kill(number) => self.lose(number, LostCause::Worker),
                Action::Conclude(test, outcome, _) => self.finals[test].push(outcome),
                Action::Retry(..) => {}
            }
        }
    }

    fn check_room(&self) {
        let held: Vec<Room> = self
            .sims
            .values()
            .filter(|sim| !sim.finish || !sim.jobs.is_empty())
            .map(|sim| self.work.needs[sim.class])
            .collect();
        let taken = held.iter().fold(Room::default(), |sum, need| sum + *need);
        assert!(held.len() <= self.policy.slots, "seed {}", self.seed);
        assert!(
            held.len() == 1 || self.work.room.holds(taken),
            "seed {}",
            self.seed
        );
    }

    /// A worker is gone; what it said may still arrive.
    fn lose(&mut self, number: WorkerNumber, cause: LostCause) {
        let Some(sim) = self.sims.remove(&number) else {
            return;
        };
        self.counts.lost += 1;
        self.ghosts
            .extend(sim.said.into_iter().map(|said| (number, said)));
        let started = sim.ready || sim.was.is_some();
        let actions = self.dispatcher.on_gone(number, Some(cause), started);
        self.perform(actions);
    }

    fn hear(&mut self, number: WorkerNumber, said: Said) {
        match said {
            Said::Ready => {
                if let Some(sim) = self.sims.get_mut(&number) {
                    sim.ready = true;
                    self.counts.resized += u32::from(sim.was.take().is_some());
                }
                let took = Duration::from_millis(self.dice.roll(400));
                self.dispatcher.on_ready(number, took);
            }
            Said::NotResized => {
                self.counts.not_resized += 1;
                if let Some(mut sim) = self.sims.remove(&number)
                    && let Some(from) = sim.was.take()
                {
                    sim.ready = true;
                    self.sims.insert(from, sim);
                }
                let actions = self.dispatcher.on_not_resized(number);
                self.perform(actions);
            }
            Said::Report(seq, test, passed) => {
                let took = Duration::from_micros(1 << self.dice.roll(24));
                let Some(found) = self.dispatcher.on_report(number, seq, took) else {
                    return;
                };
                assert_eq!(found, test, "seed {}", self.seed);
                let again = !passed && self.again[test] < self.retries;
                if again && self.dispatcher.again(test) {
                    self.again[test] += 1;
                    self.counts.again += 1;
                    return;
                }
                if !passed {
                    self.dispatcher.on_bad_result();
                }
                self.finals[test].push(Outcome::Pass);
            }
            Said::Returned(seqs) => self.dispatcher.on_returned(number, &seqs),
            Said::Goodbye => {
                self.sims.remove(&number);
                let actions = self.dispatcher.on_gone(number, None, true);
                self.perform(actions);
            }
        }
    }

    /// A worker dials in. One that may run everything, where nobody else can go on.
    fn join(&mut self) {
        let Some(number) = self.dispatcher.admit() else {
            return;
        };
        let all = self.dispatcher.waits_for_guests();
        let classes = self.work.needs.len();
        let fits: Vec<Fit> = (0..classes)
            .map(|_| match self.dice.roll(10) {
                0..6 => Fit::Good,
                6..8 => Fit::Tight,
                _ if all => Fit::Good,
                _ => Fit::No,
            })
            .collect();
        self.counts.joined += 1;
        let sim = Sim {
            ready: true,
            fits: Some(fits.clone()),
            ..Sim::default()
        };
        self.sims.insert(number, sim);
        self.dispatcher.on_joined(number, fits);
    }

    /// One thing happens.
    fn step(&mut self) {
        let waits = self.dispatcher.waits_for_guests();
        let few = waits || self.sims.len() < MOST_GUESTS;
        if self.policy.dial_in && few && self.dice.chance(if waits { 30 } else { 3 }) {
            return self.join();
        }
        if !self.ghosts.is_empty() && self.dice.chance(10) {
            let at = self.dice.roll(self.ghosts.len() as u64) as usize;
            let (number, said) = self.ghosts.swap_remove(at);
            self.counts.late += 1;
            if !matches!(said, Said::Ready) {
                self.hear(number, said);
            }
            return;
        }
        let numbers: Vec<WorkerNumber> = self.sims.keys().copied().collect();
        if numbers.is_empty() {
            return;
        }
        let number = numbers[self.dice.roll(numbers.len() as u64) as usize];
        if self.dice.chance(2) {
            let cause = match self.dice.chance(50) {
                true => LostCause::Worker,
                false => LostCause::Engine,
            };
            return self.lose(number, cause);
        }
        let (pause, arrives, twice) = (
            self.dice.chance(2),
            self.dice.chance(50),
            self.dice.chance(5),
        );
        let passed = self.dice.chance(85);
        let paused = self.dice.roll(400) as u32;
        let Some(sim) = self.sims.get_mut(&number) else {
            return;
        };
        if sim.paused > 0 {
            sim.paused -= 1;
        } else if pause {
            sim.paused = paused;
        } else if arrives && let Some(said) = sim.said.pop_front() {
            let again = said.clone();
            self.hear(number, said);
            if twice && matches!(again, Said::Report(..) | Said::Returned(_)) {
                self.counts.twice += 1;
                self.hear(number, again);
            }
        } else if sim.ready
            && let Some((seq, test)) = sim.jobs.pop_front()
        {
            sim.said.push_back(Said::Report(seq, test, passed));
        } else if sim.ready && sim.finish && sim.said.is_empty() {
            sim.said.push_back(Said::Goodbye);
        }
    }

    fn settle(&mut self) {
        loop {
            let actions = self.dispatcher.next_actions();
            if actions.is_empty() {
                return;
            }
            self.perform(actions);
        }
    }

    fn run(mut self) -> Counts {
        let interrupt = self.dice.chance(10).then(|| self.dice.roll(300) as u32);
        for step in 0..STEPS {
            self.settle();
            if self.dispatcher.is_done() {
                for (test, finals) in self.finals.iter().enumerate() {
                    assert_eq!(
                        finals.len(),
                        1,
                        "seed {}: test {test}: {finals:?}",
                        self.seed
                    );
                }
                return self.counts;
            }
            if interrupt == Some(step) {
                let hard = self.dice.chance(30);
                let actions = self.dispatcher.on_interrupt(hard);
                self.perform(actions);
            }
            self.step();
        }
        panic!("seed {}: the run does not end", self.seed);
    }
}

#[test]
fn a_thousand_runs_give_every_test_one_last_word() {
    let mut all = Counts::default();
    for seed in 0..RUNS {
        let counts = Chaos::new(seed).run();
        all.lost += counts.lost;
        all.late += counts.late;
        all.twice += counts.twice;
        all.again += counts.again;
        all.returned += counts.returned;
        all.resized += counts.resized;
        all.not_resized += counts.not_resized;
        all.joined += counts.joined;
        all.moved += counts.moved;
    }
    // Nothing of it is left out by chance.
    for (what, count) in [
        ("workers lost", all.lost),
        ("late words", all.late),
        ("words that came twice", all.twice),
        ("tests run again", all.again),
        ("tests given back", all.returned),
        ("workers resized", all.resized),
        ("workers not resized", all.not_resized),
        ("workers that dialled in", all.joined),
        ("workers that changed their class", all.moved),
    ] {
        assert!(count > 50, "{count} {what}");
    }
}
