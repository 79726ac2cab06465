//! The file in which a command line leaves a container's id, without a call of its own.

use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use super::super::{PeakCounter, cgroupfs};
use super::Flavour;

/// In a folder of its own, since docker wants to make it. Both go with this.
pub struct IdFile {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl IdFile {
    /// `None` where nothing could be done with the id: docker's cgroups are root's.
    pub fn where_of_use(flavour: Flavour) -> Option<Self> {
        let of_use = geteuid().is_root() || flavour == Flavour::Podman;
        let folder = of_use.then(|| tempfile::Builder::new().prefix("docker-test-").tempdir());
        // Without it figures are less exact, and nothing else is missed.
        let folder = folder?.ok()?;
        Some(IdFile {
            path: folder.path().join("id"),
            _folder: folder,
        })
    }

    /// Where it will be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The counter of the memory peak of the container, which runs; if its cgroups are on this
    /// machine. The file goes now, so that a launcher that is killed later leaves none behind.
    pub fn peak(self) -> Option<PeakCounter> {
        let id = std::fs::read_to_string(&self.path).ok()?;
        let find = move || {
            let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
            cgroupfs::of_container(cgroupfs::memory_root(&mounts)?, id.trim())
        };
        Some(PeakCounter::new(find))
    }
}
