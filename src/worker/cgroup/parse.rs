//! The texts of the cgroup files. Pure.

/// The number behind `key` in lines of `key number`.
pub fn field(text: &str, key: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))
        .and_then(number)
}

/// A number alone in its file. `max`, where there is no limit, is none.
pub fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// Bytes read from and written to all devices, by v1's `DEVICE Read N` lines. A cgroup without any
/// input or output has no line of a device.
pub fn io_v1(text: &str) -> Option<(u64, u64)> {
    let mut sums = (0, 0);
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace().skip(1);
        let sum = match words.next() {
            Some("Read") => &mut sums.0,
            Some("Write") => &mut sums.1,
            _ => continue,
        };
        *sum += words.next().and_then(number)?;
    }
    Some(sums)
}

/// The same by v2's lines of `DEVICE rbytes=N wbytes=N ...`.
pub fn io_v2(text: &str) -> Option<(u64, u64)> {
    let mut sums = (0, 0);
    for word in text.split_ascii_whitespace() {
        if let Some(value) = word.strip_prefix("rbytes=") {
            sums.0 += number(value)?;
        } else if let Some(value) = word.strip_prefix("wbytes=") {
            sums.1 += number(value)?;
        }
    }
    Some(sums)
}

/// The time in which some task waited, in microseconds, by a `*.pressure` text.
pub fn pressure(text: &str) -> Option<u64> {
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    some.split_ascii_whitespace()
        .find_map(|word| word.strip_prefix("total="))
        .and_then(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_fields() {
        assert_eq!(number("12\n"), Some(12));
        assert_eq!(number("max\n"), None);
        assert_eq!(field("oom 1\noom_kill 2\n", "oom_kill"), Some(2));
        assert_eq!(field("oom_kill_disable 0\n", "oom_kill"), None);
    }

    #[test]
    fn input_and_output_of_all_devices_together() {
        let one = "8:0 Read 4096\n8:0 Write 8192\n8:0 Sync 1\n8:0 Total 12288\n\
                   7:1 Read 1\n7:1 Write 0\nTotal 12289\n";
        assert_eq!(io_v1(one), Some((4097, 8192)));
        assert_eq!(io_v1("Total 0\n"), Some((0, 0)));
        assert_eq!(io_v1("8:0 Read many\n"), None);
        let two = "8:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n7:1 rbytes=1\n";
        assert_eq!(io_v2(two), Some((4097, 8192)));
        assert_eq!(io_v2(""), Some((0, 0)));
        assert_eq!(io_v2("8:0 rbytes=x\n"), None);
    }

    #[test]
    fn the_pressure_of_some_task() {
        let text = "some avg10=0.00 avg60=0.00 avg300=0.00 total=77\n\
                    full avg10=0.00 avg60=0.00 avg300=0.00 total=5\n";
        assert_eq!(pressure(text), Some(77));
        assert_eq!(pressure(""), None);
    }
}
