//! Which worker does what next: pure decisions, no I/O.
//!
//! Tests of one class (a profile and an image, and others whose container is the same) share workers,
//! because a worker has the limits of its class: no test runs in a worker of another. Within a class the longest test comes
//! first, and whoever is idle takes it. Workers of several classes run side by side as long as their
//! limits fit into the machine's room together; a new one is for the class whose longest test
//! nobody is about to take. A worker gives its place up where its class has run dry, or where
//! another class has a test that takes longer than all the rest would.
//!
//! When a worker is lost, the first test that it did not report is the suspect: it runs again,
//! alone in a fresh worker; the others go back to the queue.

mod crew;
mod guests;
mod order;
mod place;
mod queues;
mod worker;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::model::{CrashCause, LostCause, NotRunCause, Outcome, Room};
use crew::Crew;
pub use guests::Fit;
use guests::Guests;
pub use order::{Action, Policy, Work};
use queues::Queues;
use worker::Worker;

/// A test's place in the plan.
pub type TestIndex = usize;
/// A class's number.
pub type ClassIndex = usize;
/// A worker's number in the run, from 1.
pub type WorkerNumber = u64;

/// How many tests of a queue are concluded in one go.
const CONCLUSIONS: usize = 256;
/// How often the engine may lose a test before that is its last word.
const ENGINE_TRIES: u32 = 3;
/// How many workers in a row may fail to start before the run gives up.
const START_TRIES: u32 = 3;

/// Why no further test is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    FailFast,
    Interrupted,
    NoWorker,
}

/// What came of looking after a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fed {
    /// It was looked after.
    Yes,
    /// It has nothing to do, and nothing of its class is left for it.
    Dry,
}

/// The state of a run.
#[derive(Debug)]
pub struct Dispatcher {
    policy: Policy,
    room: Room,
    queues: Queues,
    suspects: VecDeque<TestIndex>,
    workers: Crew,
    /// Classes of one shape: their containers differ in size alone.
    shapes: Vec<ClassIndex>,
    /// Containers can be resized, as far as is known.
    resizes: bool,
    guests: Guests,
    lost_by_worker: BTreeMap<TestIndex, u32>,
    lost_by_engine: BTreeMap<TestIndex, u32>,
    last_worker: WorkerNumber,
    failed_starts: u32,
    /// The longest that a worker took to be ready.
    start_takes: Duration,
    open: usize,
    stop: Option<Stop>,
}

impl Dispatcher {
    /// A run of these tests.
    pub fn new(policy: Policy, work: Work) -> Self {
        Dispatcher {
            policy,
            open: work.class_of.len(),
            room: work.room,
            queues: Queues::new(work.class_of, work.expected),
            suspects: VecDeque::new(),
            workers: Crew::new(work.needs),
            resizes: !work.shapes.is_empty(),
            shapes: work.shapes,
            guests: Guests::default(),
            lost_by_worker: BTreeMap::new(),
            lost_by_engine: BTreeMap::new(),
            last_worker: 0,
            failed_starts: 0,
            start_takes: Duration::ZERO,
            stop: None,
        }
    }

    /// Whether every test has its last word and no worker is left.
    pub fn is_done(&self) -> bool {
        self.open == 0 && self.workers.is_empty() && self.guests.idle.is_empty()
    }

    /// Whether no worker could be started at all.
    pub fn gave_up(&self) -> bool {
        self.stop == Some(Stop::NoWorker)
    }

    /// The test that a worker is running, as far as is known, with its number.
    pub fn running(&self, worker: WorkerNumber) -> Option<(u64, TestIndex)> {
        self.workers.get(worker)?.in_hand.front().copied()
    }

    /// What is to be done now. Call it after every change until it returns nothing.
    pub fn next_actions(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        if let Some(stop) = self.stop {
            self.conclude_queued(stop, &mut actions);
            self.wind_down(&mut actions);
            self.dismiss(&mut actions);
            return actions;
        }
        let mut dry = Vec::new();
        for number in self.workers.take_hungry() {
            if self.feed(number, &mut actions) == Fed::Dry {
                dry.push(number);
            }
        }
        // After the others, who may take what there is.
        for number in dry {
            self.give_place(number, &mut actions);
        }
        if self.policy.dial_in {
            self.assign(&mut actions);
        }
        while let Some(action) = self.start() {
            actions.push(action);
        }
        actions
    }

    fn conclude_queued(&mut self, stop: Stop, actions: &mut Vec<Action>) {
        let cause = match stop {
            Stop::FailFast => NotRunCause::FailFast,
            Stop::Interrupted => NotRunCause::Interrupted,
            Stop::NoWorker => NotRunCause::NoWorker,
        };
        let mut left: Vec<TestIndex> = self.suspects.drain(..).collect();
        for class in 0..self.queues.classes() {
            // Not all at once: a conclusion is larger than a test's number.
            left.extend(std::iter::from_fn(|| self.queues.pop(class)).take(CONCLUSIONS));
        }
        for number in self.workers.numbers() {
            // Not sent yet.
            let unsent = |worker: &mut Worker| {
                let unsent = worker.in_hand.is_empty() && worker.tests == 0;
                worker.alone.take_if(|_| unsent)
            };
            left.extend(self.workers.change(number, unsent).flatten());
        }
        left.sort_unstable();
        self.open -= left.len();
        actions.extend(
            left.into_iter()
                .map(|test| Action::Conclude(test, Outcome::NotRun(cause), None)),
        );
    }

    /// Gives a ready worker what it should have in hand, or lets it go.
    fn feed(&mut self, number: WorkerNumber, actions: &mut Vec<Action>) -> Fed {
        let Some(worker) = self.workers.get(number) else {
            return Fed::Yes;
        };
        let (class, idle) = (worker.class, worker.in_hand.is_empty());
        if let Some(test) = worker.alone {
            if worker.tests == 0 && idle {
                self.hand(number, test, actions);
                self.finish(number, actions);
            }
            return Fed::Yes;
        }
        if self.is_wanted_elsewhere(number, class) {
            if idle {
                // At once, so that one test does not move all workers.
                self.give_place(number, actions);
                actions.extend(self.start());
            }
            return Fed::Yes;
        }
        while self.wants_more(number)
            && let Some(test) = self.queues.pop(class)
        {
            self.hand(number, test, actions);
        }
        let idle = |worker: &Worker| worker.in_hand.is_empty();
        if self.queues.len(class) > 0 || !self.workers.get(number).is_some_and(idle) {
            return Fed::Yes;
        }
        // Idle, and nothing queued: a busy peer may have tests behind a long one.
        let peer = self
            .workers
            .iter()
            .filter(|(_, w)| w.class == class && !w.closing && w.in_hand.len() > 1)
            .max_by_key(|(_, w)| w.in_hand.len());
        match peer {
            Some((_, peer)) if peer.asked => {}
            Some((peer, _)) => {
                self.workers.change(peer, |peer| peer.asked = true);
                actions.push(Action::GiveBack(peer));
            }
            None => return Fed::Dry,
        }
        Fed::Yes
    }

    fn hand(&mut self, number: WorkerNumber, test: TestIndex, actions: &mut Vec<Action>) {
        let hand = |worker: &mut Worker| worker.hand(number, test);
        actions.extend(self.workers.change(number, hand));
    }

    /// Lets a worker go once it has done what it has in hand.
    fn finish(&mut self, number: WorkerNumber, actions: &mut Vec<Action>) {
        if self.policy.dial_in {
            return self.release(number);
        }
        self.workers.change(number, |worker| worker.closing = true);
        actions.push(Action::Finish(number));
    }

    fn wants_more(&self, number: WorkerNumber) -> bool {
        self.workers.get(number).is_some_and(|worker| {
            let ahead = worker.in_hand.iter();
            let ahead = ahead.map(|(_, test)| self.queues.expected(*test)).sum();
            let (queued, peers) = (
                self.queues.len(worker.class),
                self.workers.peers(worker.class),
            );
            worker.wants_more(ahead, self.rest(), queued, peers)
        })
    }

    /// Whether a worker's place is needed more by another class than by its own: that has a test
    /// that takes longer than everybody together needs for all the rest, so that it would run alone
    /// at the end. A worker's start counts: replacing one is no gain for less.
    fn is_wanted_elsewhere(&self, number: WorkerNumber, class: ClassIndex) -> bool {
        let Some(own) = self.queues.head(class, 0) else {
            return false;
        };
        let holders = self.workers.holders();
        let threshold = own.max(self.rest() + self.start_takes);
        let left = self.workers.taken().without(self.workers.need(class));
        (0..self.queues.classes()).any(|other| {
            let head = self.queues.head(other, self.workers.coming(other));
            other != class
                && self.guests.may_run(number, other)
                && head.is_some_and(|head| head > threshold)
                && (holders <= 1 || self.room.holds(left + self.workers.need(other)))
        })
    }

    /// Each worker's share of what is queued.
    fn rest(&self) -> Duration {
        let workers = self.workers.holders().max(1);
        self.queues.work() / u32::try_from(workers).unwrap_or(u32::MAX)
    }

    /// A worker said hello, so long after it was to be started.
    pub fn on_ready(&mut self, number: WorkerNumber, took: Duration) {
        self.failed_starts = 0;
        self.start_takes = self.start_takes.max(took);
        self.workers.change(number, |worker| {
            worker.ready = true;
            worker.was = None;
        });
    }

    /// A worker reported this number. Returns the test; `None` for a number that it does not have
    /// in hand, such as a report that came twice.
    pub fn on_report(
        &mut self,
        number: WorkerNumber,
        seq: u64,
        took: Duration,
    ) -> Option<TestIndex> {
        let report = |worker: &mut Worker| {
            let test = worker.take(seq)?;
            worker.tests += 1;
            worker.busy += took;
            Some(test)
        };
        let test = self.workers.change(number, report)??;
        self.open -= 1;
        self.park(number);
        Some(test)
    }

    /// A test that was reported is to be run again. Whether it will be: not where the run ends.
    pub fn again(&mut self, test: TestIndex) -> bool {
        if self.stop.is_some() {
            return false;
        }
        self.open += 1;
        self.queues.put_back(test);
        true
    }

    /// Somebody else told a worker to stop, and it ended this test: it runs again.
    pub fn on_stopped(&mut self, number: WorkerNumber, seq: u64) -> Option<Action> {
        let stop = |worker: &mut Worker| {
            let test = worker.take(seq)?;
            worker.tests += 1;
            worker.closing = true;
            worker.leaving = true;
            Some(test)
        };
        let test = self.workers.change(number, stop)??;
        Some(self.blame(test, LostCause::Engine, (number, seq)))
    }

    /// A test's result was not good.
    pub fn on_bad_result(&mut self) {
        if self.policy.fail_fast && self.stop.is_none() {
            self.stop = Some(Stop::FailFast);
        }
    }

    /// A worker cannot be used as it is, and no other would be better: nothing more is started.
    pub fn on_refused(&mut self) {
        self.stop.get_or_insert(Stop::NoWorker);
    }

    /// Asks every worker for what it has not started, and to finish.
    fn wind_down(&mut self, actions: &mut Vec<Action>) {
        for number in self.workers.numbers() {
            if self.workers.get(number).is_some_and(Worker::takes_tests) {
                self.workers.change(number, |worker| {
                    worker.closing = true;
                    worker.leaving = true;
                });
                actions.extend([Action::GiveBack(number), Action::Finish(number)]);
            }
        }
    }

    /// A worker handed these back.
    pub fn on_returned(&mut self, number: WorkerNumber, seqs: &[u64]) {
        let give_back = |worker: &mut Worker| {
            worker.asked = false;
            let in_hand = std::mem::take(&mut worker.in_hand).into_iter();
            let (back, kept): (VecDeque<_>, _) = in_hand.partition(|(seq, _)| seqs.contains(seq));
            worker.in_hand = kept;
            back
        };
        for (_, test) in self.workers.change(number, give_back).unwrap_or_default() {
            self.queues.put_back(test);
        }
        self.park(number);
    }

    /// A worker is gone. `lost`: it did not say goodbye, and this is why. `started`: it had said
    /// hello.
    pub fn on_gone(
        &mut self,
        number: WorkerNumber,
        lost: Option<LostCause>,
        started: bool,
    ) -> Vec<Action> {
        self.guests.remove(number);
        let Some(worker) = self.workers.remove(number) else {
            return Vec::new();
        };
        let mut actions = Vec::new();
        if !started {
            self.failed_starts += 1;
            if self.failed_starts >= START_TRIES && self.stop.is_none() {
                self.stop = Some(Stop::NoWorker);
            }
        }
        let mut back: Vec<(u64, TestIndex)> = worker.in_hand.into_iter().collect();
        let mut alone_again = None;
        if back.is_empty() && worker.tests == 0 {
            // It never got the test that it was started for.
            alone_again = worker.alone;
        }
        if let Some(cause) = lost
            && !back.is_empty()
        {
            let (seq, suspect) = back.remove(0);
            actions.push(self.blame(suspect, cause, (number, seq)));
        }
        for (_, test) in back {
            self.queues.put_back(test);
        }
        if let Some(test) = alone_again {
            if self.policy.fresh && !self.lost_by_worker.contains_key(&test) {
                self.queues.put_back(test);
            } else {
                self.suspects.push_front(test);
            }
        }
        actions
    }

    fn blame(
        &mut self,
        suspect: TestIndex,
        cause: LostCause,
        place: (WorkerNumber, u64),
    ) -> Action {
        if self.stop == Some(Stop::Interrupted) {
            self.open -= 1;
            return Action::Conclude(
                suspect,
                Outcome::NotRun(NotRunCause::Interrupted),
                Some(place),
            );
        }
        let (losses, limit) = match cause {
            LostCause::Worker => (self.lost_by_worker.entry(suspect).or_default(), 2),
            LostCause::Engine => (
                self.lost_by_engine.entry(suspect).or_default(),
                ENGINE_TRIES,
            ),
        };
        *losses += 1;
        if *losses < limit {
            self.suspects.push_back(suspect);
            return Action::Retry(suspect, cause, place);
        }
        self.open -= 1;
        let outcome = match cause {
            LostCause::Worker => Outcome::Crash(CrashCause::Worker),
            LostCause::Engine => Outcome::Lost(LostCause::Engine),
        };
        Action::Conclude(suspect, outcome, Some(place))
    }

    /// The run is interrupted: with grace, or (`hard`) without.
    pub fn on_interrupt(&mut self, hard: bool) -> Vec<Action> {
        self.stop = Some(Stop::Interrupted);
        let mut actions = Vec::new();
        for number in self.workers.numbers() {
            let end = |worker: &mut Worker| {
                worker.closing = true;
                worker.leaving = true;
                if hard || !worker.ready {
                    Action::Kill(number)
                } else {
                    Action::Interrupt(number)
                }
            };
            actions.extend(self.workers.change(number, end));
        }
        actions
    }
}

#[cfg(test)]
mod chaos;
#[cfg(test)]
mod makespan;
#[cfg(test)]
#[path = "dispatch_tests.rs"]
mod tests;
