//! Samples of a running test: what its process tree used, over time.

use serde::{Deserialize, Serialize};

/// One look at a running test. What was not looked at this time is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Row", into = "Row")]
pub struct Sample {
    /// Since the test's start, in microseconds.
    pub time_us: u64,
    /// CPU time of the whole tree so far, in microseconds.
    pub cpu_us: Option<u64>,
    /// Memory now, in bytes: the cgroup's, or where there is none the sum of the processes' `pss`.
    pub memory_bytes: Option<u64>,
    /// Processes.
    pub processes: Option<u64>,
    /// Threads of all processes.
    pub threads: Option<u64>,
    /// Open files of all processes.
    pub open_files: Option<u64>,
    /// Proportional set size of all processes, in bytes.
    pub pss_bytes: Option<u64>,
}

type Row = (
    u64,
    Option<u64>,
    Option<u64>,
    Option<u64>,
    Option<u64>,
    Option<u64>,
    Option<u64>,
);

impl From<Row> for Sample {
    fn from(row: Row) -> Self {
        let (time_us, cpu_us, memory_bytes, processes, threads, open_files, pss_bytes) = row;
        Sample {
            time_us,
            cpu_us,
            memory_bytes,
            processes,
            threads,
            open_files,
            pss_bytes,
        }
    }
}

impl From<Sample> for Row {
    fn from(sample: Sample) -> Self {
        (
            sample.time_us,
            sample.cpu_us,
            sample.memory_bytes,
            sample.processes,
            sample.threads,
            sample.open_files,
            sample.pss_bytes,
        )
    }
}

/// The samples of one attempt, in order.
pub type Series = Vec<Sample>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_a_row() {
        let sample = Sample {
            time_us: 5,
            cpu_us: Some(3),
            threads: Some(0),
            ..Sample::default()
        };
        let text = serde_json::to_string(&sample).unwrap();
        assert_eq!(text, "[5,3,null,null,0,null,null]");
        assert_eq!(serde_json::from_str::<Sample>(&text).unwrap(), sample);
    }
}
