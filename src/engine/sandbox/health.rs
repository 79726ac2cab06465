//! Whether containers can be started here, tried for real, and each thing that this needs.

use std::io::Read;
use std::time::Duration;

use super::Sandbox;
use super::cgroup::Hierarchy;
use super::diagnose::{Facts, OLDEST_KERNEL};
use crate::engine::{
    Bind, ContainerSpec, Ending, Engine, EngineError, Hardening, Owner, SeccompProfile, host_binds,
    host_reference,
};

/// How long the trial may take on a machine that is very busy.
const TRIAL: Duration = Duration::from_secs(20);
/// Where this program is in the trial's container.
const PROGRAM: &str = "/docker-test";

/// One thing that the sandbox needs, or is better with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// What was found: one safe line.
    pub found: String,
    /// What to do, where it is not as it should be.
    pub fix: Option<String>,
    /// Without it no container starts.
    pub needed: bool,
}

impl Requirement {
    fn met(found: impl Into<String>) -> Self {
        Requirement {
            found: found.into(),
            fix: None,
            needed: true,
        }
    }

    fn missing(found: impl Into<String>, fix: impl Into<String>) -> Self {
        Requirement {
            found: found.into(),
            fix: Some(fix.into()),
            needed: true,
        }
    }

    fn advice(found: impl Into<String>, fix: impl Into<String>) -> Self {
        Requirement {
            needed: false,
            ..Requirement::missing(found, fix)
        }
    }
}

/// Starts a container that ends at once.
///
/// # Errors
/// It does not start: why, and what to do.
pub fn trial(sandbox: &Sandbox) -> Result<(), EngineError> {
    let mut container = sandbox.create(&trial_spec(sandbox))?;
    let mut pipes = container.start()?;
    drop(pipes.stdin);
    let mut said = String::new();
    // What it says does not matter, but that it ends.
    let _ = pipes.stdout.read_to_string(&mut said);
    match container.wait(TRIAL) {
        Ending::Exited(0) => Ok(()),
        Ending::NeverStarted(error) | Ending::EngineGone(error) => Err(error),
        other => Err(EngineError::Other(format!(
            "the sandbox's trial container ended with {other:?}: {}",
            container.last_words()
        ))),
    }
}

fn trial_spec(sandbox: &Sandbox) -> ContainerSpec {
    let mut binds = host_binds();
    binds.push(Bind {
        source: sandbox.program.clone(),
        target: PROGRAM.into(),
    });
    ContainerSpec {
        name: "docker-test-trial".into(),
        owner: Owner {
            run: "trial".into(),
            boot: String::new(),
            pid: std::process::id(),
            pid_start: crate::host::process_start(std::process::id()).unwrap_or(0),
        },
        image: host_reference(),
        argv: vec![PROGRAM.into(), "--version".into()],
        environment: Vec::new(),
        directory: "/".into(),
        hardening: Hardening::full(SeccompProfile::Isolation),
        cpus: 1.0,
        memory_bytes: 64 << 20,
        pids: 16,
        open_files: 64,
        shm_bytes: 1 << 20,
        binds,
        tmpfs: Vec::new(),
        terminal: false,
    }
}

/// Everything that the sandbox needs, as this machine has it.
pub fn requirements(sandbox: &Sandbox) -> Vec<Requirement> {
    let facts = Facts::read();
    let mut list = vec![kernel(&facts), user_namespaces(&facts)];
    if !facts.root {
        list.push(proc(&facts));
        list.extend(apparmor(&facts));
    }
    list.push(match trial(sandbox) {
        Ok(()) => Requirement::met("a container starts"),
        Err(error) => {
            let error = error.to_string();
            let (message, hint) = error.split_once("\nhint: ").unwrap_or((&error, ""));
            Requirement::missing(message, hint)
        }
    });
    list.push(limits(sandbox.hierarchy(), &facts));
    list
}

fn kernel(facts: &Facts) -> Requirement {
    let (major, minor) = OLDEST_KERNEL;
    let found = format!("kernel {}", facts.release);
    if facts.kernel_is_old() {
        Requirement::missing(found, format!("use Linux {major}.{minor} or newer"))
    } else {
        Requirement::met(found)
    }
}

fn user_namespaces(facts: &Facts) -> Requirement {
    if facts.root {
        return Requirement::met("user namespaces: root needs none");
    }
    match (facts.known_obstacle(), facts.max_user_namespaces) {
        (Some((what, hint)), _) if !facts.kernel_is_old() => Requirement::missing(what, hint),
        (_, Some(most)) => Requirement::met(format!("user namespaces: {most} may be made")),
        (_, None) => Requirement::missing(
            "user namespaces: the kernel has none",
            "run docker-test as root, or use a kernel with CONFIG_USER_NS",
        ),
    }
}

fn proc(facts: &Facts) -> Requirement {
    if facts.proc_covered {
        Requirement::missing(
            "/proc: parts of it are covered, as in most containers",
            "run docker-test outside of the container, or as root in a privileged one",
        )
    } else {
        Requirement::met("/proc: nothing covers it")
    }
}

fn apparmor(facts: &Facts) -> Option<Requirement> {
    (facts.apparmor_restricts == Some(1)).then(|| {
        Requirement::advice(
            "AppArmor restricts user namespaces of ordinary users",
            "where no container starts: `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`, or a profile for docker-test with `userns,`",
        )
    })
}

/// Whether limits hold for a container as a whole.
fn limits(hierarchy: &Hierarchy, facts: &Facts) -> Requirement {
    match hierarchy {
        Hierarchy::One(folders) => {
            let names: Vec<&str> = folders.iter().map(|(name, _)| *name).collect();
            let found = format!("limits: cgroup version 1 with {}", names.join(", "));
            if hierarchy.limits() {
                Requirement::met(found)
            } else {
                Requirement::advice(found, "memory and pids controllers are needed for limits")
            }
        }
        Hierarchy::Two {
            processors: true, ..
        } => Requirement::met("limits: cgroup version 2 with memory, pids, cpu"),
        Hierarchy::Two { .. } => Requirement::advice(
            "limits: cgroup version 2 with memory, pids",
            "to limit processors too: `Delegate=cpu memory pids` for systemd's user@.service",
        ),
        Hierarchy::None(why) => {
            let found = format!("limits: each process has them, the whole has none: {why}");
            let version_2 = crate::host::cgroup_version() == Some(2);
            Requirement::advice(
                found,
                match (facts.root, version_2) {
                    (false, true) => {
                        "`systemd-run --user --scope -p Delegate=yes docker-test run` gives real limits"
                    }
                    (false, false) => {
                        "run docker-test as root, or on a machine with cgroup version 2"
                    }
                    (true, _) => "mount the cgroup hierarchy so that root can write it",
                },
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user() -> Facts {
        Facts {
            release: "6.1.0".into(),
            max_user_namespaces: Some(5),
            ..Facts::default()
        }
    }

    #[test]
    fn each_requirement_says_how_to_meet_it() {
        assert_eq!(kernel(&user()), Requirement::met("kernel 6.1.0"));
        let old = Facts {
            release: "4.19.0".into(),
            ..user()
        };
        assert!(kernel(&old).fix.is_some_and(|fix| fix.contains("5.12")));
        assert_eq!(user_namespaces(&user()).fix, None);
        let off = Facts {
            max_user_namespaces: Some(0),
            ..user()
        };
        assert!(user_namespaces(&off).found.contains("switched off"));
        assert!(user_namespaces(&Facts { root: true, ..off }).fix.is_none());
        let covered = Facts {
            proc_covered: true,
            ..user()
        };
        assert!(proc(&covered).needed && proc(&covered).fix.is_some());
    }

    #[test]
    fn limits_that_are_missing_are_no_obstacle() {
        let none = limits(&Hierarchy::None("it is not ours".into()), &user());
        assert!(!none.needed && none.fix.is_some());
        assert!(none.found.contains("it is not ours"));
        let two = |processors| Hierarchy::Two {
            folder: "/c".into(),
            processors,
        };
        assert_eq!(limits(&two(true), &user()).fix, None);
        let without = limits(&two(false), &user());
        assert!(!without.needed && without.fix.is_some_and(|fix| fix.contains("Delegate=cpu")));
    }
}
