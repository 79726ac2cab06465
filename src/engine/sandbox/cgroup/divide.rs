//! Folders of ours in the machine's hierarchies, and in version 2 the right to give limits in them.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use super::super::super::cgroupfs::mounted;
use super::{CONTROLLERS_1, Hierarchy, NEEDED_2, OURS, WANTED_2};

/// Where the processes of a delegated group go: a group with processes of its own has no limits to
/// give.
const LEAF: &str = "docker-test-launcher";
/// What a group lets those below it have.
const CONTROL: &str = "cgroup.subtree_control";
/// How often we try again where others are at work in the same group: a launcher removes our folder
/// as it ends, and processes start others.
const TRIES: u32 = 10;

/// Writes into a file of the kernel's, and never makes one: where it is missing the error has to say
/// so, and the kernel refuses to make it in other words.
pub fn put(file: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(file)?;
    file.write_all(text.as_bytes())
}

/// Makes our folders of version 1, by a `mountinfo` text.
pub fn one(mounts: &str) -> Hierarchy {
    let mounted = mounted(mounts, "cgroup");
    let mut folders = Vec::new();
    let mut problem = None;
    for controller in CONTROLLERS_1 {
        let has = |options: &str| options.split(',').any(|option| option == controller);
        let Some((place, _)) = mounted.iter().find(|(_, options)| has(options)) else {
            continue;
        };
        let folder = Path::new(place).join(OURS);
        match make(&folder) {
            Ok(()) => folders.push((controller, folder)),
            Err(error) => problem = Some(format!("{} cannot be made: {error}", folder.display())),
        }
    }
    if folders.is_empty() {
        let why = problem.unwrap_or_else(|| "no controller is mounted".into());
        return Hierarchy::None(format!("cgroup version 1: {why}"));
    }
    Hierarchy::One(folders)
}

/// Makes our folder of version 2, by the texts of `mountinfo` and `/proc/self/cgroup`.
pub fn two(mounts: &str, own: &str) -> Hierarchy {
    let Some((root, _)) = mounted(mounts, "cgroup2").first().copied() else {
        return Hierarchy::None("cgroup version 2: it is not mounted".into());
    };
    let root = Path::new(root);
    // What is written at the root reaches everything; whoever may not writes below its own group.
    let base = if access(&root.join(CONTROL), AccessFlags::W_OK).is_ok() {
        root.to_path_buf()
    } else {
        own_group(root, own)
    };
    match divide(&base) {
        Ok(processors) => Hierarchy::Two {
            folder: base.join(OURS),
            processors,
        },
        Err(error) => Hierarchy::None(format!(
            "cgroup version 2: {} is not ours to divide: {error}",
            base.display()
        )),
    }
}

/// Our own group of version 2, by a `/proc/self/cgroup` text; the one above where an earlier
/// launcher moved us into a leaf.
fn own_group(root: &Path, own: &str) -> PathBuf {
    let path = own.lines().find_map(|line| line.strip_prefix("0::"));
    let path = Path::new(path.unwrap_or("/"));
    let path = match path.file_name() {
        Some(name) if name == LEAF => path.parent().unwrap_or(path),
        _ => path,
    };
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// Makes our folder in a group of version 2, in which containers can have limits; of processors too
/// where the answer is yes.
fn divide(base: &Path) -> io::Result<bool> {
    let ours = base.join(OURS);
    let once = || {
        delegate(base)?;
        make(&ours)?;
        delegate(&ours)
    };
    for _ in 0..TRIES {
        match once() {
            Err(error) if error.kind() == io::ErrorKind::NotFound && base.exists() => {}
            done => return done,
        }
    }
    once()
}

/// Lets the groups below `folder` have limits, of processors too where the answer is yes.
fn delegate(folder: &Path) -> io::Result<bool> {
    let words = |file| -> io::Result<Vec<String>> {
        let text = fs::read_to_string(folder.join(file))?;
        Ok(text.split_whitespace().map(str::to_owned).collect())
    };
    let given = words(CONTROL)?;
    let there = words("cgroup.controllers")?;
    let has = |list: &[String], name: &str| list.iter().any(|word| word == name);
    if let Some(absent) = NEEDED_2.iter().find(|name| !has(&there, name)) {
        return Err(io::Error::other(format!("it has no {absent} controller")));
    }
    let wanted = WANTED_2
        .iter()
        .filter(|name| has(&there, name) && !has(&given, name));
    let wanted: Vec<String> = wanted.map(|name| format!("+{name}")).collect();
    let processors = has(&there, "cpu");
    if wanted.is_empty() {
        return Ok(processors);
    }
    let enable = || put(&folder.join(CONTROL), &wanted.join(" "));
    for _ in 0..TRIES {
        match enable() {
            Err(error) if error.raw_os_error() == Some(Errno::EBUSY as i32) => {
                move_processes(folder)?;
            }
            done => return done.map(|()| processors),
        }
    }
    enable().map(|()| processors)
}

/// Moves the processes of a group into a leaf of it.
fn move_processes(folder: &Path) -> io::Result<()> {
    let leaf = folder.join(LEAF);
    make(&leaf)?;
    for pid in fs::read_to_string(folder.join("cgroup.procs"))?.lines() {
        match put(&leaf.join("cgroup.procs"), pid) {
            // It ended meanwhile.
            Err(error) if error.raw_os_error() == Some(Errno::ESRCH as i32) => {}
            done => done?,
        }
    }
    Ok(())
}

/// Makes a folder that we can make others in; it may be there, and may be somebody else's.
fn make(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Ok(access(folder, AccessFlags::W_OK)?)
        }
        made => made,
    }
}

/// Makes a container's folder, and ours above it where it is gone: a launcher that ends removes it
/// while it is empty.
pub fn make_below(folder: &Path) -> io::Result<()> {
    for _ in 0..TRIES {
        match fs::create_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let ours = folder.parent().unwrap_or(folder);
                match ours.parent().filter(|base| base.join(CONTROL).exists()) {
                    Some(base) => divide(base).map(drop)?,
                    None => make(ours)?,
                }
            }
            // Its files are read from inside, whatever the launcher's umask is.
            Ok(()) => return fs::set_permissions(folder, fs::Permissions::from_mode(0o755)),
            failed => return failed,
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS_1: &str = "\
31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw shared:5 - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
";
    const ALL: &str = "cpuset cpu io memory pids\n";

    /// Groups of version 2 as folders of files; the first is where it is mounted.
    fn tree(groups: &[(&str, &str, &str)]) -> (tempfile::TempDir, String) {
        let root = tempfile::tempdir().unwrap();
        for (group, controllers, control) in groups {
            let folder = root.path().join(group);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("cgroup.controllers"), controllers).unwrap();
            fs::write(folder.join(CONTROL), control).unwrap();
        }
        let place = root.path().display();
        let mounts = format!("30 23 0:26 / {place} rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n");
        (root, mounts)
    }

    fn version_2(folder: PathBuf, processors: bool) -> Hierarchy {
        Hierarchy::Two { folder, processors }
    }

    fn text(root: &tempfile::TempDir, file: &str) -> String {
        fs::read_to_string(root.path().join(file)).unwrap()
    }

    #[test]
    fn mounts_are_found_by_kind() {
        assert_eq!(
            mounted(MOUNTS_1, "cgroup"),
            [
                ("/sys/fs/cgroup/cpu,cpuacct", "rw,cpu,cpuacct"),
                ("/sys/fs/cgroup/memory", "rw,memory")
            ]
        );
        assert_eq!(
            mounted(MOUNTS_1, "cgroup2"),
            [("/sys/fs/cgroup/unified", "rw")]
        );
    }

    #[test]
    fn our_own_group_is_the_one_that_was_delegated() {
        let root = Path::new("/sys/fs/cgroup");
        let own = |text| own_group(root, text);
        assert_eq!(
            own("0::/user.slice/run-1.scope\n"),
            root.join("user.slice/run-1.scope")
        );
        let moved = "1:name=x:/\n0::/user.slice/run-1.scope/docker-test-launcher\n";
        assert_eq!(own(moved), root.join("user.slice/run-1.scope"));
        assert_eq!(own("0::/\n"), root.join(""));
    }

    #[test]
    fn whoever_may_write_the_root_has_its_folder_there() {
        let (root, mounts) = tree(&[("", ALL, "memory pids\n"), (OURS, "memory pids cpu\n", "")]);
        let found = two(&mounts, "0::/user.slice/session-1.scope\n");
        assert_eq!(found, version_2(root.path().join(OURS), true));
        // Only what is missing is asked for.
        assert!(text(&root, CONTROL).starts_with("+cpu"));
        assert_eq!(text(&root, "docker-test/cgroup.subtree_control"), {
            "+memory +pids +cpu"
        });
    }

    #[test]
    fn whoever_may_not_has_it_in_its_own_group() {
        let ours = "run-1.scope/docker-test";
        let (root, mounts) = tree(&[
            ("run-1.scope", ALL, "cpu memory pids"),
            (ours, "cpu memory pids", "cpu memory pids"),
        ]);
        let found = two(&mounts, "0::/run-1.scope/docker-test-launcher\n");
        assert_eq!(found, version_2(root.path().join(ours), true));
    }

    #[test]
    fn processors_are_limited_only_where_that_can_be_had() {
        let (root, mounts) = tree(&[("", "memory pids", ""), (OURS, "memory pids", "")]);
        let found = two(&mounts, "0::/\n");
        assert_eq!(found, version_2(root.path().join(OURS), false));
        assert_eq!(text(&root, CONTROL), "+memory +pids");
    }

    #[test]
    fn without_memory_there_is_nothing_to_divide() {
        let (root, mounts) = tree(&[("", "cpu pids", "")]);
        let place = root.path().display();
        let why =
            format!("cgroup version 2: {place} is not ours to divide: it has no memory controller");
        assert_eq!(two(&mounts, "0::/\n"), Hierarchy::None(why));
        assert!(!root.path().join(OURS).exists());
    }

    #[test]
    fn processes_make_room_in_a_leaf() {
        let (root, _) = tree(&[("", ALL, "")]);
        let leaf = root.path().join(LEAF);
        fs::create_dir(&leaf).unwrap();
        fs::write(root.path().join("cgroup.procs"), "11\n12\n").unwrap();
        fs::write(leaf.join("cgroup.procs"), "").unwrap();
        move_processes(root.path()).unwrap();
        // The kernel takes one process a write.
        assert_eq!(text(&root, "docker-test-launcher/cgroup.procs"), "12");
    }

    #[test]
    fn a_containers_folder_brings_ours_back() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join(OURS).join("1-2-3");
        make_below(&folder).unwrap();
        assert!(folder.is_dir());
        let again = make_below(&folder).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn no_file_is_made() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("tasks");
        let error = put(&file, "0").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(!file.exists());
    }
}
