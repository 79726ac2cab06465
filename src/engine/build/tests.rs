use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;
use crate::engine::docker::fake::Fake;

/// Builds with a docker that does what a script says, and returns the lines of progress too.
fn build_with(
    fake: &Fake,
    change: impl FnOnce(&mut BuildRequest),
) -> (Result<Built, BuildError>, Vec<String>) {
    fs::write(fake.file("program"), "binary").unwrap();
    let mut request = request(fake.file("program"));
    change(&mut request);
    let mut lines = Vec::new();
    let result = build(&fake.docker(), &request, &mut |line| {
        lines.push(line.to_owned());
    });
    (result, lines)
}

/// The arguments of the call that begins with `command`.
fn call(fake: &Fake, command: &str) -> Option<Vec<String>> {
    fake.calls().into_iter().find(|call| call[0] == command)
}

fn request(binary: PathBuf) -> BuildRequest {
    BuildRequest {
        recipe: Recipe::Isolation,
        base_image: None,
        pull: false,
        no_cache: false,
        runtime: None,
        binary,
    }
}

fn executable(folder: &TempDir, name: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    path
}

#[test]
fn the_base_is_the_dockerfiles() {
    assert!(Recipe::Isolation.base().starts_with("alpine:3."));
    assert_eq!(Recipe::Full.base(), "ubuntu:24.04");
}

#[test]
fn a_runtime_makes_another_tag() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = executable(&folder, "mylang");
    let plain = Recipe::Full.reference(None).unwrap();
    let with = Recipe::Full.reference(Some(&runtime)).unwrap();
    // sha256 of "#!/bin/sh\n"
    assert_eq!(with, format!("{plain}-a8076d3d28d2"));
    fs::write(&runtime, "#!/bin/sh\n:\n").unwrap();
    assert_ne!(Recipe::Full.reference(Some(&runtime)).unwrap(), with);
}

#[test]
fn a_runtime_that_cannot_be_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain");
    fs::write(&plain, "").unwrap();
    for (path, why) in [
        (folder.path().join("none"), "No such file"),
        (folder.path().to_owned(), "not a file"),
        (plain, "not executable"),
        (executable(&folder, "docker-test"), "is taken"),
    ] {
        let fake = Fake::new("exit 1");
        let error = build_with(&fake, |request| request.runtime = Some(path.clone()))
            .0
            .unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, BuildError::Prerequisite { .. }), "{text}");
        assert!(
            text.starts_with("suite.runtime /") && text.contains(why),
            "{text}"
        );
        assert!(fake.calls().is_empty(), "nothing was started");
    }
}

#[test]
fn the_context_is_small_and_can_be_read_by_everybody() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = executable(&folder, "my lang");
    let binary = executable(&folder, "binary");
    let context = context::make(Recipe::Full, &binary, Some(&runtime)).unwrap();
    let mode = |name: &str| {
        fs::metadata(context.path().join(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o7777
    };
    assert_eq!(
        (mode("bin/docker-test"), mode("bin/my lang")),
        (0o755, 0o755)
    );
    let dockerfile = fs::read_to_string(context.path().join("Dockerfile")).unwrap();
    assert_eq!(dockerfile, Recipe::Full.dockerfile());
    let path = context.path().to_owned();
    drop(context);
    assert!(!path.exists());
}

#[test]
fn whatever_goes_in_changes_what_an_image_is_made_of() {
    let folder = tempfile::tempdir().unwrap();
    let binary = executable(&folder, "binary");
    let runtime = executable(&folder, "mylang");
    let content = |runtime: Option<&Path>, change: &dyn Fn(&Path), base: &str| {
        let context = context::make(Recipe::Isolation, &binary, runtime).unwrap();
        change(context.path());
        context::content(context.path(), base).unwrap()
    };
    let nothing = |_: &Path| {};
    let write = |name: &'static str| move |path: &Path| fs::write(path.join(name), "x").unwrap();
    let same = content(None, &nothing, "sha256:1");
    assert_eq!(content(None, &nothing, "sha256:1"), same);
    let others = [
        content(None, &nothing, "sha256:2"),
        content(None, &write("Dockerfile"), "sha256:1"),
        content(None, &write("bin/docker-test"), "sha256:1"),
        content(None, &write("bin/other"), "sha256:1"),
        content(Some(&runtime), &nothing, "sha256:1"),
    ];
    let all: std::collections::BTreeSet<_> = others.iter().chain([&same]).collect();
    assert_eq!(all.len(), 6, "{all:?}");
    // A file beside them does not go in.
    assert_eq!(content(None, &write("note"), "sha256:1"), same);
}

#[test]
fn what_looks_like_an_option_is_no_base() {
    for bad in [
        "--privileged",
        "-t",
        "a;b",
        "",
        "Alpine",
        "host",
        "isolation",
    ] {
        let fake = Fake::new("exit 1");
        let error = build_with(&fake, |request| request.base_image = Some(bad.into()))
            .0
            .unwrap_err();
        assert!(
            matches!(error, BuildError::InvalidBase(_)),
            "{bad}: {error}"
        );
        assert!(fake.calls().is_empty(), "nothing was started");
    }
}

const IMAGE: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// The engine has every image, and no BuildKit.
const CLASSIC: &str = r#"case "$1 $2" in "image inspect") echo '["sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",1234,null]' ;; "buildx version") exit 1 ;; *) echo "switch $DOCKER_BUILDKIT" ;; esac"#;

#[test]
fn the_classic_builder_gets_a_whole_command_line() {
    let fake = Fake::new(CLASSIC);
    let (built, lines) = build_with(&fake, |request| {
        request.no_cache = true;
        request.base_image = Some("debian:12".into());
    });
    let built = built.unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(built.reference, format!("docker-test/isolation:{version}"));
    assert_eq!(built.size_bytes, 1234);
    assert_eq!(lines, ["switch 0"]);
    // Of this script's only image, and of the files that a build of this recipe has.
    let program = fake.file("program");
    let context = context::make(Recipe::Isolation, &program, None).unwrap();
    let digest = context::content(context.path(), IMAGE).unwrap();
    let mut arguments = call(&fake, "build").unwrap();
    let context = arguments.pop().unwrap();
    assert!(context.starts_with('/'), "{context}");
    assert_eq!(
        arguments,
        [
            "build",
            &format!("--tag=docker-test/isolation:{version}"),
            "--force-rm",
            "--network=none",
            "--no-cache",
            "--build-arg=BASE_IMAGE=debian:12",
            "--build-arg=BINARIES=bin/",
            &format!("--build-arg=VERSION={version}"),
            &format!("--label=dev.docker-test.content={digest}"),
        ]
    );
    assert_eq!(call(&fake, "pull"), None);
}

#[test]
fn podman_builds_in_the_format_that_has_a_health_check() {
    let fake = Fake::new("exit 1");
    assert_eq!(builder(&fake.podman(), None).unwrap(), Builder::Buildah);
    assert!(fake.calls().is_empty());
    let request = request("/p".into());
    let arguments = arguments(
        Builder::Buildah,
        &request,
        "a:1",
        "r:1",
        None,
        Path::new("/c"),
    );
    assert_eq!(arguments[2], "--format=docker");
}

#[test]
fn a_reason_comes_without_what_was_said_before() {
    for (said, reason) in [
        (
            "Trying to pull docker.io/library/alpine:3.23...; Error: initializing source docker://alpine:3.23: no such host",
            "initializing source docker://alpine:3.23: no such host",
        ),
        ("Error response from daemon: denied", "denied"),
        ("something", "something"),
    ] {
        assert_eq!(output::reason(said), reason);
    }
}

#[test]
fn buildkit_is_used_where_it_is_and_not_forbidden() {
    let fake = Fake::new("[ $1 = buildx ]");
    let builder = |wish: Option<&str>| builder(&fake.docker(), wish.map(OsStr::new)).unwrap();
    assert_eq!(builder(None), Builder::BuildKit);
    assert_eq!(builder(Some("1")), Builder::BuildKit);
    assert_eq!(builder(Some("0")), Builder::Classic);
}

#[test]
fn a_base_that_is_there_is_pulled_only_on_demand() {
    let fake = Fake::new(CLASSIC);
    build_with(&fake, |request| request.pull = true).0.unwrap();
    assert_eq!(
        call(&fake, "pull").unwrap(),
        ["pull", Recipe::Isolation.base()]
    );
}

#[test]
fn a_base_that_cannot_be_had_is_one_clear_error() {
    let fake = Fake::new(
        r#"case $1 in image) echo "Error: No such image: x" >&2; exit 1 ;; pull) echo 'Using default tag: latest'; echo 'Error response from daemon: Get "https://registry.invalid/v2/": dial tcp: lookup registry.invalid: no such host' >&2; exit 1 ;; esac"#,
    );
    let error = build_with(&fake, |_| {}).0.unwrap_err();
    let BuildError::BaseUnavailable { base, message } = &error else {
        panic!("{error}")
    };
    assert_eq!(base, Recipe::Isolation.base());
    assert!(
        message.starts_with("Get ") && message.ends_with("no such host"),
        "{message}"
    );
    let text = error.to_string();
    for way in [
        "--base-image",
        "docker load",
        "docker import",
        "--image host",
    ] {
        assert!(text.contains(way), "{text}");
    }
    assert_eq!(call(&fake, "build"), None);
}

#[test]
fn words_of_a_failed_pull() {
    for gone in [
        "Error response from daemon: Get \"https://registry.invalid/v2/\": dial tcp 192.0.2.1:443: connect: connection refused",
        "Error response from daemon: Get \"https://registry.invalid/v2/\": net/http: TLS handshake timeout",
        "Error response from daemon: Get \"https://registry.invalid/v2/\": dial tcp 192.0.2.1:443: i/o timeout",
        "Error response from daemon: Get \"https://registry.invalid/v2/\": tls: failed to verify certificate: x509: certificate signed by unknown authority",
        "Error response from daemon: pull access denied for nosuch, repository does not exist or may require 'docker login': denied",
        "Error response from daemon: manifest for alpine:0.1 not found: manifest unknown: manifest unknown",
        "Error response from daemon: no matching manifest for linux/riscv64 in the manifest list entries",
        "Error response from daemon: toomanyrequests: You have reached your pull rate limit",
        "Error response from daemon: failed to resolve reference \"registry.invalid/alpine:3.23\": failed to do request",
    ] {
        assert!(output::no_base(gone), "{gone}");
    }
    for other in [
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
        "error during connect: Head \"http://garbage:2375/_ping\": dial tcp: lookup garbage: no such host",
        "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock",
        "failed to register layer: write /lib/x: no space left on device",
    ] {
        assert!(!output::no_base(other), "{other}");
    }
}

#[test]
fn a_failed_step_is_quoted_and_safe() {
    let fake = Fake::new(
        r#"case "$1" in image) echo '["sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",1,null]' ;; buildx) exit 1 ;; build) echo "DEPRECATED: old" >&2; echo "  more" >&2; echo >&2; i=0; while [ $i -lt 50 ]; do echo "line $i"; i=$((i + 1)); done; printf 'E: \033[2Jno package\n' >&2; exit 100 ;; esac"#,
    );
    let (result, lines) = build_with(&fake, |_| {});
    let text = result.unwrap_err().to_string();
    assert!(
        text.starts_with("cannot build docker-test/isolation:"),
        "{text}"
    );
    assert!(text.ends_with("\n  | E: \\x1b[2Jno package"), "{text}");
    assert!(
        text.contains("line 49") && !text.contains("line 10"),
        "{text}"
    );
    assert!(!lines.concat().contains("DEPRECATED") && !lines.concat().contains("more"));
}

fn cached(text: &str) -> bool {
    let mut output = Output::default();
    for line in text.lines() {
        output.take(line);
    }
    output.cached()
}

#[test]
fn a_cached_build_is_told_from_a_real_one() {
    assert!(cached(
        "Step 2/3 : FROM a\n ---> 1\nStep 3/3 : RUN x\n ---> Using cache\n ---> 2"
    ));
    assert!(!cached("Step 3/3 : RUN x\n ---> Running in 0123\n ---> 2"));
    assert!(cached(
        "STEP 1/3: FROM a\nSTEP 2/3: RUN x\n--> Using cache 0123\n--> 0123\nSTEP 3/3: USER 1\n--> 4567\nCOMMIT b"
    ));
    assert!(!cached(
        "STEP 1/3: FROM a\nSTEP 2/3: RUN x\n--> Using cache 0123\n--> 0123\nSTEP 3/3: COPY bin/ /\n--> 4567"
    ));
    assert!(cached(
        "#5 [1/2] FROM a\n#5 DONE 0.0s\n#6 [2/2] RUN x\n#6 CACHED"
    ));
    assert!(!cached(
        "#6 [2/3] RUN x\n#6 CACHED\n#7 [3/3] COPY bin/ /\n#7 DONE 0.1s"
    ));
}

#[test]
fn a_progress_line_shows_what_was_written_last() {
    assert_eq!(output::visible(b"1 kB\r2 kB\r\r"), b"2 kB");
    assert_eq!(output::visible(b"\r"), b"");
    assert_eq!(output::visible(b"\x1b[0m\x1b[1;91mE: no\x1b[0m"), b"E: no");
    assert_eq!(output::visible(b"\x1b[2J\x1b["), b"\x1b[2J\x1b[");
}

#[test]
fn a_program_that_is_gone_is_named() {
    let fake = Fake::new("exit 1");
    let result = build_with(&fake, |request| request.binary = "/no/program".into()).0;
    let text = result.unwrap_err().to_string();
    assert!(text.contains("/no/program: No such file"), "{text}");
}
