//! `docker-test shell`: an interactive shell with a test's own mounts, limits and system calls.

use std::ffi::OsString;
use std::io::IsTerminal;

use super::apart::possible;
use super::network::OwnNetwork;
use super::prepare::{is_built, tests};
use super::setup::Setup;
use super::{Context, Failure};
use crate::cli::Shell;
use crate::engine::Recipe;
use crate::model::{ByteText, ImageChoice, Test};
use crate::plan::{Asked, Selection, apart};
use crate::report::one_line;
use crate::run::HOME;
use crate::suite;

/// Opens it, and returns its exit status.
pub fn shell(arguments: &Shell, context: &Context) -> Result<u8, Failure> {
    let mut setup = Setup::new(arguments.engine, false, context)?;
    let apart = apart(Asked::default(), &setup.config)?;
    possible(&apart, setup.engine.as_ref())?;
    for note in &apart.notes {
        eprintln!("{note}");
    }
    setup.keep_apart(apart);
    let test = match &arguments.test {
        Some(id) => Some(find(&setup, id, context)?),
        None => None,
    };
    let image = match (&arguments.image, &test) {
        (Some(image), _) => image.clone(),
        (None, Some(test)) => test.image.clone(),
        (None, None) if is_built(setup.engine.as_ref(), Recipe::Full, &setup.config) => {
            ImageChoice::Full
        }
        (None, None) => setup.config.image.clone().unwrap_or(ImageChoice::Isolation),
    };
    if let Some(why) = &setup.why {
        eprintln!("{why}");
    }
    let explicit = arguments.image.is_some() || setup.config.image.is_some();
    let root = setup.root(&image, explicit)?;
    let profile = test
        .as_ref()
        .map_or(&setup.config.default_profile, |test| &test.profile);
    let limits = setup.config.profiles[profile].limits.clone();
    let (class, notes) = setup.class(profile, limits, Some(&root));
    for note in notes {
        eprintln!("profile {profile}: {note}");
    }
    let mut spec = class.spec;
    spec.name = format!("docker-test-{}-shell", setup.run);
    spec.terminal = context.terminals.stdout && std::io::stdin().is_terminal();
    // A test's home is made by its supervisor; here nobody else does.
    let script = r#"mkdir -p "$HOME" && exec "$@""#;
    spec.argv = ["/bin/sh", "-c", script, "sh"].map(OsString::from).to_vec();
    if arguments.command.is_empty() {
        spec.argv.push("/bin/sh".into());
    } else {
        spec.argv.extend_from_slice(&arguments.command);
    }
    let mut environment = setup.environment(&[]);
    environment.push(("HOME".into(), HOME.into()));
    environment.push(("TMPDIR".into(), "/tmp".into()));
    if spec.terminal
        && let Some(term) = context.variable("TERM".as_ref())
    {
        environment.push(("TERM".into(), term.into()));
    }
    if let Some(test) = &test {
        environment.push(("DOCKER_TEST_ID".into(), test.id.text().clone()));
        environment.push(("DOCKER_TEST_PROFILE".into(), test.profile.as_str().into()));
        let words = suite::command(&setup.config.suite.command, &test.id);
        let words: Vec<String> = words.iter().map(ByteText::to_string).collect();
        eprintln!("the test's command: {}", one_line(&words.join(" ")));
    }
    let os = |text: ByteText| text.as_os_str().to_owned();
    spec.environment = environment
        .into_iter()
        .map(|(name, value)| (os(name), os(value)))
        .collect();
    let network = OwnNetwork::make(&setup.engine, &setup.site)?;
    let status = setup.engine.attach(&spec);
    drop(network);
    Ok(status?)
}

/// The test of this id.
fn find(setup: &Setup, id: &OsString, context: &Context) -> Result<Test, Failure> {
    let selection = Selection {
        paths: vec![id.into()],
        ..Selection::default()
    };
    let found = tests(
        &setup.config,
        &selection,
        None,
        setup.engine.as_ref(),
        context,
    )?;
    match found.as_slice() {
        [test] => Ok(test.clone()),
        _ => Err(Failure::usage(format!(
            "--test {}: that is {} tests; name one file",
            ByteText::from(id.as_os_str()),
            found.len()
        ))),
    }
}
