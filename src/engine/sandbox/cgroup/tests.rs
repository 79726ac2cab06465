use super::*;
use crate::engine::docker::fake::spec;

const MOUNTS_1: &str = "\
31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw shared:5 - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
";

#[test]
fn mounts_are_found_by_kind() {
    assert_eq!(
        mounted(MOUNTS_1, "cgroup"),
        [
            ("/sys/fs/cgroup/cpu,cpuacct", "rw,cpu,cpuacct"),
            ("/sys/fs/cgroup/memory", "rw,memory")
        ]
    );
    assert_eq!(
        mounted(MOUNTS_1, "cgroup2"),
        [("/sys/fs/cgroup/unified", "rw")]
    );
}

#[test]
fn our_own_group_is_the_one_that_was_delegated() {
    let root = Path::new("/sys/fs/cgroup");
    let own = |text| own_group(root, text);
    assert_eq!(
        own("0::/user.slice/run-1.scope\n"),
        root.join("user.slice/run-1.scope")
    );
    let moved = "1:name=x:/\n0::/user.slice/run-1.scope/docker-test-launcher\n";
    assert_eq!(own(moved), root.join("user.slice/run-1.scope"));
    assert_eq!(own("0::/\n"), root.join(""));
}

#[test]
fn a_container_has_its_limits_in_each_version() {
    let mut spec = spec("dt-1", &["worker"]);
    spec.owner.pid = 7;
    spec.owner.pid_start = 8;
    let two = Hierarchy::Two("/c/docker-test".into());
    let (cgroups, oom) = two.plan(&spec, 3);
    assert_eq!(cgroups[0].folder, "/c/docker-test/7-8-3".into());
    assert!(
        cgroups[0]
            .settings
            .contains(&("cpu.max".into(), "50000 100000".into(), false))
    );
    assert_eq!(oom, Some("/c/docker-test/7-8-3/memory.events".into()));
    let one = Hierarchy::One(vec![
        ("memory", "/m/docker-test".into()),
        ("cpuacct", "/a/docker-test".into()),
    ]);
    let (cgroups, oom) = one.plan(&spec, 3);
    let files: Vec<_> = cgroups[0].settings.iter().map(|(file, ..)| file).collect();
    assert_eq!(
        files,
        ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"]
    );
    assert_eq!(cgroups[1].view.as_deref(), Some("/sys/fs/cgroup/cpuacct"));
    assert_eq!(oom, Some("/m/docker-test/7-8-3/memory.oom_control".into()));
    assert!(!one.limits() && two.limits());
}

#[test]
fn only_what_is_ours_and_dead_is_swept() {
    let pid = std::process::id();
    let start = host::process_start(pid).unwrap();
    assert!(!is_dead(&format!("{pid}-{start}-1")));
    assert!(is_dead(&format!("{pid}-{}-1", start + 1)));
    for name in ["", "1-2", "a-2-3", "1-2-3-4", "docker-test-launcher"] {
        assert!(!is_dead(name), "{name}");
    }
}

#[test]
fn a_count_that_is_not_there_is_none() {
    assert_eq!(oom_kills(None), 0);
    assert_eq!(oom_kills(Some(&"/no/such/file".into())), 0);
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, "low 0\noom 3\noom_kill 2\n").unwrap();
    assert_eq!(oom_kills(Some(&file.path().as_os_str().into())), 2);
}
