//! Samples in a bounded number: when there is no more room, neighbours are merged. Pure.

use std::time::Duration;

use crate::model::{Sample, Series};

/// Most samples of one attempt.
pub const MOST: usize = 600;
/// The spacing of the first samples that were merged.
const FIRST_SPACING: Duration = Duration::from_millis(100);

/// Between two samples that have CPU time. The kernel adds up that of a running process at its clock
/// ticks, of 1 to 10 milliseconds: from one look to the next there would be none or twice as much.
pub const CPU_SPACING: Duration = Duration::from_millis(25);

/// The samples so far.
#[derive(Default)]
pub struct Bounded {
    samples: Series,
    spacing: Duration,
}

impl Bounded {
    /// How far apart samples have to be at least, so that merging is not needed again soon; zero
    /// while there was no need.
    pub fn spacing(&self) -> Duration {
        self.spacing
    }

    /// Adds one that is later than all others.
    pub fn push(&mut self, sample: Sample) {
        if self.samples.len() >= MOST {
            self.samples = self.samples.chunks(2).map(merge).collect();
            self.spacing = (self.spacing * 2).max(FIRST_SPACING);
        }
        self.samples.push(sample);
    }

    /// The CPU time of the last sample that has one, in microseconds.
    pub fn cpu_us(&self) -> u64 {
        let last = self.samples.iter().rev().find_map(|sample| sample.cpu_us);
        last.unwrap_or(0)
    }

    /// Adds the last one and gives all away.
    pub fn finish(mut self, last: Sample) -> Series {
        let from = last.time_us.saturating_sub(CPU_SPACING.as_micros() as u64);
        let close = |sample: &&mut Sample| sample.time_us > from;
        for sample in self.samples.iter_mut().rev().take_while(close) {
            sample.cpu_us = None;
        }
        self.push(last);
        self.samples
    }
}

/// Two neighbours as one: the time and CPU time of the later, and the highest of everything else.
fn merge(neighbours: &[Sample]) -> Sample {
    let mut merged = Sample::default();
    for sample in neighbours {
        merged = Sample {
            time_us: sample.time_us,
            cpu_us: sample.cpu_us.or(merged.cpu_us),
            memory_bytes: merged.memory_bytes.max(sample.memory_bytes),
            processes: merged.processes.max(sample.processes),
            threads: merged.threads.max(sample.threads),
            open_files: merged.open_files.max(sample.open_files),
            pss_bytes: merged.pss_bytes.max(sample.pss_bytes),
        };
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_keep_the_later_time_and_the_highest_values() {
        let first = Sample {
            time_us: 10,
            cpu_us: Some(4),
            memory_bytes: Some(70),
            processes: Some(1),
            ..Sample::default()
        };
        let second = Sample {
            time_us: 20,
            cpu_us: None,
            memory_bytes: Some(50),
            threads: Some(3),
            ..Sample::default()
        };
        let merged = merge(&[first, second]);
        let expected = Sample {
            time_us: 20,
            cpu_us: Some(4),
            memory_bytes: Some(70),
            processes: Some(1),
            threads: Some(3),
            ..Sample::default()
        };
        assert_eq!(merged, expected);
        assert_eq!(merge(&[first]), first);
    }

    #[test]
    fn the_last_cpu_time_is_not_close_to_the_one_before() {
        let mut series = Bounded::default();
        for ms in [25, 50, 75] {
            series.push(Sample {
                time_us: ms * 1000,
                cpu_us: Some(ms),
                ..Sample::default()
            });
        }
        let samples = series.finish(Sample {
            time_us: 76_000,
            cpu_us: Some(80),
            ..Sample::default()
        });
        let cpu: Vec<_> = samples.iter().map(|sample| sample.cpu_us).collect();
        assert_eq!(cpu, [Some(25), Some(50), None, Some(80)]);
    }

    /// An hour of a test: never more than the most, in order, with the highest value kept and the
    /// last one as it was.
    #[test]
    fn any_number_fits() {
        let mut series = Bounded::default();
        let (mut time_us, mut pushed) = (0, 0);
        while time_us < 3_600_000_000 {
            time_us += 50_000.max(series.spacing().as_micros() as u64);
            pushed += 1;
            let memory = if pushed == 777 { 9999 } else { pushed % 7 };
            series.push(Sample {
                time_us,
                cpu_us: Some(time_us / 2),
                memory_bytes: Some(memory),
                ..Sample::default()
            });
            assert!(series.samples.len() <= MOST);
        }
        assert_eq!(series.cpu_us(), time_us / 2);
        assert!(series.spacing() >= Duration::from_secs(4), "{pushed}");
        let last = Sample {
            time_us: time_us + 1,
            ..Sample::default()
        };
        let samples = series.finish(last);
        assert!(samples.len() <= MOST && samples.len() > MOST / 2);
        assert!(samples.is_sorted_by(|a, b| a.time_us < b.time_us));
        let highest = samples
            .iter()
            .filter_map(|sample| sample.memory_bytes)
            .max();
        assert_eq!(highest, Some(9999));
        assert_eq!(samples.last(), Some(&last));
    }
}
