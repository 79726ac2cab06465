//! An idle worker whose place is needed by another class is given that class's limits, where its
//! container can have them, instead of being replaced. It goes on under a new number, so that each
//! number stands for one set of limits.

use super::worker::Worker;
use super::{Action, Dispatcher, WorkerNumber};

impl Dispatcher {
    /// Ends an idle worker, whose place is free from now on, or resizes it for the class that gets
    /// the place.
    pub(super) fn give_place(&mut self, number: WorkerNumber, actions: &mut Vec<Action>) {
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
