use std::os::unix::ffi::OsStringExt;

use proptest::prelude::*;

use super::*;
use crate::engine::docker::fake::spec;

fn dialect(flavour: Flavour) -> Dialect<'static> {
    Dialect {
        flavour,
        alone: AloneOption::New,
        seccomp: Path::new("/c/s.json"),
        id_file: None,
        processes: (flavour == Flavour::Podman).then_some(30_000),
    }
}

fn render(spec: &ContainerSpec) -> Result<Vec<OsString>, EngineError> {
    let mounts: Vec<Mount> = spec
        .binds
        .iter()
        .map(|bind| Mount {
            bind: bind.clone(),
            alone: false,
        })
        .collect();
    run(spec, &mounts, dialect(Flavour::Docker))
}

fn with_bind(source: &str) -> ContainerSpec {
    ContainerSpec {
        binds: vec![Bind {
            source: source.into(),
            target: "/work".into(),
        }],
        ..spec("dt-1", &["/bin/worker", "-it", "--privileged"])
    }
}

#[test]
fn the_whole_line() {
    let mut spec = with_bind("/home/p");
    spec.environment = vec![("PATH".into(), "/bin".into())];
    spec.tmpfs = vec![Tmpfs {
        target: "/tmp".into(),
        size_bytes: 100 << 20,
        inodes: 1000,
        exec: true,
    }];
    let line: Vec<String> = render(&spec)
        .unwrap()
        .into_iter()
        .map(|argument| argument.into_string().unwrap())
        .collect();
    assert_eq!(
        line,
        [
            "run",
            "--rm",
            "--interactive",
            "--sig-proxy=false",
            "--name=dt-1",
            "--label=dev.docker-test.run=0123456789abcdef",
            "--label=dev.docker-test.boot=boot",
            "--label=dev.docker-test.pid=1",
            "--label=dev.docker-test.pid-start=2",
            "--pull=never",
            "--network=none",
            "--read-only",
            "--cap-drop=ALL",
            "--security-opt=no-new-privileges:true",
            "--security-opt=seccomp=/c/s.json",
            "--user=1001:1001",
            "--cgroupns=private",
            "--ipc=private",
            "--shm-size=16777216",
            "--pids-limit=64",
            "--memory=134217728",
            "--memory-swap=134217728",
            "--cpus=0.5",
            "--ulimit=nofile=100:100",
            "--ulimit=core=0:0",
            "--tmpfs=/tmp:rw,nosuid,nodev,exec,size=104857600,nr_inodes=1000,mode=1777,uid=1001,gid=1001",
            "--mount=type=bind,source=/home/p,target=/work,readonly",
            "--log-driver=none",
            "--no-healthcheck",
            "--restart=no",
            "--stop-timeout=2",
            "--hostname=docker-test",
            "--sysctl=net.ipv4.tcp_max_tw_buckets=0",
            "--env=PATH=/bin",
            "--workdir=/",
            "--entrypoint=/bin/worker",
            "image:1",
            "-it",
            "--privileged",
        ]
    );
}

/// Nothing is published on any of them.
#[test]
fn each_network_is_named() {
    let render = |network| {
        let mut spec = spec("dt-1", &["sh"]);
        spec.hardening.network = network;
        let line = render(&spec).unwrap().into_iter();
        line.map(|argument| argument.into_string().unwrap())
            .filter(|argument| {
                ["--network", "--dns", "--publish", "-p", "-P"]
                    .iter()
                    .any(|option| argument.starts_with(option))
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(render(Network::None), ["--network=none"]);
    assert_eq!(
        render(Network::Internal),
        ["--network=docker-test-0123456789abcdef", "--dns=0.0.0.0"]
    );
    assert_eq!(render(Network::Bridge), ["--network=bridge"]);
}

#[test]
fn podman_gets_the_same_line_but_for_its_differences() {
    let mut spec = with_bind("/home/p");
    spec.tmpfs = vec![Tmpfs {
        target: "/tmp".into(),
        size_bytes: 1 << 20,
        inodes: 1000,
        exec: false,
    }];
    let lines = |flavour| -> Vec<String> {
        run(&spec, &[], dialect(flavour))
            .unwrap()
            .into_iter()
            .map(|argument| argument.into_string().unwrap())
            .collect()
    };
    let (docker, podman) = (lines(Flavour::Docker), lines(Flavour::Podman));
    let only = |these: &[String], others: &[String]| -> Vec<String> {
        let mut these = these.to_vec();
        these.retain(|argument| !others.contains(argument));
        these
    };
    assert_eq!(
        only(&podman, &docker),
        [
            "--read-only-tmpfs=false",
            "--image-volume=ignore",
            "--http-proxy=false",
            "--sdnotify=ignore",
            "--security-opt=label=disable",
            "--ulimit=nproc=30000:30000",
            "--tmpfs=/tmp:rw,nosuid,nodev,noexec,size=1048576,mode=1777,notmpcopyup,U",
            "--tmpfs=/dev/shm:rw,nosuid,nodev,noexec,size=16777216,mode=1777,notmpcopyup,U",
            "--stop-signal=KILL",
        ]
    );
    assert_eq!(
        only(&docker, &podman),
        [
            "--tmpfs=/tmp:rw,nosuid,nodev,noexec,size=1048576,nr_inodes=1000,mode=1777,uid=1001,gid=1001"
        ]
    );
}

#[test]
fn only_a_shell_has_a_terminal() {
    let mut spec = spec("dt-1", &["sh"]);
    assert!(!render(&spec).unwrap().contains(&"--tty".into()));
    spec.terminal = true;
    assert!(render(&spec).unwrap().contains(&"--tty".into()));
}

#[test]
fn a_bind_alone_is_said_in_both_ways() {
    let of = |alone| {
        let bind = with_bind("/p").binds.remove(0);
        super::bind(&bind, alone).unwrap()
    };
    let plain = "type=bind,source=/p,target=/work,readonly";
    assert_eq!(of(None), plain);
    assert_eq!(
        of(Some(AloneOption::Old)),
        format!("{plain},bind-nonrecursive")
    );
    assert_eq!(
        of(Some(AloneOption::New)),
        format!("{plain},bind-recursive=disabled")
    );
}

#[test]
fn hostile_paths_are_quoted() {
    for (path, field) in [
        ("/a b", "source=/a b"),
        ("/a:b", "source=/a:b"),
        ("/-v", "source=/-v"),
        ("/a,readonly=false", "\"source=/a,readonly=false\""),
        ("/a\"b", "\"source=/a\"\"b\""),
        ("/a\nb", "\"source=/a\nb\""),
    ] {
        let bind = super::bind(&with_bind(path).binds[0], None).unwrap();
        assert_eq!(bind, format!("type=bind,{field},target=/work,readonly"));
    }
}

#[test]
fn what_docker_would_change_is_refused_with_its_reason() {
    let not_utf8 = OsString::from_vec(b"/a\xff".to_vec());
    let base = spec("dt-1", &["sh"]);
    let mut bad: Vec<(ContainerSpec, &str)> = vec![
        (with_bind("relative"), "it is not absolute"),
        (with_bind("/a\r\nb"), "carriage return"),
        (with_bind("/a\0b"), "NUL byte"),
        (with_bind(""), "it is not absolute"),
        (spec("-x", &["sh"]), "container name"),
        (spec("dt-1", &[]), "command"),
        (spec("dt-1", &[""]), "program"),
        (spec("dt-1", &["sh", "a\0"]), "NUL byte"),
    ];
    let mut changed = |change: &dyn Fn(&mut ContainerSpec), reason| {
        let mut spec = base.clone();
        change(&mut spec);
        bad.push((spec, reason));
    };
    changed(&|spec| spec.argv.push(not_utf8.clone()), "`/a\\xff`");
    changed(
        &|spec| spec.image = "--privileged".into(),
        "begins with `-`",
    );
    changed(&|spec| spec.image = String::new(), "it is empty");
    changed(&|spec| spec.image = "a b".into(), "blank");
    changed(&|spec| spec.directory = "work".into(), "not absolute");
    changed(&|spec| spec.cpus = f64::NAN, "at least 0.01");
    changed(&|spec| spec.cpus = -1.0, "at least 0.01");
    changed(
        &|spec| spec.environment = vec![("A=B".into(), "".into())],
        "has a `=`",
    );
    changed(
        &|spec| spec.environment = vec![("A".into(), not_utf8.clone())],
        "value of the environment variable `A`",
    );
    changed(
        &|spec| {
            spec.tmpfs = vec![Tmpfs {
                target: "/a:exec".into(),
                size_bytes: 1,
                inodes: 1,
                exec: false,
            }];
        },
        "it has a colon",
    );
    for (spec, reason) in bad {
        let error = render(&spec).unwrap_err().to_string();
        assert!(
            error.contains(reason) && error.contains("cannot be given to the engine"),
            "{error}"
        );
    }
}

#[test]
fn processors_have_at_most_three_decimals() {
    for (given, shown) in [(1.0, "1"), (0.5, "0.5"), (0.1 + 0.2, "0.3"), (10.0, "10")] {
        assert_eq!(cpus(given).unwrap(), shown);
    }
}

/// The fields of one line of comma-separated values, as RFC 4180 reads them.
fn csv(line: &str) -> Vec<String> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let mut field = String::new();
        if let Some(quoted) = rest.strip_prefix('"') {
            rest = quoted;
            while let Some((before, after)) = rest.split_once('"') {
                field.push_str(before);
                rest = after;
                match rest.strip_prefix('"') {
                    Some(more) => {
                        field.push('"');
                        rest = more;
                    }
                    None => break,
                }
            }
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            field.push_str(&rest[..end]);
            rest = &rest[end..];
        }
        fields.push(field);
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => {
                assert_eq!(rest, "");
                return fields;
            }
        }
    }
}

proptest! {
    #[test]
    fn nothing_in_a_spec_becomes_an_option(
        source in "/(?s:.{0,12})",
        target in "/(?s:.{0,12})",
        words in prop::collection::vec("(?s:[-=a,\" \n].{0,8})", 1..4),
        image in "(?s:[-a].{0,8})",
        variable in ("(?s:.{0,4})", "(?s:.{0,8})"),
        directory in "/(?s:.{0,8})",
    ) {
        let mut spec = spec("dt-1", &[]);
        spec.binds = vec![Bind { source: source.clone().into(), target: target.clone().into() }];
        spec.argv = words.iter().map(Into::into).collect();
        spec.image = image.clone();
        spec.environment = vec![(variable.0.clone().into(), variable.1.clone().into())];
        spec.directory = directory.clone();
        let Ok(line) = render(&spec) else { return Ok(()) };
        let line: Vec<&str> = line.iter().map(|argument| argument.to_str().unwrap()).collect();

        // From the end: arguments, image, and before them nothing but options with their values.
        let (options, command) = line.split_at(line.len() - words.len());
        prop_assert_eq!(command[0], &image);
        prop_assert!(!image.starts_with('-'));
        prop_assert_eq!(&command[1..], &words[1..]);
        let value = |option: &str| {
            let mut values = options.iter().filter_map(|argument| argument.strip_prefix(option));
            (values.next(), values.next())
        };
        prop_assert_eq!(value("--entrypoint="), (Some(words[0].as_str()), None));
        prop_assert_eq!(value("--workdir="), (Some(directory.as_str()), None));
        let pair = format!("{}={}", variable.0, variable.1);
        prop_assert_eq!(value("--env="), (Some(pair.as_str()), None));
        let (source, target) = (format!("source={source}"), format!("target={target}"));
        prop_assert_eq!(
            csv(value("--mount=").0.unwrap()),
            ["type=bind", source.as_str(), target.as_str(), "readonly"]
        );
        // The rest does not depend on any of them.
        let plain = render(&super::tests::spec("dt-1", &["sh"])).unwrap();
        prop_assert_eq!(options.len(), plain.len() - 1 + 2);
        for argument in &options[1..] {
            prop_assert!(argument.starts_with("--"));
        }
    }
}

#[test]
fn only_what_differs_is_changed() {
    let from = spec("dt-1", &["worker"]);
    let line = |to: &ContainerSpec| {
        let line = resize("dt-1", &from, to).unwrap();
        line.join(OsStr::new(" ")).into_string().unwrap()
    };
    let mut to = from.clone();
    to.cpus = 1.25;
    assert_eq!(line(&to), "update --cpus=1.25 dt-1");
    to.pids = 12;
    assert_eq!(line(&to), "update --cpus=1.25 --pids-limit=12 dt-1");
    to.memory_bytes = 6 << 20;
    to.cpus = from.cpus;
    assert_eq!(
        line(&to),
        "update --memory=6291456 --memory-swap=6291456 --pids-limit=12 dt-1"
    );
    assert!(resize("--force", &from, &to).is_err());
}
