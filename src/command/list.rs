//! `docker-test list`, and how a suite's own listing command is run: inside a worker, never here.

use std::sync::Arc;

use super::prepare::tests;
use super::run::GRACE;
use super::setup::Setup;
use super::{Context, Failure, text};
use crate::cli::{EngineChoice, List, MessageFormat};
use crate::event::{Attempt, Event, Sink, SinkError};
use crate::model::{
    ByteText, ImageChoice, OutcomeKind, ProfileOrigin, Responses, Room, Test, TestId, escape,
};
use crate::plan::Selection;
use crate::report::{json_line, table};
use crate::run::{Answer, ImageDigests, Inbox, Policy, Request, run};

/// The longest listing, in bytes.
const LONGEST: u64 = 64 << 20;

/// Prints the tests with their profiles and images.
pub fn list(arguments: &List, context: &Context) -> Result<u8, Failure> {
    let setup = Setup::new(EngineChoice::Auto, false, context)?;
    let selection = Selection {
        filters: arguments.filter.clone(),
        paths: arguments.paths.clone(),
        ..Selection::default()
    };
    let listed = listing(&setup, None)?;
    let tests = tests(
        &setup.config,
        &selection,
        listed.as_deref(),
        setup.engine.as_ref(),
        context,
    )?;
    let mut out = String::new();
    match arguments.message_format {
        MessageFormat::Human => {
            let row = |test: &Test| {
                let origin = match test.origin {
                    ProfileOrigin::Default => "default",
                    ProfileOrigin::Rule => "rule",
                    ProfileOrigin::Marker => "marker",
                    ProfileOrigin::CommandLine => "command line",
                };
                vec![
                    test.id.to_string(),
                    test.profile.clone(),
                    origin.to_owned(),
                    test.image.to_string(),
                ]
            };
            let rows: Vec<_> = tests.iter().map(row).collect();
            out = table(&["test", "profile", "from", "image"], &rows);
        }
        MessageFormat::Json => {
            for test in tests.iter() {
                out.push_str(&json_line(test)?);
            }
        }
    }
    text::print(out.as_bytes())
}

/// What the suite's listing command prints, for a suite that has one. It is a program of the
/// project's, so it runs as a test does.
pub fn listing(setup: &Setup, image: Option<&ImageChoice>) -> Result<Option<Vec<u8>>, Failure> {
    let Some(command) = &setup.config.suite.list else {
        return Ok(None);
    };
    let explicit = image.is_some() || setup.config.image.is_some();
    let image = image
        .or(setup.config.image.as_ref())
        .unwrap_or(&ImageChoice::Isolation);
    let root = if setup.plain {
        None
    } else {
        Some(setup.root(image, explicit)?)
    };
    let profile = &setup.config.profiles[&setup.config.default_profile];
    let mut limits = profile.limits.clone();
    limits.output_bytes = LONGEST;
    let (class, _) = setup.class(&profile.name, limits, root.as_ref());
    let test = Test {
        id: TestId::new("suite.list"),
        profile: profile.name.clone(),
        origin: ProfileOrigin::Default,
        image: image.clone(),
    };
    let argv: Vec<ByteText> = command.iter().map(|word| word.as_str().into()).collect();
    let tests = Arc::new(vec![test]);
    let classes = vec![class];
    let request = Request {
        head: setup.head(&tests, &classes, 1),
        engine_version: Answer::none(),
        image_digests: ImageDigests::default(),
        warnings: Vec::new(),
        notes: Vec::new(),
        responses: Responses::default(),
        classes,
        class_of: vec![0],
        expected: Vec::new(),
        retries: Vec::new(),
        fail_flaky: false,
        room: Room::UNLIMITED,
        command: Box::new(move |_| argv.clone()),
        environment: setup.environment(&[]),
        directory: setup.directory(),
        policy: Policy {
            slots: 1,
            fresh: false,
            fail_fast: false,
            dial_in: false,
        },
        grace: GRACE,
        keep_bytes: LONGEST,
        hold: 0,
        without_reset: false,
    };
    let mut last = Last(None);
    run(&request, setup.engine.as_ref(), &Inbox::new(), &mut last)?;
    match last.0 {
        Some(attempt) if attempt.outcome.kind() == OutcomeKind::Pass => {
            Ok(Some(attempt.stdout.head.into_bytes()))
        }
        Some(attempt) => {
            let words = escape(attempt.stderr.head.as_bytes().trim_ascii());
            let words: String = words.chars().take(400).collect();
            Err(Failure::usage(format!(
                "suite.list cannot be used: `{}` ended with {}: {words}",
                command.join(" "),
                attempt.outcome
            )))
        }
        None => Err(Failure::engine("suite.list was not run")),
    }
}

/// Keeps the last attempt.
struct Last(Option<Box<Attempt>>);

impl Sink for Last {
    fn take(&mut self, events: &[Event]) -> Result<(), SinkError> {
        for event in events {
            if let Event::AttemptFinished(attempt) = event {
                self.0 = Some(attempt.clone());
            }
        }
        Ok(())
    }
}
