//! Everything that is decided before a container starts, for the commands that start any.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::choose::choose;
use super::context::{owner, program};
use super::prepare::{project, runtime};
use super::{Context, Failure};
use crate::cli::EngineChoice;
use crate::config::Config;
use crate::engine::{Docker, Engine, EngineKind, SeccompProfile};
use crate::event::RunStarted;
use crate::host::{self, Machine};
use crate::model::{ByteText, ImageChoice, Limits, Network, Test, escape};
use crate::plan::{Apart, manifest};
use crate::report::one_line;
use crate::run::{
    Answer, Class, ImageDigests, PROJECT, RUNTIME_FOLDER, Root, Site, Workshop, clamp, plain_spec,
    worker_spec,
};

/// The search path of tests.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Everything that was decided before the first container starts.
pub struct Setup {
    /// The project.
    pub config: Config,
    /// The machine.
    pub machine: Machine,
    /// What starts containers.
    pub engine: Arc<dyn Engine>,
    /// What builds images for it.
    pub builder: Option<Docker>,
    /// Why it is this engine, where nobody named one.
    pub why: Option<String>,
    /// What every worker has.
    pub site: Site,
    /// The run's name.
    pub run: String,
    /// Whether there are no containers at all.
    pub plain: bool,
    /// Whether tests run as a user who is not the one that starts them.
    pub as_others: bool,
    /// Whether nothing is to be started or built.
    pub dry: bool,
    /// How much tests are kept apart.
    pub apart: Apart,
}

impl Setup {
    /// Finds the project and the engine.
    pub fn new(
        engine: EngineChoice,
        without_reset: bool,
        context: &Context,
    ) -> Result<Self, Failure> {
        let config = project(context)?;
        let run = host::new_run_id().map_err(|error| {
            Failure::engine(format!("no random numbers for a run's name: {error}"))
        })?;
        let site = Site {
            project: config.project.clone(),
            program: program()?,
            owner: owner(&run)?,
            network: Network::None,
            without_reset,
        };
        let chosen = choose(engine, context)?;
        let plain = chosen.engine.kind() == EngineKind::Host;
        let as_others = !plain && !chosen.engine.runs_as_us();
        if as_others {
            check_folder(&site.project)?;
        }
        if as_others && !everybody(&site.program, 0o5) {
            let shown = escape(site.program.as_os_str().as_encoded_bytes());
            return Err(Failure::engine(format!(
                "this program cannot be executed by user 1001, as whom tests run: {shown}\nhint: chmod o+rx {shown}"
            )));
        }
        Ok(Setup {
            config,
            machine: Machine::read(),
            engine: chosen.engine,
            builder: chosen.builder,
            why: chosen.why,
            site,
            run,
            plain,
            as_others,
            dry: false,
            apart: Apart::default(),
        })
    }

    /// Keeps tests apart like this from now on; until then it is as by default.
    pub fn keep_apart(&mut self, apart: Apart) {
        self.site.network = apart.network;
        self.apart = apart;
    }

    /// What to say of tests that user 1001, as whom tests run in a container, cannot read. Looks at
    /// the first thousand.
    pub fn unreadable(&self, tests: &[Test]) -> Option<String> {
        let closed = |test: &&Test| !everybody(&self.config.project.join(test.id.path()), 0o4);
        let mut closed = tests.iter().take(1000).filter(closed);
        let first = closed.next().filter(|_| self.as_others)?;
        Some(format!(
            "{} tests cannot be read by user 1001, as whom tests run; the first is {} (chmod -R o+rX mends it)",
            closed.count() + 1,
            first.id
        ))
    }

    /// Asks the engine for its version while the images are looked up: later it would compete with
    /// the tests.
    pub fn ask_version(&self) -> Answer<String> {
        if self.dry {
            return Answer::none();
        }
        let engine = Arc::clone(&self.engine);
        Answer::to(move || engine.version().ok())
    }

    /// Keeps what names the content of `root`, or asks the engine while the tests run. Only an image
    /// that the user names is asked for: the others were looked up.
    pub fn ask_digest(&self, image: &ImageChoice, root: &Root, digests: &mut ImageDigests) {
        match &root.digest {
            Some(digest) => digests.know(&root.word, digest.clone()),
            None if matches!(image, ImageChoice::Named(_)) && !self.dry => {
                let (engine, reference) = (Arc::clone(&self.engine), root.reference.clone());
                let question = move || engine.image(&reference).ok()??.digest();
                digests.ask(&root.word, Answer::to(question));
            }
            None => {}
        }
    }

    /// The suite's runtime, which is there.
    pub fn runtime(&self) -> Result<Option<PathBuf>, Failure> {
        match runtime(&self.config) {
            Some(runtime) if !runtime.is_file() => {
                let shown = escape(runtime.as_os_str().as_encoded_bytes());
                Err(Failure::usage(format!(
                    "suite.runtime {shown}: there is no such file\nhint: build it first, or correct suite.runtime in docker-test.yaml"
                )))
            }
            runtime => Ok(runtime),
        }
    }

    /// The image, ready; what takes long is told on stderr.
    pub fn root(&self, image: &ImageChoice, explicit: bool) -> Result<Root, Failure> {
        if self.engine.kind() == EngineKind::DialIn {
            // Workers say which image they are.
            return Ok(Root {
                word: image.to_string(),
                reference: String::new(),
                seccomp: SeccompProfile::Isolation,
                exec: false,
                binds: Vec::new(),
                digest: None,
            });
        }
        let runtime = self.runtime()?;
        let mut workshop = Workshop {
            engine: self.engine.as_ref(),
            builder: self.builder.as_ref(),
            program: self.site.program.clone(),
            runtime,
            dry: self.dry,
            tell: &mut |line| eprintln!("{}", one_line(line)),
        };
        workshop
            .prepare(image, explicit)
            .map_err(|error| Failure::engine(error.to_string()))
    }

    /// A class of tests in `root` under the limits of `profile`.
    pub fn class(&self, profile: &str, asked: Limits, root: Option<&Root>) -> (Class, Vec<String>) {
        let (given, notes) = clamp(&asked, self.machine.cpus, self.machine.memory_bytes);
        let spec = match root {
            Some(root) => worker_spec(&self.site, root, &given),
            None => plain_spec(&self.site, &given),
        };
        let class = Class {
            profile: profile.to_owned(),
            image: root.map_or_else(|| "none".to_owned(), |root| root.word.clone()),
            asked,
            given,
            spec,
        };
        (class, notes)
    }

    /// The environment of every test, less what names it.
    pub fn environment(&self, extra: &[(ByteText, ByteText)]) -> Vec<(ByteText, ByteText)> {
        let path = if self.config.suite.runtime.is_some() {
            format!("{RUNTIME_FOLDER}:{PATH}")
        } else {
            PATH.to_owned()
        };
        let mut environment = vec![("PATH".into(), path.into())];
        let suite = &self.config.suite.env;
        environment.extend(
            suite
                .iter()
                .map(|(name, value)| (name.as_str().into(), value.as_str().into())),
        );
        environment.extend_from_slice(extra);
        environment
    }

    /// Where tests run inside a worker.
    pub fn directory(&self) -> ByteText {
        if self.plain {
            self.config.project.as_os_str().into()
        } else {
            PROJECT.into()
        }
    }

    /// The head of a run of `tests`.
    pub fn head(&self, tests: &Arc<Vec<Test>>, classes: &[Class], workers: usize) -> RunStarted {
        let mut images: Vec<String> = classes.iter().map(|class| class.image.clone()).collect();
        images.retain(|_| !self.plain);
        images.sort();
        images.dedup();
        RunStarted {
            run: self.run.clone(),
            started_unix_us: host::unix_us(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            engine: self.engine.kind().as_str().to_owned(),
            images,
            project: self.config.project.as_os_str().into(),
            host: self.machine.hostname.clone(),
            machine: self.machine.fingerprint(),
            profiles: classes
                .iter()
                .map(|class| (class.profile.clone(), class.given.clone()))
                .collect(),
            level: self.apart.level,
            network: self.apart.network,
            allow_weaker: self.apart.allow_weaker,
            suite: manifest(tests),
            division: None,
            seed: None,
            workers,
            tests: Arc::clone(tests),
        }
    }
}

/// Refuses a project that user 1001 cannot enter: every test would fail, and none would say why.
fn check_folder(project: &Path) -> Result<(), Failure> {
    if everybody(project, 0o5) {
        return Ok(());
    }
    let shown = escape(project.as_os_str().as_encoded_bytes());
    let owner = project.metadata().ok().map(|found| found.uid());
    let other = match owner.filter(|uid| *uid != 0) {
        Some(uid) => {
            format!(", or run docker-test as its owner (`sudo -u '#{uid}' docker-test run`)")
        }
        None => String::new(),
    };
    Err(Failure::engine(format!(
        "the project {shown} is closed to user 1001, as whom tests run\nhint: chmod o+rx {shown}{other}"
    )))
}

/// Whether everybody has these rights on a file; yes for one that cannot be looked at.
fn everybody(path: &std::path::Path, rights: u32) -> bool {
    path.metadata()
        .is_ok_and(|found| found.permissions().mode() & rights == rights)
        || !path.exists()
}
