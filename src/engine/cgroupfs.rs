//! Where cgroup hierarchies are mounted, and where in them a container is.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

/// How many folders are looked into at most: what an engine makes lies near the root.
const MOST_FOLDERS: usize = 2000;
/// The hexadecimal digits of a container's id.
const ID_DIGITS: usize = 64;

/// Where filesystems of this kind are mounted, with their options, by a `mountinfo` text.
pub fn mounted<'a>(mounts: &'a str, kind: &str) -> Vec<(&'a str, &'a str)> {
    let read = |line: &'a str| {
        let (before, after) = line.split_once(" - ")?;
        let mut after = after.split(' ');
        (after.next()? == kind).then_some((before.split(' ').nth(4)?, after.nth(1)?))
    };
    mounts.lines().filter_map(read).collect()
}

/// The folder of the hierarchy that counts memory, by a `mountinfo` text.
pub fn memory_root(mounts: &str) -> Option<&Path> {
    let has_memory = |options: &str| options.split(',').any(|option| option == "memory");
    let one = mounted(mounts, "cgroup")
        .into_iter()
        .find(|(_, options)| has_memory(options));
    let place = one.or_else(|| mounted(mounts, "cgroup2").first().copied());
    place.map(|(folder, _)| Path::new(folder))
}

/// The cgroup below `root` of the container with this id: `docker/ID`, `system.slice/docker-ID.scope`,
/// `machine.slice/libpod-ID.scope`, …; `None` where it is not on this machine.
pub fn of_container(root: &Path, id: &str) -> Option<PathBuf> {
    if id.len() != ID_DIGITS || !id.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut folders = VecDeque::from([root.to_path_buf()]);
    for _ in 0..MOST_FOLDERS {
        let folder = folders.pop_front()?;
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            match entry.file_name().to_str() {
                Some(name) if is_of(name, id) => return Some(entry.path()),
                _ => folders.push_back(entry.path()),
            }
        }
    }
    None
}

/// Whether a folder's name says that it is this container's, and not its monitor's: podman's has a
/// cgroup too, `libpod-conmon-ID.scope`.
fn is_of(name: &str, id: &str) -> bool {
    let name = name.strip_suffix(".scope").unwrap_or(name);
    let engine = name.strip_suffix(id);
    engine.is_some_and(|engine| engine.is_empty() || ["docker-", "libpod-"].contains(&engine))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "\
30 23 0:26 / /sys/fs/cgroup/cpu rw,nosuid - cgroup cgroup rw,cpu,cpuacct
31 23 0:27 / /sys/fs/cgroup/memory rw,nosuid shared:9 - cgroup cgroup rw,memory
32 23 0:28 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup2 rw
";

    #[test]
    fn memory_is_counted_where_its_controller_is_mounted() {
        assert_eq!(memory_root(ONE), Some(Path::new("/sys/fs/cgroup/memory")));
        let two = "29 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate";
        assert_eq!(memory_root(two), Some(Path::new("/sys/fs/cgroup")));
        assert_eq!(memory_root("21 1 8:1 / / rw - ext4 /dev/sda rw"), None);
    }

    #[test]
    fn a_container_is_found_by_its_id_wherever_its_engine_puts_it() {
        let id = "0123456789abcdef".repeat(4);
        for place in [
            format!("docker/{id}"),
            format!("system.slice/docker-{id}.scope"),
            format!("machine.slice/libpod-{id}.scope"),
            format!("libpod_parent/libpod-{id}"),
            format!("user.slice/user-1.slice/user@1.service/user.slice/libpod-{id}.scope"),
        ] {
            let root = tempfile::tempdir().unwrap();
            let others = ["a/b/c", &format!("machine.slice/libpod-conmon-{id}.scope")];
            for folder in others
                .into_iter()
                .chain([&*place, &*format!("{place}/container")])
            {
                fs::create_dir_all(root.path().join(folder)).unwrap();
            }
            assert_eq!(
                of_container(root.path(), &id),
                Some(root.path().join(&place))
            );
            assert_eq!(of_container(root.path(), &id.replace('0', "f")), None);
            assert_eq!(of_container(root.path(), ""), None);
            assert_eq!(of_container(root.path(), "container"), None);
        }
    }
}
