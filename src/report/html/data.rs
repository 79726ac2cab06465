//! What a page knows, as its scripts read it. Names of fields and columns carry their units.

use std::collections::BTreeMap;

use serde::Serialize;

use super::thin::Plot;
use crate::store::StoredAttempt;

/// Everything. Rows refer to each other by their places: an attempt is named by its row.
#[derive(Debug, Default, Serialize)]
pub struct Data {
    /// When the run started, in microseconds since 1970.
    pub started_unix_us: u64,
    /// The run's name.
    pub run: String,
    /// The limits of each profile.
    pub profiles: Vec<(String, serde_json::Value)>,
    /// Every word that a row refers to.
    pub words: Vec<String>,
    /// The tests' ids, escaped.
    pub tests: Vec<String>,
    /// Of each attempt, its test.
    pub test: Vec<u32>,
    /// Of each attempt, words: columns by name. A column that has nothing is absent.
    pub labels: BTreeMap<&'static str, Vec<Option<u32>>>,
    /// Of each attempt, figures: columns by name. A column that has nothing is absent.
    pub figures: BTreeMap<&'static str, Vec<Option<u64>>>,
    /// What attempts left behind: the attempt, and a line for each leak.
    pub leaks: Vec<(u32, Vec<Leaked>)>,
    /// The violations.
    pub violations: Vec<Violated>,
    /// Samples, by attempt.
    pub series: BTreeMap<u32, Plot>,
    /// What attempts wrote.
    pub outputs: BTreeMap<u32, Vec<Written>>,
    /// Earlier attempts, by test.
    pub history: BTreeMap<u32, Past>,
}

/// One leak.
#[derive(Debug, Serialize)]
pub struct Leaked {
    /// For people.
    pub what: String,
    /// Whether it is a fault.
    pub counts: bool,
}

/// One violation.
#[derive(Debug, Serialize)]
pub struct Violated {
    /// Its attempt's row.
    pub attempt: u32,
    /// The kind's word.
    pub kind: String,
    /// The severity's word.
    pub severity: &'static str,
    /// For people.
    pub message: String,
}

/// One stream of an attempt.
#[derive(Debug, Serialize)]
pub struct Written {
    /// `stdout`, `stderr`.
    pub stream: String,
    /// What is shown of it.
    pub text: String,
}

/// The newest attempts at a test over all runs, oldest first.
#[derive(Debug, Default, Serialize)]
pub struct Past {
    /// Whether each is of this run.
    pub here: Vec<u8>,
    /// Their outcomes, as words.
    pub outcome: Vec<u32>,
    /// In microseconds.
    pub wall_us: Vec<Option<u64>>,
    /// Peaks, in KiB.
    pub memory_kib: Vec<Option<u64>>,
}

/// A column of words.
pub type Label = (&'static str, fn(&StoredAttempt) -> Option<&str>);
/// A column of figures.
pub type Figure = (&'static str, fn(&StoredAttempt) -> Option<u64>);

/// The columns of words.
pub const LABELS: [Label; 9] = [
    ("outcome", |a| Some(&a.outcome)),
    ("reason", |a| a.reason.as_deref()),
    ("termination", |a| a.termination.as_deref()),
    ("stopped", |a| a.stopped.as_deref()),
    ("timeout_state", |a| a.timeout_state.as_deref()),
    ("profile", |a| Some(&a.profile)),
    ("image", |a| Some(&a.image)),
    ("cpu_source", |a| {
        Some(a.resources.as_ref()?.cpu_source?.as_str())
    }),
    ("memory_source", |a| {
        Some(a.resources.as_ref()?.memory_peak_source?.as_str())
    }),
];

/// The columns of figures; `start_us`, since the run's start, is put in by who knows that.
pub const FIGURES: [Figure; 31] = [
    ("attempt", |a| Some(a.attempt.into())),
    ("superseded", |a| a.superseded.then_some(1)),
    ("escalated", |a| a.escalated.then_some(1)),
    ("worker", |a| a.worker),
    ("sequence", |a| a.sequence),
    ("reset_us", |a| Some(a.reset_ns? / 1000)),
    ("stdout_bytes", |a| Some(a.stdout_bytes)),
    ("stderr_bytes", |a| Some(a.stderr_bytes)),
    ("wall_us", |a| Some(a.resources.as_ref()?.wall_us)),
    ("cpu_us", |a| a.resources.as_ref()?.cpu_us),
    ("cpu_user_us", |a| a.resources.as_ref()?.cpu_user_us),
    ("cpu_system_us", |a| a.resources.as_ref()?.cpu_system_us),
    ("throttled_us", |a| a.resources.as_ref()?.throttled_us),
    ("memory_start_bytes", |a| {
        a.resources.as_ref()?.memory_start_bytes
    }),
    ("memory_peak_bytes", |a| {
        a.resources.as_ref()?.memory_peak_bytes
    }),
    ("memory_bound_bytes", |a| {
        a.resources.as_ref()?.memory_peak_bound_bytes
    }),
    ("memory_anon_bytes", |a| {
        a.resources.as_ref()?.memory_anon_bytes
    }),
    ("memory_file_bytes", |a| {
        a.resources.as_ref()?.memory_file_bytes
    }),
    ("oom_kills", |a| a.resources.as_ref()?.oom_kills),
    ("pids_peak", |a| a.resources.as_ref()?.pids_peak),
    ("pids_limit_hits", |a| a.resources.as_ref()?.pids_limit_hits),
    ("io_read_bytes", |a| a.resources.as_ref()?.io_read_bytes),
    ("io_write_bytes", |a| a.resources.as_ref()?.io_write_bytes),
    ("cpu_pressure_us", |a| a.resources.as_ref()?.cpu_pressure_us),
    ("memory_pressure_us", |a| {
        a.resources.as_ref()?.memory_pressure_us
    }),
    ("io_pressure_us", |a| a.resources.as_ref()?.io_pressure_us),
    ("tmpfs_left_bytes", |a| {
        a.resources.as_ref()?.tmpfs_left_bytes
    }),
    ("samples", |a| Some(a.statistics?.samples)),
    ("cpu_percent_max", |a| {
        Some(a.statistics?.cpu_percent?.max as u64)
    }),
    ("open_files_max", |a| {
        Some(a.statistics?.open_files?.max as u64)
    }),
    ("threads_max", |a| Some(a.statistics?.threads?.max as u64)),
];
