//! Layer 3: facts of the machine that the launcher runs on. Reading is here, understanding what was
//! read is in `parse`, apart from I/O.

mod parse;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::signal::{SigHandler, Signal};
use sysinfo::{MemoryRefreshKind, System};

/// Lets this process wait for its children: whoever ignores SIGCHLD, as some programs that started
/// us may, never learns how a child ended.
pub fn expect_children() {
    let (child, default) = (Signal::SIGCHLD, SigHandler::SigDfl);
    // SAFETY: the default is no handler, so nothing of ours runs on it.
    let _ = unsafe { nix::sys::signal::signal(child, default) };
}

/// The machine's size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Processors that this process may use: those online, less what its affinity or its own
    /// cgroup's quota forbids.
    pub cpus: usize,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Memory in bytes that can be had without swapping, now.
    pub available_memory_bytes: u64,
    /// Its name.
    pub hostname: String,
}

impl Machine {
    /// Asks for all of it.
    pub fn read() -> Machine {
        let mut system = System::new();
        system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        Machine {
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: system.total_memory(),
            available_memory_bytes: system.available_memory(),
            hostname: System::host_name().unwrap_or_else(|| "unknown".into()),
        }
    }

    /// What has to be the same for figures of two runs to be compared: processors and their model,
    /// memory in GiB, the kernel's version and kind of cgroups. One line.
    pub fn fingerprint(&self) -> String {
        let processors = fs::read("/proc/cpuinfo").unwrap_or_default();
        let model = parse::processor_model(&processors).unwrap_or_else(|| "unknown model".into());
        format!(
            "{} x {model}, {} GiB, Linux {}, cgroup {}",
            self.cpus,
            (self.memory_bytes + (1 << 29)) >> 30,
            System::kernel_version().unwrap_or_default(),
            cgroup_version().map_or_else(|| "none".into(), |version| format!("v{version}")),
        )
    }
}

/// Bytes that this user may still write on the filesystem of `path`.
///
/// # Errors
/// There is no such path, or it may not be looked at.
pub fn disk_free_bytes(path: &Path) -> io::Result<u64> {
    let found = nix::sys::statvfs::statvfs(path)?;
    Ok(found.blocks_available() * found.fragment_size())
}

/// Names this boot of the machine: with it, a process id and a start time name a process for ever.
///
/// # Errors
/// /proc is not mounted.
pub fn boot_id() -> io::Result<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(text.trim_end().to_owned())
}

/// When a process started, in clock ticks since boot; `None` where there is no such process.
pub fn process_start(pid: u32) -> Option<u64> {
    parse::start_ticks(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// Whether the process that was `pid` in the boot `boot` and started at `start_ticks` still lives.
/// A zombie does: its parent has not let go of it.
pub fn is_alive(boot: &str, pid: u32, start_ticks: u64) -> bool {
    boot_id().is_ok_and(|now| now == boot) && process_start(pid) == Some(start_ticks)
}

/// Microseconds since 1970, now. For showing and sorting; durations come from a monotonic clock.
pub fn unix_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(0))
}

/// A name for a run that no other run has: 16 hexadecimal digits.
///
/// # Errors
/// The operating system gives no random numbers.
pub fn new_run_id() -> io::Result<String> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(format!("{:016x}", u64::from_be_bytes(bytes)))
}

/// Version of the cgroup hierarchy that has the controllers here: 1 (hybrid included) or 2; `None`
/// where none is mounted.
pub fn cgroup_version() -> Option<u8> {
    parse::cgroup_version(&fs::read("/proc/self/mountinfo").ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_size() {
        let machine = Machine::read();
        assert!(machine.cpus >= 1);
        assert!(machine.memory_bytes > 1 << 20, "{machine:?}");
        assert!(machine.available_memory_bytes <= machine.memory_bytes);
        assert!(!machine.hostname.is_empty());
        assert!(disk_free_bytes(Path::new("/")).is_ok());
        assert!(disk_free_bytes(Path::new("/no/such/path")).is_err());
    }

    #[test]
    fn a_process_is_alive_only_as_itself() {
        let boot = boot_id().unwrap();
        let pid = std::process::id();
        let start = process_start(pid).unwrap();
        assert!(is_alive(&boot, pid, start));
        assert!(!is_alive(&boot, pid, start + 1), "the pid was used again");
        assert!(!is_alive("another boot", pid, start));
        let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
        let (gone, its_start) = (child.id(), process_start(child.id()).unwrap());
        child.wait().unwrap();
        assert!(!is_alive(&boot, gone, its_start));
    }

    #[test]
    fn run_ids_differ() {
        let (one, two) = (new_run_id().unwrap(), new_run_id().unwrap());
        assert_ne!(one, two);
        assert!(
            one.len() == 16 && one.bytes().all(|b| b.is_ascii_hexdigit()),
            "{one}"
        );
    }

    #[test]
    fn the_clock_is_past_2024() {
        assert!(unix_us() > 1_700_000_000_000_000);
    }
}
