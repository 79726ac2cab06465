//! A small plot over time for a terminal, in eighths of a character or in ASCII.
//!
//! Crates for this were looked at and do not fit: `textplots` draws in Braille only, `rasciigraph` in
//! box characters only and values that are evenly apart. Here samples are not, may be missing, and
//! have to look like something where nothing but ASCII can be shown.

/// Lines of a plot.
const HEIGHT: usize = 4;
/// Characters of a label at least, so that plots of one test stand below each other.
const LABEL: usize = 8;
/// A character that is filled from below, in steps.
const UNICODE: [char; 9] = [
    ' ', '\u{2581}', '\u{2582}', '\u{2583}', '\u{2584}', '\u{2585}', '\u{2586}', '\u{2587}',
    '\u{2588}',
];
const ASCII: [char; 4] = [' ', '.', ':', '#'];

/// How it is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Characters of a line, labels included.
    pub width: usize,
    /// Whether block characters can be shown.
    pub unicode: bool,
}

/// Draws `points`, each a time and the value that held since the point before it, in order of time.
/// The labels are those of the highest value and of the last time. `None` where there is nothing to
/// draw, or no room.
pub fn plot(
    points: &[(u64, f64)],
    style: Style,
    value: impl Fn(f64) -> String,
    time: impl Fn(u64) -> String,
) -> Option<String> {
    let end = points.last()?.0;
    let top = points.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    if end == 0 || !top.is_finite() || top <= 0.0 {
        return None;
    }
    let label = value(top);
    let indent = label.chars().count().max(LABEL) + 2;
    let columns = style
        .width
        .checked_sub(indent + 2)
        .filter(|left| *left >= 10)?;
    let last = time(end);
    if last.chars().count() + 2 > columns {
        return None;
    }
    let heights = columns_of(points, end, columns);
    let steps: &[char] = if style.unicode { &UNICODE } else { &ASCII };
    let full = steps.len() - 1;
    let mut out = String::new();
    for row in (0..HEIGHT).rev() {
        let name = match row {
            0 => "0",
            row if row == HEIGHT - 1 => label.as_str(),
            _ => "",
        };
        let mut line = format!("{name:>indent$} |");
        for height in &heights {
            // Anything above nothing is seen.
            let filled = (height / top * (HEIGHT * full) as f64).ceil() as usize;
            let here = filled.saturating_sub(row * full).min(full);
            line.push(steps[here]);
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    let room = columns.saturating_sub(1);
    out.push_str(&format!("{:indent$}  0{last:>room$}\n", ""));
    Some(out)
}

/// The highest value that held in each column's part of the time.
fn columns_of(points: &[(u64, f64)], end: u64, columns: usize) -> Vec<f64> {
    let mut heights = vec![0.0_f64; columns];
    let (end, width) = (u128::from(end), columns as u128);
    let at = |column: u128| {
        usize::try_from(column)
            .unwrap_or(usize::MAX)
            .min(columns - 1)
    };
    let mut before = 0;
    for (time, value) in points {
        let first = at(u128::from(before) * width / end);
        let last = at((u128::from(*time) * width).div_ceil(end).saturating_sub(1));
        for height in &mut heights[first..=last.max(first)] {
            *height = height.max(*value);
        }
        before = *time;
    }
    heights
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn drawn(points: &[(u64, f64)], width: usize, unicode: bool) -> Option<String> {
        let style = Style { width, unicode };
        plot(
            points,
            style,
            |value| format!("{value} B"),
            |time| format!("{time} us"),
        )
    }

    const STEPS: [(u64, f64); 5] = [(20, 1.0), (40, 3.0), (60, 6.0), (80, 12.0), (100, 0.0)];

    #[test]
    fn in_blocks() {
        assert_eq!(
            drawn(&STEPS, 22, true).unwrap(),
            "      12 B |      \u{2588}\u{2588}\n\
             \u{20}          |      \u{2588}\u{2588}\n\
             \u{20}          |    \u{2588}\u{2588}\u{2588}\u{2588}\n\
             \u{20}        0 |\u{2583}\u{2583}\u{2588}\u{2588}\u{2588}\u{2588}\u{2588}\u{2588}\n\
             \u{20}           0   100 us\n"
        );
    }

    #[test]
    fn in_ascii() {
        let text = drawn(&STEPS, 22, false).unwrap();
        assert!(text.is_ascii());
        assert_eq!(
            text,
            "      12 B |      ##\n           |      ##\n           |    ####\n         0 |..######\n            0   100 us\n"
        );
    }

    #[test]
    fn nothing_to_draw() {
        assert_eq!(drawn(&[], 80, true), None);
        assert_eq!(drawn(&[(0, 5.0)], 80, true), None);
        assert_eq!(drawn(&[(5, 0.0), (9, 0.0)], 80, true), None);
        assert_eq!(drawn(&STEPS, 18, true), None);
        assert_eq!(drawn(&[(5, f64::INFINITY)], 80, true), None);
    }

    proptest! {
        #[test]
        fn no_line_is_too_long(
            points in proptest::collection::vec((any::<u64>(), 0.0..1e18), 0..50),
            width in 0..200_usize,
            unicode: bool,
        ) {
            if let Some(text) = drawn(&points, width, unicode) {
                prop_assert_eq!(text.lines().count(), HEIGHT + 1);
                for line in text.lines() {
                    prop_assert!(line.chars().count() <= width, "{line:?}");
                }
            }
        }
    }
}
