//! Points in time, for people.

use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

/// Microseconds since 1970 as `2026-01-31T12:00:00Z`; absent for what no calendar has.
pub fn calendar(unix_us: u64) -> Option<String> {
    let time = UNIX_EPOCH.checked_add(Duration::from_micros(unix_us))?;
    let mut out = String::new();
    write!(out, "{}", humantime::format_rfc3339_seconds(time)).ok()?;
    Some(out)
}

/// The same, with a number for what no calendar has.
pub fn when(unix_us: u64) -> String {
    calendar(unix_us).unwrap_or_else(|| format!("{unix_us} us after 1970"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_time_is_too_much() {
        assert_eq!(when(1_700_000_000_000_000), "2023-11-14T22:13:20Z");
        assert_eq!(when(u64::MAX), "18446744073709551615 us after 1970");
    }
}
