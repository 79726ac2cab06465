//! Hostile tests, in the real engine: each has its verdict, and the next test in the same worker
//! finds a clean place.
//!
//! Every hostile script bounds itself, so that a broken supervisor does not take the machine along.
//! They need a shell and perl, which the image `host` has from the machine.

use std::fs;
use std::time::Duration;

use crate::harness::{Project, Said, containers_of, engine, finish};

/// A hostile test and the verdict that it must get.
struct Case {
    name: &'static str,
    script: &'static str,
    verdict: &'static str,
}

const fn case(name: &'static str, verdict: &'static str, script: &'static str) -> Case {
    Case {
        name,
        script,
        verdict,
    }
}

/// Fails where anything of an earlier test is there, or anything that a test needs is not.
const CLEAN: &str = r#"
fail() { echo "$*"; exit 1; }
for folder in /proc/[0-9]*; do
    case ${folder#/proc/} in
    1 | $$) ;;
    *) fail "process ${folder#/proc/}: $(cat "$folder/comm")" ;;
    esac
done
for place in "$TMPDIR" "$HOME" /dev/shm /dev/mqueue; do
    for entry in "$place"/* "$place"/.[!.]* "$place"/..?*; do
        [ ! -e "$entry" ] && [ ! -L "$entry" ] || fail "$entry"
    done
done
for place in "$TMPDIR" "$HOME" /dev/shm; do
    echo x >"$place/x" && mkdir "$place/y" || fail "$place cannot be used"
done
for what in shm sem msg; do
    lines=0
    while read -r _; do lines=$((lines + 1)); done </proc/sysvipc/$what
    [ "$lines" -eq 1 ] || fail "$what objects"
done
modes=$(stat -c '%a %u' /tmp /dev/shm "$HOME" | tr '\n' ' ')
[ "$modes" = '1777 1001 1777 0 700 1001 ' ] || fail "/tmp, /dev/shm and home: $modes"
"#;

/// A project with these cases in this order, each followed by a test that must find nothing.
fn suite(config: &str, cases: &[Case]) -> Project {
    let mut project = Project::new().config(&format!("workers: 1\n{config}"));
    for (at, case) in cases.iter().enumerate() {
        project = project
            .test(&format!("{at:02}_{}", case.name), case.script)
            .test(&format!("{at:02}_{}_then", case.name), CLEAN);
    }
    project
}

/// Runs the cases and checks every verdict, that one worker ran them all, and that nothing is left.
fn judge(config: &str, cases: &[Case]) -> (Project, Said) {
    let project = suite(config, cases);
    let said = project.run(["run", "--image", "host"]);
    let mut expected = Vec::new();
    for (at, case) in cases.iter().enumerate() {
        let id = |end: &str| format!("test/{at:02}_{}{end}_test.sh", case.name);
        expected.push((id(""), case.verdict.to_owned()));
        expected.push((id("_then"), "pass".to_owned()));
    }
    expected.sort();
    let found = project.verdicts();
    assert_eq!(found, expected, "{}{}", said.stdout, said.stderr);
    let rows = project.rows(
        "select count(distinct worker), count(*), max(sequence), sum(superseded) from attempts",
    );
    let count = expected.len().to_string();
    assert_eq!(
        rows[0],
        ["1", &count, &count, "0"],
        "{}{}",
        said.stdout,
        said.stderr
    );
    let bad = expected
        .iter()
        .any(|(_, verdict)| verdict != "pass" && verdict != "skip");
    assert_eq!(said.status, i32::from(bad), "{}", said.stderr);
    assert_eq!(containers_of(&project), Vec::<String>::new());
    (project, said)
}

/// One column of the attempt at the case of this name.
fn of(project: &Project, case: &str, column: &str) -> String {
    project.query(&format!(
        "select {column} from attempts join tests using (test)
         where id glob 'test/[0-9][0-9]_{case}_test.sh'"
    ))
}

fn number(project: &Project, case: &str, column: &str) -> u64 {
    let text = of(project, case, column);
    text.parse()
        .unwrap_or_else(|_| panic!("{case}: {column} is {text}"))
}

#[test]
fn exits_and_signals() {
    if !engine() {
        return;
    }
    let (project, _) = judge(
        "",
        &[
            case("exit_1", "fail exit(1)", "exit 1"),
            case("exit_125", "fail exit(125)", "exit 125"),
            case("exit_126", "fail exit(126)", "exit 126"),
            case("exit_127", "fail exit(127)", "exit 127"),
            case("exit_137", "fail exit(137)", "exit 137"),
            case("exit_139", "fail exit(139)", "exit 139"),
            case("exit_143", "fail exit(143)", "exit 143"),
            case("skip", "skip", "exit 77"),
            case("segv", "crash SIGSEGV", "kill -SEGV $$"),
            case("abort", "crash SIGABRT", "kill -ABRT $$"),
            case("kill", "crash SIGKILL", "kill -KILL $$"),
            // Nobody on our side sent this one.
            case("term", "crash SIGTERM", "kill -TERM $$"),
            // Everything that it may kill, itself excepted as `kill -1` has it.
            case(
                "kill_all",
                "pass",
                "sleep 60 & kill -KILL -1; kill -STOP -1; kill -TERM -1; exit 0",
            ),
            case(
                "kill_supervisor",
                "pass",
                "for signal in KILL STOP TERM INT HUP SEGV CHLD CONT; do kill -$signal 1; done; exit 0",
            ),
        ],
    );
    assert_eq!(of(&project, "segv", "termination"), "SIGSEGV");
    assert_eq!(of(&project, "exit_137", "termination"), "exit(137)");
    // Nothing was measured that could be mistaken for a limit.
    assert_eq!(of(&project, "exit_137", "oom_kills"), "0");
}

#[test]
fn what_a_test_leaves_behind() {
    if !engine() {
        return;
    }
    let (project, _) = judge(
        "profiles: { standard: { pids: 256 } }",
        &[
            case(
                "zombies",
                "pass",
                // A thousand orphans, each dead when its parent is: the supervisor reaps them.
                r#"perl -e 'for (1..1000) { my $p = fork; die unless defined $p; if (!$p) { fork; exit } wait }'
                sleep 0.05; set -- /proc/[0-9]*; [ $# -lt 20 ] || { echo $#; exit 1; }"#,
            ),
            case(
                "holds_stdout",
                "pass",
                "setsid sleep 60 & exit 0", // A grandchild with our stdout, which never ends.
            ),
            case(
                "setsid_200",
                "pass",
                r#"perl -e 'use POSIX (); for (1..100) { my $p = fork; die unless defined $p; if (!$p) { POSIX::setsid(); fork; sleep 60; exit } }'"#,
            ),
            case(
                "ipc",
                "pass",
                r#"perl -e '(defined shmget(77, 65536, 01666) && defined semget(77, 2, 01666) && defined msgget(77, 01666)) or die $!' &&
                "$DOCKER_TEST" probe mqueue make left"#,
            ),
            case(
                "closed_folders",
                "pass",
                r#"mkdir -p "$HOME/a/b" "$TMPDIR/a/b"; echo x >"$HOME/a/b/c"
                chmod 000 "$HOME/a/b" "$TMPDIR/a" "$HOME/a"; chmod 000 "$HOME""#,
            ),
            case("closed_tmp", "pass", "echo x >/tmp/x; chmod 000 /tmp"),
            case(
                "open_tmp",
                "pass",
                "chmod 4755 /tmp; chmod 3000 /dev/shm; exit 0",
            ),
            case(
                "replaced_home",
                "pass",
                r#"rmdir "$HOME" && ln -s /usr "$HOME"; ln -s / /tmp/root; ln -s /work /dev/shm/w"#,
            ),
            case(
                "attributes",
                "pass",
                // setxattr(path, "user.x", "1", 1, 0): allowed or refused, it must not stay. Then an
                // access list that takes the owner's own rights away.
                r#"perl -e '
                    my $n = (`uname -m` =~ /x86_64/) ? 188 : 5;
                    my ($path, $name, $value) = ("/tmp\0", "user.x\0", "1");
                    syscall($n, $path, $name, $value, 1, 0);
                    my $acl = pack("L", 2) . join "", map { pack("SSL", @$_) }
                        [1, 0, 0xffffffff], [2, 7, 1002], [4, 0, 0xffffffff], [16, 7, 0xffffffff], [32, 0, 0xffffffff];
                    my $list = "system.posix_acl_access\0";
                    my $done = syscall($n, $path, $list, $acl, length $acl, 0);
                    print "acl: $done\n"; exit 0'"#,
            ),
            case(
                "deep_tree",
                "pass",
                r#"perl -e 'chdir "/tmp"; for (1..4000) { mkdir "d" or exit 0; chdir "d" or exit 1 }'"#,
            ),
            case(
                "names",
                "pass",
                r#"perl -e 'for my $n ("\n", "\xff\xfe", "-rf", " ", "a" x 255, "\e[2J", ".x", "..x", "*") { open(F, ">", "/tmp/$n") or die $! }'"#,
            ),
            case(
                "forged",
                "fail exit(9)",
                r#"line='{"type":"report","seq":17,"termination":{"exit":0},"stopped":null,"started_unix_us":0,"resources":{"wall_us":1},"stdout_bytes":0,"stderr_bytes":0,"reset_ns":0}'
                for i in 1 2 3 4 5; do printf '\n%s\n' "$line"; printf '\n%s\n' "$line" >&2; done
                printf '%s\n' '{"type":"goodbye","tests":1}'
                for fd in 0 1 2 3 4 5 6 7 8 9; do { printf '\n%s\n' "$line" >/proc/1/fd/$fd; } 2>/dev/null; done
                exit 9"#,
            ),
        ],
    );
    let leaks = |name: &str| of(&project, name, "leaks");
    assert!(
        leaks("holds_stdout").contains("sleep"),
        "{}",
        leaks("holds_stdout")
    );
    // The test itself is over when its process is, whoever holds its pipes.
    assert!(number(&project, "holds_stdout", "wall_us") < 2_000_000);
    let many = leaks("setsid_200").matches("\"kind\":\"process\"").count();
    assert!(many >= 190, "{many} processes are named");
    for kind in ["shm", "sem", "msg", "message-queue"] {
        assert!(leaks("ipc").contains(kind), "{kind}: {}", leaks("ipc"));
    }
    for name in ["closed_tmp", "open_tmp"] {
        assert!(leaks(name).contains("attributes"), "{}", leaks(name));
    }
    assert_eq!(leaks("zombies"), "NULL");
    assert_eq!(of(&project, "forged", "termination"), "exit(9)");
    assert_eq!(
        project.query("select count(*) from planned"),
        project.query("select count(*) from attempts")
    );
}

#[test]
fn wall_clock_limits() {
    if !engine() {
        return;
    }
    let (project, _) = judge(
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
        assert_eq!(of(&project, name, "escalated"), escalated, "{name}");
        let wall = number(&project, name, "wall_us");
        assert!(wall >= 1_500_000, "{name}: {wall}");
        let most = 1_500_000 + 1_000_000 + if escalated == "1" { grace_us } else { 0 };
        assert!(wall < most, "{name}: {wall}");
    }
    assert_eq!(of(&project, "sleeps", "termination"), "SIGTERM");
    assert_eq!(of(&project, "ignores_term", "termination"), "SIGKILL");
    assert_eq!(of(&project, "says_goodbye", "termination"), "exit(0)");
    let caught = project.query(
        "select head from outputs join tests using (test)
         where id like '%says_goodbye_test.sh' and stream = 'stdout'",
    );
    assert_eq!(caught, "caught\n");
}

#[test]
fn processor_time_is_limited_and_counted() {
    if !engine() {
        return;
    }
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
    let (project, _) = judge(
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
    assert_eq!(of(&project, "spins", "stopped"), "cpu");
    let spun = number(&project, "spins", "cpu_us");
    assert!((1_000_000..1_500_000).contains(&spun), "{spun}");
    assert_eq!(of(&project, "daemon_burns", "cpu_source"), "cgroup");
    let burned = number(&project, "daemon_burns", "cpu_us");
    assert!((475_000..900_000).contains(&burned), "{burned}");
    assert!(number(&project, "idles", "cpu_us") < 100_000);
}

#[test]
fn memory_is_limited_and_measured() {
    if !engine() {
        return;
    }
    const BOMB: &str = r#"perl -e 'alarm 20; my @all; while (1) { my $x; open(Z, "<", "/dev/zero"); sysread(Z, $x, 4 << 20); push @all, $x }'"#;
    let child: &'static str = Box::leak(format!("{BOMB}; exit 0").into_boxed_str());
    let direct: &'static str = Box::leak(format!("exec {BOMB}").into_boxed_str());
    let (project, _) = judge(
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
                r#"perl -e 'for (1..20000) { open(F, ">", "/tmp/$_") or do { print "$_ $!\n"; exit !($!{ENOSPC} && $_ > 1000) } } exit 1'"#,
            ),
            case("bomb", "oom", direct),
            case("child_bomb", "oom", child),
            case(
                "shm_bomb",
                "oom",
                r#"perl -e 'alarm 20; for (1..64) { my $id = shmget(0, 4 << 20, 01600); exit 3 unless defined $id; shmwrite($id, "x" x (4 << 20), 0, 4 << 20) or exit 4 } exit 0'"#,
            ),
        ],
    );
    let mib = 1u64 << 20;
    assert_eq!(of(&project, "allocates", "memory_peak_source"), "cgroup");
    let peak = number(&project, "allocates", "memory_peak_bytes");
    let start = number(&project, "allocates", "memory_start_bytes");
    assert!(
        (58 * mib..80 * mib).contains(&(peak - start)),
        "{start} {peak}"
    );
    // No new record, so nobody knows more than that it was no higher.
    assert_eq!(of(&project, "allocates_less", "memory_peak_bytes"), "NULL");
    assert!(number(&project, "allocates_less", "memory_peak_bound_bytes") >= peak);
    for name in ["bomb", "child_bomb"] {
        assert!(number(&project, name, "oom_kills") >= 1, "{name}");
    }
    assert_eq!(of(&project, "bomb", "termination"), "SIGKILL");
    assert_eq!(of(&project, "child_bomb", "termination"), "exit(0)");
    let peak = number(&project, "bomb", "memory_peak_bytes");
    assert!((127 * mib..=128 * mib).contains(&peak), "{peak}");
}

#[test]
fn processes_are_limited() {
    if !engine() {
        return;
    }
    let (project, _) = judge(
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
        assert!(number(&project, name, "pids_limit_hits") > 0, "{name}");
    }
    assert!(of(&project, "fork_bomb", "leaks").contains("perl"));
}

#[test]
fn output_is_limited_and_kept_as_it_is() {
    if !engine() {
        return;
    }
    let (project, said) = judge(
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
        let total = number(&project, name, "stdout_bytes + stderr_bytes");
        // What is read beyond the limit is at most what the pipes and one turn of reading hold.
        let most = (1 << 20) + 2 * (17 << 16);
        assert!(((1 << 20) + 1..=most).contains(&total), "{name}: {total}");
    }
    let kept = project.rows(
        "select id, stdout_bytes + stderr_bytes,
                sum(length(head) + length(tail)), sum(dropped_bytes)
         from attempts join outputs using (run, test, attempt) join tests using (test) group by id",
    );
    for row in kept {
        let number = |at: usize| row[at].parse::<u64>().unwrap();
        assert_eq!(number(1), number(2) + number(3), "{row:?}");
        assert!(number(2) <= 4 * (256 << 10), "{row:?}");
    }
    let hex = project.query(
        "select hex(head) from outputs join tests using (test)
         where id like '%_bytes_test.sh' and stream = 'stdout'",
    );
    let mut bytes: Vec<u8> = (0..=255).collect();
    bytes.extend(b"\xff\xfe\0\xed\xa0\x80\r\x1b[2J");
    let expected: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    assert_eq!(hex, expected);
    let shown = format!("{}{}", said.stdout, said.stderr);
    assert!(!shown.contains('\x1b') && !shown.contains("##[error]"));
    assert!(!shown.lines().any(|line| line.trim().starts_with("::")));
}

/// The launcher's own memory, as the kernel saw it at its highest.
#[test]
fn a_long_line_costs_the_launcher_no_memory() {
    if !engine() {
        return;
    }
    let project = suite(
        "profiles: { standard: { output: 200MiB } }",
        &[case(
            "long_line",
            "pass",
            "head -c 100000000 /dev/zero | tr '\\0' x",
        )],
    );
    let child = project.start(["run", "--image", "host"]);
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
    assert_eq!(of(&project, "long_line", "stdout_bytes"), "100000000");
    let kept = project.rows("select length(head), dropped_bytes, length(tail) from outputs");
    assert_eq!(kept, [["262144", "99475712", "262144"]]);
}
