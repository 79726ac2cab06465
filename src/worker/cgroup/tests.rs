use super::*;
use std::fs;

/// A tree of files, as a kernel shows it.
fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

const V1: [(&str, &str); 14] = [
    ("cpuacct/cpuacct.usage", "1234567\n"),
    ("cpuacct/cpuacct.usage_user", "1000000\n"),
    ("cpuacct/cpuacct.usage_sys", "200000\n"),
    ("cpuacct/cpuacct.stat", "user 9\nsystem 9\n"),
    (
        "cpu/cpu.stat",
        "nr_periods 3\nnr_throttled 1\nthrottled_time 5000000\n",
    ),
    ("memory/memory.usage_in_bytes", "4096\n"),
    ("memory/memory.max_usage_in_bytes", "8192\n"),
    (
        "memory/memory.stat",
        "cache 1\nrss 2\nhierarchical_memory_limit 9\ntotal_cache 3\ntotal_rss 4\n",
    ),
    (
        "memory/memory.oom_control",
        "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
    ),
    ("pids/pids.events", "max 7\n"),
    ("pids/pids.peak", "12\n"),
    ("pids/pids.max", "64\n"),
    (
        "blkio/blkio.throttle.io_service_bytes",
        "8:0 Read 1\nTotal 1\n",
    ),
    (
        "blkio/blkio.throttle.io_service_bytes_recursive",
        "8:0 Read 10\n8:0 Write 20\nTotal 30\n",
    ),
];

const V2: [(&str, &str); 14] = [
    ("cgroup.controllers", "cpu io memory pids\n"),
    ("cgroup.procs", "1\n7\n"),
    (
        "cpu.stat",
        "usage_usec 99\nuser_usec 60\nsystem_usec 39\nnr_periods 4\nnr_throttled 2\nthrottled_usec 5\n",
    ),
    ("memory.current", "4096\n"),
    ("memory.peak", "8192\n"),
    (
        "memory.stat",
        "anon 11\nfile 22\nkernel 33\ninactive_anon 1\n",
    ),
    (
        "memory.events",
        "low 0\nhigh 0\nmax 4\noom 1\noom_kill 1\noom_group_kill 0\n",
    ),
    ("pids.events", "max 0\n"),
    ("pids.peak", "3\n"),
    ("pids.max", "max\n"),
    ("io.stat", "8:0 rbytes=4096 wbytes=0 rios=1 wios=0\n"),
    ("cpu.pressure", "some avg10=0.00 total=1\n"),
    (
        "memory.pressure",
        "some avg10=0.00 total=2\nfull avg10=0.00 total=0\n",
    ),
    ("io.pressure", "some avg10=0.00 total=3\n"),
];

fn reading_v1() -> Reading {
    Reading {
        cpu_us: Some(1234),
        cpu_user_us: Some(1000),
        cpu_system_us: Some(200),
        throttled_us: Some(5000),
        throttled_periods: Some(1),
        memory_peak_bytes: Some(8192),
        oom_kills: Some(2),
        pids_limit_hits: Some(7),
        pids_peak: Some(12),
        io_read_bytes: Some(10),
        io_write_bytes: Some(20),
        pressure_us: [None; 3],
    }
}

fn reading_v2() -> Reading {
    Reading {
        cpu_us: Some(99),
        cpu_user_us: Some(60),
        cpu_system_us: Some(39),
        throttled_us: Some(5),
        throttled_periods: Some(2),
        memory_peak_bytes: Some(8192),
        oom_kills: Some(1),
        pids_limit_hits: Some(0),
        pids_peak: Some(3),
        io_read_bytes: Some(4096),
        io_write_bytes: Some(0),
        pressure_us: [Some(1), Some(2), Some(3)],
    }
}

#[test]
fn v1() {
    let root = tree(&V1);
    assert_eq!(version(root.path()), Some(1));
    let counters = Counters::open(root.path());
    assert_eq!(counters.read(), reading_v1());
    assert_eq!(counters.cpu_us(), Some(1234));
    assert_eq!(counters.memory_bytes(), Some(4096));
    assert_eq!(counters.memory_parts(), Some((4, 3)));
    assert_eq!(counters.pids_max(), Some(64));
}

/// Linux before 4.6: the parts of CPU time in hundredths of a second; without a hierarchy of
/// cgroups the memory of this one alone.
#[test]
fn an_old_v1() {
    let root = tree(&[
        ("cpuacct/cpuacct.usage", "30000000\n"),
        ("cpuacct/cpuacct.stat", "user 2\nsystem 1\n"),
        ("memory/memory.stat", "cache 1\nrss 2\n"),
        (
            "blkio/blkio.throttle.io_service_bytes",
            "8:0 Read 1\nTotal 1\n",
        ),
    ]);
    let counters = Counters::open(root.path());
    let expected = Reading {
        cpu_us: Some(30_000),
        cpu_user_us: Some(20_000),
        cpu_system_us: Some(10_000),
        io_read_bytes: Some(1),
        io_write_bytes: Some(0),
        ..Reading::default()
    };
    assert_eq!(counters.read(), expected);
    assert_eq!(counters.memory_parts(), Some((2, 1)));
}

#[test]
fn v2() {
    let root = tree(&V2);
    assert_eq!(version(root.path()), Some(2));
    let counters = Counters::open(root.path());
    assert_eq!(counters.read(), reading_v2());
    assert_eq!(counters.memory_bytes(), Some(4096));
    assert_eq!(counters.memory_parts(), Some((11, 22)));
    assert_eq!(counters.pids_max(), None);
}

/// Linux before 5.19, and a cgroup without some of the controllers: what is missing is absent and
/// the rest as it was.
#[test]
fn v2_without_memory_peak_says_so() {
    let missing = ["memory.peak", "pids.peak", "io.stat", "cpu.pressure"];
    let files: Vec<_> = V2
        .into_iter()
        .filter(|(name, _)| !missing.contains(name))
        .collect();
    let expected = Reading {
        memory_peak_bytes: None,
        pids_peak: None,
        io_read_bytes: None,
        io_write_bytes: None,
        pressure_us: [None, Some(2), Some(3)],
        ..reading_v2()
    };
    assert_eq!(Counters::open(tree(&files).path()).read(), expected);
    let bare = tree(&[
        ("cgroup.controllers", "memory\n"),
        ("cpu.stat", "usage_usec 9\nuser_usec 5\nsystem_usec 4\n"),
    ]);
    let expected = Reading {
        cpu_us: Some(9),
        cpu_user_us: Some(5),
        cpu_system_us: Some(4),
        ..Reading::default()
    };
    assert_eq!(Counters::open(bare.path()).read(), expected);
}

/// v1 with v2 beside it: v1's own figures, and of v2 what v1 has not.
#[test]
fn hybrid() {
    let beside: Vec<_> = V2
        .iter()
        .map(|(name, text)| (format!("unified/{name}"), *text))
        .collect();
    let both = |v1: &[(&str, &str)]| {
        let beside = beside.iter().map(|(name, text)| (name.as_str(), *text));
        tree(&v1.iter().copied().chain(beside).collect::<Vec<_>>())
    };
    let root = both(&V1);
    assert_eq!(version(root.path()), Some(1));
    let expected = Reading {
        pressure_us: [Some(1), Some(2), Some(3)],
        ..reading_v1()
    };
    assert_eq!(Counters::open(root.path()).read(), expected);

    // A controller that only v2 has.
    let without: Vec<_> = V1
        .into_iter()
        .filter(|(name, _)| !name.starts_with("blkio"))
        .collect();
    let expected = Reading {
        io_read_bytes: Some(4096),
        io_write_bytes: Some(0),
        ..expected
    };
    assert_eq!(Counters::open(both(&without).path()).read(), expected);

    // One that others are in tells nothing of us.
    for procs in ["0\n1\n", ""] {
        let root = both(&V1);
        fs::write(root.path().join("unified/cgroup.procs"), procs).unwrap();
        assert_eq!(Counters::open(root.path()).read(), reading_v1(), "{procs}");
    }
}

#[test]
fn a_cgroup_that_others_are_in_is_not_its_own() {
    let own = |files: &[(&str, &str)]| is_own(tree(files).path());
    let controllers = ("cgroup.controllers", "cpu memory pids\n");
    assert!(own(&[controllers, ("cgroup.procs", "1\n7\n")]));
    assert!(!own(&[controllers, ("cgroup.procs", "0\n0\n1\n")]));
    assert!(!own(&[controllers]));
    assert!(own(&[("memory/memory.limit_in_bytes", "134217728\n")]));
    assert!(!own(&[(
        "memory/memory.limit_in_bytes",
        "9223372036854771712\n"
    )]));
    assert!(!own(&[]));
}

#[test]
fn nothing_at_all_is_absent_and_not_zero() {
    let root = tree(&[]);
    assert_eq!(version(root.path()), None);
    for counters in [Counters::open(root.path()), Counters::default()] {
        assert_eq!(counters.read(), Reading::default());
        assert_eq!(counters.memory_bytes(), None);
        assert_eq!(counters.memory_parts(), None);
        assert!(!counters.count_cpu() && !counters.count_memory());
    }
}

/// Half a text would give half a sum.
#[test]
fn a_text_that_does_not_fit_is_absent() {
    let long = "8:0 Read 1\n".repeat(ROOM / 11 + 1);
    let root = tree(&[("blkio/blkio.throttle.io_service_bytes", &long)]);
    fs::create_dir(root.path().join("memory")).unwrap();
    assert_eq!(Counters::open(root.path()).read(), Reading::default());
}
