//! How many workers at once, and what they may take together.

use crate::config::Workers;
use crate::model::Room;

/// The most workers on a processor that are started where nobody says how many.
const PER_PROCESSOR: u64 = 4;

/// How many workers a run may have at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Workers at most at once.
    pub workers: usize,
    /// What they may take together.
    pub room: Room,
}

/// The capacity for `tests` tests whose workers take `needs`, on a machine with the room `machine`.
///
/// Where nobody says how many workers, the limits of those that run together fit into the machine.
/// Whoever names a number has the word: so many run, whatever their limits are.
pub fn capacity(asked: Workers, machine: Room, needs: &[Room], tests: usize) -> Capacity {
    let (workers, room) = match asked {
        Workers::Count(count) => (count, Room::UNLIMITED),
        Workers::Auto => {
            let fitting = needs.iter().map(|need| machine.times(*need)).max();
            let most = (machine.millicpus * PER_PROCESSOR).div_ceil(1000);
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            (fitting.unwrap_or(1).min(most), machine)
        }
    };
    Capacity {
        workers: workers.clamp(1, tests.max(1)),
        room,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(millicpus: u64, mib: u64) -> Room {
        Room {
            millicpus,
            memory_bytes: mib << 20,
        }
    }

    #[test]
    fn auto_is_what_fits_by_the_smallest_class() {
        let machine = room(4000, 2048);
        let auto = |needs: &[Room], tests| capacity(Workers::Auto, machine, needs, tests).workers;
        assert_eq!(auto(&[room(1000, 128)], 100), 4);
        assert_eq!(auto(&[room(2000, 512)], 100), 2);
        assert_eq!(auto(&[room(1000, 1024)], 100), 2, "memory is short");
        assert_eq!(auto(&[room(4000, 2048), room(1000, 128)], 100), 4);
        assert_eq!(auto(&[room(4000, 9000)], 100), 1, "one always runs");
        assert_eq!(auto(&[room(1, 1)], 100), 16, "so many on a processor");
        assert_eq!(auto(&[room(1000, 128)], 3), 3);
        assert_eq!(capacity(Workers::Auto, machine, &[], 0).workers, 1);
    }

    #[test]
    fn whoever_names_a_number_has_the_word() {
        let found = capacity(Workers::Count(9), room(1000, 1), &[room(4000, 4096)], 100);
        assert_eq!((found.workers, found.room), (9, Room::UNLIMITED));
    }
}
