//! What the dispatcher knows of a worker.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Action, ClassIndex, TestIndex, WorkerNumber};

/// How much work a worker should have in hand, so that no round trip is waited for.
const IN_HAND: Duration = Duration::from_millis(60);
/// The most tests in hand.
const MOST_IN_HAND: usize = 128;

#[derive(Debug)]
pub struct Worker {
    pub class: ClassIndex,
    /// It said hello.
    pub ready: bool,
    /// Its number before, while it is being resized.
    pub was: Option<WorkerNumber>,
    /// It was told to finish, or is being ended.
    pub closing: bool,
    /// It takes no further test, of no class.
    pub leaving: bool,
    /// It was asked for its tests back and has not answered.
    pub asked: bool,
    /// Runs one test only: fresh workers, and suspects.
    pub alone: Option<TestIndex>,
    pub in_hand: VecDeque<(u64, TestIndex)>,
    next_seq: u64,
    pub tests: u64,
    pub busy: Duration,
}

impl Worker {
    pub fn new(class: ClassIndex, alone: Option<TestIndex>) -> Self {
        Worker {
            class,
            ready: false,
            was: None,
            closing: false,
            leaving: false,
            asked: false,
            alone,
            in_hand: VecDeque::new(),
            next_seq: 1,
            tests: 0,
            busy: Duration::ZERO,
        }
    }

    /// An idle worker of this number, on its way to another class. The numbers of its tests go on.
    pub fn resized(class: ClassIndex, from: WorkerNumber, old: &Worker) -> Self {
        Worker {
            was: Some(from),
            next_seq: old.next_seq,
            ..Worker::new(class, None)
        }
    }

    /// A worker that was told to finish keeps its slot until it has reported what it has in hand.
    pub fn holds_slot(&self) -> bool {
        !self.closing || !self.in_hand.is_empty()
    }

    /// It is on its way to take whichever test is next.
    pub fn is_coming(&self) -> bool {
        !self.ready && !self.closing && self.alone.is_none()
    }

    /// It can be given tests.
    pub fn takes_tests(&self) -> bool {
        self.ready && !self.closing
    }

    pub fn hand(&mut self, number: WorkerNumber, test: TestIndex) -> Action {
        let seq = self.next_seq;
        self.next_seq += 1;
        self.in_hand.push_back((seq, test));
        Action::Send(number, test, seq)
    }

    /// Takes a number out of its hand.
    pub fn take(&mut self, seq: u64) -> Option<TestIndex> {
        let at = self.in_hand.iter().position(|(own, _)| *own == seq)?;
        let (_, test) = self.in_hand.remove(at)?;
        Some(test)
    }

    /// Whether it should have one more test in hand, with so many queued for so many workers. Never
    /// so many that others run out of work, and never one behind a long one that somebody else could
    /// begin first. `ahead`: how long what it has in hand probably takes, where that is known, and
    /// `rest`: each worker's share of what is queued.
    pub fn wants_more(
        &self,
        ahead: Option<Duration>,
        rest: Duration,
        queued: usize,
        peers: usize,
    ) -> bool {
        let held = self.in_hand.len();
        if held == 0 {
            return true;
        }
        let fair = (queued + held) / (2 * peers.max(1));
        if self.asked || self.tests == 0 || held >= fair.min(MOST_IN_HAND) {
            return false;
        }
        match ahead {
            Some(ahead) => ahead < IN_HAND.min(rest / 8),
            None => {
                let average = self.busy / u32::try_from(self.tests).unwrap_or(u32::MAX);
                let by_time = IN_HAND.as_nanos().div_ceil(average.as_nanos().max(1)) as usize;
                held < by_time.max(2)
            }
        }
    }
}
