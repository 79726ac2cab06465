//! The figures that tests are ranked and followed by.

use super::Limits;

/// What can be asked of many attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    /// The highest memory, in bytes.
    Memory,
    /// CPU time of all processes, in microseconds.
    Cpu,
    /// Wall-clock time, in microseconds.
    Wall,
    /// Open files of all processes together.
    Files,
    /// Processes and threads at once.
    Threads,
    /// Violations that are no mere information.
    Violations,
}

impl Figure {
    /// Every figure.
    pub const ALL: [Figure; 6] = [
        Figure::Memory,
        Figure::Cpu,
        Figure::Wall,
        Figure::Files,
        Figure::Threads,
        Figure::Violations,
    ];

    /// Those that an attempt has one of, so that a highest one exists.
    pub const MEASURED: [Figure; 5] = [
        Figure::Memory,
        Figure::Cpu,
        Figure::Wall,
        Figure::Files,
        Figure::Threads,
    ];

    /// Its word: on the command line, in JSON and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Figure::Memory => "memory",
            Figure::Cpu => "cpu",
            Figure::Wall => "wall",
            Figure::Files => "files",
            Figure::Threads => "threads",
            Figure::Violations => "violations",
        }
    }

    /// What it counts: `bytes`, `us`, `count`.
    pub fn unit(self) -> &'static str {
        match self {
            Figure::Memory => "bytes",
            Figure::Cpu | Figure::Wall => "us",
            Figure::Files | Figure::Threads | Figure::Violations => "count",
        }
    }

    /// The limit that it is held against, in its unit. Open files have none: theirs is one process's,
    /// and the figure is of all of them.
    pub fn limit(self, limits: &Limits) -> Option<f64> {
        match self {
            Figure::Memory => Some(limits.memory_bytes as f64),
            Figure::Cpu => Some(limits.cpu_time.as_micros() as f64),
            Figure::Wall => Some(limits.wall.as_micros() as f64),
            Figure::Threads => Some(limits.pids as f64),
            Figure::Files | Figure::Violations => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::built_in_profiles;

    #[test]
    fn limits_are_in_the_figures_unit() {
        let fast = &built_in_profiles()["fast"].limits;
        let limits = Figure::ALL.map(|figure| figure.limit(fast));
        let expected = [
            Some((128 << 20) as f64),
            Some(1e6),
            Some(2e6),
            None,
            Some(64.0),
            None,
        ];
        assert_eq!(limits, expected);
        assert!(Figure::ALL.starts_with(&Figure::MEASURED));
    }
}
