//! A series as a plot has it: columns, and no more points than can be told apart.

use serde::Serialize;

use crate::model::Sample;

/// A plot's points. A quantity that was never sampled is absent.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Plot {
    /// How many samples there were.
    pub samples: usize,
    /// Of each point, in milliseconds since the test's start.
    pub time_ms: Vec<u64>,
    /// In KiB.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub memory_kib: Vec<Option<u64>>,
    /// The use of processors since the point before, in percent of one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cpu_percent: Vec<Option<u64>>,
    /// Of all processes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub open_files: Vec<Option<u64>>,
    /// Of all processes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub threads: Vec<Option<u64>>,
}

/// At most `most` points of a series in order of time. Where there are more samples, each point
/// stands for several in a row, at the time of the last: it is the highest of them, and for the
/// processors the mean, so that no peak is lost.
pub fn plot(series: &[Sample], most: usize) -> Plot {
    let each = series.len().div_ceil(most.max(1)).max(1);
    let groups: Vec<&[Sample]> = series.chunks(each).collect();
    let highest = |value: fn(&Sample) -> Option<u64>| {
        let all = groups
            .iter()
            .map(|group| group.iter().filter_map(value).max());
        known(all.collect())
    };
    Plot {
        samples: series.len(),
        time_ms: groups
            .iter()
            .filter_map(|group| Some(group.last()?.time_us / 1000))
            .collect(),
        memory_kib: highest(|sample| sample.memory_bytes.map(|bytes| bytes >> 10)),
        cpu_percent: cpu_percent(&groups),
        open_files: highest(|sample| sample.open_files),
        threads: highest(|sample| sample.threads),
    }
}

fn cpu_percent(groups: &[&[Sample]]) -> Vec<Option<u64>> {
    let mut before = (0, 0);
    let rates = groups.iter().map(|group| {
        let with_cpu = |sample: &Sample| Some((sample.time_us, sample.cpu_us?));
        let now = group.iter().rev().find_map(with_cpu)?;
        let time = now.0.saturating_sub(before.0);
        let cpu = now.1.saturating_sub(before.1);
        before = now;
        (u128::from(cpu) * 100)
            .checked_div(u128::from(time))
            .and_then(|rate| u64::try_from(rate).ok())
    });
    known(rates.collect())
}

/// Nothing, where every value is absent.
fn known(values: Vec<Option<u64>>) -> Vec<Option<u64>> {
    if values.iter().all(Option::is_none) {
        return Vec::new();
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(count: u64) -> Vec<Sample> {
        (1..=count)
            .map(|at| Sample {
                time_us: at * 10_000,
                cpu_us: Some(at * 5_000),
                memory_bytes: Some(if at == 37 { 900 << 10 } else { 100 << 10 }),
                ..Sample::default()
            })
            .collect()
    }

    #[test]
    fn a_short_series_is_whole() {
        let plot = plot(&series(3), 100);
        assert_eq!(plot.time_ms, [10, 20, 30]);
        assert_eq!(plot.cpu_percent, [Some(50); 3]);
        assert_eq!(plot.memory_kib, [Some(100); 3]);
        assert_eq!((plot.open_files.len(), plot.threads.len()), (0, 0));
    }

    #[test]
    fn a_long_one_keeps_its_peak() {
        let plot = plot(&series(1000), 50);
        assert_eq!((plot.samples, plot.time_ms.len()), (1000, 50));
        assert_eq!(plot.memory_kib.iter().max(), Some(&Some(900)));
        assert_eq!(plot.cpu_percent, vec![Some(50); 50]);
        assert_eq!(plot.time_ms.last(), Some(&10_000));
    }

    #[test]
    fn nothing_sampled_has_no_point() {
        assert_eq!(plot(&[], 50), Plot::default());
    }
}
