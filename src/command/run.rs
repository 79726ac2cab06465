//! `docker-test run`: discover, plan, run, report, record.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::apart::possible;
use super::choose::choose;
use super::context::{owner, program};
use super::list::listing;
use super::network::OwnNetwork;
use super::prepare::{project, runtime, tests};
use super::{Context, Failure, text};
use crate::cli::{EngineChoice, Fresh, MessageFormat, Run, parse_env};
use crate::config::{Config, Workers};
use crate::engine::{Docker, Engine, EngineKind};
use crate::event::{Event, RunStarted, Sink, SinkError};
use crate::host::{self, Machine};
use crate::model::{ByteText, ImageChoice, Limits, Network, Test, escape};
use crate::plan::{Apart, Asked, Selection, apart};
use crate::report::{Background, Human, Json, Options};
use crate::run::{
    Answer, Class, Inbox, PROJECT, Policy, RUNTIME_FOLDER, Request, Root, Site, Workshop, clamp,
    forward_signals, plain_spec, run as run_tests, worker_spec,
};
use crate::store::Store;
use crate::suite;

/// From TERM to KILL.
pub const GRACE: Duration = Duration::from_secs(2);
/// How much of each output stream's beginning is kept, and as much of its end.
pub const KEEP_BYTES: u64 = 256 << 10;
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
    apart: Apart,
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
    fn unreadable(&self, tests: &[Test]) -> Option<String> {
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
    pub fn ask_version(&self) -> Answer {
        if self.dry {
            return Answer::none();
        }
        let engine = Arc::clone(&self.engine);
        Answer::to(move || engine.version().ok())
    }

    /// The suite's runtime, which is there.
    fn runtime(&self) -> Result<Option<PathBuf>, Failure> {
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
        let runtime = self.runtime()?;
        let mut workshop = Workshop {
            engine: self.engine.as_ref(),
            builder: self.builder.as_ref(),
            program: self.site.program.clone(),
            runtime,
            dry: self.dry,
            tell: &mut |line| eprintln!("{line}"),
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
            level: self.apart.level,
            network: self.apart.network,
            allow_weaker: self.apart.allow_weaker,
            workers,
            tests: Arc::clone(tests),
        }
    }
}

/// Runs the tests; the exit status is the run's.
pub fn run(arguments: &Run, context: &Context) -> Result<u8, Failure> {
    let mut extra = Vec::new();
    for entry in &arguments.env {
        let (name, value) = parse_env(entry).map_err(Failure::usage)?;
        let value = value.or_else(|| context.variable(name.as_os_str()).map(ByteText::from));
        extra.extend(value.map(|value| (name, value)));
    }
    let mut setup = Setup::new(arguments.engine, arguments.without_reset, context)?;
    setup.dry = arguments.dry_run;
    let asked = Asked {
        level: arguments.level,
        network: arguments.network,
        fresh: arguments.fresh.map(|fresh| fresh == Fresh::Test),
        allow_weaker: arguments.allow_weaker,
    };
    let apart = apart(asked, &setup.config)?;
    possible(&apart, setup.engine.as_ref())?;
    let selection = Selection {
        profile: arguments.profile.clone(),
        image: arguments.image.clone(),
        filters: arguments.filter.clone(),
        paths: arguments.paths.clone(),
    };
    // Nothing is started by a dry run, so the listing command stands for its tests.
    let listed = match &setup.config.suite.list {
        Some(_) if arguments.dry_run => Some(b"suite.list\n".to_vec()),
        _ => listing(&setup, arguments.image.as_ref())?,
    };
    let tests = tests(
        &setup.config,
        &selection,
        listed.as_deref(),
        setup.engine.as_ref(),
        context,
    )?;
    setup.keep_apart(apart);
    if !setup.plain {
        setup.runtime()?;
    }
    // Not before all that was typed is known to be good: bad input asks nobody.
    let engine_version = setup.ask_version();
    let explicit = arguments.image.is_some() || setup.config.image.is_some();
    let Classes { classes, class_of } = Classes::of(&setup, &tests, arguments.timeout, explicit)?;
    let slots = slots(&setup, arguments.workers, &tests, &classes);
    if arguments.dry_run {
        return dry_run(&setup, &classes);
    }
    let _network = OwnNetwork::make(&setup.engine, &setup.site)?;

    let store = if arguments.no_record {
        None
    } else {
        Some(Store::open(&setup.config.results_path())?)
    };
    let record = store.as_ref().map(|store| store.path().to_path_buf());
    let report: Box<dyn Sink + Send> = match arguments.message_format {
        MessageFormat::Json => Box::new(Json::new(Box::new(std::io::stdout()))),
        MessageFormat::Human => {
            let options = Options::new(
                context.color,
                &context.environment,
                context.terminals,
                false,
                record.as_deref(),
            );
            Box::new(Human::new(
                options,
                Box::new(std::io::stdout()),
                Box::new(std::io::stderr()),
            ))
        }
    };
    let mut warnings: Vec<String> = setup.unreadable(&tests).into_iter().collect();
    warnings.splice(0..0, setup.apart.notes.clone());
    warnings.splice(0..0, setup.why.clone());
    if setup.plain {
        warnings.insert(0, "--engine host: no container, no isolation, no limits on memory or processes; for comparison and debugging only".to_owned());
    }
    if arguments.without_reset {
        warnings.insert(
            0,
            "--without-reset: tests see what earlier tests left behind".to_owned(),
        );
    }
    let failed =
        |error: std::io::Error| Failure::engine(format!("no thread can be started: {error}"));
    let mut sinks = Sinks {
        store,
        report: Background::new(report).map_err(failed)?,
    };
    let command = setup.config.suite.command.clone();
    let request = Request {
        engine_version,
        head: setup.head(&tests, &classes, slots),
        warnings,
        classes,
        class_of,
        command: Box::new(move |test| suite::command(&command, &test.id)),
        environment: setup.environment(&extra),
        directory: setup.directory(),
        policy: Policy {
            slots,
            fresh: setup.apart.fresh,
            fail_fast: arguments.fail_fast,
        },
        grace: GRACE,
        keep_bytes: KEEP_BYTES,
        hold: arguments.hold.min(slots),
        without_reset: arguments.without_reset,
    };
    let inbox = Inbox::new();
    forward_signals(inbox.sender()).map_err(|error| {
        Failure::engine(format!("signal handlers cannot be installed: {error}"))
    })?;
    let finished = run_tests(&request, setup.engine.as_ref(), &inbox, &mut sinks)?;
    Ok(finished.exit_status)
}

/// The record first, then the report: what is shown is on disk.
struct Sinks {
    store: Option<Store>,
    report: Background,
}

impl Sink for Sinks {
    fn take(&mut self, events: &[Event]) -> Result<(), SinkError> {
        if let Some(store) = &mut self.store {
            store.take(events)?;
        }
        self.report.take(events)
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

/// The classes that the tests fall into.
struct Classes {
    classes: Vec<Class>,
    /// Each test's class.
    class_of: Vec<usize>,
}

impl Classes {
    fn of(
        setup: &Setup,
        tests: &[Test],
        timeout: Option<Duration>,
        explicit: bool,
    ) -> Result<Self, Failure> {
        let mut known: BTreeMap<(&str, &ImageChoice), usize> = BTreeMap::new();
        let mut roots: BTreeMap<&ImageChoice, Root> = BTreeMap::new();
        let mut classes = Vec::new();
        let mut class_of = Vec::with_capacity(tests.len());
        for test in tests {
            let key = (test.profile.as_str(), &test.image);
            if let Some(class) = known.get(&key) {
                class_of.push(*class);
                continue;
            }
            if !setup.plain && !roots.contains_key(&test.image) {
                roots.insert(&test.image, setup.root(&test.image, explicit)?);
            }
            let mut asked = setup.config.profiles[&test.profile].limits.clone();
            asked.wall = timeout.unwrap_or(asked.wall);
            // What the machine cannot give shows in the workers' attestation.
            let (class, _) = setup.class(&test.profile, asked, roots.get(&test.image));
            known.insert(key, classes.len());
            class_of.push(classes.len());
            classes.push(class);
        }
        Ok(Classes { classes, class_of })
    }
}

/// How many workers at once.
fn slots(setup: &Setup, asked: Option<Workers>, tests: &[Test], classes: &[Class]) -> usize {
    let count = match asked.unwrap_or(setup.config.workers) {
        Workers::Count(count) => count,
        Workers::Auto => {
            let heaviest = classes
                .iter()
                .map(|class| class.given.memory_bytes)
                .max()
                .unwrap_or(1);
            let by_memory = setup.machine.available_memory_bytes / heaviest.max(1);
            setup
                .machine
                .cpus
                .min(usize::try_from(by_memory).unwrap_or(usize::MAX))
        }
    };
    count.clamp(1, tests.len().max(1))
}

/// Prints the engine's command line for a worker of each class.
fn dry_run(setup: &Setup, classes: &[Class]) -> Result<u8, Failure> {
    let mut lines = String::new();
    for class in classes {
        let mut spec = class.spec.clone();
        spec.name = format!("docker-test-{}-1", setup.run);
        if let Some(argv) = setup.engine.command_line(&spec)? {
            lines.push_str(&format!(
                "# profile {}, image {}\n",
                class.profile, class.image
            ));
            let words: Vec<String> = argv
                .iter()
                .map(|word| quote(&ByteText::from(word.as_os_str())))
                .collect();
            lines.push_str(&words.join(" "));
            lines.push('\n');
        }
    }
    text::print(lines.as_bytes())
}

/// A word as a POSIX shell reads it back. A word that would not survive a terminal is written byte
/// by byte in bash's `$'…'` form, which every locale reads alike.
fn quote(word: &ByteText) -> String {
    let escaped = word.to_string();
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"-_=/.,:@%+".contains(&c);
    if word.as_str() != Some(&escaped) {
        let byte = |byte: &u8| match *byte {
            byte if plain(byte) => char::from(byte).to_string(),
            byte => format!("\\x{byte:02x}"),
        };
        let bytes: String = word.as_bytes().iter().map(byte).collect();
        format!("$'{bytes}'")
    } else if !escaped.is_empty() && escaped.bytes().all(plain) {
        escaped
    } else {
        format!("'{}'", escaped.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(quote(&"--a=b/c".into()), "--a=b/c");
        assert_eq!(quote(&"a b".into()), "'a b'");
        assert_eq!(quote(&"it's".into()), r"'it'\''s'");
        assert_eq!(quote(&"".into()), "''");
        assert_eq!(quote(&"a\n'\u{202e}".into()), r"$'a\x0a\x27\xe2\x80\xae'");
        assert_eq!(quote(&b"\xff\\".to_vec().into()), r"$'\xff\x5c'");
    }
}
