//! What an engine's own words mean, and what to do about it. Pure.
//!
//! No call asks the engine for its health beforehand: that would cost every run. A call that fails
//! is diagnosed instead.

use super::super::EngineError;
use super::Flavour;

/// Words of docker's, what they mean, and the way out. The first line that fits counts.
const KNOWN: &[(&[&str], &str)] = &[
    (
        &[
            "permission denied while trying to connect",
            "connect: permission denied",
        ],
        "let your user use docker (`sudo usermod -aG docker $USER`, then log in again), or use rootless docker",
    ),
    (
        &[
            "unable to resolve docker endpoint",
            "context not found",
            "unable to parse docker host",
            "invalid bind address",
            "no such host",
        ],
        "check DOCKER_HOST and `docker context ls`",
    ),
    (
        &[
            "Cannot connect to the Docker daemon",
            "Is the docker daemon running",
            "error during connect",
            "failed to connect to the docker API",
        ],
        "start docker (`sudo systemctl start docker`), or set DOCKER_HOST to its socket",
    ),
    (
        &["No such image", "Unable to find image"],
        "`docker-test build` makes our images; any other must be there: nothing is pulled by itself",
    ),
    (
        &[
            "unknown flag",
            "unknown shorthand flag",
            "is not a docker command",
        ],
        "docker-test needs Docker 20.10 or newer, and its own command line",
    ),
    (
        &["seccomp"],
        "the engine must support seccomp profiles; `docker-test doctor` tells what it supports",
    ),
    (
        &["bind source path does not exist"],
        "does the engine run on this machine? It must see the project's folder",
    ),
];

/// Words of podman's. What it needs of the machine comes first, as above.
const KNOWN_TO_PODMAN: &[(&[&str], &str)] = &[
    (
        &[
            "no subuid ranges",
            "no subgid ranges",
            "newuidmap",
            "newgidmap",
            "insufficient UIDs or GIDs",
        ],
        "podman without root needs ranges of user ids: install uidmap, and `sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER`",
    ),
    (
        &["unable to connect to Podman", "Cannot connect to Podman"],
        "start its service, or unset CONTAINER_HOST; check `podman system connection list`",
    ),
    (
        &[
            "default OCI runtime",
            "could not find \"conmon\"",
            "could not find a working conmon",
        ],
        "install crun or runc, and conmon; `podman info` tells what it finds",
    ),
    (
        &["image not known", "no such image"],
        "`docker-test build` makes our images; any other must be there: nothing is pulled by itself",
    ),
    (
        &["unknown flag", "unrecognized command"],
        "docker-test needs podman 3.0 or newer",
    ),
    (
        &["setting rlimit"],
        "podman asks for more open files or processes than it may have here: lower `open-files`, or raise the limits of the shell that starts docker-test",
    ),
];

/// The words that mean that the engine itself is not there.
const NOT_THERE: usize = 3;

/// Gives a failed call its meaning, where the engine's words are known.
pub fn explain(flavour: Flavour, error: EngineError) -> EngineError {
    let EngineError::Failed { stderr, .. } = &error else {
        return error;
    };
    match known(flavour, stderr) {
        Some((_, hint)) => EngineError::Unavailable {
            message: format!("{}: {stderr}", flavour.word()),
            hint: hint.into(),
        },
        None => error,
    }
}

/// Whether the engine's words say that it is not there or does not let us in.
pub fn not_there(flavour: Flavour, stderr: &str) -> bool {
    known(flavour, stderr).is_some_and(|(index, _)| index < NOT_THERE)
}

/// Whether the engine's words say that there is no such container or image.
pub fn no_such(stderr: &str, noun: &str) -> bool {
    let stderr = stderr.to_ascii_lowercase();
    [format!("no such {noun}"), format!("{noun} not known")]
        .iter()
        .any(|words| stderr.contains(words))
}

/// The line that fits, and its way out.
fn known(flavour: Flavour, stderr: &str) -> Option<(usize, &'static str)> {
    let table = match flavour {
        Flavour::Docker => KNOWN,
        Flavour::Podman => KNOWN_TO_PODMAN,
    };
    let fits = |words: &[&str]| words.iter().any(|word| stderr.contains(word));
    let line = |(index, (words, hint)): (usize, &(&[&str], &'static str))| {
        fits(words).then_some((index, *hint))
    };
    table.iter().enumerate().find_map(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(stderr: &str) -> EngineError {
        explain(
            Flavour::Docker,
            EngineError::Failed {
                command: "docker run".into(),
                status: "exit status 125".into(),
                stderr: stderr.into(),
            },
        )
    }

    #[test]
    fn known_words_get_a_way_out() {
        for (stderr, hint, gone) in [
            (
                "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: Head \"http://%2Fvar%2Frun%2Fdocker.sock/_ping\": dial unix /var/run/docker.sock: connect: permission denied",
                "usermod",
                true,
            ),
            (
                "Got permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock",
                "usermod",
                true,
            ),
            (
                "Cannot connect to the Docker daemon at unix:///nonexist.sock. Is the docker daemon running?",
                "systemctl start docker",
                true,
            ),
            (
                "error during connect: Head \"http://garbage:2375/_ping\": dial tcp: lookup garbage: no such host",
                "DOCKER_HOST",
                true,
            ),
            (
                "Failed to initialize: unable to resolve docker endpoint: context \"nosuch\": context not found",
                "docker context ls",
                true,
            ),
            (
                "Error response from daemon: No such image: nosuch:1",
                "docker-test build",
                false,
            ),
            ("unknown flag: --cgroupns", "20.10", false),
            (
                "opening seccomp profile (/nonexist) failed: open /nonexist: no such file or directory",
                "seccomp",
                false,
            ),
        ] {
            match explained(stderr) {
                EngineError::Unavailable { message, hint: way } => {
                    assert!(message.contains(stderr) && way.contains(hint), "{way}");
                }
                other => panic!("{other}"),
            }
            assert_eq!(not_there(Flavour::Docker, stderr), gone, "{stderr}");
        }
    }

    #[test]
    fn podmans_words_get_its_own_way_out() {
        for (stderr, hint, gone) in [
            (
                "Error: cannot set up namespace using \"/usr/bin/newuidmap\": exec: \"newuidmap\": executable file not found in $PATH",
                "uidmap",
                true,
            ),
            (
                "Cannot connect to Podman. Please verify your connection to the Linux system using `podman system connection list`",
                "CONTAINER_HOST",
                true,
            ),
            (
                "Error: nosuch:1: image not known",
                "docker-test build",
                false,
            ),
            ("Error: unknown flag: --image-volume", "3.0", false),
            (
                "Error: runc: runc create failed: unable to start container process: error during container init: error setting rlimits for ready process: error setting rlimit type 7: operation not permitted: OCI permission denied",
                "open-files",
                false,
            ),
        ] {
            let error = EngineError::Failed {
                command: "podman run".into(),
                status: "exit status 125".into(),
                stderr: stderr.into(),
            };
            match explain(Flavour::Podman, error) {
                EngineError::Unavailable { message, hint: way } => {
                    assert_eq!(message, format!("podman: {stderr}"));
                    assert!(way.contains(hint), "{way}");
                }
                other => panic!("{other}"),
            }
            assert_eq!(not_there(Flavour::Podman, stderr), gone, "{stderr}");
        }
        assert!(no_such("Error: a:1: image not known", "image"));
    }

    #[test]
    fn unknown_words_stay_as_they_are() {
        let error = explained("Error response from daemon: Minimum memory limit allowed is 6MB");
        assert!(matches!(error, EngineError::Failed { .. }), "{error}");
    }

    #[test]
    fn absence_is_recognised_in_any_case() {
        assert!(no_such(
            "Error response from daemon: No such container: x",
            "container"
        ));
        assert!(no_such(
            "error: no such image: x: No such image: x:latest",
            "image"
        ));
        assert!(!no_such("Error: No such container: x", "image"));
    }
}
