//! Resource limits of the container's first process, which all others inherit.

use nix::errno::Errno;
use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::super::ContainerSpec;

/// The limits for a container. `counted`: a cgroup counts its memory and its processes. Where none
/// does, each process gets the container's limit: not the same, and attested as such.
pub fn of(spec: &ContainerSpec, counted: bool) -> Vec<(u32, u64)> {
    let mut limits = vec![(libc::RLIMIT_NOFILE, spec.open_files)];
    if spec.hardening.no_core_files {
        limits.push((libc::RLIMIT_CORE, 0));
    }
    if !counted {
        // Not RLIMIT_AS: runtimes reserve far more addresses than they use.
        limits.push((libc::RLIMIT_DATA, spec.memory_bytes));
        limits.push((libc::RLIMIT_NPROC, spec.pids));
    }
    limits
}

/// Sets them, soft and hard. A limit that is lower already stays.
///
/// # Errors
/// The kernel refuses.
pub fn apply(limits: &[(u32, u64)]) -> nix::Result<()> {
    for &(number, value) in limits {
        let mut now = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: the structure is what these calls take, and outlives them.
        unsafe {
            Errno::result(libc::getrlimit(number, &raw mut now))?;
            now.rlim_max = now.rlim_max.min(value);
            now.rlim_cur = now.rlim_max;
            Errno::result(libc::setrlimit(number, &raw const now))?;
        }
    }
    Ok(())
}

/// As many open files as we may have: a container's root is made of many.
pub fn raise_open_files() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        // With too few the first mount that cannot be opened says so.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}
