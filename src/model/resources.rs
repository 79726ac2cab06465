//! What an attempt used, and what it left behind. What was not measured is absent, never zero.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{ByteText, counted, escape, format_bytes};

/// Where a figure comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A kernel counter of the worker's cgroup.
    Cgroup,
    /// `wait4`: loses daemonised grandchildren.
    Rusage,
    /// The highest of the samples: what happened between two of them is not in it.
    Sampled,
}

impl Source {
    /// Every source.
    pub const ALL: [Source; 3] = [Source::Cgroup, Source::Rusage, Source::Sampled];

    /// Its word, as in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Source::Cgroup => "cgroup",
            Source::Rusage => "rusage",
            Source::Sampled => "sampled",
        }
    }
}

/// What one attempt used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Wall-clock time from exec to the end of the test's own process, in microseconds.
    pub wall_us: u64,
    /// CPU time of the whole process tree, in microseconds.
    pub cpu_us: Option<u64>,
    /// The part of `cpu_us` in user mode, in microseconds.
    pub cpu_user_us: Option<u64>,
    /// The part of `cpu_us` in the kernel, in microseconds.
    pub cpu_system_us: Option<u64>,
    /// Source of `cpu_us` and its parts.
    pub cpu_source: Option<Source>,
    /// Time in which the CPU limit held the test back, in microseconds.
    pub throttled_us: Option<u64>,
    /// Periods of the CPU limit (100 ms each) in which it held the test back.
    pub throttled_periods: Option<u64>,
    /// The cgroup's memory when the test started, in bytes: the floor under its peak.
    pub memory_start_bytes: Option<u64>,
    /// The highest memory in this test, in bytes. From the cgroup only where the kernel's counter
    /// set a new record in this test, or was reset for it; else the highest sample.
    pub memory_peak_bytes: Option<u64>,
    /// Source of `memory_peak_bytes`.
    pub memory_peak_source: Option<Source>,
    /// Where the peak itself was sampled: it was no higher than this, in bytes.
    pub memory_peak_bound_bytes: Option<u64>,
    /// Anonymous memory at the highest sample that looked at it, in bytes.
    pub memory_anon_bytes: Option<u64>,
    /// Page cache and tmpfs at the same sample, in bytes.
    pub memory_file_bytes: Option<u64>,
    /// Processes that the kernel killed for want of memory.
    pub oom_kills: Option<u64>,
    /// The most processes and threads at once, the supervisor left out.
    pub pids_peak: Option<u64>,
    /// Source of `pids_peak`.
    pub pids_peak_source: Option<Source>,
    /// Forks that the pids limit refused.
    pub pids_limit_hits: Option<u64>,
    /// Bytes read from block devices.
    pub io_read_bytes: Option<u64>,
    /// Bytes written to block devices.
    pub io_write_bytes: Option<u64>,
    /// Time in which some task of the test waited for a processor, in microseconds (PSI).
    pub cpu_pressure_us: Option<u64>,
    /// The same for memory.
    pub memory_pressure_us: Option<u64>,
    /// The same for input and output.
    pub io_pressure_us: Option<u64>,
    /// Bytes that the test left in tmpfs: in TMPDIR, HOME and elsewhere.
    pub tmpfs_left_bytes: Option<u64>,
}

/// How many names of left files are kept.
pub const NAMED_FILES: usize = 5;
/// Characters of each that are shown.
const NAME_CHARS: usize = 64;

/// Something that a test left behind and the reset removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Leak {
    /// A process that outlived the test.
    Process {
        /// Its name, as the kernel has it (15 bytes).
        name: ByteText,
    },
    /// Files in a tmpfs that the test did not delete. In its TMPDIR and its HOME they are its own
    /// until it ends: a fact, not a fault.
    Files {
        /// Which directory.
        place: String,
        /// How many entries, directories included.
        count: u64,
        /// Their size together, in bytes.
        bytes: u64,
        /// They lay neither in its TMPDIR nor in its HOME, but in `/dev/shm`, say.
        #[serde(default, skip_serializing_if = "is_false")]
        outside: bool,
        /// The first few of its entries, at most [`NAMED_FILES`]; a folder's ends with `/`. None
        /// in older records.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        names: Vec<ByteText>,
    },
    /// The mode or the extended attributes of one of its own folders.
    Attributes {
        /// Which folder.
        place: String,
    },
    /// A System V shared memory segment, semaphore set or message queue.
    SysvIpc {
        /// `shm`, `sem` or `msg`.
        what: String,
        /// How many.
        count: u64,
    },
    /// A POSIX message queue.
    MessageQueue {
        /// Its name.
        name: ByteText,
    },
    /// Sockets that outlived every process.
    Sockets {
        /// How many.
        count: u64,
    },
    /// An attribute of the supervisor that the test changed.
    Supervisor {
        /// Which one: `nice value`, `affinity`, `limit nofile`.
        what: String,
    },
}

impl Leak {
    /// Whether it counts: as a warning, or under a strict level as a failure. Files in the test's
    /// own TMPDIR and HOME do not, everything else does.
    pub fn counts(&self) -> bool {
        !matches!(self, Leak::Files { outside: false, .. })
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

/// `: a, b/ and 3 more`; nothing where nothing is named.
fn named(names: &[ByteText], count: u64) -> String {
    let short = |name: &ByteText| {
        let name = escape(name.as_bytes());
        match name.char_indices().nth(NAME_CHARS) {
            Some((end, _)) => format!("{}...", &name[..end]),
            None => name,
        }
    };
    let shown = names.iter().take(NAMED_FILES).map(short);
    let shown: Vec<String> = shown.collect();
    match count.saturating_sub(shown.len() as u64) {
        _ if shown.is_empty() => String::new(),
        0 => format!(": {}", shown.join(", ")),
        more => format!(": {} and {more} more", shown.join(", ")),
    }
}

/// One line, safe to print.
impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Leak::Process { name } => write!(f, "process {name}"),
            Leak::Files {
                place,
                count,
                bytes,
                names,
                ..
            } => {
                write!(
                    f,
                    "{} in {} ({}{})",
                    counted(*count, "file"),
                    escape(place.as_bytes()),
                    format_bytes(*bytes),
                    named(names, *count)
                )
            }
            Leak::Attributes { place } => {
                write!(f, "changed attributes of {}", escape(place.as_bytes()))
            }
            Leak::SysvIpc { what, count } => {
                write!(f, "{count} SysV {}", escape(what.as_bytes()))
            }
            Leak::MessageQueue { name } => write!(f, "message queue {name}"),
            Leak::Sockets { count: 1 } => f.write_str("1 socket"),
            Leak::Sockets { count } => write!(f, "{count} sockets"),
            Leak::Supervisor { what } => {
                write!(f, "changed {} of the supervisor", escape(what.as_bytes()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(names: Vec<ByteText>, count: u64) -> String {
        let files = Leak::Files {
            place: "/tmp".into(),
            count,
            bytes: 5000,
            outside: false,
            names,
        };
        files.to_string()
    }

    #[test]
    fn files_are_named_safely_and_briefly() {
        let one = left(vec!["a".into()], 1);
        assert_eq!(one, "1 file in /tmp (4.9 KiB: a)");
        let hostile =
            [&b"b/"[..], b"c\n\x1b[31m", b"\xff"].map(|name| ByteText::from(name.to_vec()));
        assert_eq!(
            left(hostile.to_vec(), 9),
            r"9 files in /tmp (4.9 KiB: b/, c\n\x1b[31m, \xff and 6 more)"
        );
        let long = left(vec!["x".repeat(255).as_str().into(); 500], 500);
        assert!(long.len() < 400, "{long}");
        assert!(long.ends_with("... and 495 more)"), "{long}");
    }

    /// As it was written before there were names.
    #[test]
    fn a_record_without_names_is_read() {
        let text = r#"{"kind":"files","place":"/tmp","count":3,"bytes":0}"#;
        let leak: Leak = serde_json::from_str(text).unwrap();
        assert_eq!(leak.to_string(), "3 files in /tmp (0 B)");
        assert_eq!(serde_json::to_string(&leak).unwrap(), text);
    }

    /// Each with unit, source, the files of both versions of cgroups, and when it is absent.
    #[test]
    fn every_figure_is_explained() {
        let document = include_str!("../../doc/measurement.md");
        let (_, figures) = document.split_once("\n## The figures\n").unwrap();
        let (figures, _) = figures.split_once("\n## ").unwrap();
        let mut explained = Vec::new();
        for row in figures.lines().filter(|line| line.starts_with("| `")) {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            assert_eq!(cells.len(), 6, "{row}");
            assert!(
                [1, 2, 5].iter().all(|at| !cells[*at].is_empty()),
                "of {row}: unit, source, when it is absent"
            );
            explained.extend(cells[0].split('`').filter(|name| name.contains('_')));
        }
        let value = serde_json::to_value(Resources::default()).unwrap();
        for figure in value.as_object().unwrap().keys() {
            assert!(explained.contains(&figure.as_str()), "{figure}");
        }
    }
}
