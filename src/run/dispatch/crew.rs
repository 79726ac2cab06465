//! The workers that are there, and what follows for all of them together: kept up to date with every
//! change, so that no decision has to look at each.

use std::collections::{BTreeMap, BTreeSet};

use super::worker::Worker;
use super::{ClassIndex, WorkerNumber};
use crate::model::Room;

#[derive(Debug)]
pub struct Crew {
    needs: Vec<Room>,
    workers: BTreeMap<WorkerNumber, Worker>,
    /// Workers that can be given tests and have none, or whose hand changed.
    hungry: BTreeSet<(bool, WorkerNumber)>,
    holders: usize,
    taken: Room,
    peers: Vec<usize>,
    coming: Vec<usize>,
}

impl Crew {
    /// Nobody. `needs`: what a worker of each class may take of the machine.
    pub fn new(needs: Vec<Room>) -> Self {
        Crew {
            workers: BTreeMap::new(),
            hungry: BTreeSet::new(),
            holders: 0,
            taken: Room::default(),
            peers: vec![0; needs.len()],
            coming: vec![0; needs.len()],
            needs,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.workers.is_empty()
    }

    pub fn get(&self, number: WorkerNumber) -> Option<&Worker> {
        self.workers.get(&number)
    }

    pub fn iter(&self) -> impl Iterator<Item = (WorkerNumber, &Worker)> {
        self.workers
            .iter()
            .map(|(number, worker)| (*number, worker))
    }

    pub fn numbers(&self) -> Vec<WorkerNumber> {
        self.workers.keys().copied().collect()
    }

    /// Changes a worker; nothing where it is gone.
    pub fn change<T>(
        &mut self,
        number: WorkerNumber,
        change: impl FnOnce(&mut Worker) -> T,
    ) -> Option<T> {
        let mut worker = self.remove(number)?;
        let result = change(&mut worker);
        self.insert(number, worker);
        Some(result)
    }

    pub fn insert(&mut self, number: WorkerNumber, worker: Worker) {
        let class = worker.class;
        if worker.holds_slot() {
            self.holders += 1;
            self.taken = self.taken + self.needs[class];
        }
        self.peers[class] += usize::from(!worker.closing);
        self.coming[class] += usize::from(worker.is_coming());
        if worker.takes_tests() {
            self.hungry.insert((!worker.in_hand.is_empty(), number));
        }
        self.workers.insert(number, worker);
    }

    pub fn remove(&mut self, number: WorkerNumber) -> Option<Worker> {
        let worker = self.workers.remove(&number)?;
        let class = worker.class;
        if worker.holds_slot() {
            self.holders -= 1;
            self.taken = self.taken.without(self.needs[class]);
        }
        self.peers[class] -= usize::from(!worker.closing);
        self.coming[class] -= usize::from(worker.is_coming());
        for busy in [false, true] {
            self.hungry.remove(&(busy, number));
        }
        Some(worker)
    }

    /// Workers that may want tests, the idle first, so that they get the longest.
    pub fn take_hungry(&mut self) -> Vec<WorkerNumber> {
        let all: Vec<WorkerNumber> = self.hungry.iter().map(|(_, number)| *number).collect();
        // Whoever has nothing is asked again, until it has or is let go.
        self.hungry.retain(|(busy, _)| !busy);
        all
    }

    /// What a worker of a class may take of the machine.
    pub fn need(&self, class: ClassIndex) -> Room {
        self.needs[class]
    }

    /// How many workers hold a slot.
    pub fn holders(&self) -> usize {
        self.holders
    }

    /// What those may take of the machine together.
    pub fn taken(&self) -> Room {
        self.taken
    }

    /// How many workers of a class take tests, or will.
    pub fn peers(&self, class: ClassIndex) -> usize {
        self.peers[class]
    }

    /// How many workers of a class are on their way, each of which will take one test.
    pub fn coming(&self, class: ClassIndex) -> usize {
        self.coming[class]
    }
}
