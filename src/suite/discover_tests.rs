//! Searches in real directories.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use tempfile::TempDir;

use super::*;

/// A project with a suite in `test`.
struct Project {
    dir: TempDir,
    root: PathBuf,
    config: Config,
}

fn project(files: &[&str]) -> Project {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap().join("project");
    fs::create_dir_all(root.join("test")).unwrap();
    let config = Config::defaults(root.clone());
    let project = Project { dir, root, config };
    for file in files {
        project.write(file, "#!/bin/sh\n");
    }
    project
}

impl Project {
    fn write(&self, file: impl AsRef<Path>, content: &str) {
        let path = self.root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn link(&self, target: &str, link: &str) {
        symlink(target, self.root.join(link)).unwrap();
    }

    fn found(&self, paths: &[&str]) -> Vec<String> {
        self.found_from(&self.root, paths)
    }

    fn found_from(&self, cwd: &Path, paths: &[&str]) -> Vec<String> {
        let paths: Vec<_> = paths.iter().map(PathBuf::from).collect();
        let tests = discover(&self.config, cwd, &paths).unwrap();
        tests.iter().map(|test| test.id.to_string()).collect()
    }

    /// The error's text, with `/project` for the project's path.
    fn refused(&self, paths: &[&str]) -> String {
        let paths: Vec<_> = paths.iter().map(PathBuf::from).collect();
        let error = discover(&self.config, &self.root, &paths).unwrap_err();
        let root = self.root.display().to_string();
        error.to_string().replace(&root, "/project")
    }
}

#[test]
fn the_root_is_searched_with_the_patterns() {
    let project = project(&[
        "test/b_test.sh",
        "test/a/z_test.sh",
        "test/a-b_test.sh",
        "test/helper.sh",
        "other/c_test.sh",
        "test/.git/d_test.sh",
        "test-results/e_test.sh",
    ]);
    let all = ["test/a-b_test.sh", "test/a/z_test.sh", "test/b_test.sh"];
    assert_eq!(project.found(&[]), all);
    assert_eq!(project.found_from(Path::new("/"), &[]), all);
}

#[test]
fn patterns_see_the_path_from_the_root_and_from_the_project() {
    let mut project = project(&["test/a_test.sh", "test/x/b_test.sh", "test/y/c_test.sh"]);
    project.config.suite.include = vec!["*_test.sh".into(), "test/x/*".into()];
    assert_eq!(project.found(&[]), ["test/a_test.sh", "test/x/b_test.sh"]);
    project.config.suite.include = vec!["**/*.sh".into()];
    project.config.suite.exclude = vec!["y".into(), "test/x/*".into()];
    assert_eq!(project.found(&[]), ["test/a_test.sh"]);
}

#[test]
fn the_project_itself_can_be_the_root() {
    let mut project = project(&["a_test.sh", "test-results/b_test.sh", "x/.git/c_test.sh"]);
    project.config.suite.root = ".".into();
    assert_eq!(project.found(&[]), ["a_test.sh"]);
    project.config.results = "./x/../x".into();
    fs::create_dir_all(project.root.join("x")).unwrap();
    project.write("x/d_test.sh", "");
    assert_eq!(project.found(&[]), ["a_test.sh", "test-results/b_test.sh"]);
}

#[test]
fn named_paths() {
    let project = project(&["test/a_test.sh", "test/x/b_test.sh", "lib/c.sh"]);
    assert_eq!(project.found(&["test/x"]), ["test/x/b_test.sh"]);
    assert_eq!(project.found(&["lib"]), Vec::<String>::new());
    assert_eq!(project.found(&["lib/c.sh", "./lib//c.sh"]), ["lib/c.sh"]);
    assert_eq!(
        project.found(&["."]),
        ["test/a_test.sh", "test/x/b_test.sh"]
    );
    let test = project.root.join("test");
    assert_eq!(
        project.found_from(&test, &["../lib/c.sh", "x"]),
        ["lib/c.sh", "test/x/b_test.sh"]
    );
    let absolute = project.root.join("lib/c.sh");
    assert_eq!(
        project.found_from(Path::new("/"), &[absolute.to_str().unwrap()]),
        ["lib/c.sh"]
    );
}

#[test]
fn a_named_part_of_a_file() {
    let project = project(&["test/a_test.sh", "test/odd::name.sh"]);
    project.write("test/b_test.sh", "# @fast\n");
    assert_eq!(
        project.found(&["test/a_test.sh::T::x"]),
        ["test/a_test.sh::T::x"]
    );
    assert_eq!(project.found(&["test/odd::name.sh"]), ["test/odd::name.sh"]);
    assert_eq!(project.found(&["test::all"]), ["test::all"]);
    let paths = [PathBuf::from("test/b_test.sh::y")];
    let tests = discover(&project.config, &project.root, &paths).unwrap();
    assert_eq!(tests[0].marker.as_deref(), Some("fast"));
    assert_eq!(
        project.refused(&["test/c_test.sh::x"]),
        "cannot search 'test/c_test.sh::x': '/project/test/c_test.sh' does not exist"
    );
    assert_eq!(
        project.refused(&["test/a_test.sh::"]),
        "cannot search 'test/a_test.sh::': '/project/test/a_test.sh::' does not exist"
    );
}

#[test]
fn every_byte_can_be_in_a_name() {
    let project = project(&[]);
    let names: [&[u8]; 6] = [
        b"-rf_test.sh",
        b"a b_test.sh",
        b"a\n_test.sh",
        b"a\xff_test.sh",
        b"a:,\"'_test.sh",
        b"{name}_test.sh",
    ];
    for name in names {
        project.write(Path::new("test").join(OsStr::from_bytes(name)), "");
    }
    let tests = discover(&project.config, &project.root, &[]).unwrap();
    let found: Vec<_> = tests
        .iter()
        .map(|test| test.id.text().as_bytes()[5..].to_vec())
        .collect();
    let mut sorted = names.map(<[u8]>::to_vec);
    sorted.sort();
    assert_eq!(found, sorted);
    let named = PathBuf::from(OsStr::from_bytes(b"test/a\xff_test.sh"));
    assert_eq!(
        discover(&project.config, &project.root, &[named])
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn what_stops_a_search_is_named() {
    let project = project(&["test/a_test.sh"]);
    project.link("gone", "dangling");
    project.link("loop", "loop");
    nix::unistd::mkfifo(&project.root.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    for (path, message) in [
        ("tset/x", "'/project/tset' does not exist"),
        (
            "test/a_test.sh/x",
            "'/project/test/a_test.sh/x' is below a file",
        ),
        (
            "dangling",
            "'/project/dangling' is a dangling symlink to 'gone'",
        ),
        ("loop", "'/project/loop' is a symlink loop"),
        ("pipe", "'/project/pipe' is neither a file nor a directory"),
        ("", "'' is an empty path"),
        ("/", "'/' is not in the project '/project'"),
        ("x\u{1b}", "'/project/x\\x1b' does not exist"),
    ] {
        let shown = path.replace('\u{1b}', "\\x1b");
        assert_eq!(
            project.refused(&[path]),
            format!("cannot search '{shown}': {message}")
        );
    }
    assert!(
        project
            .refused(&[".."])
            .ends_with("is not in the project '/project'")
    );
}

#[test]
fn a_root_that_is_not_there_is_told_with_the_way_out() {
    let mut project = project(&[]);
    project.config.suite.root = "spec/unit".into();
    assert_eq!(
        project.refused(&[]),
        "cannot search 'spec/unit': '/project/spec' does not exist\n\
         hint: name tests on the command line, or set suite.root in docker-test.yaml"
    );
}

#[test]
fn symlinks_stay_in_the_project() {
    let project = project(&["test/a_test.sh", "shared/b_test.sh", "../outside/c_test.sh"]);
    project.link("../shared", "test/inside");
    project.link("../../outside", "test/out");
    project.link("a_test.sh", "test/same_test.sh");
    project.link("gone", "test/editor-lock");
    assert_eq!(
        project.found(&[]),
        [
            "test/a_test.sh",
            "test/inside/b_test.sh",
            "test/same_test.sh"
        ]
    );
    assert_eq!(
        project.found(&["test/inside/b_test.sh"]),
        ["test/inside/b_test.sh"]
    );
    assert!(
        project
            .refused(&["test/out"])
            .ends_with("is not in the project '/project'")
    );
    project.link("../../outside/c_test.sh", "test/out_test.sh");
    assert_eq!(
        project.refused(&[]),
        "cannot search 'test': 'test/out_test.sh' is a symlink out of the project"
    );
}

#[test]
fn a_test_that_dangles_and_a_loop_are_errors() {
    let mut project = project(&["test/a/b_test.sh"]);
    project.link("gone", "test/c_test.sh");
    assert_eq!(
        project.refused(&[]),
        "cannot search 'test': 'test/c_test.sh' is a dangling symlink to 'gone'"
    );
    fs::remove_file(project.root.join("test/c_test.sh")).unwrap();
    project.link("..", "test/a/up");
    assert_eq!(
        project.refused(&[]),
        "cannot search 'test': 'test/a/up' is a symlink to 'test', which contains it"
    );
    project.config.suite.exclude = vec!["**/up".into()];
    assert_eq!(project.found(&[]), ["test/a/b_test.sh"]);
}

#[test]
fn a_project_behind_a_symlink_has_the_same_ids() {
    let project = project(&["test/a_test.sh"]);
    let alias = project.root.with_file_name("alias");
    symlink(&project.root, &alias).unwrap();
    assert_eq!(
        project.found_from(&alias, &["test/a_test.sh"]),
        ["test/a_test.sh"]
    );
    assert_eq!(
        project.found_from(&alias.join("test"), &["../test"]),
        ["test/a_test.sh"]
    );
}

#[test]
fn markers_choose_a_profile_that_there_is() {
    let project = project(&["test/a_test.sh"]);
    project.write("test/b_test.sh", "#!/bin/sh\n# docker-test: profile=slow\n");
    let tests = discover(&project.config, &project.root, &[]).unwrap();
    let markers: Vec<_> = tests.iter().map(|test| test.marker.as_deref()).collect();
    assert_eq!(markers, [None, Some("slow")]);
    project.write("test/c_test.sh", "\n\n# docker-test: profile=slwo\n");
    assert_eq!(
        project.refused(&[]),
        "test/c_test.sh:3: unknown profile 'slwo': did you mean 'slow'?"
    );
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let project = project(&["test/a_test.sh", "test/closed/b_test.sh"]);
    let open_to_all = fs::Permissions::from_mode(0o755);
    fs::set_permissions(project.dir.path(), open_to_all).unwrap();
    let set = |path: &str, mode| {
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(project.root.join(path), permissions).unwrap();
    };
    set("test/closed", 0);
    assert_eq!(
        without_privileges(|| project.refused(&[])),
        "cannot search 'test': 'test/closed' cannot be read: permission denied"
    );
    assert_eq!(
        without_privileges(|| project.refused(&["test/closed/b_test.sh"])),
        "cannot search 'test/closed/b_test.sh': '/project/test/closed/b_test.sh' cannot be read: \
         permission denied"
    );
    set("test/closed", 0o755);
    set("test/a_test.sh", 0);
    assert_eq!(
        without_privileges(|| project.refused(&[])),
        "cannot search 'test': 'test/a_test.sh' cannot be read: permission denied"
    );
}

/// Runs `work` in a thread that may do no more than any user, whoever runs the tests.
fn without_privileges<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            if nix::unistd::geteuid().is_root() {
                // SAFETY: the bare call changes the user of this thread alone, which then ends.
                let status = unsafe { libc::syscall(libc::SYS_setresuid, 65534, 65534, 65534) };
                assert_eq!(status, 0);
            }
            work()
        });
        thread.join().unwrap()
    })
}
