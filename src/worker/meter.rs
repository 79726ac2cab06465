//! From two readings of the counters to what one test used.
//!
//! Counters only grow, so the reading at the end of a test is the next one's start. What the
//! supervisor itself uses in between is counted with them, and taken off again.

use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use nix::time::{ClockId, clock_gettime};

use super::cgroup::{Counters, Reading};
use super::figures::{cpu_parts, memory_peak, pids_peak};
use crate::model::{Resources, Source};

/// Everything that was counted up to a moment.
#[derive(Clone, Copy, Debug)]
pub struct Totals {
    /// The supervisor's own CPU time.
    own: Times,
    /// That of the processes that it has reaped.
    reaped: Times,
    reading: Reading,
}

/// CPU time, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    user_us: u64,
    system_us: u64,
}

/// What was seen of a test while it ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The highest memory, in bytes.
    pub memory_bytes: Option<u64>,
    /// Anonymous memory, and page cache with tmpfs, in bytes, the last time that it was the highest.
    pub memory_parts: Option<(u64, u64)>,
    /// The most threads of all processes.
    pub threads: Option<u64>,
}

/// Taken at a test's start.
pub struct Meter {
    before: Totals,
    memory_bytes: Option<u64>,
    memory_peak_bytes: Option<u64>,
    /// When the test was executed.
    pub started: Instant,
    /// The same in microseconds since 1970.
    pub started_unix_us: u64,
}

impl Totals {
    /// Reads them now.
    pub fn read(counters: &Counters) -> Self {
        // The kernel adds up what we have used so far when it is asked for, and so adds it to the
        // cgroup's.
        let own = Times::of(UsageWho::RUSAGE_SELF);
        Totals {
            reading: counters.read(),
            own,
            reaped: Times::of(UsageWho::RUSAGE_CHILDREN),
        }
    }
}

impl Times {
    fn of(who: UsageWho) -> Self {
        let us = |time: TimeVal| time.tv_sec().unsigned_abs() * 1_000_000 + time.tv_usec() as u64;
        getrusage(who).map_or(Times::default(), |usage| Times {
            user_us: us(usage.user_time()),
            system_us: us(usage.system_time()),
        })
    }

    fn since(self, before: Self) -> Self {
        Times {
            user_us: self.user_us.saturating_sub(before.user_us),
            system_us: self.system_us.saturating_sub(before.system_us),
        }
    }

    fn both_us(self) -> u64 {
        self.user_us + self.system_us
    }
}

impl Meter {
    /// Starts the clocks. `before`: what was counted until the test before it was over, where nothing
    /// of anybody else's has run since.
    pub fn start(counters: &Counters, before: Option<Totals>) -> Self {
        let before = before.unwrap_or_else(|| Totals::read(counters));
        Meter {
            before,
            memory_bytes: counters.memory_bytes(),
            memory_peak_bytes: counters.memory_peak_bytes(),
            started: Instant::now(),
            started_unix_us: std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, |since| since.as_micros() as u64),
        }
    }

    /// CPU time of the test so far, in microseconds; `None` where nothing counts it.
    pub fn cpu_us(&self, counters: &Counters) -> Option<u64> {
        let own = own_cpu_us().saturating_sub(self.before.own.both_us());
        let used = counters
            .cpu_us()?
            .saturating_sub(self.before.reading.cpu_us?);
        Some(used.saturating_sub(own))
    }

    /// CPU time of those of the test's processes that were reaped, and of all that these waited for,
    /// in microseconds.
    pub fn reaped_us(&self) -> u64 {
        let reaped = Times::of(UsageWho::RUSAGE_CHILDREN);
        reaped.since(self.before.reaped).both_us()
    }

    /// What the test used, now that every process of it is gone, and all that was counted up to
    /// now.
    pub fn finish(&self, counters: &Counters, wall: Duration, seen: &Seen) -> (Resources, Totals) {
        let after = Totals::read(counters);
        let (now, before) = (&after.reading, &self.before.reading);
        let delta = |now: Option<u64>, before: Option<u64>| Some(now?.saturating_sub(before?));
        let (cpu_us, user_us, system_us, cpu_source) = match delta(now.cpu_us, before.cpu_us) {
            Some(all) => {
                let own = after.own.since(self.before.own);
                let part = |now, before, own| Some(delta(now, before)?.saturating_sub(own));
                (
                    all.saturating_sub(own.both_us()),
                    part(now.cpu_user_us, before.cpu_user_us, own.user_us),
                    part(now.cpu_system_us, before.cpu_system_us, own.system_us),
                    Source::Cgroup,
                )
            }
            None => {
                // No parts: a process that no clock tick met has only user time, and so have a
                // thousand of them together.
                let reaped = after.reaped.since(self.before.reaped);
                (reaped.both_us(), None, None, Source::Rusage)
            }
        };
        let (cpu_user_us, cpu_system_us) = cpu_parts(cpu_us, user_us, system_us);
        let memory = memory_peak(
            self.memory_peak_bytes,
            now.memory_peak_bytes,
            seen.memory_bytes.max(self.memory_bytes),
        );
        let limit_hits = delta(now.pids_limit_hits, before.pids_limit_hits);
        let (mut own, mut limit) = (0, None);
        if now.pids_peak > before.pids_peak {
            own = own_threads();
            limit = limit_hits
                .filter(|hits| *hits > 0)
                .and_then(|_| counters.pids_max());
        }
        let (pids_peak, pids_peak_source) =
            pids_peak(before.pids_peak, now.pids_peak, own, limit, seen.threads);
        let [cpu_pressure_us, memory_pressure_us, io_pressure_us] =
            std::array::from_fn(|at| delta(now.pressure_us[at], before.pressure_us[at]));
        let resources = Resources {
            wall_us: wall.as_micros() as u64,
            cpu_us: Some(cpu_us),
            cpu_user_us,
            cpu_system_us,
            cpu_source: Some(cpu_source),
            throttled_us: delta(now.throttled_us, before.throttled_us),
            throttled_periods: delta(now.throttled_periods, before.throttled_periods),
            memory_start_bytes: self.memory_bytes,
            memory_peak_bytes: memory.value,
            memory_peak_source: memory.source,
            memory_peak_bound_bytes: memory.bound,
            memory_anon_bytes: seen.memory_parts.map(|(anon, _)| anon),
            memory_file_bytes: seen.memory_parts.map(|(_, file)| file),
            oom_kills: delta(now.oom_kills, before.oom_kills),
            pids_peak,
            pids_peak_source,
            pids_limit_hits: limit_hits,
            io_read_bytes: delta(now.io_read_bytes, before.io_read_bytes),
            io_write_bytes: delta(now.io_write_bytes, before.io_write_bytes),
            cpu_pressure_us,
            memory_pressure_us,
            io_pressure_us,
            // Only the reset sees them.
            tmpfs_left_bytes: None,
        };
        (resources, after)
    }
}

/// Threads of this process.
fn own_threads() -> u64 {
    // The folder has a link for each of them, and two of its own.
    std::fs::metadata("/proc/self/task").map_or(1, |folder| folder.nlink().max(3) - 2)
}

/// CPU time of this process, in microseconds.
fn own_cpu_us() -> u64 {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map_or(0, |time| {
        time.tv_sec() as u64 * 1_000_000 + time.tv_nsec() as u64 / 1000
    })
}

/// CPU time of this thread: what a look at something has cost.
pub fn thread_cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    fn write(root: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            fs::write(root.join(name), text).unwrap();
        }
    }

    fn measure(start: &[(&str, &str)], end: &[(&str, &str)], seen: &Seen) -> (Resources, Meter) {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), start);
        let counters = Counters::open(root.path());
        let meter = Meter::start(&counters, None);
        write(root.path(), end);
        let (resources, after) = meter.finish(&counters, Duration::from_millis(3), seen);
        write(root.path(), &[("memory.current", "5000\n")]);
        (resources, Meter::start(&counters, Some(after)))
    }

    #[test]
    fn a_test_has_what_was_added_in_it() {
        let start = [
            ("cgroup.controllers", "cpu memory pids\n"),
            ("memory.current", "4000\n"),
            ("memory.peak", "4096\n"),
            ("memory.events", "oom_kill 3\n"),
            ("pids.events", "max 1\n"),
            ("pids.peak", "9\n"),
            ("pids.max", "16\n"),
            ("io.stat", "8:0 rbytes=1 wbytes=2\n"),
            (
                "cpu.stat",
                "usage_usec 10000000\nuser_usec 6000000\nsystem_usec 4000000\nnr_throttled 1\nthrottled_usec 7\n",
            ),
            ("memory.pressure", "some avg10=0.00 total=5\n"),
        ];
        let end = [
            ("memory.peak", "8192\n"),
            ("memory.events", "oom_kill 4\n"),
            ("pids.events", "max 3\n"),
            ("pids.peak", "17\n"),
            ("io.stat", "8:0 rbytes=11 wbytes=2\n"),
            (
                "cpu.stat",
                "usage_usec 90000000\nuser_usec 66000000\nsystem_usec 24000000\nnr_throttled 3\nthrottled_usec 9\n",
            ),
            ("memory.pressure", "some avg10=0.00 total=6\n"),
        ];
        let seen = Seen {
            memory_bytes: Some(6000),
            memory_parts: Some((1, 2)),
            threads: Some(2),
        };
        let (found, next) = measure(&start, &end, &seen);
        // This process works too, and that is taken off.
        let cpu = found.cpu_us.unwrap();
        assert!((70_000_000..=80_000_000).contains(&cpu), "{cpu}");
        let [user, system] = [found.cpu_user_us, found.cpu_system_us].map(Option::unwrap);
        assert_eq!(user + system, cpu);
        assert!(user.abs_diff(cpu / 4 * 3) < cpu / 20, "{user} of {cpu}");
        // Those of this process are not the test's; tests run in as many as they like.
        let threads = found.pids_peak.unwrap();
        assert!(threads < 16, "{threads}");
        let expected = Resources {
            wall_us: 3000,
            cpu_us: found.cpu_us,
            cpu_user_us: found.cpu_user_us,
            cpu_system_us: found.cpu_system_us,
            cpu_source: Some(Source::Cgroup),
            throttled_us: Some(2),
            throttled_periods: Some(2),
            memory_start_bytes: Some(4000),
            memory_peak_bytes: Some(8192),
            memory_peak_source: Some(Source::Cgroup),
            memory_peak_bound_bytes: None,
            memory_anon_bytes: Some(1),
            memory_file_bytes: Some(2),
            oom_kills: Some(1),
            pids_peak: Some(threads),
            pids_peak_source: Some(Source::Cgroup),
            pids_limit_hits: Some(2),
            io_read_bytes: Some(10),
            io_write_bytes: Some(0),
            cpu_pressure_us: None,
            memory_pressure_us: Some(1),
            io_pressure_us: None,
            tmpfs_left_bytes: None,
        };
        assert_eq!(found, expected);
        // Memory is that of now and everything else as it was counted last.
        assert_eq!(next.memory_bytes, Some(5000));
        assert_eq!(next.memory_peak_bytes, Some(8192));
        assert_eq!(next.before.reading.oom_kills, Some(4));
    }

    #[test]
    fn without_a_cgroup_there_is_what_was_seen_and_reaped() {
        let seen = Seen {
            memory_bytes: Some(6000),
            memory_parts: None,
            threads: None,
        };
        let (found, _) = measure(&[], &[], &seen);
        let expected = Resources {
            wall_us: 3000,
            cpu_us: found.cpu_us,
            cpu_source: Some(Source::Rusage),
            memory_peak_bytes: Some(6000),
            memory_peak_source: Some(Source::Sampled),
            ..Resources::default()
        };
        assert_eq!((found.cpu_user_us, found.cpu_system_us), (None, None));
        assert!(found.cpu_us.is_some());
        assert_eq!(found, expected);
    }

    #[test]
    fn threads_of_this_process_are_counted() {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("Threads:"));
        let more = std::thread::scope(|scope| {
            let (wait, release) = std::sync::mpsc::channel::<()>();
            scope.spawn(move || release.recv());
            let more = own_threads();
            drop(wait);
            more
        });
        assert!(line.is_some() && more > 1, "{more}");
    }
}
