//! The jobs of the files that `ci` writes, run here: a small stand-in for what GitHub's and GitLab's
//! runners do with them. Checkouts are copies of the project; artifacts and caches are folders.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::harness::{PROGRAM, Project, finish};

/// The program as jobs get it: on the host engine where nothing else is asked for, so that no
/// container is needed. Where the project has a file `broken`, a run of the shard that it names
/// does not begin.
fn wrapper() -> String {
    format!(
        "#!/bin/sh
        case $1 in
        build) echo \"$*\" >>\"$CI_LOG\"; exit ;;
        run*)
            case \" $* \" in *\" $(cat broken 2>/dev/null) \"*) echo broken >&2; exit 3 ;; esac
            case $* in *--engine*) ;; *) set -- \"$@\" --engine host ;; esac ;;
        esac
        exec '{PROGRAM}' \"$@\"\n"
    )
}

/// A CI system with a project of five tests in its repository.
struct System {
    project: Project,
    file: Value,
    outside: tempfile::TempDir,
}

/// How a job ended: the steps with a script that were run, and their exit statuses.
type Steps = Vec<(String, i32)>;

impl System {
    fn new(system: &str, project: Project, folder: &str, more: &[&str]) -> Self {
        let outside = tempfile::tempdir().unwrap();
        let program = |name: &str, text: &str| {
            let path = outside.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            fs::set_permissions(&path, mode).unwrap();
        };
        program("release", &wrapper());
        let release = outside.path().join("release");
        let release = release.display();
        program("bin/docker", "#!/bin/sh\necho 'docker of the runner'");
        let fetch = "#!/bin/sh\nwhile [ \"$1\" != --output ]; do shift; done";
        program("bin/curl", &format!("{fetch}\ncp '{release}' \"$2\""));
        let build = "#!/bin/sh\nwhile [ \"$1\" != --root ]; do shift; done";
        program(
            "bin/cargo",
            &format!("{build}\nmkdir -p \"$2/bin\" && cp '{release}' \"$2/bin/docker-test\""),
        );
        let digits = Sha256::digest(wrapper());
        let digits: String = digits.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut arguments = vec!["ci", system, "-o", "-", "--shards", "3"];
        if !more.iter().any(|word| word.starts_with("--build")) {
            arguments.extend([
                "--url",
                "https://example.org/docker-test",
                "--sha256",
                &digits,
            ]);
        }
        arguments.extend(more);
        let mut command = project.command(&arguments);
        command.current_dir(project.path().join(folder));
        let said = finish(project.spawn(&mut command));
        assert_eq!(said.status, 0, "{}", said.stderr);
        System {
            project,
            file: serde_yaml::from_str(&said.stdout).unwrap(),
            outside,
        }
    }

    fn place(&self, name: &str) -> PathBuf {
        self.outside.path().join(name)
    }

    /// A fresh checkout for a job.
    fn checkout(&self, job: &str) -> PathBuf {
        let workspace = self.place("work").join(job);
        let _ = fs::remove_dir_all(&workspace);
        copy(self.project.path(), &workspace);
        workspace
    }

    /// Runs a script as a job's step.
    fn shell(
        &self,
        shell: &[&str],
        script: &str,
        at: &Path,
        set: &BTreeMap<String, String>,
    ) -> Ran {
        let mut path = OsString::from(set.get("GITHUB_PATH").map_or_else(String::new, |file| {
            let lines = fs::read_to_string(file).unwrap_or_default();
            lines.lines().map(|line| format!("{line}:")).collect()
        }));
        path.push(self.place("bin"));
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap());
        let said = Command::new(shell[0])
            .args(&shell[1..])
            .arg(script)
            .current_dir(at)
            .env_clear()
            .envs(set)
            .env("PATH", path)
            .env("HOME", self.project.data())
            .env("CI", "true")
            .env("CI_LOG", self.place("log"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Ran {
            status: said.status.code().unwrap(),
            said: String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned(),
        }
    }
}

struct Ran {
    status: i32,
    said: String,
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// GitHub's runner, and what an expression has for a value there.
struct Github {
    system: System,
    values: BTreeMap<String, String>,
}

impl Github {
    fn new(project: Project, more: &[&str]) -> Self {
        Github::in_folder(project, "", more)
    }

    fn in_folder(project: Project, folder: &str, more: &[&str]) -> Self {
        let mut github = Github {
            system: System::new("github", project, folder, more),
            values: BTreeMap::new(),
        };
        github.set("github.run_id", "7");
        github.set("github.run_attempt", "1");
        github.set("strategy.job-total", "3");
        github
    }

    fn set(&mut self, name: &str, value: &str) {
        self.values.insert(name.into(), value.into());
    }

    /// Text with its expressions done. None that is unknown is in it.
    fn done(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${{ ") {
            let (name, after) = after.split_once(" }}").unwrap();
            let value = self.values.get(name);
            out.push_str(before);
            out.push_str(value.unwrap_or_else(|| panic!("{name} has no value here")));
            rest = after;
        }
        out + rest
    }

    fn job(&mut self, name: &str, shard: &str) -> (Steps, String) {
        let id = format!("{name}{shard}");
        let workspace = self.system.checkout(&id);
        let temp = self.system.place("temp").join(&id);
        let _ = fs::remove_dir_all(&temp);
        fs::create_dir_all(&temp).unwrap();
        self.set("runner.temp", temp.to_str().unwrap());
        self.set("matrix.shard", shard);
        let job = self.system.file["jobs"][name].clone();
        assert!(!job.is_null(), "there is no job {name}");
        let folder = &self.system.file["defaults"]["run"]["working-directory"];
        let at = workspace.join(folder.as_str().unwrap_or(""));
        let mut ran = Steps::new();
        let mut said = String::new();
        let mut good = true;
        for step in job["steps"].as_array().unwrap() {
            match step["if"].as_str() {
                None if !good => continue,
                None | Some("${{ !cancelled() }}") => {}
                Some(other) => panic!("{other}"),
            }
            if let Some(action) = step["uses"].as_str() {
                self.action(action.split('@').next().unwrap(), &step["with"], &workspace);
                continue;
            }
            let mut set = BTreeMap::new();
            for (variable, file) in [
                ("RUNNER_TEMP", temp.clone()),
                ("GITHUB_PATH", temp.join("path")),
                ("GITHUB_STEP_SUMMARY", temp.join("summary.md")),
                ("GITHUB_WORKSPACE", workspace.clone()),
            ] {
                set.insert(variable.to_owned(), file.to_str().unwrap().to_owned());
            }
            set.insert("GITHUB_ACTIONS".into(), "true".into());
            for variables in [&self.system.file["env"], &step["env"]] {
                for (name, value) in variables.as_object().into_iter().flatten() {
                    set.insert(name.clone(), self.done(&text(value)));
                }
            }
            let shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"];
            let script = step["run"].as_str().unwrap();
            let step_ran = self.system.shell(&shell, script, &at, &set);
            good &= step_ran.status == 0;
            ran.push((text(&step["name"]), step_ran.status));
            said.push_str(&step_ran.said);
        }
        (ran, said)
    }

    fn action(&self, action: &str, with: &Value, workspace: &Path) {
        let input = |name: &str| self.done(&text(&with[name]));
        let artifacts = self.system.place("artifacts");
        let cache = self.system.place("cache");
        let path = workspace.join(input("path"));
        match action {
            "actions/checkout" => assert_eq!(with["persist-credentials"], false),
            "actions/upload-artifact" => {
                let target = artifacts.join(input("name"));
                let _ = fs::remove_dir_all(&target);
                // It warns where there is nothing, and an artifact is not made.
                if path.is_dir() && fs::read_dir(&path).unwrap().next().is_some() {
                    copy(&path, &target);
                }
            }
            "actions/download-artifact" if with["pattern"].is_string() => {
                let pattern = input("pattern");
                let begin = pattern.strip_suffix('*').unwrap();
                for entry in fs::read_dir(artifacts).unwrap() {
                    let entry = entry.unwrap();
                    let name = entry.file_name().into_string().unwrap();
                    if name.starts_with(begin) {
                        copy(&entry.path(), &path.join(name));
                    }
                }
            }
            "actions/download-artifact" => copy(&artifacts.join(input("name")), &path),
            "actions/cache/restore" => {
                assert!(input("key").starts_with(&input("restore-keys")));
                if cache.exists() {
                    fs::create_dir_all(path.parent().unwrap()).unwrap();
                    fs::copy(cache, path).unwrap();
                }
            }
            "actions/cache/save" => {
                fs::copy(path, cache).unwrap();
            }
            other => panic!("{other} is not known here"),
        }
    }

    /// All jobs of a push; what merge's steps came to, and what each shard and merge said.
    fn push(&mut self) -> (Vec<i32>, Steps, Vec<String>) {
        let _ = fs::remove_dir_all(self.system.place("artifacts"));
        let (steps, said) = self.job("prepare", "");
        assert!(steps.iter().all(|(_, status)| *status == 0), "{said}");
        self.shards_and_merge(&["1", "2", "3"])
    }

    /// These shards and `merge`.
    fn shards_and_merge(&mut self, shards: &[&str]) -> (Vec<i32>, Steps, Vec<String>) {
        let attempt = self.system.file["jobs"]["prepare"]["outputs"]["attempt"].clone();
        let attempt = self.done(&text(&attempt));
        self.set("needs.prepare.outputs.attempt", &attempt);
        let (mut statuses, mut texts) = (Vec::new(), Vec::new());
        for shard in shards {
            let (steps, said) = self.job("shard", shard);
            let status = steps
                .iter()
                .find(|(name, _)| name == "Run the shard")
                .unwrap()
                .1;
            statuses.push(status);
            texts.push(said);
        }
        let result = if statuses.iter().all(|status| *status == 0) {
            "success"
        } else {
            "failure"
        };
        self.set("needs.shard.result", result);
        let (steps, said) = self.job("merge", "");
        texts.push(said);
        (statuses, steps, texts)
    }
}

fn project() -> Project {
    ["a", "b", "c", "d", "e"]
        .iter()
        .fold(Project::new(), |project, name| {
            project.test(name, "echo hello")
        })
}

/// The statuses of merge's steps, in their order.
const MERGE: [&str; 4] = [
    "Merge the shards' databases",
    "Put the shards' reports together",
    "Forget old runs",
    "Say whether the shards passed",
];

fn statuses(steps: &Steps) -> Vec<(&str, i32)> {
    steps
        .iter()
        .map(|(name, status)| (name.as_str(), *status))
        .collect()
}

#[test]
fn github_runs_all_shards_and_balances_the_next_by_them() {
    let mut github = Github::new(project(), &[]);
    let (shards, merge, said) = github.push();
    assert_eq!(shards, [0, 0, 0], "{said:?}");
    let green = [(MERGE[0], 0), (MERGE[1], 0), (MERGE[2], 0), (MERGE[3], 0)];
    assert_eq!(statuses(&merge), green, "{said:?}");
    assert!(
        said[0].contains("divided by a hash of their ids"),
        "{}",
        said[0]
    );
    assert!(said[3].contains("each test is there exactly once: 5 pass\n"));
    let report = github.system.place("artifacts/docker-test-report");
    for kind in ["report-N.html", "junit-N.xml"] {
        for shard in ["1", "2", "3"] {
            let name = kind.replace('N', shard);
            assert!(report.join(&name).metadata().unwrap().len() > 100, "{name}");
        }
    }
    assert!(report.join("docker-test.db").exists());
    let summary = github.system.place("temp/merge/summary.md");
    let summary = fs::read_to_string(summary).unwrap();
    assert!(
        summary.starts_with("### All shards\n\n    suite "),
        "{summary}"
    );
    // The image was made ready in every shard.
    let log = fs::read_to_string(github.system.place("log")).unwrap();
    assert_eq!(log, "build isolation\n".repeat(3));

    let (shards, merge, said) = github.push();
    assert_eq!((shards, statuses(&merge)), (vec![0, 0, 0], green.to_vec()));
    let history = |said: &str| {
        let (_, after) = said.split_once("divided by history ").unwrap();
        after[..12].to_owned()
    };
    assert_eq!(history(&said[0]), history(&said[1]));
    assert_eq!(history(&said[0]), history(&said[2]));
}

#[test]
fn a_failing_test_makes_github_red_and_is_whole_all_the_same() {
    let mut github = Github::new(project().test("a", "exit 1"), &[]);
    let (shards, merge, said) = github.push();
    assert_eq!(shards.iter().sum::<i32>(), 1, "{said:?}");
    assert_eq!(
        statuses(&merge),
        [(MERGE[0], 0), (MERGE[1], 0), (MERGE[2], 0), (MERGE[3], 1)]
    );
    assert!(said[3].contains("1 fail, 4 pass"), "{}", said[3]);
}

/// Neither a database that is missing nor one that has only the history passes for the shard's.
#[test]
fn github_is_red_where_a_shard_is_missing() {
    let mut github = Github::new(project(), &[]);
    github.push();
    let artifact = |shard: u8| format!("artifacts/docker-test-shard-1-{shard}");
    fs::remove_dir_all(github.system.place(&artifact(2))).unwrap();
    let (steps, said) = github.job("merge", "");
    assert_eq!(statuses(&steps), [(MERGE[0], 1), (MERGE[1], 0)], "{said}");
    assert!(said.contains("\nmissing: "), "{said}");
    assert!(
        said.contains("(shard 2)\nthis is not the whole suite\n"),
        "{said}"
    );
    let report = github
        .system
        .place("artifacts/docker-test-report/report-3.html");
    assert!(report.exists());

    fs::write(github.system.project.path().join("broken"), "2/3").unwrap();
    let (shards, merge, said) = github.push();
    assert_eq!(shards, [0, 3, 0], "{said:?}");
    assert_eq!(statuses(&merge)[0], (MERGE[0], 1), "{said:?}");
    assert!(
        said[3].contains("(shard 2)\nthis is not the whole suite\n"),
        "{}",
        said[3]
    );

    // That shard alone again: the others' databases still count. All of it again: they do not.
    fs::remove_file(github.system.project.path().join("broken")).unwrap();
    let (_, merge, said) = github.shards_and_merge(&["2"]);
    assert_eq!(statuses(&merge)[0], (MERGE[0], 0), "{said:?}");
    github.set("github.run_attempt", "2");
    let (_, merge, said) = github.shards_and_merge(&["2"]);
    assert_eq!(statuses(&merge)[0], (MERGE[0], 1), "{said:?}");
}

#[test]
fn github_builds_docker_test_in_a_folder_of_a_repository() {
    let inner = project()
        .file("Cargo.toml", "[package]\nname = \"docker-test\"\n")
        .config("results: out/results\n");
    let repository = Project::new();
    copy(inner.path(), &repository.folder("some/where"));
    repository.folder(".git");
    let mut github = Github::in_folder(repository, "some/where", &["--build-from-source"]);
    for _ in 0..2 {
        let (shards, merge, said) = github.push();
        assert_eq!(shards, [0, 0, 0], "{said:?}");
        assert_eq!(merge.len(), 4, "{said:?}");
        assert!(merge.iter().all(|(_, status)| *status == 0), "{said:?}");
    }
}

#[test]
fn github_runs_the_full_image_apart() {
    let mut github = Github::new(project(), &["--full"]);
    github.job("prepare", "");
    let (steps, said) = github.job("test-full", "");
    assert!(steps.iter().all(|(_, status)| *status == 0), "{said}");
    assert!(said.contains("5 pass"), "{said}");
    let log = fs::read_to_string(github.system.place("log")).unwrap();
    assert_eq!(log, "build full\n");
    let kept = github.system.place("artifacts/docker-test-full");
    assert!(kept.join("junit.xml").exists() && kept.join("report.html").exists());
}

#[test]
fn another_program_than_was_pinned_is_not_used() {
    let mut github = Github::new(project(), &[]);
    fs::write(github.system.place("release"), "#!/bin/sh\nexit 0\n").unwrap();
    let (steps, said) = github.job("prepare", "");
    assert_eq!(statuses(&steps), [("Fetch docker-test", 1)], "{said}");
    assert!(said.contains("docker-test: FAILED"), "{said}");
    github.system.file["env"]["DOCKER_TEST_URL"] = "".into();
    let (_, said) = github.job("prepare", "");
    assert!(
        said.contains("DOCKER_TEST_URL: is not set: see the top"),
        "{said}"
    );
}

impl System {
    /// A job of GitLab's: `node` of 3. Its artifacts are kept where it is said to keep them.
    fn gitlab(&self, name: &str, node: Option<u8>) -> Ran {
        let workspace = self.checkout(name);
        let job = &self.file[name];
        let artifacts = self.place("artifacts");
        if !job["needs"].is_null() {
            copy(&artifacts, &workspace.join("."));
        }
        let cache = self.place("cache");
        let path = job["cache"]["paths"][0]
            .as_str()
            .map(|path| workspace.join(path));
        if let Some(path) = &path
            && job["cache"]["policy"] == "pull"
            && cache.exists()
        {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::copy(&cache, path).unwrap();
        }
        let mut set = BTreeMap::new();
        for (name, value) in self.file["variables"].as_object().unwrap() {
            set.insert(name.clone(), text(value));
        }
        set.insert("DOCKER_TEST_ENGINE".into(), "host".into());
        set.insert("CI_PROJECT_DIR".into(), workspace.to_str().unwrap().into());
        if let Some(node) = node {
            assert_eq!(job["parallel"], 3);
            set.insert("CI_NODE_INDEX".into(), node.to_string());
            set.insert("CI_NODE_TOTAL".into(), "3".into());
        }
        let before = self.file["default"]["before_script"].as_array();
        let lines = before
            .into_iter()
            .flatten()
            .chain(job["script"].as_array().unwrap());
        let lines: Vec<String> = lines.map(text).collect();
        let ran = self.shell(&["sh", "-ec"], &lines.join("\n"), &workspace, &set);
        if ran.status == 0 || job["artifacts"]["when"] == "always" {
            for kept in job["artifacts"]["paths"].as_array().unwrap() {
                let kept = Path::new(kept.as_str().unwrap());
                if workspace.join(kept).exists() {
                    copy(&workspace.join(kept), &artifacts.join(kept));
                }
            }
        }
        if let Some(path) = path
            && job["cache"]["policy"] == "push"
            && ran.status == 0
        {
            fs::copy(path, cache).unwrap();
        }
        ran
    }

    /// A pipeline of GitLab's: what the shards and merge came to.
    fn pipeline(&self) -> Vec<Ran> {
        let _ = fs::remove_dir_all(self.place("artifacts"));
        let prepare = self.gitlab("prepare", None);
        assert_eq!(prepare.status, 0, "{}", prepare.said);
        let mut ran: Vec<Ran> = (1..=3)
            .map(|node| self.gitlab("shard", Some(node)))
            .collect();
        ran.push(self.gitlab("merge", None));
        ran
    }
}

#[test]
fn gitlab_runs_all_shards_and_balances_the_next_by_them() {
    let system = System::new("gitlab", project(), "", &[]);
    for round in ["a hash of their ids", "history "] {
        let ran = system.pipeline();
        for job in &ran {
            assert_eq!(job.status, 0, "{}", job.said);
        }
        for shard in &ran[..3] {
            assert!(
                shard.said.contains(&format!("divided by {round}")),
                "{}",
                shard.said
            );
        }
        assert!(
            ran[3]
                .said
                .contains("each test is there exactly once: 5 pass\n")
        );
    }
    let kept = system.place("artifacts/docker-test-ci");
    for name in [
        "shards/1/junit.xml",
        "shards/3/docker-test.db",
        "report/report-3.html",
    ] {
        assert!(kept.join(name).exists(), "{name}");
    }
}

#[test]
fn gitlab_is_red_where_a_test_fails_or_a_shard_is_missing() {
    let system = System::new("gitlab", project().test("a", "exit 1"), "", &[]);
    let ran = system.pipeline();
    let red: i32 = ran[..3].iter().map(|job| job.status).sum();
    assert_eq!((red, ran[3].status), (1, 0), "{}", ran[3].said);
    fs::write(system.project.path().join("broken"), "2/3").unwrap();
    let ran = system.pipeline();
    assert_eq!((ran[1].status, ran[3].status), (3, 1), "{}", ran[3].said);
    assert!(
        ran[3]
            .said
            .contains("(shard 2)\nthis is not the whole suite\n")
    );
    let page = system.place("artifacts/docker-test-ci/report/report-3.html");
    assert!(page.exists());
    fs::remove_dir_all(system.place("artifacts/docker-test-ci/shards")).unwrap();
    let merge = system.gitlab("merge", None);
    assert_eq!(merge.status, 2, "{}", merge.said);
}
