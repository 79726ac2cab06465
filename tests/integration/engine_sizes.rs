//! Several profiles in one worker slot, in the real engines: every test has its own profile's limits,
//! whether its worker was resized, replaced, or is another profile's as it is.

use crate::engines::{Engine, on_every_engine};
use crate::harness::Project;

on_every_engine! {
    tests_of_several_profiles_have_their_own_limits
    profiles_that_differ_in_time_alone_share_a_worker
    a_worker_is_resized_where_that_keeps_every_limit
}

/// Prints the container that it is in, and which limits it has there.
const LOOK: &str = r#"
# `comm` may have blanks in it; the start is the twentieth field after it.
set -- $(sed 's/.*) //' /proc/1/stat)
echo "container $(readlink /proc/self/ns/pid) ${20}"
cd /sys/fs/cgroup 2>/dev/null
if [ -e memory.max ]; then
    set -- $(cat memory.max) $(cat pids.max) $(cat cpu.max)
elif [ -e memory/memory.limit_in_bytes ]; then
    set -- $(cat memory/memory.limit_in_bytes) $(cat pids/pids.max) \
        $(cat cpu/cpu.cfs_quota_us) $(cat cpu/cpu.cfs_period_us)
else # No cgroup counts here; each process has the limits.
    set -- $(($(ulimit -d) * 1024)) "$(sed -n 's/^Max processes *\([0-9]*\) .*/\1/p' /proc/self/limits)" 0 1
fi
echo "limits $1 $2 $(($3 * 1000 / $4))"
echo "tmpfs $(df -k /tmp | sed -n '$s/[^ ]* *\([0-9]*\) .*/\1/p') files $(ulimit -Hn)"
"#;

/// What a test found.
#[derive(Debug)]
struct Seen {
    container: String,
    memory_mib: u64,
    pids: u64,
    /// Absent where nothing limits processors.
    millicpus: Option<u64>,
    tmpfs_kib: u64,
    files: u64,
}

/// What the test of this name has printed.
fn seen(project: &Project, name: &str) -> Seen {
    let text = project.query(&format!(
        "select head from outputs join tests using (test)
         where id = 'test/{name}_test.sh' and stream = 'stdout'"
    ));
    let line = |word: &str| -> Vec<&str> {
        let line = text.lines().find_map(|line| line.strip_prefix(word));
        line.unwrap_or_else(|| panic!("{name}: {text}"))
            .split_whitespace()
            .collect()
    };
    let number = |text: &str| -> u64 { text.parse().unwrap_or_else(|_| panic!("{name}: {text}")) };
    let limits = line("limits");
    let places = line("tmpfs");
    Seen {
        container: line("container").join(" "),
        memory_mib: number(limits[0]) >> 20,
        pids: number(limits[1]),
        millicpus: Some(number(limits[2])).filter(|share| *share > 0),
        tmpfs_kib: number(places[0]),
        files: number(places[2]),
    }
}

/// A project whose tests look, each under the profile of its own name, in one worker slot and in this
/// order.
fn looking(on: &Engine, profiles: &[(&str, &str)]) -> Project {
    let mut config = "workers: 1\norder: plan\nprofiles:\n".to_owned();
    let mut rules = "rules:\n".to_owned();
    for (at, (name, limits)) in profiles.iter().enumerate() {
        // The plan's order is that of the times which tests may take.
        let timeout = 60 - at;
        config += &format!("  {name}: {{ timeout: {timeout}s, {limits} }}\n");
        rules += &format!("  - {{ path: \"test/{name}_test.sh\", profile: {name} }}\n");
    }
    let mut project = on.project().config(&(config + &rules));
    for (name, _) in profiles {
        project = project.test(name, LOOK);
    }
    let said = project.run(on.run([]));
    assert_eq!(said.status, 0, "{}{}", said.stdout, said.stderr);
    assert_eq!(on.left_by(&project), Vec::<String>::new());
    project
}

fn tests_of_several_profiles_have_their_own_limits(on: &Engine) {
    // Wider and narrower in turn, each in every other respect as well.
    let profiles = [
        ("a", "memory: 128MiB, cpus: 1, pids: 64", (128, 64, 1000)),
        ("b", "memory: 512MiB, cpus: 0.5, pids: 40", (512, 40, 500)),
        ("c", "memory: 96MiB, cpus: 1.5, pids: 300", (96, 300, 1500)),
        (
            "d",
            "memory: 300MiB, cpus: 0.25, pids: 300",
            (300, 300, 250),
        ),
        ("e", "memory: 100MiB, cpus: 0.25, pids: 30", (100, 30, 250)),
        // No engine changes these from outside.
        (
            "f",
            "memory: 100MiB, cpus: 0.25, pids: 30, tmpfs: 8MiB",
            (100, 30, 250),
        ),
        (
            "g",
            "memory: 100MiB, cpus: 0.25, pids: 30, open-files: 77",
            (100, 30, 250),
        ),
    ];
    let project = looking(on, &profiles.map(|(name, limits, _)| (name, limits)));
    let counted = on.promises(&project).counted;
    for (name, _, (memory_mib, pids, millicpus)) in profiles {
        let seen = seen(&project, name);
        assert_eq!(
            (seen.memory_mib, seen.pids),
            (memory_mib, pids),
            "{name}: {seen:?}"
        );
        assert_eq!(
            seen.millicpus,
            counted.then_some(millicpus),
            "{name}: {seen:?}"
        );
        let tmpfs_kib = if name == "f" { 8 << 10 } else { 100 << 10 };
        let files = if name == "g" { 77 } else { 500 };
        assert_eq!(
            (seen.tmpfs_kib, seen.files),
            (tmpfs_kib, files),
            "{name}: {seen:?}"
        );
    }
    // And the record says the same of the worker that each had.
    let rows = project.rows(
        "select id, attestation ->> '$.memory_bytes', attestation ->> '$.pids', workers.profile
         from attempts join tests using (test) join workers using (run, worker) order by id",
    );
    for ((name, _, (memory_mib, pids, _)), row) in profiles.iter().zip(rows) {
        assert_eq!(row[0], format!("test/{name}_test.sh"));
        assert_eq!(row[3], *name);
        assert_eq!(row[2], pids.to_string(), "{row:?}");
        let memory = (memory_mib << 20).to_string();
        assert_eq!(row[1], if counted { &memory } else { "NULL" }, "{row:?}");
    }
}

fn profiles_that_differ_in_time_alone_share_a_worker(on: &Engine) {
    let project = looking(
        on,
        &[
            ("a", "cpu-time: 10s"),
            ("b", "cpu-time: 20s, nice: 5, output: 1MiB"),
            ("c", "nice: 1"),
        ],
    );
    let rows = project.rows("select profile, worker, sequence from attempts order by profile");
    assert_eq!(rows, [["a", "1", "1"], ["b", "1", "2"], ["c", "1", "3"]]);
    assert_eq!(project.query("select count(*) from workers"), "1");
}

fn a_worker_is_resized_where_that_keeps_every_limit(on: &Engine) {
    let project = looking(
        on,
        &[
            ("a", "memory: 256MiB, cpus: 1"),
            ("b", "memory: 128MiB, cpus: 0.5"),
            ("c", "memory: 512MiB, cpus: 1.5"),
            ("d", "memory: 512MiB, cpus: 1.5, tmpfs: 8MiB"),
        ],
    );
    let container = |name| seen(&project, name).container;
    let counted = on.promises(&project).counted;
    assert_eq!(container("a") == container("b"), counted);
    assert_eq!(container("b") == container("c"), counted);
    assert_ne!(
        container("c"),
        container("d"),
        "its temporary folders are smaller"
    );
    let rows = project.rows("select worker, tests, problem from workers order by worker");
    assert_eq!(rows.len(), 4);
    assert!(rows.iter().all(|row| row[1..] == ["1", "NULL"]), "{rows:?}");
}
