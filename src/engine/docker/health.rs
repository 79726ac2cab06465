//! What the engine says of itself, and where it is.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::super::call::one_line;
use super::super::{EngineError, Health};
use super::Docker;

/// A host that does not answer at all would be waited for until TCP gives up.
const UNREACHABLE: Duration = Duration::from_secs(2);

/// The part of `docker info` that we use.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Info {
    server_version: Option<String>,
    cgroup_version: Option<String>,
    #[serde(rename = "NCPU", default)]
    cpus: u64,
    #[serde(default)]
    mem_total: u64,
    docker_root_dir: Option<String>,
    security_options: Option<Vec<String>>,
    /// Older command lines exit with 0 and say here that nothing answers.
    server_errors: Option<Vec<String>>,
}

/// Asks the engine for its version and size.
///
/// # Errors
/// It is not there, may not be used, or does not answer in time.
pub fn health(docker: &Docker) -> Result<Health, EngineError> {
    let endpoint = endpoint(docker)?;
    let limit = if endpoint.starts_with("tcp:") {
        UNREACHABLE.min(docker.limit)
    } else {
        docker.limit
    };
    let call = docker.call_within(["info", "--format", "{{json .}}"], limit);
    let answer = call.answer()?;
    if !answer.status.success() {
        return Err(tried(docker.failed(&call, &answer), &endpoint));
    }
    let info: Info =
        serde_json::from_slice(&answer.stdout).map_err(|_| call.garbage(&answer.stdout))?;
    if let Some(error) = info.server_errors.iter().flatten().next() {
        let stderr = one_line(error.as_bytes());
        return Err(tried(
            docker.explain(call.failed(answer.status, stderr.as_bytes())),
            &endpoint,
        ));
    }
    read(info).ok_or_else(|| call.garbage(&answer.stdout))
}

fn read(info: Info) -> Option<Health> {
    Some(Health {
        version: info.server_version.filter(|version| !version.is_empty())?,
        // Engines before 20.10 do not say it and know version 1 only.
        cgroup_version: info.cgroup_version.and_then(|version| version.parse().ok()),
        cpus: (info.cpus > 0).then_some(info.cpus),
        memory_bytes: (info.mem_total > 0).then_some(info.mem_total),
        data_root: info
            .docker_root_dir
            .filter(|folder| !folder.is_empty())
            .map(PathBuf::from),
        security: info
            .security_options
            .unwrap_or_default()
            .iter()
            .map(|option| security(option))
            .collect(),
    })
}

/// `name=seccomp,profile=default` as `seccomp`.
fn security(option: &str) -> String {
    let name = option
        .split(',')
        .find_map(|part| part.strip_prefix("name="));
    crate::model::escape(name.unwrap_or(option).as_bytes())
}

/// Adds which socket was tried, where the message does not have it.
fn tried(error: EngineError, endpoint: &str) -> EngineError {
    match error {
        EngineError::Unavailable { message, hint } if !message.contains(endpoint) => {
            EngineError::Unavailable {
                message: format!("{message} (tried {endpoint})"),
                hint,
            }
        }
        other => other,
    }
}

/// Asks the engine for its version alone: `docker info` looks at every container and image.
///
/// # Errors
/// It is not there, may not be used, or does not answer in time.
pub fn version(docker: &Docker) -> Result<String, EngineError> {
    let call = docker.call(docker.flavour().version());
    let answer = docker.run(&call)?;
    match std::str::from_utf8(&answer).map(str::trim) {
        Ok(version) if !version.is_empty() && !version.contains(['\n', ' ']) => {
            Ok(version.to_owned())
        }
        _ => Err(call.garbage(&answer)),
    }
}

/// Whether nothing leads the command line away from docker's own socket.
pub fn default_socket() -> bool {
    settings(|host, context, config| {
        host.is_none() && decide_local(None, context, config) == Some(true)
    })
}

/// Whether the engine is on this machine, where that is plain without a call of the command line.
pub fn known_local() -> Option<bool> {
    settings(decide_local)
}

/// DOCKER_HOST, whether DOCKER_CONTEXT is set, and the text of docker's config.json.
fn settings<T>(decide: impl Fn(Option<&str>, bool, Option<&[u8]>) -> T) -> T {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let folder = variable("DOCKER_CONFIG").map(PathBuf::from);
    let folder = folder.or_else(|| Some(PathBuf::from(variable("HOME")?).join(".docker")));
    let config = folder.and_then(|folder| std::fs::read(folder.join("config.json")).ok());
    let host = variable("DOCKER_HOST").map(|host| host.to_string_lossy().into_owned());
    decide(
        host.as_deref(),
        variable("DOCKER_CONTEXT").is_some(),
        config.as_deref(),
    )
}

/// From DOCKER_HOST, whether DOCKER_CONTEXT is set, and the text of docker's config.json.
fn decide_local(host: Option<&str>, context: bool, config: Option<&[u8]>) -> Option<bool> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Config {
        current_context: Option<String>,
    }
    if let Some(host) = host {
        return Some(is_local(host));
    }
    if context {
        return None;
    }
    let Some(config) = config else {
        return Some(true);
    };
    let config: Config = serde_json::from_slice(config).ok()?;
    let chosen = config
        .current_context
        .filter(|name| !name.is_empty() && name != "default");
    chosen.is_none().then_some(true)
}

/// Where the command line looks for the engine: `unix:///var/run/docker.sock`. From DOCKER_HOST or
/// the current context; docker itself knows the order. No engine is asked.
///
/// # Errors
/// Docker's own configuration is wrong.
pub fn endpoint(docker: &Docker) -> Result<String, EngineError> {
    let call = docker.call([
        "context",
        "inspect",
        "--format",
        "{{json .Endpoints.docker.Host}}",
    ]);
    let answer = call.answer()?;
    if !answer.status.success() {
        return Err(docker.failed(&call, &answer));
    }
    let host: String =
        serde_json::from_slice(&answer.stdout).map_err(|_| call.garbage(&answer.stdout))?;
    Ok(crate::model::escape(host.as_bytes()))
}

/// Whether an engine at `endpoint` sees this machine's files.
pub fn is_local(endpoint: &str) -> bool {
    endpoint.starts_with("unix://")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::docker::fake::Fake;

    #[test]
    fn what_is_plain_needs_no_call() {
        assert_eq!(decide_local(None, false, None), Some(true));
        assert_eq!(
            decide_local(None, false, Some(b"{\"auths\":{}}")),
            Some(true)
        );
        assert_eq!(
            decide_local(None, false, Some(b"{\"currentContext\":\"default\"}")),
            Some(true)
        );
        assert_eq!(
            decide_local(None, false, Some(b"{\"currentContext\":\"far\"}")),
            None
        );
        assert_eq!(decide_local(None, false, Some(b"garbage")), None);
        assert_eq!(decide_local(None, true, None), None);
        assert_eq!(
            decide_local(Some("tcp://10.0.0.1:2375"), false, None),
            Some(false)
        );
        assert_eq!(
            decide_local(Some("unix:///run/x.sock"), true, None),
            Some(true)
        );
    }

    #[test]
    fn the_version_is_one_word() {
        let version = |script: &str| Fake::new(script).docker().version();
        assert_eq!(version("echo 26.1.5+dfsg1").unwrap(), "26.1.5+dfsg1");
        for garbage in ["echo", "echo a b", "printf 'a\\nb'"] {
            assert!(
                matches!(version(garbage), Err(EngineError::Garbage { .. })),
                "{garbage}"
            );
        }
    }

    /// Shortened answer of docker 20.10.
    const INFO: &str = r#"{"ID":"x","Containers":0,"CgroupVersion":"1","NCPU":2,"MemTotal":25276502016,"DockerRootDir":"/var/lib/docker","ServerVersion":"20.10.24+dfsg1","SecurityOptions":["name=apparmor","name=seccomp,profile=default"],"Warnings":null}"#;

    fn asked(info: &str) -> Result<Health, EngineError> {
        Fake::new(&format!(
            "case $1 in context) echo '\"unix:///run/x.sock\"' ;; info) {info} ;; esac"
        ))
        .docker()
        .health()
    }

    use crate::engine::Engine;

    #[test]
    fn a_healthy_engine() {
        assert_eq!(
            asked(&format!("echo '{INFO}'")).unwrap(),
            Health {
                version: "20.10.24+dfsg1".into(),
                cgroup_version: Some(1),
                cpus: Some(2),
                memory_bytes: Some(25_276_502_016),
                data_root: Some("/var/lib/docker".into()),
                security: vec!["apparmor".into(), "seccomp".into()],
            }
        );
    }

    #[test]
    fn an_engine_that_is_not_there_names_its_socket_and_the_way_out() {
        let words = "Cannot connect to the Docker daemon at unix:///run/x.sock. Is the docker daemon running?";
        for script in [
            format!("echo '{words}' >&2; exit 1"),
            format!(r#"echo '{{"ServerErrors":["{words}"],"NCPU":0}}'"#),
            "echo 'error during connect: dial' >&2; exit 1".into(),
        ] {
            match asked(&script).unwrap_err() {
                EngineError::Unavailable { message, hint } => {
                    assert!(message.contains("unix:///run/x.sock"), "{message}");
                    assert!(hint.contains("systemctl start docker"), "{hint}");
                }
                other => panic!("{other}"),
            }
        }
    }

    #[test]
    fn something_else_that_calls_itself_docker_is_garbage() {
        for script in [
            "echo '{\"host\":{\"arch\":\"amd64\"}}'",
            "echo hello",
            "true",
            "printf '{\"ServerVersion\":'",
        ] {
            let error = asked(script).unwrap_err();
            assert!(matches!(error, EngineError::Garbage { .. }), "{error}");
        }
    }

    #[test]
    fn an_engine_on_this_machine_has_a_unix_socket() {
        assert!(is_local("unix:///var/run/docker.sock"));
        assert!(!is_local("tcp://10.0.0.1:2375"));
        assert!(!is_local("ssh://host"));
    }
}
