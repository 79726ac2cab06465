//! Violations: a limit reached, nearly reached, or something leaked.

use serde::{Deserialize, Serialize};

use super::{Resources, format_us};

/// What kind of violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ViolationKind {
    /// Memory rose to 90 % of its limit.
    MemoryNear,
    /// Memory reached its limit.
    MemoryOver,
    /// The kernel killed a process for want of memory.
    OomKill,
    /// CPU use stayed at 95 % of the profile's processors.
    CpuNear,
    /// The CPU-time limit ended the test.
    CpuTime,
    /// The wall-clock limit ended the test.
    Wall,
    /// One process had nearly as many open files as it may.
    OpenFilesNear,
    /// The pids limit refused a fork.
    PidsLimit,
    /// The output limit ended the test.
    OutputLimit,
    /// A process outlived the test.
    LeakedProcess,
    /// Files were left in tmpfs.
    LeakedFile,
    /// IPC objects were left.
    LeakedIpc,
    /// Sockets outlived every process.
    LeakedSocket,
    /// Something of the worker itself was changed.
    ChangedWorker,
    /// Open files rose from the test's first third to its last.
    OpenFileGrowth,
    /// Threads rose from the test's first third to its last.
    ThreadGrowth,
}

impl ViolationKind {
    /// Every kind.
    pub const ALL: [ViolationKind; 16] = [
        ViolationKind::MemoryNear,
        ViolationKind::MemoryOver,
        ViolationKind::OomKill,
        ViolationKind::CpuNear,
        ViolationKind::CpuTime,
        ViolationKind::Wall,
        ViolationKind::OpenFilesNear,
        ViolationKind::PidsLimit,
        ViolationKind::OutputLimit,
        ViolationKind::LeakedProcess,
        ViolationKind::LeakedFile,
        ViolationKind::LeakedIpc,
        ViolationKind::LeakedSocket,
        ViolationKind::ChangedWorker,
        ViolationKind::OpenFileGrowth,
        ViolationKind::ThreadGrowth,
    ];

    /// Its word: in the config, the database and as an outcome's reason.
    pub fn as_str(self) -> &'static str {
        match self {
            ViolationKind::MemoryNear => "memory-near",
            ViolationKind::MemoryOver => "memory-over",
            ViolationKind::OomKill => "oom-kill",
            ViolationKind::CpuNear => "cpu-near",
            ViolationKind::CpuTime => "cpu-time",
            ViolationKind::Wall => "wall",
            ViolationKind::OpenFilesNear => "open-files-near",
            ViolationKind::PidsLimit => "pids-limit",
            ViolationKind::OutputLimit => "output-limit",
            ViolationKind::LeakedProcess => "leaked-process",
            ViolationKind::LeakedFile => "leaked-file",
            ViolationKind::LeakedIpc => "leaked-ipc",
            ViolationKind::LeakedSocket => "leaked-socket",
            ViolationKind::ChangedWorker => "changed-worker",
            ViolationKind::OpenFileGrowth => "open-file-growth",
            ViolationKind::ThreadGrowth => "thread-growth",
        }
    }

    /// Whether it is something that the test left behind or changed.
    pub fn is_leak(self) -> bool {
        matches!(
            self,
            ViolationKind::LeakedProcess
                | ViolationKind::LeakedFile
                | ViolationKind::LeakedIpc
                | ViolationKind::LeakedSocket
                | ViolationKind::ChangedWorker
        )
    }

    /// Whether a strict level promises that no test passes with it.
    pub fn is_promised(self) -> bool {
        self.is_leak() || self == ViolationKind::PidsLimit
    }

    /// Whether it has an outcome of its own, which nobody can choose: the limit ended the test, or
    /// the kernel one of its processes.
    pub fn ends_the_test(self) -> bool {
        matches!(
            self,
            ViolationKind::OomKill
                | ViolationKind::CpuTime
                | ViolationKind::Wall
                | ViolationKind::OutputLimit
        )
    }

    /// What `threshold` and `actual` count.
    pub fn unit(self) -> &'static str {
        match self {
            ViolationKind::MemoryNear
            | ViolationKind::MemoryOver
            | ViolationKind::OutputLimit
            | ViolationKind::LeakedFile => "bytes",
            ViolationKind::CpuNear => "percent",
            ViolationKind::CpuTime | ViolationKind::Wall => "us",
            _ => "count",
        }
    }
}

/// How much a violation matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ViolationSeverity {
    /// Good to know.
    Info,
    /// Somebody should look.
    Warning,
    /// It ended the test, or is a failure of it; the outcome's order says whether it is the reason.
    Error,
}

impl ViolationSeverity {
    /// Every severity, mildest first.
    pub const ALL: [ViolationSeverity; 3] = [
        ViolationSeverity::Info,
        ViolationSeverity::Warning,
        ViolationSeverity::Error,
    ];

    /// Its word, as in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            ViolationSeverity::Info => "info",
            ViolationSeverity::Warning => "warning",
            ViolationSeverity::Error => "error",
        }
    }
}

/// One violation of one attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Violation {
    /// What kind.
    pub kind: ViolationKind,
    /// How much it matters.
    pub severity: ViolationSeverity,
    /// The value that it is measured against, in the kind's unit; absent where there is none.
    pub threshold: Option<f64>,
    /// What was found, in the kind's unit.
    pub actual: Option<f64>,
    /// One line for people, safe to print; names what leaked.
    pub message: String,
}

/// What a test did when its wall-clock limit ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimeoutState {
    /// It computed.
    Busy,
    /// It wanted to compute and was held back, by its CPU limit or by a busy machine.
    Starved,
    /// It waited.
    Idle,
}

impl TimeoutState {
    /// Its word, as in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            TimeoutState::Busy => "busy",
            TimeoutState::Starved => "starved",
            TimeoutState::Idle => "idle",
        }
    }

    /// With the figures for people: `idle: 20 ms of CPU in 10.00 s`.
    pub fn told(self, used: &Resources) -> String {
        let shown = format_us;
        let wall = shown(used.wall_us);
        match used.cpu_us {
            Some(cpu) => format!("{}: {} of CPU in {wall}", self.as_str(), shown(cpu)),
            None => self.as_str().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_told_with_what_was_measured() {
        let mut used = Resources {
            wall_us: 10_000_000,
            cpu_us: Some(20_000),
            ..Resources::default()
        };
        let told = TimeoutState::Idle.told(&used);
        assert_eq!(told, "idle: 20 ms of CPU in 10.00 s");
        used.cpu_us = None;
        assert_eq!(TimeoutState::Busy.told(&used), "busy");
    }

    #[test]
    fn words_are_those_of_serde() {
        for kind in ViolationKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        for severity in ViolationSeverity::ALL {
            assert_eq!(serde_json::to_value(severity).unwrap(), severity.as_str());
        }
        for state in [
            TimeoutState::Busy,
            TimeoutState::Starved,
            TimeoutState::Idle,
        ] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }
}
