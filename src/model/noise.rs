//! How far a figure may lie from the usual before anybody is told. Pure.

use super::statistics::{median, median_deviation};

/// Below so many figures nothing is known of their noise.
pub const ENOUGH: usize = 5;
/// How many standard deviations are noise.
const DEVIATIONS: f64 = 4.0;
/// From a median deviation to the standard deviation of normally distributed values.
const SCALE: f64 = 1.4826;
/// This part of the median is noise too, however steady the figures are.
const PART: f64 = 0.1;

/// What some figures of one kind are, in their own unit. A median and the median deviation from it
/// do not mind a few odd ones, as a mean would.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usual {
    /// Their median.
    pub median: f64,
    /// Their median absolute deviation from it (MAD).
    pub deviation: f64,
}

impl Usual {
    /// Of these; `None` under [`ENOUGH`].
    pub fn of(figures: &[f64]) -> Option<Self> {
        if figures.len() < ENOUGH {
            return None;
        }
        Some(Usual {
            median: median(figures.to_vec())?,
            deviation: median_deviation(figures)?,
        })
    }

    /// How far from the median is still noise; never less than `least`.
    pub fn noise(self, least: f64) -> f64 {
        (DEVIATIONS * SCALE * self.deviation)
            .max(PART * self.median)
            .max(least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_of_three_is_noise() {
        let usual = Usual::of(&[90.0, 95.0, 100.0, 105.0, 900.0]).unwrap();
        assert_eq!((usual.median, usual.deviation), (100.0, 5.0));
        assert!((usual.noise(0.0) - 29.652).abs() < 1e-9);
        assert_eq!(usual.noise(50.0), 50.0);
        let steady = Usual::of(&[100.0; 5]).unwrap();
        assert_eq!(steady.noise(0.0), 10.0);
        assert_eq!(Usual::of(&[100.0; 4]), None);
    }
}
