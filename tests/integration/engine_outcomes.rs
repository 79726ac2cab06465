//! Hostile tests, in the real engines: each has its verdict, and the next test in the same worker
//! finds a clean place.
//!
//! Every hostile script bounds itself, so that a broken supervisor does not take the machine along.
//! They need a shell and perl, which the image `host` has from the machine.

use crate::engine_judge::{case, judge};
use crate::engines::{Engine, on_every_engine};

on_every_engine! {
    exits_and_signals
    what_a_test_leaves_behind
}

fn exits_and_signals(on: &Engine) {
    let judged = judge(
        on,
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
    assert_eq!(judged.of("segv", "termination"), "SIGSEGV");
    assert_eq!(judged.of("exit_137", "termination"), "exit(137)");
    // Nothing was measured that could be mistaken for a limit.
    let kills = judged.promises.text("kills of a test that uses no memory");
    assert_eq!(judged.of("exit_137", "oom_kills"), kills);
}

fn what_a_test_leaves_behind(on: &Engine) {
    let judged = judge(
        on,
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
    let leaks = |name: &str| judged.of(name, "leaks");
    assert!(
        leaks("holds_stdout").contains("sleep"),
        "{}",
        leaks("holds_stdout")
    );
    // The test itself is over when its process is, whoever holds its pipes.
    assert!(judged.number("holds_stdout", "wall_us") < 2_000_000);
    let many = leaks("setsid_200").matches("\"kind\":\"process\"").count();
    assert!(many >= 190, "{many} processes are named");
    for kind in ["shm", "sem", "msg", "message-queue"] {
        assert!(leaks("ipc").contains(kind), "{kind}: {}", leaks("ipc"));
    }
    for name in ["closed_tmp", "open_tmp"] {
        assert!(leaks(name).contains("attributes"), "{}", leaks(name));
    }
    assert_eq!(leaks("zombies"), "NULL");
    assert_eq!(judged.of("forged", "termination"), "exit(9)");
    assert_eq!(
        judged.project.query("select count(*) from planned"),
        judged.project.query("select count(*) from attempts")
    );
}
