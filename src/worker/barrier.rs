//! The one wait between two tests: for the launcher's reading and reset of the kernel's peak counter,
//! and only after a test that raised it a lot.

use std::time::{Duration, Instant};

use super::link::{Halt, Link};
use super::peak::Asked;
use super::process::{Reach, reap};
use super::supervise::Supervisor;
use crate::model::Resources;
use crate::protocol::{FromWorker, Job};

/// How long the launcher may take, which needs a few microseconds where it has nothing else to do.
const PATIENCE: Duration = Duration::from_secs(1);

impl Supervisor {
    /// Asks the launcher for the peak of the test of `job` where our own reading does not tell it, or
    /// would not tell the next one's.
    ///
    /// # Errors
    /// A message is not understood, or `poll` fails.
    pub(super) fn settle_peak(
        &mut self,
        job: &Job,
        used: &mut Resources,
        link: &mut Link,
    ) -> Result<(), String> {
        let asked = if job.resets_peak && self.peak.wants(used) {
            self.ask(job.seq, link)?
        } else {
            Asked::No
        };
        self.peak.settle(used, asked);
        Ok(())
    }

    /// Waits for the answer, unless the launcher wants an end or is gone.
    fn ask(&mut self, seq: u64, link: &mut Link) -> Result<Asked, String> {
        link.send_ahead(&FromWorker::TakePeak { seq });
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(taken) = link.taken(seq) {
                return Ok(Asked::Answered(taken));
            }
            if link.halt().is_some() || Instant::now() >= deadline {
                return Ok(Asked::Silent(seq));
            }
            self.wait(link, &[None, None], Some(deadline))?;
            if self.signals.hear(self.view.reach == Reach::Namespace).stop {
                link.stop(Halt::Interrupt);
            }
            while reap().is_some() {}
            // A full pipe must not keep us: no `flush`, which waits for room.
            if link.output(Instant::now()).is_some() {
                link.write();
            }
        }
    }
}
