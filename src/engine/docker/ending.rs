//! How a container ended, from the command line's exit status and its record of events. Pure.
//!
//! An exit status is not enough: 137 is an exit, the kernel's OOM killer, `docker kill` and a
//! daemon that stops; 125 is an exit, a missing image and a lost daemon. `--rm` leaves nothing to
//! inspect, but the engine keeps its last events.

use serde_json::Value;

use super::super::{Ending, EngineError};
use super::Flavour;

/// What the events say of one container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// It was made.
    pub created: bool,
    /// Its program ran.
    pub started: bool,
    /// The kernel killed one of its processes for want of memory. It can be missing: the message is
    /// lost where the container is gone before docker hears it (3 of 25 on a busy machine).
    pub oom: bool,
    /// A call sent it a signal that ends it, or removed it.
    pub killed: bool,
    /// Its exit status.
    pub exit: Option<i32>,
}

impl Record {
    /// Reads the lines that [`Flavour::events`] asks for. Lines of other containers are
    /// passed over: docker's filter takes a name for a prefix.
    ///
    /// # Errors
    /// A line that is no event, quoted.
    pub fn parse(flavour: Flavour, lines: &[u8], name: &str) -> Result<Record, Vec<u8>> {
        let mut record = Record::default();
        for line in lines.split(|&byte| byte == b'\n') {
            if !line.trim_ascii().is_empty() {
                let event = match flavour {
                    Flavour::Docker => docker_event(line),
                    Flavour::Podman => podman_event(line),
                };
                let (who, happened) = event.ok_or_else(|| line.to_vec())?;
                if who == name {
                    record.take(happened);
                }
            }
        }
        Ok(record)
    }

    fn take(&mut self, happened: Happened) {
        match happened {
            // An earlier container had the name.
            Happened::Create => {
                *self = Record {
                    created: true,
                    ..Record::default()
                }
            }
            Happened::Start => self.started = true,
            Happened::Oom => self.oom = true,
            Happened::Kill => self.killed = true,
            Happened::Die(status) => self.exit = Some(status),
            Happened::Other => {}
        }
    }

    /// Whether it says how the container ended, or that it never ran.
    pub fn is_complete(&self) -> bool {
        self.exit.is_some() || (self.created && !self.started)
    }
}

/// What an event says.
enum Happened {
    Create,
    Start,
    Oom,
    Kill,
    Die(i32),
    Other,
}

/// Whose event a line of docker's is, and what it says.
fn docker_event(line: &[u8]) -> Option<(String, Happened)> {
    let event: Value = serde_json::from_slice(line).ok()?;
    let action = event.get("Action")?.as_str()?;
    let attributes = event.get("Actor")?.get("Attributes")?;
    if event.get("Type")?.as_str()? != "container" {
        return Some((String::new(), Happened::Other));
    }
    let number = |key| attributes.get(key)?.as_str()?.parse::<i32>().ok();
    let happened = match action {
        "create" => Happened::Create,
        "start" => Happened::Start,
        "oom" => Happened::Oom,
        "kill" if ends(number("signal")?) => Happened::Kill,
        "die" => Happened::Die(number("exitCode")?),
        _ => Happened::Other,
    };
    Some((attributes.get("name")?.as_str()?.to_owned(), happened))
}

/// The same for podman, which tells neither the signal of a kill, nor the kernel's OOM killer, nor a
/// status of 0, nor a removal's kill.
fn podman_event(line: &[u8]) -> Option<(String, Happened)> {
    let event: Value = serde_json::from_slice(line).ok()?;
    let status = event.get("Status")?.as_str()?;
    if event.get("Type")?.as_str()? != "container" {
        return Some((String::new(), Happened::Other));
    }
    let happened = match (status, event.get("ContainerExitCode")) {
        ("create", _) => Happened::Create,
        ("start", _) => Happened::Start,
        ("kill", _) => Happened::Kill,
        ("died", None) => Happened::Die(0),
        ("died", Some(code)) => Happened::Die(code.as_i64()?.try_into().ok()?),
        _ => Happened::Other,
    };
    Some((event.get("Name")?.as_str()?.to_owned(), happened))
}

/// Signals that are sent to end something; others are for the program to understand.
fn ends(signal: i32) -> bool {
    use nix::libc::{SIGABRT, SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGTERM};
    [SIGHUP, SIGINT, SIGQUIT, SIGABRT, SIGKILL, SIGTERM].contains(&signal)
}

/// What is known about the call that ran a container, apart from the record.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// The command line's own exit status.
    pub status: i32,
    /// Something came from the container's stdout, so it ran.
    pub heard: bool,
    /// We killed it ourselves.
    pub killed_by_us: bool,
}

/// The ending that follows; `error` is what the command line said.
pub fn conclude(run: Run, record: &Record, error: EngineError) -> Ending {
    match record.exit {
        Some(status) if run.killed_by_us => Ending::Exited(status),
        Some(_) if record.killed => Ending::Removed,
        Some(137) if record.oom => Ending::Oom,
        Some(status) => Ending::Exited(status),
        // We removed it before it ran.
        None if run.killed_by_us => Ending::Exited(128 + nix::libc::SIGKILL),
        // It ran, and the engine does not know how it ended: it was restarted meanwhile.
        None if run.heard || record.started => Ending::EngineGone(error),
        None if matches!(run.status, 125..=127) => Ending::NeverStarted(error),
        None if record.created => Ending::NeverStarted(error),
        None => Ending::EngineGone(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As docker 20.10 prints them, for runs of these names; docker 29 leaves out `status`, `id`
    /// and `from`.
    const EVENTS: &str = include_str!("events.jsonl");

    fn record(name: &str) -> Record {
        Record::parse(Flavour::Docker, EVENTS.as_bytes(), name).unwrap()
    }

    fn ending(name: &str, status: i32, heard: bool, killed_by_us: bool) -> String {
        let run = Run {
            status,
            heard,
            killed_by_us,
        };
        format!(
            "{:?}",
            conclude(run, &record(name), EngineError::Other("said".into()))
        )
    }

    #[test]
    fn an_exit_is_told_from_the_oom_killer_and_from_a_kill() {
        assert_eq!(ending("dtp-exit", 3, true, false), "Exited(3)");
        assert_eq!(ending("dtp-oom", 137, true, false), "Oom");
        assert_eq!(ending("dtp-kill", 137, true, false), "Removed");
        assert_eq!(ending("dtp-rm", 137, true, false), "Removed");
        assert_eq!(ending("dtp-stop", 5, true, false), "Removed");
    }

    /// As podman 4.3 prints them, for runs of the same names.
    const PODMAN_EVENTS: &str = include_str!("podman-events.jsonl");

    #[test]
    fn podman_tells_an_exit_and_a_kill_and_no_more() {
        let record = |name| Record::parse(Flavour::Podman, PODMAN_EVENTS.as_bytes(), name).unwrap();
        let ending = |name, status| {
            let run = Run {
                status,
                heard: true,
                killed_by_us: false,
            };
            let error = EngineError::Other(String::new());
            format!("{:?}", conclude(run, &record(name), error))
        };
        assert_eq!(ending("dtp-exit", 3), "Exited(3)");
        assert_eq!(ending("dtp-exit0", 4), "Exited(4)");
        assert_eq!(ending("dtp-kill", 137), "Removed");
        for unknown in ["dtp-oom", "dtp-rm"] {
            assert_eq!(ending(unknown, 137), "Exited(137)");
        }
        assert_eq!(ending("dtp-stop", 5), "Exited(5)");
        let never = record("dtp-never");
        assert!(never.created && !never.started && never.is_complete());
        assert_eq!(record("dtp"), Record::default());
    }

    #[test]
    fn podman_leaves_a_status_of_0_out() {
        let line = r#"{"Name":"x","Status":"died","Type":"container"}"#;
        let record = Record::parse(Flavour::Podman, line.as_bytes(), "x").unwrap();
        assert_eq!(record.exit, Some(0));
        for garbage in [
            "{}",
            "[]",
            r#"{"Name":"x","Status":"died","Type":"container","ContainerExitCode":"x"}"#,
        ] {
            let read = Record::parse(Flavour::Podman, garbage.as_bytes(), "x");
            assert_eq!(read, Err(garbage.as_bytes().to_vec()));
        }
    }

    #[test]
    fn our_own_kill_is_nobody_elses() {
        assert_eq!(ending("dtp-kill", 137, true, true), "Exited(137)");
        assert_eq!(ending("dtp-never", 125, false, true), "Exited(137)");
    }

    #[test]
    fn a_program_that_is_missing_never_started() {
        assert_eq!(
            ending("dtp-never", 127, false, false),
            "NeverStarted(Other(\"said\"))"
        );
        assert!(record("dtp-never").is_complete());
    }

    #[test]
    fn a_status_of_docker_may_be_the_programs_own() {
        let line = r#"{"Type":"container","Action":"die","Actor":{"Attributes":{"exitCode":"125","name":"x"}},"new":[]}"#;
        let record = Record::parse(Flavour::Docker, line.as_bytes(), "x").unwrap();
        let run = Run {
            status: 125,
            heard: true,
            killed_by_us: false,
        };
        let ending = conclude(run, &record, EngineError::Other(String::new()));
        assert!(matches!(ending, Ending::Exited(125)), "{ending:?}");
    }

    #[test]
    fn without_a_record_what_was_heard_decides() {
        assert_eq!(
            ending("unknown", 125, false, false),
            "NeverStarted(Other(\"said\"))"
        );
        assert_eq!(
            ending("unknown", 125, true, false),
            "EngineGone(Other(\"said\"))"
        );
        assert_eq!(
            ending("unknown", 137, false, false),
            "EngineGone(Other(\"said\"))"
        );
        assert!(!record("unknown").is_complete());
    }

    #[test]
    fn an_earlier_container_of_the_name_does_not_count() {
        let create =
            r#"{"Type":"container","Action":"create","Actor":{"Attributes":{"name":"dtp-kill"}}}"#;
        let record = Record::parse(
            Flavour::Docker,
            format!("{EVENTS}{create}\n").as_bytes(),
            "dtp-kill",
        )
        .unwrap();
        assert!(record.created && !record.started && !record.killed && record.exit.is_none());
    }

    #[test]
    fn a_signal_that_ends_nothing_is_no_kill() {
        let line = r#"{"Type":"container","Action":"kill","Actor":{"Attributes":{"signal":"10","name":"x"}}}"#;
        assert!(
            !Record::parse(Flavour::Docker, line.as_bytes(), "x")
                .unwrap()
                .killed
        );
    }

    #[test]
    fn a_name_is_not_a_prefix() {
        assert_eq!(record("dtp-exit").exit, Some(3));
        assert_eq!(record("dtp-exit0").exit, Some(4));
        assert_eq!(record("dtp").exit, None);
    }

    proptest::proptest! {
        #[test]
        fn no_line_panics(text in "\\PC{0,80}|[{}\\[\\]\":,a-zA-Z0-9\n]{0,80}") {
            let _ = Record::parse(Flavour::Docker, text.as_bytes(), "x");
        }
    }

    #[test]
    fn garbage_is_quoted() {
        for line in [
            "WARNING: something",
            "{}",
            "[]",
            "{\"Type\":\"container\"",
            r#"{"Type":"container","Action":"die","Actor":{"Attributes":{"exitCode":"x","name":"x"}}}"#,
            r#"{"Type":"container","Action":"kill","Actor":{"Attributes":{"name":"x"}}}"#,
        ] {
            let text = format!("{}\n{line}\n", EVENTS.lines().next().unwrap());
            assert_eq!(
                Record::parse(Flavour::Docker, text.as_bytes(), "x"),
                Err(line.as_bytes().to_vec())
            );
        }
    }
}
