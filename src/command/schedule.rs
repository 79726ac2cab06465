//! What `run` and `plan` decide alike: how long the tests take, their order, and the workers.

use std::sync::Arc;
use std::time::Duration;

use super::Failure;
use crate::config::{Config, Workers};
use crate::host::Machine;
use crate::model::{Room, Test};
use crate::plan::{Capacity, Estimate, History, capacity, longest_first};
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

/// The tests, the longest first, and how long each probably takes.
pub fn in_order(tests: Arc<Vec<Test>>, history: &History) -> (Arc<Vec<Test>>, Vec<Estimate>) {
    let mut estimates = history.estimate(&tests);
    if estimates.is_empty() {
        return (tests, estimates);
    }
    let mut tests = Arc::unwrap_or_clone(tests);
    longest_first(&mut tests, &mut estimates);
    (Arc::new(tests), estimates)
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
