//! Profiles: named limits.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ImageChoice;

/// The profile of a test that nothing else gives one.
pub const DEFAULT_PROFILE: &str = "standard";

const MIB: u64 = 1 << 20;

/// What one test may use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Processors, as a share of time: 1.5 is one and a half.
    pub cpus: f64,
    /// Memory in bytes, tmpfs included; swap is off.
    pub memory_bytes: u64,
    /// Wall-clock time until the test is ended.
    pub wall: Duration,
    /// CPU time of all processes and cores together until the test is ended.
    pub cpu_time: Duration,
    /// Open files of one process (RLIMIT_NOFILE).
    pub open_files: u64,
    /// Processes and threads together, the supervisor included.
    pub pids: u64,
    /// Size of /tmp, and apart from it of $HOME and /dev/shm, in bytes.
    pub tmpfs_bytes: u64,
    /// Whether programs in /tmp and $HOME can be executed.
    pub tmpfs_exec: bool,
    /// Nice value, 0 to 19.
    pub nice: i32,
    /// Bytes on stdout and stderr together until the test is ended.
    pub output_bytes: u64,
}

/// A named set of limits, with the image that its tests prefer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// Its limits.
    pub limits: Limits,
    /// The image for its tests, where it is not the suite's: used only where it is built.
    pub image: Option<ImageChoice>,
}

/// The four profiles that every configuration starts from, by name.
pub fn built_in_profiles() -> BTreeMap<String, Profile> {
    let profile = |name: &str, cpus, memory, wall, cpu, open_files, pids, tmpfs, nice| {
        let limits = Limits {
            cpus,
            memory_bytes: memory * MIB,
            wall: Duration::from_secs(wall),
            cpu_time: Duration::from_secs(cpu),
            open_files,
            pids,
            tmpfs_bytes: tmpfs * MIB,
            tmpfs_exec: false,
            nice,
            output_bytes: 64 * MIB,
        };
        let image = (name == "intensive").then_some(ImageChoice::Full);
        let name = name.to_owned();
        (
            name.clone(),
            Profile {
                name,
                limits,
                image,
            },
        )
    };
    BTreeMap::from([
        profile("fast", 1.0, 128, 2, 1, 100, 64, 32, 0),
        profile(DEFAULT_PROFILE, 2.0, 512, 10, 5, 500, 128, 100, 0),
        profile("slow", 2.0, 1024, 60, 30, 1000, 256, 250, 5),
        profile("intensive", 4.0, 4096, 300, 120, 2000, 512, 500, 10),
    ])
}
