//! Looks at a running test now and then: what its processes use, over time.
//!
//! The supervisor's one `poll` loop drives it with one deadline more. There are three kinds of looks:
//! at the cgroup's counters, which is cheap and often; at all processes; and at what memory each of
//! them has, which is dear and seldom. Each kind keeps away for many times of what it cost.

mod pace;
mod series;
mod tree;

use std::time::{Duration, Instant};

use self::pace::{Pace, counters_interval, tree_interval};
use self::series::{Bounded, CPU_SPACING};
pub use self::tree::Trees;
use super::cgroup::Counters;
use super::meter::{Meter, Seen, thread_cpu};
use super::process::{Reach, ticks_us};
use crate::model::{Sample, Series};

const MS: Duration = Duration::from_millis(1);
/// A look at the counters is at least so many times its cost from the next.
const COUNTERS_DEARNESS: u32 = 200;
/// Looks at processes, and at their memory: two workers together stay below 1 % of a processor,
/// whatever the tree.
const TREE_DEARNESS: u32 = 800;
/// The same where nothing else tells of memory.
const ONLY_DEARNESS: u32 = 200;
const MEMORY_INTERVAL: Duration = Duration::from_secs(1);
/// A look at processes is broken off after so long: where hundreds of them compute, this one seldom
/// gets a processor, and the test's clock must not wait for it.
const PATIENCE: Duration = Duration::from_millis(100);
/// And it is not tried again before.
const RETRY: Duration = Duration::from_secs(2);
/// The parts of memory are looked at again when it has grown by this share, and by so much.
const GROWTH_SHARE: u64 = 50;
const GROWTH_BYTES: u64 = 256 << 10;

/// What the looks go to.
pub struct View {
    /// The cgroup's.
    pub counters: Counters,
    /// All processes.
    pub trees: Trees,
    /// Which of them are the test's.
    pub reach: Reach,
}

/// The looks at one test.
pub struct Sampler {
    /// Memory and CPU time are the cgroup's; else they are added up over processes.
    counted_cpu: bool,
    counted_memory: bool,
    counters: Pace,
    /// CPU time is not read before, since the test's start.
    cpu_from: Duration,
    tree: Pace,
    memory: Pace,
    parts: Pace,
    /// Memory when its parts were looked at last, in bytes.
    parts_at: u64,
    series: Bounded,
    seen: Seen,
}

impl Sampler {
    /// For a test that starts now.
    pub fn new(counters: &Counters) -> Self {
        let counted_memory = counters.count_memory();
        // Where it is the only word on memory, it is as frequent as the look at processes.
        let memory = if counted_memory {
            Pace::from(MEMORY_INTERVAL, TREE_DEARNESS)
        } else {
            Pace::from(20 * MS, ONLY_DEARNESS)
        };
        Sampler {
            counted_cpu: counters.count_cpu(),
            counted_memory,
            counters: Pace::from(5 * MS, COUNTERS_DEARNESS),
            cpu_from: CPU_SPACING,
            tree: Pace::from(20 * MS, TREE_DEARNESS),
            memory,
            parts: Pace::from(20 * MS, TREE_DEARNESS),
            parts_at: 0,
            series: Bounded::default(),
            seen: Seen::default(),
        }
    }

    /// When the next look is due, since the test's start.
    pub fn due(&self) -> Duration {
        let others = self.tree.due().min(self.memory.due());
        if self.counted_cpu || self.counted_memory {
            others.min(self.counters.due())
        } else {
            others
        }
    }

    /// Looks at what is due.
    pub fn look(&mut self, view: &View, meter: &Meter) {
        let at = meter.started.elapsed();
        if at < self.due() {
            return;
        }
        let spacing = self.series.spacing();
        let mut cost = Cost::start();
        let mut sample = Sample {
            time_us: at.as_micros() as u64,
            ..Sample::default()
        };
        if self.counted_cpu && at >= self.cpu_from {
            sample.cpu_us = meter.cpu_us(&view.counters);
            self.cpu_from = at + CPU_SPACING;
        }
        if self.counted_memory {
            sample.memory_bytes = view.counters.memory_bytes();
        }
        let interval = counters_interval(at).max(spacing);
        self.counters.looked(at, cost.lap(), interval);
        let memory_is_due = self.memory.is_due(at);
        if self.tree.is_due(at) || memory_is_due {
            self.look_at_tree(view, meter, at, &mut sample, memory_is_due, &mut cost);
        }
        if let Some(memory) = sample.memory_bytes {
            self.seen.memory_bytes = self.seen.memory_bytes.max(Some(memory));
            if self.counted_memory {
                self.look_at_parts(&view.counters, at, memory, &mut cost);
            }
        }
        // A process that was reaped between two of the kernel's answers is in neither.
        let before = self.series.cpu_us();
        sample.cpu_us = sample.cpu_us.map(|cpu_us| cpu_us.max(before));
        self.series.push(sample);
    }

    fn look_at_tree(
        &mut self,
        view: &View,
        meter: &Meter,
        at: Duration,
        sample: &mut Sample,
        memory_is_due: bool,
        cost: &mut Cost,
    ) {
        let interval = tree_interval(at).max(self.series.spacing());
        let deadline = Some(Instant::now() + PATIENCE);
        let Some(tree) = view.trees.look(view.reach, deadline) else {
            let cost = cost.lap();
            self.tree.looked(at, cost, interval.max(RETRY));
            if memory_is_due {
                self.memory.looked(at, cost, MEMORY_INTERVAL.max(RETRY));
            }
            return;
        };
        sample.processes = Some(tree.processes);
        sample.threads = Some(tree.threads);
        sample.open_files = tree.open_files;
        if !self.counted_cpu {
            sample.cpu_us = Some(meter.reaped_us() + ticks_us(tree.ticks));
        }
        self.seen.threads = self.seen.threads.max(Some(tree.threads));
        self.tree.looked(at, cost.lap(), interval);
        if memory_is_due {
            sample.pss_bytes = view.trees.pss_bytes(&tree.pids, deadline);
            let interval = if self.counted_memory {
                MEMORY_INTERVAL.max(self.series.spacing())
            } else {
                sample.memory_bytes = sample.pss_bytes;
                interval
            };
            self.memory.looked(at, cost.lap(), interval);
        }
    }

    /// Where memory is clearly higher than the last time.
    fn look_at_parts(&mut self, counters: &Counters, at: Duration, memory: u64, cost: &mut Cost) {
        let growth = (self.parts_at / GROWTH_SHARE).max(GROWTH_BYTES);
        let is_first = self.seen.memory_parts.is_none();
        if self.parts.is_due(at) && (is_first || memory > self.parts_at + growth) {
            self.parts_at = memory;
            self.seen.memory_parts = counters.memory_parts();
            self.parts.looked(at, cost.lap(), 10 * MS);
        }
    }

    /// A last look at memory, before the reset: what a test leaves in tmpfs is still there.
    pub fn close(&mut self, counters: &Counters) -> Option<u64> {
        let memory = counters.memory_bytes();
        self.seen.memory_bytes = self.seen.memory_bytes.max(memory);
        memory
    }

    /// What was seen.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// All samples, with a closing one: what a test has used when it is over.
    pub fn finish(self, wall: Duration, cpu_us: Option<u64>, memory: Option<u64>) -> Series {
        let before = self.series.cpu_us();
        let last = Sample {
            time_us: wall.as_micros() as u64,
            cpu_us: cpu_us.map(|cpu_us| cpu_us.max(before)),
            memory_bytes: memory,
            ..Sample::default()
        };
        self.series.finish(last)
    }
}

/// CPU time from one look to the next.
struct Cost(Duration);

impl Cost {
    fn start() -> Self {
        Cost(thread_cpu())
    }

    fn lap(&mut self) -> Duration {
        let now = thread_cpu();
        now.saturating_sub(std::mem::replace(&mut self.0, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    fn cgroup(memory: u64) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("cgroup.controllers", "memory\n"),
            ("cpu.stat", "usage_usec 900000000\n"),
            ("memory.stat", "anon 11\nfile 22\n"),
        ] {
            fs::write(root.path().join(name), text).unwrap();
        }
        set_memory(root.path(), memory);
        root
    }

    fn set_memory(root: &Path, memory: u64) {
        fs::write(root.join("memory.current"), format!("{memory}\n")).unwrap();
    }

    fn view(root: &Path) -> View {
        View {
            counters: Counters::open(root),
            trees: Trees::new(Path::new("/proc")),
            reach: Reach::Descendants,
        }
    }

    /// Looks whenever that is due, for so long.
    fn watch(sampler: &mut Sampler, view: &View, meter: &Meter, until: Duration) {
        while meter.started.elapsed() < until {
            sampler.look(view, meter);
            let left = sampler.due().saturating_sub(meter.started.elapsed());
            std::thread::sleep(left.min(until));
        }
    }

    #[test]
    fn what_is_over_at_once_has_one_sample() {
        let root = cgroup(5 << 20);
        let view = view(root.path());
        let meter = Meter::start(&view.counters, None);
        let mut sampler = Sampler::new(&view.counters);
        assert_eq!(sampler.due(), 5 * MS);
        let memory = sampler.close(&view.counters);
        let expected = Seen {
            memory_bytes: Some(5 << 20),
            ..Seen::default()
        };
        assert_eq!(sampler.seen(), &expected);
        let series = sampler.finish(MS, meter.cpu_us(&view.counters), memory);
        let last = Sample {
            time_us: 1000,
            cpu_us: series[0].cpu_us,
            memory_bytes: Some(5 << 20),
            ..Sample::default()
        };
        assert_eq!(series, [last]);
    }

    #[test]
    fn counters_are_looked_at_often_and_processes_seldom() {
        let root = cgroup(5 << 20);
        let view = view(root.path());
        let meter = Meter::start(&view.counters, None);
        let mut sampler = Sampler::new(&view.counters);
        sampler.look(&view, &meter);
        watch(&mut sampler, &view, &meter, 60 * MS);
        set_memory(root.path(), 9 << 20);
        fs::write(root.path().join("memory.stat"), "anon 33\nfile 44\n").unwrap();
        watch(&mut sampler, &view, &meter, 180 * MS);
        set_memory(root.path(), 7 << 20);
        let memory = sampler.close(&view.counters);
        assert_eq!(sampler.seen().memory_bytes, Some(9 << 20));
        assert_eq!(sampler.seen().memory_parts, Some((33, 44)));
        assert!(sampler.seen().threads.is_some());
        let series = sampler.finish(180 * MS, Some(1), memory);
        let with = |value: fn(&Sample) -> Option<u64>| series.iter().filter_map(value).count();
        let (memory, processes) = (with(|s| s.memory_bytes), with(|s| s.processes));
        assert_eq!(memory, series.len());
        assert!((1..=3).contains(&processes), "{processes}");
        assert!(series.len() > processes, "{series:?}");
        assert!(with(|s| s.cpu_us) <= 8, "{series:?}");
        assert_eq!(with(|s| s.pss_bytes), 0);
        assert!(series.is_sorted_by(|a, b| a.time_us < b.time_us));
        assert!(series.first().is_some_and(|first| first.time_us >= 5000));
    }

    #[test]
    fn without_counters_processes_are_added_up() {
        let nothing = tempfile::tempdir().unwrap();
        let view = view(nothing.path());
        let meter = Meter::start(&view.counters, None);
        let mut sampler = Sampler::new(&view.counters);
        assert_eq!(sampler.due(), 20 * MS);
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        watch(&mut sampler, &view, &meter, 30 * MS);
        child.kill().unwrap();
        child.wait().unwrap();
        let memory = sampler.close(&view.counters);
        assert_eq!(memory, None);
        let seen = sampler.seen().memory_bytes;
        let series = sampler.finish(60 * MS, None, memory);
        let first = series[0];
        assert!(first.memory_bytes > Some(0) && first.memory_bytes == first.pss_bytes);
        assert_eq!(seen, first.memory_bytes);
        assert!(first.cpu_us.is_some() && first.processes >= Some(1));
    }
}
