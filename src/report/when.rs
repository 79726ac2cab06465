//! Points in time, for people.

use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

/// Microseconds since 1970 as `2026-01-31T12:00:00Z`; what no calendar has, as a number.
pub fn when(unix_us: u64) -> String {
    let mut out = String::new();
    match UNIX_EPOCH.checked_add(Duration::from_micros(unix_us)) {
        Some(time) if write!(out, "{}", humantime::format_rfc3339_seconds(time)).is_ok() => out,
        _ => format!("{unix_us} us after 1970"),
    }
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
