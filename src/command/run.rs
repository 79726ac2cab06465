//! `docker-test run`: discover, plan, run, report, record.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::again;
use super::apart::possible;
use super::dry_run::dry_run;
use super::list::listing;
use super::listen;
use super::network::OwnNetwork;
use super::prepare::tests;
use super::replicas::Crew;
use super::report;
use super::reporter::reporter;
use super::schedule::{Ordered, history, in_order, ordered, seed_note, workers};
use super::setup::Setup;
use super::shard::{self, part};
use super::{Context, Failure};
use crate::cli::{Fresh, Run, parse_env};
use crate::config::Flaky;
use crate::event::{Event, RunStarted, Sink, SinkError};
use crate::model::{ByteText, ImageChoice, Room, Test};
use crate::plan::{Asked, History, Selection, apart, retries};
use crate::report::{Background, WholeFile};
use crate::run::{
    Class, ImageDigests, Inbox, Policy, Request, Root, forward_signals, run as run_tests,
};
use crate::store::Store;
use crate::suite;

/// From TERM to KILL.
pub const GRACE: Duration = Duration::from_secs(2);
/// How much of each output stream's beginning is kept, and as much of its end.
pub const KEEP_BYTES: u64 = 256 << 10;

/// Who runs the tests.
#[derive(Clone, Copy, Debug)]
pub enum Who<'a> {
    /// Workers that the engine starts.
    Workers,
    /// Whoever dials in at this socket.
    Guests(&'a Path),
    /// So many replicas of compose, which dial in.
    Replicas(Option<u32>),
}

impl Who<'_> {
    fn dials_in(self) -> bool {
        !matches!(self, Who::Workers)
    }
}

/// Runs the tests; the exit status is the run's.
pub fn run(arguments: &Run, context: &Context) -> Result<u8, Failure> {
    let who = match &arguments.listen.listen {
        Some(socket) => Who::Guests(socket),
        None => Who::Workers,
    };
    run_by(arguments, who, context)
}

/// Has the tests run by these.
pub fn run_by(arguments: &Run, who: Who<'_>, context: &Context) -> Result<u8, Failure> {
    let mut extra = Vec::new();
    for entry in &arguments.env {
        let (name, value) = parse_env(entry).map_err(Failure::usage)?;
        let value = value.or_else(|| context.variable(name.as_os_str()).map(ByteText::from));
        extra.extend(value.map(|value| (name, value)));
    }
    let html = html(arguments)?;
    let engine = match who {
        Who::Guests(_) => listen::engine(arguments.engine)?,
        Who::Workers | Who::Replicas(_) => arguments.engine,
    };
    let mut setup = Setup::new(engine, arguments.without_reset, context)?;
    setup.dry = arguments.dry_run;
    if let Some(folder) = &arguments.reports.results {
        setup.config.results = context.directory()?.join(folder);
    }
    let asked = Asked {
        level: arguments.level,
        network: arguments.network,
        fresh: arguments.fresh.map(|fresh| fresh == Fresh::Test),
        allow_weaker: arguments.allow_weaker,
    };
    let apart = apart(asked, &setup.config)?;
    possible(&apart, setup.engine.as_ref())?;
    if who.dials_in() {
        listen::possible(&apart, setup.engine.as_ref(), &setup.config)?;
    }
    let shard = shard::asked(&arguments.schedule, context)?;
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
    let left = again::left(&arguments.schedule, &setup.config)?;
    let (tests, left) = match left.map(|left| again::only(Arc::clone(&tests), &left)) {
        Some((tests, note)) => (tests, Some(note)),
        None => (tests, None),
    };
    // A shard needs the history, which divides the suite; without one a dry run opens no database,
    // and a run without a record does without a past that cannot be read.
    let history = if arguments.dry_run && shard.is_none() {
        History::default()
    } else {
        match history(&setup.config) {
            Err(_) if arguments.no_record && shard.is_none() => History::default(),
            history => history?,
        }
    };
    let (tests, estimates) = in_order(tests, &history, setup.config.order);
    let part = part(tests, estimates, &history, shard);
    let Ordered {
        tests,
        expected,
        seed,
    } = ordered(
        &part,
        setup.config.order,
        arguments.schedule.shuffle,
        &setup.run,
    );
    let retries = retries(&tests, &setup.config, arguments.schedule.retries)?;
    let flaky = arguments.schedule.flaky.unwrap_or(setup.config.flaky);
    setup.keep_apart(apart);
    if !setup.plain {
        setup.runtime()?;
    }
    // Not before all that was typed is known to be good: bad input asks nobody.
    let engine_version = setup.ask_version();
    let explicit = arguments.image.is_some() || setup.config.image.is_some();
    let Classes {
        classes,
        class_of,
        image_digests,
    } = Classes::of(&setup, &tests, arguments.timeout, explicit)?;
    let asked = arguments.workers.unwrap_or(setup.config.workers);
    let capacity = workers(asked, &setup.machine, &classes, tests.len());
    let (slots, room) = match who {
        Who::Workers => (capacity.workers, capacity.room),
        Who::Guests(_) | Who::Replicas(_) => (usize::MAX, Room::UNLIMITED),
    };
    let shown = match who {
        Who::Workers => slots,
        Who::Guests(_) => 0,
        Who::Replicas(scale) => scale.map_or(capacity.workers, |scale| scale as usize),
    };
    if arguments.dry_run {
        return dry_run(&setup, &classes);
    }
    let _network = OwnNetwork::make(&setup.engine, &setup.site)?;
    let inbox = Inbox::new();
    forward_signals(inbox.sender()).map_err(|error| {
        Failure::engine(format!("signal handlers cannot be installed: {error}"))
    })?;
    let _listener = match who {
        Who::Guests(socket) => Some(listen::start(socket, &inbox, &setup.config, context)?),
        Who::Workers | Who::Replicas(_) => None,
    };

    let store = if arguments.no_record {
        None
    } else {
        Some(Store::open(&setup.config.results_path())?)
    };
    let record = store.as_ref().map(|store| store.path().to_path_buf());
    let report = reporter(
        arguments.message_format,
        &arguments.reports,
        record.as_deref(),
        context,
    )?;
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
        image_digests,
        head: RunStarted {
            suite: part.suite,
            division: part.division,
            seed,
            ..setup.head(&tests, &classes, shown)
        },
        warnings,
        notes: left
            .into_iter()
            .chain(part.note)
            .chain(seed.map(seed_note))
            .collect(),
        responses: setup.apart.responses.clone(),
        classes,
        class_of,
        expected,
        retries,
        fail_flaky: flaky == Flaky::Fail,
        room,
        command: Box::new(move |test| suite::command(&command, &test.id)),
        environment: setup.environment(&extra),
        directory: setup.directory(),
        policy: Policy {
            slots,
            fresh: setup.apart.fresh,
            fail_fast: arguments.fail_fast,
            dial_in: who.dials_in(),
        },
        grace: GRACE,
        keep_bytes: KEEP_BYTES,
        hold: arguments.hold.min(slots),
        without_reset: arguments.without_reset,
    };
    let _crew = match who {
        Who::Replicas(_) => Some(Crew::start(&setup, &request, shown, &inbox, context)?),
        Who::Workers | Who::Guests(_) => None,
    };
    let finished = run_tests(&request, setup.engine.as_ref(), &inbox, &mut sinks)?;
    // What is left to print is printed, and the record closed.
    drop(sinks);
    if let Some(target) = html {
        report::write(&setup.config.results_path(), &setup.run, target)?;
    }
    Ok(finished.exit_status)
}

/// Where the page is to be written: known to be good before a test is run.
fn html(arguments: &Run) -> Result<Option<WholeFile>, Failure> {
    match &arguments.reports.html {
        Some(path) if path.as_os_str() == "-" => Err(Failure::usage(
            "invalid value '-' for '--html <FILE>': stdout has the run's own report\nhint: docker-test report -o - writes the page there",
        )),
        Some(path) => Ok(Some(WholeFile::new(path)?)),
        None => Ok(None),
    }
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

/// The classes that the tests fall into.
struct Classes {
    classes: Vec<Class>,
    /// Each test's class.
    class_of: Vec<usize>,
    /// What names the content of their images.
    image_digests: ImageDigests,
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
        let mut image_digests = ImageDigests::default();
        let mut classes = Vec::new();
        let mut class_of = Vec::with_capacity(tests.len());
        for test in tests {
            let key = (test.profile.as_str(), &test.image);
            if let Some(class) = known.get(&key) {
                class_of.push(*class);
                continue;
            }
            if !setup.plain && !roots.contains_key(&test.image) {
                let root = setup.root(&test.image, explicit)?;
                setup.ask_digest(&test.image, &root, &mut image_digests);
                roots.insert(&test.image, root);
            }
            let mut asked = setup.config.profiles[&test.profile].limits.clone();
            asked.wall = timeout.unwrap_or(asked.wall);
            // What the machine cannot give shows in the workers' attestation.
            let (class, _) = setup.class(&test.profile, asked, roots.get(&test.image));
            known.insert(key, classes.len());
            class_of.push(classes.len());
            classes.push(class);
        }
        Ok(Classes {
            classes,
            class_of,
            image_digests,
        })
    }
}
