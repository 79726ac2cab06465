//! How long a run will probably take, and what more workers would gain. A model: workers start at
//! once, and tests take as long as is expected.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::Capacity;
use crate::model::Room;

/// How many more workers are tried.
const MORE: [usize; 3] = [1, 2, 4];

/// The tests of a run by what they take, longest first.
#[derive(Clone, Debug)]
pub struct Load {
    /// How long each test probably takes.
    pub times: Vec<Duration>,
    /// Each test's class.
    pub class_of: Vec<usize>,
    /// What a worker of each class may take of the machine.
    pub needs: Vec<Room>,
}

/// What is to be expected of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// All tests one after another.
    pub total: Duration,
    /// From the first test's start to the last one's end.
    pub makespan: Duration,
    /// No schedule on these workers is shorter: all time spread evenly over them, and over the room
    /// that they share, or the longest test.
    pub bound: Duration,
    /// The longest test, which no number of workers makes shorter.
    pub longest: Duration,
    /// So many more workers, and the makespan with them.
    pub more: Vec<(usize, Duration)>,
}

/// What is to be expected of a run with this capacity. More workers come with the room that the
/// largest class's take, as on a larger machine.
pub fn forecast(load: &Load, capacity: Capacity) -> Forecast {
    let largest = load.needs.iter().fold(Room::default(), |most, need| Room {
        millicpus: most.millicpus.max(need.millicpus),
        memory_bytes: most.memory_bytes.max(need.memory_bytes),
    });
    let larger = |more: usize| Capacity {
        workers: capacity.workers + more,
        room: (0..more).fold(capacity.room, |room, _| room + largest),
    };
    let longest = load.times.iter().max().copied().unwrap_or_default();
    Forecast {
        total: load.times.iter().sum(),
        makespan: makespan(load, capacity),
        bound: longest.max(even(load, capacity)),
        longest,
        more: MORE
            .into_iter()
            .map(|more| (more, makespan(load, larger(more))))
            .collect(),
    }
}

/// All time spread evenly: over the workers, over the processors, over the memory.
fn even(load: &Load, capacity: Capacity) -> Duration {
    let share = |takes: fn(Room) -> u64, of: u64| {
        let weigh = |(time, class): (&Duration, &usize)| {
            time.as_secs_f64() * takes(load.needs[*class]) as f64
        };
        // One worker always runs, whatever it takes.
        let of = of.max(
            load.needs
                .iter()
                .map(|need| takes(*need))
                .max()
                .unwrap_or(0),
        );
        let sum: f64 = load.times.iter().zip(&load.class_of).map(weigh).sum();
        Duration::try_from_secs_f64(sum / of.max(1) as f64).unwrap_or_default()
    };
    let total: Duration = load.times.iter().sum();
    let workers = u32::try_from(capacity.workers.max(1)).unwrap_or(u32::MAX);
    (total / workers)
        .max(share(|room| room.millicpus, capacity.room.millicpus))
        .max(share(|room| room.memory_bytes, capacity.room.memory_bytes))
}

/// When the last test ends: whenever something is free, the longest test that fits begins.
fn makespan(load: &Load, capacity: Capacity) -> Duration {
    let mut queues: Vec<Vec<Duration>> = vec![Vec::new(); load.needs.len()];
    for (time, class) in load.times.iter().zip(&load.class_of) {
        queues[*class].push(*time);
    }
    queues.iter_mut().for_each(|queue| queue.sort_unstable());
    let mut running: BinaryHeap<Reverse<(Duration, usize)>> = BinaryHeap::new();
    let mut taken = Room::default();
    let mut now = Duration::ZERO;
    loop {
        while running.len() < capacity.workers.max(1) {
            let fits = |class: &usize| {
                running.is_empty() || capacity.room.holds(taken + load.needs[*class])
            };
            let next = (0..queues.len()).filter(fits);
            let next = next.filter_map(|class| Some((*queues[class].last()?, class)));
            let Some((time, class)) = next.max() else {
                break;
            };
            queues[class].pop();
            taken = taken + load.needs[class];
            running.push(Reverse((now + time, class)));
        }
        let Some(Reverse((end, class))) = running.pop() else {
            return now;
        };
        taken = taken.without(load.needs[class]);
        now = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(times: &[u64]) -> Vec<Duration> {
        times.iter().copied().map(Duration::from_secs).collect()
    }

    fn load(times: &[u64]) -> Load {
        Load {
            times: seconds(times),
            class_of: vec![0; times.len()],
            needs: vec![Room::default()],
        }
    }

    fn workers(workers: usize) -> Capacity {
        Capacity {
            workers,
            room: Room::UNLIMITED,
        }
    }

    #[test]
    fn the_longest_test_is_the_floor() {
        let found = forecast(&load(&[10, 4, 3, 3]), workers(2));
        assert_eq!(found.total, Duration::from_secs(20));
        assert_eq!(found.makespan, Duration::from_secs(10));
        assert_eq!(found.bound, Duration::from_secs(10));
        let gained: Vec<u64> = found.more.iter().map(|(_, time)| time.as_secs()).collect();
        assert_eq!(gained, [10, 10, 10]);
    }

    #[test]
    fn more_workers_gain_until_the_longest_test_is_left() {
        let found = forecast(&load(&[4; 12]), workers(1));
        let more: Vec<(usize, u64)> = found.more.iter().map(|(n, t)| (*n, t.as_secs())).collect();
        assert_eq!(found.makespan.as_secs(), 48);
        assert_eq!(more, [(1, 24), (2, 16), (4, 12)]);
    }

    #[test]
    fn limits_that_do_not_fit_together_follow_each_other() {
        let need = |millicpus| Room {
            millicpus,
            memory_bytes: 1,
        };
        let load = Load {
            times: seconds(&[10, 10, 6]),
            class_of: vec![0, 0, 1],
            needs: vec![need(2000), need(1000)],
        };
        let room = Room {
            millicpus: 3000,
            memory_bytes: 100,
        };
        let found = forecast(&load, Capacity { workers: 3, room });
        assert_eq!(found.makespan.as_secs(), 20, "the small one is beside them");
        assert_eq!(found.bound.as_secs(), 15);
        assert_eq!(found.more[0].1.as_secs(), 10, "with room for one more");
    }

    #[test]
    fn no_test_takes_no_time() {
        let found = forecast(&load(&[]), workers(3));
        assert_eq!(
            (found.makespan, found.bound),
            (Duration::ZERO, Duration::ZERO)
        );
    }
}
