//! From samples to figures. Pure.

use serde::{Deserialize, Serialize};

use super::Sample;

/// Below so many samples there is no 95th percentile.
pub const SAMPLES_FOR_P95: usize = 20;
/// Below so many samples there is no 99th percentile.
pub const SAMPLES_FOR_P99: usize = 100;

/// Of one quantity over one attempt. Samples are not evenly apart, so each counts for the time since
/// the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// How many samples have the quantity.
    pub samples: u64,
    /// The highest.
    pub max: f64,
    /// The mean over time.
    pub avg: f64,
    /// What it did not exceed in 95 % of the time; absent under [`SAMPLES_FOR_P95`] samples.
    pub p95: Option<f64>,
    /// What it did not exceed in 99 % of the time; absent under [`SAMPLES_FOR_P99`] samples.
    pub p99: Option<f64>,
}

/// Of every quantity that was sampled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// Looks at the test, whatever each saw.
    pub samples: u64,
    /// Of one processor's time, between two samples: 200 is two processors.
    pub cpu_percent: Option<Spread>,
    /// Bytes.
    pub memory_bytes: Option<Spread>,
    /// Of all processes.
    pub open_files: Option<Spread>,
    /// Of all processes.
    pub threads: Option<Spread>,
}

impl Statistics {
    /// Of a series in order of time.
    pub fn of(series: &[Sample]) -> Self {
        let levels = |value: fn(&Sample) -> Option<u64>| {
            let mut before = 0;
            let weighed = series.iter().filter_map(|sample| {
                let value = value(sample)? as f64;
                let since = sample.time_us.saturating_sub(before);
                before = sample.time_us;
                Some((value, since as f64))
            });
            Spread::of(weighed.collect())
        };
        Statistics {
            samples: series.len() as u64,
            cpu_percent: Spread::of(cpu_percent(series)),
            memory_bytes: levels(|sample| sample.memory_bytes),
            open_files: levels(|sample| sample.open_files),
            threads: levels(|sample| sample.threads),
        }
    }
}

/// The use of processors between two samples, in percent of one, each with its length in
/// microseconds. At the test's start its CPU time is 0.
fn cpu_percent(series: &[Sample]) -> Vec<(f64, f64)> {
    let mut before = (0, 0);
    let rates = series.iter().filter_map(|sample| {
        let now = (sample.time_us, sample.cpu_us?);
        let (time, cpu) = (
            now.0.saturating_sub(before.0),
            now.1.saturating_sub(before.1),
        );
        if time == 0 {
            return None;
        }
        before = now;
        Some((cpu as f64 * 100.0 / time as f64, time as f64))
    });
    rates.collect()
}

impl Spread {
    /// Of values with their weights; `None` of none.
    fn of(mut weighed: Vec<(f64, f64)>) -> Option<Self> {
        let samples = weighed.len();
        weighed.sort_by(|a, b| a.0.total_cmp(&b.0));
        let max = weighed.last()?.0;
        let total: f64 = weighed.iter().map(|(_, weight)| weight).sum();
        if total <= 0.0 {
            // All at the very start: each counts the same.
            weighed.iter_mut().for_each(|(_, weight)| *weight = 1.0);
        }
        let total: f64 = weighed.iter().map(|(_, weight)| weight).sum();
        let sum: f64 = weighed.iter().map(|(value, weight)| value * weight).sum();
        let percentile = |share: f64, least: usize| {
            let mut below = 0.0;
            (samples >= least).then(|| {
                weighed
                    .iter()
                    .find(|(_, weight)| {
                        below += weight;
                        below >= total * share
                    })
                    .map_or(max, |(value, _)| *value)
            })
        };
        Some(Spread {
            samples: samples as u64,
            max,
            avg: sum / total,
            p95: percentile(0.95, SAMPLES_FOR_P95),
            p99: percentile(0.99, SAMPLES_FOR_P99),
        })
    }
}

/// The middle of some values; `None` of none.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let count = values.len();
    match count {
        0 => None,
        _ if count % 2 == 1 => Some(values[count / 2]),
        _ => Some(f64::midpoint(values[count / 2 - 1], values[count / 2])),
    }
}

/// How far values lie from their median, in the middle (MAD); `None` of none.
pub fn median_deviation(values: &[f64]) -> Option<f64> {
    let middle = median(values.to_vec())?;
    median(values.iter().map(|value| (value - middle).abs()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(samples: &[(u64, u64, u64)]) -> Vec<Sample> {
        let sample = |(time_us, cpu_us, memory)| Sample {
            time_us,
            cpu_us: Some(cpu_us),
            memory_bytes: Some(memory),
            ..Sample::default()
        };
        samples.iter().copied().map(sample).collect()
    }

    #[test]
    fn a_sample_counts_for_the_time_since_the_one_before() {
        let found = Statistics::of(&series(&[(10, 10, 100), (40, 70, 400)]));
        let memory = found.memory_bytes.unwrap();
        assert_eq!((memory.max, memory.avg), (400.0, 325.0));
        let cpu = found.cpu_percent.unwrap();
        assert_eq!((cpu.max, cpu.avg), (200.0, 175.0));
        assert_eq!((found.open_files, cpu.p95, cpu.p99), (None, None, None));
    }

    #[test]
    fn percentiles_need_enough_samples() {
        let even = |count: u64| {
            let all: Vec<_> = (1..=count).map(|at| (at, 0, at)).collect();
            Statistics::of(&series(&all)).memory_bytes.unwrap()
        };
        assert_eq!(even(19).p95, None);
        assert_eq!(even(20).p95, Some(19.0));
        assert_eq!(even(99).p99, None);
        assert_eq!(even(100).p99, Some(99.0));
    }

    #[test]
    fn nothing_sampled_is_nothing_known() {
        assert_eq!(Statistics::of(&[]), Statistics::default());
        assert_eq!(median(Vec::new()), None);
    }

    #[test]
    fn medians() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0]), Some(2.5));
        assert_eq!(median_deviation(&[1.0, 2.0, 9.0]), Some(1.0));
    }
}
