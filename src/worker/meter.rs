//! From two readings of the cgroup's counters to what one test used.

use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use nix::time::{ClockId, clock_gettime};

use super::cgroup::{Counters, Reading};
use crate::model::{Resources, Source};

/// Taken at a test's start.
pub struct Meter {
    reading: Reading,
    own_us: u64,
    children_us: u64,
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
            children_us: children_cpu_us(),
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

    /// CPU time of those of the test's processes that were reaped, and of all that these waited for,
    /// in microseconds.
    pub fn reaped_us(&self) -> u64 {
        children_cpu_us().saturating_sub(self.children_us)
    }

    /// What the test used, now that every process of it is gone.
    pub fn finish(&self, counters: &Counters, wall: Duration) -> Resources {
        let cpu_us = self.cpu_us(counters);
        let now = counters.read();
        let before = &self.reading;
        let delta = |now: Option<u64>, before: Option<u64>| Some(now?.saturating_sub(before?));
        // The peak counter belongs to the worker. Only a new record is surely this test's.
        let record = now.memory_peak_bytes > before.memory_peak_bytes;
        Resources {
            wall_us: wall.as_micros() as u64,
            cpu_us: Some(cpu_us.unwrap_or_else(|| self.reaped_us())),
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
            ..Resources::default()
        }
    }
}

/// CPU time of the processes that this one has reaped so far, in microseconds.
fn children_cpu_us() -> u64 {
    let us = |time: TimeVal| time.tv_sec().cast_unsigned() * 1_000_000 + time.tv_usec() as u64;
    getrusage(UsageWho::RUSAGE_CHILDREN)
        .map_or(0, |usage| us(usage.user_time()) + us(usage.system_time()))
}

/// CPU time of this process, in microseconds.
fn own_cpu_us() -> u64 {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map_or(0, |time| {
        time.tv_sec() as u64 * 1_000_000 + time.tv_nsec() as u64 / 1000
    })
}
