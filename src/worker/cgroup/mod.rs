//! The counters of the worker's own cgroup, v1, v2 or both, kept open: a read is one system call.

mod parse;
#[cfg(test)]
mod tests;
mod v1;
mod v2;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Values of a v1 memory limit above this mean that there is none.
pub const NO_LIMIT: u64 = 1 << 62;
/// In a second there are this many ticks in `cpuacct.stat`, whatever the kernel's own are.
const USER_HZ: u64 = 100;
/// Room for any of the files on all but the strangest machines, in bytes.
const ROOM: usize = 4096;

/// The counters. One that the kernel does not have is absent, and so is its figure.
#[derive(Default)]
pub struct Counters {
    cpu: Option<Cpu>,
    /// v1: what the CPU quota did.
    quota: Option<File>,
    memory: Option<File>,
    memory_peak: Option<File>,
    /// With the keys of anonymous memory and of the page cache: the first that is there counts.
    memory_parts: Option<(File, [[&'static str; 2]; 2])>,
    oom: Option<File>,
    pids_events: Option<File>,
    pids_peak: Option<File>,
    pids_max: Option<File>,
    io: Option<Io>,
    /// CPU, memory, input and output.
    pressure: [Option<File>; 3],
}

enum Cpu {
    /// v1: nanoseconds, each alone in its file; older kernels have the parts in ticks only.
    One {
        usage: File,
        user: Option<File>,
        system: Option<File>,
        ticks: Option<File>,
    },
    /// v2: `cpu.stat`, with all of it.
    Two(File),
}

struct Io(File, fn(&str) -> Option<(u64, u64)>);

/// One reading of all counters that only grow, but for the peaks while they last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// CPU time of everything that ever ran in the cgroup, in microseconds.
    pub cpu_us: Option<u64>,
    /// Its part in user mode, in microseconds; on v1 by the kernel's ticks.
    pub cpu_user_us: Option<u64>,
    /// Its part in the kernel, likewise.
    pub cpu_system_us: Option<u64>,
    /// Time in which the quota held it back, in microseconds.
    pub throttled_us: Option<u64>,
    /// Periods of the quota in which it did.
    pub throttled_periods: Option<u64>,
    /// The highest memory ever, in bytes.
    pub memory_peak_bytes: Option<u64>,
    /// Processes that were killed for want of memory.
    pub oom_kills: Option<u64>,
    /// Forks that the pids limit refused.
    pub pids_limit_hits: Option<u64>,
    /// The most processes and threads ever; one more than the limit after a refused fork.
    pub pids_peak: Option<u64>,
    /// Bytes read from block devices.
    pub io_read_bytes: Option<u64>,
    /// Bytes written to block devices.
    pub io_write_bytes: Option<u64>,
    /// Time in which some task waited for a processor, for memory, and for input and output, in
    /// microseconds.
    pub pressure_us: [Option<u64>; 3],
}

impl Counters {
    /// Those of the hierarchy that is mounted at `root`, normally /sys/fs/cgroup: v2, or v1 with
    /// what a v2 hierarchy beside it adds.
    pub fn open(root: &Path) -> Self {
        if version(root) == Some(2) {
            return v2::counters(root);
        }
        let one = v1::counters(root);
        let beside = root.join("unified");
        // Engines that know of v1 only leave the container in a v2 cgroup of others.
        let is_ours = nobody_out_of_sight(&beside, |pids| !pids.is_empty());
        if is_ours {
            one.or(v2::counters(&beside))
        } else {
            one
        }
    }

    /// These, and others where there is none of these.
    fn or(self, other: Self) -> Self {
        let [cpu, memory, io] = self.pressure;
        let [other_cpu, other_memory, other_io] = other.pressure;
        // Time held back belongs to the CPU time of the same hierarchy.
        let (time, quota) = match self.cpu {
            Some(time) => (Some(time), self.quota),
            None => (other.cpu, self.quota),
        };
        Counters {
            cpu: time,
            quota,
            memory: self.memory.or(other.memory),
            memory_peak: self.memory_peak.or(other.memory_peak),
            memory_parts: self.memory_parts.or(other.memory_parts),
            oom: self.oom.or(other.oom),
            pids_events: self.pids_events.or(other.pids_events),
            pids_peak: self.pids_peak.or(other.pids_peak),
            pids_max: self.pids_max.or(other.pids_max),
            io: self.io.or(other.io),
            pressure: [cpu.or(other_cpu), memory.or(other_memory), io.or(other_io)],
        }
    }

    /// Whether CPU time can be read.
    pub fn count_cpu(&self) -> bool {
        self.cpu.is_some()
    }

    /// Whether memory can be read.
    pub fn count_memory(&self) -> bool {
        self.memory.is_some()
    }

    /// CPU time of the cgroup, in microseconds.
    pub fn cpu_us(&self) -> Option<u64> {
        match self.cpu.as_ref()? {
            Cpu::One { usage, .. } => Some(alone(Some(usage))? / 1000),
            Cpu::Two(file) => with_text(file, |text| parse::field(text, "usage_usec")),
        }
    }

    /// Memory now, in bytes.
    pub fn memory_bytes(&self) -> Option<u64> {
        alone(self.memory.as_ref())
    }

    /// The highest memory ever, in bytes.
    pub fn memory_peak_bytes(&self) -> Option<u64> {
        alone(self.memory_peak.as_ref())
    }

    /// Anonymous memory, and page cache with tmpfs, in bytes. The kernel takes its time for this one.
    pub fn memory_parts(&self) -> Option<(u64, u64)> {
        let (file, [anon, cache]) = self.memory_parts.as_ref()?;
        with_text(file, |text| {
            let first = |keys: &[&str; 2]| keys.iter().find_map(|key| parse::field(text, key));
            Some((first(anon)?, first(cache)?))
        })
    }

    /// The pids limit.
    pub fn pids_max(&self) -> Option<u64> {
        alone(self.pids_max.as_ref())
    }

    /// Reads them all.
    pub fn read(&self) -> Reading {
        let mut reading = Reading {
            memory_peak_bytes: self.memory_peak_bytes(),
            oom_kills: keyed(self.oom.as_ref(), "oom_kill"),
            pids_limit_hits: keyed(self.pids_events.as_ref(), "max"),
            pids_peak: alone(self.pids_peak.as_ref()),
            ..Reading::default()
        };
        for (value, file) in reading.pressure_us.iter_mut().zip(&self.pressure) {
            *value = file
                .as_ref()
                .and_then(|file| with_text(file, parse::pressure));
        }
        if let Some(Io(file, parse)) = &self.io
            && let Some((read, written)) = with_text(file, parse)
        {
            reading.io_read_bytes = Some(read);
            reading.io_write_bytes = Some(written);
        }
        if let Some(file) = &self.quota {
            with_text(file, |text| {
                reading.throttled_us = parse::field(text, "throttled_time").map(|ns| ns / 1000);
                reading.throttled_periods = parse::field(text, "nr_throttled");
                Some(())
            });
        }
        self.read_cpu(&mut reading);
        reading
    }

    fn read_cpu(&self, reading: &mut Reading) {
        match &self.cpu {
            None => {}
            Some(Cpu::One {
                user,
                system,
                ticks,
                ..
            }) => {
                reading.cpu_us = self.cpu_us();
                let us = |file: &Option<File>| Some(alone(file.as_ref())? / 1000);
                (reading.cpu_user_us, reading.cpu_system_us) = (us(user), us(system));
                if let (None, Some(file)) = (&user, ticks) {
                    with_text(file, |text| {
                        let us = |key| Some(parse::field(text, key)? * (1_000_000 / USER_HZ));
                        (reading.cpu_user_us, reading.cpu_system_us) = (us("user"), us("system"));
                        Some(())
                    });
                }
            }
            Some(Cpu::Two(file)) => {
                with_text(file, |text| {
                    let field = |key| parse::field(text, key);
                    reading.cpu_us = field("usage_usec");
                    reading.cpu_user_us = field("user_usec");
                    reading.cpu_system_us = field("system_usec");
                    // Without the controller there is no quota, and its counters are not there.
                    if self.quota.is_none() {
                        reading.throttled_us = field("throttled_usec");
                        reading.throttled_periods = field("nr_throttled");
                    }
                    Some(())
                });
            }
        }
    }
}

/// Version of the hierarchy at `root` that has the memory and pids controllers.
pub fn version(root: &Path) -> Option<u8> {
    if root.join("cgroup.controllers").exists() {
        Some(2)
    } else {
        root.join("memory").is_dir().then_some(1)
    }
}

/// Whether the cgroup at `root` holds this container alone. An engine without the right to make
/// cgroups leaves the container in one that others are in too, whose figures are not the tests'.
pub fn is_own(root: &Path) -> bool {
    match version(root) {
        Some(2) => nobody_out_of_sight(root, |_| true),
        // Who is in it is left out here; but a worker's own cgroup always has a memory limit.
        Some(_) => std::fs::read_to_string(root.join("memory/memory.limit_in_bytes"))
            .is_ok_and(|text| parse::number(&text).is_some_and(|limit| limit < NO_LIMIT)),
        None => false,
    }
}

/// Whether a v2 cgroup has no process that is out of sight: one has no number here, which is
/// written as 0. `and`: what else has to hold of its list of processes.
fn nobody_out_of_sight(folder: &Path, and: impl FnOnce(&str) -> bool) -> bool {
    std::fs::read_to_string(folder.join("cgroup.procs"))
        .is_ok_and(|pids| pids.lines().all(|pid| pid != "0") && and(&pids))
}

fn open(root: &Path, name: &str) -> Option<File> {
    File::open(root.join(name)).ok()
}

fn alone(file: Option<&File>) -> Option<u64> {
    with_text(file?, parse::number)
}

fn keyed(file: Option<&File>, key: &str) -> Option<u64> {
    with_text(file?, |text| parse::field(text, key))
}

/// What `parse` makes of a file's text. One that does not fit is not cut off but absent.
fn with_text<T>(file: &File, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
    let mut buffer = [0; ROOM];
    let size = file.read_at(&mut buffer, 0).ok()?;
    if size == ROOM {
        return None;
    }
    parse(std::str::from_utf8(&buffer[..size]).ok()?)
}
