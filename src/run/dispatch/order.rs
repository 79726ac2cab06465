//! What the dispatcher is told at first, and what it orders then.

use std::time::Duration;

use super::{ClassIndex, TestIndex, WorkerNumber};
use crate::model::{LostCause, Outcome, Room};

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start a worker for this class.
    Start(WorkerNumber, ClassIndex),
    /// Give an idle worker the limits of this class; from now on it has the second number.
    Resize(WorkerNumber, WorkerNumber, ClassIndex),
    /// A worker that dialled in runs tests of this class from now on.
    Assign(WorkerNumber, ClassIndex),
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
    /// Workers dial in; none is started.
    pub dial_in: bool,
}

/// What there is to do, and what it takes.
#[derive(Clone, Debug)]
pub struct Work {
    /// Each test's class, in the order of the plan. Classes are numbered from 0.
    pub class_of: Vec<ClassIndex>,
    /// How long each test probably takes; empty where nothing is known of any.
    pub expected: Vec<Duration>,
    /// What a worker of each class may take of the machine.
    pub needs: Vec<Room>,
    /// Each class's shape: those of one number have containers that differ in size alone. Empty:
    /// nothing is resized.
    pub shapes: Vec<ClassIndex>,
    /// What all workers together may take. One worker may always run.
    pub room: Room,
}
