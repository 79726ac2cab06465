//! A container's root filesystem as steps: an empty root, and in it what the image, the engine and
//! the spec put there.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::host_image::{self, Entry};
use super::super::{Bind, ContainerSpec};
use super::network;
use super::plan::{Cgroup, Step};
use crate::model::{ByteText, Network};

/// Harmless devices, and the terminal that a process has, if it has one.
const DEVICES: [&str; 6] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
];
const LINKS: [(&str, &str); 6] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
    ("/dev/ptmx", "pts/ptmx"),
    ("/dev/core", "/proc/kcore"),
];
/// What the kernel shows of the machine and no test needs, as docker hides it.
const MASKED: [&str; 13] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/system/cpu/cpu0/thermal_throttle",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];
const HOSTS: &str = "/etc/hosts";
const RESOLVER: &str = "/etc/resolv.conf";
/// Most files in the container's own /dev/shm.
const SHM_INODES: u64 = 16 << 10;

/// Where a container's files come from.
#[derive(Clone, Copy, Debug)]
pub enum Root<'a> {
    /// The host's own programs, which the spec's binds bring.
    Host,
    /// A folder that holds an image's root filesystem.
    Folder(&'a Path),
}

/// The steps for `spec` in `root`. Looks at the host's files, and changes nothing.
pub fn steps(spec: &ContainerSpec, root: Root<'_>, cgroups: &[Cgroup]) -> Vec<Step> {
    let mut binds: Vec<&Bind> = spec.binds.iter().collect();
    // What lies in another bind comes after it.
    binds.sort_by_key(|bind| bind.target.components().count());
    let mut targets: Vec<PathBuf> = ["/dev", "/proc", "/sys"].map(PathBuf::from).to_vec();
    targets.extend(binds.iter().map(|bind| bind.target.clone()));
    targets.extend(spec.tmpfs.iter().map(|place| place.target.clone().into()));
    let mut files = Vec::new();
    if matches!(root, Root::Folder(_)) {
        // Engines give every container its own: without one nobody knows `localhost`.
        files.push((HOSTS, host_image::HOSTS));
    }
    if spec.hardening.network == Network::Bridge {
        files.push((RESOLVER, network::RESOLVER));
    }
    let mut steps = match root {
        Root::Host => host_image::entries().into_iter().map(entry).collect(),
        Root::Folder(folder) => image(folder, &targets, &files),
    };
    steps.extend(files.into_iter().map(|(path, text)| Step::File {
        path: path.into(),
        text: text.into(),
    }));
    steps.extend(devices(spec));
    steps.extend(binds.into_iter().map(|bind| Step::Bind {
        source: bind.source.as_os_str().into(),
        target: bind.target.as_os_str().into(),
        folder: bind.source.is_dir(),
    }));
    steps.extend(spec.tmpfs.iter().map(|place| {
        let path = place.target.as_str().into();
        tmpfs(path, place.size_bytes, place.inodes, place.exec, spec)
    }));
    steps.extend(views(cgroups));
    steps.extend(MASKED.map(|path| Step::Mask { path: path.into() }));
    steps
}

fn entry(entry: Entry) -> Step {
    let path = |path: &str| format!("/{}", path.trim_end_matches('/')).into();
    match entry {
        Entry::Folder(name, mode) => Step::Folder {
            path: path(name),
            mode,
        },
        Entry::File(name, text) => Step::File {
            path: path(name),
            text: text.into(),
        },
        Entry::Link(name, to) => Step::Link {
            path: path(name),
            to: to.into(),
        },
    }
}

fn folder(path: &str) -> Step {
    Step::Folder {
        path: path.into(),
        mode: 0o755,
    }
}

/// An image's own files: bound, but for the folders in which something else has to be made, which
/// are made anew with their entries bound one by one. The image itself is never written. `files` of
/// ours lie over its own where it has such, which are no links.
fn image(root: &Path, targets: &[PathBuf], files: &[(&str, &str)]) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut targets = targets.to_vec();
    let missing = files.iter().filter(|(path, _)| !has(root, Path::new(path)));
    targets.extend(missing.map(|(path, _)| PathBuf::from(path)));
    expose(root, Path::new("/"), &targets, &mut steps);
    steps.push(folder("/etc"));
    steps
}

/// Whether an image has a file or folder at `target`, with no link on the way: what is written there
/// would go wherever the link leads, the kernel's own files not excepted.
fn has(root: &Path, target: &Path) -> bool {
    let mut place = root.to_path_buf();
    let mut found = None;
    for name in target.strip_prefix("/").unwrap_or(target) {
        if found.is_some_and(|kind: fs::FileType| !kind.is_dir()) {
            return false;
        }
        place.push(name);
        found = fs::symlink_metadata(&place).ok().map(|at| at.file_type());
        if found.is_none() {
            return false;
        }
    }
    found.is_none_or(|kind| kind.is_file() || kind.is_dir())
}

fn expose(root: &Path, inside: &Path, targets: &[PathBuf], steps: &mut Vec<Step>) {
    let outside = root.join(inside.strip_prefix("/").unwrap_or(inside));
    let mut entries: Vec<_> = fs::read_dir(&outside)
        .into_iter()
        .flatten()
        .flatten()
        .collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = inside.join(entry.file_name());
        if targets.contains(&path) {
            continue;
        }
        let text = |path: &Path| ByteText::from(path.as_os_str());
        let below = |target: &&PathBuf| target.starts_with(&path);
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        // A link in the way of a target is left out, and a folder made in its place.
        let in_the_way = targets
            .iter()
            .filter(below)
            .any(|target| !has(root, target));
        if kind.is_dir() && in_the_way {
            steps.push(Step::Folder {
                path: text(&path),
                mode: 0o755,
            });
            expose(root, &path, targets, steps);
        } else if in_the_way {
            continue;
        } else if kind.is_symlink() {
            let to = fs::read_link(entry.path()).unwrap_or_default();
            steps.push(Step::Link {
                path: text(&path),
                to: text(&to),
            });
        } else {
            steps.push(Step::Bind {
                source: text(&entry.path()),
                target: text(&path),
                folder: kind.is_dir(),
            });
        }
    }
}

fn devices(spec: &ContainerSpec) -> Vec<Step> {
    let kernel = |kind: &str, path: &str, options: &str| Step::Kernel {
        kind: kind.into(),
        path: path.into(),
        options: options.into(),
    };
    let mut steps = vec![folder("/dev")];
    steps.extend(DEVICES.map(|path| Step::Device { path: path.into() }));
    steps.extend(LINKS.map(|(path, to)| Step::Link {
        path: path.into(),
        to: to.into(),
    }));
    steps.push(kernel(
        "devpts",
        "/dev/pts",
        "newinstance,ptmxmode=0666,mode=0620",
    ));
    steps.push(kernel("mqueue", "/dev/mqueue", ""));
    let shm = "/dev/shm".into();
    steps.push(tmpfs(shm, spec.shm_bytes, SHM_INODES, false, spec));
    steps
}

fn tmpfs(path: ByteText, size: u64, inodes: u64, exec: bool, spec: &ContainerSpec) -> Step {
    let (user, group) = spec.hardening.user;
    Step::Tmpfs {
        path,
        options: format!("size={size},nr_inodes={inodes},mode=1777,uid={user},gid={group}"),
        exec,
    }
}

/// The container's own cgroups, to be read from inside.
fn views(cgroups: &[Cgroup]) -> Vec<Step> {
    let view = |cgroup: &Cgroup| {
        Some(Step::Bind {
            source: cgroup.folder.clone(),
            target: cgroup.view.as_deref()?.into(),
            folder: true,
        })
    };
    let mut steps: Vec<Step> = cgroups.iter().filter_map(view).collect();
    if steps.len() > 1 {
        // Several are seen in folders of their own, for which there has to be room.
        steps.insert(
            0,
            Step::Kernel {
                kind: "tmpfs".into(),
                path: "/sys/fs/cgroup".into(),
                options: "mode=755,size=64k".into(),
            },
        );
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Tmpfs;
    use crate::engine::docker::fake::spec;

    fn shown(step: &Step) -> Option<String> {
        Some(match step {
            Step::Folder { path, .. } => format!("folder {path}"),
            Step::File { path, .. } => format!("file {path}"),
            Step::Link { path, to } => format!("link {path} {to}"),
            Step::Bind { target, .. } => format!("bind {target}"),
            Step::Tmpfs { path, .. } => format!("tmpfs {path}"),
            _ => return None,
        })
    }

    #[test]
    fn an_image_is_bound_and_opened_only_where_something_new_goes() {
        let image = tempfile::tempdir().unwrap();
        for folder in ["bin", "opt/tools", "proc", "tmp", "etc", "home/a"] {
            fs::create_dir_all(image.path().join(folder)).unwrap();
        }
        std::os::unix::fs::symlink("bin", image.path().join("sbin")).unwrap();
        std::os::unix::fs::symlink("/elsewhere", image.path().join("work")).unwrap();
        fs::write(image.path().join("etc/hosts"), "").unwrap();
        let mut spec = spec("dt-1", &["worker"]);
        let bind = |target: &str| Bind {
            source: "/usr".into(),
            target: target.into(),
        };
        spec.binds = vec![bind("/opt/dt/bin/x"), bind("/work")];
        spec.tmpfs = vec![Tmpfs {
            target: "/tmp".into(),
            size_bytes: 1,
            inodes: 1,
            exec: false,
        }];
        let steps = steps(&spec, Root::Folder(image.path()), &[]);
        let shown: Vec<_> = steps.iter().filter_map(shown).collect();
        let ours = shown.iter().position(|step| step == "folder /dev").unwrap();
        assert_eq!(
            shown[..ours],
            [
                "bind /bin",
                "bind /etc",
                "bind /home",
                "folder /opt",
                "bind /opt/tools",
                "link /sbin bin",
                "folder /etc",
                "file /etc/hosts"
            ]
        );
        // The outer bind before the inner one, whatever their order was.
        let at = |wanted: &str| shown.iter().position(|step| step == wanted).unwrap();
        assert!(at("bind /work") < at("bind /opt/dt/bin/x"));
        assert!(at("tmpfs /tmp") > at("bind /work"));
    }

    #[test]
    fn an_image_without_a_hosts_file_gets_one_among_its_own_files() {
        let image = tempfile::tempdir().unwrap();
        fs::create_dir_all(image.path().join("etc/ssl")).unwrap();
        fs::write(image.path().join("etc/passwd"), "").unwrap();
        let steps = steps(&spec("dt-1", &["worker"]), Root::Folder(image.path()), &[]);
        let shown: Vec<_> = steps.iter().filter_map(shown).take(5).collect();
        assert_eq!(
            shown,
            [
                "folder /etc",
                "bind /etc/passwd",
                "bind /etc/ssl",
                "folder /etc",
                "file /etc/hosts"
            ]
        );
    }

    #[test]
    fn a_way_out_has_a_resolver_that_no_link_of_the_image_leads_elsewhere() {
        let image = tempfile::tempdir().unwrap();
        fs::create_dir(image.path().join("etc")).unwrap();
        fs::write(image.path().join("etc/hosts"), "").unwrap();
        let resolver = image.path().join("etc/resolv.conf");
        std::os::unix::fs::symlink("../run/stub.conf", resolver).unwrap();
        let mut spec = spec("dt-1", &["worker"]);
        spec.hardening.network = Network::Bridge;
        let steps = steps(&spec, Root::Folder(image.path()), &[]);
        let shown: Vec<_> = steps.iter().filter_map(shown).take(5).collect();
        assert_eq!(
            shown,
            [
                "folder /etc",
                "bind /etc/hosts",
                "folder /etc",
                "file /etc/hosts",
                "file /etc/resolv.conf"
            ]
        );
    }

    #[test]
    fn a_hosts_file_that_leads_elsewhere_is_left_out() {
        let steps_of = |make: &dyn Fn(&Path)| {
            let image = tempfile::tempdir().unwrap();
            make(image.path());
            let steps = steps(&spec("dt-1", &["worker"]), Root::Folder(image.path()), &[]);
            steps.iter().filter_map(shown).take(3).collect::<Vec<_>>()
        };
        let link = |to: &str, from: &Path| std::os::unix::fs::symlink(to, from).unwrap();
        let made = ["folder /etc", "folder /etc", "file /etc/hosts"];
        // To the machine's own kernel, and to what is there on the host.
        for to in ["/proc/sys/kernel/core_pattern", "/etc/passwd", "nowhere"] {
            let steps = steps_of(&|image| {
                fs::create_dir(image.join("etc")).unwrap();
                link(to, &image.join("etc/hosts"));
            });
            assert_eq!(steps, made, "{to}");
        }
        let steps = steps_of(&|image| {
            fs::create_dir(image.join("etc")).unwrap();
            let fifo = image.join("etc/hosts");
            nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        });
        assert_eq!(steps, made);
        let steps = steps_of(&|image| link("/etc", &image.join("etc")));
        assert_eq!(steps[..2], made[1..]);
    }

    #[test]
    fn cgroups_are_seen_where_programs_look_for_them() {
        let cgroup = |folder: &str, view: &str| Cgroup {
            folder: folder.into(),
            settings: Vec::new(),
            view: Some(view.into()),
        };
        let one = views(&[cgroup("/c/1", "/sys/fs/cgroup")]);
        assert_eq!(
            one.iter().filter_map(shown).collect::<Vec<_>>(),
            ["bind /sys/fs/cgroup"]
        );
        let two = views(&[
            cgroup("/m/1", "/sys/fs/cgroup/memory"),
            cgroup("/p/1", "/sys/fs/cgroup/pids"),
        ]);
        assert!(matches!(&two[0], Step::Kernel { kind, .. } if kind == "tmpfs"));
        assert_eq!(two.len(), 3);
        assert!(views(&[]).is_empty());
    }
}
