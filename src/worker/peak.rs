//! What the launcher's hold on the kernel's peak counter adds to the worker's own reading of it. Pure.
//!
//! The counter belongs to the worker: after a large test it says nothing of smaller ones. The launcher
//! can let it start anew. With cgroup version 1 it then does so for everybody, with version 2 for the
//! launcher's own descriptor alone, so that only the launcher can say what came after. Nothing here
//! needs to know which: where our own reading leaves a peak uncertain, the launcher is asked.

use crate::model::{Resources, Source};

/// How far the counter must be above a test's start to be worth a round trip to the launcher, in bytes.
const WORTH: u64 = 4 << 20;

/// The launcher's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The highest memory since its counter last started anew, in bytes.
    pub bytes: Option<u64>,
    /// Where it starts anew now, in bytes.
    pub from: Option<u64>,
}

/// What came of a test's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Nobody asked.
    No,
    /// The launcher answered.
    Answered(Taken),
    /// It did not in time; this was the job's number.
    Silent(u64),
}

/// What is known of the counter between two tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nobody has reset it.
    Untouched,
    /// The launcher's counts from `from` bytes on, since an earlier test's end; `alone` says that no
    /// test has run since.
    Counting { from: u64, alone: bool },
    /// An ask is not answered: it may be reset at any moment.
    Owed(u64),
    /// The launcher cannot reset it, or not in time, and is not asked again.
    GivenUp,
}

/// The hold that the launcher has on the counter, as far as this worker knows.
#[derive(Clone, Debug)]
pub struct Hold {
    state: State,
    /// What the container's start left in the counter, in bytes: no test's doing.
    start_up: u64,
    /// The counter may be reset while this test runs, so that it says nothing of it.
    void: bool,
}

impl Hold {
    /// Before the first test, with what the counter says then.
    pub fn new(start_up: Option<u64>) -> Self {
        Hold {
            state: State::Untouched,
            start_up: start_up.unwrap_or(0),
            void: false,
        }
    }

    /// A test begins; `answered` says whether the answer to the ask of this number has come at last.
    pub fn begin(&mut self, answered: impl FnOnce(u64) -> bool) {
        self.void = match self.state {
            State::Owed(seq) if answered(seq) => {
                self.state = State::GivenUp;
                false
            }
            State::Owed(_) => true,
            _ => false,
        };
    }

    /// Whether the launcher is to be asked after a test that used this.
    pub fn wants(&self, used: &Resources) -> bool {
        let Some(top) = top(used) else { return false };
        let start = used.memory_start_bytes.unwrap_or(0);
        match self.state {
            State::Untouched => is_exact(used) && top > start.max(self.start_up) + WORTH,
            State::Counting { .. } => top > start + WORTH,
            State::Owed(_) | State::GivenUp => false,
        }
    }

    /// Corrects what the worker's own reading says of a test, and remembers what holds for the next.
    pub fn settle(&mut self, used: &mut Resources, asked: Asked) {
        if self.void {
            if is_exact(used) {
                used.memory_peak_bytes = None;
                used.memory_peak_source = None;
            }
            used.memory_peak_bound_bytes = None;
            return;
        }
        match (asked, self.state) {
            (Asked::Silent(seq), _) => self.state = State::Owed(seq),
            (Asked::No, State::Counting { from, .. }) => {
                self.state = State::Counting { from, alone: false };
            }
            (Asked::No, _) => {}
            (Asked::Answered(taken), state) => {
                if let (State::Counting { from, alone }, Some(bytes)) = (state, taken.bytes)
                    && !is_exact(used)
                {
                    narrow(used, bytes, alone && bytes > from);
                }
                self.state = match taken.from {
                    Some(from) => State::Counting { from, alone: true },
                    None => State::GivenUp,
                };
            }
        }
    }
}

/// What the worker's own counter says at a test's end.
fn top(used: &Resources) -> Option<u64> {
    match used.memory_peak_source {
        Some(Source::Cgroup) => used.memory_peak_bytes,
        _ => used.memory_peak_bound_bytes,
    }
}

fn is_exact(used: &Resources) -> bool {
    used.memory_peak_source == Some(Source::Cgroup)
}

/// Takes in what the launcher's counter says: the peak, or no more than a closer bound.
fn narrow(used: &mut Resources, bytes: u64, exact: bool) {
    if exact {
        used.memory_peak_bytes = Some(bytes);
        used.memory_peak_source = Some(Source::Cgroup);
        used.memory_peak_bound_bytes = None;
    } else {
        let bound = used
            .memory_peak_bound_bytes
            .map_or(bytes, |bound| bound.min(bytes));
        used.memory_peak_bound_bytes = Some(bound);
    }
}

#[cfg(test)]
mod tests;
