//! A container's spec as `docker run …` or `podman run …`. Pure, and the one place that knows the
//! options of both.
//!
//! Every option and its value are one argument, `--option=value`, and the image's reference is
//! checked: so no string of a spec can become an option, whatever it begins with. Docker takes text,
//! not bytes: what is not UTF-8 would silently become something else and is refused.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::super::{Bind, ContainerSpec, EngineError, Owner, Tmpfs};
use super::flavour::Flavour;
use super::mounts::Mount;
use crate::model::{ByteText, Network, escape};

/// How this command line says that what is mounted below a bind's source stays outside. Docker 25
/// brought the new way, docker 29 removed the old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AloneOption {
    /// `bind-nonrecursive`
    Old,
    /// `bind-recursive=disabled`
    New,
}

/// What a command line depends on, apart from the container.
#[derive(Clone, Copy, Debug)]
pub struct Dialect<'a> {
    /// Whose it is.
    pub flavour: Flavour,
    /// Its word for a bind alone.
    pub alone: AloneOption,
    /// The file with the list of system calls.
    pub seccomp: &'a Path,
    /// The file in which it leaves the container's id, where somebody wants to know it.
    pub id_file: Option<&'a Path>,
    /// See [`Flavour::process_limit`].
    pub processes: Option<u64>,
}

/// The arguments after the program: `run …`.
///
/// # Errors
/// A string of the spec cannot be given to docker as it is.
pub fn run(
    spec: &ContainerSpec,
    mounts: &[Mount],
    dialect: Dialect,
) -> Result<Vec<OsString>, EngineError> {
    let Dialect { flavour, alone, .. } = dialect;
    let hardening = &spec.hardening;
    let mut arguments = Arguments(vec!["run".into(), "--rm".into(), "--interactive".into()]);
    if spec.terminal {
        arguments.flag("--tty");
    }
    // The launcher decides what a signal means for its containers.
    arguments.flag("--sig-proxy=false");
    arguments.option("--name", name("container name", &spec.name)?);
    for (key, value) in spec.owner.labels() {
        arguments.option("--label", format!("{key}={value}"));
    }
    arguments.flag("--pull=never");
    match hardening.network {
        Network::None => arguments.flag("--network=none"),
        Network::Internal => {
            let network = spec.owner.network_name();
            arguments.option("--network", name("network name", &network)?);
            // An engine before 23.0.11 passes questions for names on through the host, from inside
            // an internal network too: here they end.
            arguments.flag("--dns=0.0.0.0");
        }
        Network::Bridge => arguments.flag("--network=bridge"),
    }
    if hardening.read_only_root {
        arguments.flag("--read-only");
        if flavour.read_only_brings_tmpfs() {
            arguments.flag("--read-only-tmpfs=false");
        }
    }
    if flavour.can_ignore_volumes() {
        arguments.flag("--image-volume=ignore");
    }
    if flavour.passes_surroundings() {
        arguments.flag("--http-proxy=false");
        arguments.flag("--sdnotify=ignore");
    }
    if hardening.drop_capabilities {
        arguments.flag("--cap-drop=ALL");
    }
    if hardening.no_new_privileges {
        arguments.flag("--security-opt=no-new-privileges:true");
    }
    if flavour.labels_processes() {
        arguments.flag("--security-opt=label=disable");
    }
    let mut profile = OsString::from("seccomp=");
    profile.push(dialect.seccomp);
    arguments.option("--security-opt", profile);
    let (user, group) = hardening.user;
    arguments.option("--user", format!("{user}:{group}"));
    if hardening.private_cgroup {
        arguments.flag("--cgroupns=private");
    }
    if hardening.private_ipc {
        arguments.flag("--ipc=private");
    }
    arguments.option("--shm-size", spec.shm_bytes.to_string());
    arguments.option("--pids-limit", spec.pids.to_string());
    arguments.option("--memory", spec.memory_bytes.to_string());
    // Without it a container may swap as much again.
    arguments.option("--memory-swap", spec.memory_bytes.to_string());
    arguments.option("--cpus", cpus(spec.cpus)?);
    let files = spec.open_files;
    arguments.option("--ulimit", format!("nofile={files}:{files}"));
    if hardening.no_core_files {
        arguments.flag("--ulimit=core=0:0");
    }
    if let Some(count) = dialect.processes {
        arguments.option("--ulimit", format!("nproc={count}:{count}"));
    }
    let shm = flavour.needs_own_shm().then(|| Tmpfs {
        target: "/dev/shm".into(),
        size_bytes: spec.shm_bytes,
        inodes: 0,
        exec: false,
    });
    for place in spec.tmpfs.iter().chain(&shm) {
        arguments.option("--tmpfs", tmpfs(place, hardening.user, flavour)?);
    }
    for mount in mounts {
        arguments.option("--mount", bind(&mount.bind, mount.alone.then_some(alone))?);
    }
    if hardening.no_log {
        arguments.flag("--log-driver=none");
    }
    arguments.flag("--no-healthcheck");
    arguments.flag("--restart=no");
    arguments.flag("--stop-timeout=2");
    if flavour.removes_with_stop_signal() {
        arguments.flag("--stop-signal=KILL");
    }
    if let Some(path) = dialect.id_file {
        arguments.option("--cidfile", path);
    }
    arguments.flag("--hostname=docker-test");
    for (key, value) in &hardening.sysctls {
        arguments.option("--sysctl", format!("{key}={value}"));
    }
    for (key, value) in &spec.environment {
        arguments.option("--env", variable(key, value)?);
    }
    arguments.option("--workdir", absolute("working directory", &spec.directory)?);
    let [program, rest @ ..] = spec.argv.as_slice() else {
        return Err(refused("command", OsStr::new(""), "it is empty"));
    };
    if program.is_empty() {
        return Err(refused("program", program, "it is empty"));
    }
    arguments.option("--entrypoint", text("program", program)?);
    arguments.0.push(image(&spec.image)?.into());
    for argument in rest {
        arguments.0.push(text("argument", argument)?.into());
    }
    Ok(arguments.0)
}

/// The arguments after the program that give a running container of this name the limits of `to`
/// instead of those of `from`: only what differs, since podman before 4.4 cannot change all of it.
///
/// # Errors
/// A value cannot be given to docker as it is.
pub fn resize(
    container: &str,
    from: &ContainerSpec,
    to: &ContainerSpec,
) -> Result<Vec<OsString>, EngineError> {
    let mut arguments = Arguments(vec!["update".into()]);
    if from.memory_bytes != to.memory_bytes {
        arguments.option("--memory", to.memory_bytes.to_string());
        arguments.option("--memory-swap", to.memory_bytes.to_string());
    }
    if from.cpus.total_cmp(&to.cpus).is_ne() {
        arguments.option("--cpus", cpus(to.cpus)?);
    }
    if from.pids != to.pids {
        arguments.option("--pids-limit", to.pids.to_string());
    }
    arguments.0.push(name("container name", container)?.into());
    Ok(arguments.0)
}

/// The arguments after the program that make the network of this owner's run: nobody is to be
/// reached through it, neither the host nor a neighbour.
///
/// # Errors
/// Its name cannot be given to docker as it is.
pub fn make_network(owner: &Owner, flavour: Flavour) -> Result<Vec<OsString>, EngineError> {
    let mut arguments = Arguments(vec!["network".into(), "create".into()]);
    arguments.flag("--internal");
    for option in flavour.closed_network() {
        arguments.flag(option);
    }
    for (key, value) in owner.labels() {
        arguments.option("--label", format!("{key}={value}"));
    }
    let network = owner.network_name();
    arguments.0.push(name("network name", &network)?.into());
    Ok(arguments.0)
}

struct Arguments(Vec<OsString>);

impl Arguments {
    fn flag(&mut self, flag: &str) {
        self.0.push(flag.into());
    }

    fn option(&mut self, option: &str, value: impl AsRef<OsStr>) {
        let mut argument = OsString::from(option);
        argument.push("=");
        argument.push(value);
        self.0.push(argument);
    }
}

/// Checks the name of a container, network or the like.
pub fn name<'a>(what: &str, name: &'a str) -> Result<&'a str, EngineError> {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if name.len() >= 2
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(inner)
    {
        Ok(name)
    } else {
        Err(refused(
            what,
            OsStr::new(name),
            "it is not made of letters, digits, `_`, `.` and `-`",
        ))
    }
}

/// Checks a reference for what matters here; docker checks its form.
pub fn image(reference: &str) -> Result<&str, EngineError> {
    let reason = if reference.is_empty() {
        "it is empty"
    } else if reference.starts_with('-') {
        "it begins with `-`"
    } else if reference.contains(|c: char| c.is_control() || c.is_whitespace()) {
        "it has a blank or a control character"
    } else {
        return Ok(reference);
    };
    Err(refused("image", OsStr::new(reference), reason))
}

/// A share of processors as docker reads it.
pub fn cpus(cpus: f64) -> Result<String, EngineError> {
    if !(cpus.is_finite() && cpus >= 0.01) {
        return Err(refused(
            "number of processors",
            OsStr::new(&cpus.to_string()),
            "it must be at least 0.01",
        ));
    }
    // Docker refuses more than nine decimals, and the kernel knows two or three.
    let fixed = format!("{cpus:.3}");
    Ok(fixed.trim_end_matches('0').trim_end_matches('.').into())
}

/// The user owns it: runc 1.1 gives it the mode of the image's folder, which another user may not
/// be able to write.
fn tmpfs(place: &Tmpfs, user: (u32, u32), flavour: Flavour) -> Result<String, EngineError> {
    let size = place.size_bytes.to_string();
    tmpfs_of(place, &size, &flavour.tmpfs_owner(place, user))
}

/// The same with these words for its size and for whose it is.
pub fn tmpfs_of(place: &Tmpfs, size: &str, owner: &str) -> Result<String, EngineError> {
    let target = absolute("tmpfs", &place.target)?;
    if target.contains(':') {
        return Err(refused("tmpfs", OsStr::new(target), "it has a colon"));
    }
    let exec = if place.exec { "exec" } else { "noexec" };
    Ok(format!(
        "{target}:rw,nosuid,nodev,{exec},size={size},{owner}"
    ))
}

fn bind(bind: &Bind, alone: Option<AloneOption>) -> Result<String, EngineError> {
    let mut fields = vec!["type=bind".to_string()];
    for (key, path) in [("source", &bind.source), ("target", &bind.target)] {
        let path = absolute("path", text("path", path.as_os_str())?)?;
        // Docker's reader of such lists turns it into a line feed, which is another path.
        if path.contains("\r\n") {
            return Err(refused(
                "path",
                OsStr::new(path),
                "it has a carriage return before a line feed",
            ));
        }
        fields.push(csv_field(&format!("{key}={path}")));
    }
    fields.push("readonly".into());
    match alone {
        None => {}
        Some(AloneOption::Old) => fields.push("bind-nonrecursive".into()),
        Some(AloneOption::New) => fields.push("bind-recursive=disabled".into()),
    }
    Ok(fields.join(","))
}

/// Whether a path must be quoted in a comma-separated list.
pub fn needs_quotes(path: &Path) -> bool {
    path.to_str().is_some_and(is_special)
}

fn is_special(field: &str) -> bool {
    field.contains([',', '"', '\n', '\r'])
}

/// A field of a comma-separated list, quoted as RFC 4180 has it where it must be.
fn csv_field(field: &str) -> String {
    if is_special(field) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.into()
    }
}

/// An environment variable as one word, with its value.
pub fn variable(key: &OsStr, value: &OsStr) -> Result<String, EngineError> {
    let name = text("environment variable", key)?;
    // Without a name docker fails, and without `=` it would take the value from our environment.
    if name.is_empty() || name.contains('=') {
        return Err(refused(
            "environment variable",
            key,
            "its name is empty or has a `=`",
        ));
    }
    let value = text(
        &format!(
            "value of the environment variable `{}`",
            ByteText::from(key)
        ),
        value,
    )?;
    Ok(format!("{name}={value}"))
}

/// Checks a path inside a container.
pub fn absolute<'a>(what: &str, path: &'a str) -> Result<&'a str, EngineError> {
    if path.contains('\0') {
        Err(refused(what, OsStr::new(path), "it has a NUL byte"))
    } else if path.starts_with('/') {
        Ok(path)
    } else {
        Err(refused(what, OsStr::new(path), "it is not absolute"))
    }
}

/// Checks that something can be an argument.
pub fn text<'a>(what: &str, value: &'a OsStr) -> Result<&'a str, EngineError> {
    match value.to_str() {
        None => Err(refused(what, value, "it is not UTF-8")),
        Some(text) if text.contains('\0') => Err(refused(what, value, "it has a NUL byte")),
        Some(text) => Ok(text),
    }
}

/// The error of a string that no command line can carry as it is.
pub fn refused(what: &str, value: &OsStr, reason: &str) -> EngineError {
    use std::os::unix::ffi::OsStrExt;
    EngineError::Other(format!(
        "the {what} `{}` cannot be given to the engine: {reason}",
        escape(value.as_bytes())
    ))
}

#[cfg(test)]
mod tests;
