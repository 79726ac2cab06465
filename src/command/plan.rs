//! `docker-test plan`: the order of the tests and how long a run will probably take. Runs nothing,
//! but for a suite's own listing command.

use std::collections::BTreeMap;

use super::list::listing;
use super::prepare::tests;
use super::schedule::{capacity_of, history, in_order, times};
use super::setup::Setup;
use super::{Context, Failure, text};
use crate::cli::{EngineChoice, MessageFormat, Plan};
use crate::model::{ImageChoice, Room};
use crate::plan::{Load, Selection, forecast};
use crate::report::Planned;
use crate::run::clamp;

/// Prints the schedule.
pub fn plan(arguments: &Plan, context: &Context) -> Result<u8, Failure> {
    let setup = Setup::new(EngineChoice::Auto, false, context)?;
    let selection = Selection {
        profile: arguments.profile.clone(),
        filters: arguments.filter.clone(),
        paths: arguments.paths.clone(),
        ..Selection::default()
    };
    let listed = listing(&setup, None)?;
    let engine = setup.engine.as_ref();
    let tests = tests(
        &setup.config,
        &selection,
        listed.as_deref(),
        engine,
        context,
    )?;
    let history = history(&setup.config)?;
    let (tests, estimates) = in_order(tests, &history, setup.config.order);

    let mut needs: Vec<Room> = Vec::new();
    let mut class_of = Vec::with_capacity(tests.len());
    let mut known: BTreeMap<(&str, &ImageChoice), usize> = BTreeMap::new();
    for test in tests.iter() {
        let class = *known
            .entry((&test.profile, &test.image))
            .or_insert_with(|| {
                let asked = &setup.config.profiles[&test.profile].limits;
                let machine = &setup.machine;
                let (given, _) = clamp(asked, machine.cpus, machine.memory_bytes);
                needs.push(Room::of(&given));
                needs.len() - 1
            });
        class_of.push(class);
    }
    let asked = arguments.workers.unwrap_or(setup.config.workers);
    let capacity = capacity_of(asked, &setup.machine, &needs, tests.len());
    let load = Load {
        times: times(&estimates),
        class_of,
        needs,
    };
    let shown = Planned {
        tests: &tests,
        estimates: &estimates,
        history: history.digest(),
        workers: capacity.workers,
        forecast: (!estimates.is_empty()).then(|| forecast(&load, capacity)),
    };
    let out = match arguments.message_format {
        MessageFormat::Human => shown.human(),
        MessageFormat::Json => shown.json()?,
    };
    text::print(out.as_bytes())
}
