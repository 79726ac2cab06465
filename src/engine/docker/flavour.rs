//! Whose command line it is, and by name what podman does differently. All else is one code path.

use nix::sys::resource::{Resource, getrlimit};

use super::super::{EngineKind, Tmpfs};

/// Whose command line it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// Docker's.
    Docker,
    /// Podman's, as root or not.
    Podman,
}

impl Flavour {
    /// Which engine that is.
    pub const fn kind(self) -> EngineKind {
        match self {
            Flavour::Docker => EngineKind::Docker,
            Flavour::Podman => EngineKind::Podman,
        }
    }

    /// Its name, for people.
    pub const fn word(self) -> &'static str {
        match self {
            Flavour::Docker => "docker",
            Flavour::Podman => "podman",
        }
    }

    /// From what `--version` prints: a program that is called docker can be podman.
    pub fn of_version(text: &str) -> Option<Self> {
        if text.starts_with("Docker version ") {
            Some(Flavour::Docker)
        } else if text.starts_with("podman version ") || text.starts_with("podman-remote version ")
        {
            Some(Flavour::Podman)
        } else {
            None
        }
    }

    /// What keeps everybody else out of a network, beside `--internal`. Podman knows neither of
    /// docker's two options, and would start a program that answers questions for names.
    pub const fn closed_network(self) -> &'static [&'static str] {
        match self {
            Flavour::Docker => &[
                "--opt=com.docker.network.bridge.inhibit_ipv4=true",
                "--opt=com.docker.network.bridge.enable_icc=false",
            ],
            Flavour::Podman => &["--disable-dns"],
        }
    }

    /// Podman's templates for networks know no single label.
    pub const fn lists_networks_as_json(self) -> bool {
        matches!(self, Flavour::Podman)
    }

    /// Podman's `--read-only` brings writable tmpfs on /run, /tmp and /var/tmp along, which nothing
    /// bounds and no reset empties.
    pub const fn read_only_brings_tmpfs(self) -> bool {
        matches!(self, Flavour::Podman)
    }

    /// Without those, podman 5 makes /dev/shm read-only too, whatever its size: it must be asked for
    /// as a tmpfs of its own.
    pub const fn needs_own_shm(self) -> bool {
        matches!(self, Flavour::Podman)
    }

    /// Podman passes the launcher's proxy variables in, passwords and all, and binds the service
    /// manager's socket writable where NOTIFY_SOCKET names one.
    pub const fn passes_surroundings(self) -> bool {
        matches!(self, Flavour::Podman)
    }

    /// Where SELinux is on, podman's containers may read files of their own label only: neither the
    /// project nor the host's programs. To label those anew is not ours to do.
    pub const fn labels_processes(self) -> bool {
        matches!(self, Flavour::Podman)
    }

    /// Podman can leave an image's volumes out. They would be writable places on the host's disk,
    /// without a bound, which no reset empties; docker makes them in any case.
    pub const fn can_ignore_volumes(self) -> bool {
        matches!(self, Flavour::Podman)
    }

    /// Podman's `rm --force` sends the stop signal first and waits; docker's kills.
    pub const fn removes_with_stop_signal(self) -> bool {
        matches!(self, Flavour::Podman)
    }

    /// Podman copies the host's /etc/hosts in, with the names of the host's network.
    pub const fn copies_host_names(self) -> bool {
        matches!(self, Flavour::Podman)
    }

    /// The options of a tmpfs that belongs to this user. Podman knows none for the number of files
    /// (the memory limit bounds them: they are the worker's), names the owner with `U`, and copies
    /// the image's files in unless told not to.
    pub fn tmpfs_owner(self, place: &Tmpfs, (user, group): (u32, u32)) -> String {
        match self {
            Flavour::Docker => format!(
                "nr_inodes={},mode=1777,uid={user},gid={group}",
                place.inodes
            ),
            Flavour::Podman => "mode=1777,notmpcopyup,U".into(),
        }
    }

    /// The folder in which a container's command line runs, where it must not be the caller's: podman's
    /// monitor leaves a file `oom` there when the kernel kills a process of the container. In this one
    /// nobody can.
    pub fn folder(self) -> Option<&'static str> {
        match self {
            Flavour::Docker => None,
            Flavour::Podman => Some("/proc"),
        }
    }

    /// How many processes one user may have, where that must be said. Without a word podman as root
    /// asks for a million, which takes a capability that root in a container does not have. What
    /// docker's containers inherit is the same: what holds here.
    pub fn process_limit(self) -> Option<u64> {
        match self {
            Flavour::Docker => None,
            Flavour::Podman => {
                let (_, hard) = getrlimit(Resource::RLIMIT_NPROC).ok()?;
                // Podman lowers its own limit to this before it starts anything.
                let most = std::fs::read_to_string("/proc/sys/kernel/pid_max").ok()?;
                Some(hard.min(most.trim().parse().ok()?))
            }
        }
    }

    /// Before 4.1 podman split `--mount` at every comma, quoted or not.
    pub fn reads_quoted_lists(self, version: (u32, u32)) -> bool {
        match self {
            Flavour::Docker => true,
            Flavour::Podman => version >= (4, 1),
        }
    }

    /// The arguments that ask for a container's events between two times, given in seconds since
    /// 1970 with a fraction. Podman takes whole seconds only and finds nothing otherwise; it needs
    /// no end, and its own JSON has another form.
    pub fn events(self, name: &str, since: &str, until: &str) -> Vec<String> {
        let name = format!("container={name}");
        let words: Vec<&str> = match self {
            Flavour::Docker => vec![
                "events",
                "--since",
                since,
                "--until",
                until,
                "--filter",
                "type=container",
                "--filter",
                &name,
                "--format",
                "{{json .}}",
            ],
            Flavour::Podman => vec![
                "events",
                "--stream=false",
                "--since",
                since.split('.').next().unwrap_or(since),
                "--filter",
                "type=container",
                "--filter",
                &name,
                "--format",
                "json",
            ],
        };
        words.into_iter().map(String::from).collect()
    }

    /// The arguments that ask for its version alone. Podman without a service has no server.
    pub const fn version(self) -> [&'static str; 3] {
        match self {
            Flavour::Docker => ["version", "--format", "{{.Server.Version}}"],
            Flavour::Podman => ["version", "--format", "{{.Client.Version}}"],
        }
    }
}

/// Major and minor number of `20.10.24+dfsg1`.
pub fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.').map(|part| part.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_tells_whose_it_is() {
        for (text, flavour) in [
            (
                "Docker version 20.10.24+dfsg1, build 297e128\n",
                Some(Flavour::Docker),
            ),
            ("podman version 4.3.1\n", Some(Flavour::Podman)),
            ("podman-remote version 5.4.2\n", Some(Flavour::Podman)),
            ("Docker Compose version v2\n", None),
            ("", None),
        ] {
            assert_eq!(Flavour::of_version(text), flavour, "{text}");
        }
        assert_eq!(numbers("20.10.24+dfsg1"), Some((20, 10)));
        assert_eq!(numbers("5.0-dev"), None);
        assert_eq!(numbers("?"), None);
    }

    #[test]
    fn a_limit_of_processes_is_one_that_can_be_set() {
        let limit = Flavour::Podman.process_limit().unwrap();
        let (_, hard) = getrlimit(Resource::RLIMIT_NPROC).unwrap();
        assert!(limit > 0 && limit <= hard);
        assert_eq!(Flavour::Docker.process_limit(), None);
    }
}
