//! Binds, so that what is read-only is read-only below too.
//!
//! A read-only bind covers one mount. What is mounted below its source comes along writable, on
//! engines before 25 always. So a source with mounts below it is bound without them, and each of
//! them is bound by itself: the content stays visible, and nothing of it can be written.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::super::Bind;

/// One `--mount` of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// What is bound, and where.
    pub bind: Bind,
    /// Without what is mounted below its source.
    pub alone: bool,
}

/// The mounts for `binds` on a machine with these mount points. `resolve` gives a path free of
/// symbolic links, or nothing where it cannot be looked at.
fn split(
    binds: &[Bind],
    mount_points: &[PathBuf],
    resolve: impl Fn(&Path) -> Option<PathBuf>,
) -> Vec<Mount> {
    let mut mounts = Vec::new();
    for bind in binds {
        let source = resolve(&bind.source);
        let mut below: Vec<&Path> = Vec::new();
        for point in mount_points {
            let inside = source
                .as_deref()
                .and_then(|source| point.strip_prefix(source).ok())
                .filter(|rest| !rest.as_os_str().is_empty());
            // Several mounts can lie on one point: the last one is what is seen. One that cannot
            // be looked at, such as another user's FUSE mount, cannot be bound either.
            if let Some(rest) = inside
                && !below.contains(&rest)
                && resolve(point).is_some()
            {
                below.push(rest);
            }
        }
        mounts.push(Mount {
            bind: bind.clone(),
            alone: !below.is_empty(),
        });
        mounts.extend(below.into_iter().map(|rest| Mount {
            bind: Bind {
                source: bind.source.join(rest),
                target: bind.target.join(rest),
            },
            alone: true,
        }));
    }
    mounts
}

/// The mounts for `binds` here.
pub fn of_this_machine(binds: &[Bind]) -> Vec<Mount> {
    split(binds, &mount_points(), |path| path.canonicalize().ok())
}

/// The mount points of this process, in the order of mounting. None where they cannot be read:
/// then the engine says what it thinks of the binds.
fn mount_points() -> Vec<PathBuf> {
    parse(&std::fs::read("/proc/self/mountinfo").unwrap_or_default())
}

/// The fifth field of each line of a `mountinfo` file.
fn parse(mountinfo: &[u8]) -> Vec<PathBuf> {
    mountinfo
        .split(|&byte| byte == b'\n')
        .filter_map(|line| line.split(|&byte| byte == b' ').nth(4))
        .map(|field| PathBuf::from(unescape(field)))
        .collect()
}

/// Undoes the kernel's escapes: a blank is `\040`.
fn unescape(field: &[u8]) -> OsString {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, after)) = rest.split_first() {
        let octal = (first == b'\\')
            .then(|| after.get(..3))
            .flatten()
            .and_then(|digits| OsStr::from_bytes(digits).to_str())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match octal {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    OsString::from_vec(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(source: &str, target: &str) -> Bind {
        Bind {
            source: source.into(),
            target: target.into(),
        }
    }

    fn seen(path: &Path) -> Option<PathBuf> {
        match path.to_str() {
            Some("/link") => Some("/home/p".into()),
            Some("/home/p/closed") => None,
            _ => Some(path.into()),
        }
    }

    #[test]
    fn a_source_without_mounts_below_is_bound_as_it_is() {
        let points = ["/", "/home", "/home/p", "/home/project2"].map(PathBuf::from);
        let mounts = split(&[bind("/home/p", "/work")], &points, seen);
        assert_eq!(
            mounts,
            [Mount {
                bind: bind("/home/p", "/work"),
                alone: false
            }]
        );
    }

    #[test]
    fn each_mount_below_is_bound_by_itself_and_once() {
        let points = [
            "/home/p/a b",
            "/home/p/a b",
            "/home/p/closed",
            "/home/p/a b/c",
        ]
        .map(PathBuf::from);
        for source in ["/home/p", "/link"] {
            let mounts = split(&[bind(source, "/work")], &points, seen);
            let shown: Vec<_> = mounts
                .iter()
                .map(|mount| (mount.bind.source.clone(), mount.bind.target.clone()))
                .collect();
            let at = |rest: &str| (Path::new(source).join(rest), Path::new("/work").join(rest));
            assert_eq!(
                shown,
                [(source.into(), "/work".into()), at("a b"), at("a b/c")]
            );
            assert!(mounts.iter().all(|mount| mount.alone));
        }
    }

    #[test]
    fn mountinfo_is_unescaped() {
        let text = b"36 35 98:0 / /mnt/a\\040b\\134c rw - ext4 /dev/sda rw\n37 36 0:1 / /x\\9 rw - t t rw\nshort\n";
        assert_eq!(
            parse(text),
            [PathBuf::from("/mnt/a b\\c"), PathBuf::from("/x\\9")]
        );
    }
}
