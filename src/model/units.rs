//! Sizes and durations as people write them. A number without a unit is refused: `512` of what?

use std::time::Duration;

const KIB: u64 = 1024;
/// The longest duration that is accepted; it keeps every deadline far from overflow.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

const SIZES: [(&str, u64); 10] = [
    ("B", 1),
    ("KiB", KIB),
    ("MiB", KIB * KIB),
    ("GiB", KIB * KIB * KIB),
    ("k", KIB),
    ("m", KIB * KIB),
    ("g", KIB * KIB * KIB),
    ("kB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

/// Parses a size in bytes: `128MiB`, `1.5GiB`, `100MB` (decimal), `64m` (as docker has it: MiB).
///
/// # Errors
/// A line that names the accepted form, for a missing or unknown unit, zero, or a number that
/// does not fit.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let refuse = |why: &str| {
        Err(format!(
            "invalid size '{}': {why}; write a number with a unit, as in 128MiB or 1GiB",
            super::escape(text.as_bytes())
        ))
    };
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    if unit.is_empty() {
        return refuse("it has no unit");
    }
    let Some((_, factor)) = SIZES.iter().find(|(name, _)| *name == unit).or_else(|| {
        SIZES
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit))
    }) else {
        return refuse("its unit is not known");
    };
    let Ok(number) = number.parse::<f64>() else {
        return refuse("it is not a number");
    };
    let bytes = number * *factor as f64;
    if bytes < 1.0 {
        return refuse("it is zero");
    }
    if bytes >= (1u64 << 53) as f64 {
        return refuse("it is too large");
    }
    Ok(bytes as u64)
}

/// Parses a duration: `2s`, `500ms`, `1m30s`. From 1 ms to 7 days.
///
/// # Errors
/// A line that names the accepted form.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let refuse = |why: &str| {
        Err(format!(
            "invalid duration '{}': {why}; write a number with a unit, as in 2s or 500ms",
            super::escape(text.as_bytes())
        ))
    };
    if text.ends_with(|c: char| c.is_ascii_digit()) {
        return refuse("it has no unit");
    }
    match humantime::parse_duration(text) {
        Err(_) => refuse("it is not a duration"),
        Ok(value) if value < Duration::from_millis(1) => refuse("it is less than 1ms"),
        Ok(value) if value > LONGEST => refuse("it is more than 7 days"),
        Ok(value) => Ok(value),
    }
}

/// `bytes` in the largest unit that leaves a number of 1 or more: `1.5 GiB`, `128 MiB`, `12 B`.
pub fn format_bytes(bytes: u64) -> String {
    let (unit, factor) = SIZES[..4]
        .iter()
        .rev()
        .find(|(_, factor)| bytes >= *factor)
        .unwrap_or(&SIZES[0]);
    let value = bytes as f64 / *factor as f64;
    if value >= 100.0 || value.fract() < 0.05 {
        format!("{value:.0} {unit}")
    } else {
        format!("{value:.1} {unit}")
    }
}

/// `duration` to three digits or so: `0.4 ms`, `12 ms`, `1.25 s`, `2m05s`.
pub fn format_duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        s if s >= 60.0 => format!("{}m{:02}s", s as u64 / 60, s as u64 % 60),
        s if s >= 1.0 => format!("{s:.2} s"),
        s if s >= 0.01 => format!("{:.0} ms", s * 1e3),
        s => format!("{:.1} ms", s * 1e3),
    }
}

/// The same for a number of microseconds.
pub fn format_us(us: u64) -> String {
    format_duration(Duration::from_micros(us))
}

/// `1 test`, `2 tests`: of a word whose plural is regular.
pub fn counted(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// A time in microseconds since 1970 as `2026-11-21 18:22:46`, in UTC.
pub fn format_time(unix_us: u64) -> String {
    // humantime ends with the year 9999.
    let seconds = (unix_us / 1_000_000).min(253_402_300_799);
    let time = std::time::UNIX_EPOCH + Duration::from_secs(seconds);
    let text = humantime::format_rfc3339_seconds(time).to_string();
    text.trim_end_matches('Z').replace('T', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        let all = [0, 1, 2].map(|number| counted(number, "test"));
        assert_eq!(all, ["0 tests", "1 test", "2 tests"]);
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_bytes("128MiB"), Ok(128 << 20));
        assert_eq!(parse_bytes("1.5GiB"), Ok(3 << 29));
        assert_eq!(parse_bytes("1gib"), Ok(1 << 30));
        assert_eq!(parse_bytes("64m"), Ok(64 << 20));
        assert_eq!(parse_bytes("100MB"), Ok(100_000_000));
        for bad in [
            "",
            "0",
            "512",
            "1e400",
            "-5m",
            "0MiB",
            "MiB",
            "1..2MiB",
            "1 PiB",
            "9999999GiB",
            "NaNMiB",
        ] {
            let error = parse_bytes(bad).unwrap_err();
            assert!(error.contains("128MiB"), "{bad}: {error}");
        }
    }

    #[test]
    fn durations() {
        assert_eq!(parse_duration("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(parse_duration("1m30s"), Ok(Duration::from_secs(90)));
        for bad in [
            "",
            "0",
            "0s",
            "10",
            "1y",
            "-1s",
            "99999999999999999999s",
            "1e3s",
        ] {
            let error = parse_duration(bad).unwrap_err();
            assert!(error.contains("as in 2s"), "{bad}: {error}");
        }
    }

    #[test]
    fn figures_are_short() {
        assert_eq!(format_bytes(12), "12 B");
        assert_eq!(format_bytes(128 << 20), "128 MiB");
        assert_eq!(format_bytes(3 << 29), "1.5 GiB");
        assert_eq!(format_duration(Duration::from_micros(400)), "0.4 ms");
        assert_eq!(format_duration(Duration::from_millis(1250)), "1.25 s");
        assert_eq!(format_duration(Duration::from_secs(125)), "2m05s");
    }

    #[test]
    fn times_are_utc() {
        assert_eq!(format_time(0), "1970-01-01 00:00:00");
        assert_eq!(format_time(1_700_000_000_999_999), "2023-11-14 22:13:20");
        assert_eq!(format_time(u64::MAX), "9999-12-31 23:59:59");
    }
}
