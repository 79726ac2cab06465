//! Which worker does what next: pure decisions, no I/O.
//!
//! Tests of one class (a profile and an image) share workers, because a worker has the limits of
//! its profile. A fixed number of slots holds workers; a slot whose class has run dry starts a
//! worker for another. When a worker is lost, the first test that it did not report is the
//! suspect: it runs again, alone in a fresh worker; the others go back to the queue.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::model::{CrashCause, LostCause, NotRunCause, Outcome};

/// A test's place in the plan.
pub type TestIndex = usize;
/// A class's number.
pub type ClassIndex = usize;
/// A worker's number in the run, from 1.
pub type WorkerNumber = u64;

/// How much work a worker should have in hand, so that no round trip is waited for.
const IN_HAND: Duration = Duration::from_millis(60);
/// The most tests in hand.
const MOST_IN_HAND: usize = 128;
/// How many tests of a queue are concluded in one go.
const CONCLUSIONS: usize = 256;
/// How often the engine may lose a test before that is its last word.
const ENGINE_TRIES: u32 = 3;
/// How many workers in a row may fail to start before the run gives up.
const START_TRIES: u32 = 3;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start a worker for this class.
    Start(WorkerNumber, ClassIndex),
    /// Send it this test under this number.
    Send(WorkerNumber, TestIndex, u64),
    /// Ask it for the tests that it has not started.
    GiveBack(WorkerNumber),
    /// Let it finish what it has, and end.
    Finish(WorkerNumber),
    /// End its running test, with grace.
    Interrupt(WorkerNumber),
    /// Kill its running test, and it.
    Kill(WorkerNumber),
    /// This is a test's last word without a report; with the worker that had it and its number there.
    Conclude(TestIndex, Outcome, Option<(WorkerNumber, u64)>),
    /// This attempt has no result; another follows.
    Retry(TestIndex, LostCause, (WorkerNumber, u64)),
}

/// How workers are used.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Workers at most at once.
    pub slots: usize,
    /// A worker runs one test and is then replaced.
    pub fresh: bool,
    /// Stop at the first test that is not good.
    pub fail_fast: bool,
}

#[derive(Debug)]
struct Worker {
    class: ClassIndex,
    /// It said hello.
    ready: bool,
    /// It was told to finish, or is being ended.
    closing: bool,
    /// It was asked for its tests back and has not answered.
    asked: bool,
    /// Runs one test only: fresh workers, and suspects.
    alone: Option<TestIndex>,
    in_hand: VecDeque<(u64, TestIndex)>,
    next_seq: u64,
    tests: u64,
    busy: Duration,
}

/// Why no further test is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    FailFast,
    Interrupted,
    NoWorker,
}

/// The state of a run.
#[derive(Debug)]
pub struct Dispatcher {
    policy: Policy,
    class_of: Vec<ClassIndex>,
    queues: Vec<VecDeque<TestIndex>>,
    suspects: VecDeque<TestIndex>,
    workers: BTreeMap<WorkerNumber, Worker>,
    lost_by_worker: BTreeMap<TestIndex, u32>,
    lost_by_engine: BTreeMap<TestIndex, u32>,
    last_worker: WorkerNumber,
    failed_starts: u32,
    open: usize,
    stop: Option<Stop>,
}

impl Dispatcher {
    /// A run of the tests whose classes these are, in order. Classes are numbered from 0.
    pub fn new(policy: Policy, class_of: Vec<ClassIndex>) -> Self {
        let classes = class_of.iter().max().map_or(0, |last| last + 1);
        let mut queues = vec![VecDeque::new(); classes];
        for (test, class) in class_of.iter().enumerate() {
            queues[*class].push_back(test);
        }
        Dispatcher {
            policy,
            open: class_of.len(),
            class_of,
            queues,
            suspects: VecDeque::new(),
            workers: BTreeMap::new(),
            lost_by_worker: BTreeMap::new(),
            lost_by_engine: BTreeMap::new(),
            last_worker: 0,
            failed_starts: 0,
            stop: None,
        }
    }

    /// Whether every test has its last word and no worker is left.
    pub fn is_done(&self) -> bool {
        self.open == 0 && self.workers.is_empty()
    }

    /// Whether no worker could be started at all.
    pub fn gave_up(&self) -> bool {
        self.stop == Some(Stop::NoWorker)
    }

    /// The test that a worker is running, as far as is known, with its number.
    pub fn running(&self, worker: WorkerNumber) -> Option<(u64, TestIndex)> {
        self.workers.get(&worker)?.in_hand.front().copied()
    }

    /// How many tests a worker has reported.
    pub fn reported(&self, worker: WorkerNumber) -> u64 {
        self.workers.get(&worker).map_or(0, |worker| worker.tests)
    }

    /// What is to be done now. Call it after every change until it returns nothing.
    pub fn next_actions(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        if let Some(stop) = self.stop {
            self.conclude_queued(stop, &mut actions);
            self.wind_down(&mut actions);
            return actions;
        }
        let ready: Vec<WorkerNumber> = self
            .workers
            .iter()
            .filter(|(_, w)| w.ready && !w.closing)
            .map(|(n, _)| *n)
            .collect();
        for number in ready {
            self.feed(number, &mut actions);
        }
        while self.workers.values().filter(|w| w.holds_slot()).count() < self.policy.slots {
            let Some(action) = self.start() else { break };
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
        for queue in &mut self.queues {
            // Not all at once: a conclusion is larger than a test's number.
            left.extend(queue.drain(..queue.len().min(CONCLUSIONS)));
        }
        for worker in self.workers.values_mut() {
            // Not sent yet.
            left.extend(
                worker
                    .alone
                    .take_if(|_| worker.in_hand.is_empty() && worker.tests == 0),
            );
        }
        left.sort_unstable();
        self.open -= left.len();
        actions.extend(
            left.into_iter()
                .map(|test| Action::Conclude(test, Outcome::NotRun(cause), None)),
        );
    }

    /// Gives a ready worker what it should have in hand, or lets it go.
    fn feed(&mut self, number: WorkerNumber, actions: &mut Vec<Action>) {
        let Some(worker) = self.workers.get(&number) else {
            return;
        };
        let class = worker.class;
        let peers = self
            .workers
            .values()
            .filter(|w| w.class == class && !w.closing)
            .count();
        let Some(worker) = self.workers.get_mut(&number) else {
            return;
        };
        if let Some(test) = worker.alone {
            if worker.tests == 0 && worker.in_hand.is_empty() {
                actions.push(worker.hand(number, test));
                worker.closing = true;
                actions.push(Action::Finish(number));
            }
            return;
        }
        let queue = &mut self.queues[class];
        while worker.in_hand.len() < worker.appetite(queue.len(), peers) {
            let Some(test) = queue.pop_front() else { break };
            actions.push(worker.hand(number, test));
        }
        if !worker.in_hand.is_empty() || !queue.is_empty() {
            return;
        }
        // Idle, and nothing queued: a busy peer may have tests behind a long one.
        let peer = self
            .workers
            .iter_mut()
            .filter(|(_, w)| w.class == class && !w.closing && w.in_hand.len() > 1)
            .max_by_key(|(_, w)| w.in_hand.len());
        match peer {
            Some((_, peer)) if peer.asked => {}
            Some((peer_number, peer)) => {
                peer.asked = true;
                actions.push(Action::GiveBack(*peer_number));
            }
            None => {
                if let Some(worker) = self.workers.get_mut(&number) {
                    worker.closing = true;
                    actions.push(Action::Finish(number));
                }
            }
        }
    }

    /// A worker for an empty slot, if there is work for one.
    fn start(&mut self) -> Option<Action> {
        let (class, alone) = match self.suspects.pop_front() {
            Some(test) => (self.class_of[test], Some(test)),
            None => {
                let class = (0..self.queues.len()).find(|class| {
                    // Workers on their way will take one test each.
                    let coming = self.workers.values();
                    let coming =
                        coming.filter(|w| w.class == *class && !w.ready && w.alone.is_none());
                    self.queues[*class].len() > coming.count()
                })?;
                let alone = if self.policy.fresh {
                    self.queues[class].pop_front()
                } else {
                    None
                };
                (class, alone)
            }
        };
        self.last_worker += 1;
        self.workers.insert(
            self.last_worker,
            Worker {
                class,
                ready: false,
                closing: false,
                asked: false,
                alone,
                in_hand: VecDeque::new(),
                next_seq: 1,
                tests: 0,
                busy: Duration::ZERO,
            },
        );
        Some(Action::Start(self.last_worker, class))
    }

    /// A worker said hello.
    pub fn on_ready(&mut self, number: WorkerNumber) {
        self.failed_starts = 0;
        if let Some(worker) = self.workers.get_mut(&number) {
            worker.ready = true;
        }
    }

    /// A worker reported this number. Returns the test; `None` for a number that it does not have
    /// in hand, such as a report that came twice.
    pub fn on_report(
        &mut self,
        number: WorkerNumber,
        seq: u64,
        took: Duration,
    ) -> Option<TestIndex> {
        let worker = self.workers.get_mut(&number)?;
        let at = worker.in_hand.iter().position(|(s, _)| *s == seq)?;
        let (_, test) = worker.in_hand.remove(at)?;
        worker.tests += 1;
        worker.busy += took;
        self.open -= 1;
        Some(test)
    }

    /// Somebody else told a worker to stop, and it ended this test: it runs again.
    pub fn on_stopped(&mut self, number: WorkerNumber, seq: u64) -> Option<Action> {
        let worker = self.workers.get_mut(&number)?;
        let at = worker.in_hand.iter().position(|(s, _)| *s == seq)?;
        let (_, test) = worker.in_hand.remove(at)?;
        worker.tests += 1;
        // It takes no further test.
        worker.closing = true;
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
        for (number, worker) in self
            .workers
            .iter_mut()
            .filter(|(_, w)| w.ready && !w.closing)
        {
            worker.closing = true;
            actions.extend([Action::GiveBack(*number), Action::Finish(*number)]);
        }
    }

    /// A worker handed these back.
    pub fn on_returned(&mut self, number: WorkerNumber, seqs: &[u64]) {
        let Some(worker) = self.workers.get_mut(&number) else {
            return;
        };
        worker.asked = false;
        let class = worker.class;
        let (back, kept) = std::mem::take(&mut worker.in_hand)
            .into_iter()
            .partition(|(seq, _)| seqs.contains(seq));
        worker.in_hand = kept;
        let back: VecDeque<_> = back;
        for (_, test) in back.into_iter().rev() {
            self.queues[class].push_front(test);
        }
    }

    /// A worker is gone. `lost`: it did not say goodbye, and this is why. `started`: it had said
    /// hello.
    pub fn on_gone(
        &mut self,
        number: WorkerNumber,
        lost: Option<LostCause>,
        started: bool,
    ) -> Vec<Action> {
        let Some(worker) = self.workers.remove(&number) else {
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
        for (_, test) in back.into_iter().rev() {
            self.queues[worker.class].push_front(test);
        }
        if let Some(test) = alone_again {
            if self.policy.fresh && !self.lost_by_worker.contains_key(&test) {
                self.queues[worker.class].push_front(test);
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
        for (number, worker) in &mut self.workers {
            worker.closing = true;
            actions.push(if hard || !worker.ready {
                Action::Kill(*number)
            } else {
                Action::Interrupt(*number)
            });
        }
        actions
    }
}

impl Worker {
    /// A worker that was told to finish keeps its slot until it has reported what it has in hand.
    fn holds_slot(&self) -> bool {
        !self.closing || !self.in_hand.is_empty()
    }

    fn hand(&mut self, number: WorkerNumber, test: TestIndex) -> Action {
        let seq = self.next_seq;
        self.next_seq += 1;
        self.in_hand.push_back((seq, test));
        Action::Send(number, test, seq)
    }

    /// How many tests it should have in hand, with so many queued for so many workers: enough for
    /// [`IN_HAND`], yet never so many that others run out of work.
    fn appetite(&self, queued: usize, peers: usize) -> usize {
        if self.asked || self.tests == 0 {
            return 1;
        }
        let average = self.busy / u32::try_from(self.tests).unwrap_or(u32::MAX);
        let by_time = IN_HAND.as_nanos().div_ceil(average.as_nanos().max(1)) as usize;
        let fair = (queued + self.in_hand.len()) / (2 * peers.max(1));
        by_time.clamp(2, MOST_IN_HAND).min(fair).max(1)
    }
}

#[cfg(test)]
#[path = "dispatch_tests.rs"]
mod tests;
