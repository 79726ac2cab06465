//! What goes wrong around the tests: interrupts, a launcher that is killed, workers that somebody
//! removes, kills or pauses, odd project folders. In the real engine; nothing is ever left behind.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::harness::{PROGRAM, Project, Said, containers_of, engine, finish, wait_until};

/// How long something may take that the engine does, on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// A command line that no other process has, which sleeps a little longer than `seconds`: so it is
/// found in the machine's own list of processes, in whatever container it runs.
fn sleep_of(seconds: u32) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("sleep {seconds}.000{}{number:03}", std::process::id())
}

/// The machine's process that has this command line, if there is one.
fn process(command: &str) -> Option<Pid> {
    let wanted: Vec<u8> = command
        .bytes()
        .map(|byte| if byte == b' ' { 0 } else { byte })
        .chain([0])
        .collect();
    processes().find(|pid| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|c| c == wanted))
}

fn processes() -> impl Iterator<Item = Pid> {
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            Some(Pid::from_raw(number))
        })
}

fn wait_for(command: &str) -> Pid {
    let mut found = None;
    wait_until(command, SOON, || {
        found = process(command);
        found.is_some()
    });
    found.unwrap()
}

/// What docker prints.
fn docker<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> String {
    let output = Command::new("docker").args(arguments).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The names of the containers that this launcher has made.
fn containers_by(launcher: u32) -> Vec<String> {
    let filter = format!("label=dev.docker-test.pid={launcher}");
    let format = "{{.Names}}";
    let names = docker(["ps", "-a", "--filter", &filter, "--format", format]);
    names.lines().map(str::to_owned).collect()
}

/// The container that the process of this command line runs in.
fn container_with(command: &str, launcher: &Child) -> String {
    let there = |name: &&String| {
        // One that is ending just now has none.
        let top = Command::new("docker")
            .args(["top", name, "-eo", "pid,args"])
            .output()
            .unwrap();
        String::from_utf8_lossy(&top.stdout).contains(command)
    };
    let names = containers_by(launcher.id());
    names.iter().find(there).unwrap().clone()
}

/// The engine's command lines that this launcher has started.
fn clients_of(launcher: u32) -> Vec<Pid> {
    let label = format!("--label=dev.docker-test.pid={launcher}\0");
    let is_one = |pid: &Pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&label)
    };
    processes().filter(is_one).collect()
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id() as i32), signal).unwrap();
}

const RUN: [&str; 3] = ["run", "--image", "host"];

/// Two tests, the first of which sleeps: the second is never started.
fn interruptible(sleep: &str, trap: &str) -> Project {
    Project::new()
        .config("workers: 1")
        .test("1", &format!("trap '{trap}' TERM\n{sleep} & wait\nwait"))
        .test("2", "exit 0")
}

fn is_interrupted(project: &Project, said: &Said, status: i32) {
    assert_eq!(said.status, status, "{}{}", said.stdout, said.stderr);
    let not_run = "not-run interrupted".to_owned();
    let expected = [
        ("test/1_test.sh".to_owned(), not_run.clone()),
        ("test/2_test.sh".to_owned(), not_run),
    ];
    assert_eq!(project.verdicts(), expected);
    let run = project.rows("select exit_status, interrupted from runs");
    assert_eq!(run, [[status.to_string(), (status - 128).to_string()]]);
    assert_eq!(containers_of(project), Vec::<String>::new());
}

fn output_of_the_first(project: &Project) -> String {
    project.query(
        "select head from outputs join tests using (test)
         where id = 'test/1_test.sh' and stream = 'stdout'",
    )
}

#[test]
fn a_signal_ends_the_run_with_grace() {
    if !engine() {
        return;
    }
    for (number, status) in [
        (Signal::SIGINT, 130),
        (Signal::SIGTERM, 143),
        (Signal::SIGHUP, 129),
    ] {
        let sleep = sleep_of(60);
        let project = interruptible(&sleep, "echo bye; exit 0");
        let launcher = project.start(RUN);
        wait_for(&sleep);
        signal(&launcher, number);
        is_interrupted(&project, &finish(launcher), status);
        assert_eq!(output_of_the_first(&project), "bye\n");
        let rows = project.rows(
            "select termination, stopped, escalated from attempts where termination is not null",
        );
        assert_eq!(rows, [["exit(0)", "interrupt", "0"]]);
    }
}

/// As a terminal sends it: every process of the group gets it, and the engine's command line must
/// not take it as meant for itself.
#[test]
fn an_interrupt_of_the_whole_group_is_the_launchers_alone() {
    if !engine() {
        return;
    }
    let sleep = sleep_of(60);
    let project = interruptible(&sleep, "echo bye; exit 0");
    let launcher = project.command(RUN).process_group(0).spawn().unwrap();
    wait_for(&sleep);
    killpg(Pid::from_raw(launcher.id() as i32), Signal::SIGINT).unwrap();
    is_interrupted(&project, &finish(launcher), 130);
    assert_eq!(output_of_the_first(&project), "bye\n");
}

#[test]
fn a_second_interrupt_kills() {
    if !engine() {
        return;
    }
    let sleep = sleep_of(60);
    let project = interruptible(&sleep, "echo never");
    let launcher = project.start(RUN);
    wait_for(&sleep);
    signal(&launcher, Signal::SIGINT);
    // The first one has arrived when the test has got its TERM, which ends its child.
    wait_until("TERM in the test", SOON, || process(&sleep).is_none());
    signal(&launcher, Signal::SIGINT);
    is_interrupted(&project, &finish(launcher), 130);
    // It was not the end of the grace that killed it.
    assert_eq!(project.query("select sum(escalated) from attempts"), "0");
}

/// Also while the first container is being made.
#[test]
fn an_early_interrupt_leaves_nothing() {
    if !engine() {
        return;
    }
    for after in [0, 60, 200] {
        let project = interruptible(&sleep_of(60), "exit 0");
        let launcher = project.start(RUN);
        // Its handlers are there when its record is.
        let record = project.path().join("test-results/docker-test.db");
        wait_until("the record", SOON, || record.exists());
        wait_until("its signal handlers", SOON, || {
            let status = fs::read_to_string(format!("/proc/{}/status", launcher.id())).unwrap();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
            u64::from_str_radix(caught.unwrap().trim(), 16).unwrap() & 0b10 != 0
        });
        std::thread::sleep(Duration::from_millis(after));
        let id = launcher.id();
        signal(&launcher, Signal::SIGINT);
        is_interrupted(&project, &finish(launcher), 130);
        assert_eq!(containers_by(id), Vec::<String>::new());
    }
}

#[test]
fn a_killed_launcher_leaves_nothing() {
    if !engine() {
        return;
    }
    // At different moments of a start, and in the midst of a test.
    for after in [Some(30), Some(120), Some(250), Some(400), None] {
        let sleep = sleep_of(60);
        let project = interruptible(&sleep, "");
        let mut launcher = project.start(RUN);
        match after {
            Some(after) => std::thread::sleep(Duration::from_millis(after)),
            None => drop(wait_for(&sleep)),
        }
        launcher.kill().unwrap();
        launcher.wait().unwrap();
        let id = launcher.id();
        // What is being made when the launcher dies must be made before it can go.
        let patience = match after {
            Some(_) => Duration::from_secs(10),
            None => Duration::from_secs(2),
        };
        wait_until(
            &format!("an end of everything, {after:?} ms"),
            patience,
            || clients_of(id).is_empty() && containers_by(id).is_empty(),
        );
        assert_eq!(process(&sleep), None);
    }
}

/// Each attempt's outcome, by test, with whether another one followed.
fn attempts(project: &Project) -> Vec<Vec<String>> {
    project.rows(
        "select id, attempt, outcome, coalesce(reason, ''), superseded
         from attempts join tests using (test) order by id, attempt",
    )
}

#[test]
fn a_test_whose_container_was_taken_away_is_run_again() {
    if !engine() {
        return;
    }
    let [removed, killed] = [60, 60].map(sleep_of);
    // The second attempt finds a file that the first one did not.
    let once = |sleep: &str| format!("echo here; [ -e again ] || {sleep}");
    let project = Project::new()
        .config("workers: 2")
        .test("killed", &once(&killed))
        .test("removed", &once(&removed));
    let launcher = project.start(RUN);
    wait_for(&removed);
    wait_for(&killed);
    fs::write(project.path().join("again"), "").unwrap();
    docker(["rm", "-f", &container_with(&removed, &launcher)]);
    docker(["kill", &container_with(&killed, &launcher)]);
    let said = finish(launcher);
    let expected = [
        ["test/killed_test.sh", "1", "lost", "engine", "1"],
        ["test/killed_test.sh", "2", "pass", "", "0"],
        ["test/removed_test.sh", "1", "lost", "engine", "1"],
        ["test/removed_test.sh", "2", "pass", "", "0"],
    ];
    assert_eq!(attempts(&project), expected, "{}", said.stderr);
    assert_eq!(said.status, 0, "{}", said.stderr);
    let lost = said.stderr.matches("was lost").count();
    assert_eq!(lost, 2, "{}", said.stderr);
    let workers = project.rows("select count(*), count(problem) from workers");
    assert_eq!(workers, [["4", "2"]], "{}", said.stderr);
    assert_eq!(containers_of(&project), Vec::<String>::new());
}

/// The supervisor dies while the test runs, and again when that runs alone: then it is the test's.
#[test]
fn a_test_that_loses_two_workers_is_blamed() {
    if !engine() {
        return;
    }
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: only root can kill another user's process");
        return;
    }
    let sleep = sleep_of(60);
    let project = Project::new()
        .config("workers: 1")
        .test("a", &format!("exec {sleep}"))
        .test("b", "exit 0");
    let launcher = project.start(RUN);
    for _ in 0..2 {
        wait_for(&sleep);
        let name = container_with(&sleep, &launcher);
        let supervisor = docker(["inspect", "-f", "{{.State.Pid}}", &name]);
        kill(Pid::from_raw(supervisor.parse().unwrap()), Signal::SIGKILL).unwrap();
        wait_until("the end of a worker", SOON, || {
            !containers_by(launcher.id()).contains(&name)
        });
    }
    let said = finish(launcher);
    let expected = [
        ["test/a_test.sh", "1", "lost", "worker", "1"],
        ["test/a_test.sh", "2", "crash", "worker", "0"],
        ["test/b_test.sh", "1", "pass", "", "0"],
    ];
    assert_eq!(attempts(&project), expected, "{}", said.stderr);
    assert_eq!(said.status, 1, "{}", said.stderr);
    assert_eq!(containers_of(&project), Vec::<String>::new());
}

#[test]
fn a_paused_worker_is_replaced() {
    if !engine() {
        return;
    }
    let sleep = sleep_of(60);
    let project = Project::new().test("a", &format!("[ -e again ] || exec {sleep}"));
    let mut arguments = RUN.to_vec();
    arguments.extend(["--timeout", "4s"]);
    let launcher = project.start(arguments);
    wait_for(&sleep);
    fs::write(project.path().join("again"), "").unwrap();
    docker(["pause", &container_with(&sleep, &launcher)]);
    let said = finish(launcher);
    let expected = [
        ["test/a_test.sh", "1", "lost", "worker", "1"],
        ["test/a_test.sh", "2", "pass", "", "0"],
    ];
    assert_eq!(attempts(&project), expected, "{}", said.stderr);
    assert!(said.stderr.contains("does not answer"), "{}", said.stderr);
    assert_eq!(said.status, 0);
    assert_eq!(containers_of(&project), Vec::<String>::new());
}

/// Who stops the launcher for longer than a worker may be silent, as Ctrl-Z does, blames nobody.
#[test]
fn a_launcher_that_was_stopped_goes_on() {
    if !engine() {
        return;
    }
    let sleep = sleep_of(2);
    let project = Project::new()
        .config("workers: 1")
        .test("a", &sleep)
        .test("b", "exit 0");
    let mut arguments = RUN.to_vec();
    arguments.extend(["--timeout", "4s"]);
    let launcher = project.start(arguments);
    wait_for(&sleep);
    signal(&launcher, Signal::SIGSTOP);
    // So that nothing can have come in when it goes on and looks at the clock.
    let clients = clients_of(launcher.id());
    assert!(!clients.is_empty());
    let to_clients = |signal| clients.iter().for_each(|pid| kill(*pid, signal).unwrap());
    to_clients(Signal::SIGSTOP);
    // The limit, the grace and the longest silence, and then some.
    std::thread::sleep(Duration::from_secs(4 + 2 + 15 + 1));
    signal(&launcher, Signal::SIGCONT);
    std::thread::sleep(Duration::from_millis(500));
    to_clients(Signal::SIGCONT);
    let said = finish(launcher);
    let rows = project.rows("select outcome, attempt, worker from attempts");
    assert_eq!(rows, [["pass", "1", "1"]; 2], "{}", said.stderr);
    assert_eq!(said.status, 0, "{}", said.stderr);
}

#[test]
fn a_missing_image_is_one_clear_error() {
    if !engine() {
        return;
    }
    let project = Project::new().test("a", "exit 0");
    let said = project.run(["run", "--image", "docker-test.invalid/nosuch:1"]);
    assert_eq!(said.status, 3, "{}", said.stderr);
    assert!(said.stderr.contains("nosuch"), "{}", said.stderr);
    let errors = said.stderr.matches("error: ").count();
    assert_eq!(errors, 1, "{}", said.stderr);
}

#[test]
fn two_runs_at_once_do_not_meet() {
    if !engine() {
        return;
    }
    let mut project = Project::new().config("workers: 2");
    for name in ["a", "b", "c", "d"] {
        project = project.test(name, "sleep 0.2; echo $DOCKER_TEST_ID");
    }
    let launchers = [project.start(RUN), project.start(RUN)];
    for launcher in launchers {
        let said = finish(launcher);
        assert_eq!(said.status, 0, "{}{}", said.stdout, said.stderr);
    }
    let rows = project.rows(
        "select exit_status, (select count(*) from attempts where run = runs.run and outcome = 'pass'),
                (select count(*) from outputs where run = runs.run and length(head) > 0) from runs",
    );
    assert_eq!(rows, [["0", "4", "4"], ["0", "4", "4"]]);
    assert_eq!(containers_of(&project), Vec::<String>::new());
}

/// A project in a folder of this name, with one test that passes where it is the right one.
fn named(name: &OsStr) -> (Project, PathBuf) {
    let project = Project::new();
    let folder = project.path().join(name);
    fs::create_dir_all(folder.join("test")).unwrap();
    fs::write(folder.join("docker-test.yaml"), "workers: 1\n").unwrap();
    fs::write(folder.join("mark"), name.as_bytes()).unwrap();
    fs::write(
        folder.join("test/-a b,c:d\"e'f\ng_test.sh"),
        "cat mark; [ -e \"$0\" ]",
    )
    .unwrap();
    (project, folder)
}

#[test]
fn odd_names_work() {
    if !engine() {
        return;
    }
    let name = OsStr::new("-v a,b:c\"d'e\nf$(id)\\ü*");
    let (project, folder) = named(name);
    let said = finish(project.command(RUN).current_dir(&folder).spawn().unwrap());
    assert_eq!(said.status, 0, "{}{}", said.stdout, said.stderr);
    let database = folder.join("test-results/docker-test.db");
    let connection = rusqlite::Connection::open(database).unwrap();
    let (id, head): (String, Vec<u8>) = connection
        .query_row(
            "select id, head from outputs join tests using (test) where stream = 'stdout'",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert_eq!(id, "test/-a b,c:d\"e'f\ng_test.sh");
    assert_eq!(head, name.as_bytes());
}

/// Docker takes text: a name that is none would silently become another.
#[test]
fn a_name_that_is_not_text_is_refused_clearly() {
    if !engine() {
        return;
    }
    let (project, folder) = named(OsStr::from_bytes(b"a\xff"));
    let said = finish(project.command(RUN).current_dir(&folder).spawn().unwrap());
    assert_eq!(said.status, 3, "{}", said.stderr);
    assert!(said.stderr.contains("not UTF-8"), "{}", said.stderr);
    assert!(said.stderr.contains("a\\xff"), "{}", said.stderr);
}

/// A mount that ends with the test.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_mount_below_the_project_is_read_only_inside() {
    if !engine() {
        return;
    }
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: only root can mount");
        return;
    }
    let project = Project::new()
        .test(
            "a",
            "cat sub/there; if echo x >sub/new || echo x >sub/there || rm -f sub/there; then exit 1; fi; exit 0",
        );
    let sub = project.path().join("sub");
    fs::create_dir(&sub).unwrap();
    let status = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "mode=1777", "none"])
        .arg(&sub)
        .status()
        .unwrap();
    assert!(status.success());
    let _mounted = Mounted(sub.clone());
    fs::write(sub.join("there"), "content\n").unwrap();
    fs::set_permissions(sub.join("there"), fs::Permissions::from_mode(0o666)).unwrap();
    let said = project.run(RUN);
    assert_eq!(said.status, 0, "{}{}", said.stdout, said.stderr);
    assert_eq!(fs::read(sub.join("there")).unwrap(), b"content\n");
    assert_eq!(fs::read_dir(&sub).unwrap().count(), 1);
    let head = project.query("select head from outputs where stream = 'stdout'");
    assert_eq!(head, "content\n");
}

/// A container that is removed with the test.
struct Made(String);

impl Drop for Made {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rm", "-f", &self.0]).output();
    }
}

impl Made {
    /// A running container with these labels.
    fn new(labels: &[(&str, &str)]) -> Self {
        let mut arguments: Vec<OsString> =
            ["run", "-d", "-i", "--network=none", "--log-driver=none"]
                .map(OsString::from)
                .to_vec();
        for (name, value) in labels {
            arguments.push(format!("--label={name}={value}").into());
        }
        arguments.push(format!("--volume={PROGRAM}:/docker-test:ro").into());
        arguments.push("--tmpfs=/tmp".into());
        arguments
            .extend([host_image(), "/docker-test".into(), "worker".into()].map(OsString::from));
        Made(docker(arguments))
    }

    fn is_there(&self) -> bool {
        let output = Command::new("docker")
            .args(["inspect", &self.0])
            .output()
            .unwrap();
        output.status.success()
    }
}

/// The empty image, which the program makes where it is missing.
fn host_image() -> String {
    let said = Project::new().run(["shell", "--image", "host", "--", "true"]);
    assert_eq!(said.status, 0, "{}", said.stderr);
    format!("docker-test/host:{}", env!("CARGO_PKG_VERSION"))
}

#[test]
fn clean_removes_what_is_of_a_dead_run_and_nothing_else() {
    if !engine() {
        return;
    }
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let start = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(19);
    let own = std::process::id().to_string();
    let owner = |boot: &str, pid: &str, start: &str| {
        Made::new(&[
            ("dev.docker-test.run", "0123456789abcdef"),
            ("dev.docker-test.boot", boot),
            ("dev.docker-test.pid", pid),
            ("dev.docker-test.pid-start", start),
        ])
    };
    let (boot, start) = (boot.trim(), start.unwrap());
    let living = owner(boot, &own, start);
    let reused = owner(boot, &own, "1");
    let dead = owner(boot, "4194303", start);
    let earlier = owner("00000000-0000-0000-0000-000000000000", &own, start);
    let foreign = Made::new(&[("com.example.run", "1")]);
    let said = Project::new().run(["clean"]);
    assert_eq!(said.status, 0, "{}", said.stderr);
    for (container, stays) in [
        (&living, true),
        (&foreign, true),
        (&reused, false),
        (&dead, false),
        (&earlier, false),
    ] {
        assert_eq!(container.is_there(), stays, "{}", said.stdout);
    }
    assert!(said.stdout.contains("is alive"), "{}", said.stdout);
}

/// Prints every limit that there is, of cgroup version 1 or 2, and what else a test gets.
const LIMITS: &str = r#"
for file in memory.max memory.swap.max cpu.max pids.max memory/memory.limit_in_bytes \
    memory/memory.memsw.limit_in_bytes cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us pids/pids.max; do
    [ ! -e /sys/fs/cgroup/$file ] || echo "$file $(cat /sys/fs/cgroup/$file)"
done
ulimit -n; ulimit -c; id -u; pwd
grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status
grep -E ' / | /work | /tmp | /home | /dev/shm ' /proc/self/mounts | cut -d' ' -f2-4 | sort
echo "$HOME $TMPDIR $PATH"
"#;

#[test]
fn a_shell_has_the_limits_of_a_test() {
    if !engine() {
        return;
    }
    let project = Project::new().test("a", LIMITS);
    let said = project.run(RUN);
    assert_eq!(said.status, 0, "{}{}", said.stdout, said.stderr);
    let of_the_test = project.query("select head from outputs where stream = 'stdout'");
    assert!(of_the_test.contains("536870912"), "{of_the_test}");
    let shell = project.run(["shell", "--image", "host", "--", "sh", "-c", LIMITS]);
    assert_eq!(shell.status, 0, "{}", shell.stderr);
    assert_eq!(shell.stdout, of_the_test);
    let status = project.run(["shell", "--image", "host", "--", "sh", "-c", "exit 7"]);
    assert_eq!(status.status, 7);
}

#[test]
fn a_suites_own_listing_runs_in_a_worker() {
    if !engine() {
        return;
    }
    // Process 1 has another name outside.
    let project = Project::new()
        .config(
            "suite:\n  list: [sh, -c, 'echo test/a_test.sh::$(cat /proc/1/comm)-$(id -u)']\n  command: [sh, -c, 'echo {name}']\n",
        )
        .test("a", "exit 0");
    let said = project.run(RUN);
    assert_eq!(said.status, 0, "{}{}", said.stdout, said.stderr);
    let expected = ("test/a_test.sh::docker-test-1001".into(), "pass".into());
    assert_eq!(project.verdicts(), [expected]);
}

/// `docker run IMAGE test PATH`: no launcher.
#[test]
fn tests_run_in_a_container_that_somebody_else_started() {
    if !engine() {
        return;
    }
    let project = Project::new()
        .test("good", "[ $PPID -eq 1 ] && echo x >$TMPDIR/left")
        .test("then", "[ ! -e $TMPDIR/left ]")
        .test("bad", "exit 3");
    let image = host_image();
    let run = |paths: &[&str]| {
        let mut command = Command::new("docker");
        command.args(["run", "--rm", "--network=none", "--read-only"]);
        command.args([
            "--tmpfs=/tmp",
            "--tmpfs=/home:mode=1777",
            "--user=1001:1001",
        ]);
        for path in ["/usr", "/bin", "/lib", "/lib64"] {
            if let Ok(real) = Path::new(path).canonicalize() {
                command.arg(format!("--volume={}:{path}:ro", real.display()));
            }
        }
        command.arg(format!("--volume={PROGRAM}:/docker-test:ro"));
        command.arg(format!("--volume={}:/work:ro", project.path().display()));
        command.args([
            "--workdir=/work",
            "--entrypoint=/docker-test",
            &image,
            "test",
        ]);
        let output = command.args(paths).output().unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (status, stdout, stderr) = run(&["test/good_test.sh", "test/then_test.sh"]);
    assert_eq!(status, Some(0), "{stdout}{stderr}");
    assert!(stdout.contains("2 pass"), "{stdout}");
    let (status, stdout, stderr) = run(&[]);
    assert_eq!(status, Some(1), "{stdout}{stderr}");
    assert!(stdout.contains("fail exit(3)"), "{stdout}");
}
