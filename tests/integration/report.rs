//! `report` and `run --html`: what is written, where, and what is refused. The page in a browser is
//! tried by `script/test-report`.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::bad_input::{HELP, project, refused};
use crate::harness::Project;

const NO_FILE: &str = "hint: name a file in a folder that this user may write to";

/// A project whose one run has a page.
fn ran() -> Project {
    let project = Project::new()
        .test("good", "exit 0")
        .test("bad", "echo '</script><script>x</script>'; exit 3");
    let said = project.run(["run", "--engine", "host", "--html", "page.html"]);
    assert_eq!(said.status, 1, "{said:?}");
    project
}

fn page(project: &Project, name: &str) -> String {
    fs::read_to_string(project.path().join(name)).unwrap()
}

#[test]
fn a_run_writes_its_page_and_report_the_same() {
    let project = ran();
    let written = page(&project, "page.html");
    assert!(written.starts_with("<!doctype html>\n") && written.ends_with("</html>\n"));
    assert!(written.contains("test/bad_test.sh") && written.contains("fail"));
    // The output is there as data alone.
    assert!(written.contains(r"\u003c/script\u003e\u003cscript\u003ex"));
    assert!(!written.contains("<script>x"));
    let run = project.query("select run from runs");
    let said = project.run(["report", &run[..5], "-o", "again.html"]);
    assert_eq!(
        (said.stdout.as_str(), said.stderr.as_str(), said.status),
        ("", "", 0)
    );
    assert_eq!(page(&project, "again.html"), written);
    let said = project.run(["report", "--output", "-"]);
    assert_eq!((said.stdout, said.status), (written, 0));
    let mode = fs::metadata(project.path().join("page.html"))
        .unwrap()
        .mode();
    assert_eq!(mode & 0o111, 0);
    let left = fs::read_dir(project.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    assert!(
        left.into_iter()
            .all(|name| !name.to_string_lossy().contains(".docker-test-"))
    );
}

#[test]
fn a_run_that_passes_stays_passed() {
    let project = Project::new().test("good", "exit 0");
    let said = project.run(["run", "--engine", "host", "--html", "page.html"]);
    assert_eq!(said.status, 0, "{said:?}");
    assert!(page(&project, "page.html").contains("passed"));
}

#[test]
fn wrong_arguments() {
    let project = project();
    let required = "the following required arguments were not provided: --output <FILE>";
    let both =
        |other| format!("the argument '--html <FILE>' cannot be used with '{other}'\n{HELP}");
    refused(&project, ["report"], 2, &format!("{required}\n{HELP}"));
    for (arguments, message) in [
        (
            &["run", "--html", "x", "--no-record"][..],
            both("--no-record"),
        ),
        (&["run", "--html", "x", "--dry-run"], both("--dry-run")),
        (
            &["run", "--html", "-"],
            "invalid value '-' for '--html <FILE>': stdout has the run's own report\n\
             hint: docker-test report -o - writes the page there"
                .into(),
        ),
        (
            &["report", "-o", "x"],
            "nothing is recorded in <project>/test-results\nhint: `docker-test run` records what it runs"
                .into(),
        ),
    ] {
        refused(&project, arguments, 2, &message);
    }
}

#[test]
fn runs_that_are_not_there() {
    let project = ran();
    let none = "no run's name starts with 'zz\\x1b'\nhint: write `last`, or the first digits of the name that the run's last line gave";
    refused(&project, ["report", "zz\u{1b}", "-o", "x"], 2, none);
    let none = "no run's name starts with ''\nhint: write `last`, or the first digits of the name that the run's last line gave";
    refused(&project, ["report", "", "-o", "x"], 2, none);
}

#[test]
fn places_that_cannot_be_written() {
    let project = project();
    project.folder("folder");
    let project = project.file("file", "");
    for (place, why) in [
        ("folder", "something else than a file is there"),
        ("file/page.html", "File exists (os error 17)"),
        ("new/", "it does not name a file"),
    ] {
        let message = format!("{place} cannot be written: {why}\n{NO_FILE}");
        refused(&project, ["report", "-o", place], 5, &message);
        // Before anything is started.
        refused(&project, ["run", "--html", place], 5, &message);
    }
}

#[test]
fn a_place_that_becomes_wrong_costs_the_page_and_not_the_record() {
    let project = Project::new().test("a", "rm -rf pages; exit 0");
    project.folder("pages");
    let said = project.run(["run", "--engine", "host", "--html", "pages/page.html"]);
    let gone = format!(
        "error: pages/page.html cannot be written: No such file or directory (os error 2)\n{NO_FILE}\n"
    );
    assert!(said.stderr.ends_with(&gone), "{said:?}");
    assert_eq!(said.status, 5);
    assert_eq!(project.query("select outcome from attempts"), "pass");
}
