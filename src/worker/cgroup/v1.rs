//! Version 1: a folder for each controller.

use std::path::Path;

use super::{Counters, Cpu, Io, open, parse};

/// The controllers' files below `root`.
pub fn counters(root: &Path) -> Counters {
    let io = "blkio/blkio.throttle.io_service_bytes";
    Counters {
        cpu: open(root, "cpuacct/cpuacct.usage").map(|usage| Cpu::One {
            usage,
            user: open(root, "cpuacct/cpuacct.usage_user"),
            system: open(root, "cpuacct/cpuacct.usage_sys"),
            ticks: open(root, "cpuacct/cpuacct.stat"),
        }),
        quota: open(root, "cpu/cpu.stat"),
        memory: open(root, "memory/memory.usage_in_bytes"),
        memory_peak: open(root, "memory/memory.max_usage_in_bytes"),
        memory_parts: open(root, "memory/memory.stat").map(|file| {
            let keys = [["total_rss", "rss"], ["total_cache", "cache"]];
            (file, keys)
        }),
        oom: open(root, "memory/memory.oom_control"),
        pids_events: open(root, "pids/pids.events"),
        pids_peak: open(root, "pids/pids.peak"),
        pids_max: open(root, "pids/pids.max"),
        io: open(root, &format!("{io}_recursive"))
            .or_else(|| open(root, io))
            .map(|file| Io(file, parse::io_v1)),
        pressure: [None, None, None],
    }
}
