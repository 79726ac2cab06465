//! `docker-test doctor`: each thing that a run needs, as a line: ok, warning or problem with its fix.

use std::path::Path;

use super::choose::{ask, sandbox};
use super::context::program;
use super::prepare::{project, runtime};
use super::{Context, Exit, Failure, text};
use crate::config::Config;
use crate::engine::Recipe;
use crate::engine::{Docker, Engine, EngineKind, Health, Requirement};
use crate::host::{self, Machine};
use crate::model::{escape, format_bytes};
use crate::report::{Check, check};

const GIB: u64 = 1 << 30;
/// What the engine needs.
const OLDEST_DOCKER: (u32, u32) = (20, 10);
const OLDEST_PODMAN: (u32, u32) = (3, 0);
const LEAST_DISK: u64 = GIB;
const LEAST_MEMORY: u64 = 2 * GIB;

/// A finding, and its fix where it is not ok.
struct Finding(Check, String, Option<String>);

/// Prints the findings; a problem makes the exit status that of a missing engine.
pub fn doctor(context: &Context) -> Result<u8, Failure> {
    let mut findings = machine_findings(&Machine::read());
    findings.extend(program_finding());
    let asked = ask(context);
    let config = project(context).ok();
    for engine in &asked.answering {
        findings.extend(of_engine(engine, config.as_ref()));
    }
    for why in asked.silent {
        let fix = "nothing to do where another engine is used; else install it and start it";
        let found = format!("engine: {why}");
        findings.push(Finding(Check::Warning, found, Some(fix.into())));
    }
    let requirements = sandbox(context)?.requirements();
    findings.extend(of_sandbox(requirements, !asked.answering.is_empty()));
    findings.push(config_finding(project(context)));
    let bad = findings
        .iter()
        .any(|finding| matches!(finding.0, Check::Problem));
    let lines: String = findings
        .into_iter()
        .map(|Finding(state, found, fix)| check(context.stdout(), state, &found, fix.as_deref()))
        .collect();
    text::print(lines.as_bytes())?;
    Ok(if bad { Exit::Engine.status() } else { 0 })
}

fn of_engine(engine: &Docker, config: Option<&Config>) -> Vec<Finding> {
    match engine.health() {
        Ok(health) => {
            let mut findings = engine_findings(engine.kind(), &health);
            findings.push(disk_finding(health.data_root.as_deref()));
            findings.extend(image_findings(engine, config));
            findings
        }
        Err(error) => vec![no_engine(&error.to_string())],
    }
}

/// What the sandbox needs is a problem only where no other engine is there.
fn of_sandbox(requirements: Vec<Requirement>, others: bool) -> Vec<Finding> {
    let finding = |one: Requirement| {
        let state = match (&one.fix, one.needed && !others) {
            (None, _) => Check::Ok,
            (Some(_), false) => Check::Warning,
            (Some(_), true) => Check::Problem,
        };
        Finding(state, format!("sandbox: {}", one.found), one.fix)
    };
    requirements.into_iter().map(finding).collect()
}

fn no_engine(error: &str) -> Finding {
    let (message, hint) = error
        .split_once("\nhint: ")
        .unwrap_or((error, "install docker, and start it"));
    Finding(
        Check::Problem,
        format!("engine: {message}"),
        Some(hint.to_owned()),
    )
}

fn machine_findings(machine: &Machine) -> Vec<Finding> {
    let memory = format!(
        "memory: {}, {} available",
        format_bytes(machine.memory_bytes),
        format_bytes(machine.available_memory_bytes)
    );
    let cgroup = match host::cgroup_version() {
        Some(version) => Finding(Check::Ok, format!("cgroup: version {version}"), None),
        None => Finding(
            Check::Warning,
            "cgroup: none is mounted here".into(),
            Some("limits are the engine's to enforce; `docker info` says whether it can".into()),
        ),
    };
    vec![
        Finding(Check::Ok, format!("processors: {}", machine.cpus), None),
        if machine.memory_bytes >= LEAST_MEMORY {
            Finding(Check::Ok, memory, None)
        } else {
            Finding(
                Check::Warning,
                memory,
                Some(
                    "2 GiB are needed for the profiles; lower `memory` in docker-test.yaml".into(),
                ),
            )
        },
        cgroup,
    ]
}

/// Tests run as another user, who must be able to execute this program.
fn program_finding() -> Option<Finding> {
    use std::os::unix::fs::PermissionsExt;
    let program = program().ok()?;
    let mode = program.metadata().ok()?.permissions().mode();
    (mode & 0o005 != 0o005).then(|| {
        let shown = escape(program.as_os_str().as_encoded_bytes());
        Finding(
            Check::Problem,
            format!("program: {shown} cannot be executed by everybody"),
            Some(format!("chmod o+rx {shown}")),
        )
    })
}

fn engine_findings(kind: EngineKind, health: &Health) -> Vec<Finding> {
    let mut findings = vec![version_finding(kind, &health.version)];
    let rootless = health.security.iter().any(|option| option == "rootless");
    if kind == EngineKind::Podman && rootless && health.cgroup_version == Some(1) {
        findings.push(Finding(
            Check::Warning,
            "engine: podman without root enforces no limits on cgroup version 1".into(),
            Some("use a machine with cgroup version 2, or podman as root".into()),
        ));
    }
    if !health
        .security
        .iter()
        .any(|option| option.contains("seccomp"))
    {
        findings.push(Finding(
            Check::Problem,
            "engine: it has no seccomp".into(),
            Some("use a kernel and an engine with seccomp".into()),
        ));
    }
    if !health
        .security
        .iter()
        .any(|option| option.contains("apparmor") || option.contains("selinux"))
    {
        findings.push(Finding(
            Check::Warning,
            "engine: neither AppArmor nor SELinux".into(),
            Some("nothing to do; the other barriers hold".into()),
        ));
    }
    findings
}

fn version_finding(kind: EngineKind, version: &str) -> Finding {
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().ok());
    let found = (
        numbers.next().flatten().unwrap_or(0),
        numbers.next().flatten().unwrap_or(0),
    );
    let name = kind.as_str();
    let oldest = match kind {
        EngineKind::Podman => OLDEST_PODMAN,
        _ => OLDEST_DOCKER,
    };
    let text = format!("engine: {name} {version}");
    if found >= oldest {
        Finding(Check::Ok, text, None)
    } else {
        Finding(
            Check::Problem,
            text,
            Some(format!(
                "update {name} to {}.{} or newer",
                oldest.0, oldest.1
            )),
        )
    }
}

fn disk_finding(data_root: Option<&Path>) -> Finding {
    let place = data_root
        .filter(|path| path.exists())
        .unwrap_or(Path::new("/"));
    let shown = escape(place.as_os_str().as_encoded_bytes());
    match host::disk_free_bytes(place) {
        Ok(free) if free >= LEAST_DISK => Finding(
            Check::Ok,
            format!("disk: {} free in {shown}", format_bytes(free)),
            None,
        ),
        Ok(free) => Finding(
            Check::Problem,
            format!("disk: {} free in {shown}", format_bytes(free)),
            Some("make room: 1 GiB is needed".into()),
        ),
        Err(error) => Finding(
            Check::Warning,
            format!("disk: {shown} cannot be looked at: {error}"),
            Some("see that 1 GiB is free there".into()),
        ),
    }
}

fn image_findings(docker: &Docker, config: Option<&Config>) -> Vec<Finding> {
    let runtime = config.and_then(runtime);
    let engine = match docker.kind() {
        EngineKind::Podman => "podman ",
        _ => "",
    };
    [Recipe::Isolation, Recipe::Full]
        .into_iter()
        .map(|recipe| {
            let name = recipe.as_str();
            let reference = match recipe.reference(runtime.as_deref()) {
                Ok(reference) => reference,
                Err(error) => {
                    return Finding(
                        Check::Problem,
                        format!("{engine}image {name}: {}", first_line(&error.to_string())),
                        Some("correct suite.runtime in docker-test.yaml".into()),
                    );
                }
            };
            match docker.image(&reference) {
                Ok(Some(image)) => Finding(
                    Check::Ok,
                    format!(
                        "{engine}image {name}: {reference}, {}",
                        format_bytes(image.size_bytes)
                    ),
                    None,
                ),
                Ok(None) => Finding(
                    Check::Warning,
                    format!("{engine}image {name}: not built"),
                    Some(format!("docker-test build {name}")),
                ),
                Err(error) => Finding(
                    Check::Problem,
                    format!("{engine}image {name}: {}", first_line(&error.to_string())),
                    Some("is the engine healthy?".into()),
                ),
            }
        })
        .collect()
}

fn config_finding(config: Result<Config, Failure>) -> Finding {
    match config {
        Ok(Config {
            file: Some(file), ..
        }) => Finding(
            Check::Ok,
            format!("config: {}", escape(file.as_os_str().as_encoded_bytes())),
            None,
        ),
        Ok(_) => Finding(Check::Ok, "config: none, so the defaults hold".into(), None),
        Err(failure) => {
            let (message, hint) = failure
                .message
                .split_once("\nhint: ")
                .unwrap_or((&failure.message, "correct it"));
            Finding(
                Check::Problem,
                format!("config: {message}"),
                Some(hint.to_owned()),
            )
        }
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_engines_are_a_problem() {
        use EngineKind::{Docker, Podman};
        for (kind, version, good) in [
            (Docker, "20.10.24+dfsg1", true),
            (Docker, "26.1.5", true),
            (Docker, "19.03.8", false),
            (Docker, "20.9", false),
            (Docker, "?", false),
            (Podman, "4.3.1", true),
            (Podman, "2.2.1", false),
        ] {
            assert_eq!(
                matches!(version_finding(kind, version).0, Check::Ok),
                good,
                "{version}"
            );
        }
    }
}
