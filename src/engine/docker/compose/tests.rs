//! Texts that compose files are made of, and the promises that they keep.

use proptest::prelude::*;

use super::*;
use crate::engine::docker::fake::spec;

/// A service with nothing but its container.
pub fn service(spec: ContainerSpec) -> Service {
    let variable = |name: &str, default: &str| Variable {
        name: name.into(),
        default: default.into(),
    };
    Service {
        comment: String::new(),
        name: "tried".into(),
        spec,
        variables: Some("TEST_TRIED".into()),
        seccomp: None,
        labels: false,
        build: Some(Build {
            dockerfile: "Dockerfile".into(),
            base: variable("BASE_IMAGE", "none"),
        }),
        profiles: Vec::new(),
        depends_on: Vec::new(),
        replicas: None,
        restart: false,
        grace: Duration::from_secs(2),
        capabilities: Vec::new(),
        places: Vec::new(),
        argument: None,
    }
}

pub fn file(service: Service) -> ComposeFile {
    ComposeFile {
        comment: "A file.".into(),
        services: vec![service],
        volumes: Vec::new(),
    }
}

fn render(spec: ContainerSpec) -> Result<String, EngineError> {
    file(service(spec)).render()
}

fn plain() -> ContainerSpec {
    spec("dt-1", &["/bin/worker", "word"])
}

#[test]
fn each_promise_is_in_the_file_or_said_to_be_missing() {
    let with = |change: fn(&mut Hardening)| {
        let mut spec = plain();
        change(&mut spec.hardening);
        render(spec).unwrap()
    };
    let full = with(|_| ());
    type Change = fn(&mut Hardening);
    let changes: [(&str, Change); 11] = [
        ("user", |h| h.user = (7, 8)),
        ("seccomp", |h| h.seccomp = SeccompProfile::Full),
        ("network", |h| h.network = Network::Bridge),
        ("read_only_root", |h| h.read_only_root = false),
        ("drop_capabilities", |h| h.drop_capabilities = false),
        ("no_new_privileges", |h| h.no_new_privileges = false),
        ("private_ipc", |h| h.private_ipc = false),
        ("private_cgroup", |h| h.private_cgroup = false),
        ("no_core_files", |h| h.no_core_files = false),
        ("no_log", |h| h.no_log = false),
        ("sysctls", |h| h.sysctls.clear()),
    ];
    for (name, change) in changes {
        let left_out = LEFT_OUT.iter().any(|(left_out, _)| *left_out == name);
        assert_eq!(with(change) == full, left_out, "{name}");
    }
}

#[test]
fn what_compose_cannot_say_is_refused() {
    let refused = |change: fn(&mut Service)| {
        let mut service = service(plain());
        change(&mut service);
        file(service).render().unwrap_err().to_string()
    };
    let internal = refused(|service| service.spec.hardening.network = Network::Internal);
    assert_eq!(
        internal,
        "the network `internal` cannot be given to the engine: it is made by the launcher"
    );
    type Change = fn(&mut Service);
    let cases: [(&str, Change); 8] = [
        ("service", |service| service.name = "a b".into()),
        ("image", |service| service.spec.image = "-it".into()),
        ("command", |service| service.spec.argv.clear()),
        ("working directory", |service| {
            service.spec.directory = "work".into();
        }),
        ("variable", |service| {
            service.variables = Some("test".into())
        }),
        ("number of processors", |service| {
            service.spec.cpus = f64::NAN;
        }),
        ("default", |service| {
            service.build.as_mut().unwrap().base.default = "a}b".into();
        }),
        ("argument", |service| {
            let bytes = std::os::unix::ffi::OsStringExt::from_vec(vec![0xff]);
            service.spec.argv.push(bytes);
        }),
    ];
    for (what, change) in cases {
        let message = refused(change);
        assert!(
            message.starts_with(&format!("the {what} `")),
            "{what}: {message}"
        );
    }
}

#[test]
fn sizes() {
    for (bytes, text) in [
        (0, "0"),
        (1000, "1000"),
        (512 << 20, "512m"),
        (4 << 30, "4g"),
    ] {
        assert_eq!(size(bytes), text);
    }
}

#[test]
fn only_what_every_reader_takes_for_a_string_is_plain() {
    for text in ["none", "/run/x", "docker-test", "a.b_c"] {
        assert_eq!(Text::literal(text).into_yaml(), text);
    }
    for text in [
        "", "no", "Yes", "NULL", "1e3", "0x1", "-a", "a b", "a:b", "~",
    ] {
        assert_eq!(Text::literal(text).into_yaml(), format!("\"{text}\""));
    }
    assert_eq!(
        Text::literal("$A\u{85}\u{2028}\u{1f600}").into_yaml(),
        r#""$$A\x85\u2028\U0001f600""#
    );
}

/// What a reader of YAML, and then compose, make of it.
fn read(yaml: &str) -> String {
    let Some(quoted) = yaml.strip_prefix('"') else {
        return yaml.into();
    };
    let mut text = String::new();
    let mut rest = quoted.strip_suffix('"').unwrap().chars();
    while let Some(c) = rest.next() {
        assert!((' '..='~').contains(&c) && c != '"');
        let digits = match (c, (c == '\\').then(|| rest.next().unwrap())) {
            ('\\', Some('x')) => 2,
            ('\\', Some('u')) => 4,
            ('\\', Some('U')) => 8,
            (_, escaped) => {
                text.push(escaped.unwrap_or(c));
                continue;
            }
        };
        let code: String = rest.by_ref().take(digits).collect();
        text.push(char::from_u32(u32::from_str_radix(&code, 16).unwrap()).unwrap());
    }
    assert!(!text.replace("$$", "").contains('$'));
    text.replace("$$", "$")
}

proptest! {
    #[test]
    fn any_text_comes_back(text in any::<String>()) {
        prop_assert_eq!(read(&Text::literal(&text).into_yaml()), text.clone());
        prop_assert_eq!(read(&Text::quoted(&text).into_yaml()), text);
    }
}
