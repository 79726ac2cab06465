//! The services of `docker-compose.test.yml`: containers like those that the launcher starts, for
//! who wants compose to start them. Each is [`worker_spec`]'s for the limits of a built-in profile.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use super::spec::{PROJECT, Root, Site, worker_arguments, worker_spec};
use crate::engine::SeccompProfile;
use crate::engine::compose::{Build, ComposeFile, LEFT_OUT, Place, Service, Source, Variable};
use crate::engine::{BuildError, ContainerSpec, EngineError, Hardening, Owner, Recipe};
use crate::model::{DEFAULT_PROFILE, Limits, Network, Profile, built_in_profiles};

/// This program in our images.
const PROGRAM: &str = "/usr/local/bin/docker-test";
/// Where the run and its replicas find each other.
pub const MEETING: &str = "/run/docker-test";
/// The same as a volume.
const VOLUME: &str = "test-socket";
/// Where the run's results are inside.
const RESULTS: &str = "/results";
const RUN: &str = "test-run";
const REPLICAS: &str = "test-parallel";

const COMMENT: &str = "\
The two images as services, hardened as docker-test hardens its workers. `docker-test compose --print`
wrote this file: change what that writes, or set variables, or add a second file with -f.

  cargo build --release
  docker compose -f docker-compose.test.yml build test-parallel
  docker compose -f docker-compose.test.yml up --scale test-parallel=3 --attach test-run --exit-code-from test-run
  docker compose -f docker-compose.test.yml run --rm test-isolation test test/some_test.sh

For compose v2 and v1 (docker-compose 1.29, from this folder). The project is this folder, or PROJECT. docker
refuses more processors than the host has (\"Range of CPUs is ...\"): there TEST_FULL_CPUS=2 docker compose ...
All there is to know: doc/compose.md.
";

/// The file.
///
/// # Errors
/// Never with these services; the renderer's own.
pub fn compose_file() -> Result<String, EngineError> {
    let left_out: Vec<String> = LEFT_OUT
        .iter()
        .map(|(what, why)| format!("Left out: {what} ({why}).\n"))
        .collect();
    let file = ComposeFile {
        comment: format!("{COMMENT}{}", left_out.concat()),
        services: services().map_err(|error| EngineError::Other(error.to_string()))?,
        volumes: vec![VOLUME.into()],
    };
    file.render()
}

fn services() -> Result<Vec<Service>, BuildError> {
    let profiles = built_in_profiles();
    let mut services = vec![run()?, replica(&profiles, DEFAULT_PROFILE)?];
    for profile in profiles.keys().filter(|name| *name != DEFAULT_PROFILE) {
        services.push(replica(&profiles, profile)?);
    }
    // Compose stops everything when a replica is lost. In the other order the run would lose the
    // others too: so it is the last to start and the first to stop, and has time to end its tests.
    let replicas = services[1..].iter().map(|replica| replica.name.clone());
    services[0].depends_on = replicas.collect();
    services.push(full(&profiles)?);
    for recipe in [Recipe::Isolation, Recipe::Full] {
        services.push(alone(&profiles, recipe)?);
    }
    Ok(services)
}

/// The run: it hands out the tests and keeps the results. No test runs in it, so it may be root, which
/// is the one way to leave results to whoever called; of root's powers it has that one.
fn run() -> Result<Service, BuildError> {
    let limits = Limits {
        cpus: 1.0,
        memory_bytes: 512 << 20,
        pids: 512,
        open_files: 4096,
        tmpfs_bytes: 64 << 20,
        ..built_in_profiles()[DEFAULT_PROFILE].limits.clone()
    };
    let mut service = service(RUN, Recipe::Isolation, &limits)?;
    service.comment = "The run. Its exit status is the whole's.".into();
    let words = ["run", "--listen", &socket(), "--results", RESULTS].map(Into::into);
    service.spec.argv = [PROGRAM.into()].into_iter().chain(words).collect();
    service.argument = Some(variable("TEST_PATH", "."));
    service.spec.hardening = Hardening {
        user: (0, 0),
        no_log: false,
        ..service.spec.hardening
    };
    service.capabilities = vec!["CHOWN".into(), "DAC_OVERRIDE".into()];
    service.places.extend([
        place(
            Source::Made(project(), "test-results".into()),
            RESULTS,
            false,
        ),
        place(Source::Volume(VOLUME.into()), MEETING, false),
    ]);
    service.grace = Duration::from_secs(60 * 60);
    Ok(service)
}

/// Workers for the tests of a profile, as many as somebody scales them to.
fn replica(profiles: &BTreeMap<String, Profile>, name: &str) -> Result<Service, BuildError> {
    let is_default = name == DEFAULT_PROFILE;
    let called = match is_default {
        true => REPLICAS.to_owned(),
        false => format!("{REPLICAS}-{name}"),
    };
    let mut service = dialler(&called, Recipe::Isolation, &profiles[name].limits)?;
    service.comment = match is_default {
        true => "Workers that dial in to the run.".into(),
        false => format!("The same for tests of the profile {name}."),
    };
    service.replicas = Some(if is_default { 2 } else { 1 });
    Ok(service)
}

/// Workers for tests that ask for the full image, which takes long to build.
fn full(profiles: &BTreeMap<String, Profile>) -> Result<Service, BuildError> {
    let name = format!("{REPLICAS}-full");
    let mut service = dialler(&name, Recipe::Full, &profiles["intensive"].limits)?;
    service.comment = format!(
        "The same for tests of the profile intensive in the image full: --profile {name} starts one."
    );
    service.profiles = vec![name];
    service.replicas = Some(1);
    Ok(service)
}

/// A worker that dials in, with these limits. One processor each: there are several, and docker refuses
/// more than the machine has.
fn dialler(name: &str, recipe: Recipe, limits: &Limits) -> Result<Service, BuildError> {
    let limits = Limits {
        cpus: 1.0,
        ..limits.clone()
    };
    let mut service = service(name, recipe, &limits)?;
    service.spec.argv = dialling(PROGRAM, recipe.as_str(), &[]);
    service
        .places
        .push(place(Source::Volume(VOLUME.into()), MEETING, true));
    service.restart = true;
    service.grace = Duration::from_secs(10);
    Ok(service)
}

/// One container that runs tests by itself.
fn alone(profiles: &BTreeMap<String, Profile>, recipe: Recipe) -> Result<Service, BuildError> {
    let profile = match recipe {
        Recipe::Isolation => "slow",
        Recipe::Full => "intensive",
    };
    let word = recipe.as_str();
    let mut service = service(&format!("test-{word}"), recipe, &profiles[profile].limits)?;
    service.comment = format!(
        "The image {word} by itself, without a run: `run --rm test-{word}` runs the project's tests."
    );
    service.spec.argv = vec![PROGRAM.into(), "test".into()];
    service.profiles = vec![word.into()];
    Ok(service)
}

/// What they all have: a worker's container, with the program that is in the image.
fn service(name: &str, recipe: Recipe, limits: &Limits) -> Result<Service, BuildError> {
    let site = Site {
        project: PROJECT.into(),
        program: PROGRAM.into(),
        owner: Owner {
            run: "compose".into(),
            boot: String::new(),
            pid: 0,
            pid_start: 0,
        },
        network: Network::None,
        without_reset: false,
    };
    let root = Root {
        word: recipe.as_str().into(),
        reference: recipe.reference(None)?,
        seccomp: match recipe {
            Recipe::Isolation => SeccompProfile::Isolation,
            Recipe::Full => SeccompProfile::Full,
        },
        exec: recipe == Recipe::Full,
        binds: Vec::new(),
        digest: None,
    };
    let spec = ContainerSpec {
        // The program is in the image, and the project is where the caller says.
        binds: Vec::new(),
        ..worker_spec(&site, &root, limits)
    };
    Ok(Service {
        comment: String::new(),
        name: name.into(),
        spec,
        variables: Some(name.replace('-', "_").to_ascii_uppercase()),
        seccomp: None,
        labels: false,
        build: Some(Build {
            dockerfile: format!("docker/Dockerfile.test-{}", recipe.as_str()),
            base: variable("BASE_IMAGE", recipe.base()),
        }),
        profiles: Vec::new(),
        depends_on: Vec::new(),
        replicas: None,
        restart: false,
        grace: Duration::from_secs(2),
        capabilities: Vec::new(),
        places: vec![place(Source::Folder(project()), PROJECT, true)],
        argument: None,
    })
}

/// The command of a worker that dials in.
pub fn dialling(program: &str, image: &str, more: &[&str]) -> Vec<OsString> {
    let socket = socket();
    let words = ["worker", "--connect", &socket, "--image", image];
    let mut argv = vec![program.into()];
    argv.extend(words.iter().chain(more).map(Into::into));
    argv.extend(worker_arguments().into_iter().skip(1));
    argv
}

fn socket() -> String {
    format!("{MEETING}/socket")
}

fn project() -> Variable {
    variable("PROJECT", ".")
}

fn variable(name: &str, default: &str) -> Variable {
    Variable {
        name: name.into(),
        default: default.into(),
    }
}

fn place(source: Source, target: &str, read_only: bool) -> Place {
    Place {
        source,
        target: target.into(),
        read_only,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_the_repository_is_this_one() {
        let checked_in = include_str!("../../docker-compose.test.yml");
        let rendered = compose_file().unwrap();
        assert!(
            checked_in == rendered,
            "docker-compose.test.yml is another one: cargo run -- compose --print > docker-compose.test.yml"
        );
    }
}
