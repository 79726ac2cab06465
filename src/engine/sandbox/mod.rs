//! The embedded engine: containers of our own, for which nothing has to be installed and no daemon
//! has to run.
//!
//! The launcher decides everything and writes it down as a [`plan::Plan`]. A small process of one
//! thread, the [`monitor`], makes namespaces; its child builds the root filesystem
//! ([`inside`]), gives up every right and becomes the worker. Whoever of the two ends first, launcher
//! or container, the monitor removes what is left; should it be killed, the container ends with it,
//! and its cgroups are swept by the next launcher.

mod attach;
mod cgroup;
mod container;
mod diagnose;
mod filter;
mod health;
mod inside;
mod layout;
mod limits;
mod monitor;
mod network;
mod plan;
mod shortcut;
mod sys;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::unistd::{getgid, getuid};

use self::cgroup::Hierarchy;
use self::container::SandboxContainer;
use self::layout::Root;
use self::plan::{Link, Plan};
use super::image_store::Hold;
use super::{
    Capabilities, Container, ContainerSpec, Engine, EngineError, EngineKind, Found, Hardening,
    Health, Image, ImageStore, ImageStoreError, Owner, SeccompProfile, StoredImage, host_reference,
};
use crate::model::{ByteText, Network};

pub use health::Requirement;
pub use monitor::monitor;

/// The subcommand by which this program becomes a monitor.
pub const MONITOR: &str = "sandbox-monitor";

/// The embedded engine.
#[derive(Debug)]
pub struct Sandbox {
    program: PathBuf,
    store: Option<ImageStore>,
    hierarchy: OnceLock<Hierarchy>,
    isolation: OnceLock<Vec<String>>,
    full: OnceLock<Vec<String>>,
    number: AtomicU64,
}

impl Sandbox {
    /// The engine; `program` is this program's file, and `store` has its images, if there is a place
    /// for one.
    pub fn new(program: PathBuf, store: Option<ImageStore>) -> Self {
        Sandbox {
            program,
            store,
            hierarchy: OnceLock::new(),
            isolation: OnceLock::new(),
            full: OnceLock::new(),
            number: AtomicU64::new(0),
        }
    }

    /// Each thing that this engine needs, as this machine has it.
    pub fn requirements(&self) -> Vec<Requirement> {
        health::requirements(self)
    }

    /// What can be limited here.
    fn hierarchy(&self) -> &Hierarchy {
        self.hierarchy.get_or_init(Hierarchy::discover)
    }

    fn filters(&self, profile: SeccompProfile) -> Result<Vec<String>, EngineError> {
        let cell = match profile {
            SeccompProfile::Isolation => &self.isolation,
            SeccompProfile::Full => &self.full,
        };
        if let Some(known) = cell.get() {
            return Ok(known.clone());
        }
        let programs = filter::programs(profile)?;
        Ok(cell.get_or_init(|| programs).clone())
    }

    fn find(&self, reference: &str) -> Result<Option<StoredImage>, EngineError> {
        let found = self.store.as_ref().map(|store| store.find(reference));
        let failed = |error: ImageStoreError| EngineError::Other(error.to_string());
        found.transpose().map(Option::flatten).map_err(failed)
    }

    /// The image of a container, held so that nobody removes it; `None` for the host's own files.
    fn hold(&self, reference: &str) -> Result<Option<(StoredImage, Hold)>, EngineError> {
        if reference == host_reference() {
            return Ok(None);
        }
        let Some(image) = self.find(reference)? else {
            return Err(EngineError::Unavailable {
                message: format!("the sandbox has no image {reference}"),
                hint: format!(
                    "where there is one: `docker save {reference} -o image.tar`; here: `docker-test image import {reference} image.tar`"
                ),
            });
        };
        let hold = image
            .hold()
            .map_err(|error| EngineError::Other(error.to_string()))?;
        Ok(Some((image, hold)))
    }

    fn plan(&self, spec: &ContainerSpec, image: Option<&StoredImage>) -> Result<Plan, EngineError> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        if number == 0 {
            self.hierarchy().sweep();
        }
        let (cgroups, oom_file) = self.hierarchy().plan(spec, number);
        let texts = |words: &[OsString]| words.iter().map(|word| word.as_os_str().into()).collect();
        let variable = |(name, value): &(OsString, OsString)| {
            let mut entry = name.clone();
            entry.push("=");
            entry.push(value);
            ByteText::from(entry)
        };
        let given = |name: &str| spec.environment.iter().any(|(ours, _)| ours == name);
        let hardening = &spec.hardening;
        let sysctl = |(name, value): (&String, &String)| (name.replace('.', "/"), value.clone());
        Ok(Plan {
            launcher: std::process::id().cast_signed(),
            mapped: (!is_root_for(hardening.user.0))
                .then(|| (getuid().as_raw(), getgid().as_raw())),
            user: hardening.user,
            steps: layout::steps(
                spec,
                image.map_or(Root::Host, |image| Root::Folder(&image.root)),
                &cgroups,
            ),
            cgroups,
            oom_file,
            network: link(hardening.network)?,
            hostname: "docker-test".into(),
            sysctls: hardening.sysctls.iter().map(sysctl).collect(),
            rlimits: limits::of(spec, self.hierarchy().limits()),
            filters: self.filters(hardening.seccomp)?,
            argv: texts(&spec.argv),
            environment: image
                .into_iter()
                .flat_map(|image| &image.environment)
                .filter(|(name, _)| !given(name))
                .map(|(name, value)| format!("{name}={value}").into())
                .chain(spec.environment.iter().map(variable))
                .collect(),
            directory: spec.directory.as_str().into(),
            terminal: spec.terminal,
        })
    }
}

/// Whether we can make processes of this user: as root, unless of a user namespace that does not have
/// it, where root is some ordinary user.
fn is_root_for(user: u32) -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map");
    getuid().is_root() && map.map_or(true, |map| has_user(&map, user))
}

/// By the text of a `uid_map`: lines of the first user inside, outside, and their number.
fn has_user(map: &str, user: u32) -> bool {
    map.lines().any(|line| {
        let mut numbers = line.split_whitespace().map(str::parse::<u64>);
        let (first, _, count) = (numbers.next(), numbers.next(), numbers.next());
        matches!((first, count), (Some(Ok(first)), Some(Ok(count)))
            if (first..first + count).contains(&u64::from(user)))
    })
}

/// The network of a container.
fn link(network: Network) -> Result<Link, EngineError> {
    Ok(match network {
        Network::None => Link::None,
        Network::Internal => Link::Internal,
        Network::Bridge => match network::slirp(std::env::var_os("PATH")) {
            Ok(program) => Link::Out(program.into_os_string().into()),
            Err(why) => {
                return Err(EngineError::Unavailable {
                    message: format!("the sandbox has no way out: {why}"),
                    hint: "install slirp4netns, or use --network none".into(),
                });
            }
        },
    })
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if let Some(hierarchy) = self.hierarchy.get() {
            hierarchy.leave();
        }
    }
}

impl Engine for Sandbox {
    fn kind(&self) -> EngineKind {
        EngineKind::Sandbox
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            isolates: true,
            images: true,
        }
    }

    fn health(&self) -> Result<Health, EngineError> {
        health::trial(self)?;
        Ok(Health {
            version: self.version()?,
            cgroup_version: crate::host::cgroup_version(),
            cpus: None,
            memory_bytes: None,
            data_root: None,
            security: vec!["seccomp".into()],
        })
    }

    fn version(&self) -> Result<String, EngineError> {
        Ok(env!("CARGO_PKG_VERSION").into())
    }

    fn image(&self, reference: &str) -> Result<Option<Image>, EngineError> {
        Ok(self.find(reference)?.map(|image| Image {
            id: image.id,
            size_bytes: image.size_bytes,
            content: image.content,
        }))
    }

    fn offers(&self, network: Network) -> bool {
        link(network).is_ok()
    }

    fn inspect(&self) -> Result<Vec<Found>, EngineError> {
        let boot = crate::host::boot_id()
            .map_err(|error| EngineError::Other(format!("the boot id cannot be read: {error}")))?;
        let found = |name: String| {
            let owner = cgroup::launcher(&name).map(|(pid, pid_start)| Owner {
                run: format!("of process {pid}"),
                boot: boot.clone(),
                pid,
                pid_start,
            });
            Found {
                id: name.clone(),
                name: format!("sandbox-{name}"),
                owner,
            }
        };
        let containers = self.hierarchy().containers();
        Ok(containers.into_iter().map(found).collect())
    }

    fn remove(&self, id: &str) -> Result<(), EngineError> {
        self.hierarchy()
            .remove(id)
            .map_err(|error| EngineError::Other(format!("cannot remove the sandbox {id}: {error}")))
    }

    fn runs_as_us(&self) -> bool {
        let (user, _) = Hardening::full(SeccompProfile::Isolation).user;
        !is_root_for(user)
    }

    fn attach(&self, spec: &ContainerSpec) -> Result<u8, EngineError> {
        let image = self.hold(&spec.image)?;
        let plan = self.plan(spec, image.as_ref().map(|(image, _)| image))?;
        attach::attach(&self.program, &plan)
    }

    fn command_line(&self, _spec: &ContainerSpec) -> Result<Option<Vec<OsString>>, EngineError> {
        Ok(None)
    }

    fn create(&self, spec: &ContainerSpec) -> Result<Box<dyn Container>, EngineError> {
        if spec.argv.is_empty() {
            return Err(EngineError::Other(
                "the container's command is empty".into(),
            ));
        }
        let image = self.hold(&spec.image)?;
        let plan = self.plan(spec, image.as_ref().map(|(image, _)| image))?;
        Ok(Box::new(SandboxContainer::new(
            self.program.clone(),
            plan,
            image.map(|(_, hold)| hold),
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_in_a_map_or_is_not() {
        assert!(has_user("         0          0 4294967295\n", 1001));
        assert!(has_user("0 1000 1\n1 100000 65536\n", 1001));
        assert!(!has_user("         0       1000          1\n", 1001));
        assert!(!has_user("0 1000 1001\n", 1001) && !has_user("", 1001) && !has_user("x", 0));
    }
}
