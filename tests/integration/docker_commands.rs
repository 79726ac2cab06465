//! `run --dry-run`, `doctor` and `clean` with a docker that only plays one.

use std::process::Command;
use std::time::Duration;

use crate::fake_engine::{calls, fake};
use crate::harness::{Project, Said, finish, wait_until};

/// A container's id, less its last digit.
const ID: &str = "df60ebb59db0c0b2fa48ef53303716e36edb0de369dd550d3365971890975d6";

/// A line of shell, read back by a real shell: its words.
fn words(line: &str) -> Vec<String> {
    let output = Command::new("bash")
        .args(["-c", &format!("printf '%s\\0' {line}")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{line}: {output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_terminator('\0').map(str::to_owned).collect()
}

#[test]
fn a_dry_run_prints_what_a_run_executes_and_starts_nothing() {
    let project = fake().test("a", "").test("b", "# @fast");
    let said = project.run(["run", "--dry-run"]);
    assert_eq!((said.stderr.as_str(), said.status), ("", 0));
    assert!(
        calls(&project)
            .iter()
            .all(|call| call.starts_with("image inspect ")),
        "{:?}",
        calls(&project)
    );
    assert!(!project.path().join("test-results").exists());
    let lines: Vec<&str> = said.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{}", said.stdout);
    assert_eq!(
        (lines[0], lines[2]),
        (
            "# profile standard, image isolation",
            "# profile fast, image isolation"
        )
    );

    // The same words as the run's own, but for what names the run, its owner and its container.
    assert_eq!(project.run(["run", "--workers", "1"]).status, 0);
    let same = |word: &String| {
        !["--name=", "--label=", "--cidfile="]
            .iter()
            .any(|own| word.starts_with(own))
    };
    for line in [lines[1], lines[3]] {
        let dry = words(line);
        let dry: Vec<String> = dry[1..].iter().filter(|word| same(word)).cloned().collect();
        let ran = calls(&project)
            .into_iter()
            .filter(|call| call.starts_with("run "));
        let mut ran = ran.map(|call| {
            call.split(' ')
                .map(str::to_owned)
                .filter(same)
                .collect::<Vec<_>>()
        });
        assert!(ran.any(|ran| ran == dry), "{dry:?}");
    }
}

/// Every word survives a shell, whatever it is made of.
#[test]
fn a_dry_run_quotes_what_a_shell_would_change() {
    let outer = fake().file("x/y", "");
    for name in [
        "a b",
        "a'b",
        "a\"b",
        "a$(id)b",
        "a`id`b",
        "a\\b",
        "a*b",
        "a,b",
        "a\nb",
        "a\u{1b}[31mb",
        "-a",
        "a;b",
        "a'\u{202e}b",
    ] {
        let folder = outer.path().join(name);
        std::fs::create_dir_all(folder.join("test")).unwrap();
        std::fs::write(folder.join("test/a_test.sh"), "").unwrap();
        let said = crate::harness::finish(
            outer
                .command(["run", "--dry-run"])
                .current_dir(&folder)
                .spawn()
                .unwrap(),
        );
        assert_eq!(said.status, 0, "{name:?}: {}", said.stderr);
        assert_eq!(said.stdout.lines().count(), 2, "{name:?}: {}", said.stdout);
        let bad = said
            .stdout
            .chars()
            .find(|c| c.is_control() && *c != '\n' || *c == '\u{202e}');
        assert_eq!(bad, None, "{name:?}");
        let source = folder.canonicalize().unwrap();
        let plain = format!("source={}", source.to_str().unwrap());
        // Docker's own list of fields is quoted as RFC 4180 has it.
        let quoted = format!("\"{}\"", plain.replace('"', "\"\""));
        let found = words(said.stdout.lines().nth(1).unwrap());
        assert!(
            found
                .iter()
                .any(|word| word.starts_with("--mount=type=bind,")
                    && [&plain, &quoted]
                        .iter()
                        .any(|field| word.contains(&format!("{field},target=/work"))
                            || word.contains(&format!("{field},\"target")))),
            "{name:?}: {found:?}"
        );
    }
}

#[test]
fn a_dry_run_on_the_host_is_the_workers_command() {
    let project = fake().test("a", "");
    let said = project.run(["run", "--dry-run", "--engine", "host"]);
    let program = crate::harness::PROGRAM;
    assert_eq!(
        said.stdout,
        format!("# profile standard, image none\n{program} worker\n")
    );
    assert!(calls(&project).is_empty());
}

const INFO: &str = r#"{"ServerVersion":"26.1.5","CgroupVersion":"2","NCPU":4,"MemTotal":8000000000,"DockerRootDir":"/var/lib/docker","SecurityOptions":["name=apparmor","name=seccomp,profile=builtin"]}"#;

fn doctor(info: &str, more: impl FnOnce(Project) -> Project) -> Said {
    more(fake().file(".fake/info", info)).run(["doctor"])
}

/// The line that begins so.
fn line<'a>(said: &'a Said, begin: &str) -> &'a str {
    let mut lines = said.stdout.lines();
    lines
        .find(|line| line.contains(begin))
        .unwrap_or_else(|| panic!("no {begin}: {said:?}"))
}

#[test]
fn a_doctor_with_nothing_to_mend() {
    let said = doctor(INFO, |project| project);
    assert_eq!(
        (said.stderr.as_str(), said.status),
        ("", 0),
        "{}",
        said.stdout
    );
    assert_eq!(
        line(&said, "engine: docker"),
        "+ ok       engine: docker 26.1.5"
    );
    let reference = concat!(
        "docker-test/isolation:",
        env!("CARGO_PKG_VERSION"),
        ", 7.3 MiB"
    );
    assert_eq!(
        line(&said, "image isolation"),
        format!("+ ok       image isolation: {reference}")
    );
    assert_eq!(
        line(&said, "config:"),
        "+ ok       config: none, so the defaults hold"
    );
    assert!(!said.stdout.contains("x problem"), "{}", said.stdout);
}

#[test]
fn a_doctor_names_each_problem_and_its_fix() {
    let old = doctor(&INFO.replace("26.1.5", "19.03.8"), |project| project);
    assert_eq!(old.status, 3);
    assert_eq!(line(&old, "19.03.8"), "x problem  engine: docker 19.03.8");
    assert!(
        old.stdout
            .contains("           fix: update docker to 20.10 or newer\n")
    );

    let bare = doctor(&INFO.replace("name=seccomp", "name=x"), |project| project);
    assert_eq!(
        line(&bare, "seccomp"),
        "x problem  engine: it has no seccomp"
    );

    let none = doctor("", |project| {
        project.env("DOCKER_TEST_DOCKER", "/nonexistent/docker")
    });
    assert_eq!(none.status, 3);
    assert!(line(&none, "x problem").contains("`/nonexistent/docker` was not found"));

    let down = doctor("", |project| {
        project.env("FAKE_AT", "all").env("FAKE_MODE", "down")
    });
    assert_eq!(down.status, 3);
    assert!(line(&down, "x problem").contains("unix:///run/fake.sock"));
    assert!(down.stdout.contains("fix: ") && down.stdout.contains("systemctl start docker"));

    for info in ["", "hello", "{}", "{\"ServerVersion\":"] {
        let garbage = doctor(info, |project| project);
        assert_eq!(garbage.status, 3, "{info}");
        assert!(line(&garbage, "x problem").contains("engine: "), "{info}");
    }

    let unbuilt = doctor(INFO, |project| {
        project.env("FAKE_AT", "image").env("FAKE_MODE", "garbage")
    });
    assert!(
        line(&unbuilt, "image isolation").starts_with("x problem"),
        "{}",
        unbuilt.stdout
    );

    let config = doctor(INFO, |project| project.config("worker: 1"));
    assert_eq!(config.status, 3);
    assert_eq!(
        line(&config, "config:"),
        "x problem  config: docker-test.yaml:1: unknown key 'worker': did you mean 'workers'?"
    );
}

/// A row of `docker ps`, as the program asks for it.
fn row(id: char, name: &str, run: &str, boot: &str, pid: &str, start: &str) -> String {
    format!("[\"{ID}{id}\",\"{name}\",\"{run}\",\"{boot}\",\"{pid}\",\"{start}\"]\n")
}

#[test]
fn clean_removes_what_is_dead_and_ours_and_nothing_else() {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let boot = boot.trim();
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let start = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .nth(19)
        .unwrap();
    let own = std::process::id().to_string();
    let ps = [
        row('1', "dead", "0000000000000001", boot, "4194303", "1"),
        row('2', "alive", "0000000000000002", boot, &own, start),
        row('3', "reused-pid", "0000000000000003", boot, &own, "1"),
        row(
            '4',
            "other-boot",
            "0000000000000004",
            "another",
            &own,
            start,
        ),
        row('5', "odd-labels", "0000000000000005", "", "x", ""),
        row('6', "no-labels", "", "", "", ""),
    ]
    .concat();
    let project = fake().file(".fake/ps", &ps);
    for id in ['1', '3', '4'] {
        std::fs::create_dir_all(project.path().join(".fake/state")).unwrap();
        std::fs::write(
            project.path().join(format!(".fake/state/{ID}{id}.pid")),
            "4194303",
        )
        .unwrap();
    }
    let said = project.run(["clean"]);
    assert_eq!((said.stderr.as_str(), said.status), ("", 0));
    assert_eq!(
        said.stdout,
        "removed container dead\n\
         kept container alive: its run 0000000000000002 is alive\n\
         removed container reused-pid\n\
         removed container other-boot\n\
         kept container odd-labels: its labels do not say whose it is\n\
         kept container no-labels: its labels do not say whose it is\n"
    );
    let removed: Vec<String> = calls(&project)
        .into_iter()
        .filter(|call| call.starts_with("rm "))
        .collect();
    assert_eq!(
        removed,
        ['1', '3', '4'].map(|id| format!("rm --force -- {ID}{id}"))
    );
}

#[test]
fn clean_removes_networks_after_the_containers_that_had_them() {
    let network = row(
        '7',
        "docker-test-r",
        "0000000000000001",
        "b",
        "4194303",
        "1",
    );
    let container = row('1', "dead", "0000000000000001", "b", "4194303", "1");
    let project = fake()
        .file(".fake/ps", container)
        .file(".fake/networks", network)
        .file(format!(".fake/state/{ID}1.pid"), "4194303");
    let said = project.run(["clean"]);
    assert_eq!(
        (said.stdout.as_str(), said.stderr.as_str(), said.status),
        (
            "removed container dead\nremoved network docker-test-r\n",
            "",
            0
        )
    );
    let removed: Vec<String> = calls(&project)
        .into_iter()
        .filter(|call| call.contains("rm "))
        .collect();
    assert_eq!(
        removed,
        [
            format!("rm --force -- {ID}1"),
            format!("network rm -- {ID}7")
        ]
    );
}

#[test]
fn clean_believes_no_row_that_it_does_not_understand() {
    for ps in [
        "garbage\n",
        "[\"--all\",\"a\",\"r\",\"b\",\"1\",\"2\"]\n",
        "[]\n",
        "[\"x\"\n",
        "\u{1b}[31m\n",
    ] {
        let project = fake().file(".fake/ps", ps);
        let said = project.run(["clean"]);
        assert_eq!((said.stdout.as_str(), said.status), ("", 3), "{ps:?}");
        assert!(
            said.stderr.contains("answered something unexpected"),
            "{ps:?}: {}",
            said.stderr
        );
        assert!(!said.stderr.contains('\u{1b}'));
        assert!(
            !calls(&project).iter().any(|call| call.starts_with("rm ")),
            "{ps:?}"
        );
    }
}

#[test]
fn clean_removes_results_only_when_asked_and_nothing_beside_them() {
    let project = fake().test("a", "");
    assert_eq!(project.run(["clean"]).stdout, "nothing to remove\n");
    project.run(["run", "--engine", "host"]);
    let project = project.file("test-results/mine.txt", "keep");
    assert_eq!(project.run(["clean"]).stdout, "nothing to remove\n");
    assert!(project.path().join("test-results/docker-test.db").exists());
    let folder = project.path().canonicalize().unwrap();
    let folder = folder.join("test-results");
    let said = project.run(["clean", "--results"]);
    assert_eq!(
        said.stdout,
        format!("removed the results in {}\n", folder.display())
    );
    assert!(!folder.join("docker-test.db").exists());
    assert!(folder.join("mine.txt").exists());
    let said = project.run(["clean", "--results"]);
    assert_eq!(said.stdout, format!("no results in {}\n", folder.display()));
}

#[test]
fn clean_removes_only_images_of_our_name() {
    let images = format!(
        "[\"sha256:{ID}1\",\"docker-test/isolation\",\"0.1.0\"]\n[\"sha256:{ID}2\",\"mine/built-on-it\",\"1\"]\n[\"sha256:{ID}3\",\"<none>\",\"<none>\"]\n"
    );
    let project = fake().file(".fake/images", images);
    let said = project.run(["clean", "--images"]);
    assert_eq!(
        said.stdout,
        format!("removed image docker-test/isolation:0.1.0\nremoved image sha256:{ID}3\n"),
        "{said:?}"
    );
}

/// Ctrl-C on a terminal reaches the launcher alone: the engine's calls have groups of their own.
#[test]
fn an_interrupted_build_does_not_go_on_without_its_launcher() {
    let project = Project::new().fake_docker(
        "case $1 in
           pull) echo $$ >\"${0%/*}/pid.new\"; mv \"${0%/*}/pid.new\" \"${0%/*}/pid\"; exec sleep 1000 ;;
           *) echo 'Error: No such image' >&2; exit 1 ;;
         esac",
    );
    let launcher = project.start(["build", "isolation"]);
    let file = project.path().join(".fake/pid");
    wait_until("the pull", Duration::from_secs(60), || file.exists());
    let pid = std::fs::read_to_string(file).unwrap();
    let pull = format!("/proc/{}/stat", pid.trim());
    assert!(std::path::Path::new(&pull).exists());
    let signalled = Command::new("kill")
        .args(["-INT", &launcher.id().to_string()])
        .status();
    assert!(signalled.unwrap().success());
    assert_eq!(finish(launcher).status, 130);
    wait_until("the end of the pull", Duration::from_secs(60), || {
        // A zombie has ended; somebody else reaps it.
        std::fs::read_to_string(&pull).map_or(true, |stat| stat.contains(") Z "))
    });
}
