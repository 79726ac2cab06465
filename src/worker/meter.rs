//! From two readings of the cgroup's counters to what one test used.

use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

use super::cgroup::{Counters, Reading};
use crate::model::{Resources, Source};

/// Taken at a test's start.
pub struct Meter {
    reading: Reading,
    own_us: u64,
    /// When the test was executed.
    pub started: Instant,
    /// The same in microseconds since 1970.
    pub started_unix_us: u64,
}

impl Meter {
    /// Starts the clocks.
    pub fn start(counters: &Counters) -> Self {
        let reading = counters.read();
        Meter {
            reading,
            own_us: own_cpu_us(),
            started: Instant::now(),
            started_unix_us: std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, |since| since.as_micros() as u64),
        }
    }

    /// CPU time of the test so far, in microseconds; `None` where nothing counts it.
    pub fn cpu_us(&self, counters: &Counters) -> Option<u64> {
        let used = counters.cpu_us()?.saturating_sub(self.reading.cpu_us?);
        Some(used.saturating_sub(own_cpu_us() - self.own_us))
    }

    /// What the test used, now that every process of it is gone. `rusage_us` is the CPU time of
    /// its own process and the children that it waited for.
    pub fn finish(&self, counters: &Counters, wall: Duration, rusage_us: u64) -> Resources {
        let cpu_us = self.cpu_us(counters);
        let now = counters.read();
        let before = &self.reading;
        let delta = |now: Option<u64>, before: Option<u64>| Some(now?.saturating_sub(before?));
        // The peak counter belongs to the worker. Only a new record is surely this test's.
        let record = now.memory_peak_bytes > before.memory_peak_bytes;
        Resources {
            wall_us: wall.as_micros() as u64,
            cpu_us: Some(cpu_us.unwrap_or(rusage_us)),
            cpu_source: Some(if cpu_us.is_some() {
                Source::Cgroup
            } else {
                Source::Rusage
            }),
            throttled_us: delta(now.throttled_us, before.throttled_us),
            memory_start_bytes: before.memory_bytes,
            memory_peak_bytes: now.memory_peak_bytes.filter(|_| record),
            memory_peak_source: record.then_some(Source::Cgroup),
            memory_peak_bound_bytes: now.memory_peak_bytes.filter(|_| !record),
            oom_kills: delta(now.oom_kills, before.oom_kills),
            pids_limit_hits: delta(now.pids_limit_hits, before.pids_limit_hits),
        }
    }
}

/// CPU time of this process, in microseconds.
fn own_cpu_us() -> u64 {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map_or(0, |time| {
        time.tv_sec() as u64 * 1_000_000 + time.tv_nsec() as u64 / 1000
    })
}
