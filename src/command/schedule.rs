//! What `run` and `plan` decide alike: how long the tests take, their order, and the workers.

use std::sync::Arc;
use std::time::Duration;

use super::Failure;
use super::shard::Part;
use crate::config::{Config, Order, Workers};
use crate::host::Machine;
use crate::model::{Room, Test};
use crate::plan::{Capacity, Estimate, History, capacity, longest_first, shuffle};
use crate::run::Class;
use crate::store::Reader;

/// What the project's record says of how long its tests take.
///
/// # Errors
/// The record cannot be read.
pub fn history(config: &Config) -> Result<History, Failure> {
    let past = match Reader::open(&config.results_path())? {
        Some(reader) => reader.durations()?,
        None => Vec::new(),
    };
    Ok(History::new(past))
}

/// The tests in their order, and how long each probably takes.
pub fn in_order(
    tests: Arc<Vec<Test>>,
    history: &History,
    order: Order,
) -> (Arc<Vec<Test>>, Vec<Estimate>) {
    let mut estimates = history.estimate(&tests);
    if estimates.is_empty() || order == Order::Plan {
        return (tests, estimates);
    }
    let mut tests = Arc::unwrap_or_clone(tests);
    longest_first(&mut tests, &mut estimates);
    (Arc::new(tests), estimates)
}

/// The tests as they are handed out.
pub struct Ordered {
    /// The tests.
    pub tests: Arc<Vec<Test>>,
    /// How long each probably takes; empty where that is unknown, or decides nothing.
    pub expected: Vec<Duration>,
    /// The order's seed, where it is one of chance.
    pub seed: Option<u32>,
}

/// The order of a part of a suite: of chance where that was asked for, with a seed from the run's
/// name where none was.
pub fn ordered(part: &Part, order: Order, asked: Option<Option<u32>>, run: &str) -> Ordered {
    let Some(asked) = asked else {
        return Ordered {
            tests: Arc::clone(&part.tests),
            expected: match order {
                Order::Longest => times(&part.estimates),
                Order::Plan => Vec::new(),
            },
            seed: None,
        };
    };
    let chance = || u64::from_str_radix(run, 16).map_or(0, |number| number as u32);
    let seed = asked.unwrap_or_else(chance);
    let mut tests = part.tests.to_vec();
    shuffle(&mut tests, seed);
    Ordered {
        tests: Arc::new(tests),
        expected: Vec::new(),
        seed: Some(seed),
    }
}

/// What to say of an order of chance.
pub fn seed_note(seed: u32) -> String {
    format!("the order is one of chance; --shuffle={seed} gives it again")
}

/// The times alone.
pub fn times(estimates: &[Estimate]) -> Vec<Duration> {
    estimates.iter().map(|estimate| estimate.time).collect()
}

/// How many workers at once.
pub fn workers(asked: Workers, machine: &Machine, classes: &[Class], tests: usize) -> Capacity {
    let needs: Vec<Room> = classes.iter().map(|class| Room::of(&class.given)).collect();
    capacity_of(asked, machine, &needs, tests)
}

/// The same for workers that take so much.
pub fn capacity_of(asked: Workers, machine: &Machine, needs: &[Room], tests: usize) -> Capacity {
    let has = Room {
        millicpus: machine.cpus as u64 * 1000,
        memory_bytes: machine.available_memory_bytes,
    };
    capacity(asked, has, needs, tests)
}
