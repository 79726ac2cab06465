//! Room: processors and memory, of a machine or of what runs on it.

use std::ops::Add;

use super::Limits;

/// Processors and memory: what a machine has, or what workers may take of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Processors, in thousandths.
    pub millicpus: u64,
    /// Memory in bytes.
    pub memory_bytes: u64,
}

impl Room {
    /// More than anything takes.
    pub const UNLIMITED: Room = Room {
        millicpus: u64::MAX,
        memory_bytes: u64::MAX,
    };

    /// What a worker with these limits may take.
    pub fn of(limits: &Limits) -> Self {
        Room {
            // A negative number is none; the cast saturates.
            millicpus: (limits.cpus * 1000.0).ceil() as u64,
            memory_bytes: limits.memory_bytes,
        }
    }

    /// Whether this has room for `other`.
    pub fn holds(self, other: Room) -> bool {
        other.millicpus <= self.millicpus && other.memory_bytes <= self.memory_bytes
    }

    /// What is left without `other`.
    pub fn without(self, other: Room) -> Room {
        Room {
            millicpus: self.millicpus.saturating_sub(other.millicpus),
            memory_bytes: self.memory_bytes.saturating_sub(other.memory_bytes),
        }
    }

    /// How many times `other` fits in.
    pub fn times(self, other: Room) -> usize {
        let by_cpus = self.millicpus / other.millicpus.max(1);
        let by_memory = self.memory_bytes / other.memory_bytes.max(1);
        usize::try_from(by_cpus.min(by_memory)).unwrap_or(usize::MAX)
    }
}

impl Add for Room {
    type Output = Room;

    fn add(self, other: Room) -> Room {
        Room {
            millicpus: self.millicpus.saturating_add(other.millicpus),
            memory_bytes: self.memory_bytes.saturating_add(other.memory_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::built_in_profiles;

    #[test]
    fn a_machine_holds_workers_by_their_limits() {
        let profiles = built_in_profiles();
        let room = |name: &str| Room::of(&profiles[name].limits);
        let machine = Room {
            millicpus: 4000,
            memory_bytes: 4 << 30,
        };
        assert_eq!(machine.times(room("fast")), 4);
        assert_eq!(machine.times(room("standard")), 2);
        assert_eq!(machine.times(room("intensive")), 1);
        assert!(machine.holds(room("standard") + room("slow")));
        assert!(!machine.holds(room("fast") + room("intensive")));
        assert_eq!(
            machine
                .without(room("intensive"))
                .without(room("fast"))
                .millicpus,
            0
        );
        assert!(Room::UNLIMITED.holds(Room::UNLIMITED + room("slow")));
    }
}
