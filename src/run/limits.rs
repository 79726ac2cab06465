//! Limits: what the machine has less of, and what the kernel says of the rest.

use crate::engine::Hardening;
use crate::event::{LimitCheck, LimitState};
use crate::model::{Limits, Network, format_bytes};
use crate::protocol::Attestation;

/// What can be changed of a running container.
const SIZES: [&str; 4] = ["memory", "swap", "cpus", "pids"];

/// `limits` as far as a machine with so many processors and so much memory can give them, and a
/// line for each limit that it cannot. An engine refuses more processors than there are.
pub fn clamp(limits: &Limits, cpus: usize, memory_bytes: u64) -> (Limits, Vec<String>) {
    let mut clamped = limits.clone();
    let mut notes = Vec::new();
    if limits.cpus > cpus as f64 {
        clamped.cpus = cpus as f64;
        notes.push(format!(
            "cpus {} is more than this machine has: {cpus}",
            limits.cpus
        ));
    }
    if memory_bytes > 0 && limits.memory_bytes > memory_bytes {
        clamped.memory_bytes = memory_bytes;
        notes.push(format!(
            "memory {} is more than this machine has: {}",
            format_bytes(limits.memory_bytes),
            format_bytes(memory_bytes)
        ));
    }
    (clamped, notes)
}

/// Compares what was asked for, and what of it the machine can give, with what a worker read back
/// from inside.
pub fn check_limits(
    asked: &Limits,
    given: &Limits,
    hardening: &Hardening,
    found: &Attestation,
) -> Vec<LimitCheck> {
    use LimitState::{Clamped, Enforced, Unenforced};
    let yes = |holds: bool| if holds { Enforced } else { Unenforced };
    let number = |asked: f64, given: f64, found: Option<f64>| match found {
        // The kernel rounds memory to pages and a quota to microseconds.
        Some(found) if found <= asked * 1.01 && found <= given * 1.01 && given < asked => Clamped,
        Some(found) if found <= given * 1.01 => Enforced,
        _ => Unenforced,
    };
    let bytes = |value: Option<u64>| value.map_or_else(|| "none".into(), format_bytes);
    let plain = |value: Option<u64>| value.map_or_else(|| "none".into(), |value| value.to_string());
    let check = |limit, state, found| LimitCheck {
        limit,
        state,
        found,
    };
    let mut checks = vec![
        check(
            "memory",
            number(
                asked.memory_bytes as f64,
                given.memory_bytes as f64,
                found.memory_bytes.map(|v| v as f64),
            ),
            bytes(found.memory_bytes),
        ),
        check(
            "swap",
            yes(found.swap_bytes == Some(0)),
            bytes(found.swap_bytes),
        ),
        check(
            "cpus",
            number(asked.cpus, given.cpus, found.cpus),
            found
                .cpus
                .map_or_else(|| "none".into(), |cpus| cpus.to_string()),
        ),
        check(
            "pids",
            number(
                asked.pids as f64,
                given.pids as f64,
                found.pids.map(|v| v as f64),
            ),
            plain(found.pids),
        ),
        check(
            "open-files",
            yes(found.open_files.is_some_and(|n| n <= given.open_files)),
            plain(found.open_files),
        ),
        check(
            "user",
            yes((found.uid, found.gid) == hardening.user),
            format!("{}:{}", found.uid, found.gid),
        ),
        check(
            "capabilities",
            yes(found.capabilities == Some(0) && found.bounding_set == Some(0)),
            format!(
                "effective {:x?}, bounding {:x?}",
                found.capabilities.unwrap_or(u64::MAX),
                found.bounding_set.unwrap_or(u64::MAX)
            ),
        ),
        check(
            "no-new-privileges",
            yes(found.no_new_privileges == Some(true)),
            format!("{}", found.no_new_privileges.unwrap_or(false)),
        ),
        check(
            "seccomp",
            yes(found.seccomp == Some(2)),
            format!("mode {}", found.seccomp.unwrap_or(0)),
        ),
        check(
            "read-only-root",
            yes(found.read_only_root == Some(true)),
            format!("{}", found.read_only_root.unwrap_or(false)),
        ),
        check(
            "read-only-mounts",
            yes(found.writable_mounts.as_ref().is_some_and(Vec::is_empty)),
            found.writable_mounts.as_ref().map_or_else(
                || "unknown".into(),
                |all| {
                    format!(
                        "writable: {}",
                        if all.is_empty() {
                            "none".into()
                        } else {
                            all.join(" ")
                        }
                    )
                },
            ),
        ),
        check(
            "network",
            // Where there is to be one, its absence does not hold either.
            yes(found
                .interfaces
                .as_ref()
                .is_some_and(|all| all.is_empty() == (hardening.network == Network::None))),
            found.interfaces.as_ref().map_or_else(
                || "unknown".into(),
                |all| format!("lo {}", all.join(" ")).trim().to_owned(),
            ),
        ),
        check(
            "pid-namespace",
            yes(found.pid == 1),
            format!("pid {}", found.pid),
        ),
    ];
    checks.extend(found.token_closed.map(|closed| {
        let found = if closed { "closed" } else { "open" };
        check("token", yes(closed), found.into())
    }));
    checks
}

/// The limits of a class that a worker's own are wider than, each in words: no test runs under more
/// than its profile gives it. What the worker found no limit of is told elsewhere.
pub fn wider(given: &Limits, found: &Attestation) -> Vec<String> {
    let mut wider = Vec::new();
    if let Some(bytes) = found.memory_bytes
        && bytes as f64 > given.memory_bytes as f64 * 1.01
    {
        let (bytes, given) = (format_bytes(bytes), format_bytes(given.memory_bytes));
        wider.push(format!("memory {bytes} of {given}"));
    }
    if let Some(cpus) = found.cpus
        && cpus > given.cpus * 1.01
    {
        wider.push(format!("cpus {cpus} of {}", given.cpus));
    }
    if let Some(pids) = found.pids
        && pids > given.pids
    {
        wider.push(format!("pids {pids} of {}", given.pids));
    }
    wider
}

/// What of a class's limits that decide about a test a worker has less of, each in words. Fewer
/// processors make a test slower, and no more.
pub fn narrower(given: &Limits, found: &Attestation) -> Vec<String> {
    let mut narrower = Vec::new();
    if let Some(bytes) = found.memory_bytes
        && (bytes as f64) < given.memory_bytes as f64 * 0.99
    {
        let (bytes, given) = (format_bytes(bytes), format_bytes(given.memory_bytes));
        narrower.push(format!("memory {bytes} of {given}"));
    }
    if let Some(pids) = found.pids
        && pids < given.pids
    {
        narrower.push(format!("pids {pids} of {}", given.pids));
    }
    narrower
}

/// Whether all that can be changed of a running container is what was asked for, as far as the
/// machine has it.
pub fn sizes_hold(limits: &[LimitCheck]) -> bool {
    limits
        .iter()
        .filter(|check| SIZES.contains(&check.limit))
        .all(|check| check.state != LimitState::Unenforced)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::SeccompProfile;
    use crate::model::built_in_profiles;

    fn attested(limits: &Limits) -> Attestation {
        Attestation {
            pid: 1,
            uid: 1001,
            gid: 1001,
            cgroup_version: Some(2),
            memory_bytes: Some(limits.memory_bytes),
            swap_bytes: Some(0),
            cpus: Some(limits.cpus),
            pids: Some(limits.pids),
            open_files: Some(limits.open_files),
            capabilities: Some(0),
            bounding_set: Some(0),
            no_new_privileges: Some(true),
            seccomp: Some(2),
            read_only_root: Some(true),
            writable_mounts: Some(Vec::new()),
            interfaces: Some(Vec::new()),
            token_closed: None,
        }
    }

    #[test]
    fn wider_is_what_a_test_must_not_run_under() {
        let standard = &built_in_profiles()["standard"].limits;
        let fast = &built_in_profiles()["fast"].limits;
        assert_eq!(wider(standard, &attested(standard)), [""; 0]);
        assert_eq!(wider(standard, &attested(fast)), [""; 0]);
        assert_eq!(
            wider(fast, &attested(standard)),
            ["memory 512 MiB of 128 MiB", "cpus 2 of 1", "pids 128 of 64"]
        );
        assert_eq!(wider(fast, &Attestation::default()), [""; 0]);
        let slower = Attestation {
            cpus: Some(1.0),
            ..attested(standard)
        };
        assert_eq!(narrower(standard, &slower), [""; 0]);
        assert_eq!(
            narrower(standard, &attested(fast)),
            ["memory 128 MiB of 512 MiB", "pids 64 of 128"]
        );
    }

    #[test]
    fn an_open_token_is_a_limit_that_does_not_hold() {
        let limits = &built_in_profiles()["fast"].limits;
        for (token_closed, expected) in [
            (Some(true), vec![]),
            (Some(false), vec![("token", LimitState::Unenforced)]),
            (None, vec![]),
        ] {
            let found = Attestation {
                token_closed,
                ..attested(limits)
            };
            assert_eq!(states(limits, limits, &found), expected);
        }
    }

    fn states(
        asked: &Limits,
        given: &Limits,
        found: &Attestation,
    ) -> Vec<(&'static str, LimitState)> {
        let hardening = Hardening::full(SeccompProfile::Isolation);
        let checks = check_limits(asked, given, &hardening, found);
        checks
            .into_iter()
            .filter(|c| c.state != LimitState::Enforced)
            .map(|c| (c.limit, c.state))
            .collect()
    }

    #[test]
    fn all_enforced() {
        let limits = &built_in_profiles()["standard"].limits;
        assert_eq!(states(limits, limits, &attested(limits)), []);
    }

    #[test]
    fn a_small_machine_clamps_and_says_so() {
        let asked = &built_in_profiles()["intensive"].limits;
        let (given, notes) = clamp(asked, 2, 1 << 30);
        assert_eq!(
            notes,
            [
                "cpus 4 is more than this machine has: 2",
                "memory 4 GiB is more than this machine has: 1 GiB",
            ]
        );
        let expected = [
            ("memory", LimitState::Clamped),
            ("cpus", LimitState::Clamped),
        ];
        assert_eq!(states(asked, &given, &attested(&given)), expected);
    }

    #[test]
    fn a_network_is_there_where_it_was_asked_for_and_nowhere_else() {
        let limits = &built_in_profiles()["fast"].limits;
        for (network, interfaces, state) in [
            (Network::None, Some(vec![]), LimitState::Enforced),
            (Network::None, Some(vec!["eth0"]), LimitState::Unenforced),
            (Network::None, None, LimitState::Unenforced),
            (Network::Internal, Some(vec!["eth0"]), LimitState::Enforced),
            (Network::Internal, Some(vec![]), LimitState::Unenforced),
            (Network::Bridge, Some(vec!["eth0"]), LimitState::Enforced),
            (Network::Bridge, Some(vec![]), LimitState::Unenforced),
            (Network::Bridge, None, LimitState::Unenforced),
        ] {
            let mut hardening = Hardening::full(SeccompProfile::Isolation);
            hardening.network = network;
            let found = Attestation {
                interfaces: interfaces.map(|all| all.into_iter().map(str::to_owned).collect()),
                ..attested(limits)
            };
            let checks = check_limits(limits, limits, &hardening, &found);
            let check = checks.iter().find(|check| check.limit == "network");
            assert_eq!(check.map(|check| check.state), Some(state), "{network:?}");
        }
    }

    /// A limit that the engine silently ignored, or that cannot be read, does not hold.
    #[test]
    fn what_is_not_there_is_unenforced() {
        let limits = &built_in_profiles()["fast"].limits;
        let found = Attestation {
            memory_bytes: None,
            swap_bytes: Some(1 << 20),
            bounding_set: Some(1),
            writable_mounts: Some(vec!["/work".into()]),
            ..attested(limits)
        };
        let expected = ["memory", "swap", "capabilities", "read-only-mounts"]
            .map(|limit| (limit, LimitState::Unenforced));
        assert_eq!(states(limits, limits, &found), expected);
    }
}
