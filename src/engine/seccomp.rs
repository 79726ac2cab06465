//! The two pinned lists of system calls as files: docker's command line reads a profile from a file,
//! and the program carries its own. Other small files that engines are given are kept the same way.

use std::ffi::OsString;
use std::fs::{DirBuilder, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::getuid;
use sha2::{Digest, Sha256};

use super::{EngineError, SeccompProfile};
use crate::model::ByteText;

impl SeccompProfile {
    /// Its text, JSON as docker takes it.
    pub fn json(self) -> &'static str {
        match self {
            SeccompProfile::Isolation => include_str!("../../docker/seccomp/isolation.json"),
            SeccompProfile::Full => include_str!("../../docker/seccomp/full.json"),
        }
    }
}

/// The user's cache folder, as the XDG base directories have it; `None` where neither variable
/// names an absolute one.
pub fn cache_folder(cache_home: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let absolute = |path: OsString| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    cache_home
        .and_then(absolute)
        .or_else(|| Some(home.and_then(absolute)?.join(".cache")))
        .map(|folder| folder.join("docker-test"))
}

/// The path of a file with this profile's text; see [`kept`].
///
/// # Errors
/// No folder can be written.
pub fn file(
    profile: SeccompProfile,
    folder: Option<&Path>,
    temporary: &Path,
) -> Result<PathBuf, EngineError> {
    kept("seccomp", ".json", profile.json(), folder, temporary)
}

/// The path of a file with this text, readable by everybody, made where it is missing. In `folder`,
/// else in one of our own in `temporary`, the folder for temporary files. Its name is `what` and its
/// content's, so that an older program's is another.
///
/// # Errors
/// Neither folder can be written.
pub fn kept(
    what: &str,
    ending: &str,
    text: &str,
    folder: Option<&Path>,
    temporary: &Path,
) -> Result<PathBuf, EngineError> {
    let digest = Sha256::digest(text);
    let hex: String = digest
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let name = format!("{what}-{hex}{ending}");
    let in_cache = folder.map(|folder| place(folder, &name, text));
    if let Some(Ok(path)) = in_cache {
        return Ok(path);
    }
    let temporary = temporary.join(format!("docker-test-{}", getuid()));
    own(&temporary)
        .and_then(|()| place(&temporary, &name, text))
        .map_err(|error| {
            EngineError::Other(format!(
                "cannot keep the {what} file in {}: {error}\nhint: set XDG_CACHE_HOME or TMPDIR to a folder that can be written",
                ByteText::from(temporary.as_os_str())
            ))
        })
}

/// Makes a folder that only we can write, or checks that it is one: others can write around it.
fn own(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => return made,
    }
    let found = std::fs::symlink_metadata(folder)?;
    if found.is_dir() && found.uid() == getuid().as_raw() && found.mode() & 0o022 == 0 {
        Ok(())
    } else {
        Err(io::Error::other("it belongs to somebody else"))
    }
}

fn place(folder: &Path, name: &str, text: &str) -> io::Result<PathBuf> {
    let path = folder.join(name);
    if std::fs::read(&path).is_ok_and(|found| found == text.as_bytes()) {
        return Ok(path);
    }
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    // A container's user reads what is mounted.
    file.as_file()
        .set_permissions(Permissions::from_mode(0o644))?;
    file.persist(&path)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What docker makes of a rule is not what it looks like in two cases: conditions on the same
    /// argument are alternatives, and `not equal` compares 64 bits where the kernel looks at 32.
    #[test]
    fn no_condition_of_a_profile_is_weaker_than_it_looks() {
        for profile in [SeccompProfile::Isolation, SeccompProfile::Full] {
            let json: serde_json::Value = serde_json::from_str(profile.json()).unwrap();
            for rule in json["syscalls"].as_array().unwrap() {
                let conditions = rule["args"].as_array().cloned().unwrap_or_default();
                let mut arguments: Vec<_> =
                    conditions.iter().map(|one| one["index"].as_u64()).collect();
                arguments.dedup();
                assert_eq!(arguments.len(), conditions.len(), "{rule}");
                for condition in conditions {
                    let op = condition["op"].as_str().unwrap();
                    assert!(
                        ["SCMP_CMP_EQ", "SCMP_CMP_MASKED_EQ"].contains(&op),
                        "{rule}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_profiles_allow_no_call_that_reaches_beyond_the_container() {
        for profile in [SeccompProfile::Isolation, SeccompProfile::Full] {
            for name in [
                "unshare",
                "setns",
                "mount",
                "umount2",
                "pivot_root",
                "chroot",
                "open_tree",
                "fsopen",
                "move_mount",
                "bpf",
                "perf_event_open",
                "userfaultfd",
                "io_uring_setup",
                "keyctl",
                "add_key",
                "request_key",
                "reboot",
                "kexec_load",
                "init_module",
                "clock_settime",
                "adjtimex",
                "open_by_handle_at",
                "syslog",
                "quotactl",
                "swapon",
            ] {
                assert!(!profile.json().contains(&format!("\"{name}\"")), "{name}");
            }
        }
        assert!(!SeccompProfile::Isolation.json().contains("\"ptrace\""));
    }

    #[test]
    fn the_profiles_allow_by_name_and_refuse_by_default() {
        for profile in [SeccompProfile::Isolation, SeccompProfile::Full] {
            let json: serde_json::Value = serde_json::from_str(profile.json()).unwrap();
            assert_eq!(json["defaultAction"], "SCMP_ACT_ERRNO");
            assert!(
                json["syscalls"]
                    .as_array()
                    .is_some_and(|list| !list.is_empty())
            );
        }
    }

    #[test]
    fn a_file_is_made_once_and_mended() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("a/b");
        let none = Path::new("/nonexistent");
        let path = file(SeccompProfile::Isolation, Some(&cache), none).unwrap();
        assert!(path.starts_with(&cache));
        let text = || std::fs::read_to_string(&path).unwrap();
        assert_eq!(text(), SeccompProfile::Isolation.json());
        std::fs::write(&path, "{}").unwrap();
        assert_eq!(
            file(SeccompProfile::Isolation, Some(&cache), none).unwrap(),
            path
        );
        assert_eq!(text(), SeccompProfile::Isolation.json());
        assert_ne!(
            file(SeccompProfile::Full, Some(&cache), none).unwrap(),
            path
        );
        assert_eq!(std::fs::read_dir(&cache).unwrap().count(), 2);
    }

    #[test]
    fn a_cache_that_cannot_be_written_does_not_matter() {
        let temporary = tempfile::tempdir().unwrap();
        let find = || {
            file(
                SeccompProfile::Full,
                Some(Path::new("/proc/none")),
                temporary.path(),
            )
        };
        let path = find().unwrap();
        assert_eq!(find().unwrap(), path);
        assert!(path.starts_with(temporary.path()));
        assert_eq!(
            std::fs::read_to_string(path).unwrap(),
            SeccompProfile::Full.json()
        );
    }

    #[test]
    fn a_folder_that_others_can_write_is_not_trusted() {
        use std::os::unix::fs::PermissionsExt;
        let temporary = tempfile::tempdir().unwrap();
        let ours = temporary.path().join(format!("docker-test-{}", getuid()));
        std::fs::create_dir(&ours).unwrap();
        std::fs::set_permissions(&ours, PermissionsExt::from_mode(0o777)).unwrap();
        let error = file(SeccompProfile::Full, None, temporary.path()).unwrap_err();
        assert!(error.to_string().contains("somebody else"), "{error}");
    }

    #[test]
    fn the_cache_folder_follows_the_environment() {
        let of = |cache: Option<&str>, home: Option<&str>| {
            cache_folder(cache.map(Into::into), home.map(Into::into))
        };
        assert_eq!(of(Some("/c"), Some("/h")), Some("/c/docker-test".into()));
        assert_eq!(
            of(Some("relative"), Some("/h")),
            Some("/h/.cache/docker-test".into())
        );
        assert_eq!(of(None, Some("")), None);
        assert_eq!(of(None, None), None);
    }
}
