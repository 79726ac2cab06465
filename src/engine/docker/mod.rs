//! Docker and podman, through their command lines: any engine, context and credential that works for
//! them works here too. What differs between the two is in [`flavour`], by name.
//!
//! A container is one `docker run` and nothing before it: what is wrong is diagnosed when it fails.
//! Its stdin is the dead man's switch: a launcher that dies closes it, the worker exits, and `--rm`
//! removes the container.

mod argv;
pub mod compose;
mod container;
pub(super) mod diagnose;
mod ending;
#[cfg(test)]
pub(super) mod fake;
mod flavour;
mod health;
mod id;
mod inspect;
mod mounts;
mod podman;
mod probe;
#[cfg(test)]
pub(super) mod real_tests;
mod replicas;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use self::argv::{AloneOption, Dialect};
use self::container::DockerContainer;
pub use self::flavour::Flavour;
use self::id::IdFile;
use self::mounts::Mount;
pub use self::replicas::{Compose, Project};
use super::call::{Answer, Call};
use super::{
    Bind, Capabilities, Container, ContainerSpec, Engine, EngineError, EngineKind, Found,
    FoundImage, Health, Image, Owner, SeccompProfile, host_image, seccomp,
};
use crate::model::Network;

/// Deadline of a call. An engine that has no answer by then is hanging.
const LIMIT: Duration = Duration::from_secs(30);

/// An engine with docker's command line: docker or podman.
#[derive(Clone, Debug)]
pub struct Docker {
    flavour: Flavour,
    program: OsString,
    limit: Duration,
    cache_folder: Option<PathBuf>,
    alone: Arc<OnceLock<AloneOption>>,
}

impl Docker {
    /// The docker behind `program`, usually `docker`. Asks it nothing yet.
    pub fn new(program: impl Into<OsString>) -> Self {
        Docker::of(Flavour::Docker, program)
    }

    /// The podman behind `program`, usually `podman`. Asks it nothing yet.
    pub fn podman(program: impl Into<OsString>) -> Self {
        Docker::of(Flavour::Podman, program)
    }

    fn of(flavour: Flavour, program: impl Into<OsString>) -> Self {
        Docker {
            flavour,
            program: program.into(),
            limit: LIMIT,
            cache_folder: seccomp::cache_folder(
                std::env::var_os("XDG_CACHE_HOME"),
                std::env::var_os("HOME"),
            ),
            alone: Arc::default(),
        }
    }

    /// Whose command line it is.
    pub fn flavour(&self) -> Flavour {
        self.flavour
    }

    /// Gives every call another deadline.
    pub fn with_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// A container's spec for an engine's helper that knows no bind without what is mounted below its
    /// source: that is bound by itself as well, on top, and so cannot be written either.
    pub fn with_mounts_below(mut spec: ContainerSpec) -> ContainerSpec {
        let mounts = mounts::of_this_machine(&spec.binds);
        spec.binds = mounts.into_iter().map(|mount| mount.bind).collect();
        spec
    }

    /// The file with this list of system calls, made where it is missing.
    ///
    /// # Errors
    /// No folder can be written.
    pub fn seccomp_file(&self, profile: SeccompProfile) -> Result<PathBuf, EngineError> {
        let folder = self.cache_folder.as_deref();
        seccomp::file(profile, folder, &std::env::temp_dir())
    }

    /// Keeps the seccomp profiles in another folder.
    #[cfg(test)]
    pub fn with_cache_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cache_folder = Some(folder.into());
        self
    }

    /// A call of the command line with these arguments, for what is docker's alone, such as builds.
    pub fn call<I, S>(&self, arguments: I) -> Call
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        self.call_within(arguments, self.limit)
    }

    /// A call with a deadline of its own.
    pub fn call_within<I, S>(&self, arguments: I, limit: Duration) -> Call
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        Call::new(&self.program, arguments, limit)
    }

    /// What a successful call printed.
    ///
    /// # Errors
    /// As [`Call::run`], with the meaning of docker's words where they are known.
    pub fn run(&self, call: &Call) -> Result<Vec<u8>, EngineError> {
        let answer = call.answer()?;
        if answer.status.success() {
            Ok(answer.stdout)
        } else {
            Err(self.failed(call, &answer))
        }
    }

    fn failed(&self, call: &Call, answer: &Answer) -> EngineError {
        self.explain(call.failed(answer.status, &answer.stderr))
    }

    /// Gives a failed call its meaning, where its words are known.
    pub fn explain(&self, error: EngineError) -> EngineError {
        diagnose::explain(self.flavour, error)
    }

    fn argv(
        &self,
        spec: &ContainerSpec,
        id_file: Option<&Path>,
    ) -> Result<Vec<OsString>, EngineError> {
        let mut mounts = mounts::of_this_machine(&spec.binds);
        self.check_quotes(&mounts)?;
        let alone = if mounts.iter().any(|mount| mount.alone) {
            self.alone_option()?
        } else {
            AloneOption::New
        };
        let cache_folder = self.cache_folder.as_deref();
        if self.flavour.copies_host_names() {
            mounts.push(Mount {
                bind: Bind {
                    source: host_image::hosts_file(cache_folder)?,
                    target: "/etc/hosts".into(),
                },
                alone: false,
            });
        }
        let dialect = Dialect {
            flavour: self.flavour,
            alone,
            seccomp: &self.seccomp_file(spec.hardening.seccomp)?,
            id_file,
            processes: self.flavour.process_limit(),
        };
        let mut argv = vec![self.program.clone()];
        argv.extend(argv::run(spec, &mounts, dialect)?);
        Ok(argv)
    }

    /// Refuses a path that this version cannot be given. Asks it only where there is doubt.
    fn check_quotes(&self, mounts: &[Mount]) -> Result<(), EngineError> {
        let mut paths = mounts
            .iter()
            .flat_map(|mount| [&mount.bind.source, &mount.bind.target]);
        let Some(path) = paths.find(|path| argv::needs_quotes(path)) else {
            return Ok(());
        };
        if self.flavour == Flavour::Docker || self.flavour.reads_quoted_lists(self.numbers()?) {
            return Ok(());
        }
        Err(argv::refused(
            "path",
            path.as_os_str(),
            "podman before 4.1 takes no comma, double quote or line break",
        ))
    }

    /// The command line's own version. No engine is asked.
    fn numbers(&self) -> Result<(u32, u32), EngineError> {
        let call = self.call(["--version"]);
        let answer = self.run(&call)?;
        std::str::from_utf8(&answer)
            .ok()
            .filter(|text| Flavour::of_version(text) == Some(self.flavour))
            .and_then(|text| text.split([' ', ',']).nth(2))
            .and_then(flavour::numbers)
            .ok_or_else(|| call.garbage(&answer))
    }

    /// Which word the command line has for a bind alone. Asked only where one is needed, and once;
    /// no engine is asked.
    fn alone_option(&self) -> Result<AloneOption, EngineError> {
        if self.flavour == Flavour::Podman {
            return Ok(AloneOption::Old);
        }
        if let Some(&known) = self.alone.get() {
            return Ok(known);
        }
        let (major, _) = self.numbers()?;
        let option = if major >= 25 {
            AloneOption::New
        } else {
            AloneOption::Old
        };
        Ok(*self.alone.get_or_init(|| option))
    }
}

impl Engine for Docker {
    fn kind(&self) -> EngineKind {
        self.flavour.kind()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            isolates: true,
            images: true,
        }
    }

    fn health(&self) -> Result<Health, EngineError> {
        match self.flavour {
            Flavour::Docker => health::health(self),
            Flavour::Podman => podman::health(self),
        }
    }

    fn version(&self) -> Result<String, EngineError> {
        health::version(self)
    }

    fn host_image(&self) -> Result<String, EngineError> {
        host_image::host_image(self)
    }

    fn is_local(&self) -> Result<bool, EngineError> {
        match (self.flavour, health::known_local()) {
            (Flavour::Podman, _) => podman::is_local(self),
            (_, Some(local)) => Ok(local),
            (_, None) => Ok(health::is_local(&health::endpoint(self)?)),
        }
    }

    fn image(&self, reference: &str) -> Result<Option<Image>, EngineError> {
        inspect::image(self, reference)
    }

    fn command_line(&self, spec: &ContainerSpec) -> Result<Option<Vec<OsString>>, EngineError> {
        self.argv(spec, None).map(Some)
    }

    fn create(&self, spec: &ContainerSpec) -> Result<Box<dyn Container>, EngineError> {
        let id = IdFile::where_of_use(self.flavour);
        let argv = self.argv(spec, id.as_ref().map(IdFile::path))?;
        Ok(Box::new(DockerContainer::new(
            self.clone(),
            spec.name.clone(),
            argv,
            id,
        )))
    }

    fn inspect(&self) -> Result<Vec<Found>, EngineError> {
        match self.flavour {
            Flavour::Docker => inspect::containers(self),
            Flavour::Podman => podman::containers(self),
        }
    }

    fn remove(&self, id: &str) -> Result<(), EngineError> {
        inspect::remove_container(self, id).map(|_| ())
    }

    fn offers(&self, _network: Network) -> bool {
        true
    }

    fn make_network(&self, owner: &Owner) -> Result<(), EngineError> {
        self.run(&self.call(argv::make_network(owner, self.flavour)?))
            .map(|_| ())
    }

    fn networks(&self) -> Result<Vec<Found>, EngineError> {
        inspect::networks(self)
    }

    fn remove_network(&self, id: &str) -> Result<(), EngineError> {
        inspect::remove_network(self, id)
    }

    fn images(&self) -> Result<Vec<FoundImage>, EngineError> {
        inspect::images(self)
    }

    fn remove_image(&self, image: &FoundImage) -> Result<(), EngineError> {
        inspect::remove_image(self, image)
    }
}

#[cfg(test)]
mod tests {
    use super::fake::{Fake, spec};
    use super::*;
    use crate::engine::Bind;

    #[test]
    fn the_word_for_a_bind_alone_is_the_command_lines() {
        for (version, word) in [
            (
                "Docker version 20.10.24+dfsg1, build 297e128",
                Some(AloneOption::Old),
            ),
            (
                "Docker version 24.0.7, build afdd53b",
                Some(AloneOption::Old),
            ),
            (
                "Docker version 25.0.0, build e758fe5",
                Some(AloneOption::New),
            ),
            (
                "Docker version 28.2.2, build e6534b4",
                Some(AloneOption::New),
            ),
            ("podman version 4.3.1", None),
        ] {
            let docker = Fake::new(&format!("echo '{version}'"));
            assert_eq!(docker.docker().alone_option().ok(), word, "{version}");
        }
    }

    #[test]
    fn a_path_that_an_old_podman_misreads_is_refused() {
        for (version, path, refused) in [
            ("3.4.4", "a,b", true),
            ("4.0.3", "a\"b", true),
            ("4.1.0", "a,b", false),
            ("5.4.2", "a\nb", false),
        ] {
            let fake = Fake::new(&format!("echo 'podman version {version}'"));
            let mut spec = spec("dt-1", &["worker"]);
            spec.binds = vec![Bind {
                source: fake.file(path),
                target: "/work".into(),
            }];
            let error = fake.podman().command_line(&spec).err();
            assert_eq!(fake.calls(), [["--version"]]);
            let error = error.map(|error| error.to_string());
            assert_eq!(error.is_some(), refused, "{error:?}");
            assert!(error.is_none_or(|error| error.contains("podman before 4.1")));
        }
    }

    #[test]
    fn podman_gets_names_of_ours_and_is_asked_nothing() {
        let fake = Fake::new("exit 1");
        let line = fake.podman().command_line(&spec("dt-1", &["worker"]));
        let hosts: Vec<_> = line
            .unwrap()
            .unwrap()
            .into_iter()
            .filter_map(|argument| argument.into_string().ok())
            .filter(|argument| argument.ends_with(",target=/etc/hosts,readonly"))
            .collect();
        let [hosts] = hosts.as_slice() else {
            panic!("{hosts:?}")
        };
        let path = hosts
            .strip_prefix("--mount=type=bind,source=")
            .and_then(|rest| rest.split(',').next())
            .unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(text, "127.0.0.1 localhost docker-test\n::1 localhost\n");
        let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(path).unwrap());
        assert_eq!(mode & 0o777, 0o644);
        assert!(fake.calls().is_empty());
    }

    #[test]
    fn without_mounts_below_docker_is_asked_nothing() {
        let fake = Fake::new("exit 1");
        let mut spec = spec("dt-1", &["worker"]);
        spec.binds = vec![Bind {
            source: fake.file(""),
            target: "/work".into(),
        }];
        fake.docker().command_line(&spec).unwrap();
        fake.docker().create(&spec).unwrap();
        assert!(fake.calls().is_empty());
    }
}
