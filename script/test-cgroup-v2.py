"""What script/test-cgroup-v2 runs in the virtual machine: a table of what holds there.

/project holds the program and the repository's suite, read-only. The exit status is 0 only where
everything is as expected; what is not is told below its line.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time

SOURCE = "/project"
PROGRAM = f"{SOURCE}/docker-test"
BASE = "docker-test-stand-in/alpine"
CPUS = len(os.sched_getaffinity(0))
MIB = 1 << 20
# cpus, memory, pids and open files, as the profiles have them.
PROFILES = {
    "fast": (1, 128 * MIB, 64, 100),
    "standard": (2, 512 * MIB, 128, 500),
    "slow": (2, 1024 * MIB, 256, 1000),
    "small": (1, 64 * MIB, 32, 500),
}
LIMITS = {
    "memory", "swap", "cpus", "pids", "open-files", "user", "capabilities", "no-new-privileges",
    "seccomp", "read-only-root", "network", "pid-namespace",
}  # fmt: skip

# The time limits are for a machine that is not emulated; nothing else of the profiles is changed.
MORE_TIME = """
profiles:
  fast: { timeout: 3m, cpu-time: 3m }
  standard: { timeout: 3m, cpu-time: 3m }
  slow: { timeout: 5m, cpu-time: 5m }
"""

OUTCOMES_CONFIG = """
workers: 1
default-profile: small
profiles:
  small: { cpus: 1, memory: 64MiB, timeout: 20s, cpu-time: 6s, pids: 32, output: 1MiB }
"""

# Name: script, outcome, reason. They run in this order in one worker, so that each is also the
# proof that the one before it left nothing: `dd` fails where memory is still taken, and `clean`
# would see the fork bomb.
OUTCOMES = {
    "01_apparmor": ("cat /proc/self/attr/current", "pass", None),
    "02_memory": ("dd if=/dev/zero of=/dev/null bs=40M count=1", "pass", None),
    "03_fail": ("exit 3", "fail", "exit(3)"),
    "04_skip": ("exit 77", "skip", None),
    "05_timeout_wall": ("sleep 600", "timeout", "wall"),
    "06_timeout_cpu": ("while :; do :; done", "timeout", "cpu"),
    "07_oom": ("exec dd if=/dev/zero of=/dev/null bs=200M count=1", "oom", None),
    "08_oom_of_a_child": (
        "dd if=/dev/zero of=/dev/null bs=200M count=1\necho \"the child ended with $?\"\nexit 0",
        "oom",
        None,
    ),
    "09_crash": ("kill -SEGV $$", "crash", "SIGSEGV"),
    "10_output_limit": ("exec yes", "fail", "output-limit"),
    # It never ends, and does not hear TERM.
    "11_fork_bomb": (
        "trap '' TERM\nb() { while :; do b & done; }\nb 2>/dev/null &\nwhile :; do :; done",
        "timeout",
        "cpu",
    ),
    "12_clean": ("set -- /proc/[0-9]*\necho $#\n[ $# -eq 2 ]", "pass", None),
}

broken = 0


def report(what, wrong, note=""):
    """One line of the table, and under it what is wrong."""
    global broken
    print(f"{'FAIL' if wrong else 'ok':4}  {what:44}  {note}", flush=True)
    for line in wrong:
        print(f"      | {line}", flush=True)
    broken += bool(wrong)


def command(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def containers():
    """Containers of ours, running or not."""
    listed = command("docker", "ps", "--all", "--quiet", "--filter", "label=dev.docker-test.run")
    return listed.stdout.split() + listed.stderr.splitlines()


class Run:
    """A finished run: its events, its record, and what is wrong with it so far."""

    def __init__(self, project, *arguments, status=0):
        start = time.monotonic()
        argv = [PROGRAM, "run", "--message-format", "json", *arguments]
        done = subprocess.run(argv, cwd=project, capture_output=True, check=False)
        self.seconds = time.monotonic() - start
        self.events = [json.loads(line) for line in done.stdout.splitlines()]
        self.attempts = {
            os.path.basename(event["test"]): event
            for event in self.of("attempt-finished")
            if not event["superseded"]
        }
        self.workers = self.of("worker-started")
        self.wrong = []
        self.expect("exit status", status, done.returncode)
        if done.returncode != status:
            self.wrong += done.stderr.decode(errors="replace").splitlines()[-10:]
        self.wrong += [f"container {name} is left" for name in containers()]
        for worker in self.of("worker-ended"):
            self.expect(f"worker {worker['worker']}'s problem", None, worker["problem"])
        if self.of("run-started"):
            self.record(f"{project}/test-results/docker-test.db")
        else:
            self.wrong.append("it never started")

    def of(self, kind):
        return [event for event in self.events if event["event"] == kind]

    def expect(self, what, wanted, found):
        if wanted != found:
            self.wrong.append(f"{what}: {found!r}, not {wanted!r}")

    def holds(self, what, condition):
        if not condition:
            self.wrong.append(what)

    def record(self, path):
        """What is on disk is what was told."""
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        database.row_factory = sqlite3.Row
        run = self.of("run-started")[0]["run"]
        self.rows = {
            os.path.basename(row["id"]): row
            for row in database.execute(
                "SELECT id, a.* FROM attempts a JOIN tests USING (test)"
                " WHERE run = ? AND NOT superseded",
                [run],
            )
        }
        self.recorded = {
            row["worker"]: (json.loads(row["attestation"]), json.loads(row["limits"]))
            for row in database.execute("SELECT * FROM workers WHERE run = ?", [run])
        }
        told = {event["worker"]: (event["attestation"], event["limits"]) for event in self.workers}
        self.expect("recorded workers", told, self.recorded)
        self.expect(
            "recorded outcomes",
            {name: (event["outcome"], event["reason"]) for name, event in self.attempts.items()},
            {name: (row["outcome"], row["reason"]) for name, row in self.rows.items()},
        )

    def all_enforced(self, clamped=()):
        """Every limit of every worker holds, in its own words and as the profile has it."""
        self.holds("there is no worker", self.workers)
        for event in self.workers:
            attestation, limits = self.recorded[event["worker"]]
            states = {limit["limit"]: limit["state"] for limit in limits}
            self.expect("limits", sorted(LIMITS), sorted(states))
            for limit, state in states.items():
                wanted = "clamped" if limit in clamped else "enforced"
                self.expect(f"{event['profile']}: limit {limit}", wanted, state)
            found = {key: attestation[key] for key in ("cgroup_version", "swap_bytes", "interfaces")}
            self.expect("attested", {"cgroup_version": 2, "swap_bytes": 0, "interfaces": []}, found)
            if event["profile"] in PROFILES:
                cpus, *rest = PROFILES[event["profile"]]
                keys = ("cpus", "memory_bytes", "pids", "open_files")
                wanted = dict(zip(keys, [min(cpus, CPUS), *rest]))
                self.expect(event["profile"], wanted, {key: attestation[key] for key in keys})

    def all_measured(self):
        """The counters of cgroup v2 were read, and are in the record."""
        for name, row in self.rows.items():
            self.expect(f"{name}: cpu_source", "cgroup", row["cpu_source"])
            peak = "memory_peak_bytes"
            if row[peak] is None:
                peak = "memory_peak_bound_bytes"
            else:
                self.expect(f"{name}: memory_peak_source", "cgroup", row["memory_peak_source"])
            for column in ("wall_us", "cpu_us", "memory_start_bytes", peak):
                self.holds(f"{name}: {column} is {row[column]}", (row[column] or 0) > 0)
            for column in ("throttled_us", "oom_kills", "pids_limit_hits"):
                self.holds(f"{name}: {column} was not measured", row[column] is not None)

    def report(self, what, note=""):
        counts = {}
        for event in self.attempts.values():
            counts[event["outcome"]] = counts.get(event["outcome"], 0) + 1
        words = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
        report(what, self.wrong, note or f"{words} ({self.seconds:.0f} s)")


def shown(event):
    """An attempt that is not as expected, in one line."""
    output = (event["stdout"]["head"], event["stderr"]["head"])
    return f"{event['outcome']} {event['reason']} {event['termination']} {output}"


def proof(project, image, *arguments, failing=(), what):
    run = Run(project, "--image", image, *arguments, status=1 if failing else 0)
    for name, event in run.attempts.items():
        if name in failing:
            run.expect(name, ("fail", "exit(1)"), (event["outcome"], event["reason"]))
        elif event["outcome"] != "pass":
            run.wrong.append(f"{name}: {shown(event)}")
    tests = sum(name.endswith("_test.sh") for _, _, names in os.walk(f"{project}/test") for name in names)
    run.expect("tests", tests, len(run.attempts))
    run.all_enforced()
    run.all_measured()
    run.report(what)


def namespaces(event):
    words = (line.split() for line in event["stdout"]["head"].splitlines())
    return {line[1]: line[2] for line in words if line[:1] == ["ns"]}


def pair(project):
    """Two workers that were there at the same time share no namespace, with each other or us."""
    run = Run(project, "--image", "host", "--workers", "2", "--hold", "2", "test/parallel")
    run.all_enforced()
    run.expect("workers", 2, len({event["worker"] for event in run.attempts.values()}))
    kinds = [event["event"] for event in run.events if event["event"] != "progress"]
    early = kinds[: kinds.index("attempt-finished")] if run.attempts else []
    run.expect("workers before the first result", 2, early.count("worker-started"))
    one, two = [namespaces(event) for event in run.attempts.values()] or [{}, {}]
    run.expect("kinds", ["ipc", "mnt", "net", "pid"], sorted(one))
    run.expect("kinds", sorted(one), sorted(two))
    for kind in one:
        ids = {one[kind], two[kind], os.readlink(f"/proc/self/ns/{kind}")}
        run.expect(f"different {kind} namespaces", 3, len(ids))
    run.report("two held workers share no namespace")


def outcomes(project):
    os.makedirs(f"{project}/test")
    with open(f"{project}/docker-test.yaml", "w", encoding="utf-8") as file:
        file.write(OUTCOMES_CONFIG)
    for name, (script, _, _) in OUTCOMES.items():
        with open(f"{project}/test/{name}_test.sh", "w", encoding="utf-8") as file:
            file.write(f"{script}\n")

    run = Run(project, "--image", "host", status=1)
    run.all_enforced()
    run.all_measured()
    run.expect("tests", len(OUTCOMES), len(run.attempts))
    run.expect("workers", 1, len(run.workers))
    run.report("the outcomes, in one worker")

    for name, (_, outcome, reason) in OUTCOMES.items():
        event = run.attempts.get(f"{name}_test.sh")
        if event is None:
            report(f"  {name}", ["it has no result"])
            continue
        row = run.rows[f"{name}_test.sh"]
        wrong, notes = [], [outcome, reason]
        if (event["outcome"], event["reason"]) != (outcome, reason):
            wrong.append(shown(event))
        for column, source in MEASURED.get(name, {}).items():
            notes.append(f"{column} {row[column]}")
            if not source(row[column]):
                wrong.append(f"{column}: {row[column]}")
        wrong += [words for words, holds in FACTS.get(name, {}).items() if not holds(event)]
        report(f"  {name}", [*wrong, shown(event)] if wrong else [], " ".join(filter(None, notes)))


# What the counters have to say of a test.
MEASURED = {
    "02_memory": {
        "memory_peak_bytes": lambda value: value and 40 * MIB <= value <= 64 * MIB,
        "oom_kills": lambda value: value == 0,
    },
    "05_timeout_wall": {"wall_us": lambda value: 20_000_000 <= value < 60_000_000},
    "06_timeout_cpu": {"cpu_us": lambda value: 6_000_000 <= value < 18_000_000},
    "07_oom": {
        "oom_kills": lambda value: value == 1,
        "memory_peak_bytes": lambda value: value and 63 * MIB <= value <= 64 * MIB,
    },
    "08_oom_of_a_child": {"oom_kills": lambda value: value == 1},
    "11_fork_bomb": {
        "pids_limit_hits": lambda value: value and value > 0,
        "oom_kills": lambda value: value == 0,
    },
}
# And its process, its output, and what it left behind.
FACTS = {
    "01_apparmor": {
        "AppArmor does not confine it": lambda event: event["stdout"]["head"].strip()
        == "docker-default (enforce)"
    },
    "05_timeout_wall": {"it needed more than TERM": lambda event: not event["escalated"]},
    "07_oom": {"it was not killed": lambda event: event["termination"] == {"signal": 9}},
    "08_oom_of_a_child": {
        "it did not end by itself": lambda event: event["termination"] == {"exit": 0},
        "its child was not killed": lambda event: "ended with 137" in event["stdout"]["head"],
    },
    "11_fork_bomb": {"TERM was enough": lambda event: event["escalated"]},
    "12_clean": {"it saw other processes": lambda event: event["stdout"]["head"] == "2\n"},
}


def clamping(project):
    """A profile that is larger than the machine gets what there is."""
    run = Run(project, "--image", "host", "--profile", "intensive", "test/02_memory_test.sh")
    with open("/proc/meminfo", encoding="ascii") as file:
        memory = int(file.readline().split()[1]) * 1024
    larger = {"cpus": CPUS < 4, "memory": memory < 4096 * MIB}
    run.all_enforced(clamped=[limit for limit, clamped in larger.items() if clamped])
    for worker in run.workers:
        run.expect("cpus", min(4, CPUS), worker["attestation"]["cpus"])
        given = worker["attestation"]["memory_bytes"]
        run.holds(f"{given} bytes are more than {memory}", given <= min(memory, 4096 * MIB))
        note = f"cpus 4 -> {worker['attestation']['cpus']:g}, memory 4096 -> {given // MIB} MiB"
    run.report("limits beyond the machine are clamped", note if run.workers else "")


def machine():
    info = command("docker", "info", "--format", "{{.CgroupVersion}} {{json .SecurityOptions}}").stdout
    kind = command("stat", "--file-system", "--format", "%T", "/sys/fs/cgroup").stdout.strip()
    version = command("docker", "version", "--format", "{{.Server.Version}}").stdout.strip()
    wrong = []
    if kind != "cgroup2fs" or not info.startswith("2 "):
        wrong.append(f"the machine has no cgroup v2: {kind}, docker says {info}")
    if "name=apparmor" not in info:
        wrong.append(f"docker does not use AppArmor: {info}")
    note = f"docker {version}, Linux {os.uname().release}, {CPUS} processors"
    report("cgroup v2 and AppArmor", wrong, note)


def isolation_image(project):
    """Built on a base of one busybox, since no registry can be reached."""
    start = time.monotonic()
    made = command(f"{SOURCE}/script/stand-in-base", "alpine", BASE)
    wrong = (made.stdout + made.stderr).splitlines() if made.returncode else []
    if not wrong:
        argv = [PROGRAM, "build", "isolation", "--base-image", BASE]
        built = subprocess.run(argv, cwd=project, capture_output=True, text=True, check=False)
        wrong = (built.stdout + built.stderr).splitlines() if built.returncode else []
    report("the isolation image is built", wrong, f"({time.monotonic() - start:.0f} s)")


def main():
    machine()
    project = "/root/proof"
    os.makedirs(project)
    for name in ("test", "docker"):
        shutil.copytree(f"{SOURCE}/{name}", f"{project}/{name}")
    with open(f"{SOURCE}/docker-test.yaml", encoding="utf-8") as file:
        config = file.read()
    with open(f"{project}/docker-test.yaml", "w", encoding="utf-8") as file:
        file.write(config + MORE_TIME)

    outcomes("/root/outcomes")
    clamping("/root/outcomes")
    pair(project)
    proof(project, "host", what="the isolation proof, image host")
    isolation_image(project)
    proof(project, "isolation", what="the isolation proof, image isolation")
    failing = ["2_clean_test.sh"]
    what = "without reset exactly 2_clean_test.sh fails"
    proof(project, "host", "--without-reset", failing=failing, what=what)
    print("all as expected" if not broken else f"{broken} not as expected")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
