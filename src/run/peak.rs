//! What workers ask of the kernel's counter of their memory peak, which only the host can reset.

use super::dispatch::WorkerNumber;
use super::machine::Machine;
use crate::engine::PeakCounter;
use crate::protocol::ToWorker;

impl Machine<'_, '_> {
    /// Whether a worker may ask. With one test for each worker nothing follows that would need it.
    pub fn has_peak(&self, number: WorkerNumber) -> bool {
        let worker = self.workers.get(&number);
        !self.request.policy.fresh && worker.is_some_and(|worker| worker.peak.is_some())
    }

    /// Reads and resets a worker's counter. It waits for the answer, which is sent at once.
    pub fn take_peak(&mut self, number: WorkerNumber, seq: u64) {
        let Some(worker) = self.workers.get_mut(&number) else {
            return;
        };
        let taken = worker.peak.as_mut().and_then(PeakCounter::take);
        if taken.is_none() {
            worker.peak = None;
        }
        worker.stdin.tell(&ToWorker::Peak {
            seq,
            bytes: taken.and_then(|taken| taken.bytes),
            from: taken.map(|taken| taken.from),
        });
        worker.stdin.post();
    }
}
