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
            .filter_map(|(holds, word)| holds.then(|| word.to_owned()))
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
