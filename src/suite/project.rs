//! Which directories are no project: every worker can read all of its project.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, getuid};

use super::SuiteError;
use super::place::{real, show};

/// User and group of every test; the images have it as `testuser`.
const TEST_USER: u32 = 1001;

/// System directories that are no project themselves.
const SYSTEM: [&str; 9] = [
    "/",
    "/etc",
    "/proc",
    "/sys",
    "/dev",
    "/usr",
    "/boot",
    "/var",
    "/var/lib/docker",
];
/// Those in which there is no project either.
const WITH_ALL_BELOW: [&str; 3] = ["/proc", "/sys", "/var/lib/docker"];
/// Where engines listen. Whoever can read a directory with one of these rules the machine.
const SOCKETS: [&str; 3] = [
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/run/podman/podman.sock",
];

/// Refuses to show a directory to tests that nobody can have meant, such as `/` or `home`, and one
/// that tests could not enter.
///
/// # Errors
/// The directory is no project, with the reason and what to do.
pub fn check_project(project: &Path, home: Option<&Path>) -> Result<(), SuiteError> {
    check(project, home, &SOCKETS.map(Path::new))
}

fn check(project: &Path, home: Option<&Path>, sockets: &[&Path]) -> Result<(), SuiteError> {
    let refuse = |why: String, hint: &str| SuiteError::Project {
        path: show(project),
        why,
        hint: hint.to_owned(),
    };
    let elsewhere = "name the directory of one project, or change to it";
    let path = real(project).map_err(|obstacle| {
        refuse(
            format!("'{}' {}", obstacle.component, obstacle.why),
            elsewhere,
        )
    })?;
    if let Some(why) = why_not(&path, home, sockets) {
        return Err(refuse(why, elsewhere));
    }
    let metadata = path
        .metadata()
        .map_err(|error| refuse(error.to_string(), elsewhere))?;
    if !metadata.is_dir() {
        return Err(refuse("it is not a directory".to_owned(), elsewhere));
    }
    let owner = metadata.uid();
    if !is_open_to_us(owner, getuid()) && !may_enter(metadata.mode(), owner, metadata.gid()) {
        return Err(refuse(
            format!("tests run as user {TEST_USER}, which may not enter it"),
            &format!("chmod o+rx '{}'", show(&path)),
        ));
    }
    Ok(())
}

fn why_not(path: &Path, home: Option<&Path>, sockets: &[&Path]) -> Option<String> {
    let found = |other: &Path| other.canonicalize().ok();
    if SYSTEM
        .iter()
        .any(|other| found(Path::new(other)).as_deref() == Some(path))
    {
        return Some("it is a system directory".to_owned());
    }
    let above = |other: &&str| found(Path::new(other)).is_some_and(|other| path.starts_with(other));
    if let Some(other) = WITH_ALL_BELOW.iter().find(|other| above(other)) {
        return Some(format!("it is in '{other}'"));
    }
    let home: Option<PathBuf> = home.and_then(found);
    match home {
        Some(home) if home == path => return Some("it is your home directory".to_owned()),
        Some(home) if home.starts_with(path) => {
            return Some("it contains your home directory".to_owned());
        }
        _ => {}
    }
    sockets
        .iter()
        .find(|socket| found(socket).is_some_and(|socket| socket.starts_with(path)))
        .map(|socket| format!("it contains the engine's socket '{}'", show(socket)))
}

/// Whether an ordinary user's own directory may be closed to others: some engines run tests as that
/// user. The others refuse it when they are chosen.
fn is_open_to_us(owner: u32, us: Uid) -> bool {
    !us.is_root() && us.as_raw() == owner
}

/// Whether tests may list and enter a directory of this mode and owner.
fn may_enter(mode: u32, owner: u32, group: u32) -> bool {
    let bits = if owner == TEST_USER {
        mode >> 6
    } else if group == TEST_USER {
        mode >> 3
    } else {
        mode
    };
    bits & 0o5 == 0o5
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    fn text(project: &Path, home: Option<&Path>) -> String {
        check_project(project, home).unwrap_err().to_string()
    }

    #[test]
    fn system_directories() {
        for path in [
            "/",
            "/etc",
            "/proc",
            "/sys",
            "/dev",
            "/usr",
            "/boot",
            "/var",
            "/usr/../etc/.",
        ] {
            if Path::new(path).exists() {
                assert_eq!(
                    text(Path::new(path), None),
                    format!(
                        "cannot use '{path}' as a project: it is a system directory\n\
                         hint: name the directory of one project, or change to it"
                    )
                );
            }
        }
        assert!(text(Path::new("/proc/self/"), None).contains("it is in '/proc'"));
    }

    #[test]
    fn the_home_directory_and_links_to_it() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        fs::create_dir_all(home.join("project")).unwrap();
        symlink(&home, dir.path().join("link")).unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        for path in [&home, &dir.path().join("link")] {
            assert!(text(path, Some(&home)).contains("it is your home directory"));
        }
        assert!(text(dir.path(), Some(&home)).contains("it contains your home directory"));
        assert_eq!(check_project(&home.join("project"), Some(&home)), Ok(()));
        assert_eq!(check_project(&home, None), Ok(()));
    }

    #[test]
    fn engine_sockets() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        let run = dir.path().join("run");
        fs::create_dir_all(run.join("x")).unwrap();
        let socket = run.join("docker.sock");
        let _listener = UnixListener::bind(&socket).unwrap();
        let link = dir.path().join("link.sock");
        symlink(&socket, &link).unwrap();
        for path in [&run, dir.path()] {
            let error = check(path, None, &[&link]).unwrap_err().to_string();
            assert!(error.contains("it contains the engine's socket"), "{error}");
        }
        assert_eq!(check(&run.join("x"), None, &[&link]), Ok(()));
    }

    #[test]
    fn what_tests_cannot_enter() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
        let refused = format!(
            "cannot use '{0}' as a project: tests run as user 1001, which may not enter it\n\
             hint: chmod o+rx '{0}'",
            path.display()
        );
        if getuid().is_root() {
            assert_eq!(text(&path, None), refused);
        } else {
            assert_eq!(check_project(&path, None), Ok(()));
        }
        assert!(is_open_to_us(5, Uid::from_raw(5)));
        assert!(!is_open_to_us(5, Uid::from_raw(6)) && !is_open_to_us(0, Uid::from_raw(0)));
        fs::set_permissions(&path, Permissions::from_mode(0o705)).unwrap();
        assert_eq!(check_project(&path, None), Ok(()));
        assert!(may_enter(0o500, 1001, 0) && may_enter(0o050, 0, 1001));
        assert!(!may_enter(0o077, 1001, 0) && !may_enter(0o707, 0, 1001));
        assert!(!may_enter(0o704, 0, 0) && !may_enter(0o701, 0, 0));
    }

    #[test]
    fn what_is_no_directory() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(text(file.path(), None).contains("it is not a directory"));
        assert!(text(Path::new("/no/such"), None).contains("'/no' does not exist"));
    }
}
