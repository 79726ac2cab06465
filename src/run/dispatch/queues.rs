//! The tests that nobody has in hand, longest first.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

use super::{ClassIndex, TestIndex};

/// The queues of all classes. Tests that probably take as long as each other, and all of them where
/// nothing is known, keep the order of the plan; what comes back gets its old place.
#[derive(Debug)]
pub struct Queues {
    class_of: Vec<ClassIndex>,
    expected: Vec<Duration>,
    queues: Vec<BTreeSet<(Reverse<Duration>, TestIndex)>>,
    /// How long what is queued probably takes, one after another.
    work: Duration,
}

impl Queues {
    /// Every test, in its class's queue. `expected` has one entry for each test, or none at all.
    pub fn new(class_of: Vec<ClassIndex>, expected: Vec<Duration>) -> Self {
        let classes = class_of.iter().max().map_or(0, |last| last + 1);
        let mut queues = Queues {
            queues: vec![BTreeSet::new(); classes],
            class_of,
            expected,
            work: Duration::ZERO,
        };
        for test in 0..queues.class_of.len() {
            queues.put_back(test);
        }
        queues
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        self.queues.len()
    }

    /// A test's class.
    pub fn class_of(&self, test: TestIndex) -> ClassIndex {
        self.class_of[test]
    }

    /// How long a test probably takes; `None` where nothing is known of any.
    pub fn expected(&self, test: TestIndex) -> Option<Duration> {
        self.expected.get(test).copied()
    }

    /// How many tests of a class are queued.
    pub fn len(&self, class: ClassIndex) -> usize {
        self.queues[class].len()
    }

    /// How long what is queued probably takes, one after another.
    pub fn work(&self) -> Duration {
        self.work
    }

    /// How long the longest test of a class probably takes, the `skipped` longest left out.
    pub fn head(&self, class: ClassIndex, skipped: usize) -> Option<Duration> {
        let (Reverse(expected), _) = self.queues[class].iter().nth(skipped)?;
        Some(*expected)
    }

    /// Takes the longest test of a class.
    pub fn pop(&mut self, class: ClassIndex) -> Option<TestIndex> {
        let (Reverse(expected), test) = self.queues[class].pop_first()?;
        self.work = self.work.saturating_sub(expected);
        Some(test)
    }

    /// Puts a test where it belongs.
    pub fn put_back(&mut self, test: TestIndex) {
        let expected = self.expected(test).unwrap_or_default();
        self.queues[self.class_of[test]].insert((Reverse(expected), test));
        self.work = self.work.saturating_add(expected);
    }
}
