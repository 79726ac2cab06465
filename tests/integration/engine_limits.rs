//! Limits, in the real engines: reaching each has its verdict and its figures.
//!
//! Every hostile script bounds itself, and needs a shell and perl from the machine.

use std::fs;
use std::time::Duration;

use crate::engine_judge::{case, judge, suite};
use crate::engines::{Engine, on_every_engine};
use crate::harness::finish;

on_every_engine! {
    wall_clock_limits
    a_crowd_that_computes_has_its_verdict_in_time
    processor_time_is_limited_and_counted
    memory_is_limited_and_measured
    processes_are_limited
    output_is_limited_and_kept_as_it_is
    a_long_line_costs_the_launcher_no_memory
}

fn wall_clock_limits(on: &Engine) {
    let judged = judge(
        on,
        "profiles: { standard: { timeout: 1500ms } }",
        &[
            case("sleeps", "timeout wall", "exec sleep 30"),
            case(
                "says_goodbye",
                "timeout wall",
                "trap 'echo caught; exit 0' TERM; sleep 30 & wait",
            ),
            case(
                "ignores_term",
                "timeout wall",
                "trap '' TERM INT HUP; sleep 30; sleep 30; exit 0",
            ),
            case("stops_itself", "timeout wall", "kill -STOP $$; exit 0"),
            case(
                "trickles",
                "timeout wall",
                // An output every now and then does not move the deadline.
                r#"perl -e '$| = 1; $SIG{ALRM} = sub { exit 3 }; alarm 20; while (1) { print "."; select undef, undef, undef, 0.05 }'"#,
            ),
            case(
                "waits_for_input",
                "fail exit(4)",
                "read -r line && exit 0; exit 4", // There is none, and no waiting for it.
            ),
            case(
                "setsid_flood",
                "timeout wall",
                r#"perl -e 'use POSIX (); for (1..100) { my $p = fork; die unless defined $p; if (!$p) { $SIG{TERM} = "IGNORE"; POSIX::setsid(); sleep 30; exit } } sleep 30'"#,
            ),
        ],
    );
    let grace_us = 2_000_000;
    for (name, escalated) in [
        ("sleeps", "0"),
        ("says_goodbye", "0"),
        ("ignores_term", "1"),
        ("stops_itself", "1"),
        ("trickles", "0"),
    ] {
        assert_eq!(judged.of(name, "escalated"), escalated, "{name}");
        let wall = judged.number(name, "wall_us");
        assert!(wall >= 1_500_000, "{name}: {wall}");
        let most = 1_500_000 + 1_000_000 + if escalated == "1" { grace_us } else { 0 };
        assert!(wall < most, "{name}: {wall}");
    }
    assert_eq!(judged.of("sleeps", "termination"), "SIGTERM");
    assert_eq!(judged.of("ignores_term", "termination"), "SIGKILL");
    assert_eq!(judged.of("says_goodbye", "termination"), "exit(0)");
    let caught = judged.project.query(
        "select head from outputs join tests using (test)
         where id like '%says_goodbye_test.sh' and stream = 'stdout'",
    );
    assert_eq!(caught, "caught\n");
}

/// So many that compute leave the supervisor hardly any time of a processor. Looking at all of them
/// must not keep it from the clock.
fn a_crowd_that_computes_has_its_verdict_in_time(on: &Engine) {
    let judged = judge(
        on,
        "profiles: { standard: { timeout: 2s, cpu-time: 60s, pids: 600, memory: 1GiB } }",
        &[case(
            "crowd",
            "timeout wall",
            "exec perl -e 'my $end = time + 15; while (time < $end) { fork }'",
        )],
    );
    let rows = judged.project.rows("select wall_us from attempts");
    let wall_us: u64 = rows[0][0].parse().unwrap();
    assert!((2_000_000..8_000_000).contains(&wall_us), "{wall_us}");
}

fn processor_time_is_limited_and_counted(on: &Engine) {
    let burn = |seconds: &str| {
        format!(
            r#"perl -e '
            use POSIX ();
            exit if fork; POSIX::setsid(); exit if fork;
            while ((times)[0] + (times)[1] < {seconds}) {{ }}
            open(F, ">", "/tmp/done")'
            perl -e 'for (1..2000) {{ exit 0 if -e "/tmp/done"; select undef, undef, undef, 0.005 }} exit 1'"#
        )
    };
    let burner: &'static str = Box::leak(burn("0.5").into_boxed_str());
    let judged = judge(
        on,
        "default-profile: fast\nprofiles: { fast: { timeout: 60s } }",
        &[
            case(
                "spins",
                "timeout cpu",
                r#"perl -e 'alarm 30; $SIG{XCPU} = "IGNORE"; 1 while 1'"#,
            ),
            case("daemon_burns", "pass", burner),
            case("idles", "pass", "sleep 0.2"),
        ],
    );
    assert_eq!(judged.of("spins", "stopped"), "cpu");
    let spun = judged.number("spins", "cpu_us");
    assert!((1_000_000..1_500_000).contains(&spun), "{spun}");
    let source = judged.promises.text("source of CPU time");
    assert_eq!(judged.of("daemon_burns", "cpu_source"), source);
    let burned = judged.number("daemon_burns", "cpu_us");
    assert!((475_000..900_000).contains(&burned), "{burned}");
    assert!(judged.number("idles", "cpu_us") < 100_000);
}

fn memory_is_limited_and_measured(on: &Engine) {
    const BOMB: &str = r#"perl -e 'alarm 20; my @all; while (1) { my $x; open(Z, "<", "/dev/zero"); sysread(Z, $x, 4 << 20); push @all, $x }'"#;
    let child: &'static str = Box::leak(format!("{BOMB}; exit 0").into_boxed_str());
    let direct: &'static str = Box::leak(format!("exec {BOMB}").into_boxed_str());
    let judged = judge(
        on,
        "default-profile: fast\nprofiles: { fast: { timeout: 30s, cpu-time: 20s } }",
        &[
            case(
                "allocates",
                "pass",
                r#"perl -e 'open(Z, "<", "/dev/zero"); sysread(Z, my $x, 60 << 20) == 60 << 20 or exit 1'"#,
            ),
            case("allocates_less", "pass", "exit 0"),
            case(
                "fills_tmp",
                "pass",
                r#"for place in /tmp /dev/shm; do
                    dd if=/dev/zero of=$place/big bs=1M count=100 2>&1 | grep -q 'No space left' || exit 1
                    size=$(stat -c %s $place/big)
                    [ "$size" -eq $((32 << 20)) ] || { echo "$size"; exit 1; }
                    rm $place/big
                done"#,
            ),
            case(
                "many_files",
                "pass",
                r#"perl -e 'for (1..20000) { open(F, ">", "/tmp/$_") or do { print "$_ $!\n"; exit !($!{ENOSPC} && $_ > 1000) } } print "unlimited\n"'"#,
            ),
            case("bomb", "takes all memory", direct),
            case("child_bomb", "its child takes all memory", child),
            case(
                "shm_bomb",
                "takes all shared memory",
                r#"perl -e 'alarm 20; for (1..64) { my $id = shmget(0, 4 << 20, 01600); exit 3 unless defined $id; shmwrite($id, "x" x (4 << 20), 0, 4 << 20) or exit 4 } exit 0'"#,
            ),
        ],
    );
    let unlimited = "select 1 from outputs where cast(head as text) like 'unlimited%'";
    let unlimited = judged.project.rows(unlimited);
    assert_eq!(unlimited.is_empty(), on.limits_files());
    let promises = judged.promises;
    assert_eq!(
        judged.of("bomb", "termination"),
        promises.text("end of what takes all memory")
    );
    assert_eq!(judged.of("child_bomb", "termination"), "exit(0)");
    let source = judged.of("allocates", "memory_peak_source");
    if !promises.counted {
        // It may have been seen; and what nobody measured is not there.
        assert_ne!(source, "cgroup");
        for column in ["memory_start_bytes", "memory_peak_bound_bytes", "oom_kills"] {
            for name in ["allocates", "bomb", "shm_bomb"] {
                assert_eq!(judged.of(name, column), "NULL", "{name}: {column}");
            }
        }
        return;
    }
    assert_eq!(source, "cgroup");
    let mib = 1u64 << 20;
    let peak = judged.number("allocates", "memory_peak_bytes");
    let start = judged.number("allocates", "memory_start_bytes");
    assert!(
        (58 * mib..80 * mib).contains(&(peak - start)),
        "{start} {peak}"
    );
    // Whether the counter was reset before it or not, it is not the one's before.
    let seen = judged.number("allocates_less", "memory_peak_bytes");
    let source = judged.of("allocates_less", "memory_peak_source");
    if source == "sampled" {
        assert!(judged.number("allocates_less", "memory_peak_bound_bytes") >= seen);
    }
    assert!(seen < start + 20 * mib, "{seen} ({source})");
    for name in ["bomb", "child_bomb"] {
        assert!(judged.number(name, "oom_kills") >= 1, "{name}");
    }
    // Podman's monitor leaves a file where it was started.
    assert!(!judged.project.path().join("oom").exists());
    let peak = judged.number("bomb", "memory_peak_bytes");
    assert!((127 * mib..=128 * mib).contains(&peak), "{peak}");
}

fn processes_are_limited(on: &Engine) {
    let judged = judge(
        on,
        "default-profile: fast\nprofiles: { fast: { timeout: 30s, cpu-time: 20s } }",
        &[
            case(
                "fork_bomb",
                "pass",
                r#"perl -e 'alarm 20; for (1..400) { my $p = fork; if (defined $p && !$p) { fork; sleep 20; exit } } exit 0'"#,
            ),
            case(
                "shell_bomb",
                "pass",
                "i=0; while [ $i -lt 100 ]; do i=$((i + 1)); (sleep 20 &) 2>/dev/null; done; exit 0",
            ),
            case(
                "thread_bomb",
                "pass",
                r#"perl -Mthreads -e 'alarm 20; $SIG{__WARN__} = sub { }; for (1..100) { my $t = threads->create(sub { sleep 20 }) or last } use POSIX (); POSIX::_exit(0)'"#,
            ),
        ],
    );
    for name in ["fork_bomb", "shell_bomb", "thread_bomb"] {
        match judged.promises.text("counts refused processes") {
            "yes" => assert!(judged.number(name, "pids_limit_hits") > 0, "{name}"),
            _ => assert_eq!(judged.of(name, "pids_limit_hits"), "NULL", "{name}"),
        }
        // As many as there may be, and no more.
        let there = judged
            .of(name, "leaks")
            .matches("\"kind\":\"process\"")
            .count();
        println!("{name}: {there}");
    }
    assert!(judged.of("fork_bomb", "leaks").contains("perl"));
}

fn output_is_limited_and_kept_as_it_is(on: &Engine) {
    let judged = judge(
        on,
        "profiles: { standard: { output: 1MiB } }",
        &[
            case("flood", "fail output-limit", "exec timeout 20 yes"),
            case(
                "flood_both",
                "fail output-limit",
                "timeout 20 yes >&2 & exec timeout 20 yes",
            ),
            case(
                "at_the_limit",
                "pass",
                "head -c 1000000 /dev/zero; head -c 48576 /dev/zero >&2",
            ),
            case(
                "one_more",
                "fail output-limit",
                "head -c 1000000 /dev/zero; head -c 48577 /dev/zero >&2",
            ),
            case(
                "bytes",
                "pass",
                r#"perl -e 'binmode STDOUT; print map { chr } 0..255; print "\xff\xfe\0\xed\xa0\x80\r\e[2J"'"#,
            ),
            case(
                "colours",
                "fail exit(1)",
                r#"printf '\033[2J\033]0;x\007::error::x\n##[error]x\n\r'; exit 1"#,
            ),
        ],
    );
    for name in ["flood", "flood_both", "one_more"] {
        let total = judged.number(name, "stdout_bytes + stderr_bytes");
        // What is read beyond the limit is at most what the pipes and one turn of reading hold.
        let most = (1 << 20) + 2 * (17 << 16);
        assert!(((1 << 20) + 1..=most).contains(&total), "{name}: {total}");
    }
    let kept = judged.project.rows(
        "select id, stdout_bytes + stderr_bytes,
                sum(length(head) + length(tail)), sum(dropped_bytes)
         from attempts join outputs using (run, test, attempt) join tests using (test) group by id",
    );
    for row in kept {
        let number = |at: usize| row[at].parse::<u64>().unwrap();
        assert_eq!(number(1), number(2) + number(3), "{row:?}");
        assert!(number(2) <= 4 * (256 << 10), "{row:?}");
    }
    let hex = judged.project.query(
        "select hex(head) from outputs join tests using (test)
         where id like '%_bytes_test.sh' and stream = 'stdout'",
    );
    let mut bytes: Vec<u8> = (0..=255).collect();
    bytes.extend(b"\xff\xfe\0\xed\xa0\x80\r\x1b[2J");
    let expected: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    assert_eq!(hex, expected);
    let shown = format!("{}{}", judged.said.stdout, judged.said.stderr);
    assert!(!shown.contains('\x1b') && !shown.contains("##[error]"));
    assert!(!shown.lines().any(|line| line.trim().starts_with("::")));
}

/// The launcher's own memory, as the kernel saw it at its highest.
fn a_long_line_costs_the_launcher_no_memory(on: &Engine) {
    let project = suite(
        on,
        "profiles: { standard: { output: 200MiB } }",
        &[case(
            "long_line",
            "pass",
            "head -c 100000000 /dev/zero | tr '\\0' x",
        )],
    );
    let child = project.start(on.run([]));
    let status = format!("/proc/{}/status", child.id());
    let watcher = std::thread::spawn(move || {
        let mut highest_kib = 0;
        while let Ok(text) = fs::read_to_string(&status) {
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let Some(line) = line else { break };
            highest_kib = line
                .trim()
                .trim_end_matches(" kB")
                .parse::<u64>()
                .unwrap()
                .max(highest_kib);
            std::thread::sleep(Duration::from_millis(5));
        }
        highest_kib
    });
    let said = finish(child);
    assert_eq!(said.status, 0, "{}{}", said.stdout, said.stderr);
    let highest_kib = watcher.join().unwrap();
    assert!((1..64 << 10).contains(&highest_kib), "{highest_kib} KiB");
    assert_eq!(
        project.query("select max(stdout_bytes) from attempts"),
        "100000000"
    );
    let kept = project.rows("select length(head), dropped_bytes, length(tail) from outputs");
    assert_eq!(kept, [["262144", "99475712", "262144"]]);
}
