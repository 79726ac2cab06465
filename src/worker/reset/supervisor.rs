//! Attributes of the supervisor that a test of the same user can reach: limits, nice value,
//! scheduling, processors. The seccomp profile refuses that; this looks whether it did.

use nix::libc;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use super::Cleaned;
use crate::model::Leak;

const RESOURCES: [(&str, libc::__rlimit_resource_t); 16] = [
    ("cpu", libc::RLIMIT_CPU),
    ("fsize", libc::RLIMIT_FSIZE),
    ("data", libc::RLIMIT_DATA),
    ("stack", libc::RLIMIT_STACK),
    ("core", libc::RLIMIT_CORE),
    ("rss", libc::RLIMIT_RSS),
    ("nproc", libc::RLIMIT_NPROC),
    ("nofile", libc::RLIMIT_NOFILE),
    ("memlock", libc::RLIMIT_MEMLOCK),
    ("as", libc::RLIMIT_AS),
    ("locks", libc::RLIMIT_LOCKS),
    ("sigpending", libc::RLIMIT_SIGPENDING),
    ("msgqueue", libc::RLIMIT_MSGQUEUE),
    ("nice", libc::RLIMIT_NICE),
    ("rtprio", libc::RLIMIT_RTPRIO),
    ("rttime", libc::RLIMIT_RTTIME),
];

/// The values at the start.
pub struct Baseline {
    limits: [(u64, u64); 16],
    nice: i32,
    policy: i32,
    io_priority: i64,
    affinity: Option<CpuSet>,
}

impl Baseline {
    /// Reads them.
    pub fn take() -> Self {
        Baseline {
            limits: RESOURCES.map(|(_, resource)| limit(resource)),
            nice: nice(),
            policy: policy(),
            io_priority: io_priority(),
            affinity: sched_getaffinity(Pid::from_raw(0)).ok(),
        }
    }

    /// Compares, puts right what can be put right without a capability, and says what it found.
    pub fn restore(&self, cleaned: &mut Cleaned) {
        for ((name, resource), before) in RESOURCES.iter().zip(self.limits) {
            if limit(*resource) != before {
                let wanted = libc::rlimit {
                    rlim_cur: before.0,
                    rlim_max: before.1,
                };
                // SAFETY: a plain system call on a local.
                unsafe { libc::setrlimit(*resource, &raw const wanted) };
                note(cleaned, format!("limit {name}"), limit(*resource) == before);
            }
        }
        if nice() != self.nice {
            // SAFETY: a plain system call. Lowering may need a capability that we do not have.
            unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, self.nice) };
            note(cleaned, "nice value".into(), nice() == self.nice);
        }
        if policy() != self.policy {
            note(cleaned, "scheduling policy".into(), false);
        }
        if io_priority() != self.io_priority {
            note(cleaned, "I/O priority".into(), false);
        }
        let affinity = || sched_getaffinity(Pid::from_raw(0)).ok();
        if affinity() != self.affinity
            && let Some(before) = &self.affinity
        {
            let _ = sched_setaffinity(Pid::from_raw(0), before);
            note(cleaned, "affinity".into(), affinity() == self.affinity);
        }
    }
}

fn note(cleaned: &mut Cleaned, what: String, restored: bool) {
    if !restored {
        cleaned.unclean = Some(format!("the supervisor's {what} was changed"));
    }
    cleaned.leaks.push(Leak::Supervisor { what });
}

fn limit(resource: libc::__rlimit_resource_t) -> (u64, u64) {
    let mut value = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the kernel fills in a local.
    unsafe { libc::getrlimit(resource, &raw mut value) };
    (value.rlim_cur, value.rlim_max)
}

fn nice() -> i32 {
    // SAFETY: a plain system call. -1 is also an error's value; it is compared with itself.
    unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
}

fn policy() -> i32 {
    // SAFETY: a plain system call.
    unsafe { libc::sched_getscheduler(0) }
}

fn io_priority() -> i64 {
    const IOPRIO_WHO_PROCESS: libc::c_int = 1;
    // SAFETY: a plain system call without pointers.
    unsafe { libc::syscall(libc::SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A soft limit can be put back by anybody.
    #[test]
    fn a_lowered_soft_limit_is_named_and_put_back() {
        let before = limit(libc::RLIMIT_SIGPENDING);
        let baseline = Baseline::take();
        let lower = libc::rlimit {
            rlim_cur: before.0 / 2,
            rlim_max: before.1,
        };
        // SAFETY: a plain system call on a local.
        unsafe { libc::setrlimit(libc::RLIMIT_SIGPENDING, &raw const lower) };
        let mut cleaned = Cleaned::default();
        baseline.restore(&mut cleaned);
        assert_eq!(
            cleaned.leaks,
            [Leak::Supervisor {
                what: "limit sigpending".into()
            }]
        );
        assert_eq!(cleaned.unclean, None);
        assert_eq!(limit(libc::RLIMIT_SIGPENDING), before);
    }
}
