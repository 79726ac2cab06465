//! `docker-test ci`, as it is typed, and its files held against the schemas of GitHub and GitLab.

use std::fs;
use std::process::Command;

use crate::harness::{Project, Said, finish, repository};

const WORKFLOW: &str = ".github/workflows/docker-test.yml";
const PIPELINE: &str = ".gitlab-ci.yml";
const DIGITS: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const URL: &str = "https://example.org/docker-test-0.1.0-x86_64-linux";

fn expect(said: &Said, stdout: &str, stderr: &str, status: i32) {
    assert_eq!(
        (said.stdout.as_str(), said.stderr.as_str(), said.status),
        (stdout, stderr, status)
    );
}

fn real(project: &Project, name: &str) -> String {
    let path = project.path().canonicalize().unwrap().join(name);
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_file_is_written_where_the_system_looks_for_it() {
    let project = Project::new().test("a", "");
    let pinned = ["--url", URL, "--sha256", DIGITS];
    for (system, place) in [("github", WORKFLOW), ("gitlab", PIPELINE)] {
        let full = real(&project, place);
        let said = project.run(["ci", system].iter().chain(&pinned));
        expect(&said, &format!("wrote {full}: 4 shards\n"), "", 0);
        let written = fs::read_to_string(project.path().join(place)).unwrap();
        assert!(
            written.contains(URL) && written.contains(DIGITS),
            "{written}"
        );

        let said = project.run(["ci", system, "--shards", "2"]);
        let there = format!(
            "error: {full} is there already\nhint: name another file with -o, or add --force to write over it\n"
        );
        expect(&said, "", &there, 2);
        assert_eq!(fs::read_to_string(&full).unwrap(), written);

        let said = project.run(["ci", system, "--shards", "1", "--force", "--full"]);
        let left = "; DOCKER_TEST_URL is to be set, to where this very program is";
        let wrote = format!("wrote {full}: 1 shard, and a job of the full image{left}\n");
        expect(&said, &wrote, "", 0);
        let written = fs::read_to_string(project.path().join(place)).unwrap();
        assert!(written.contains("test-full:"), "{written}");
        let said = project.run(["ci", system, "--shards", "1", "--full", "-o", "-"]);
        expect(&said, &written, "", 0);
    }
    let said = project.run(["ci", "github", "--output", "a/b.yml", "--sha256", DIGITS]);
    let place = project.path().join("a/b.yml");
    assert_eq!(said.status, 0, "{}", said.stderr);
    assert!(place.exists());
}

/// The checksum that is pinned by itself is that of the program that writes the file.
#[test]
fn the_program_pins_itself() {
    let project = Project::new().test("a", "");
    let said = project.run(["ci", "github", "-o", "-"]);
    let sum = Command::new("sha256sum")
        .arg(crate::harness::PROGRAM)
        .output()
        .unwrap();
    let digits = String::from_utf8(sum.stdout).unwrap();
    let digits = digits.split(' ').next().unwrap();
    let pinned = said
        .stdout
        .contains(&format!("  DOCKER_TEST_SHA256: \"{digits}\"\n"));
    assert!(
        pinned || cfg!(not(target_arch = "x86_64")),
        "{}",
        said.stdout
    );
}

#[test]
fn a_project_in_a_folder_of_a_repository() {
    let repository = Project::new().test("a", "");
    repository.folder(".git");
    let inner = repository.folder("shop/api");
    fs::create_dir(inner.join("test")).unwrap();
    fs::write(inner.join("docker-test.yaml"), "results: out\n").unwrap();
    let mut command = repository.command(["ci", "github"]);
    command.current_dir(inner.join("test"));
    let said = finish(repository.spawn(&mut command));
    assert_eq!(said.status, 0, "{}", said.stderr);
    assert!(
        said.stdout
            .starts_with(&format!("wrote {}: ", real(&repository, WORKFLOW)))
    );
    let written = fs::read_to_string(repository.path().join(WORKFLOW)).unwrap();
    for line in [
        "    working-directory: \"shop/api\"\n",
        "          path: \"shop/api/out/docker-test.db\"\n",
        "            cp out/docker-test.db \"$RUNNER_TEMP/setup/\"\n",
    ] {
        assert!(written.contains(line), "{line}{written}");
    }
}

/// The job of the full image is there where a test asks for that image.
#[test]
fn the_full_image_has_a_job_where_a_test_asks_for_it() {
    let has = |project: &Project| {
        let said = project.run(["ci", "github", "-o", "-"]);
        assert_eq!(said.status, 0, "{}", said.stderr);
        said.stdout.contains("test-full")
    };
    assert!(!has(&Project::new().test("a", "")));
    assert!(has(
        &Project::new().test("a", "# docker-test: profile=intensive")
    ));
    assert!(has(&Project::new().test("a", "").config("image: full")));
    let list = "suite: {list: [sh, list]}\n";
    assert!(!has(&Project::new().config(list)));
    let rule = "rules: [{path: 'test/**', profile: intensive}]\n";
    assert!(has(&Project::new().config(&format!("{list}{rule}"))));
}

#[test]
fn what_cannot_be_done_starts_nothing() {
    let hint = "hint: a path below the project, with letters, digits and -._+\n";
    for (results, shown) in [
        ("/var/results", "/var/results"),
        ("../results", "../results"),
        ("'a b'", "a b"),
        ("'a\"b'", "a\"b"),
        ("'$x'", "$x"),
        ("-x", "-x"),
    ] {
        let project = Project::new()
            .test("a", "")
            .config(&format!("results: {results}"));
        let wrong = format!("error: results: {shown} cannot be used in a CI job\n{hint}");
        expect(&project.run(["ci", "github"]), "", &wrong, 2);
        assert!(!project.path().join(".github").exists());
    }
    let project = Project::new()
        .test("a", "")
        .file("Cargo.toml", "[package]\nname = \"shop\"\n");
    let manifest = real(&project, "./Cargo.toml");
    let wrong = format!(
        "error: --build-from-source: {manifest} is not docker-test's\nhint: name the folder of its source, from the project's, as in --build-from-source=third-party/docker-test\n"
    );
    expect(
        &project.run(["ci", "gitlab", "--build-from-source"]),
        "",
        &wrong,
        2,
    );
    for (arguments, begin) in [
        (&["ci"][..], "error: "),
        (
            &["ci", "jenkins"],
            "error: invalid value 'jenkins' for '<SYSTEM>' [possible values: github, gitlab]",
        ),
        (
            &["ci", "github", "--shards", "0"],
            "error: invalid value '0' for '--shards <N>': ",
        ),
        (
            &["ci", "github", "--shards", "201"],
            "error: invalid value '201' for '--shards <N>': ",
        ),
        (
            &["ci", "github", "--url", "http://example.org"],
            "error: invalid value 'http://example.org' for '--url <URL>': write an address that begins with https://",
        ),
        (
            &["ci", "github", "--sha256", "12"],
            "error: invalid value '12' for '--sha256 <DIGITS>': write 64 hexadecimal digits",
        ),
    ] {
        let said = project.run(arguments);
        assert_eq!(
            (said.status, said.stdout.as_str()),
            (2, ""),
            "{arguments:?}"
        );
        assert!(said.stderr.starts_with(begin), "{}", said.stderr);
    }
    let said = project.run(["ci", "github", "-o", "test"]);
    assert_eq!(said.status, 2, "{}", said.stderr);
    let said = project.run(["ci", "github", "-o", "Cargo.toml/x"]);
    assert_eq!(said.status, 5, "{}", said.stderr);
}

/// The repository's own files are what the command writes for it.
#[test]
fn this_repository_has_its_own_files() {
    for (system, place, shards) in [("github", WORKFLOW, "2"), ("gitlab", PIPELINE, "2")] {
        let said = Command::new(crate::harness::PROGRAM)
            .args(["ci", system, "-o", "-", "--shards", shards])
            .current_dir(repository())
            .output()
            .unwrap();
        assert!(said.status.success(), "{said:?}");
        let there = fs::read_to_string(repository().join(place)).unwrap();
        let hint = format!("docker-test ci {system} --shards {shards} --force");
        assert!(
            there.as_bytes() == said.stdout,
            "{place} is an older one: {hint}"
        );
    }
}

/// Holds files against a schema that check-jsonschema brings along.
fn validate(schema: &str, files: &[String]) {
    let checked = Command::new("check-jsonschema")
        .args(["--builtin-schema", schema])
        .args(files)
        .output();
    match checked {
        Err(error) => {
            eprintln!("SKIPPED: nothing is held against {schema}: check-jsonschema: {error}");
            assert!(
                std::env::var_os("CI").is_none(),
                "check-jsonschema is missing (pip install check-jsonschema)"
            );
        }
        Ok(said) => assert!(
            said.status.success(),
            "{schema}: {}{}",
            String::from_utf8_lossy(&said.stdout),
            String::from_utf8_lossy(&said.stderr)
        ),
    }
}

#[test]
fn the_files_are_valid_by_the_systems_own_schemas() {
    let project = Project::new()
        .test("a", "# docker-test: profile=intensive")
        .config("suite: {runtime: bin/run}\nresults: out\n");
    let own = |name: &str| repository().join(name).to_str().unwrap().to_owned();
    for (system, schema, mut files) in [
        (
            "github",
            "vendor.github-workflows",
            vec![
                own(".github/workflows/ci.yml"),
                own(".github/workflows/release.yml"),
                own(WORKFLOW),
            ],
        ),
        ("gitlab", "vendor.gitlab-ci", vec![own(PIPELINE)]),
    ] {
        for (at, more) in [
            &["--shards", "1"][..],
            &["--shards", "200", "--url", URL, "--sha256", DIGITS],
            &["--full"],
        ]
        .iter()
        .enumerate()
        {
            let name = format!("{system}-{at}.yml");
            let arguments = ["ci", system, "-o", &name];
            let said = project.run(arguments.iter().chain(more.iter()));
            assert_eq!(said.status, 0, "{}", said.stderr);
            files.push(real(&project, &name));
        }
        validate(schema, &files);
        if system == "github"
            && let Ok(said) = Command::new("actionlint").args(&files).output()
        {
            assert!(
                said.status.success(),
                "{}",
                String::from_utf8_lossy(&said.stdout)
            );
        }
    }
}
