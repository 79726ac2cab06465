//! What rose from a test's beginning to its end, and so may be lost bit by bit.

use super::Finding;
use crate::model::{Sample, ViolationKind, median};

/// With fewer samples nothing is said.
const SAMPLES: usize = 20;
/// The median of the last third over that of the first.
const FACTOR: f64 = 1.5;
/// And so many more at least.
const MORE: f64 = 16.0;

/// Everything of that kind in a series.
pub fn find(series: &[Sample]) -> Vec<Finding> {
    let open_files = rise(series, |sample| sample.open_files).map(|rise| {
        let kind = ViolationKind::OpenFileGrowth;
        rise.finding(kind, "open files")
    });
    let threads = rise(series, |sample| sample.threads).map(|rise| {
        let kind = ViolationKind::ThreadGrowth;
        rise.finding(kind, "threads")
    });
    open_files.into_iter().chain(threads).collect()
}

struct Rise {
    from: f64,
    to: f64,
    /// From here on it is one.
    threshold: f64,
}

impl Rise {
    fn finding(self, kind: ViolationKind, what: &str) -> Finding {
        let Rise {
            from,
            to,
            threshold,
        } = self;
        Finding {
            kind,
            threshold: Some(threshold),
            actual: Some(to),
            message: format!("{what} rose from {from:.0} to {to:.0} while it ran"),
            fact: false,
        }
    }
}

/// Thirds by number of samples that have the value.
fn rise(series: &[Sample], value: fn(&Sample) -> Option<u64>) -> Option<Rise> {
    let values = series.iter().filter_map(value).map(|value| value as f64);
    let values: Vec<f64> = values.collect();
    if values.len() < SAMPLES {
        return None;
    }
    let third = values.len() / 3;
    let from = median(values[..third].to_vec())?;
    let to = median(values[values.len() - third..].to_vec())?;
    let threshold = (from * FACTOR).max(from + MORE);
    (to > from * FACTOR && to >= from + MORE).then_some(Rise {
        from,
        to,
        threshold,
    })
}
