//! Whether the newest of some figures differs from the earlier ones by more than these differ among
//! themselves. Pure.

use super::noise::Usual;

/// The newest figure beside the earlier ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// The newest, in the figure's unit.
    pub newest: f64,
    /// How many earlier ones it is compared with.
    pub earlier: usize,
    /// The earlier ones' median, in the figure's unit.
    pub median: f64,
    /// The earlier ones' median deviation from it (MAD), in the figure's unit.
    pub deviation: f64,
    /// What that means.
    pub direction: Direction,
}

/// Where a figure goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Higher than noise explains.
    Up,
    /// Lower than noise explains.
    Down,
    /// Within the noise.
    Steady,
}

impl Direction {
    /// Its word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::Up => "up",
            Direction::Down => "down",
            Direction::Steady => "steady",
        }
    }
}

impl Trend {
    /// Of figures, oldest first; a difference up to `least` is noise whatever the figures are.
    /// `None` under [`ENOUGH`](super::noise::ENOUGH) earlier ones.
    pub fn of(figures: &[f64], least: f64) -> Option<Self> {
        let (newest, earlier) = figures.split_last()?;
        let usual = Usual::of(earlier)?;
        let noise = usual.noise(least);
        let change = newest - usual.median;
        Some(Trend {
            newest: *newest,
            earlier: earlier.len(),
            median: usual.median,
            deviation: usual.deviation,
            direction: match change {
                change if change > noise => Direction::Up,
                change if change < -noise => Direction::Down,
                _ => Direction::Steady,
            },
        })
    }

    /// The change in percent of the median; `None` where that is 0.
    pub fn percent(&self) -> Option<f64> {
        (self.median > 0.0).then(|| (self.newest - self.median) * 100.0 / self.median)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn direction(figures: &[f64]) -> Option<Direction> {
        Trend::of(figures, 1.0).map(|trend| trend.direction)
    }

    #[test]
    fn a_change_counts_beyond_the_noise() {
        let up = Trend::of(&[100.0, 102.0, 98.0, 101.0, 99.0, 150.0], 1.0).unwrap();
        assert_eq!((up.median, up.deviation, up.earlier), (100.0, 1.0, 5));
        assert_eq!((up.direction, up.percent()), (Direction::Up, Some(50.0)));
        let noisy = [100.0, 160.0, 60.0, 130.0, 90.0, 150.0];
        assert_eq!(direction(&noisy), Some(Direction::Steady));
        assert_eq!(
            direction(&[100.0, 100.0, 100.0, 100.0, 100.0, 50.0]),
            Some(Direction::Down)
        );
    }

    #[test]
    fn small_changes_of_steady_figures_are_noise() {
        assert_eq!(
            direction(&[100.0, 100.0, 100.0, 100.0, 100.0, 109.0]),
            Some(Direction::Steady)
        );
        assert_eq!(
            direction(&[1.0, 1.0, 1.0, 1.0, 1.0, 2.0]),
            Some(Direction::Steady)
        );
        assert_eq!(
            direction(&[0.0, 0.0, 0.0, 0.0, 0.0, 9.0]),
            Some(Direction::Up)
        );
    }

    #[test]
    fn one_outlier_among_the_earlier_does_not_hide_a_change() {
        let figures = [100.0, 101.0, 9000.0, 99.0, 100.0, 200.0];
        assert_eq!(direction(&figures), Some(Direction::Up));
    }

    #[test]
    fn few_figures_say_nothing() {
        assert_eq!(direction(&[]), None);
        assert_eq!(direction(&[1.0, 1.0, 1.0, 1.0, 900.0]), None);
        assert_eq!(Trend::of(&[0.0; 6], 1.0).unwrap().percent(), None);
    }
}
