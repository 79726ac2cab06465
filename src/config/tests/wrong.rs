//! Every kind of wrong file with its exact message. The line is the faulty key's or value's own.

use super::super::*;
use super::{read, refused};

fn check(cases: &[(&str, &str)]) {
    for (text, message) in cases {
        assert_eq!(refused(text), *message, "{text:?}");
    }
}

#[test]
fn keys() {
    check(&[
        (
            "a: 1\n",
            "1: unknown key 'a': known are suite, image, profiles, default-profile, rules, order, retries, \
             flaky, workers, level, network, violations, results",
        ),
        (
            "\nimages: full\n",
            "2: unknown key 'images': did you mean 'image'?",
        ),
        (
            "default_profile: fast",
            "1: unknown key 'default_profile': did you mean 'default-profile'?",
        ),
        (
            "suite:\n  root: a\n  includ: []\n",
            "3: unknown key 'suite.includ': did you mean 'include'?",
        ),
        (
            "profiles:\n  fast:\n    memroy: 1GiB",
            "3: unknown key 'profiles.fast.memroy': did you mean 'memory'?",
        ),
        (
            "rules:\n- path: a\n  profil: fast",
            "3: unknown key 'rules[0].profil': did you mean 'profile'?",
        ),
        (
            "\u{feff}\r\n\r\nx\u{1b}: 1",
            "3: not valid YAML: control characters are not taken",
        ),
        (
            "\"x\\e\": 1",
            "1: unknown key 'x\\x1b': known are suite, image, profiles, default-profile, rules, order, retries, \
             flaky, workers, level, network, violations, results",
        ),
        (
            "image: full\nworkers: 1\nimage: full",
            "3: 'image' occurs twice: write it once",
        ),
        (
            "suite:\n  env:\n    A: 1\n    'A': 2",
            "4: 'suite.env.A' occurs twice: write it once",
        ),
        ("[a]: 1", "1: a key is a list: write text"),
        (
            "<<: {image: full}",
            "1: unknown key '<<': known are suite, image, profiles, default-profile, rules, order, retries, \
             flaky, workers, level, network, violations, results",
        ),
    ]);
}

#[test]
fn violations() {
    check(&[
        (
            "violations:\n  leaked-proces: warn",
            "2: unknown key 'violations.leaked-proces': did you mean 'leaked-process'?",
        ),
        (
            "violations: {leaks: warn}",
            "1: unknown key 'violations.leaks': known are memory-near, memory-over, oom-kill, \
             cpu-near, cpu-time, wall, open-files-near, pids-limit, output-limit, leaked-process, \
             leaked-file, leaked-ipc, leaked-socket, changed-worker, open-file-growth, \
             thread-growth",
        ),
        (
            "violations:\n  cpu-near: warn\n  leaked-ipc: fial",
            "3: 'violations.leaked-ipc' is 'fial': did you mean 'fail'?",
        ),
        (
            "violations: {leaked-ipc: error}",
            "1: 'violations.leaked-ipc' is 'error': known are ignore, warn, fail",
        ),
        (
            "violations: {leaked-ipc: true}",
            "1: 'violations.leaked-ipc' is 'true': write text, in quotes if it looks like a number \
             or a bool",
        ),
        (
            "violations: {wall: ignore}",
            "1: 'violations.wall' is 'ignore': it ends the test, so write fail, or a higher limit \
             in profiles",
        ),
        (
            "violations: {oom-kill: warn}",
            "1: 'violations.oom-kill' is 'warn': it ends the test, so write fail, or a higher \
             limit in profiles",
        ),
        (
            "violations: fail",
            "1: 'violations' is 'fail': write a mapping, as in 'key: value' lines",
        ),
        (
            "violations: {cpu-near: warn, cpu-near: fail}",
            "1: 'violations.cpu-near' occurs twice: write it once",
        ),
    ]);
}

#[test]
fn words() {
    check(&[
        (
            "level: strikt",
            "1: 'level' is 'strikt': did you mean 'strict'?",
        ),
        (
            "level: high",
            "1: 'level' is 'high': known are standard, strict, paranoid",
        ),
        (
            "\nnetwork: brige",
            "2: 'network' is 'brige': did you mean 'bridge'?",
        ),
        (
            "network: host",
            "1: 'network' is 'host': known are none, internal, bridge",
        ),
        (
            "network: false",
            "1: 'network' is 'false': write text, in quotes if it looks like a number or a bool",
        ),
    ]);
}

#[test]
fn types() {
    check(&[
        (
            "- a",
            "1: the file is a list: write a mapping, as in 'key: value' lines",
        ),
        (
            "hello",
            "1: the file is 'hello': write a mapping, as in 'key: value' lines",
        ),
        (
            "suite: []",
            "1: 'suite' is a list: write a mapping, as in 'key: value' lines",
        ),
        (
            "suite:\n  root: 5",
            "2: 'suite.root' is '5': write text, in quotes if it looks like a number or a bool",
        ),
        (
            "suite: {include: '*.sh'}",
            "1: 'suite.include' is '*.sh': write a list, as in [\"a\", \"b\"]",
        ),
        (
            "suite:\n  include:\n  - a\n  - {b: c}",
            "4: 'suite.include[1]' is a mapping: write text, in quotes if it looks like a number \
             or a bool",
        ),
        (
            "suite: {command: sh}",
            "1: 'suite.command' is 'sh': write a list, as in [\"a\", \"b\"]",
        ),
        (
            "suite: {env: {A: [b]}}",
            "1: 'suite.env.A' is a list: write text, a number, true or false",
        ),
        (
            "suite: {env: {A: }}",
            "1: 'suite.env.A' is empty: write text, a number, true or false",
        ),
        (
            "image: [full]",
            "1: 'image' is a list: write text, in quotes if it looks like a number or a bool",
        ),
        (
            "rules: {path: a, profile: fast}",
            "1: 'rules' is a mapping: write a list, as in [\"a\", \"b\"]",
        ),
        (
            "rules:\n- {path: a, retries: 101}",
            "2: 'rules[0].retries' is '101': write a number from 0 to 100",
        ),
        (
            "retries: -1",
            "1: 'retries' is '-1': write a number from 0 to 100",
        ),
        ("flaky: pass", "1: 'flaky' is 'pass': known are warn, fail"),
        (
            "rules:\n- path: a",
            "2: 'rules[0]' has no 'profile': write {path: \"test/unit/**\", profile: fast}",
        ),
    ]);
}

#[test]
fn units_and_ranges() {
    check(&[
        (
            "profiles: {fast: {memory: 512}}",
            "1: 'profiles.fast.memory': invalid size '512': it has no unit; write a number with a \
             unit, as in 128MiB or 1GiB",
        ),
        (
            "profiles: {fast: {memory: 1e400}}",
            "1: 'profiles.fast.memory': invalid size '1e400': its unit is not known; write a \
             number with a unit, as in 128MiB or 1GiB",
        ),
        (
            "profiles: {fast: {memory: -5m}}",
            "1: 'profiles.fast.memory': invalid size '-5m': its unit is not known; write a number \
             with a unit, as in 128MiB or 1GiB",
        ),
        (
            "profiles:\n  fast:\n    cpus: 1\n    memory: 5MiB",
            "4: 'profiles.fast.memory' is '5MiB': write a number with a unit, at least 6MiB, as in \
             128MiB",
        ),
        (
            "profiles: {fast: {tmpfs: 1KiB}}",
            "1: 'profiles.fast.tmpfs' is '1KiB': write a number with a unit, at least 4KiB, as in \
             128MiB",
        ),
        (
            "profiles: {fast: {timeout: 10}}",
            "1: 'profiles.fast.timeout': invalid duration '10': it has no unit; write a number \
             with a unit, as in 2s or 500ms",
        ),
        (
            "profiles: {fast: {timeout: 0s}}",
            "1: 'profiles.fast.timeout': invalid duration '0s': it is less than 1ms; write a \
             number with a unit, as in 2s or 500ms",
        ),
        (
            "profiles: {fast: {cpu-time: 99y}}",
            "1: 'profiles.fast.cpu-time': invalid duration '99y': it is more than 7 days; write a \
             number with a unit, as in 2s or 500ms",
        ),
        (
            "profiles: {fast: {cpu-time: [1s]}}",
            "1: 'profiles.fast.cpu-time' is a list: write a number with a unit, as in 2s or 500ms",
        ),
        (
            "profiles: {fast: {nice: -1}}",
            "1: 'profiles.fast.nice' is '-1': write a number from 0 to 19",
        ),
        (
            "profiles: {fast: {open-files: many}}",
            "1: 'profiles.fast.open-files' is 'many': write a number from 16 to 1048576",
        ),
        (
            "profiles: {fast: {pids: 1}}",
            "1: 'profiles.fast.pids' is '1': write a number from 2 to 4194304",
        ),
        (
            "profiles: {fast: {tmpfs-exec: 1}}",
            "1: 'profiles.fast.tmpfs-exec' is '1': write true or false",
        ),
        (
            "profiles: {fast: {output: 0}}",
            "1: 'profiles.fast.output': invalid size '0': it has no unit; write a number with a \
             unit, as in 128MiB or 1GiB",
        ),
    ]);
}

#[test]
fn names() {
    check(&[
        (
            "profiles:\n  a b:\n    nice: 1",
            "2: invalid profile name 'a b': write letters, digits, '-' and '_', at most 64",
        ),
        (
            "image: full\ndefault-profile: fsat",
            "2: 'default-profile': unknown profile 'fsat': did you mean 'fast'?",
        ),
        (
            "rules:\n- {path: a, profile: fast}\n- path: b\n  profile: mine\n",
            "4: 'rules[1].profile': unknown profile 'mine': known are fast, intensive, slow, \
             standard",
        ),
        (
            "rules:\n- {path: 'a[', profile: fast}",
            "2: 'rules[0].path': invalid pattern 'a[': unclosed character class; missing ']'; \
             write a path pattern, as in test/**/*_test.sh",
        ),
        (
            "suite:\n  exclude:\n  - ''",
            "3: 'suite.exclude[0]': invalid pattern '': it is empty; write a path pattern, as in \
             test/**/*_test.sh",
        ),
        (
            "image: -it",
            "1: 'image': invalid image '-it': write isolation, full, host or a reference such as \
             debian:12",
        ),
        (
            "profiles: {fast: {image: A B}}",
            "1: 'profiles.fast.image': invalid image 'A B': write isolation, full, host or a \
             reference such as debian:12",
        ),
    ]);
}

#[test]
fn the_suite() {
    check(&[
        (
            "suite: {root: /tmp}",
            "1: 'suite.root' is '/tmp': write a path inside the project, without '..', as in test",
        ),
        (
            "suite: {root: a/../../b}",
            "1: 'suite.root' is 'a/../../b': write a path inside the project, without '..', as in \
             test",
        ),
        ("suite: {root: ''}", "1: 'suite.root' is '': write a path"),
        (
            "suite: {root: \"a\\0b\"}",
            "1: 'suite.root' contains a NUL character: write it without",
        ),
        (
            "suite: {command: []}",
            "1: 'suite.command' has no program: write a list of program and arguments, as in \
             [\"sh\", \"{test}\"]",
        ),
        (
            "suite: {list: ['']}",
            "1: 'suite.list' has no program: write a list of program and arguments, as in [\"sh\", \
             \"{test}\"]",
        ),
        (
            "suite:\n  command:\n  - sh\n  - '{tset}'",
            "4: 'suite.command[1]': unknown placeholder '{tset}': did you mean 'test'?",
        ),
        (
            "suite:\n  env:\n    'A=B': 1",
            "3: invalid variable name 'A=B': write a name without '=', as in LANG: C.UTF-8",
        ),
        (
            "suite: {env: {'': 1}}",
            "1: invalid variable name '': write a name without '=', as in LANG: C.UTF-8",
        ),
        (
            "suite: {env: {\"A\\0\": 1}}",
            "1: invalid variable name 'A\\x00': write a name without '=', as in LANG: C.UTF-8",
        ),
        (
            "suite: {env: {A: \"\\0\"}}",
            "1: 'suite.env.A' contains a NUL character: write it without",
        ),
        (
            "image: full\nresults: .",
            "2: 'results' contains the suite's root: write a directory of its own, as in \
             test-results",
        ),
        (
            "results: test",
            "1: 'results' contains the suite's root: write a directory of its own, as in \
             test-results",
        ),
        (
            "results: x/../..",
            "1: 'results' contains the suite's root: write a directory of its own, as in \
             test-results",
        ),
    ]);
}

#[test]
fn yaml_itself() {
    check(&[
        (
            "image: full\nsuite: {root: a\nrules: []",
            "3: not valid YAML: did not find expected ',' or '}'",
        ),
        (
            "a: b: c",
            "1: not valid YAML: mapping values are not allowed in this context",
        ),
        ("\nimage: !x full", "2: not valid YAML: tags are not taken"),
        (
            "image: full\n---\nimage: full",
            "1: not valid YAML: more than one document",
        ),
        ("image: *a", "1: not valid YAML: unknown anchor"),
    ]);
}

#[test]
fn workers_and_cpus_have_ranges() {
    for bad in [
        "0",
        "-1",
        "1025",
        "99999999999999999999",
        "1.5",
        "'4'",
        "many",
        "true",
        "[]",
    ] {
        let message = refused(format!("workers: {bad}"));
        assert!(
            message.ends_with("write auto or a number from 1 to 1024"),
            "{bad}: {message}"
        );
    }
    for bad in [
        "0", "-1", ".nan", ".inf", "NaN", "inf", "0.0001", "1e9", "'2'", "{}",
    ] {
        let message = refused(format!("profiles: {{fast: {{cpus: {bad}}}}}"));
        let form = "write a number from 0.01 to 1024, as in 1.5";
        assert!(message.ends_with(form), "{bad}: {message}");
    }
    assert_eq!(read("workers: 1").unwrap().workers, Workers::Count(1));
    assert_eq!(read("workers: auto").unwrap().workers, Workers::Auto);
}

#[test]
fn what_is_no_text() {
    let form = "not UTF-8: save the file in UTF-8";
    assert_eq!(refused(b"image: full\n# \xff"), format!("2: {form}"));
    assert_eq!(refused(b"\xff\xfea\0"), format!("1: {form}"));
}

#[test]
fn bombs_and_depth_are_refused() {
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for i in 1..12 {
        bomb += &format!(
            "a{i}: &a{i} [{}]\n",
            vec![format!("*a{}", i - 1); 10].join(",")
        );
    }
    assert_eq!(refused(bomb), "1: not valid YAML: more than 100000 values");
    let deep = format!("suite: {}1{}", "[".repeat(500), "]".repeat(500));
    assert_eq!(refused(deep), "1: not valid YAML: recursion limit exceeded");
    let wide = "[".repeat(MAX_BYTES as usize);
    assert_eq!(refused(wide), "1: not valid YAML: more than 10000 brackets");
}
