//! Figures for people.

use crate::model::{Figure, format_bytes, format_us};

/// A value of `figure` with its unit.
pub fn shown(figure: Figure, value: f64) -> String {
    match figure {
        Figure::Memory => format_bytes(value as u64),
        Figure::Cpu | Figure::Wall => format_us(value as u64),
        Figure::Files | Figure::Threads | Figure::Violations => format!("{value:.0}"),
    }
}

/// A share of a limit: `12 %`, below one percent `0.2 %`, and of nearly nothing `<0.1 %`.
pub fn share(value: f64, limit: f64) -> Option<String> {
    if limit <= 0.0 {
        return None;
    }
    let percent = value * 100.0 / limit;
    Some(match percent {
        percent if percent >= 1.0 => format!("{percent:.0} %"),
        percent if percent >= 0.1 || percent == 0.0 => format!("{percent:.1} %"),
        _ => "<0.1 %".into(),
    })
}

/// The values, each as a character that is as high as its share of the highest; a `.` where there is
/// none. Without `drawn`, digits from 1 to 8 instead of blocks.
pub fn sparkline(values: &[Option<f64>], drawn: bool) -> String {
    let levels = if drawn {
        "▁▂▃▄▅▆▇█"
    } else {
        "12345678"
    };
    let highest = values.iter().flatten().fold(0.0, |a: f64, b| a.max(*b));
    let level = |value: &Option<f64>| {
        let share = value.map(|value| if highest > 0.0 { value / highest } else { 0.0 });
        let at = share.map(|share| (share * 7.0).round() as usize);
        at.and_then(|at| levels.chars().nth(at)).unwrap_or('.')
    };
    values.iter().map(level).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_limits() {
        assert_eq!(share(50.0, 200.0).unwrap(), "25 %");
        assert_eq!(share(1.0, 500.0).unwrap(), "0.2 %");
        assert_eq!(share(1.0, 5000.0).unwrap(), "<0.1 %");
        assert_eq!(share(1.0, 0.0), None);
    }

    #[test]
    fn sparklines_begin_at_zero() {
        let values = [Some(0.0), Some(50.0), None, Some(100.0)];
        assert_eq!(sparkline(&values, true), "▁▅.█");
        assert_eq!(sparkline(&values, false), "15.8");
        assert_eq!(sparkline(&[Some(0.0), None], false), "1.");
        assert_eq!(sparkline(&[], true), "");
    }
}
