//! Containers' specs as the services of a compose file: the third rendering beside the two command
//! lines, from the same data. Pure. What it writes is read alike by compose v1 (1.29) and v2.
//!
//! Whatever a compose version reads in its own way is written so that all read the same: no anchors,
//! a plain number where v1 takes no variable, a quoted string with `$` doubled where text could be
//! anything.

mod yaml;

use std::time::Duration;

use self::yaml::{Block, Text};
use super::super::{ContainerSpec, EngineError, Hardening, SeccompProfile, Tmpfs};
use super::argv;
use super::flavour::Flavour;
use crate::model::Network;

/// What of [`Hardening`] the file leaves out, and why.
pub const LEFT_OUT: [(&str, &str); 1] = [(
    "private_cgroup",
    "compose v1 refuses the key; on cgroup v2 it is docker's own default",
)];

/// A compose file.
#[derive(Clone, Debug)]
pub struct ComposeFile {
    /// What it says first, without its comment signs.
    pub comment: String,
    /// The services, in the order of the file.
    pub services: Vec<Service>,
    /// The volumes that the services share, by name.
    pub volumes: Vec<String>,
}

/// A service: the container that it is, and what only compose knows of it.
#[derive(Clone, Debug)]
pub struct Service {
    /// What is said above it, without comment signs.
    pub comment: String,
    /// Its name.
    pub name: String,
    /// Its containers. Name and owner are compose's own business and stay out.
    pub spec: ContainerSpec,
    /// What the names of its variables begin with: `TEST_FULL` makes `TEST_FULL_MEMORY`. Without, its
    /// limits are as its spec has them.
    pub variables: Option<String>,
    /// How its image is made; absent where it is there.
    pub build: Option<Build>,
    /// The file with its list of system calls; without, it is the repository's own, from the compose
    /// file's folder.
    pub seccomp: Option<String>,
    /// Its containers carry the labels of the spec's owner.
    pub labels: bool,
    /// The compose profiles without which it is not started; none: it always is.
    pub profiles: Vec<String>,
    /// The services that start before it and stop after it.
    pub depends_on: Vec<String>,
    /// How many containers it has where nobody says otherwise.
    pub replicas: Option<u32>,
    /// A container that fails is started again.
    pub restart: bool,
    /// How long it may take to stop, in whole seconds.
    pub grace: Duration,
    /// The capabilities that it keeps, without `CAP_`.
    pub capabilities: Vec<String>,
    /// What it sees of the host and of the other services.
    pub places: Vec<Place>,
    /// One more argument, which the caller's environment says.
    pub argument: Option<Variable>,
}

/// How an image is made.
#[derive(Clone, Debug)]
pub struct Build {
    /// Its Dockerfile, from the compose file's folder.
    pub dockerfile: String,
    /// Its base.
    pub base: Variable,
}

/// A variable of the caller's environment.
#[derive(Clone, Debug)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// What it is where it is not set or empty.
    pub default: String,
}

/// A folder that is mounted into a service.
#[derive(Clone, Debug)]
pub struct Place {
    /// Where it is from.
    pub source: Source,
    /// Absolute path inside.
    pub target: String,
    /// It cannot be written there.
    pub read_only: bool,
}

/// Where a folder is from.
#[derive(Clone, Debug)]
pub enum Source {
    /// One of the host that has to be there.
    Folder(Variable),
    /// One below that, which the engine makes where it is missing.
    Made(Variable, String),
    /// A volume of the file.
    Volume(String),
}

impl ComposeFile {
    /// Its text.
    ///
    /// # Errors
    /// A string of a spec cannot be given to docker as it is, or compose cannot say it.
    pub fn render(&self) -> Result<String, EngineError> {
        let mut file = Block::new();
        file.comment(&self.comment);
        file.empty_line();
        file.key("services");
        for (at, service) in self.services.iter().enumerate() {
            if at > 0 {
                file.empty_line();
            }
            file.inner(|services| {
                services.comment(&service.comment);
                services.key(argv::name("service", &service.name)?);
                services.inner(|block| service.render(block))
            })?;
        }
        if !self.volumes.is_empty() {
            file.empty_line();
            file.key("volumes");
            for volume in &self.volumes {
                let volume = argv::name("volume", volume)?;
                file.inner(|volumes| {
                    volumes.line(volume, "{}");
                    Ok(())
                })?;
            }
        }
        Ok(file.into_text())
    }
}

impl Service {
    fn render(&self, block: &mut Block) -> Result<(), EngineError> {
        let spec = &self.spec;
        self.image(block)?;
        self.hardening(block)?;
        self.limits(block)?;
        let mut volumes = Vec::new();
        for bind in &spec.binds {
            let path = |path: &std::path::Path| {
                let text = argv::text("path", path.as_os_str())?;
                Ok::<_, EngineError>(Text::literal(argv::absolute("path", text)?))
            };
            volumes.push(yaml::map(&[
                ("type", Text::literal("bind")),
                ("source", path(&bind.source)?),
                ("target", path(&bind.target)?),
                ("read_only", Text::plain("true")),
            ]));
        }
        for place in &self.places {
            volumes.push(place.render()?);
        }
        block.list("volumes", &volumes);
        let environment = spec
            .environment
            .iter()
            .map(|(key, value)| Ok(Text::literal(&argv::variable(key, value)?).into_yaml()))
            .collect::<Result<Vec<String>, EngineError>>()?;
        block.list("environment", &environment);
        let directory = argv::absolute("working directory", &spec.directory)?;
        block.text("working_dir", Text::literal(directory));
        let [program, rest @ ..] = spec.argv.as_slice() else {
            return Err(argv::refused("command", "".as_ref(), "it is empty"));
        };
        let program = argv::text("program", program)?;
        block.line(
            "entrypoint",
            &yaml::list(&[Text::literal(program).into_yaml()]),
        );
        let mut words = Vec::new();
        for word in rest {
            words.push(Text::literal(argv::text("argument", word)?).into_yaml());
        }
        if let Some(variable) = &self.argument {
            words.push(variable.text()?.into_yaml());
        }
        block.line("command", &yaml::list(&words));
        Ok(())
    }

    /// What it is made of, and when it is started and stopped.
    fn image(&self, block: &mut Block) -> Result<(), EngineError> {
        block.text("image", Text::literal(argv::image(&self.spec.image)?));
        // Whoever owns such a name at a registry is not asked.
        block.line("pull_policy", "never");
        if let Some(build) = &self.build {
            let base = yaml::map(&[(build.base.name()?, build.base.text()?)]);
            block.line(
                "build",
                &yaml::map(&[
                    ("context", Text::literal(".")),
                    ("dockerfile", Text::literal(&build.dockerfile)),
                    ("args", Text::plain(&base)),
                ]),
            );
        }
        if self.labels {
            let labels = self.spec.owner.labels();
            let labels: Vec<(&str, Text)> = labels
                .iter()
                .map(|(key, value)| (key.as_str(), Text::quoted(value)))
                .collect();
            block.line("labels", &yaml::map(&labels));
        }
        let names = |names: &[String]| {
            let names = names.iter().map(|name| Text::literal(name).into_yaml());
            names.collect::<Vec<String>>()
        };
        if !self.profiles.is_empty() {
            block.line("profiles", &yaml::list(&names(&self.profiles)));
        }
        if !self.depends_on.is_empty() {
            block.line("depends_on", &yaml::list(&names(&self.depends_on)));
        }
        if let Some(count) = self.replicas {
            let count = self.variable("REPLICAS", count)?;
            block.line("deploy", &yaml::map(&[("replicas", count)]));
        }
        block.text(
            "restart",
            Text::literal(if self.restart { "on-failure" } else { "no" }),
        );
        let grace = format!("{}s", self.grace.as_secs());
        block.text("stop_grace_period", Text::literal(&grace));
        block.line("healthcheck", "{disable: true}");
        block.line("hostname", "docker-test");
        block.line("init", "false");
        if self.spec.terminal {
            block.line("tty", "true");
            block.line("stdin_open", "true");
        }
        Ok(())
    }

    /// Each field of [`Hardening`], none left to chance: a new one does not compile until it is here.
    fn hardening(&self, block: &mut Block) -> Result<(), EngineError> {
        let Hardening {
            user: (user, group),
            seccomp,
            network,
            read_only_root,
            drop_capabilities,
            no_new_privileges,
            private_ipc,
            private_cgroup: _,
            no_core_files: _, // with the other limits
            no_log,
            sysctls,
        } = &self.spec.hardening;
        block.text("user", Text::literal(&format!("{user}:{group}")));
        block.line(
            "network_mode",
            match network {
                Network::None => "none",
                Network::Bridge => "bridge",
                Network::Internal => {
                    return Err(argv::refused(
                        "network",
                        "internal".as_ref(),
                        "it is made by the launcher",
                    ));
                }
            },
        );
        block.line("read_only", &read_only_root.to_string());
        if *drop_capabilities {
            block.line("cap_drop", "[ALL]");
        }
        if !self.capabilities.is_empty() {
            let names: Vec<String> = self
                .capabilities
                .iter()
                .map(|name| Text::literal(name).into_yaml())
                .collect();
            block.line("cap_add", &yaml::list(&names));
        }
        let mut options = Vec::new();
        if *no_new_privileges {
            options.push(Text::literal("no-new-privileges:true").into_yaml());
        }
        let own = match seccomp {
            SeccompProfile::Isolation => "docker/seccomp/isolation.json",
            SeccompProfile::Full => "docker/seccomp/full.json",
        };
        let file = format!("seccomp:{}", self.seccomp.as_deref().unwrap_or(own));
        options.push(Text::literal(&file).into_yaml());
        block.list("security_opt", &options);
        if *private_ipc {
            block.line("ipc", "private");
        }
        // A hardened container can fill the host's disk with its log.
        block.line(
            "logging",
            if *no_log {
                "{driver: none}"
            } else {
                "{driver: json-file, options: {max-size: 10m, max-file: \"3\"}}"
            },
        );
        let sysctls: Vec<(&str, Text)> = sysctls
            .iter()
            .map(|(key, value)| (key.as_str(), Text::quoted(value)))
            .collect();
        if !sysctls.is_empty() {
            block.line("sysctls", &yaml::map(&sysctls));
        }
        Ok(())
    }

    fn limits(&self, block: &mut Block) -> Result<(), EngineError> {
        let spec = &self.spec;
        block.text("cpus", self.variable("CPUS", argv::cpus(spec.cpus)?)?);
        let memory = || self.variable("MEMORY", size(spec.memory_bytes));
        block.text("mem_limit", memory()?);
        // Without it a container may swap as much again.
        block.text("memswap_limit", memory()?);
        // Compose v1 takes a plain number only.
        block.line("pids_limit", &spec.pids.to_string());
        block.text("shm_size", self.variable("SHM", size(spec.shm_bytes))?);
        let files = self.variable("OPEN_FILES", spec.open_files)?;
        let mut limits = vec![("nofile", files)];
        if spec.hardening.no_core_files {
            limits.push(("core", Text::plain("0")));
        }
        block.line("ulimits", &yaml::map(&limits));
        let mut places = Vec::new();
        for place in &spec.tmpfs {
            let size = self.variable("TMPFS", size(place.size_bytes))?;
            let owner = Flavour::Docker.tmpfs_owner(place, spec.hardening.user);
            let place = Tmpfs {
                target: Text::literal(&place.target).as_str().into(),
                ..place.clone()
            };
            let line = argv::tmpfs_of(&place, size.as_str(), &owner)?;
            places.push(Text::expression(line).into_yaml());
        }
        block.list("tmpfs", &places);
        Ok(())
    }

    /// A limit that the caller's environment may say otherwise.
    fn variable(&self, name: &str, default: impl ToString) -> Result<Text, EngineError> {
        let Some(prefix) = &self.variables else {
            return Ok(Text::plain(&default.to_string()));
        };
        let variable = Variable {
            name: format!("{prefix}_{name}"),
            default: default.to_string(),
        };
        variable.text()
    }
}

impl Variable {
    /// Its name, which is one of the environment and nothing else.
    fn name(&self) -> Result<&str, EngineError> {
        let inner = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        if self.name.starts_with(|c: char| c.is_ascii_uppercase()) && self.name.chars().all(inner) {
            Ok(&self.name)
        } else {
            Err(argv::refused(
                "variable",
                self.name.as_ref(),
                "it is not made of capital letters, digits and `_`",
            ))
        }
    }

    fn text(&self) -> Result<Text, EngineError> {
        // Compose versions differ in what a brace or a dollar in a default means.
        if self.default.contains(['$', '{', '}', '\0']) {
            let reason = "it has a dollar sign, a brace or a NUL byte";
            return Err(argv::refused("default", self.default.as_ref(), reason));
        }
        Ok(Text::variable(self.name()?, &self.default))
    }
}

impl Place {
    fn render(&self) -> Result<String, EngineError> {
        let target = argv::absolute("path", &self.target)?;
        let kind = |kind, source| {
            let mut fields = vec![
                ("type", Text::literal(kind)),
                ("source", source),
                ("target", Text::literal(target)),
            ];
            if self.read_only {
                fields.push(("read_only", Text::plain("true")));
            }
            yaml::map(&fields)
        };
        Ok(match &self.source {
            Source::Folder(folder) => kind("bind", folder.text()?),
            Source::Volume(name) => kind("volume", Text::literal(argv::name("volume", name)?)),
            // Only this form makes the folder with every compose.
            Source::Made(folder, below) => {
                let rest = format!("/{}:{target}", argv::name("folder", below)?);
                let rest = if self.read_only { rest + ":ro" } else { rest };
                folder.text()?.and(&Text::literal(&rest)).into_yaml()
            }
        })
    }
}

/// A number of bytes as compose and the kernel both read it.
fn size(bytes: u64) -> String {
    match bytes {
        0 => "0".into(),
        _ if bytes.is_multiple_of(1 << 30) => format!("{}g", bytes >> 30),
        _ if bytes.is_multiple_of(1 << 20) => format!("{}m", bytes >> 20),
        _ => bytes.to_string(),
    }
}

#[cfg(test)]
mod real_tests;
#[cfg(test)]
mod tests;
