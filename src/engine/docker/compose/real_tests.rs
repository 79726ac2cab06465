//! A container that compose makes against one that `docker create` makes from the same spec: what
//! docker says of the two is the same, but for what is listed here with its reason.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::tests::{file, service};
use crate::engine::docker::argv::{self, AloneOption, Dialect};
use crate::engine::docker::fake::spec;
use crate::engine::docker::flavour::Flavour;
use crate::engine::docker::mounts::Mount;
use crate::engine::docker::real_tests::Real;
use crate::engine::{Bind, ContainerSpec, Docker, SeccompProfile, Tmpfs};

/// What differs, under which composes, and why that is no matter.
const DIFFERENCES: [(&str, &[Compose], &str); 7] = [
    ("Config.AttachStderr", &[One], WHO_STARTS),
    ("Config.AttachStdin", &[One, Two], WHO_STARTS),
    ("Config.AttachStdout", &[One], WHO_STARTS),
    ("Config.OpenStdin", &[One, Two], STDIN),
    ("Config.StdinOnce", &[One, Two], STDIN),
    (
        "HostConfig.AutoRemove",
        &[One, Two],
        "compose removes what it made: `down`, `run --rm`",
    ),
    (
        CGROUP,
        &[One, Two],
        "is in LEFT_OUT; on cgroup v2 it is the same by default",
    ),
];
const WHO_STARTS: &str = "says what the client that made it reads, not what it can do";
const STDIN: &str = "a worker's stdin is its launcher's; what compose starts has a socket instead";
const CGROUP: &str = "HostConfig.CgroupnsMode";

/// Whose labels say what it belongs to.
const LABELS: [&str; 2] = [
    "Config.Labels.com.docker.compose.",
    "Config.Labels.dev.docker-test.",
];

fn may_differ(path: &str, compose: Compose) -> bool {
    let by_default = path == CGROUP && crate::host::cgroup_version() == Some(2);
    let mut listed = DIFFERENCES.iter();
    LABELS.iter().any(|prefix| path.starts_with(prefix))
        || !by_default && listed.any(|(name, under, _)| *name == path && under.contains(&compose))
}

use Compose::{One, Two};

/// By its first version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compose {
    One,
    Two,
}

impl Compose {
    fn command(self) -> Command {
        match self {
            One => Command::new("docker-compose"),
            Two => {
                let mut command = Command::new("docker");
                command.arg("compose");
                command
            }
        }
    }

    /// Those that are here: said loudly where one is not, and a failure on CI where none is.
    fn here() -> Vec<Compose> {
        let here = |compose: &Compose| {
            let output = compose.command().args(["version", "--short"]).output();
            let version = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
            let is_one = version.as_deref().unwrap_or_default().starts_with("1.");
            let here = match compose {
                One => is_one,
                Two => version.is_ok_and(|version| !version.is_empty()) && !is_one,
            };
            if !here {
                eprintln!("SKIPPED, NOT TESTED WITH COMPOSE {compose:?}: it is not here");
            }
            here
        };
        let found: Vec<Compose> = [One, Two].into_iter().filter(here).collect();
        assert!(
            !found.is_empty() || std::env::var_os("CI").is_none(),
            "neither docker-compose nor docker compose is here"
        );
        found
    }
}

/// Strings that a careless reader takes for something else.
const ODD: [&str; 16] = [
    "",
    " a ",
    "$HOME",
    "${HOME:-x}",
    "$$",
    "a: b",
    "# c",
    "'\"\\",
    "yes",
    "1e3",
    "~",
    "{{.Name}}",
    "a\nb\tc",
    "\u{e9}\u{85}\u{2028}\u{feff}",
    "\u{1f600}",
    "--privileged",
];

fn tried(real: &Real) -> ContainerSpec {
    let odd = real.folder.path().join("a b,c:d'\"$HOME${HOME}\u{e9}#");
    std::fs::create_dir(&odd).unwrap();
    let mut spec = spec("dt-1", &["/bin/busybox"]);
    spec.image = real.name.clone();
    spec.argv.extend(ODD.map(Into::into));
    spec.environment = ODD
        .iter()
        .enumerate()
        .map(|(at, value)| (format!("V{at}").into(), value.into()))
        .collect();
    spec.binds = vec![Bind {
        source: odd,
        target: "/work $HOME".into(),
    }];
    spec.directory = "/work $HOME".into();
    spec.tmpfs = vec![Tmpfs {
        target: "/t $HOME".into(),
        // Both write it as a number of bytes.
        size_bytes: (1 << 20) + 4096,
        inodes: 100,
        exec: true,
    }];
    spec
}

/// Everything that docker says of how a container is to be, by its path; what is empty in any way
/// is left out.
fn inspected(docker: &Docker, container: &str) -> BTreeMap<String, Value> {
    let output = docker.call(["inspect", container]).run().unwrap();
    let all: Value = serde_json::from_slice(&output).unwrap();
    let mut found = BTreeMap::new();
    for part in ["Config", "HostConfig"] {
        flatten(part.into(), &all[0][part], &mut found);
    }
    found
}

fn flatten(path: String, value: &Value, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Null => {}
        Value::Bool(false) => {}
        Value::String(text) if text.is_empty() => {}
        Value::Number(number) if number.as_i64() == Some(0) => {}
        Value::Object(fields) => {
            for (key, value) in fields {
                flatten(format!("{path}.{key}"), value, found);
            }
        }
        Value::Array(items) if items.is_empty() => {}
        Value::Array(items) => {
            let items = items.iter().map(|item| {
                // The same list of system calls, whatever its white space.
                let profile = item.as_str().and_then(|text| text.strip_prefix("seccomp="));
                profile.map_or(item.clone(), |profile| {
                    serde_json::from_str(profile).unwrap()
                })
            });
            let mut items: Vec<Value> = items.collect();
            items.sort_by_key(Value::to_string);
            found.insert(path, items.into());
        }
        _ => {
            found.insert(path, value.clone());
        }
    }
}

#[test]
fn compose_makes_the_very_container_of_the_command_line() {
    let Some(real) = Real::new(Docker::new("docker")) else {
        return;
    };
    let folder = real.folder.path();
    let seccomp = folder.join("docker/seccomp");
    std::fs::create_dir_all(&seccomp).unwrap();
    let seccomp = seccomp.join("isolation.json");
    std::fs::write(&seccomp, SeccompProfile::Isolation.json()).unwrap();
    let spec = tried(&real);
    let mounts: Vec<Mount> = spec
        .binds
        .iter()
        .map(|bind| Mount {
            bind: bind.clone(),
            alone: false,
        })
        .collect();
    let dialect = Dialect {
        flavour: Flavour::Docker,
        alone: AloneOption::Old,
        seccomp: &seccomp,
        id_file: None,
        processes: None,
    };
    let mut line = argv::run(&spec, &mounts, dialect).unwrap();
    line[0] = "create".into();
    line.retain(|word| word != "--sig-proxy=false");
    let by_hand = created(&real.docker, line);
    let expected = inspected(&real.docker, &by_hand);
    remove(&real.docker, &by_hand);

    std::fs::write(
        folder.join("compose.yml"),
        file(service(spec)).render().unwrap(),
    )
    .unwrap();
    let mut wrong = Vec::new();
    for compose in Compose::here() {
        let project = format!("{}{compose:?}", real.name).to_lowercase();
        let call = |words: &[&str]| call(compose, folder, &project, words);
        call(&["up", "--no-start"]);
        let container = call(&["ps", "--all", "--quiet"]);
        let found = inspected(&real.docker, container.trim());
        call(&["down"]);
        let paths: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
        for path in paths {
            let same = expected.get(path) == found.get(path);
            if same == may_differ(path, compose) {
                let [expected, found] =
                    [&expected, &found].map(|all| all.get(path).map(Value::to_string));
                wrong.push(format!("{compose:?}: {path}: {expected:?}, {found:?}\n"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.concat());
}

fn call(compose: Compose, folder: &Path, project: &str, words: &[&str]) -> String {
    let output = compose
        .command()
        .args(["-f", "compose.yml", "-p", project])
        .args(words)
        .current_dir(folder)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{compose:?} {words:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

fn created(docker: &Docker, line: Vec<std::ffi::OsString>) -> String {
    let output = docker.call(line).run().unwrap();
    String::from_utf8(output).unwrap().trim().to_owned()
}

fn remove(docker: &Docker, container: &str) {
    docker.call(["rm", container]).run().unwrap();
}
