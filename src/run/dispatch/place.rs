//! Who gets a free place.
//!
//! An idle worker whose place is needed by another class is given that class's limits, where its
//! container can have them, instead of being replaced. It goes on under a new number, so that each
//! number stands for one set of limits.

use super::worker::Worker;
use super::{Action, ClassIndex, Dispatcher, TestIndex, WorkerNumber};

impl Dispatcher {
    /// Whether there is a place for a worker of a class.
    fn admits(&self, class: ClassIndex) -> bool {
        let holders = self.workers.holders();
        let taken = self.workers.taken() + self.workers.need(class);
        holders < self.policy.slots && (holders == 0 || self.room.holds(taken))
    }

    /// The suspect that a free place is for.
    fn next_suspect(&self) -> Option<TestIndex> {
        let suspect = self.suspects.front().copied();
        suspect.filter(|test| self.admits(self.queues.class_of(*test)))
    }

    /// The class that a free place is for: of equals the first.
    fn neediest(&self) -> Option<ClassIndex> {
        let heads = (0..self.queues.classes())
            .filter(|class| self.admits(*class))
            .filter_map(|class| {
                let coming = self.workers.coming(class);
                Some((self.queues.head(class, coming)?, class))
            });
        let (_, class) = heads.rev().max_by_key(|(head, _)| *head)?;
        Some(class)
    }

    /// A worker for a free place, if there is work for one.
    pub(super) fn start(&mut self) -> Option<Action> {
        if self.policy.dial_in || self.workers.holders() >= self.policy.slots {
            return None;
        }
        let (class, alone) = if let Some(test) = self.next_suspect() {
            self.suspects.pop_front();
            (self.queues.class_of(test), Some(test))
        } else {
            let class = self.neediest()?;
            let alone = if self.policy.fresh {
                self.queues.pop(class)
            } else {
                None
            };
            (class, alone)
        };
        self.last_worker += 1;
        self.workers
            .insert(self.last_worker, Worker::new(class, alone));
        Some(Action::Start(self.last_worker, class))
    }

    /// Ends an idle worker, whose place is free from now on, or resizes it for the class that gets
    /// the place.
    pub(super) fn give_place(&mut self, number: WorkerNumber, actions: &mut Vec<Action>) {
        if self.policy.dial_in {
            return self.release(number);
        }
        self.workers.change(number, |worker| worker.closing = true);
        let next = self.resized(number);
        actions.push(next.unwrap_or(Action::Finish(number)));
    }

    fn resized(&mut self, from: WorkerNumber) -> Option<Action> {
        // A suspect, like every test of a run with fresh workers, gets a container of its own.
        if !self.resizes || self.policy.fresh || self.next_suspect().is_some() {
            return None;
        }
        let class = self.neediest()?;
        let old = self.workers.get(from)?;
        if self.shapes[old.class] != self.shapes[class] {
            return None;
        }
        let worker = Worker::resized(class, from, old);
        self.workers.remove(from);
        self.last_worker += 1;
        self.workers.insert(self.last_worker, worker);
        Some(Action::Resize(from, self.last_worker, class))
    }

    /// A worker did not get its new limits, or not all of them: it ends under its old number, and
    /// another is started. No other is resized in this run.
    pub fn on_not_resized(&mut self, number: WorkerNumber) -> Vec<Action> {
        self.resizes = false;
        let from = self.workers.get(number).and_then(|worker| worker.was);
        let Some((from, mut worker)) = from.zip(self.workers.remove(number)) else {
            return Vec::new();
        };
        worker.closing = true;
        self.workers.insert(from, worker);
        vec![Action::Finish(from)]
    }
}
