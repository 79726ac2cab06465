//! Answers of podman's that have another form than docker's.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::super::spec::LABEL;
use super::super::{EngineError, Found, Health, Owner};
use super::Docker;
use super::inspect::is_hex_id;

/// The part of `podman info` that we use.
#[derive(Deserialize)]
struct Info {
    host: Host,
    store: Store,
    version: Version,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Host {
    cgroup_version: String,
    cpus: u64,
    mem_total: u64,
    security: Security,
    #[serde(default)]
    service_is_remote: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Security {
    apparmor_enabled: bool,
    rootless: bool,
    seccomp_enabled: bool,
    selinux_enabled: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Store {
    graph_root: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    version: String,
}

fn info(podman: &Docker) -> Result<Info, EngineError> {
    let call = podman.call(["info", "--format", "json"]);
    let answer = podman.run(&call)?;
    serde_json::from_slice(&answer)
        .ok()
        .filter(|info: &Info| !info.version.version.is_empty())
        .ok_or_else(|| call.garbage(&answer))
}

/// Asks it for its version and size.
///
/// # Errors
/// It is not there, cannot be used, or does not answer in time.
pub fn health(podman: &Docker) -> Result<Health, EngineError> {
    info(podman).map(read)
}

fn read(info: Info) -> Health {
    let Host {
        security,
        cpus,
        mem_total,
        ..
    } = info.host;
    let security = [
        (security.apparmor_enabled, "apparmor"),
        (security.seccomp_enabled, "seccomp"),
        (security.selinux_enabled, "selinux"),
        (security.rootless, "rootless"),
    ];
    Health {
        version: crate::model::escape(info.version.version.as_bytes()),
        cgroup_version: info
            .host
            .cgroup_version
            .strip_prefix('v')
            .and_then(|version| version.parse().ok()),
        cpus: (cpus > 0).then_some(cpus),
        memory_bytes: (mem_total > 0).then_some(mem_total),
        data_root: Some(info.store.graph_root)
            .filter(|folder| !folder.is_empty())
            .map(PathBuf::from),
        security: security
            .into_iter()
            .filter(|(holds, _)| *holds)
            .map(|(_, word)| word.to_owned())
            .collect(),
    }
}

/// Whether it runs on this machine.
///
/// # Errors
/// It does not answer.
pub fn is_local(podman: &Docker) -> Result<bool, EngineError> {
    // A service that the environment names by its socket is remote in podman's sense alone.
    let host = std::env::var_os("CONTAINER_HOST").unwrap_or_default();
    Ok(host.to_string_lossy().starts_with("unix:") || !info(podman)?.host.service_is_remote)
}

/// One container of `podman ps --format json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    id: String,
    names: Vec<String>,
    labels: Option<BTreeMap<String, String>>,
}

/// The containers that carry our labels.
///
/// # Errors
/// It does not answer, or not as it should.
pub fn containers(podman: &Docker) -> Result<Vec<Found>, EngineError> {
    let filter = format!("label={LABEL}.run");
    let call = podman.call(["ps", "--all", "--filter", &filter, "--format", "json"]);
    let answer = podman.run(&call)?;
    // Older ones say `null` for none.
    let listed: Option<Vec<Listed>> =
        serde_json::from_slice(&answer).map_err(|_| call.garbage(&answer))?;
    listed
        .unwrap_or_default()
        .into_iter()
        .map(|one| {
            let name = one.names.into_iter().next()?;
            is_hex_id(&one.id).then(|| Found {
                id: one.id,
                name,
                owner: Owner::from_labels(&one.labels.unwrap_or_default()),
            })
        })
        .collect::<Option<_>>()
        .ok_or_else(|| call.garbage(&answer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine;
    use crate::engine::docker::fake::Fake;

    /// Shortened answer of podman 4.3.
    const INFO: &str = r#"{"host":{"arch":"amd64","cgroupManager":"cgroupfs","cgroupVersion":"v1","cpus":2,"memTotal":25276502016,"serviceIsRemote":false,"security":{"apparmorEnabled":false,"capabilities":"CAP_CHOWN","rootless":true,"seccompEnabled":true,"seccompProfilePath":"/usr/share/containers/seccomp.json","selinuxEnabled":false}},"store":{"graphDriverName":"overlay","graphRoot":"/var/lib/containers/storage"},"registries":{},"version":{"APIVersion":"4.3.1","Version":"4.3.1","GoVersion":"go1.19.8"}}"#;

    #[test]
    fn a_healthy_one() {
        let fake = Fake::new(&format!("echo '{INFO}'"));
        assert_eq!(
            fake.podman().health().unwrap(),
            Health {
                version: "4.3.1".into(),
                cgroup_version: Some(1),
                cpus: Some(2),
                memory_bytes: Some(25_276_502_016),
                data_root: Some("/var/lib/containers/storage".into()),
                security: vec!["seccomp".into(), "rootless".into()],
            }
        );
        assert!(fake.podman().is_local().unwrap());
        let far = INFO.replace("\"serviceIsRemote\":false", "\"serviceIsRemote\":true");
        let fake = Fake::new(&format!("echo '{far}'"));
        assert!(!fake.podman().is_local().unwrap());
    }

    #[test]
    fn garbage_is_none() {
        for script in [
            "true",
            "echo hello",
            "echo '{\"ServerVersion\":\"26.1.5\"}'",
            "printf '{\"host\":'",
        ] {
            let error = Fake::new(script).podman().health().unwrap_err();
            assert!(matches!(error, EngineError::Garbage { .. }), "{error}");
        }
    }

    #[test]
    fn its_version_is_the_programs() {
        let fake = Fake::new("echo 4.3.1");
        assert_eq!(fake.podman().version().unwrap(), "4.3.1");
        assert_eq!(
            fake.calls(),
            [["version", "--format", "{{.Client.Version}}"]]
        );
    }

    const ID: &str = "df60ebb59db0c0b2fa48ef53303716e36edb0de369dd550d3365971890975d6e";

    #[test]
    fn containers_with_and_without_a_proper_owner() {
        let labels = r#"{"dev.docker-test.run":"r","dev.docker-test.boot":"b","dev.docker-test.pid":"1","dev.docker-test.pid-start":"2"}"#;
        let fake = Fake::new(&format!(
            "echo '[{{\"Id\":\"{ID}\",\"Names\":[\"a\"],\"Labels\":{labels},\"Pid\":0}},'
             echo '{{\"Id\":\"{ID}\",\"Names\":[\"b\"],\"Labels\":null}}]'"
        ));
        let found = fake.podman().inspect().unwrap();
        assert_eq!(
            found[0].owner,
            Some(Owner {
                run: "r".into(),
                boot: "b".into(),
                pid: 1,
                pid_start: 2
            })
        );
        assert_eq!((found[1].name.as_str(), &found[1].owner), ("b", &None));
        for none in ["[]", "null"] {
            let fake = Fake::new(&format!("echo '{none}'"));
            assert_eq!(fake.podman().inspect().unwrap(), []);
        }
        for garbage in [
            "echo",
            "echo '[{}]'",
            "echo '[{\"Id\":\"--all\",\"Names\":[\"a\"],\"Labels\":{}}]'",
        ] {
            let error = Fake::new(garbage).podman().inspect().unwrap_err();
            assert!(matches!(error, EngineError::Garbage { .. }), "{error}");
        }
    }
}
