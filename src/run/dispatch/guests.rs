//! Workers that dial in. Nobody here starts or replaces them, and their limits are what they are: each
//! is given to one class after another, of those whose limits its own do not exceed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::worker::Worker;
use super::{Action, ClassIndex, Dispatcher, Fed, TestIndex, WorkerNumber};

/// How a guest's limits compare with those of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// They are wider, or it is another image: no test of the class runs there.
    No,
    /// They are narrower in what decides about a test: its tests run there where no other guest fits.
    Tight,
    /// They are the class's own.
    Good,
}

/// The workers that dialled in and said hello.
#[derive(Debug, Default)]
pub struct Guests {
    /// For each class, how well a guest fits.
    fits: BTreeMap<WorkerNumber, Vec<Fit>>,
    /// Those that have no class at the moment.
    pub idle: BTreeSet<WorkerNumber>,
}

impl Guests {
    /// Whether a worker may be moved to a class. One that was started for a class may be replaced by
    /// one for any other.
    pub fn may_run(&self, number: WorkerNumber, class: ClassIndex) -> bool {
        let Some(fits) = self.fits.get(&number) else {
            return true;
        };
        match fits[class] {
            Fit::Good => true,
            Fit::Tight => self.fits.values().all(|other| other[class] != Fit::Good),
            Fit::No => false,
        }
    }

    pub fn remove(&mut self, number: WorkerNumber) {
        self.fits.remove(&number);
        self.idle.remove(&number);
    }

    fn idle_for(&self, class: ClassIndex) -> Option<WorkerNumber> {
        let mut idle = self.idle.iter().copied();
        idle.find(|number| self.may_run(*number, class))
    }
}

impl Dispatcher {
    /// A number for a worker that dials in; none where it comes too late.
    pub fn admit(&mut self) -> Option<WorkerNumber> {
        let is_open = self.policy.dial_in && self.stop.is_none() && self.open > 0;
        is_open.then(|| {
            self.last_worker += 1;
            self.last_worker
        })
    }

    /// A worker that dialled in said hello; for each class, how well it fits.
    pub fn on_joined(&mut self, number: WorkerNumber, fits: Vec<Fit>) {
        self.guests.fits.insert(number, fits);
        self.guests.idle.insert(number);
    }

    /// A guest fits other classes than was said before.
    pub fn on_other_fits(&mut self, number: WorkerNumber, fits: Vec<Fit>) {
        if let Some(known) = self.guests.fits.get_mut(&number) {
            *known = fits;
        }
    }

    /// Whether a worker takes no further test and has none in hand: all that it can still say is
    /// goodbye.
    pub fn is_leaving(&self, number: WorkerNumber) -> bool {
        let is_leaving = |worker: &Worker| worker.leaving && worker.in_hand.is_empty();
        self.workers.get(number).is_some_and(is_leaving)
    }

    /// How many tests have no last word yet.
    pub fn open(&self) -> usize {
        self.open
    }

    /// Whether tests are left and no worker that dialled in may run any of them.
    pub fn waits_for_guests(&self) -> bool {
        self.policy.dial_in && self.open > 0 && self.workers.is_empty()
    }

    /// Gives idle guests what they may run, the longest tests first.
    pub(super) fn assign(&mut self, actions: &mut Vec<Action>) {
        while let Some((number, class, alone)) = self.next_assignment() {
            self.guests.idle.remove(&number);
            let mut worker = Worker::new(class, alone);
            worker.ready = true;
            self.workers.insert(number, worker);
            actions.push(Action::Assign(number, class));
            if self.feed(number, actions) == Fed::Dry {
                self.release(number);
            }
        }
        if self.open == 0 {
            self.dismiss(actions);
        }
    }

    fn next_assignment(&mut self) -> Option<(WorkerNumber, ClassIndex, Option<TestIndex>)> {
        let place = |test: &TestIndex| self.guests.idle_for(self.queues.class_of(*test));
        let suspect = self.suspects.iter().position(|test| place(test).is_some());
        if let Some(test) = suspect.and_then(|at| self.suspects.remove(at)) {
            let class = self.queues.class_of(test);
            return Some((self.guests.idle_for(class)?, class, Some(test)));
        }
        let heads = (0..self.queues.classes()).filter_map(|class| {
            let head: Duration = self.queues.head(class, 0)?;
            Some((head, class, self.guests.idle_for(class)?))
        });
        // Of equals the first.
        let (_, class, number) = heads.rev().max_by_key(|(head, ..)| *head)?;
        Some((number, class, None))
    }

    /// A guest has nothing more to do in its class, once what it has in hand is done.
    pub(super) fn release(&mut self, number: WorkerNumber) {
        self.workers.change(number, |worker| worker.closing = true);
        self.park(number);
    }

    /// Takes a guest out of its class, if it was released and has nothing in hand.
    pub(super) fn park(&mut self, number: WorkerNumber) {
        let is_done =
            |worker: &Worker| worker.closing && !worker.leaving && worker.in_hand.is_empty();
        if self.policy.dial_in && self.workers.get(number).is_some_and(is_done) {
            self.workers.remove(number);
            self.guests.idle.insert(number);
        }
    }

    /// Lets idle guests go.
    pub(super) fn dismiss(&mut self, actions: &mut Vec<Action>) {
        for number in std::mem::take(&mut self.guests.idle) {
            let mut worker = Worker::new(0, None);
            worker.ready = true;
            worker.closing = true;
            worker.leaving = true;
            self.workers.insert(number, worker);
            actions.push(Action::Finish(number));
        }
    }
}
