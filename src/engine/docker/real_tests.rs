//! Against a real engine, where there is one. A stand-in worker: busybox, imported as an image of
//! this test's own, which is removed afterwards.

use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::fake::spec;
use super::{Docker, Flavour};
use crate::engine::{
    Bind, Container, ContainerSpec, Ending, Engine, EngineError, Owner, SeccompProfile, Tmpfs,
    host_binds,
};

const LONG: Duration = Duration::from_secs(120);
const BUSYBOX: &str = "/bin/busybox";

/// An engine with an image of this test's own.
pub struct Real {
    pub docker: Docker,
    pub name: String,
    pub folder: tempfile::TempDir,
}

fn limits_nothing(docker: &Docker) -> bool {
    docker.flavour() == Flavour::Podman
        && !nix::unistd::geteuid().is_root()
        && crate::host::cgroup_version() == Some(1)
}

impl Real {
    /// Nothing where there is no engine, or no static busybox to put into an image: said loudly,
    /// and a failure on CI.
    pub fn new(docker: Docker) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let folder = tempfile::tempdir().unwrap();
        let docker = docker.with_cache_folder(folder.path());
        let missing = match docker.version() {
            Err(error) => error.to_string(),
            Ok(_) if !Path::new(BUSYBOX).exists() => format!("no {BUSYBOX}"),
            Ok(_) if limits_nothing(&docker) => {
                "without root it limits nothing on cgroup version 1".into()
            }
            Ok(_) => String::new(),
        };
        if !missing.is_empty() {
            let engine = docker.flavour().word();
            let optional = docker.flavour() == Flavour::Podman;
            let ci = std::env::var_os("CI").is_some();
            assert!(optional || !ci, "{missing}");
            eprintln!("SKIPPED, NOT TESTED AGAINST A REAL {engine}: {missing}");
            return None;
        }
        let name = format!(
            "dt-engine-test-{}-{}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        let mut tar = tar::Builder::new(Vec::new());
        tar.append_path_with_name(BUSYBOX, "bin/busybox").unwrap();
        docker
            .call(["import", "-", &name])
            .stdin(tar.into_inner().unwrap())
            .run()
            .unwrap();
        Some(Real {
            docker,
            name,
            folder,
        })
    }

    /// A container that runs this script.
    fn spec(&self, script: &str) -> ContainerSpec {
        ContainerSpec {
            image: self.name.clone(),
            ..spec(&self.name, &[BUSYBOX, "sh", "-c", script])
        }
    }

    fn create(&self, spec: &ContainerSpec) -> Box<dyn Container> {
        self.docker.create(spec).unwrap()
    }

    /// What a container with an empty stdin prints, and how it ends.
    fn output(&self, spec: &ContainerSpec) -> (String, Ending) {
        let mut container = self.create(spec);
        let mut pipes = container.start().unwrap();
        drop(pipes.stdin);
        let mut text = String::new();
        pipes.stdout.read_to_string(&mut text).unwrap();
        (text, container.wait(LONG))
    }

    /// Whether a container of ours is left.
    fn is_left(&self) -> bool {
        let found = self.docker.inspect().unwrap();
        found.iter().any(|found| found.name == self.name)
    }

    fn bind(&self, name: impl AsRef<Path>) -> Bind {
        Bind {
            source: self.folder.path().join(name),
            target: "/work".into(),
        }
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.docker.remove(&self.name);
        let _ = self.docker.call(["image", "rm", &self.name]).run();
    }
}

/// Each check against docker and against podman.
macro_rules! checks {
    ($($name:ident),* $(,)?) => {
        mod docker {
            $(#[test]
            fn $name() {
                if let Some(real) = super::Real::new(super::Docker::new("docker")) {
                    super::$name(&real);
                }
            })*
        }
        mod podman {
            $(#[test]
            fn $name() {
                if let Some(real) = super::Real::new(super::Docker::podman("podman")) {
                    super::$name(&real);
                }
            })*
        }
    };
}

checks! {
    the_hardening_holds,
    stdio_goes_both_ways_and_its_end_ends_the_container,
    endings_are_told_apart,
    a_kill_is_ours_or_somebody_elses,
    a_kill_at_any_time_leaves_nothing,
    a_launcher_that_is_killed_leaves_no_container,
    any_path_can_be_bound_or_is_refused,
    what_is_mounted_below_a_bind_is_visible_and_read_only,
    the_hosts_programs_run_in_an_empty_image,
    a_real_engine_is_healthy_and_here,
}

/// Waits for the word that says that the script runs.
fn read_line(from: &mut dyn Read) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while from.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}

fn the_hardening_holds(real: &Real) {
    let mut spec = real.spec(
        "B=/bin/busybox; $B id -u; $B id -g; $B grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status
         $B grep -c : /proc/net/dev; $B cat /proc/sys/net/ipv4/tcp_max_tw_buckets; ulimit -n; ulimit -c
         echo \"$A\"; $B pwd; $B hostname; $B grep -c docker-test /proc/self/cgroup
         (: >/x) && echo WRITTEN; (: >/tmp/x) && echo ok; $B df -m /tmp | $B tail -1 | $B awk '{print $2}'",
    );
    spec.environment = vec![("A".into(), "a\nb".into())];
    spec.directory = "/tmp".into();
    spec.tmpfs = vec![Tmpfs {
        target: "/tmp".into(),
        size_bytes: 32 << 20,
        inodes: 1000,
        exec: false,
    }];
    let (text, ending) = real.output(&spec);
    assert!(matches!(ending, Ending::Exited(0)), "{ending:?}");
    let lines: Vec<&str> = text.lines().collect();
    let none = "0000000000000000";
    let expected = format!(
        "1001 1001 CapInh:\t{none} CapPrm:\t{none} CapEff:\t{none} CapBnd:\t{none} CapAmb:\t{none} \
         NoNewPrivs:\t1 Seccomp:\t2 1 0 100 0 a b /tmp docker-test 0 ok 32"
    );
    assert_eq!(lines.join(" "), expected);
}

fn stdio_goes_both_ways_and_its_end_ends_the_container(real: &Real) {
    let mut container = real.create(&real.spec("/bin/busybox cat"));
    let mut pipes = container.start().unwrap();
    pipes.stdin.write_all(b"hello\n").unwrap();
    assert_eq!(read_line(&mut pipes.stdout), "hello");
    let found = real.docker.inspect().unwrap();
    let found = found.iter().find(|found| found.name == real.name).unwrap();
    assert_eq!(found.owner, Some(spec("x", &[]).owner));
    drop(pipes.stdin);
    assert!(matches!(container.wait(LONG), Ending::Exited(0)));
    assert!(!real.is_left());
}

fn endings_are_told_apart(real: &Real) {
    let (_, ending) = real.output(&real.spec("exit 3"));
    assert!(matches!(ending, Ending::Exited(3)), "{ending:?}");
    let (_, ending) = real.output(&real.spec("exit 125"));
    assert!(matches!(ending, Ending::Exited(125)), "{ending:?}");
    let mut spec = real.spec("exec /bin/busybox tail /dev/zero");
    spec.memory_bytes = 16 << 20;
    // On a busy machine docker 20.10 loses the kernel's word now and then.
    let oom = (0..10).any(|number| {
        spec.name = format!("{}-oom-{number}", real.name);
        let (_, ending) = real.output(&spec);
        assert!(
            matches!(ending, Ending::Oom | Ending::Exited(137)),
            "{ending:?}"
        );
        matches!(ending, Ending::Oom)
    });
    // Podman does not tell it from a kill.
    assert_eq!(oom, real.docker.flavour() == Flavour::Docker);
    spec.name.push_str("-2");
    spec.argv = vec!["/nonexistent".into()];
    match real.output(&spec).1 {
        Ending::NeverStarted(EngineError::Failed { stderr, .. }) => {
            assert!(stderr.contains("/nonexistent"), "{stderr}");
        }
        other => panic!("{other:?}"),
    }
    spec.name.push_str("-3");
    spec.image = "docker-test/no-such-image:1".into();
    match real.output(&spec).1 {
        Ending::NeverStarted(EngineError::Unavailable { hint, .. }) => {
            assert!(hint.contains("docker-test build"), "{hint}");
        }
        other => panic!("{other:?}"),
    }
    assert!(!real.is_left());
}

fn a_kill_is_ours_or_somebody_elses(real: &Real) {
    for (command, ours) in [
        ("kill", false),
        ("rm -f", false),
        ("pause", true),
        ("", true),
    ] {
        let mut container = real.create(&real.spec("echo up; /bin/busybox sleep 1000"));
        let mut pipes = container.start().unwrap();
        assert_eq!(read_line(&mut pipes.stdout), "up");
        if !command.is_empty() {
            let words = command.split(' ').chain([real.name.as_str()]);
            real.docker.call(words).run().unwrap();
        }
        let ending = if ours {
            container.kill().unwrap();
            container.wait(LONG)
        } else {
            container.wait(LONG)
        };
        // Podman does not record who removed it.
        let unknown = command == "rm -f" && real.docker.flavour() == Flavour::Podman;
        let right = match ending {
            Ending::Exited(137) => ours || unknown,
            Ending::Removed => !ours,
            _ => false,
        };
        assert!(right, "{command}: {ending:?}");
        assert!(!real.is_left());
    }
}

fn a_kill_at_any_time_leaves_nothing(real: &Real) {
    for delay_ms in [0, 20, 60, 120, 200] {
        let mut container = real.create(&real.spec("/bin/busybox sleep 1000"));
        let pipes = container.start().unwrap();
        // How far docker is by then differs; every point must do.
        let ending = container.wait(Duration::from_millis(delay_ms));
        assert!(matches!(ending, Ending::Exited(137)), "{ending:?}");
        drop(pipes);
        assert!(!real.is_left());
    }
}

fn a_launcher_that_is_killed_leaves_no_container(real: &Real) {
    let argv = real
        .docker
        .command_line(&real.spec("echo up; /bin/busybox cat"))
        .unwrap()
        .unwrap();
    // The stand-in launcher is who holds the other end of the worker's stdin.
    let mut launcher = Command::new("sleep")
        .arg("1000")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut docker = Command::new(&argv[0])
        .args(&argv[1..])
        .stdin(launcher.stdout.take().unwrap())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    assert_eq!(read_line(docker.stdout.as_mut().unwrap()), "up");
    assert!(real.is_left());
    launcher.kill().unwrap();
    launcher.wait().unwrap();
    assert!(docker.wait().unwrap().success());
    let deadline = Instant::now() + LONG;
    while real.is_left() {
        assert!(Instant::now() < deadline, "the container lives on");
    }
}

fn any_path_can_be_bound_or_is_refused(real: &Real) {
    for name in [
        "a b",
        "a:b",
        "a,readonly=false",
        "a\"b",
        "a\nb",
        "-v",
        "--privileged",
        "$(id)",
        "é",
        " a ",
        "a\rb",
        "a\\b",
        "'",
        "a=b",
    ] {
        let folder = real.folder.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("f"), name).unwrap();
        let mut spec = real.spec("/bin/busybox cat /work/f; : >/work/x");
        spec.binds = vec![real.bind(name)];
        std::fs::set_permissions(
            real.folder.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .unwrap();
        let (text, ending) = real.output(&spec);
        assert_eq!(text, name, "{ending:?}");
        assert!(matches!(ending, Ending::Exited(1)), "{ending:?}");
    }
    let mut spec = real.spec("exit 0");
    spec.binds = vec![real.bind(std::ffi::OsStr::from_bytes(b"a\xff"))];
    let error = real.docker.create(&spec).err().unwrap().to_string();
    assert!(
        error.contains("a\\xff") && error.contains("not UTF-8"),
        "{error}"
    );
}

fn what_is_mounted_below_a_bind_is_visible_and_read_only(real: &Real) {
    use nix::mount::{MntFlags, MsFlags, mount, umount2};
    let below = real.folder.path().join("project/be low");
    std::fs::create_dir_all(&below).unwrap();
    let none: Option<&str> = None;
    if mount(Some("none"), &below, Some("tmpfs"), MsFlags::empty(), none).is_err() {
        assert!(std::env::var_os("CI").is_none(), "mounting needs root");
        eprintln!("SKIPPED, NOT TESTED: mounting needs root");
        return;
    }
    std::fs::write(below.join("f"), "seen").unwrap();
    std::fs::set_permissions(
        real.folder.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let mut spec = real.spec("/bin/busybox cat '/work/be low/f'; : >'/work/be low/x'");
    spec.binds = vec![real.bind("project")];
    let (text, ending) = real.output(&spec);
    umount2(&below, MntFlags::MNT_DETACH).unwrap();
    assert_eq!(text, "seen");
    assert!(matches!(ending, Ending::Exited(1)), "{ending:?}");
}

fn the_hosts_programs_run_in_an_empty_image(real: &Real) {
    let reference = format!("{}-host", real.name);
    crate::engine::host_image::make(&real.docker, &reference).unwrap();
    let mut spec = real.spec("");
    spec.image = reference.clone();
    spec.argv = [
        "sh",
        "-c",
        "id; echo $(cat /etc/hostname); (: >/x) && echo WRITTEN; ls -d /work /etc/passwd && exec ls --version",
    ]
    .map(Into::into)
    .to_vec();
    spec.environment = vec![("PATH".into(), "/usr/bin:/bin".into())];
    spec.hardening.seccomp = SeccompProfile::Full;
    spec.binds = host_binds();
    let (text, ending) = real.output(&spec);
    let labels = real
        .docker
        .call([
            "image",
            "inspect",
            "--format",
            "{{json .Config.Labels}}",
            &reference,
        ])
        .run();
    real.docker.call(["image", "rm", &reference]).run().unwrap();
    assert!(matches!(ending, Ending::Exited(0)), "{ending:?}: {text}");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[0],
        "uid=1001(testuser) gid=1001(testuser) groups=1001(testuser)"
    );
    assert_eq!(lines[1], "docker-test");
    assert!(
        text.contains("/work") && text.contains("coreutils"),
        "{text}"
    );
    let labels = String::from_utf8(labels.unwrap()).unwrap();
    assert!(
        labels.contains("\"dev.docker-test.image\":\"host\""),
        "{labels}"
    );
}

fn a_real_engine_is_healthy_and_here(real: &Real) {
    let health = real.docker.health().unwrap();
    assert!(health.version.starts_with(|c: char| c.is_ascii_digit()));
    assert!(health.cpus.unwrap() > 0 && health.memory_bytes.unwrap() > 0);
    let image = real.docker.image(&real.name).unwrap().unwrap();
    assert!(image.size_bytes > 100_000);
    assert_eq!(
        real.docker.image("docker-test/no-such-image").unwrap(),
        None
    );
    assert!(real.docker.images().is_ok() && real.docker.is_local().is_ok());
    real.docker.remove("docker-test-no-such-container").unwrap();
    let owner = Owner::from_labels(&std::collections::BTreeMap::new());
    assert_eq!(owner, None);
}
