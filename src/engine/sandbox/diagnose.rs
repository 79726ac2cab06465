//! Why a container cannot be started here: the kernel's answer, and what this machine says of
//! itself, as one line with the ways out.

use std::fs;

use nix::errno::Errno;

use super::super::EngineError;
use super::plan::Obstacle;

/// What the machine says of itself where something stands in the way.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// We are root, outside of any user namespace of ours.
    pub root: bool,
    /// The kernel's release: `6.1.0-13-amd64`.
    pub release: String,
    /// `user.max_user_namespaces`.
    pub max_user_namespaces: Option<u64>,
    /// `kernel.unprivileged_userns_clone`, which Debian's kernels had.
    pub unprivileged_userns_clone: Option<u64>,
    /// `kernel.apparmor_restrict_unprivileged_userns`, which Ubuntu's kernels have.
    pub apparmor_restricts: Option<u64>,
    /// A system call filter holds this process.
    pub filtered: bool,
    /// Something is mounted over parts of /proc.
    pub proc_covered: bool,
    /// This process is in somebody's container.
    pub in_container: bool,
}

/// The oldest kernel that has all calls: `mount_setattr` is the youngest.
pub const OLDEST_KERNEL: (u32, u32) = (5, 12);

const OTHERS: &str = "or use another engine: `--engine docker`, `--engine podman`";

impl Facts {
    /// Reads them.
    pub fn read() -> Self {
        let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse().ok();
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let status = text("/proc/self/status");
        let seccomp = status
            .lines()
            .find_map(|line| line.strip_prefix("Seccomp:"));
        Facts {
            root: nix::unistd::geteuid().is_root(),
            release: text("/proc/sys/kernel/osrelease").trim().to_owned(),
            max_user_namespaces: number("/proc/sys/user/max_user_namespaces"),
            unprivileged_userns_clone: number("/proc/sys/kernel/unprivileged_userns_clone"),
            apparmor_restricts: number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
            filtered: seccomp.is_some_and(|mode| mode.trim() == "2"),
            proc_covered: proc_covered(&text("/proc/self/mountinfo")),
            in_container: ["/.dockerenv", "/run/.containerenv"]
                .iter()
                .any(|path| fs::exists(path).unwrap_or(false)),
        }
    }

    /// Whether the kernel is old enough to lack calls.
    pub fn kernel_is_old(&self) -> bool {
        let mut numbers = self.release.split(['.', '-']).map(str::parse::<u32>);
        let mut next = || numbers.next().and_then(Result::ok);
        matches!((next(), next()), (Some(major), Some(minor)) if (major, minor) < OLDEST_KERNEL)
    }

    /// What is known to be in the way before anything is tried: what, and the way out.
    pub fn known_obstacle(&self) -> Option<(String, String)> {
        let (major, minor) = OLDEST_KERNEL;
        if self.kernel_is_old() {
            return Some((
                format!(
                    "the kernel {} is too old: {major}.{minor} is needed",
                    self.release
                ),
                format!("use a newer kernel (`uname -r`), {OTHERS}"),
            ));
        }
        if self.root {
            return None;
        }
        if self.max_user_namespaces == Some(0) {
            return Some((
                "user namespaces are switched off (user.max_user_namespaces is 0)".into(),
                format!(
                    "`sudo sysctl user.max_user_namespaces=10000`, run docker-test as root, {OTHERS}"
                ),
            ));
        }
        if self.unprivileged_userns_clone == Some(0) {
            return Some((
                "user namespaces are switched off for ordinary users (kernel.unprivileged_userns_clone is 0)".into(),
                format!("`sudo sysctl kernel.unprivileged_userns_clone=1`, run docker-test as root, {OTHERS}"),
            ));
        }
        None
    }
}

/// Whether something is mounted below /proc, as containers have it to hide parts of it.
fn proc_covered(mountinfo: &str) -> bool {
    mountinfo
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        // A mount that programs for other machines are registered in hides nothing.
        .any(|place| place.starts_with("/proc/") && place != "/proc/sys/fs/binfmt_misc")
}

/// The error for what stood in the way on this machine.
pub fn explain(obstacle: &Obstacle) -> EngineError {
    let (message, hint) = meaning(obstacle, &Facts::read());
    EngineError::Unavailable { message, hint }
}

/// What happened, and what to do about it.
pub fn meaning(obstacle: &Obstacle, facts: &Facts) -> (String, String) {
    let errno = Errno::from_raw(obstacle.errno);
    let tried = format!(
        "the sandbox cannot {}: {}",
        obstacle.step,
        errno.desc().to_lowercase()
    );
    let refused = matches!(errno, Errno::EPERM | Errno::EACCES);
    if let Some((what, hint)) = facts.known_obstacle() {
        return (format!("{tried}; {what}"), hint);
    }
    let container = "run docker-test outside of the container, start the container with `--privileged`, or inside use `docker-test test`";
    match (obstacle.step.as_str(), errno) {
        ("make namespaces", Errno::ENOSPC | Errno::EUSERS) => (
            format!("{tried}; all namespaces that this user may have are in use"),
            format!(
                "`sysctl user.max_user_namespaces` and its neighbours tell how many; raise them, {OTHERS}"
            ),
        ),
        ("make namespaces", Errno::ENOSYS | Errno::EPERM)
            if facts.filtered || facts.in_container =>
        {
            (
                format!("{tried}; this process is in a container that forbids namespaces"),
                container.into(),
            )
        }
        _ if refused && facts.apparmor_restricts == Some(1) && !facts.root => (
            format!(
                "{tried}; AppArmor restricts user namespaces (kernel.apparmor_restrict_unprivileged_userns is 1)"
            ),
            format!(
                "`sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`, an AppArmor profile for docker-test with `userns,`, run docker-test as root, {OTHERS}"
            ),
        ),
        ("mount /proc", Errno::EPERM) if facts.proc_covered => (
            format!("{tried}; parts of /proc are covered, as in most containers"),
            container.into(),
        ),
        _ if refused && facts.in_container => (
            format!("{tried}; this process is in a container"),
            container.into(),
        ),
        _ => (
            tried,
            format!("`docker-test doctor` shows what the sandbox needs; {OTHERS}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn obstacle(step: &str, errno: Errno) -> Obstacle {
        Obstacle {
            step: step.into(),
            errno: errno as i32,
        }
    }

    fn user() -> Facts {
        Facts {
            release: "6.1.0-13-amd64".into(),
            max_user_namespaces: Some(1000),
            ..Facts::default()
        }
    }

    #[test]
    fn each_machine_that_cannot_is_told_from_the_others() {
        let namespaces = |errno| obstacle("make namespaces", errno);
        for (obstacle, facts, word, way) in [
            (
                namespaces(Errno::ENOSYS),
                Facts {
                    release: "5.4.0".into(),
                    root: true,
                    ..Facts::default()
                },
                "kernel 5.4.0 is too old",
                "newer kernel",
            ),
            (
                namespaces(Errno::ENOSPC),
                Facts {
                    max_user_namespaces: Some(0),
                    ..user()
                },
                "user.max_user_namespaces is 0",
                "sysctl user.max_user_namespaces",
            ),
            (
                namespaces(Errno::EPERM),
                Facts {
                    unprivileged_userns_clone: Some(0),
                    ..user()
                },
                "unprivileged_userns_clone is 0",
                "unprivileged_userns_clone=1",
            ),
            (namespaces(Errno::ENOSPC), user(), "in use", "raise"),
            (
                namespaces(Errno::ENOSYS),
                Facts {
                    filtered: true,
                    root: true,
                    ..user()
                },
                "forbids namespaces",
                "--privileged",
            ),
            (
                obstacle("make the mounts private", Errno::EACCES),
                Facts {
                    apparmor_restricts: Some(1),
                    ..user()
                },
                "AppArmor",
                "userns,",
            ),
            (
                obstacle("mount /proc", Errno::EPERM),
                Facts {
                    proc_covered: true,
                    ..user()
                },
                "/proc are covered",
                "outside",
            ),
            (
                obstacle("bind /work", Errno::ENOENT),
                user(),
                "cannot bind /work: no such file or directory",
                "doctor",
            ),
        ] {
            let (message, hint) = meaning(&obstacle, &facts);
            assert!(message.contains(word), "{message}");
            assert!(hint.contains(way), "{hint}");
            assert!(!message.contains('\n') && !hint.contains('\n'));
        }
    }

    #[test]
    fn kernels_are_compared_by_number() {
        let old = |release: &str| {
            Facts {
                release: release.into(),
                ..user()
            }
            .kernel_is_old()
        };
        assert!(old("5.9.1") && old("5.11-rc1") && old("4.19.0-27-amd64"));
        assert!(!old("5.12.0") && !old("6.1") && !old("unknown"));
    }

    #[test]
    fn what_covers_proc_is_seen() {
        let line = |place: &str| format!("1 2 0:3 / {place} rw - tmpfs tmpfs rw");
        assert!(proc_covered(&line("/proc/kcore")));
        assert!(!proc_covered(&line("/proc")));
        assert!(!proc_covered(&line("/proc/sys/fs/binfmt_misc")));
    }
}
