//! In the container, before its program: the root filesystem, then giving up every right.
//!
//! The order matters. What will be mounted is opened while the host's files are still there; the new
//! root is filled after it has become the root, so that no link in an image leads out of it; rights
//! go last, because everything before needs them.

use std::convert::Infallible;
use std::ffi::CString;
use std::fs;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::libc;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{
    Gid, Uid, chdir, execve, pivot_root, setgroups, sethostname, setresgid, setresuid, setsid,
};

use super::plan::{Link, Obstacle, Plan, Step};
use super::sys::{self, attribute};
use super::{cgroup, filter, limits, network};
use crate::model::ByteText;

/// Folders of the host on which the new root can be put until it is the root; any will do.
const STAGES: [&str; 5] = ["/tmp", "/mnt", "/var", "/usr", "/etc"];
/// The new root holds folders, links and a few small files.
const ROOT_OPTIONS: &str = "mode=755,size=4m,nr_inodes=16k";

/// Gives an error its place.
trait At<T> {
    fn at(self, step: impl FnOnce() -> String) -> Result<T, Obstacle>;
}

impl<T> At<T> for nix::Result<T> {
    fn at(self, step: impl FnOnce() -> String) -> Result<T, Obstacle> {
        self.map_err(|errno| Obstacle {
            step: step(),
            errno: errno as i32,
        })
    }
}

impl<T> At<T> for std::io::Result<T> {
    fn at(self, step: impl FnOnce() -> String) -> Result<T, Obstacle> {
        self.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))
            .at(step)
    }
}

/// Becomes the container's program. Returns only where something stands in the way, for which
/// `errors` is the way to the monitor.
pub fn enter(plan: &Plan, errors: BorrowedFd<'_>) -> Obstacle {
    match become_program(plan, errors) {
        Err(obstacle) => obstacle,
        Ok(never) => match never {},
    }
}

fn become_program(plan: &Plan, errors: BorrowedFd<'_>) -> Result<Infallible, Obstacle> {
    cgroup::join(&plan.cgroups)?;
    // After the cgroup was joined: what is the root of the new namespace is ours then. Where there
    // are no cgroup namespaces there is nothing to hide either.
    let _ = unshare(CloneFlags::CLONE_NEWCGROUP);
    umask(Mode::empty());
    let none: Option<&str> = None;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(none, "/", none, private, none).at(|| "make the mounts private".into())?;
    let trees = open_sources(plan)?;
    new_root()?;
    for (step, tree) in plan.steps.iter().zip(trees) {
        place(step, tree)?;
    }
    sethostname(&plan.hostname).at(|| "set the host name".into())?;
    network::loopback_up().at(|| "bring the loopback interface up".into())?;
    if plan.network == Link::Internal {
        network::make_internal().at(|| "make an interface".into())?;
    }
    set_parameters(plan)?;
    freeze()?;
    give_up_rights(plan, errors)?;
    execute(plan)
}

/// The trees that the steps will mount, in the steps' order.
fn open_sources(plan: &Plan) -> Result<Vec<Option<OwnedFd>>, Obstacle> {
    let open = |step: &Step| {
        let (path, attributes) = match step {
            Step::Bind { source, .. } => (
                source,
                attribute::READ_ONLY | attribute::NO_SUID | attribute::NO_DEV,
            ),
            Step::Device { path } => (path, attribute::NO_SUID | attribute::NO_EXEC),
            _ => return Ok(None),
        };
        let tree = sys::c_path(path.as_bytes())
            .and_then(|path| sys::open_tree(&path))
            .and_then(|tree| sys::restrict(tree.as_fd(), attributes).map(|()| tree))
            .at(|| format!("bind {path}"))?;
        Ok(Some(tree))
    };
    plan.steps.iter().map(open).collect()
}

/// Puts an empty root with /proc and /sys in the place of the host's.
fn new_root() -> Result<(), Obstacle> {
    let stage = STAGES.iter().find(|stage| Path::new(stage).is_dir());
    let stage = *stage.unwrap_or(&STAGES[0]);
    let mount_kernel = |kind: &str, path: &str| {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        fs::create_dir(path)
            .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))
            .and_then(|()| mount(Some(kind), path, Some(kind), flags, None::<&str>))
    };
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(
        Some("root"),
        stage,
        Some("tmpfs"),
        flags,
        Some(ROOT_OPTIONS),
    )
    .at(|| "mount the root".into())?;
    chdir(stage).at(|| "enter the root".into())?;
    // While the host's own /proc is there: without one in sight the kernel lets nobody mount it.
    mount_kernel("proc", "proc").at(|| "mount /proc".into())?;
    // Programs look there for processors and memory; they do without where it cannot be had.
    let _ = mount_kernel("sysfs", "sys");
    pivot_root(".", ".").at(|| "change the root".into())?;
    umount2(".", MntFlags::MNT_DETACH).at(|| "let go of the host's root".into())?;
    chdir("/").at(|| "enter the root".into())
}

fn place(step: &Step, tree: Option<OwnedFd>) -> Result<(), Obstacle> {
    match step {
        Step::Folder { path, mode } => make_folder(path, *mode),
        Step::File { path, text } => write_file(path, text),
        Step::Link { path, to } => std::os::unix::fs::symlink(to.as_os_str(), path.as_os_str())
            .at(|| format!("link {path}")),
        Step::Bind { target, folder, .. } => attach(tree, target, *folder),
        Step::Device { path } => attach(tree, path, false),
        Step::Tmpfs {
            path,
            options,
            exec,
        } => {
            let mut flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
            flags.set(MsFlags::MS_NOEXEC, !exec);
            mount_kernel("tmpfs", path, flags, options)
        }
        Step::Kernel {
            kind,
            path,
            options,
        } => {
            let mut flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
            // Terminals are devices.
            flags.set(MsFlags::MS_NODEV, kind != "devpts");
            mount_kernel(kind, path, flags, options)
        }
        Step::Mask { path } => mask(path),
    }
}

/// Writes a small file, never through a link, and never into what is not one.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = fs::File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

/// Writes a small file; over one of an image, which is read-only, it is mounted.
fn write_file(path: &ByteText, text: &str) -> Result<(), Obstacle> {
    const STAGE: &str = "/.file";
    let place = Path::new(path.as_os_str());
    let none: Option<&str> = None;
    match write(place, text) {
        Err(error) if error.raw_os_error() == Some(Errno::EROFS as i32) => {
            write(Path::new(STAGE), text).at(|| format!("write {path}"))?;
            mount(Some(STAGE), place, none, MsFlags::MS_BIND, none)
                .and_then(|()| {
                    let place = sys::c_path(path.as_bytes())?;
                    sys::restrict_path(&place, attribute::READ_ONLY)
                })
                .and_then(|()| nix::unistd::unlink(STAGE))
                .at(|| format!("mount {path}"))
        }
        done => done.at(|| format!("write {path}")),
    }
}

fn make_folder(path: &ByteText, mode: u32) -> Result<(), Obstacle> {
    let path = Path::new(path.as_os_str());
    let mut builder = fs::DirBuilder::new();
    if let Some(above) = path.parent() {
        builder
            .recursive(true)
            .mode(0o755)
            .create(above)
            .at(|| format!("make {}", above.display()))?;
    }
    match fs::DirBuilder::new().mode(mode).create(path) {
        Err(_) if path.is_dir() => Ok(()),
        made => made.at(|| format!("make {}", path.display())),
    }
}

/// Mounts `tree` at `target`, which is made where it is missing.
fn attach(tree: Option<OwnedFd>, target: &ByteText, folder: bool) -> Result<(), Obstacle> {
    let path = Path::new(target.as_os_str());
    if folder {
        make_folder(target, 0o755)?;
    } else if !path.exists() {
        if let Some(above) = path.parent() {
            make_folder(&ByteText::from(above.as_os_str()), 0o755)?;
        }
        fs::File::create(path).at(|| format!("make {target}"))?;
    }
    let tree = tree.ok_or(Errno::EBADF).at(|| format!("bind {target}"))?;
    sys::c_path(target.as_bytes())
        .and_then(|target| sys::attach(tree.as_fd(), &target))
        .at(|| format!("mount {target}"))
}

fn mount_kernel(
    kind: &str,
    path: &ByteText,
    flags: MsFlags,
    options: &str,
) -> Result<(), Obstacle> {
    make_folder(path, 0o755)?;
    mount(
        Some(kind),
        path.as_os_str(),
        Some(kind),
        flags,
        Some(options),
    )
    .at(|| format!("mount {path}"))
}

/// Covers a file with /dev/null and a folder with an empty one.
fn mask(path: &ByteText) -> Result<(), Obstacle> {
    let place = Path::new(path.as_os_str());
    let Ok(found) = fs::symlink_metadata(place) else {
        return Ok(());
    };
    if found.is_dir() {
        let flags = MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        return mount(
            Some("tmpfs"),
            place,
            Some("tmpfs"),
            flags | MsFlags::MS_NOEXEC,
            Some("size=0,nr_inodes=1"),
        )
        .at(|| format!("mask {path}"));
    }
    let null: PathBuf = "/dev/null".into();
    let none: Option<&str> = None;
    mount(Some(&null), place, none, MsFlags::MS_BIND, none).at(|| format!("mask {path}"))
}

/// Makes a place read-only: mounts it on itself where it is no mount.
fn read_only(path: &ByteText) -> Result<(), Obstacle> {
    let restrict = |attributes| {
        let path = sys::c_path(path.as_bytes())?;
        sys::restrict_path(&path, attributes)
    };
    let place = path.as_os_str();
    let none: Option<&str> = None;
    match restrict(attribute::READ_ONLY) {
        Err(Errno::EINVAL) => mount(
            Some(place),
            place,
            none,
            MsFlags::MS_BIND | MsFlags::MS_REC,
            none,
        )
        .and_then(|()| restrict(attribute::READ_ONLY)),
        other => other,
    }
    .at(|| format!("make {path} read-only"))
}

/// Writes kernel parameters of our own namespaces.
fn set_parameters(plan: &Plan) -> Result<(), Obstacle> {
    for (name, value) in &plan.sysctls {
        let path = format!("/proc/sys/{name}");
        fs::write(&path, value).at(|| format!("write {path}"))?;
    }
    if plan.mapped.is_some() {
        // Ours to set only in a user namespace of our own; elsewhere seccomp alone refuses.
        let path = "/proc/sys/user/max_user_namespaces";
        fs::write(path, "0").at(|| format!("write {path}"))?;
    }
    Ok(())
}

/// Makes what is left of the root read-only.
fn freeze() -> Result<(), Obstacle> {
    for path in [
        "/proc/bus",
        "/proc/fs",
        "/proc/irq",
        "/proc/sys",
        "/proc/sysrq-trigger",
    ] {
        let path = ByteText::from(path);
        if Path::new(path.as_os_str()).exists() {
            read_only(&path)?;
        }
    }
    if Path::new("/sys/kernel").exists() {
        read_only(&"/sys".into())?;
    }
    sys::restrict_path(c"/", attribute::READ_ONLY).at(|| "make / read-only".into())
}

fn give_up_rights(plan: &Plan, errors: BorrowedFd<'_>) -> Result<(), Obstacle> {
    limits::apply(&plan.rlimits).at(|| "set resource limits".into())?;
    sys::leave_keyring();
    welcome_the_killer();
    sys::empty_bounding_set().at(|| "empty the bounding set".into())?;
    let (user, group) = plan.user;
    let (uid, gid) = (Uid::from_raw(user), Gid::from_raw(group));
    if plan.mapped.is_none() {
        setgroups(&[]).at(|| "drop the groups".into())?;
    }
    setresgid(gid, gid, gid).at(|| "change the group".into())?;
    setresuid(uid, uid, uid).at(|| "change the user".into())?;
    sys::drop_capabilities().at(|| "drop the capabilities".into())?;
    prctl::set_no_new_privs().at(|| "set no_new_privs".into())?;
    // A change of user forgets it, so not before.
    prctl::set_pdeathsig(Signal::SIGKILL).at(|| "ask to end with the monitor".into())?;
    let mut reader = [PollFd::new(errors, PollFlags::empty())];
    if poll(&mut reader, PollTimeout::ZERO).is_ok_and(|ready| ready > 0) {
        // Nobody reads any more: the monitor ended before the kernel was asked.
        return Err(Errno::ESRCH).at(|| "find the monitor".into());
    }
    setsid().at(|| "start a session".into())?;
    if plan.terminal {
        sys::control_terminal().at(|| "take the terminal".into())?;
    }
    sys::close_on_exec().at(|| "close descriptors".into())
}

/// A launcher that the kernel was told to spare when memory runs out does not make its tests so.
fn welcome_the_killer() {
    const FILE: &str = "/proc/self/oom_score_adj";
    let score = fs::read_to_string(FILE).unwrap_or_default();
    if score.starts_with('-') {
        // Upwards everybody may.
        let _ = fs::write(FILE, "0");
    }
}

fn execute(plan: &Plan) -> Result<Infallible, Obstacle> {
    let strings = |list: &[ByteText]| -> nix::Result<Vec<CString>> {
        list.iter()
            .map(|text| sys::c_path(text.as_bytes()))
            .collect()
    };
    umask(Mode::from_bits_truncate(0o022));
    chdir(plan.directory.as_os_str()).at(|| format!("enter {}", plan.directory))?;
    let argv = strings(&plan.argv).at(|| "read the arguments".into())?;
    let environment = strings(&plan.environment).at(|| "read the environment".into())?;
    let program = argv.first().cloned().unwrap_or_default();
    sys::default_signals();
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
    // The last thing: not even we may do now what a test may not.
    for program in &plan.filters {
        filter::install(program).at(|| "install the seccomp filter".into())?;
    }
    let shown = ByteText::from(std::ffi::OsStr::from_bytes(program.as_bytes()));
    execve(&program, &argv, &environment).at(|| format!("execute {shown}"))
}

/// Tells the monitor what stood in the way, on the descriptor for that.
pub fn tell(obstacle: &Obstacle, errors: OwnedFd) {
    let text = serde_json::to_string(obstacle).unwrap_or_default();
    // Nobody is left to hear that this fails.
    let _ = fs::File::from(errors).write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_not_written_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (place, elsewhere) = (folder.path().join("hosts"), folder.path().join("other"));
        write(&place, "one").unwrap();
        write(&place, "two").unwrap();
        assert_eq!(fs::read_to_string(&place).unwrap(), "two");
        fs::rename(&place, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &place).unwrap();
        let error = write(&place, "three").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::ELOOP as i32));
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "two");
        fs::remove_file(&place).unwrap();
        nix::unistd::mkfifo(&place, Mode::S_IRWXU).unwrap();
        // It does not wait for a reader either.
        let error = write(&place, "four").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::ENXIO as i32));
    }
}
