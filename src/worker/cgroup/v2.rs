//! Version 2: one folder.

use std::path::Path;

use super::{Counters, Cpu, Io, open, parse};

/// The files in `folder`.
pub fn counters(folder: &Path) -> Counters {
    Counters {
        cpu: open(folder, "cpu.stat").map(Cpu::Two),
        // In the same file.
        quota: None,
        memory: open(folder, "memory.current"),
        memory_peak: open(folder, "memory.peak"),
        memory_parts: open(folder, "memory.stat").map(|file| (file, [["anon"; 2], ["file"; 2]])),
        oom: open(folder, "memory.events"),
        pids_events: open(folder, "pids.events"),
        pids_peak: open(folder, "pids.peak"),
        pids_max: open(folder, "pids.max"),
        io: open(folder, "io.stat").map(|file| Io(file, parse::io_v2)),
        pressure: ["cpu.pressure", "memory.pressure", "io.pressure"].map(|name| open(folder, name)),
    }
}
