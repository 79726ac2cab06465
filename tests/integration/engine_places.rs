//! Odd places and other commands, on the real engines.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use crate::engines::{Engine, on_every_engine, skip};
use crate::harness::{Project, finish};

on_every_engine! {
    a_missing_image_is_one_clear_error
    two_runs_at_once_do_not_meet
    odd_names_work
    a_name_that_is_not_text_works_or_is_refused_clearly
    a_mount_below_the_project_is_read_only_inside
    a_shell_has_the_limits_of_a_test
    a_suites_own_listing_runs_in_a_worker
}

fn a_missing_image_is_one_clear_error(on: &Engine) {
    let project = on.project().test("a", "exit 0");
    let image = "docker-test.invalid/nosuch:1";
    let said = project.run(["run", "--image", image, "--engine", on.word]);
    assert_eq!(said.status, 3, "{}", said.stderr);
    assert!(said.stderr.contains("nosuch"), "{}", said.stderr);
    let errors = said.stderr.matches("error: ").count();
    assert_eq!(errors, 1, "{}", said.stderr);
}

fn two_runs_at_once_do_not_meet(on: &Engine) {
    let mut project = on.project().config("workers: 2");
    for name in ["a", "b", "c", "d"] {
        project = project.test(name, "sleep 0.2; echo $DOCKER_TEST_ID");
    }
    let launchers = [project.start(on.run([])), project.start(on.run([]))];
    for launcher in launchers {
        let said = finish(launcher);
        assert_eq!(said.status, 0, "{}{}", said.stdout, said.stderr);
    }
    let rows = project.rows(
        "select exit_status, (select count(*) from attempts where run = runs.run and outcome = 'pass'),
                (select count(*) from outputs where run = runs.run and length(head) > 0) from runs",
    );
    assert_eq!(rows, [["0", "4", "4"], ["0", "4", "4"]]);
    assert_eq!(on.left_by(&project), Vec::<String>::new());
}

/// A project in a folder of this name, with one test that passes where it is the right one.
fn named(on: &Engine, name: &OsStr) -> (Project, PathBuf) {
    let project = on.project();
    let folder = project.folder(name);
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

/// Runs it there: the test passes, and says where it is.
fn runs_in(on: &Engine, name: &OsStr) {
    let (project, folder) = named(on, name);
    let said = finish(project.spawn(project.command(on.run([])).current_dir(&folder)));
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

fn odd_names_work(on: &Engine) {
    runs_in(on, OsStr::new("-v a,b:c\"d'e\nf$(id)\\ü*"));
}

/// An engine that is another program takes text: a name that is none would silently become another.
fn a_name_that_is_not_text_works_or_is_refused_clearly(on: &Engine) {
    let name = OsStr::from_bytes(b"a\xff");
    if !on.is_a_program() {
        return runs_in(on, name);
    }
    let (project, folder) = named(on, name);
    let said = finish(project.spawn(project.command(on.run([])).current_dir(&folder)));
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

fn a_mount_below_the_project_is_read_only_inside(on: &Engine) {
    if !nix::unistd::geteuid().is_root() {
        return skip("only root can mount");
    }
    let project = on.project()
        .test(
            "a",
            "cat sub/there; if echo x >sub/new || echo x >sub/there || rm -f sub/there; then exit 1; fi; exit 0",
        );
    let sub = project.folder("sub");
    let status = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "mode=1777", "none"])
        .arg(&sub)
        .status()
        .unwrap();
    assert!(status.success());
    let _mounted = Mounted(sub.clone());
    fs::write(sub.join("there"), "content\n").unwrap();
    fs::set_permissions(sub.join("there"), fs::Permissions::from_mode(0o666)).unwrap();
    let said = project.run(on.run([]));
    assert_eq!(said.status, 0, "{}{}", said.stdout, said.stderr);
    assert_eq!(fs::read(sub.join("there")).unwrap(), b"content\n");
    assert_eq!(fs::read_dir(&sub).unwrap().count(), 1);
    let head = project.query("select head from outputs where stream = 'stdout'");
    assert_eq!(head, "content\n");
}

/// Prints every limit that there is, of cgroup version 1 or 2, and what else a test gets.
const LIMITS: &str = r#"
for file in memory.max memory.swap.max cpu.max pids.max memory/memory.limit_in_bytes \
    memory/memory.memsw.limit_in_bytes cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us pids/pids.max; do
    [ ! -e /sys/fs/cgroup/$file ] || echo "$file $(cat /sys/fs/cgroup/$file)"
done
ulimit -n; ulimit -c; id -u; pwd; grep 'Max data size' /proc/self/limits
grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status
grep -E ' / | /work | /tmp | /home | /dev/shm ' /proc/self/mounts | cut -d' ' -f2-4 | sed 's/,lowerdir=.*//' | sort
echo "$HOME $TMPDIR $PATH"
"#;

fn a_shell_has_the_limits_of_a_test(on: &Engine) {
    let project = on.project().test("a", LIMITS);
    let said = project.run(on.run([]));
    assert_eq!(said.status, 0, "{}{}", said.stdout, said.stderr);
    let of_the_test = project.query("select head from outputs where stream = 'stdout'");
    // Of the whole, or of each process.
    assert!(of_the_test.contains("536870912"), "{of_the_test}");
    let shell = project.run(on.words("shell", ["--", "sh", "-c", LIMITS]));
    assert_eq!(shell.status, 0, "{}", shell.stderr);
    assert_eq!(shell.stdout, of_the_test);
    let status = project.run(on.words("shell", ["--", "sh", "-c", "exit 7"]));
    assert_eq!(status.status, 7);
}

fn a_suites_own_listing_runs_in_a_worker(on: &Engine) {
    // Process 1 has another name outside.
    let project = on.project()
        .config(
            "suite:\n  list: [sh, -c, 'echo test/a_test.sh::$(cat /proc/1/comm)-$(id -u)']\n  command: [sh, -c, 'echo {name}']\n",
        )
        .test("a", "exit 0");
    let said = project.run(on.run([]));
    assert_eq!(said.status, 0, "{}{}", said.stdout, said.stderr);
    let expected = ("test/a_test.sh::docker-test-1001".into(), "pass".into());
    assert_eq!(project.verdicts(), [expected]);
}
