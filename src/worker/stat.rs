//! One process, by its `stat` file in /proc.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What of it is of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// It has ended and waits to be reaped.
    pub zombie: bool,
    /// Its first thread runs or waits for a processor.
    pub runnable: bool,
    /// Its parent's process id.
    pub parent: i32,
    /// Threads, at least 1.
    pub threads: u64,
    /// User and system time of it and of the children that it waited for, in clock ticks.
    pub ticks: u64,
}

impl Stat {
    /// Reads that of process `pid` in `proc`; `None` where it is gone.
    pub fn read(proc: &Path, pid: i32) -> Option<Self> {
        let file = File::open(proc.join(format!("{pid}/stat"))).ok()?;
        // A name of at most 64 bytes and some fifty numbers.
        let mut buffer = [0; 2048];
        let size = file.read_at(&mut buffer, 0).ok()?;
        Stat::parse(&buffer[..size])
    }

    /// The name is in parentheses and may hold anything, so everything is counted from the last of
    /// them.
    fn parse(text: &[u8]) -> Option<Self> {
        let end = text.iter().rposition(|byte| *byte == b')')?;
        let mut fields = std::str::from_utf8(&text[end + 1..])
            .ok()?
            .split_ascii_whitespace();
        let state = fields.next()?;
        let parent = fields.next()?.parse().ok()?;
        // From the process group to the major faults of waited-for children.
        let mut fields = fields.skip(9).map(str::parse::<u64>);
        let mut ticks = 0;
        for _ in 0..4 {
            ticks += fields.next()?.ok()?;
        }
        // Behind priority and nice value, which may be negative.
        let threads = fields.nth(2)?.ok()?;
        Some(Stat {
            zombie: matches!(state, "Z" | "X"),
            runnable: state == "R",
            parent,
            threads,
            ticks,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: &str = " S 1 7 7 0 -1 4194560 100 200 3 4 10 20 300 4000 20 -5 3 0 5 6 7";

    #[test]
    fn fields_are_found_behind_any_name() {
        let expected = Stat {
            zombie: false,
            runnable: false,
            parent: 1,
            threads: 3,
            ticks: 4330,
        };
        for name in [&b"sh"[..], b"a) b", b") S 9 9", b"two words", b"\xff\xfe\n"] {
            let text = [b"7 (", name, b")", REST.as_bytes()].concat();
            assert_eq!(Stat::parse(&text), Some(expected), "{name:?}");
        }
        let runs = [b"7 (a) R 1)", REST.replace(" S ", " R ").as_bytes()].concat();
        assert!(Stat::parse(&runs).unwrap().runnable);
        assert_eq!(Stat::parse(b"7 (x) S 1"), None);
        assert_eq!(Stat::parse(b""), None);
    }

    #[test]
    fn this_process_has_a_parent_and_a_thread() {
        let pid = std::process::id().cast_signed();
        let found = Stat::read(Path::new("/proc"), pid).unwrap();
        assert!(found.parent > 0 && found.threads > 0 && !found.zombie);
        let own = Stat::read(Path::new("/proc/self/.."), -1);
        assert_eq!(own, None);
    }
}
