//! `docker-test test`: runs a mounted project's tests in this very container, without a launcher.
//!
//! This process is the supervisor, on its first thread; the run that hands out the tests is a
//! second thread of it, and the two speak the protocol through pipes. So everything is as with a
//! launcher, but for the container's limits, which whoever started the container has set.

use std::ffi::OsString;
use std::io::{PipeReader, PipeWriter};
use std::sync::Mutex;
use std::time::Duration;

use super::prepare::tests;
use super::run::{GRACE, KEEP_BYTES};
use super::setup::Setup;
use super::worker::place;
use super::{Context, Failure};
use crate::cli::{EngineChoice, MessageFormat, Test};
use crate::engine::{
    Capabilities, Container, ContainerSpec, Ending, Engine, EngineError, EngineKind, Health, Pipes,
};
use crate::event::Sink;
use crate::model::{ImageChoice, Room};
use crate::plan::{Selection, responses};
use crate::report::{Human, Json, Options};
use crate::run::{Answer, ImageDigests, Inbox, Policy, Request, run};
use crate::suite;
use crate::worker::serve;

/// Runs the tests one after another; the exit status is the run's.
pub fn test(arguments: &Test, context: &Context) -> Result<u8, Failure> {
    let setup = Setup::new(EngineChoice::Host, false, context)?;
    if setup.config.suite.list.is_some() && arguments.paths.is_empty() {
        return Err(Failure::usage(
            "suite.list needs a launcher: inside a container, name the files to run\nhint: docker-test run, outside",
        ));
    }
    let selection = Selection {
        profile: arguments.profile.clone(),
        image: Some(ImageChoice::Host),
        filters: arguments.filter.clone(),
        paths: arguments.paths.clone(),
    };
    let tests = tests(
        &setup.config,
        &selection,
        None,
        setup.engine.as_ref(),
        context,
    )?;
    // One container, so one class of workers; each test still has its own profile's time limits.
    let mut classes = Vec::new();
    let mut class_of = Vec::new();
    for test in tests.iter() {
        let at = classes
            .iter()
            .position(|class: &crate::run::Class| class.profile == test.profile);
        class_of.push(at.unwrap_or_else(|| {
            let limits = setup.config.profiles[&test.profile].limits.clone();
            classes.push(setup.class(&test.profile, limits, None).0);
            classes.len() - 1
        }));
    }
    let command = setup.config.suite.command.clone();
    let failed = |error: std::io::Error| Failure::engine(format!("no pipe: {error}"));
    let (from_run, to_worker) = std::io::pipe().map_err(failed)?;
    let (from_worker, to_run) = std::io::pipe().map_err(failed)?;
    let mut head = setup.head(&tests, &classes, 1);
    head.engine = "this container".to_owned();
    let environment = setup.environment(&[]);
    let directory = setup.directory();
    let responses = responses(&setup.config, setup.apart.level);
    let engine = InPlace(Mutex::new(Some((to_worker, from_worker))));
    let format = arguments.message_format;
    let options = Options::new(
        context.color,
        &context.environment,
        context.terminals,
        false,
        None,
    );
    let runner = move || -> Result<u8, Failure> {
        let mut sink: Box<dyn Sink> = match format {
            MessageFormat::Json => Box::new(Json::new(Box::new(std::io::stdout()))),
            MessageFormat::Human => Box::new(Human::new(
                options,
                Box::new(std::io::stdout()),
                Box::new(std::io::stderr()),
            )),
        };
        let request = Request {
            head,
            engine_version: Answer::none(),
            image_digests: ImageDigests::default(),
            warnings: Vec::new(),
            notes: Vec::new(),
            responses,
            classes,
            class_of,
            expected: Vec::new(),
            retries: Vec::new(),
            fail_flaky: false,
            room: Room::UNLIMITED,
            command: Box::new(move |test| suite::command(&command, &test.id)),
            environment,
            directory,
            policy: Policy {
                slots: 1,
                fresh: false,
                fail_fast: false,
                dial_in: false,
            },
            grace: GRACE,
            keep_bytes: KEEP_BYTES,
            hold: 0,
            without_reset: false,
        };
        Ok(run(&request, &engine, &Inbox::new(), sink.as_mut())?.exit_status)
    };
    let place = place(arguments.place.clone());
    std::thread::scope(|scope| {
        // The supervisor's signal mask is taken on by threads that start later.
        crate::worker::block_signals().map_err(Failure::engine)?;
        let runner = scope.spawn(runner);
        let served = serve(from_run.into(), to_run.into(), &place);
        let status = runner
            .join()
            .unwrap_or_else(|_| Err(Failure::engine("the run ended in disorder")));
        served.map_err(Failure::engine)?;
        status
    })
}

/// The engine of a run that has one worker, which is there already.
struct InPlace(Mutex<Option<(PipeWriter, PipeReader)>>);

impl Engine for InPlace {
    fn kind(&self) -> EngineKind {
        EngineKind::Host
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            isolates: false,
            images: false,
        }
    }

    fn health(&self) -> Result<Health, EngineError> {
        Ok(Health {
            version: env!("CARGO_PKG_VERSION").into(),
            cgroup_version: None,
            cpus: None,
            memory_bytes: None,
            data_root: None,
            security: Vec::new(),
        })
    }

    fn command_line(&self, _spec: &ContainerSpec) -> Result<Option<Vec<OsString>>, EngineError> {
        Ok(None)
    }

    fn create(&self, _spec: &ContainerSpec) -> Result<Box<dyn Container>, EngineError> {
        let pipes = self.0.lock().ok().and_then(|mut pipes| pipes.take());
        match pipes {
            Some(pipes) => Ok(Box::new(Here(Some(pipes)))),
            None => Err(EngineError::Other(
                "this container cannot be brought back to a clean state for the tests that are left".into(),
            )),
        }
    }
}

/// This very container.
struct Here(Option<(PipeWriter, PipeReader)>);

impl Container for Here {
    fn start(&mut self) -> Result<Pipes, EngineError> {
        let (stdin, stdout) = self
            .0
            .take()
            .ok_or_else(|| EngineError::Other("started twice".into()))?;
        Ok(Pipes {
            stdin: Box::new(stdin),
            stdout: Box::new(stdout),
        })
    }

    fn kill(&self) -> Result<(), EngineError> {
        Ok(())
    }

    fn wait(&mut self, _patience: Duration) -> Ending {
        Ending::Exited(0)
    }
}
