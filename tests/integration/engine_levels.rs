//! Levels and networks in the real engine.

use std::net::TcpListener;
use std::time::Duration;

use crate::engines::{Engine, on, on_every_engine};
use crate::harness::{Project, Said, wait_until};

on_every_engine! {
    leaks_are_warnings_under_standard_and_failures_under_strict
    the_pids_limit_fails_a_test_under_strict
    paranoid_is_strict_in_a_container_for_each_test
}

on!([docker sandbox sandbox_user] workers_do_not_reach_each_other);

// They ask the engine for its networks.
on!([docker]
    each_network_reaches_what_it_says
    the_network_of_a_killed_launcher_is_removed_by_the_next_run
);

/// Each leaves something outside its own folders, and exits with 0.
const LEAKS: [(&str, &str); 6] = [
    ("process", "setsid sleep 1000 & exit 0"),
    ("queue", "\"$DOCKER_TEST\" probe mqueue make left"),
    ("shm", "echo x >/dev/shm/x"),
    ("beside_home", "echo x >/home/x"),
    ("mode", "chmod 700 /tmp"),
    ("sysv", "perl -e 'defined msgget(77, 01666) or die $!'"),
];

/// Each writes only where it may.
const OWN: [(&str, &str); 4] = [
    ("nothing", "exit 0"),
    (
        "tmp",
        "mkdir -p \"$TMPDIR/a/b\" && echo x >\"$TMPDIR/a/b/c\"",
    ),
    (
        "home",
        "mkdir -p \"$HOME/a/b\" && echo x >\"$HOME/a/b/c\" && chmod 000 \"$HOME/a\" \"$HOME\"",
    ),
    (
        "deep",
        r#"perl -e 'chdir $ENV{HOME}; for (1..100) { mkdir "d" or die $!; chdir "d" or die $! }'"#,
    ),
];

/// The last run: one that is refused comes before it.
const LAST: &str = "run = (select run from runs order by started_unix_us desc limit 1)";

fn run(on: &Engine, project: &Project, more: &[&str]) -> Said {
    project.run(on.run(more.iter().copied()))
}

fn project(on: &Engine, tests: &[(&str, &str)]) -> Project {
    let project = on.project().config("workers: 1");
    tests.iter().fold(project, |project, (name, script)| {
        project.test(name, script)
    })
}

fn verdict(project: &Project, name: &str) -> String {
    let id = format!("test/{name}_test.sh");
    let verdicts = project.verdicts().into_iter();
    let mut found = verdicts.filter(|(test, _)| *test == id);
    found.next().unwrap_or_else(|| panic!("{id} did not run")).1
}

fn leaks_are_warnings_under_standard_and_failures_under_strict(on: &Engine) {
    let project = project(on, &[&LEAKS[..], &OWN].concat());
    for level in ["standard", "strict"] {
        let said = on.run_at_level(level, &project);
        let strict = level == "strict";
        assert_eq!(said.status, i32::from(strict), "{said:?}");
        for (name, _) in LEAKS {
            let expected = if strict { "fail leak" } else { "pass" };
            assert_eq!(
                verdict(&project, name),
                expected,
                "{level} {name}: {said:?}"
            );
        }
        for (name, _) in OWN {
            assert_eq!(verdict(&project, name), "pass", "{level} {name}: {said:?}");
        }
        let word = if strict { "error" } else { "warning" };
        let lines = said.stdout.matches(&format!("  = {word}: ")).count();
        assert_eq!(lines, LEAKS.len(), "{}", said.stdout);
        let workers = format!("select count(distinct worker) from attempts where {LAST}");
        assert_eq!(project.query(&workers), "1");
    }
    on.promises(&project);
    let leaks = format!("select leaks from attempts join tests using (test) where {LAST} and id");
    let home = project.query(&format!("{leaks} like '%/home_test.sh'"));
    assert!(
        home.contains("/home/testuser") && !home.contains("outside"),
        "{home}"
    );
    let beside = project.query(&format!("{leaks} like '%/beside_home_test.sh'"));
    assert!(beside.contains("\"outside\":true"), "{beside}");
    assert_eq!(on.left_by(&project), Vec::<String>::new());
}

fn the_pids_limit_fails_a_test_under_strict(on: &Engine) {
    let project = project(
        on,
        &[(
            "forks",
            r#"perl -e 'for (1..200) { my $p = fork; exit 0 unless defined $p; if (!$p) { sleep 60; exit } }'; kill -KILL -1; exit 0"#,
        )],
    );
    // The last KILL is the test's own end too: what it left is not to be judged.
    for (level, expected) in [
        ("standard", "pass"),
        ("strict", "needs more processes, strict"),
    ] {
        let said = on.run_at_level(level, &project);
        let expected = on.promises(&project).verdict(expected);
        assert_eq!(verdict(&project, "forks"), expected, "{said:?}");
    }
}

fn paranoid_is_strict_in_a_container_for_each_test(on: &Engine) {
    let project = project(on, &[LEAKS[1], OWN[0], OWN[1]]);
    let said = on.run_at_level("paranoid", &project);
    assert_eq!(said.status, 1, "{said:?}");
    assert_eq!(verdict(&project, LEAKS[1].0), "fail leak");
    assert_eq!(verdict(&project, OWN[1].0), "pass");
    let workers = "select count(distinct worker) || ' of ' || count(*) from attempts where ";
    assert_eq!(project.query(&format!("{workers}{LAST}")), "3 of 3");
}

/// What a test sees of the network, a word a line: its interfaces, and `reached` where `$PEER` or
/// the first address of its own network answers, which is the machine's.
const LOOK: &str = r#"perl -MIO::Socket::INET -e '
    open(D, "<", "/proc/net/dev") or die $!;
    for (<D>) { print "$1\n" if /^\s*(\w+):/ && $1 ne "lo" }
    open(R, "<", "/proc/net/route") or die $!;
    my @peers = $ENV{PEER};
    for (<R>) {
        my (undef, $to) = split or next;
        next unless $to =~ /^[0-9A-F]{8}$/ && $to ne "00000000";
        my @bytes = reverse map { hex } $to =~ /../g;
        push @peers, join(".", @bytes[0..2], $bytes[3] + 1);
    }
    for (@peers) {
        print "reached\n" if IO::Socket::INET->new(PeerAddr => $_, PeerPort => $ENV{PORT}, Timeout => 3);
    }
'"#;

/// The networks of a run, by its name.
fn networks_of(on: &Engine, run: &str) -> String {
    let filter = format!("label=dev.docker-test.run={run}");
    on.call([
        "network",
        "ls",
        "--filter",
        &filter,
        "--format",
        "{{.Name}}",
    ])
}

fn each_network_reaches_what_it_says(on: &Engine) {
    // Somebody to reach: this machine, at the address that the bridge gives it.
    let format = "{{range .IPAM.Config}}{{.Gateway}}{{end}}";
    let gateway = on.call(["network", "inspect", "bridge", "--format", format]);
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (peer, port) = (format!("PEER={gateway}"), format!("PORT={port}"));
    for (network, expected) in [
        ("none", &[][..]),
        ("internal", &["eth0"]),
        ("bridge", &["eth0", "reached"]),
    ] {
        let project = project(on, &[("look", LOOK)]);
        let said = run(
            on,
            &project,
            &[
                "--network",
                network,
                "--timeout",
                "1m",
                "--env",
                &peer,
                "--env",
                &port,
            ],
        );
        assert_eq!((said.stderr.as_str(), said.status), ("", 0), "{said:?}");
        let seen = project.query("select head from outputs where stream = 'stdout'");
        let mut seen: Vec<&str> = seen.lines().collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, expected, "{network}");
        assert_eq!(project.query("select network from runs"), network);
        // As it was asked for, so it holds; and it is as clean after the test as without one.
        let limits = project.query("select limits from workers");
        assert!(!limits.contains("unenforced"), "{network}: {limits}");
        assert_eq!(project.query("select leaks from attempts"), "NULL");
        assert_eq!(networks_of(on, &project.query("select run from runs")), "");
    }
}

/// Tests of one run, each in its own worker, do not meet on its network.
fn workers_do_not_reach_each_other(on: &Engine) {
    let script = r#"perl -MIO::Socket::INET -e '
        my $listener = IO::Socket::INET->new(LocalPort => 4321, Listen => 5) or die $!;
        open(T, "<", "/proc/net/fib_trie") or die $!;
        my %own = map { $_ => 1 } join("", <T>) =~ /(\d+\.\d+\.\d+\.\d+)\n\s+\/32 host LOCAL/g;
        my ($own) = grep { !/^127/ } keys %own;
        my ($net, $last) = $own =~ /^(.*\.)(\d+)$/;
        sleep 1;
        for (1..5) {
            next if $_ == $last;
            exit 9 if IO::Socket::INET->new(PeerAddr => "$net$_", PeerPort => 4321, Timeout => 1);
        }
        IO::Socket::INET->new(PeerAddr => $own, PeerPort => 4321, Timeout => 1) or exit 8'"#;
    let project = project(on, &[("a", script), ("b", script)]);
    let said = run(
        on,
        &project,
        &[
            "--network",
            "internal",
            "--workers",
            "2",
            "--hold",
            "2",
            "--timeout",
            "1m",
        ],
    );
    assert_eq!(said.status, 0, "{said:?}");
    let workers = "select count(distinct worker) from attempts";
    assert_eq!(project.query(workers), "2");
}

/// Its network outlives a launcher that is killed, and not the next run that has one.
fn the_network_of_a_killed_launcher_is_removed_by_the_next_run(on: &Engine) {
    let project = project(on, &[("a", "sleep 1000")]);
    let mut child = project.start(on.run(["--network", "internal", "--timeout", "10m"]));
    let soon = Duration::from_secs(60);
    let label = format!("label=dev.docker-test.pid={}", child.id());
    wait_until("its container", soon, || {
        !on.call(["ps", "-q", "--filter", &label]).is_empty()
    });
    child.kill().unwrap();
    child.wait().unwrap();
    let networks = || on.call(["network", "ls", "-q", "--filter", &label]);
    assert_eq!(networks().lines().count(), 1);
    wait_until("its container's end", soon, || {
        on.call(["ps", "-aq", "--filter", &label]).is_empty()
    });
    let next = self::project(on, &[("b", "exit 0")]);
    let said = run(on, &next, &["--network", "internal"]);
    assert_eq!((said.stderr.as_str(), said.status), ("", 0), "{said:?}");
    assert_eq!(networks(), "");
}
